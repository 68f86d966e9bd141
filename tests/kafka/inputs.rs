//! Posts that come twice, that are garbage, that come in floods, and posts that are gone before they could be read.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::{fixture, fixture_posts, lines, read_text, replay};
use crate::system::{System, broker, first_at, wait_until};

const SPOTIFY: &str = "spotify-2023-04-20";
const GAP: &str = "groundswell.feed.gap.v1";

fn golden() -> String {
    read_text(&fixture(SPOTIFY, "events.jsonl"))
}

#[test]
fn posts_that_come_twice_count_once() {
    let Some(broker) = broker("posts that come twice") else { return };
    let posts = fixture_posts(SPOTIFY);
    let posts = lines(&posts);
    // Each again behind the next two posts: within the allowed lateness, so that it is no latecomer but a duplicate.
    let mut twice = Vec::new();
    for (nth, line) in posts.iter().enumerate() {
        twice.push(*line);
        twice.extend(nth.checked_sub(2).map(|before| posts[before]));
    }
    let system = System::new(&broker, 3);
    system.publish_lines(&twice);
    system.run_until_end(2);
    system.check_alerts(&golden());
    // And everything again, days later.
    system.publish_lines(&posts);
    system.run_until_end(1);
    system.check_alerts(&golden());
}

#[test]
fn posts_in_transactions_are_read_to_their_end_and_known_to_be_idle_there() {
    const N_PARTITIONS: i32 = 3;
    let Some(broker) = broker("posts that are written in transactions") else { return };
    let posts = fixture_posts(SPOTIFY);
    let posts = lines(&posts);
    // The last partition gets no post of the time in which the outage begins.
    let (before, begun) = (first_at(&posts, "2023-04-20T12:40"), first_at(&posts, "2023-04-20T13:00"));
    let system = System::new(&broker, 3);
    let topic = system.topic("posts");
    topic.write_in_transactions(&posts[..before], 20_000, N_PARTITIONS);
    let mut process = system.start(&[], &[]);
    process.wait_until_it_says("state restored");
    topic.write_in_transactions(&posts[before..begun], 1000, N_PARTITIONS - 1);
    // It ends with the mark of a transaction: unless it is known to be idle there, nobody hears of the outage.
    wait_until("an alert is told", || !system.alerts().is_empty());
    process.signal("TERM");
    process.wait_for_success();
    topic.write_in_transactions(&posts[begun..], 20_000, N_PARTITIONS);
    system.run_until_end(2);
    system.check_alerts(&golden());
    assert_eq!(system.run(&["replay", "--from", "kafka"]).exits(0).text(), golden());
}

/// What may come that is no post: the nth of it, and the reason under which it is to be found.
fn garbage(nth: usize) -> (Vec<u8>, &'static str) {
    let dated = |time: &str| {
        format!(r#"{{"id":"g{nth}","created_at":{time},"author":"g","text":"spotify is down"}}"#)
    };
    match nth % 6 {
        0 => (br#"{"id":"g","created_at":"2023-04-2"#.to_vec(), "not_json"),
        1 => (b"{\"id\":\"g\",\"text\":\"spotify is \xff\xfe\"}".to_vec(), "not_utf8"),
        2 => (br#"{"id":"g","created_at":"2023-04-20T12:00:00Z","author":"g"}"#.to_vec(), "missing_field"),
        3 => (dated("\"yesterday\"").into_bytes(), "bad_time"),
        4 => (dated("4070908800000").into_bytes(), "future"),
        _ => (dated("\"2020-01-01T00:00:00Z\"").into_bytes(), "late"),
    }
}

#[test]
fn a_tenth_of_garbage_changes_no_alert_and_every_piece_is_found_with_reason_and_origin() {
    const N_PARTITIONS: usize = 3;
    let Some(broker) = broker("a feed with a tenth of garbage") else { return };
    let posts = fixture_posts(SPOTIFY);
    let system = System::new(&broker, 3);
    // Published in turn, so the nth line is the (n/3)rd of partition n%3.
    let (mut mixed, mut expected) = (Vec::new(), BTreeMap::new());
    for (nth, nine) in lines(&posts).chunks(9).enumerate() {
        mixed.extend(nine.iter().map(|line| line.to_vec()));
        let (mut raw, reason) = garbage(nth);
        let origin =
            (format!("{}/{}", system.posts_topic(), mixed.len() % N_PARTITIONS), mixed.len() / N_PARTITIONS);
        expected.insert(origin, (reason.to_owned(), String::from_utf8_lossy(&raw).into_owned()));
        raw.push(b'\n');
        mixed.push(raw);
    }
    system.publish_lines(&mixed.iter().map(Vec::as_slice).collect::<Vec<_>>());
    system.run_until_end(1);
    system.check_alerts(&golden());

    let letters = system.topic("dead-letter").read();
    let mut found = BTreeMap::new();
    for letter in &letters {
        let letter: Value =
            serde_json::from_slice(letter.value.as_deref().unwrap_or_default()).expect("it is JSON");
        let text =
            |key: &str| letter[key].as_str().unwrap_or_else(|| panic!("{key} is there: {letter}")).to_owned();
        let offset = usize::try_from(letter["line"].as_u64().expect("a number")).expect("it is small");
        found.insert((text("input"), offset), (text("reason"), text("raw")));
    }
    assert_eq!(found.len(), letters.len(), "no piece is found twice");
    for (origin, told) in &expected {
        assert_eq!(found.get(origin), Some(told), "at {origin:?}");
    }
    assert_eq!(found.len(), expected.len(), "nothing else is a dead letter");
}

#[test]
fn a_flood_of_chatter_changes_no_alert() {
    let Some(broker) = broker("a flood of chatter") else { return };
    let posts = fixture_posts(SPOTIFY);
    // From half an hour before the outage to its end, ten posts about nothing we know beside each.
    let mut flooded = Vec::new();
    for (nth, line) in lines(&posts).into_iter().enumerate() {
        flooded.extend_from_slice(line);
        let post: Value = serde_json::from_slice(line).expect("a post of a fixture is JSON");
        let time = post["created_at"].as_str().expect("it has a time");
        if ("2023-04-20T12:12".."2023-04-20T16:20").contains(&time) {
            for copy in 0..10 {
                let text = format!("the new zorbtube app is down, gone, broken, number {nth} {copy}");
                let post = serde_json::json!({
                    "id": format!("flood-{nth}-{copy}"), "created_at": time, "author": format!("f{copy}"), "text": text
                });
                flooded.extend_from_slice(format!("{post}\n").as_bytes());
            }
        }
    }
    let system = System::new(&broker, 3);
    let file = system.folder.write("flooded.jsonl", &flooded);
    let expected = replay(&[&file]);
    assert!(expected.text().contains("outage.started"), "the outage is seen through the flood");
    system.publish(&file);
    system.run_until_end(2);
    system.check_alerts(expected.text());
}

/// The data of the gap events on the alerts topic.
fn gaps(system: &System) -> Vec<Value> {
    let alerts = system.topic("alerts").read();
    let gaps = alerts.into_iter().filter(|event| event.event_type.as_deref() == Some(GAP));
    gaps.map(|gap| serde_json::from_slice(&gap.value.unwrap_or_default()).expect("its data is JSON"))
        .collect()
}

/// The alerts without the gaps.
fn outages(system: &System) -> String {
    system
        .alerts()
        .lines()
        .filter(|line| !line.contains(GAP))
        .fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn posts_that_were_deleted_unread_are_told_as_a_gap_and_the_rest_is_processed() {
    let Some(broker) = broker("posts that are deleted before they are read") else { return };
    let posts = fixture_posts(SPOTIFY);
    let posts = lines(&posts);
    let slices: Vec<&[&[u8]]> = posts.chunks(posts.len().div_ceil(4)).collect();
    let system = System::new(&broker, 2);
    let topic = system.topic("posts");
    let watermarks = |partition| topic.watermarks(partition).expect("the broker answers");
    system.publish_lines(slices[0]);
    system.run_until_end(1);
    assert_eq!(gaps(&system), [] as [Value; 0]);
    // While nobody reads: the first hundred of the next posts in partition 1.
    let (_, read_until) = watermarks(1);
    system.publish_lines(slices[1]);
    topic.delete_before(1, read_until + 100);
    system.run_until_end(1);
    let gap = |partition: i32, from: i64, to: i64| serde_json::json!({ "topic": system.posts_topic(), "partition": partition, "from": from, "to": to });
    let mut expected = vec![gap(1, read_until, read_until + 100)];
    assert_eq!(gaps(&system), expected);
    // While a reader is suspended: everything that it has not fetched, in partition 0.
    let mut reader = system.start(&[], &[]);
    let position = system.position();
    reader.wait_until_it_says("state restored");
    system.wait_for_progress(position);
    reader.signal("STOP");
    let (_, read_until) = watermarks(0);
    system.publish_lines(slices[2]);
    topic.delete_before(0, read_until + 200);
    reader.signal("CONT");
    expected.push(gap(0, read_until, read_until + 200));
    wait_until("the second gap is told", || gaps(&system).len() == 2);
    assert_eq!(gaps(&system), expected);
    reader.signal("TERM");
    reader.wait_for_success();
    system.publish_lines(slices[3]);
    system.run_until_end(1);
    assert_eq!(gaps(&system), expected, "a gap is told once");
    assert!(outages(&system).contains("outage.started.v1"), "what is there is processed");
}

#[test]
fn complaints_that_were_deleted_unread_are_told_as_a_gap() {
    let Some(broker) = broker("complaints that are deleted before they are read") else { return };
    let system = System::new(&broker, 1);
    let topic = system.topic("complaints");
    let end = || topic.watermarks(0).expect("the broker answers").1;
    let ingest = || system.start(&["--role", "ingest", "--until-end"], &[]).wait_for_success();
    let posts = fixture_posts(SPOTIFY);
    let posts = lines(&posts);
    let slices: Vec<&[&[u8]]> = posts.chunks(posts.len().div_ceil(3)).collect();
    system.publish_lines(slices[0]);
    system.run_until_end(1);
    // While nobody reads.
    let first = end();
    system.publish_lines(slices[1]);
    ingest();
    topic.delete_before(0, first + 10);
    let position = system.position();
    let mut detect = system.start(&["--role", "detect"], &[]);
    system.wait_for_progress(position);
    wait_until("it has caught up", || system.position() >= Some(end()));
    // While a reader is suspended.
    detect.signal("STOP");
    let second = end();
    system.publish_lines(slices[2]);
    ingest();
    topic.delete_before(0, second + 20);
    detect.signal("CONT");
    wait_until("it has caught up", || system.position() >= Some(end()));
    detect.signal("TERM");
    detect.wait_for_success();
    let name = format!("{}.complaints", system.prefix);
    let gap =
        |from: i64, to: i64| serde_json::json!({ "topic": name, "partition": 0, "from": from, "to": to });
    assert_eq!(gaps(&system), [gap(first, first + 10), gap(second, second + 20)]);
    assert!(outages(&system).contains("outage.started.v1"), "what is there is processed");
}
