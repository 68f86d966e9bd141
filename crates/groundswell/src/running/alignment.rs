//! Which partitions wait for slower ones: the detect role keeps the complaints of every minute that the slowest partition
//! has not passed, and must not need more memory the more there is to read.

use std::collections::{BTreeMap, BTreeSet};

use groundswell_core::EventTime;

/// A partition this far ahead of the slowest of its own process waits, milliseconds of event time.
const AHEAD_MS_MAX: i64 = 3_600_000;
/// For one that another process reads, a process waits only once it has told so many complaints that are further ahead:
/// how far others have come is known seconds later, and years of a sparse topic would otherwise be read an hour at a time.
const COMPLAINTS_AHEAD_MAX: u64 = 200_000;

/// How far a partition of this process has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) frontier: EventTime,
    /// Whether there is more to read.
    pub(super) is_busy: bool,
}

/// What this process has told, by hours of event time.
#[derive(Debug, Default)]
pub(super) struct Alignment {
    n_complaints: BTreeMap<i64, u64>,
}

impl Alignment {
    /// A complaint of that time was told.
    pub(super) fn note_complaint(&mut self, time: EventTime) {
        *self.n_complaints.entry(hour(time)).or_default() += 1;
    }

    /// The partitions that are to wait. `elsewhere` says how far the busy partitions have come, as they were last
    /// committed by whatever process.
    pub(super) fn waiting(
        &mut self,
        own: &BTreeMap<i32, Reading>,
        elsewhere: &BTreeMap<i32, EventTime>,
    ) -> BTreeSet<i32> {
        let slowest_own =
            own.values().filter(|reading| reading.is_busy).map(|reading| reading.frontier).min();
        let others = elsewhere.iter().filter(|(number, _)| !own.contains_key(number));
        let slowest_other = others.map(|(_, &frontier)| frontier).min();
        let Some(slowest) = slowest_own.into_iter().chain(slowest_other).min() else {
            self.n_complaints.clear();
            return BTreeSet::new();
        };
        self.n_complaints = self.n_complaints.split_off(&hour(slowest));
        let n_ahead: u64 = self.n_complaints.range(hour(slowest) + 1..).map(|(_, n)| n).sum();
        let slowest_other = slowest_other.filter(|_| n_ahead > COMPLAINTS_AHEAD_MAX);
        let Some(slowest) = slowest_own.into_iter().chain(slowest_other).min() else {
            return BTreeSet::new();
        };
        let is_ahead = |reading: &Reading| reading.frontier.ms_since(slowest) > AHEAD_MS_MAX;
        own.iter().filter(|(_, reading)| is_ahead(reading)).map(|(&number, _)| number).collect()
    }
}

fn hour(time: EventTime) -> i64 {
    time.as_ms().div_euclid(AHEAD_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: f64) -> EventTime {
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        let ms = (hours * 3_600_000.0) as i64;
        EventTime::from_ms(1_700_002_800_000 + ms).expect("a time in range")
    }

    fn own(hours: &[(i32, f64, bool)]) -> BTreeMap<i32, Reading> {
        let reading = |&(number, hours, is_busy)| (number, Reading { frontier: at(hours), is_busy });
        hours.iter().map(reading).collect()
    }

    #[test]
    fn a_partition_an_hour_ahead_of_the_slowest_busy_one_waits() {
        let mut alignment = Alignment::default();
        let mut waiting =
            |hours: &[(i32, f64, bool)]| Vec::from_iter(alignment.waiting(&own(hours), &BTreeMap::new()));
        assert_eq!(waiting(&[(0, 1.0, true), (1, 1.9, true), (2, 2.1, true)]), [2]);
        assert_eq!(
            waiting(&[(0, 1.0, false), (1, 1.9, true), (2, 2.1, true)]),
            [0; 0],
            "one that is idle holds no one"
        );
        assert_eq!(waiting(&[(0, 1.0, false)]), [0; 0]);
    }

    #[test]
    fn for_partitions_of_others_a_process_waits_when_it_has_told_much_more() {
        let mut alignment = Alignment::default();
        let ours = own(&[(0, 9.0, true), (1, 9.5, true)]);
        // That of partition 1 is old: it is ours by now.
        let mut elsewhere = BTreeMap::from([(1, at(0.5)), (2, at(1.0))]);
        for _ in 0..COMPLAINTS_AHEAD_MAX {
            alignment.note_complaint(at(5.0));
        }
        alignment.note_complaint(at(1.5));
        assert_eq!(
            alignment.waiting(&ours, &elsewhere),
            BTreeSet::new(),
            "those of the slowest hour do not count"
        );
        alignment.note_complaint(at(9.0));
        assert_eq!(alignment.waiting(&ours, &elsewhere), BTreeSet::from([0, 1]));
        elsewhere.insert(2, at(5.0));
        assert_eq!(alignment.waiting(&ours, &elsewhere), BTreeSet::new(), "it has caught up");
        assert!(alignment.n_complaints.len() < 3, "what everybody has passed is forgotten");
        elsewhere.clear();
        assert_eq!(alignment.waiting(&own(&[(0, 9.0, false)]), &elsewhere), BTreeSet::new());
    }
}
