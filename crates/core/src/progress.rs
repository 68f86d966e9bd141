//! Event-time progress: how far the posts have come, which is all that "now" means here.
//!
//! The watermark is the latest event time borne out, less the allowed lateness; a bin is closed once the watermark has
//! passed its end, and a post for a closed bin is late.
//!
//! One post dated 2099 must not close everything. A limit against the wall clock would do in a live system, but the
//! same recording would then replay differently next year. So a post far ahead of the others is set aside, and the
//! other posts decide: it is borne out if, among the posts that follow, more come from its time than from before it.
//! In a dense stream that means a handful of posts after a true gap; in a sparse one, where each post is ahead of the
//! last, progress lags by [`VOTES`] posts and catches up at the end of the input. A post that is outvoted is counted
//! as dated in the future.

use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// Posts that must agree before time jumps ahead. Fewer and a small burst of wrong dates moves the watermark, more
/// and a sparse stream lags longer.
const VOTES: usize = 5;

/// What to do with a post.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission<T> {
    /// Use it.
    OnTime(T),
    /// Its bin is closed.
    Late(T),
    /// It was outvoted: its date is wrong.
    Future(T),
}

/// A post set aside.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ahead<T> {
    event_time: EventTime,
    /// Posts before its time that have come since.
    votes_against: usize,
    item: T,
}

/// Tracks event time over a stream of posts in the order of their arrival.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Progress<T> {
    allowed_lateness_ms: i64,
    ahead_ms_max: i64,
    frontier: Option<EventTime>,
    /// The earliest post of the first ones borne out.
    start: Option<EventTime>,
    /// In the order of arrival; at most `2 × VOTES` long, since each arrival is a vote for or against each.
    ahead: Vec<Ahead<T>>,
}

impl<T> Progress<T> {
    pub(crate) fn new(allowed_lateness_ms: u32, ahead_ms_max: u32) -> Self {
        Self {
            allowed_lateness_ms: i64::from(allowed_lateness_ms),
            ahead_ms_max: i64::from(ahead_ms_max),
            frontier: None,
            start: None,
            ahead: Vec::new(),
        }
    }

    /// The latest event time borne out.
    pub(crate) fn frontier(&self) -> Option<EventTime> {
        self.frontier
    }

    /// No post before this time is expected at all; `None` before the first post is borne out.
    pub(crate) fn start(&self) -> Option<EventTime> {
        self.start.map(|start| start.plus_ms(-self.allowed_lateness_ms))
    }

    /// No post before this time is expected any more; `None` before the first post is borne out.
    pub(crate) fn watermark(&self) -> Option<EventTime> {
        self.frontier.map(|frontier| frontier.plus_ms(-self.allowed_lateness_ms))
    }

    /// How many posts are set aside at the moment.
    pub(crate) fn n_ahead(&self) -> usize {
        self.ahead.len()
    }

    /// The posts that are set aside.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &T> {
        self.ahead.iter().map(|ahead| &ahead.item)
    }

    /// Takes the next post; gives what became decided by it, which may be nothing or several posts. `closed_until` is
    /// the end of the last closed bin: what lies before it is late.
    pub(crate) fn admit(
        &mut self,
        event_time: EventTime,
        item: T,
        closed_until: Option<EventTime>,
        decided: &mut Vec<Admission<T>>,
    ) {
        if closed_until.is_some_and(|end| event_time < end) {
            // A straggler says nothing of how far the others have come, so it has no vote.
            decided.push(Admission::Late(item));
        } else if self.frontier.is_some_and(|frontier| event_time.ms_since(frontier) <= self.ahead_ms_max) {
            self.frontier = self.frontier.max(Some(event_time));
            decided.push(Admission::OnTime(item));
            let n_earlier = self.ahead.len();
            self.vote_against(n_earlier, decided);
            self.release(decided);
        } else {
            self.ahead.push(Ahead { event_time, votes_against: 0, item });
            if self.ahead.len() >= VOTES {
                self.jump(decided);
            }
        }
    }

    /// At the end of the input there are no more votes to come: what is set aside stands, unless posts spoke against
    /// it.
    pub(crate) fn finish(&mut self, decided: &mut Vec<Admission<T>>) {
        let (outvoted, standing): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.ahead).into_iter().partition(|ahead| ahead.votes_against > 0);
        decided.extend(outvoted.into_iter().map(|ahead| Admission::Future(ahead.item)));
        self.ahead = standing;
        while !self.ahead.is_empty() {
            self.jump(decided);
        }
    }

    /// The stream has been quiet, so no votes are to come for a while: what is set aside stands if nothing spoke against
    /// it and it is not dated after `now`.
    pub(crate) fn release_standing(&mut self, now: EventTime, decided: &mut Vec<Admission<T>>) {
        while let Some(earliest) =
            self.ahead.iter().filter(|ahead| ahead.votes_against == 0).map(|a| a.event_time).min()
            && earliest <= now
        {
            self.move_frontier(earliest);
            self.release(decided);
        }
    }

    /// A post that came after the first `n_earlier` set aside, from before their times: a vote against each.
    fn vote_against(&mut self, n_earlier: usize, decided: &mut Vec<Admission<T>>) {
        for ahead in &mut self.ahead[..n_earlier] {
            ahead.votes_against += 1;
        }
        let (outvoted, standing): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.ahead).into_iter().partition(|ahead| ahead.votes_against >= VOTES);
        self.ahead = standing;
        decided.extend(outvoted.into_iter().map(|ahead| Admission::Future(ahead.item)));
    }

    /// Moves the frontier to the earliest time set aside. The earliest, since a wrong date ahead of the true ones must
    /// not take their place.
    fn jump(&mut self, decided: &mut Vec<Admission<T>>) {
        if let Some(earliest) = self.ahead.iter().map(|ahead| ahead.event_time).min() {
            self.move_frontier(earliest);
        }
        self.release(decided);
    }

    fn move_frontier(&mut self, time: EventTime) {
        self.start.get_or_insert(time);
        self.frontier = self.frontier.max(Some(time));
    }

    /// Uses the posts set aside that the frontier has reached by now.
    fn release(&mut self, decided: &mut Vec<Admission<T>>) {
        while let Some(position) = self.position_within_reach() {
            let ahead = self.ahead.remove(position);
            self.frontier = self.frontier.max(Some(ahead.event_time));
            decided.push(Admission::OnTime(ahead.item));
            self.vote_against(position, decided);
        }
    }

    fn position_within_reach(&self) -> Option<usize> {
        let frontier = self.frontier?;
        self.ahead.iter().position(|ahead| ahead.event_time.ms_since(frontier) <= self.ahead_ms_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> EventTime {
        EventTime::from_ms(1_600_000_000_000 + seconds * 1000).expect("a time in range")
    }

    /// Feeds times in seconds; gives the fate of each, by its time, and where the frontier ends.
    #[track_caller]
    fn check(times: &[i64], on_time: &[i64], future: &[i64]) {
        let mut progress = Progress::new(30_000, 60_000);
        let mut decided = Vec::new();
        for &time in times {
            progress.admit(at(time), time, None, &mut decided);
        }
        progress.finish(&mut decided);
        let mut used: Vec<i64> = Vec::new();
        let mut wrong: Vec<i64> = Vec::new();
        for admission in decided {
            match admission {
                Admission::OnTime(time) => used.push(time),
                Admission::Future(time) => wrong.push(time),
                Admission::Late(time) => panic!("{time} cannot be late: no bin was closed"),
            }
        }
        used.sort_unstable();
        assert_eq!((used.as_slice(), wrong.as_slice()), (on_time, future), "for {times:?}");
    }

    #[test]
    fn one_wrong_date_does_not_move_time() {
        check(&[0, 1, 99_999, 2, 3, 4, 5, 6, 7], &[0, 1, 2, 3, 4, 5, 6, 7], &[99_999]);
    }

    #[test]
    fn a_wrong_first_date_does_not_lock_out_the_rest() {
        check(&[99_999, 0, 1, 2, 3, 4, 5, 6, 7], &[0, 1, 2, 3, 4, 5, 6, 7], &[99_999]);
    }

    #[test]
    fn a_true_gap_is_borne_out_by_what_follows() {
        let times = [0, 1, 5000, 5001, 5002, 5003, 5004, 5005];
        check(&times, &times, &[]);
    }

    #[test]
    fn a_sparse_stream_loses_nothing() {
        let times: Vec<i64> = (0..40).map(|n| n * 7200).collect();
        check(&times, &times, &[]);
    }

    #[test]
    fn wrong_dates_do_not_pile_up_in_a_sparse_stream() {
        let mut times = Vec::new();
        for n in 0..40 {
            times.push(n * 7200);
            if n % 4 == 0 {
                times.push(99_999_999 + n);
            }
        }
        let true_times: Vec<i64> = (0..40).map(|n| n * 7200).collect();
        let wrong: Vec<i64> = (0..10).map(|n| 99_999_999 + 4 * n).collect();
        check(&times, &true_times, &wrong);
    }

    #[test]
    fn a_wrong_date_at_the_end_is_outvoted_by_a_single_post() {
        check(&[0, 1, 2, 3, 4, 99_999, 5], &[0, 1, 2, 3, 4, 5], &[99_999]);
    }

    #[test]
    fn a_post_for_a_closed_bin_is_late() {
        let mut progress = Progress::new(30_000, 60_000);
        let mut decided = Vec::new();
        progress.admit(at(0), (), Some(at(1)), &mut decided);
        assert_eq!(decided, [Admission::Late(())]);
        progress.admit(at(1), (), Some(at(1)), &mut decided);
        assert_eq!(
            decided.len(),
            1,
            "the end of a bin is the start of the next: not late, but to be borne out"
        );
    }
}
