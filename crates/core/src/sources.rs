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

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::record::{Mark, SourceId};
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
    /// Offsets of the complaints that were told, from `mark.settled` on: those since the last mark, and those of the few
    /// posts that came after the first that is set aside.
    told: BTreeSet<i64>,
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
    /// Whether the complaint at `offset` is told for the first time.
    pub(crate) fn is_new(&mut self, id: &SourceId, offset: i64) -> bool {
        let source = self.known.entry(id.clone()).or_insert_with(Source::untold);
        if offset < source.mark.settled || !source.told.insert(offset) {
            return false;
        }
        if offset > source.mark.offset {
            // There is more in it after all; how much, its next mark says.
            source.mark.idle_as_of_ms = None;
            source.mark.is_finished = false;
        }
        true
    }

    /// Takes a mark. Unless a later one came before it, it says how far the source has come.
    pub(crate) fn handle_mark(&mut self, id: &SourceId, mark: Mark) {
        let source = self.known.entry(id.clone()).or_insert_with(Source::untold);
        // What is told and how many posts there were holds of a mark that is not the latest, too. Counts only grow, and
        // the bins that a mark leaves out have not changed.
        let settled = source.mark.settled.max(mark.settled);
        source.mark.settled = settled;
        source.told = source.told.split_off(&settled);
        let mut counts: BTreeMap<Bin, u64> = std::mem::take(&mut source.mark.n_posts).into_iter().collect();
        for &(bin, n) in &mark.n_posts {
            let known = counts.entry(bin).or_default();
            *known = (*known).max(n);
        }
        let counts = counts.into_iter().collect();
        // The end of the input is told once: whoever has been replaced and does not know must not take it back.
        let order = |mark: &Mark| (mark.offset, mark.is_finished, mark.idle_as_of_ms);
        if order(&mark) < order(&source.mark) {
            source.mark.n_posts = counts;
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
        source.mark = Mark { n_posts: counts, settled, ..mark };
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
        let read_at = marks().map(|mark| mark.read_at_ms).max();
        if unfinished().all(|source| source.mark.idle_as_of_ms.is_some())
            && let (Some(frontier), Some(idle), Some(read)) = (frontier, idle_as_of, read_at)
            && idle >= read + GRACE_MS
        {
            let now = frontier.plus_ms(idle - read - GRACE_MS - allowed_lateness_ms);
            return Reach::Until(width.bin_of(now));
        }
        // What an idle source may have by now was written after it was found empty, so it is no earlier than what had
        // been read anywhere before that.
        let read_before = |idle| self.known.values().filter_map(|source| source.open_from_as_of(idle)).max();
        let latest = idle_as_of.and_then(read_before);
        let open_from = |source: &Source| match source.mark.idle_as_of_ms {
            None => source.mark.open_from,
            Some(_) => source.mark.open_from.max(latest),
        };
        let slowest: Option<Vec<Bin>> = unfinished().map(open_from).collect();
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
    /// A source of which nothing was told.
    fn untold() -> Self {
        let mark = Mark::unread(0);
        Self { mark, steps: VecDeque::new(), told: BTreeSet::new() }
    }

    /// The first open bin as of a time at which another source was empty.
    fn open_from_as_of(&self, idle_ms: i64) -> Option<Bin> {
        self.steps.iter().rev().find(|(read_at, _)| read_at + GRACE_MS <= idle_ms).map(|&(_, bin)| bin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENESS_MS: i64 = 30_000;

    fn id(partition: i32) -> SourceId {
        SourceId { topic: "posts".into(), partition }
    }

    fn at(minute: i64) -> EventTime {
        EventTime::from_ms(minute * 60_000 + LATENESS_MS).expect("a time in range")
    }

    /// A mark of one of two partitions that has come to `minute` of event time, read at `read_at_s`.
    fn mark(offset: i64, minute: i64, read_at_s: i64) -> Mark {
        Mark {
            offset,
            settled: offset + 1,
            n_partitions: 2,
            first_bin: Some(Bin::of_index(0)),
            open_from: Some(Bin::of_index(minute)),
            frontier: Some(at(minute)),
            read_at_ms: read_at_s * 1000,
            idle_as_of_ms: None,
            is_finished: false,
            n_posts: Vec::new(),
        }
    }

    fn empty(idle_as_of_s: i64) -> Mark {
        let idle_as_of_ms = Some(idle_as_of_s * 1000);
        Mark {
            offset: -1,
            settled: 0,
            open_from: None,
            frontier: None,
            first_bin: None,
            idle_as_of_ms,
            ..mark(0, 0, 0)
        }
    }

    #[track_caller]
    fn check(marks: &[(i32, Mark)], expected: Reach) {
        let mut sources = Sources::default();
        marks.iter().for_each(|(partition, mark)| sources.handle_mark(&id(*partition), mark.clone()));
        assert_eq!(sources.reach(BinWidth::MINUTE, LATENESS_MS), expected);
    }

    fn until(minute: i64) -> Reach {
        Reach::Until(Bin::of_index(minute))
    }

    #[test]
    fn the_slowest_source_decides() {
        check(&[(0, mark(9, 50, 1)), (1, mark(9, 40, 1))], until(40));
        check(&[(0, mark(9, 50, 1)), (1, mark(9, 40, 1)), (1, mark(20, 60, 2))], until(50));
    }

    #[test]
    fn nothing_is_known_before_every_partition_has_told() {
        check(&[], Reach::Unknown);
        check(&[(0, mark(9, 50, 1))], Reach::Unknown);
        let set_aside = Mark { open_from: None, frontier: None, ..mark(3, 0, 1) };
        check(&[(0, mark(9, 50, 1)), (1, set_aside)], Reach::Unknown);
    }

    #[test]
    fn an_older_mark_changes_nothing() {
        check(&[(0, mark(9, 50, 1)), (1, mark(9, 40, 1)), (1, mark(5, 30, 9))], until(40));
    }

    #[test]
    fn an_empty_partition_lets_pass_what_was_read_before_it_was_found_empty() {
        check(&[(0, mark(9, 50, 10)), (1, empty(11))], Reach::Unknown);
        check(&[(0, mark(9, 50, 10)), (1, empty(12))], until(50));
        // What was read later waits until it is looked at again.
        check(&[(0, mark(9, 50, 10)), (1, empty(12)), (0, mark(20, 60, 12))], until(50));
        check(&[(0, mark(9, 50, 10)), (0, mark(20, 60, 12)), (1, empty(14))], until(60));
    }

    #[test]
    fn an_idle_partition_that_has_posts_again_holds_the_others_up_until_it_tells_how_far() {
        let mut sources = Sources::default();
        sources.handle_mark(&id(0), mark(9, 50, 10));
        sources.handle_mark(&id(1), Mark { idle_as_of_ms: Some(12_000), ..mark(9, 20, 1) });
        assert_eq!(sources.reach(BinWidth::MINUTE, LATENESS_MS), until(50));
        assert!(sources.is_new(&id(1), 10));
        assert_eq!(sources.reach(BinWidth::MINUTE, LATENESS_MS), until(20));
        sources.handle_mark(&id(1), mark(12, 55, 13));
        assert_eq!(sources.reach(BinWidth::MINUTE, LATENESS_MS), until(50));
    }

    #[test]
    fn where_all_are_idle_time_goes_on_from_the_latest_post_at_the_pace_of_the_clock() {
        let idle =
            |partition, mark: Mark, s: i64| (partition, Mark { idle_as_of_ms: Some(s * 1000), ..mark });
        check(&[idle(0, mark(9, 50, 10), 12), idle(1, mark(9, 40, 8), 12)], until(50));
        check(&[idle(0, mark(9, 50, 10), 200), idle(1, mark(9, 40, 8), 192)], until(53));
    }

    #[test]
    fn an_idle_source_holds_up_what_was_read_after_it_was_found_empty_though_all_are_idle_by_now() {
        let idle = |mark: Mark, s: i64| Mark { idle_as_of_ms: Some(s * 1000), ..mark };
        let early = (1, idle(mark(9, 40, 8), 100));
        check(&[(0, mark(9, 50, 10)), (0, idle(mark(20, 60, 200), 210)), early.clone()], until(50));
        // Also when the one that went on has come to its end.
        let finished = Mark { is_finished: true, ..mark(20, 60, 200) };
        check(&[(0, mark(9, 50, 10)), (0, finished), early], until(50));
        // A source knows of its own posts what it has told.
        check(&[(0, idle(mark(9, 50, 99), 100)), (1, idle(mark(9, 40, 8), 100))], until(40));
    }

    #[test]
    fn the_end_is_there_when_all_are_finished() {
        let finished = |mark: Mark| Mark { is_finished: true, ..mark };
        check(&[(0, finished(mark(9, 50, 1))), (1, mark(9, 40, 1))], until(40));
        check(&[(0, finished(mark(9, 50, 1))), (1, finished(mark(9, 40, 1)))], Reach::End(Some(at(50))));
        check(&[(0, finished(mark(9, 50, 1))), (1, finished(empty(1)))], Reach::End(Some(at(50))));
    }

    #[test]
    fn the_end_is_not_taken_back_by_a_reader_that_was_replaced() {
        let finished = |mark: Mark| Mark { is_finished: true, ..mark };
        let stale = Mark { idle_as_of_ms: Some(9_000), ..mark(9, 40, 1) };
        check(
            &[(0, finished(mark(9, 50, 1))), (1, finished(mark(9, 40, 1))), (1, stale)],
            Reach::End(Some(at(50))),
        );
    }

    #[test]
    fn what_was_told_before_is_not_new_wherever_it_was_decided() {
        let mut sources = Sources::default();
        assert!(sources.is_new(&id(0), 5) && sources.is_new(&id(0), 3), "3 was set aside until 5 came");
        assert!(!sources.is_new(&id(0), 5) && !sources.is_new(&id(0), 3));
        assert!(sources.is_new(&id(1), 3), "offsets are a source's own");
        sources.handle_mark(&id(0), Mark { settled: 7, ..mark(8, 1, 1) });
        assert!(!sources.is_new(&id(0), 6), "a mark covers what was told before it");
        assert!(sources.is_new(&id(0), 7), "but not what is set aside");
        sources.handle_mark(&id(0), mark(6, 1, 1));
        assert!(!sources.is_new(&id(0), 7), "and an older one takes nothing back");
    }

    #[test]
    fn posts_are_counted_once_however_often_they_are_told() {
        let with = |mark: Mark, counts: &[(i64, u64)]| Mark {
            n_posts: counts.iter().map(|&(bin, n)| (Bin::of_index(bin), n)).collect(),
            ..mark
        };
        let mut sources = Sources::default();
        sources.handle_mark(&id(0), with(mark(9, 1, 1), &[(1, 5), (2, 1)]));
        sources.handle_mark(&id(0), with(mark(9, 1, 1), &[(1, 5), (2, 1)]));
        sources.handle_mark(&id(0), with(mark(20, 2, 2), &[(2, 7)]));
        sources.handle_mark(&id(1), with(mark(9, 1, 1), &[(1, 3)]));
        let counts: Vec<(i64, u64)> =
            sources.n_posts().into_iter().map(|(bin, n)| (bin.index(), n)).collect();
        assert_eq!(counts, [(1, 8), (2, 7)]);
    }

    #[test]
    fn posts_count_that_the_next_reader_tells_before_it_is_as_far_as_the_last() {
        let mut sources = Sources::default();
        sources.handle_mark(&id(0), mark(9, 1, 1));
        // The first reader told a complaint, and was gone before it told how many posts there were.
        assert!(sources.is_new(&id(0), 30));
        let n_posts = vec![(Bin::of_index(1), 5)];
        sources.handle_mark(&id(0), Mark { n_posts, ..mark(20, 2, 2) });
        assert_eq!(sources.n_posts(), BTreeMap::from([(Bin::of_index(1), 5)]));
    }
}
