//! A feed that dies while a service fails: the outage is held until the feed is back, and nothing is made of the silence.

mod common;

use common::{FEED_START, Feed, Folder, checked_events, fits_schema, replay, services_of, time};
use serde_json::Value;

const COMPLAINT: &str = "spotify is down for me again, what is going on";

/// Two days of chatter, thirty posts a minute, and of complaints now and then; an outage from 20:00 of the second day;
/// no post at all in the minutes `silence`; and an ordinary night.
fn posts(silence: std::ops::Range<i64>, outage: std::ops::Range<i64>) -> String {
    let mut feed = Feed::of_chatter(0);
    for hours in [0..silence.start, silence.end..60 * 60] {
        feed.post_every(2, hours.start, hours.end, "what a lovely morning", "");
        feed.post_every(600, hours.start, hours.end, COMPLAINT, "");
        let (from, to) = (outage.start.max(hours.start), outage.end.min(hours.end));
        if from < to {
            feed.post_every(10, from, to, COMPLAINT, "");
        }
    }
    feed.to_jsonl()
}

fn minute_of(event: &Value) -> i64 {
    let at = time(event["time"].as_str().expect("an event has a time"));
    at.duration_since(time(FEED_START)).as_secs() / 60
}

/// The events of the feed and the others, as lines.
fn split(stdout: &str) -> (Vec<Value>, String) {
    let is_of_feed = |line: &&str| line.contains("groundswell.feed.");
    let feed: Vec<Value> =
        stdout.lines().filter(is_of_feed).map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let others =
        stdout.lines().filter(|line| !is_of_feed(line)).fold(String::new(), |all, line| all + line + "\n");
    (feed, others)
}

#[test]
fn an_outage_is_held_while_the_feed_is_silent() {
    let (fails, dies, lives, recovers) = (44 * 60, 44 * 60 + 40, 48 * 60, 48 * 60 + 40);
    let folder = Folder::new();
    let file = folder.write("posts.jsonl", posts(dies..lives, fails..recovers));
    let run = replay(&[&file]).says(&["the feed was silent from"]);
    let (feed, others) = split(run.text());
    let types: Vec<&str> = feed.iter().map(|event| event["type"].as_str().expect("it has a type")).collect();
    assert_eq!(types, ["groundswell.feed.silent.v1", "groundswell.feed.recovered.v1"]);
    assert!(feed.iter().all(fits_schema), "they must fit their schema: {feed:#?}");
    let told: Vec<i64> = feed.iter().map(minute_of).collect();
    assert!((dies + 3..=dies + 5).contains(&told[0]), "told after three empty minutes: {told:?}");
    assert!((lives + 1..=lives + 4).contains(&told[1]), "and when it is back: {told:?}");
    let events = checked_events(&others);
    assert_eq!(services_of(&events, "started"), ["spotify"], "one outage, not two");
    assert_eq!(services_of(&events, "ended"), ["spotify"], "which ends");
    let ended = events.iter().find(|event| event.kind == "ended").expect("it ends");
    let ended = minute_of(&ended.json);
    assert!(ended > recovers, "only after the service is back, not at minute {ended} in the silence");
}

#[test]
fn without_a_silence_nothing_is_said_of_the_feed() {
    let folder = Folder::new();
    let file = folder.write("posts.jsonl", posts(60 * 60..60 * 60, 44 * 60..45 * 60));
    let (feed, others) = split(replay(&[&file]).text());
    assert_eq!(feed, [] as [Value; 0]);
    assert_eq!(services_of(&checked_events(&others), "started"), ["spotify"]);
}
