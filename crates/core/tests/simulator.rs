//! Whatever happens between a post and its event, are the events those of a plain replay?
//!
//! The core is a function of its inputs; a system of several processes around it is not. Partitions are read at
//! different paces, posts come out of order, processes die, stand still, or go on after they have been replaced, state is
//! lost and restored, and everything is told more than once. Tests of single parts, and tests with a real broker, meet
//! few of these interleavings, and none of them again. Here the whole system runs in one process on a made-up clock, a
//! seed decides every step, and what failed once fails again.
//!
//! * `world` makes judged posts, and what a plain replay makes of them.
//! * `schedule` puts the posts into partitions and says how rough a run is.
//! * `ingest` and `detect` are the two roles as their adapters must be.
//! * `cluster` interleaves them, strikes, and judges what was published.
//!
//! Always: the events are those of a plain replay in the same order, each published once (again, and alike, only after
//! an old state was restored); no complaint comes after its minute was closed; as many complaints end in each outcome;
//! nothing is left of minutes that are closed.
//!
//! What it cannot show: whether a real broker keeps the promises that are taken for granted here (a log in order, atomic
//! commits, fencing), and whether the real adapters keep to the rules of the ones here.
//!
//! `GROUNDSWELL_SCHEDULES=n` runs more schedules, `GROUNDSWELL_SEED=n` one of them again.

mod simulator {
    pub(crate) mod cluster;
    pub(crate) mod detect;
    pub(crate) mod dice;
    pub(crate) mod ingest;
    pub(crate) mod schedule;
    pub(crate) mod world;

    /// Mistakes that an adapter could make, planted to see that they show.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Bug {
        /// Detect commits where to read on, and what it learned only after that.
        OffsetBeforeState,
        /// Detect reads again what its state has seen, and offsets do not give it away.
        StateWithoutOffset,
        /// Detect reads again what its state has seen.
        StateBeforeOffset,
        /// Detect reads on one record too late.
        OffsetOffByOne,
        /// Detect takes every record for new.
        NoDeduplication,
        /// Ingest commits that it has read posts before what it told of them is durable.
        CommitBeforeDurable,
        /// Ingest reads on with an intake that has seen nothing.
        IntakeForgotten,
        /// Ingest says that it last read a day before, until it reads. (1970 is as wrong, and takes longer to catch up.)
        ReadingForgotten,
        /// Ingest writes a mark before the complaints that it covers.
        MarkFirst,
        /// Ingest says that a source is idle though some of its posts are set aside.
        IdleTooEarly,
        /// Tasks commit though they have been replaced.
        ZombiesCommit,
    }
}

use simulator::Bug;
use simulator::cluster::{Failure, Happened, Simulator, Wrong};

/// Enough for every kind of fault to meet every other many times, and done in less than half a minute.
const N_SCHEDULES: u64 = 2_000;
/// Schedules within which a planted mistake must show. The rarest shows in one of eight.
const N_PLANTED: u64 = 60;

#[test]
fn whatever_happens_in_between_the_events_are_those_of_a_plain_replay() {
    let simulator = Simulator::new();
    let seeds = match number("GROUNDSWELL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GROUNDSWELL_SCHEDULES").unwrap_or(N_SCHEDULES),
    };
    let n_schedules = seeds.end - seeds.start;
    let mut happened = Happened::default();
    for seed in seeds {
        match simulator.run(seed, None) {
            Ok(more) => happened = happened.plus(more),
            Err(failure) => panic!("{}", failure.text),
        }
    }
    if n_schedules >= N_PLANTED {
        let Happened { n_redelivered, n_crashes, n_zombies, n_rebalances, n_restored, n_gone_back, .. } =
            happened;
        for n in [n_redelivered, n_crashes, n_zombies, n_rebalances, n_restored, n_gone_back] {
            assert!(n > 0, "everything that is to be simulated happens: {happened:?}");
        }
    }
}

#[test]
fn an_empty_partition_does_not_hold_the_others_up() {
    let ended = Simulator::new().run_calm();
    let lag_ms = ended.unwrap_or_else(|failure| panic!("{}", failure.text)).lag_ms_max;
    // Half a minute is the lateness; and after a silence a partition holds the others up until there are five posts in
    // it. If only the pace of the clock closed minutes, it would be more than 200 s.
    assert!(lag_ms < 180_000, "a minute stayed open for {lag_ms} ms");
}

/// Runs schedules with a mistake planted; gives those that it shows in.
fn run_with(bug: Bug) -> Vec<Failure> {
    let simulator = Simulator::new();
    (0..N_PLANTED).filter_map(|seed| simulator.run(seed, Some(bug)).err()).collect()
}

/// A mistake must show within so many schedules.
#[track_caller]
fn check_shows(bug: Bug, within: u64) {
    let simulator = Simulator::new();
    let shows = (0..within).any(|seed| simulator.run(seed, Some(bug)).is_err());
    assert!(shows, "{bug:?} shows in none of {within} schedules");
}

/// A mistake that is none.
#[track_caller]
fn check_is_harmless(bug: Bug) {
    if let Some(failure) = run_with(bug).first() {
        panic!("{}", failure.text);
    }
}

/// A mistake that no event shows, only the numbers beside them.
#[track_caller]
fn check_shows_in_numbers_only(bug: Bug) {
    let failures = run_with(bug);
    assert!(!failures.is_empty(), "{bug:?} shows in none of {N_PLANTED} schedules");
    let is_in_numbers = |failure: &&Failure| matches!(failure.wrong, Wrong::Late | Wrong::Outcomes);
    if let Some(failure) = failures.iter().find(|failure| !is_in_numbers(failure)) {
        panic!("{}", failure.text);
    }
}

#[test]
fn an_offset_that_is_committed_before_the_state_shows() {
    check_shows(Bug::OffsetBeforeState, N_PLANTED);
}

#[test]
fn reading_on_one_record_too_late_shows() {
    check_shows(Bug::OffsetOffByOne, N_PLANTED);
}

#[test]
fn reading_again_what_the_state_has_seen_is_harmless() {
    // What was told is known by the offsets of its posts, so that everything read again is dropped.
    check_is_harmless(Bug::StateBeforeOffset);
}

#[test]
fn reading_again_without_offsets_shows_in_numbers_only() {
    // As below: what is read again is late, or by an author who was counted.
    check_shows_in_numbers_only(Bug::StateWithoutOffset);
}

#[test]
fn without_deduplication_only_numbers_are_wrong() {
    // By design nothing else is: a complaint that comes again finds its minute closed, or its author counted for the
    // hour, and a mark that comes again says less than is known.
    check_shows_in_numbers_only(Bug::NoDeduplication);
}

#[test]
fn a_commit_before_what_was_told_is_durable_shows() {
    check_shows(Bug::CommitBeforeDurable, N_PLANTED);
}

#[test]
fn an_intake_that_is_not_restored_shows() {
    check_shows(Bug::IntakeForgotten, N_PLANTED);
}

#[test]
fn a_task_that_says_it_last_read_long_ago_shows() {
    check_shows(Bug::ReadingForgotten, N_PLANTED);
}

#[test]
fn a_mark_before_the_complaints_that_it_covers_shows() {
    check_shows(Bug::MarkFirst, N_PLANTED);
}

#[test]
fn a_source_that_is_idle_with_posts_set_aside_shows() {
    check_shows(Bug::IdleTooEarly, N_PLANTED);
}

#[test]
fn commits_of_tasks_that_were_replaced_are_harmless() {
    // Brokers refuse them, but need not: they are true, whoever reads on from there tells the same.
    check_is_harmless(Bug::ZombiesCommit);
}

#[expect(clippy::disallowed_methods, reason = "how much is tested is said by whoever runs the tests")]
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}
