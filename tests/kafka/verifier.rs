//! The verifier: recomputes the alerts from the posts topic itself and holds the alerts topic against them. And the proof
//! that it sees something: mistakes that are planted in the program, each with a crash at the place where it does damage.
//!
//! One mistake is not here: complaints that are told twice and not recognised by their positions. Nothing comes of it,
//! since an author counts once an hour, and what comes twice has the same author; positions are the second safeguard.

use crate::common::{fixture_posts, lines};
use crate::system::{System, broker_to_fail, first_at};

const SPOTIFY: &str = "spotify-2023-04-20";
/// Within the outage a minute of posts passes in so short a time, milliseconds, that detect commits several times.
const SPEED: u32 = 1_000;

/// Whether the alerts on the topic are those of a plain replay of the posts on the topic; if not, how they part.
fn verify(system: &System) -> Result<(), String> {
    let expected = system.run(&["replay", "--from", "kafka"]).exits(0);
    let (expected, found) = (expected.text(), system.alerts());
    if found == expected {
        return Ok(());
    }
    let ids = |text: &str| -> Vec<String> {
        let id = |line: &str| line.split('"').nth(7).unwrap_or(line).to_owned();
        text.lines().map(id).collect()
    };
    let n_alike = expected.lines().zip(found.lines()).take_while(|(one, other)| one == other).count();
    let (expected, found) = (ids(expected), ids(&found));
    Err(format!("the replay tells {expected:?}, the topic {found:?}, of which the first {n_alike} are alike"))
}

/// The verifier must find damage that was done.
#[track_caller]
fn check_found(system: &System, damage: &str) {
    let found = verify(system).expect_err(damage);
    eprintln!("{damage}, and it is found: {found}");
}

/// Runs with `bug` until the program dies at `place`.
#[track_caller]
fn die(system: &System, args: &[&str], bug: &str, place: &str) {
    let variables = [("GROUNDSWELL_PLANTED_BUG", bug), ("GROUNDSWELL_FAILPOINT", place)];
    let mut process = system.start(args, &variables);
    assert_eq!(process.wait(), None, "it must die at {place}; it says:\n{}", process.log());
}

/// An installation whose complaints are all told and not yet taken, in the order in which they come in life: posts of the
/// outage of `fixture`, which lasts over `from` and `to`, interleave with marks.
fn with_backlog(broker: &str, fixture: &str, [from, to]: [&str; 2]) -> System {
    let system = System::new(broker, 3);
    let posts = fixture_posts(fixture);
    let posts = lines(&posts);
    let (begin, end) = (first_at(&posts, from), first_at(&posts, to));
    let mut ingest = system.start(&["--role", "ingest"], &[]);
    system.publish_lines(&posts[..begin]);
    let outage = system.folder.write("outage.jsonl", posts[begin..end].concat());
    system.start_publishing(&outage, SPEED).wait_for_success();
    system.publish_lines(&posts[end..]);
    ingest.signal("TERM");
    ingest.wait_for_success();
    system.start(&["--role", "ingest", "--until-end"], &[]).wait_for_success();
    system
}

#[test]
fn what_is_right_is_accepted_and_alerts_that_are_told_after_their_state_are_found_missing() {
    let Some(broker) = broker_to_fail("a verifier that sees alerts lost") else { return };
    let system = with_backlog(&broker, SPOTIFY, ["2023-04-20T12:30", "2023-04-20T14:30"]);
    die(&system, &["--role", "detect"], "state-before-alerts", "detect.between_transactions:1");
    system.run_until_end(1);
    check_found(&system, "the first alert was lost");
    // The same posts, taken by a program without mistakes.
    let sound = System::new(&broker, 3);
    sound.publish(&format!("fixtures/{SPOTIFY}/posts.jsonl.zst"));
    sound.run_until_end(1);
    assert_eq!(verify(&sound), Ok(()));
}

#[test]
fn a_place_that_is_off_by_one_is_found() {
    let Some(broker) = broker_to_fail("a verifier that sees a record left out") else { return };
    // Eleven services fail at once there, and most records are complaints about one of them: what is left out tells.
    let system = with_backlog(&broker, "cloud-cascade", ["2023-06-13T19:00", "2023-06-13T20:00"]);
    // A commit has up to twenty alerts: enough of them that some records left out are not marks, nor of people who counted.
    while system.alerts().lines().count() < 50 {
        // It dies with an alert, or after a second on a busy machine, and goes on behind the record that follows.
        die(&system, &["--role", "detect"], "off-by-one", "detect.after_commit:1");
    }
    system.run_until_end(1);
    check_found(&system, "several complaints of the outages were left out");
}

#[test]
fn positions_that_are_committed_before_their_records_are_found() {
    let Some(broker) = broker_to_fail("a verifier that sees complaints lost") else { return };
    let system = System::new(&broker, 3);
    system.publish(&format!("fixtures/{SPOTIFY}/posts.jsonl.zst"));
    // What was told is still in the buffer when the position is committed, and dies with the process.
    die(&system, &[], "positions-before-records", "ingest.after_commit:3");
    system.run_until_end(1);
    check_found(&system, "complaints were lost");
}
