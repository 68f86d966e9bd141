//! Processes that are killed, at every edge of a commit and anywhere else, and one that wakes up late.

use crate::common::{fixture, read_text};
use crate::system::{System, broker, broker_to_fail, wait_until};

const SPOTIFY: &str = "spotify-2023-04-20";
const POSTS: &str = "fixtures/spotify-2023-04-20/posts.jsonl.zst";

/// Every place at which a commit can be cut, see `running/failpoint.rs`.
const EDGES: [&str; 8] = [
    "ingest.before_flush",
    "ingest.before_commit",
    "ingest.after_commit",
    "detect.before_begin",
    "detect.between_alerts_and_state",
    "detect.before_offsets",
    "detect.before_commit",
    "detect.after_commit",
];

fn golden() -> String {
    read_text(&fixture(SPOTIFY, "events.jsonl"))
}

#[test]
fn a_process_that_is_killed_at_any_edge_of_a_commit_loses_and_doubles_nothing() {
    let Some(broker) = broker_to_fail("kills at the edges of commits") else { return };
    let system = System::new(&broker, 3);
    // Between two edges there are new posts, so that each commit has something to lose. A slice follows the one before
    // within the allowed lateness: where all partitions are quiet for longer, event time goes on without the posts.
    for (nth, (slice, edge)) in system.slices(SPOTIFY, EDGES.len()).iter().zip(EDGES).enumerate() {
        system.publish(slice);
        let plan = format!("{edge}:{}", nth % 2 + 1);
        let mut process = system.start(&[], &[("GROUNDSWELL_FAILPOINT", &plan)]);
        assert_eq!(process.wait(), None, "{plan}: it must die there, not exit; it says:\n{}", process.log());
    }
    system.run_until_end(1);
    system.check_alerts(&golden());
}

#[test]
fn processes_that_are_killed_at_any_time_lose_and_double_nothing() {
    let Some(broker) = broker("kills at any time") else { return };
    let system = System::new(&broker, 3);
    let mut processes = [system.start(&[], &[]), system.start(&[], &[])];
    for (nth, slice) in system.slices(SPOTIFY, 6).iter().enumerate() {
        system.publish(slice);
        // Each lives until it has done some work of its own: been given partitions, or published.
        processes[nth % 2].wait_until_it_says("partitions assigned");
        processes[nth % 2].kill();
        processes[nth % 2] = system.start(&[], &[]);
    }
    processes.iter_mut().for_each(crate::system::Process::kill);
    system.run_until_end(2);
    system.check_alerts(&golden());
}

#[test]
fn a_process_that_was_suspended_and_wakes_up_late_doubles_nothing() {
    let Some(broker) = broker("a process that wakes up late") else { return };
    let system = System::new(&broker, 3);
    let slices = system.slices(SPOTIFY, 2);
    let mut sleeper = system.start(&[], &[]);
    sleeper.wait_until_it_says("state restored");
    system.publish(&slices[0]);
    sleeper.signal("STOP");
    // The group gives its partitions to the other once it has missed its heartbeats.
    let mut other = system.start(&[], &[]);
    other.wait_until_it_says("state restored");
    system.publish(&slices[1]);
    wait_until("the other has published", || other.log().contains("event published"));
    sleeper.signal("CONT");
    wait_until("the sleeper has noticed", || sleeper.has_ended() || sleeper.log().contains("revoked"));
    sleeper.kill();
    other.kill();
    system.run_until_end(1);
    system.check_alerts(&golden());
}

#[test]
fn a_process_that_is_asked_to_end_has_committed_everything() {
    let Some(broker) = broker("a clean end") else { return };
    let system = System::new(&broker, 3);
    let mut process = system.start(&[], &[]);
    process.wait_until_it_says("state restored");
    system.publish(POSTS);
    process.wait_until_it_says("event published");
    let asked = std::time::Instant::now();
    process.signal("TERM");
    process.wait_for_success();
    let took = asked.elapsed();
    assert!(took.as_secs() < 10, "it must end within ten seconds, not {took:?}");
    system.run_until_end(1);
    system.check_alerts(&golden());
}

#[test]
fn a_process_that_the_library_does_not_let_go_ends_all_the_same() {
    let Some(broker) = broker_to_fail("a library that does not let go") else { return };
    let system = System::new(&broker, 1);
    let mut process = system.start(&[], &[("GROUNDSWELL_PLANTED_BUG", "never-lets-go")]);
    process.wait_until_it_says("partitions assigned");
    process.signal("TERM");
    assert_eq!(process.wait(), Some(1), "it must end; it says:\n{}", process.log());
    process.wait_until_it_says("did not let go in time; ending without it");
}
