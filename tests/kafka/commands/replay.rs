//! `replay --to kafka` and `--from kafka`.

use std::time::{Duration, Instant};

use super::{Client, NOBODY, Running, the_error};
use crate::common::{fixture, read_text, run};
use crate::system::{System, broker, wait_until};

fn post(id: &str, at: &str, text: &str) -> String {
    format!(r#"{{"id":"{id}","created_at":"2024-03-04T{at}Z","author":"{id}","text":"{text}"}}"#)
}

#[test]
fn a_topic_replays_to_the_golden_events_and_nothing_is_committed() {
    let Some(broker) = broker("replay of a topic") else { return };
    let golden = read_text(&fixture("spotify-2023-04-20", "events.jsonl"));
    for n_partitions in [1, 3] {
        let system = System::new(&broker, n_partitions);
        system.publish("fixtures/spotify-2023-04-20/posts.jsonl.zst");
        for _ in 0..2 {
            let run = system.run(&["replay", "--from", "kafka"]).exits(0);
            assert_eq!(run.text(), golden, "{n_partitions} partitions");
            assert_eq!(run.summary().n_lines, 168_161);
            run.summary().check_totals();
        }
        let groups = Client::new(&broker).groups();
        let ours = groups.iter().find(|group| group.starts_with(&system.prefix) || group.contains("reader"));
        assert_eq!(ours, None, "a replay is no member of a group and leaves none behind: {groups:?}");
    }
}

#[test]
fn an_empty_topic_replays_to_nothing() {
    let Some(broker) = broker("replay of an empty topic") else { return };
    let system = System::new(&broker, 3);
    let run = system.run(&["replay", "--from", "kafka"]).exits(0);
    assert_eq!((run.text(), run.summary().n_lines), ("", 0));
}

#[test]
fn the_range_of_a_replayed_topic_is_that_of_files() {
    let Some(broker) = broker("a range of a topic") else { return };
    let system = System::new(&broker, 2);
    let lines = [post("a", "00:00:00", "x"), post("b", "00:01:00", "x"), post("c", "00:02:00", "x")];
    let file = system.folder.write("posts.jsonl", lines.join("\n"));
    system.publish(&file);
    let range = ["--from", "2024-03-04T00:01:00Z", "--to", "2024-03-04T00:02:00Z"];
    let run = system.run(&[&["replay", "--from", "kafka"][..], &range].concat()).exits(0);
    assert_eq!(run.summary().of("out_of_range"), 2);
}

#[test]
fn lines_are_published_as_they_are() {
    let Some(broker) = broker("lines published as they are") else { return };
    let system = System::new(&broker, 1);
    let good = [post("a", "00:00:00", "one"), post("b", "00:00:01", "two")];
    let broken = b"{\"id\": \"broken".as_slice();
    let not_utf8 = b"\xff\xfe".as_slice();
    let content =
        [good[0].as_bytes(), b"\n", broken, b"\r\n\n", not_utf8, b"\n", good[1].as_bytes()].concat();
    let file = system.folder.write("posts.jsonl", content);
    let run = system.run(&["replay", &file, "--to", "kafka"]).exits(0);
    assert!(run.stdout.is_empty(), "what is published is no event");
    run.says(&[&format!("4 posts published to topic {} (1 partitions)", system.posts_topic())]);
    let found = Client::new(&broker).values(&system.posts_topic());
    let published = [good[0].as_bytes(), broken, not_utf8, good[1].as_bytes()];
    assert_eq!(found, published.map(<[u8]>::to_vec), "in their order, the empty line left out");
    let replayed = system.run(&["replay", "--from", "kafka"]).exits(0).summary();
    assert_eq!((replayed.n_lines, replayed.of("not_json"), replayed.of("not_utf8")), (4, 1, 1));
}

#[test]
fn posts_are_spread_over_all_partitions() {
    let Some(broker) = broker("posts spread over partitions") else { return };
    let system = System::new(&broker, 3);
    let lines: Vec<String> = (0..9).map(|n| post(&n.to_string(), "00:00:00", "x")).collect();
    let file = system.folder.write("posts.jsonl", lines.join("\n"));
    system.publish(&file);
    let found: Vec<String> = Client::new(&broker)
        .values(&system.posts_topic())
        .into_iter()
        .map(|value| String::from_utf8(value).expect("text"))
        .collect();
    let in_turn = |first: usize| lines.iter().skip(first).step_by(3).cloned();
    assert_eq!(found, (0..3).flat_map(in_turn).collect::<Vec<_>>(), "one partition after the other in turn");
}

#[test]
fn a_post_that_the_topic_does_not_take_is_left_out_and_no_other() {
    let Some(broker) = broker("posts that are too large") else { return };
    let system = System::new(&broker, 1);
    let client = Client::new(&broker);
    let topic = format!("{}-small", system.prefix);
    client.create(&topic, 1, &[("max.message.bytes", "20000")]);
    // What cannot be compressed, since a topic's limit is one of what is sent.
    let mut random = 1_u32;
    let noise: String = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (random >> 24) as u8 % 90)
    })
    .filter(|c| !matches!(c, '"' | '\\'))
    .take(60_000)
    .collect();
    let mut lines: Vec<String> =
        (0..2000).map(|n| post(&n.to_string(), "00:00:00", &noise[n..n + 50])).collect();
    lines.insert(1000, post("large", "00:00:00", &noise));
    let file = system.folder.write("posts.jsonl", lines.join("\n"));
    let args = ["replay", &file, "--to", "kafka", "--bootstrap", &broker, "--posts-topic", &topic];
    let run = run(&args).exits(0);
    run.says(&[
        &format!("2000 posts published to topic {topic}"),
        "1 posts are larger than the topic takes (max.message.bytes) and were left out",
    ]);
    assert_eq!(client.n_messages(&topic), 2000);
}

#[test]
fn a_line_that_is_longer_than_any_message_is_left_out() {
    let Some(broker) = broker("lines that are too long") else { return };
    let system = System::new(&broker, 1);
    let long = post("long", "00:00:00", &"x".repeat(1 << 20));
    // Of a line that is just short enough the broker says whether it is.
    let just = post("just", "00:00:00", &"x".repeat((1 << 20) - 100));
    let file = system.folder.write("posts.jsonl", [long, just, post("a", "00:00:00", "x")].join("\n"));
    let run = system.run(&["replay", &file, "--to", "kafka"]).exits(0);
    run.says(&["2 posts published", "1 lines are over 1 MiB and were left out"]);
}

#[test]
fn the_speed_holds_for_publishing_and_for_reading() {
    let Some(broker) = broker("the speed of a replay") else { return };
    let system = System::new(&broker, 1);
    let lines = [post("a", "00:00:00", "x"), post("b", "00:01:00", "x"), post("c", "00:02:00", "x")];
    let file = system.folder.write("posts.jsonl", lines.join("\n"));
    // Two minutes, sixty times as fast.
    for args in [&["replay", &file, "--to", "kafka"][..], &["replay", "--from", "kafka"]] {
        let started = Instant::now();
        system.run(&[args, &["--speed", "60x"]].concat()).exits(0);
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(2), "{args:?} must take its time, not {took:?}");
    }
}

#[test]
fn an_interrupted_replay_says_how_many_were_published() {
    let Some(broker) = broker("a replay that is interrupted") else { return };
    for signal in ["INT", "TERM"] {
        let system = System::new(&broker, 1);
        let lines = [post("a", "00:00:00", "x"), post("b", "00:00:00", "x"), post("c", "12:00:00", "x")];
        let file = system.folder.write("posts.jsonl", lines.join("\n"));
        let publishing =
            Running::start(&system, signal, &["replay", &file, "--to", "kafka", "--speed", "1x"]);
        let client = Client::new(&broker);
        wait_until("two posts are there", || client.n_messages(&system.posts_topic()) == 2);
        let run = publishing.end_by(signal).exits(0);
        run.says(&["interrupted: this is what was published so far", "2 posts published to topic"]);
        assert_eq!(client.n_messages(&system.posts_topic()), 2, "no more were sent than were told of");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_usage_error_before_anything_is_tried() {
    let run = run(&["replay", "/nowhere/posts.jsonl", "--to", "kafka", "--bootstrap", NOBODY]).exits(2);
    the_error(&run.says(&["/nowhere/posts.jsonl"]));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let refused = |args: &[&str], part: &str| {
        let run = run(&[&["replay", "--bootstrap", NOBODY], args].concat()).exits(2);
        the_error(&run.says(&[part]));
    };
    refused(&["--to", "kafka"], "no posts to read");
    refused(&["--from", "kafka", "--to", "kafka"], "do not go together");
    refused(&["--from", "kafka", "posts.jsonl"], "leave the files out");
    for option in ["--events", "--dead-letters", "--counts", "--snapshot-in", "--snapshot-out"] {
        refused(
            &["posts.jsonl", "--to", "kafka", option, "/tmp/x"],
            &format!("{option} does not go with it"),
        );
    }
    refused(
        &["posts.jsonl", "--to", "kafka", "--from", "2024-03-04T00:00:00Z"],
        "a time does not go with it",
    );
}
