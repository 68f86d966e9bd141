//! What detect has learned and keeps in the state topic: compacted, or put back from before.
//!
//! Posts of days are published within seconds to a process that runs. In one partition, since a machine under load may
//! hold up the posts of one for longer than a partition without posts is waited for.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{fixture, fixture_posts, lines, read_text};
use crate::system::{System, broker, first_at, wait_until};
use crate::topic::Topic;

const SPOTIFY: &str = "spotify-2023-04-20";

fn golden() -> String {
    read_text(&fixture(SPOTIFY, "events.jsonl"))
}

/// What a compacted topic holds.
fn entries(topic: &Topic) -> BTreeMap<String, Vec<u8>> {
    let mut entries = BTreeMap::new();
    for content in topic.read() {
        match content.value {
            Some(value) => _ = entries.insert(content.key, value),
            None => _ = entries.remove(&content.key),
        }
    }
    entries
}

/// Makes a compacted topic hold this again.
fn put_back(topic: &Topic, before: &BTreeMap<String, Vec<u8>>) {
    let now: BTreeSet<String> = entries(topic).into_keys().collect();
    let removed = now.iter().filter(|key| !before.contains_key(*key)).map(|key| (key.as_str(), None));
    let restored = before.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice())));
    topic.write(removed.chain(restored));
    assert_eq!(&entries(topic), before, "it holds what it held");
}

#[test]
fn an_old_state_catches_up_and_tells_nothing_twice() {
    let Some(broker) = broker("a state that is put back") else { return };
    let posts = fixture_posts(SPOTIFY);
    let posts = lines(&posts);
    let (ordinary, outage) = posts.split_at(first_at(&posts, "2023-04-20T12:30"));
    let (begins, goes_on) = outage.split_at(first_at(outage, "2023-04-20T13:00"));
    let system = System::new(&broker, 1);
    let state = system.topic("state");
    // A process may end between two slices as it likes; at the end of the input it would close the last minutes.
    let run_to = |posts: &[&[u8]]| {
        let mut process = system.start(&[], &[]);
        process.wait_until_it_says("state restored");
        system.publish_lines(posts);
        system.wait_until_caught_up();
        process.signal("TERM");
        process.wait_for_success();
    };
    run_to(ordinary);
    let before = entries(&state);
    run_to(begins);
    let told = system.alerts();
    assert!(told.contains("outage.started.v1"), "the outage has begun: {told}");
    put_back(&state, &before);
    run_to(goes_on);
    put_back(&state, &before);
    system.run_until_end(1);
    system.check_alerts(&golden());
}

#[test]
fn a_state_that_was_compacted_is_restored_as_it_was() {
    let Some(broker) = broker("a state topic that is compacted") else { return };
    let posts = fixture_posts(SPOTIFY);
    let posts = lines(&posts);
    let system = System::with_topics(&broker, 1, |system| {
        system.topic("state").create(&[
            ("cleanup.policy", "compact"),
            ("segment.ms", "100"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("max.compaction.lag.ms", "1"),
            ("delete.retention.ms", "1"),
        ]);
    });
    let state = system.topic("state");
    let mut process = system.start(&[], &[]);
    process.wait_until_it_says("state restored");
    let n_slices = 6;
    for slice in posts.chunks(posts.len().div_ceil(n_slices)) {
        system.publish_lines(slice);
        let n_before = state.watermarks(0).expect("the broker answers").1;
        wait_until("it is written again", || state.watermarks(0).is_some_and(|(_, end)| end > n_before));
    }
    // Idle marks go on, and with them commits; compaction keeps one of each key but for the newest segment.
    wait_until("most of the state topic is compacted away", || {
        let (_, end) = state.watermarks(0).expect("the broker answers");
        let n_kept = i64::try_from(state.read().len()).expect("it is small");
        n_kept * 3 < end
    });
    process.kill();
    system.run_until_end(1);
    system.check_alerts(&golden());
}
