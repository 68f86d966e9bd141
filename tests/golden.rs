//! The data sets of the repository, replayed: the events are the committed ones, byte for byte, and they say what each
//! data set is there to show.
//!
//! `GROUNDSWELL_UPDATE_GOLDEN=1 cargo test -p groundswell --test golden` writes the committed events anew; read the
//! difference before you commit it.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{Event, FIXTURES, Folder, checked_events, fixture, fixture_posts, read, read_text, replay, run};
use common::{fits_schema, services_of, truth};
use serde_json::{Map, Value};

const UPDATE_VARIABLE: &str = "GROUNDSWELL_UPDATE_GOLDEN";

fn replay_fixture(name: &str) -> Vec<u8> {
    replay(&[&format!("fixtures/{name}/posts.jsonl.zst")]).stdout
}

/// The events of a fixture, all invariants checked.
fn events_of(name: &str) -> Vec<Event> {
    checked_events(std::str::from_utf8(&replay_fixture(name)).expect("events are UTF-8"))
}

#[track_caller]
fn check_golden(name: &str) {
    let found = replay_fixture(name);
    assert!(found == replay_fixture(name), "{name}: a second replay must give the same bytes");
    let golden = fixture(name, "events.jsonl");
    if std::env::var_os(UPDATE_VARIABLE).is_some_and(|value| value == "1") {
        fs::write(&golden, &found).expect("the golden events can be written");
    }
    let expected = read_text(&golden);
    let found = String::from_utf8(found).expect("events are UTF-8");
    checked_events(&found);
    assert!(found == expected, "{}", difference(name, &expected, &found));
}

/// Where two streams of events part, and what to do about it.
fn difference(name: &str, expected: &str, found: &str) -> String {
    let line = expected.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
    let at = |text: &str| text.lines().nth(line).unwrap_or("(no more events)").to_owned();
    format!(
        "{name}: the events are not the committed ones from line {} on ({} committed, {} now)\n- {}\n+ {}\n\
         if that is meant: {UPDATE_VARIABLE}=1 cargo test -p groundswell --test golden, then read the difference",
        line + 1,
        expected.lines().count(),
        found.lines().count(),
        at(expected),
        at(found)
    )
}

#[test]
fn spotify_replays_to_its_committed_events_twice() {
    check_golden("spotify-2023-04-20");
}

#[test]
fn viral_not_down_replays_to_its_committed_events_twice() {
    check_golden("viral-not-down");
}

#[test]
fn cloud_cascade_replays_to_its_committed_events_twice() {
    check_golden("cloud-cascade");
}

#[test]
fn noisy_real_replays_to_its_committed_events_twice() {
    check_golden("noisy-real");
}

#[test]
fn a_difference_says_where_it_is_and_how_to_accept_it() {
    let text = difference("x", "a\nb\n", "a\nc\nd\n");
    for part in ["from line 2 on (2 committed, 3 now)", "- b", "+ c", "GROUNDSWELL_UPDATE_GOLDEN=1"] {
        assert!(text.contains(part), "{text:?} must say {part:?}");
    }
    assert!(difference("x", "a\n", "a\nb\n").contains("- (no more events)"), "a shorter stream has an end");
}

#[test]
fn the_schema_refuses_what_an_event_must_not_be() {
    let events = events_of("noisy-real");
    let of_kind =
        |kind: &str| events.iter().find(|event| event.kind == kind).expect("it is there").json.clone();
    let (started, ended) = (of_kind("started"), of_kind("ended"));
    let check_refused = |event: &Value, pointer: &str, change: fn(&mut Map<String, Value>)| {
        let mut changed = event.clone();
        change(changed.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object is there"));
        assert!(!fits_schema(&changed), "the schema must refuse {changed}");
    };
    for pointer in ["", "/data", "/data/peak"] {
        check_refused(&started, pointer, |object| drop(object.insert("surprise".into(), Value::from(1))));
    }
    for field in ["ended_at", "duration_s", "end_reason"] {
        let mut with_end = started.clone();
        with_end["data"][field] = ended["data"][field].clone();
        assert!(!fits_schema(&with_end), "an outage that goes on must have no {field}");
        let mut without = ended.clone();
        without["data"].as_object_mut().expect("data is an object").remove(field);
        assert!(!fits_schema(&without), "one that ended must have {field}");
    }
    check_refused(&started, "/data", |data| drop(data.insert("status".into(), "ended".into())));
    check_refused(&started, "/data", |data| drop(data.insert("expected".into(), Value::from(0.0))));
    check_refused(&started, "/data/symptoms", |all| drop(all.insert("sadness".into(), Value::from(1))));
    check_refused(&ended, "/data", |data| {
        drop(data.insert("ended_at".into(), "2023-10-04T17:37:30Z".into()));
    });
}

#[test]
fn spotify_starts_and_ends_once_on_the_day_and_nothing_else_starts() {
    let events = events_of("spotify-2023-04-20");
    let truth = truth("spotify-2023-04-20");
    let [true_outage] = truth.as_slice() else { panic!("the truth has one row, not {truth:?}") };
    assert_eq!(services_of(&events, "started"), [true_outage.service.as_str()], "one outage started");
    assert_eq!(services_of(&events, "ended"), [true_outage.service.as_str()], "and it ended");
    let started = events.iter().find(|event| event.kind == "started").expect("it started");
    let ended = events.iter().find(|event| event.kind == "ended").expect("it ended");
    let window = true_outage.start..true_outage.end;
    assert!(window.contains(&started.detected_at), "it must be detected while it lasts, not {started:?}");
    let ended_at = ended.ended_at.expect("an end has a time");
    assert!(ended_at >= true_outage.end, "it must not be called over before it is, not at {ended_at}");
    let day = |time: jiff::Timestamp| time.to_string()[..10].to_owned();
    assert_eq!(day(started.started_at), "2023-04-20", "it began that day");
    assert_eq!(day(ended.time), "2023-04-20", "and was called over that day");
    for symptom in ["access", "playback"] {
        assert!(ended.symptom(symptom) > 0, "{symptom} must be among the symptoms: {}", ended.json);
    }
}

#[test]
fn nothing_starts_when_a_service_is_merely_talked_about() {
    assert!(truth("viral-not-down").is_empty(), "nothing fails there");
    let started = events_of("viral-not-down");
    assert_eq!(services_of(&started, "started"), [] as [&str; 0], "so nothing may be called an outage");
}

#[test]
fn every_service_of_the_cascade_starts_once_after_it_fails_and_no_other_does() {
    let events = events_of("cloud-cascade");
    let truth = truth("cloud-cascade");
    assert_eq!(truth.len(), 11, "a provider and ten that depend on it");
    let started = services_of(&events, "started");
    let expected: BTreeSet<&str> = truth.iter().map(|row| row.service.as_str()).collect();
    assert_eq!(started.iter().copied().collect::<BTreeSet<_>>(), expected, "just these must start");
    assert_eq!(started.len(), expected.len(), "none may be split in two");
    for row in &truth {
        let of_row = |event: &&Event| event.kind == "started" && event.service == row.service;
        let started = events.iter().find(of_row).expect("each has started");
        assert!(
            (row.start..row.end).contains(&started.detected_at),
            "{} must be detected after it failed and while it lasts, not at {}",
            row.service,
            started.detected_at
        );
    }
}

#[test]
fn the_one_outage_is_found_in_a_feed_full_of_faults_and_ends() {
    let events = events_of("noisy-real");
    let truth = truth("noisy-real");
    let [true_outage] = truth.as_slice() else { panic!("the truth has one row, not {truth:?}") };
    assert_eq!(services_of(&events, "started"), [true_outage.service.as_str()], "one outage started");
    assert_eq!(services_of(&events, "ended"), [true_outage.service.as_str()], "and it ended");
    let started = events.iter().find(|event| event.kind == "started").expect("it started");
    assert!((true_outage.start..true_outage.end).contains(&started.detected_at), "{started:?}");
}

/// The seed in the command that the fixture's README gives.
fn seed_of(name: &str) -> String {
    let readme = read_text(&fixture(name, "README.md"));
    let (_, rest) = readme.split_once("--seed ").expect("the README says how the fixture is made");
    rest.split_whitespace().next().expect("a seed follows").to_owned()
}

#[test]
fn every_fixture_is_made_anew_by_the_command_in_its_readme() {
    for name in FIXTURES {
        let folder = Folder::new();
        let (posts, truth) = (folder.path("posts.jsonl"), folder.path("truth.csv"));
        let scenario = format!("fixtures/{name}/scenario.toml");
        let seed = seed_of(name);
        // Unpacked: packing as tightly as the committed files are takes half a minute.
        run(&["simulate", "--scenario", &scenario, "--seed", &seed, "--posts", &posts, "--truth", &truth])
            .exits(0);
        let made = read(posts.as_ref());
        assert!(made == fixture_posts(name), "{name}: seed {seed} must make the committed posts");
        let made = read_text(truth.as_ref());
        assert_eq!(made, read_text(&fixture(name, "truth.csv")), "{name}: and the committed truth");
    }
}
