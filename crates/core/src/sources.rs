//! Joins the progress of several sources: up to where have all of them come?
//!
//! A bin may be closed when no source has posts for it any more, so the slowest source decides. A source that has no
//! posts at all must not hold the others up, but being found empty means nothing for long: posts may have been written
//! to it a moment later. So an idle source counts as having told everything up to the time at which it was found empty,
//! by the wall clock of whoever looked, and what the others have read after that (and [`GRACE_MS`]) waits until it is
//! looked at again.
//!
//! Where all sources are idle, time goes on at the pace of that same wall clock from the latest post: an outage ends
//! exactly when people stop posting. The clocks are read by the adapters and written into the marks, so that the same
//! marks give the same result whenever they are read.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::record::{Mark, Position, SourceId};
use crate::time::{Bin, BinWidth, EventTime};

/// How long after a post was read in one source a post written before it may still turn up in another, milliseconds:
/// the time that a broker takes to show it, and the difference between two hosts' clocks. Shorter, and a slow broker
/// makes posts late; longer, and alerts of a topic with an empty partition wait for it.
const GRACE_MS: i64 = 2_000;
/// Steps of progress that are kept for a source while another is idle. It is asked about every second, so these are
/// minutes; beyond them the oldest is forgotten, which only makes progress coarser.
const STEPS_MAX: usize = 512;

/// One source's progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Source {
    mark: Mark,
    /// When it had come how far: wall clock and first open bin.
    steps: VecDeque<(i64, Bin)>,
}

/// The progress of all sources.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sources {
    known: BTreeMap<SourceId, Source>,
}

/// How far all sources have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Not all have told, or one has nothing to say yet.
    Unknown,
    /// The bins before this one are complete.
    Until(Bin),
    /// There is no more input; the latest event time borne out.
    End(Option<EventTime>),
}

impl Sources {
    /// Whether `position` is new for its source; it then becomes the last.
    pub(crate) fn is_new(&mut self, id: &SourceId, position: Position) -> bool {
        match self.known.get_mut(id) {
            Some(source) if position > source.mark.position => {
                source.mark.position = position;
                // There is more in it after all; how much, its next mark says.
                source.mark.idle_as_of_ms = None;
                source.mark.is_finished = false;
                true
            }
            Some(_) => false,
            None => {
                let mark = Mark {
                    position,
                    n_partitions: 0,
                    first_bin: None,
                    open_from: None,
                    frontier: None,
                    read_at_ms: 0,
                    idle_as_of_ms: None,
                    is_finished: false,
                    n_posts: Vec::new(),
                };
                self.known.insert(id.clone(), Source { mark, steps: VecDeque::new() });
                true
            }
        }
    }

    /// Takes a mark, unless a later one came before it.
    pub(crate) fn handle_mark(&mut self, id: &SourceId, mark: Mark) {
        let Some(source) = self.known.get_mut(id) else {
            let steps = mark.open_from.map(|bin| (mark.read_at_ms, bin)).into_iter().collect();
            self.known.insert(id.clone(), Source { mark, steps });
            return;
        };
        let order = |mark: &Mark| (mark.position, mark.idle_as_of_ms, mark.is_finished);
        if order(&mark) < order(&source.mark) {
            return;
        }
        if let Some(bin) = mark.open_from {
            match source.steps.back_mut() {
                // The same bin: known since then.
                Some(&mut (_, last)) if last >= bin => {}
                _ => source.steps.push_back((mark.read_at_ms, bin)),
            }
            if source.steps.len() > STEPS_MAX {
                source.steps.pop_front();
            }
        }
        let before = std::mem::replace(&mut source.mark, mark);
        // Counts only grow, and the bins that a mark leaves out have not changed.
        let counts = &mut source.mark.n_posts;
        let mut merged: BTreeMap<Bin, u64> = before.n_posts.into_iter().collect();
        for &(bin, n) in counts.iter() {
            let known = merged.entry(bin).or_default();
            *known = (*known).max(n);
        }
        *counts = merged.into_iter().collect();
    }

    /// The first bin that any source can have complaints for.
    pub(crate) fn first_bin(&self) -> Option<Bin> {
        self.known.values().filter_map(|source| source.mark.first_bin).min()
    }

    /// Posts of all sources by bin.
    pub(crate) fn n_posts(&self) -> BTreeMap<Bin, u64> {
        let mut all = BTreeMap::new();
        for &(bin, n) in self.known.values().flat_map(|source| &source.mark.n_posts) {
            *all.entry(bin).or_default() += n;
        }
        all
    }

    /// Forgets what is only needed for bins before `bin`.
    pub(crate) fn forget_before(&mut self, bin: Bin) {
        for source in self.known.values_mut() {
            source.mark.n_posts.retain(|&(of, _)| of >= bin);
            while source.steps.len() > 1 && source.steps[1].1 < bin {
                source.steps.pop_front();
            }
        }
    }

    /// How far all sources have come.
    pub(crate) fn reach(&self, width: BinWidth, allowed_lateness_ms: i64) -> Reach {
        if !self.is_complete() {
            return Reach::Unknown;
        }
        let marks = || self.known.values().map(|source| &source.mark);
        let frontier = marks().filter_map(|mark| mark.frontier).max();
        if marks().all(|mark| mark.is_finished) {
            return Reach::End(frontier);
        }
        let unfinished = || self.known.values().filter(|source| !source.mark.is_finished);
        let idle_as_of = unfinished().filter_map(|source| source.mark.idle_as_of_ms).min();
        let mut active = unfinished().filter(|source| source.mark.idle_as_of_ms.is_none()).peekable();
        if active.peek().is_none() {
            let read_at = marks().map(|mark| mark.read_at_ms).max();
            let (Some(frontier), Some(idle), Some(read)) = (frontier, idle_as_of, read_at) else {
                return Reach::Unknown;
            };
            let now = frontier.plus_ms((idle - read).max(0) - allowed_lateness_ms);
            return Reach::Until(width.bin_of(now));
        }
        let slowest: Option<Vec<Bin>> = active.map(|source| source.open_from(idle_as_of)).collect();
        slowest.and_then(|bins| bins.into_iter().min()).map_or(Reach::Unknown, Reach::Until)
    }

    /// Whether every partition of every topic has left a mark.
    fn is_complete(&self) -> bool {
        let mut topics: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for (id, source) in &self.known {
            let (n_marked, n_partitions) = topics.entry(&id.topic).or_default();
            *n_marked += u32::from(source.mark.n_partitions > 0);
            *n_partitions = (*n_partitions).max(source.mark.n_partitions);
        }
        !topics.is_empty() && topics.values().all(|&(n_marked, n)| n > 0 && n_marked == n)
    }

    /// How far the sources' clocks say that posts have come, for a gauge: the latest frontier.
    pub(crate) fn frontier(&self) -> Option<EventTime> {
        self.known.values().filter_map(|source| source.mark.frontier).max()
    }
}

impl Source {
    /// The first open bin as of a time at which an idle source was empty.
    fn open_from(&self, idle_as_of: Option<i64>) -> Option<Bin> {
        match idle_as_of {
            None => self.mark.open_from,
            Some(idle) => {
                self.steps.iter().rev().find(|(read_at, _)| read_at + GRACE_MS <= idle).map(|&(_, bin)| bin)
            }
        }
    }
}
