//! Some services of a synthetic world, watched so that they can be drawn.

use groundswell_core::{Catalogue, Config, OutageEvent};
use groundswell_io::lines::StopFlag;
use groundswell_testkit::{Change, CountedService, Counts, Shape, World};

use super::{TOLERANCE_MIN, catalogue_of, detect, minute_of, time_of};
use crate::judging::{Detection, Matching, Tier, Truth, detections, match_onsets};
use crate::report::{Histories, Outages};

/// From the rarest complaints to the most frequent.
const N_SERVICES: usize = 4;

/// Services of the first world with outages, and what was said of them.
#[derive(Debug)]
pub(crate) struct Example {
    services: Catalogue,
    histories: Histories,
    events: Vec<OutageEvent>,
    truths: Vec<Truth>,
    detections: Vec<Detection>,
    matching: Matching,
}

impl Example {
    /// The same, to be drawn.
    pub(crate) fn outages(&self) -> Outages<'_> {
        Outages {
            services: &self.services,
            histories: &self.histories,
            events: &self.events,
            truths: &self.truths,
            detections: &self.detections,
            matching: &self.matching,
        }
    }
}

/// Watches the first world with outages under `seed`; `None` if `stop` was raised.
pub(crate) fn watch_example(seed: u64, config: &Config, stop: &StopFlag) -> Option<Example> {
    let world = World::failing(seed, 0);
    let mut by_rate: Vec<&CountedService> = world.services.iter().collect();
    by_rate.sort_by(|a, b| a.base.total_cmp(&b.base));
    let chosen: Vec<&CountedService> =
        (0..N_SERVICES).map(|n| by_rate[n * (by_rate.len() - 1) / (N_SERVICES - 1)]).collect();
    let truths: Vec<Truth> = chosen.iter().flat_map(|service| truths_of(service, seed)).collect();
    let (services, _) = catalogue_of(&world);
    let mut histories = Histories::new(&truths);
    let events = detect(&world, seed, config, stop, Some(&mut histories))?;
    let is_chosen = |event: &OutageEvent| {
        let id = &services.service(event.service).id;
        minute_of(event.opened_at) > i64::from(world.warm_up_min) && chosen.iter().any(|one| one.id == *id)
    };
    let mut events: Vec<OutageEvent> = events.into_iter().flatten().filter(is_chosen).collect();
    events.sort_by_key(|event| event.time);
    let detections = detections(&events, &services, Tier::Suspected);
    let matching = match_onsets(&truths, &detections, TOLERANCE_MIN * 60_000);
    Some(Example { services, histories, events, truths, detections, matching })
}

fn truths_of(service: &CountedService, seed: u64) -> Vec<Truth> {
    let rates = Counts::new(service, seed);
    let truth = |change: &Change| {
        let course = match change.shape {
            Shape::Step => "at once",
            Shape::Ramp => "slowly",
            Shape::Decay => "at once, then decaying",
        };
        let (multiplier, rate) = (change.multiplier, rates.base_rate(change.start_min));
        Truth {
            service: service.id.clone(),
            start: time_of(change.start_min),
            end: time_of(change.end_min),
            kind: format!("×{multiplier} {course}, from {rate:.2} a minute"),
            is_ignored: false,
        }
    };
    service.changes.iter().map(truth).collect()
}
