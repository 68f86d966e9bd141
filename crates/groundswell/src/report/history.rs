//! What a report keeps of every service while it is watched: the whole at coarse resolution, and each bin near an
//! outage.
//!
//! Every bin of a long history would not fit into memory, and which services fail is known only at the end. So each has
//! a [`Track`], whose length is bounded, and its last day of bins; once an outage is told, or a true one is near, bins
//! are kept one by one until it is over.

use std::collections::{BTreeMap, VecDeque};

use groundswell_core::{Catalogue, EventTime, OutageEvent, Row, ServiceIndex};

use crate::judging::Truth;

/// A plot is about a thousand pixels wide: more points than that could not be told apart. Even, since full tracks are
/// halved.
const BUCKETS_MAX: usize = 1_000;
/// Three hours of minutes on either side show what was normal, and that it is so again.
const BINS_AROUND: i64 = 180;
/// A day of minutes: an onset that lies further back is cut off.
const RECENT_BINS_MAX: usize = 1_440;
const MINUTE_MS: i64 = 60_000;

/// One bin of a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Its start.
    pub(crate) time: EventTime,
    /// Complaints.
    pub(crate) observed: u32,
    /// The null rate, complaints a bin.
    pub(crate) expected: f64,
    /// Nineteen of twenty counts lie between these while nothing is wrong.
    pub(crate) usual: (f64, f64),
    /// From 0 to 1; 0.5 is the *suspected* threshold.
    pub(crate) evidence: f64,
}

/// Some bins in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    /// The start of the first.
    pub(crate) start: EventTime,
    n_bins: u32,
    observed_sum: u64,
    expected_sum: f64,
    usual_sum: (f64, f64),
    /// The most complaints of one bin.
    pub(crate) observed_max: u32,
    /// The most evidence.
    pub(crate) evidence_max: f64,
}

impl Bucket {
    fn of(point: Point) -> Self {
        Self {
            start: point.time,
            n_bins: 1,
            observed_sum: u64::from(point.observed),
            expected_sum: point.expected,
            usual_sum: point.usual,
            observed_max: point.observed,
            evidence_max: point.evidence,
        }
    }

    fn join(&mut self, later: Self) {
        self.n_bins += later.n_bins;
        self.observed_sum += later.observed_sum;
        self.expected_sum += later.expected_sum;
        self.usual_sum.0 += later.usual_sum.0;
        self.usual_sum.1 += later.usual_sum.1;
        self.observed_max = self.observed_max.max(later.observed_max);
        self.evidence_max = self.evidence_max.max(later.evidence_max);
    }

    /// Complaints a bin, the mean.
    pub(crate) fn observed(&self) -> f64 {
        self.observed_sum as f64 / f64::from(self.n_bins)
    }

    /// The null rate, complaints a bin, the mean.
    pub(crate) fn expected(&self) -> f64 {
        self.expected_sum / f64::from(self.n_bins)
    }

    /// Between what and what a bin's count usually lies, the mean.
    pub(crate) fn usual(&self) -> (f64, f64) {
        let n_bins = f64::from(self.n_bins);
        (self.usual_sum.0 / n_bins, self.usual_sum.1 / n_bins)
    }
}

/// Bins of any number, as at most a thousand buckets of like length. Mean and maximum are kept, so that no peak is lost.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    buckets: Vec<Bucket>,
    bins_a_bucket: u32,
}

impl Default for Track {
    fn default() -> Self {
        Self { buckets: Vec::new(), bins_a_bucket: 1 }
    }
}

impl Track {
    /// Takes the next bin.
    pub(crate) fn push(&mut self, point: Point) {
        match self.buckets.last_mut() {
            Some(last) if last.n_bins < self.bins_a_bucket => last.join(Bucket::of(point)),
            _ => {
                if self.buckets.len() == BUCKETS_MAX {
                    self.halve();
                }
                self.buckets.push(Bucket::of(point));
            }
        }
    }

    fn halve(&mut self) {
        let pairs = self.buckets.chunks(2).map(|pair| {
            let mut joined = pair[0];
            pair[1..].iter().for_each(|&later| joined.join(later));
            joined
        });
        self.buckets = pairs.collect();
        self.bins_a_bucket *= 2;
    }

    /// The buckets, in time.
    pub(crate) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The buckets as they follow each other, and the stretches between of which nothing is known.
    pub(crate) fn runs(&self) -> (Vec<&[Bucket]>, Vec<(EventTime, EventTime)>) {
        let steps = self.buckets.windows(2).map(|pair| pair[1].start.ms_since(pair[0].start));
        let step_ms = steps.min().unwrap_or(MINUTE_MS);
        let is_next =
            |before: &Bucket, bucket: &Bucket| 2 * bucket.start.ms_since(before.start) <= 3 * step_ms;
        let runs: Vec<&[Bucket]> = self.buckets.chunk_by(is_next).collect();
        let gap = |pair: &[&[Bucket]]| Some((pair[0].last()?.start.plus_ms(step_ms), pair[1].first()?.start));
        let gaps = runs.windows(2).filter_map(gap).collect();
        (runs, gaps)
    }

    /// How many bins a bucket has; the last may have fewer.
    pub(crate) fn bins_a_bucket(&self) -> u32 {
        self.bins_a_bucket
    }
}

impl FromIterator<Point> for Track {
    fn from_iter<I: IntoIterator<Item = Point>>(points: I) -> Self {
        let mut track = Self::default();
        points.into_iter().for_each(|point| track.push(point));
        track
    }
}

/// What is kept of one service.
#[derive(Debug, Default)]
pub(crate) struct History {
    id: String,
    name: String,
    whole: Track,
    /// True outages, from start to end.
    known: Vec<(EventTime, EventTime)>,
    /// Bins near an outage.
    close: BTreeMap<EventTime, Point>,
    /// The last bins that are not.
    recent: VecDeque<Point>,
    /// Until when bins are near the outage last told.
    near_until: Option<EventTime>,
    last: Option<EventTime>,
    step_ms: Option<i64>,
}

impl History {
    fn take(&mut self, point: Point) {
        if let Some(last) = self.last.replace(point.time) {
            // Nothing is known of some bins, so the shortest step is a bin's width.
            let step_ms = point.time.ms_since(last);
            self.step_ms = Some(self.step_ms.map_or(step_ms, |least| least.min(step_ms)));
        }
        self.whole.push(point);
        let around_ms = self.around_ms();
        let is_known = |&(start, end): &(EventTime, EventTime)| {
            (start.plus_ms(-around_ms)..=end.plus_ms(around_ms)).contains(&point.time)
        };
        if self.near_until.is_some_and(|until| point.time <= until) || self.known.iter().any(is_known) {
            self.close.insert(point.time, point);
        } else {
            self.recent.push_back(point);
            if self.recent.len() > RECENT_BINS_MAX {
                self.recent.pop_front();
            }
        }
    }

    fn note(&mut self, event: &OutageEvent) {
        let from = event.started_at.plus_ms(-self.around_ms());
        let first = self.recent.partition_point(|point| point.time < from);
        self.close.extend(self.recent.drain(first..).map(|point| (point.time, point)));
        let until = event.ended_at.map_or(EventTime::END, |_| event.time.plus_ms(self.around_ms()));
        self.near_until = Some(until);
    }

    /// How much is kept on either side of an outage.
    pub(crate) fn around_ms(&self) -> i64 {
        BINS_AROUND * self.step_ms.unwrap_or(MINUTE_MS)
    }

    /// The service's name for display.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// All of it.
    pub(crate) fn whole(&self) -> &Track {
        &self.whole
    }

    /// Start of the last bin.
    pub(crate) fn last(&self) -> Option<EventTime> {
        self.last
    }

    /// The bins near an outage that lasted from `start` to `end`.
    pub(crate) fn around(&self, start: EventTime, end: EventTime) -> Track {
        let (from, to) = (start.plus_ms(-self.around_ms()), end.plus_ms(self.around_ms()));
        self.close.range(from..=to).map(|(_, &point)| point).collect()
    }
}

/// The histories of all services.
#[derive(Debug)]
pub(crate) struct Histories {
    truths: Vec<Truth>,
    services: BTreeMap<ServiceIndex, History>,
}

impl Histories {
    /// Histories of services that are known to fail as `truths` tell.
    pub(crate) fn new(truths: &[Truth]) -> Self {
        Self { truths: truths.to_vec(), services: BTreeMap::new() }
    }

    /// Takes a row of the per-bin table; rows of a service come in time.
    pub(crate) fn take(&mut self, row: &Row, services: &Catalogue) {
        let point = Point {
            time: row.time,
            observed: row.assessment.observed,
            expected: row.assessment.expected,
            usual: row.assessment.usual(),
            evidence: row.assessment.evidence,
        };
        self.of_mut(row.service, services).take(point);
    }

    /// Takes an event; rows up to its time may come before it or after it.
    pub(crate) fn note(&mut self, event: &OutageEvent, services: &Catalogue) {
        self.of_mut(event.service, services).note(event);
    }

    fn of_mut(&mut self, service: ServiceIndex, services: &Catalogue) -> &mut History {
        self.services.entry(service).or_insert_with(|| {
            let service = services.service(service);
            let of_it = self.truths.iter().filter(|truth| truth.service == service.id);
            History {
                id: service.id.clone(),
                name: service.name.clone(),
                known: of_it.map(|truth| (truth.start, truth.end)).collect(),
                ..History::default()
            }
        })
    }

    /// The history of a service, if it was seen.
    pub(crate) fn of(&self, id: &str) -> Option<&History> {
        self.services.values().find(|history| history.id == id)
    }
}

#[cfg(test)]
mod tests {
    use groundswell_core::EventKind;

    use super::*;
    use crate::told::tests::{at, event};

    fn point(minute: i64, observed: u32) -> Point {
        Point {
            time: at(minute),
            observed,
            expected: 0.5,
            usual: (0.0, 2.0),
            evidence: f64::from(observed) / 100.0,
        }
    }

    #[test]
    fn a_track_stays_short_and_loses_no_peak() {
        let track: Track = (0..10_000).map(|n| point(n, if n == 7_777 { 90 } else { 1 })).collect();
        // 10,000 bins in buckets of 16, the first power of two that is enough.
        assert_eq!((track.buckets().len(), track.bins_a_bucket()), (625, 16));
        let peak =
            track.buckets().iter().find(|bucket| bucket.observed_max == 90).expect("the peak is there");
        assert_eq!((peak.start, peak.evidence_max), (at(7_776), 0.9));
        // (90 + 15) / 16.
        assert_eq!((peak.observed(), peak.expected(), peak.usual()), (6.5625, 0.5, (0.0, 2.0)));
        let n: u32 = track.buckets().iter().map(|bucket| bucket.n_bins).sum();
        assert_eq!(n, 10_000, "every bin is in one bucket");
    }

    #[test]
    fn what_nothing_is_known_of_lies_between_runs() {
        let watched = (0..100).chain(400..500);
        let track: Track = watched.map(|n| point(n, 1)).collect();
        let (runs, gaps) = track.runs();
        assert_eq!(runs.iter().map(|run| run.len()).collect::<Vec<_>>(), [100, 100]);
        assert_eq!(gaps, [(at(100), at(400))]);
        // Joined to buckets of four, of which one has the gap in it.
        let watched = (0..1_502).chain(4_500..6_000);
        let track: Track = watched.map(|n| point(n, 1)).collect();
        let (runs, gaps) = track.runs();
        assert_eq!((runs.len(), gaps.len(), track.bins_a_bucket()), (2, 1, 4));
        let whole: Track = (0..10).map(|n| point(n, 1)).collect();
        assert_eq!(whole.runs().1, []);
        assert_eq!(Track::default().runs(), (vec![], vec![]));
    }

    #[test]
    fn a_short_track_is_the_bins_themselves() {
        let track: Track = (0..1_000).map(|n| point(n, 1)).collect();
        assert_eq!((track.buckets().len(), track.bins_a_bucket()), (1_000, 1));
        assert!(Track::default().buckets().is_empty());
    }

    #[test]
    fn the_bins_around_a_true_outage_are_kept() {
        let mut history = History { known: vec![(at(1_000), at(1_060))], ..History::default() };
        (0..3_000).for_each(|n| history.take(point(n, 1)));
        let around = history.around(at(1_000), at(1_060));
        let starts: Vec<EventTime> = around.buckets().iter().map(|bucket| bucket.start).collect();
        assert_eq!((starts.first(), starts.last(), starts.len()), (Some(&at(820)), Some(&at(1_240)), 421));
        assert_eq!(history.close.len(), 421, "and no others");
        assert!(history.recent.len() <= RECENT_BINS_MAX);
    }
    #[test]
    fn the_bins_around_an_outage_are_kept_whether_they_come_before_its_events_or_after() {
        // Onset at 2,000; kept are three hours before it and, once it is over at 2,100, three hours after that.
        for delay in [0, 30] {
            let mut history = History::default();
            for n in 0..4_000 {
                history.take(point(n, 1));
                if n == 2_005 + delay {
                    history.note(&event(EventKind::Started, 2_005, 2_005, 2_000, None));
                }
                if n == 2_100 + delay {
                    history.note(&event(EventKind::Ended, 2_005, 2_100, 2_000, Some(2_080)));
                }
            }
            let kept: Vec<EventTime> = history.close.keys().copied().collect();
            assert_eq!((kept.first(), kept.last(), kept.len()), (Some(&at(1_820)), Some(&at(2_280)), 461));
            assert_eq!(history.around(at(2_000), at(2_100)).buckets().len(), 461);
        }
    }
}
