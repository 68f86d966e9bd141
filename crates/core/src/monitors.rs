//! The services under watch, by index, and which of them have changed lately.

use serde::{Deserialize, Serialize};

use crate::catalogue::ServiceIndex;
use crate::monitor::Monitor;

/// The services under watch, by index: each tick visits many of them, in order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Monitors {
    slots: Vec<Option<Box<Monitor>>>,
    /// Whoever was lent out mutably since [`Monitors::take_touched`]; a changelog writes only those.
    #[serde(skip)]
    touched: Vec<bool>,
}

impl Monitors {
    pub(crate) fn contains(&self, service: ServiceIndex) -> bool {
        self.get(service).is_some()
    }

    pub(crate) fn get(&self, service: ServiceIndex) -> Option<&Monitor> {
        self.slots.get(service.as_usize())?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, service: ServiceIndex) -> Option<&mut Monitor> {
        let index = service.as_usize();
        let monitor = self.slots.get_mut(index)?.as_deref_mut()?;
        touch(&mut self.touched, index);
        Some(monitor)
    }

    pub(crate) fn insert(&mut self, service: ServiceIndex, monitor: Monitor) {
        let index = service.as_usize();
        if self.slots.len() <= index {
            self.slots.resize(index + 1, None);
        }
        self.slots[index] = Some(Box::new(monitor));
        touch(&mut self.touched, index);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ServiceIndex, &Monitor)> {
        let known = self.slots.iter().enumerate();
        known.filter_map(|(index, monitor)| Some((ServiceIndex::of(index), monitor.as_deref()?)))
    }

    /// Visits every `step`th service from the first whose index is `first`.
    pub(crate) fn visit_every(&mut self, first: usize, step: usize, mut visit: impl FnMut(&mut Monitor)) {
        for (index, slot) in self.slots.iter_mut().enumerate().skip(first).step_by(step) {
            if let Some(monitor) = slot.as_deref_mut() {
                touch(&mut self.touched, index);
                visit(monitor);
            }
        }
    }

    /// The services that were touched since this was last called.
    pub(crate) fn take_touched(&mut self) -> Vec<ServiceIndex> {
        let touched = std::mem::take(&mut self.touched).into_iter().enumerate();
        touched.filter(|&(_, is)| is).map(|(index, _)| ServiceIndex::of(index)).collect()
    }
}

fn touch(touched: &mut Vec<bool>, index: usize) {
    if touched.len() <= index {
        touched.resize(index + 1, false);
    }
    touched[index] = true;
}
