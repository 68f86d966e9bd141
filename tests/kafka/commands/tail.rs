//! `tail`: what `replay` prints, from the topic.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rdkafka::message::{Header, OwnedHeaders};

use super::{Client, Running};
use crate::common::{Run, fixture, read_text, replay};
use crate::system::{System, broker, wait_until};

const SPOTIFY: &str = "fixtures/spotify-2023-04-20/posts.jsonl.zst";

/// An installation that has found the outages of a fixture, its alerts on so many partitions.
fn system_with_alerts(broker: &str, name: &str, n_alerts_partitions: usize) -> System {
    let system = System::new(broker, 1);
    if n_alerts_partitions > 1 {
        Client::new(broker).grow(&format!("{}.alerts", system.prefix), n_alerts_partitions);
    }
    system.publish(&format!("fixtures/{name}/posts.jsonl.zst"));
    system.run_until_end(1);
    system
}

/// Writes an event of our form to the alerts topic.
fn write_event(broker: &str, system: &System, id: &str, data: &[u8]) {
    let attributes = [
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_source", "groundswell"),
        ("ce_type", "groundswell.outage.started.v1"),
        ("ce_subject", "spotify"),
        ("ce_time", "2023-04-21T00:00:00Z"),
    ];
    let headers = attributes
        .iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
    Client::new(broker).write(&format!("{}.alerts", system.prefix), 0, data, headers);
}

#[test]
fn text_and_json_are_those_of_replay() {
    let Some(broker) = broker("tail as text and as JSON") else { return };
    let system = system_with_alerts(&broker, "spotify-2023-04-20", 1);
    for (tail_args, replay_args) in [(&["--json"][..], &["--format", "json"]), (&[], &["--format", "text"])] {
        let tail = system.run(&[&["tail", "--until-end"], tail_args].concat()).exits(0);
        let replayed = replay(&[&[SPOTIFY][..], replay_args].concat());
        assert_eq!(tail.text(), replayed.text());
        assert!(!tail.text().is_empty() && tail.stderr.is_empty(), "{}", tail.stderr);
    }
}

#[test]
fn a_service_and_a_time_select_events() {
    let Some(broker) = broker("tail of one service") else { return };
    let system = system_with_alerts(&broker, "cloud-cascade", 1);
    let all = read_text(&fixture("cloud-cascade", "events.jsonl"));
    let of = |line: &str, key: &str| -> String {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        event[key].as_str().expect("a text").to_owned()
    };
    let first = of(all.lines().next().expect("there are events"), "subject");
    let other = all.lines().map(|line| of(line, "subject")).find(|subject| *subject != first);
    let other = other.expect("several services fail");
    let middle = of(all.lines().nth(all.lines().count() / 2).expect("there are events"), "time");
    let tail = |args: &[&str]| {
        let run = system.run(&[&["tail", "--json", "--until-end"], args].concat()).exits(0);
        run.text().to_owned()
    };
    let select = |is_wanted: &dyn Fn(&str) -> bool| -> String {
        all.lines().filter(|line| is_wanted(line)).map(|line| line.to_owned() + "\n").collect()
    };
    assert_eq!(tail(&[]), all);
    assert_eq!(tail(&["--service", &first]), select(&|line| of(line, "subject") == first));
    assert_eq!(
        tail(&["--service", &first, "--service", &other]),
        select(&|line| [&first, &other].contains(&&of(line, "subject")))
    );
    let since = select(&|line| of(line, "time") >= middle);
    assert!(!since.is_empty() && since.len() < all.len(), "the time must part the events");
    assert_eq!(tail(&["--since", &middle]), since);
    assert_eq!(
        tail(&["--since", &middle, "--service", &first]),
        select(&|line| of(line, "time") >= middle && of(line, "subject") == first)
    );
    assert_eq!(tail(&["--service", "no-such-service"]), "");
    assert_eq!(tail(&["--since", "2999-01-01T00:00:00Z"]), "");
}

#[test]
fn several_partitions_are_merged_in_the_order_of_event_time() {
    let Some(broker) = broker("alerts on several partitions") else { return };
    let system = system_with_alerts(&broker, "cloud-cascade", 3);
    let client = Client::new(&broker);
    let topic = format!("{}.alerts", system.prefix);
    assert_eq!(client.n_partitions(&topic), Some(3), "the alerts must lie on several partitions");
    system.check_alerts(&read_text(&fixture("cloud-cascade", "events.jsonl")));
}

#[test]
fn a_new_event_shows_while_it_waits_and_either_signal_ends_it() {
    let Some(broker) = broker("tail that follows") else { return };
    let system = System::new(&broker, 1);
    write_event(&broker, &system, "before", b"{}");
    for (signal, args, expected) in [
        ("INT", &["tail", "--json"][..], ["new-INT"].as_slice()),
        ("TERM", &["tail", "--json", "--from-beginning"], &["before", "new-INT", "new-TERM"]),
    ] {
        let following = Running::start(&system, signal, args);
        following.wait_until_stderr_says(&format!("following topic {}.alerts", system.prefix));
        let id = format!("new-{signal}");
        write_event(&broker, &system, &id, b"{}");
        wait_until("the new event shows", || following.stdout().contains(&id));
        let run = following.end_by(signal).exits(0);
        let ids = run.text().lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            event["id"].as_str().expect("a text").to_owned()
        });
        assert_eq!(ids.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let Some(broker) = broker("tail into a pipe that closes") else { return };
    let system = System::new(&broker, 1);
    write_event(&broker, &system, "first", b"{}");
    for args in [&["tail", "--json", "--from-beginning"][..], &["tail", "--json", "--until-end"]] {
        let mut command = system.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut first = String::new();
        let mut pipe = BufReader::new(child.stdout.take().expect("stdout is piped"));
        pipe.read_line(&mut first).expect("it can be read");
        drop(pipe);
        assert!(first.contains("\"first\""), "{first}");
        // Whether it follows or reads up to the end: what it writes next goes nowhere.
        write_event(&broker, &system, "next", b"{}");
        let run = Run::of(child.wait_with_output().expect("it ends")).exits(0);
        assert!(!run.stderr.contains("pipe"), "{}", run.stderr);
    }
}

#[test]
fn what_is_no_event_is_left_out_and_told() {
    let Some(broker) = broker("foreign messages among the alerts") else { return };
    let system = System::new(&broker, 1);
    let topic = format!("{}.alerts", system.prefix);
    write_event(&broker, &system, "first", b"{}");
    Client::new(&broker).write(&topic, 0, b"hello", OwnedHeaders::new());
    write_event(&broker, &system, "not-json", b"{");
    write_event(&broker, &system, "second", b"{}");
    let run = system.run(&["tail", "--json", "--until-end"]).exits(0);
    let ids: Vec<bool> = run.text().lines().map(|line| line.contains("first")).collect();
    assert_eq!(ids, [true, false], "both events must be printed, and nothing else: {}", run.text());
    run.says(&[
        &format!("message 1 of {topic}/0 is no event of ours; left out"),
        &format!("message 2 of {topic}/0 is no event of ours; left out"),
    ]);
}

#[test]
fn a_topic_without_events_has_an_end_too() {
    let Some(broker) = broker("tail of nothing") else { return };
    let system = System::new(&broker, 1);
    let run = system.run(&["tail", "--until-end"]).exits(0);
    assert_eq!((run.text(), run.stderr.as_str()), ("", ""));
}
