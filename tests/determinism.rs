//! The same posts give the same events, byte for byte: however they are packed, in whatever order they arrive within
//! the allowed lateness, in one file or two, in one go or cut and resumed. And nothing looks ahead.

mod common;

use std::path::Path;

use common::{Folder, fixture, fixture_posts, gzip, lines, read, replay, run, run_on};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

const SPOTIFY: &str = "spotify-2023-04-20";

/// The committed events of a fixture.
fn golden(name: &str) -> Vec<u8> {
    read(&fixture(name, "events.jsonl"))
}

#[track_caller]
fn check_same(found: &[u8], expected: &[u8], how: &str) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        found == expected,
        "{how}: the events must be the same bytes\nexpected:\n{}found:\n{}",
        text(expected),
        text(found)
    );
}

#[test]
fn packing_and_the_way_in_change_nothing() {
    let posts = fixture_posts(SPOTIFY);
    let expected = golden(SPOTIFY);
    let folder = Folder::new();
    let plain = folder.write("posts.jsonl", &posts);
    check_same(&replay(&[&plain]).stdout, &expected, "plain file");
    // The name says nothing of the packing: content is recognised by its first bytes.
    let gz = folder.write("posts.data", gzip(&posts));
    check_same(&replay(&[&gz]).stdout, &expected, "gzip file");
    check_same(&run_on(&["replay", "-"], &posts).exits(0).stdout, &expected, "standard input");
    check_same(&run_on(&["replay", "-"], &gzip(&posts)).exits(0).stdout, &expected, "packed standard input");
}

/// The event time that a line claims, if it claims one that can be read.
fn claimed_ms(line: &[u8]) -> Option<i64> {
    match &serde_json::from_slice::<Value>(line).ok()?["created_at"] {
        Value::Number(ms) => ms.as_i64(),
        Value::String(text) => text.parse::<Timestamp>().ok().map(|time| time.as_millisecond()),
        _ => None,
    }
}

/// The lines as they arrive when each is under way for up to `delay_s_max`.
fn delayed(posts: &[u8], delay_s_max: i64, seed: u64) -> Vec<u8> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut arriving: Vec<(i64, &[u8])> = lines(posts)
        .into_iter()
        .map(|line| {
            let event_ms = claimed_ms(line).expect("every line of this fixture has a time");
            (event_ms + dice.random_range(0..delay_s_max * 1000), line)
        })
        .collect();
    arriving.sort();
    arriving.into_iter().map(|(_, line)| line).collect::<Vec<_>>().concat()
}

#[test]
fn the_order_of_arrival_within_the_allowed_lateness_changes_nothing() {
    let posts = fixture_posts(SPOTIFY);
    for (delay_s_max, seed) in [(15, 1), (30, 2)] {
        let shuffled = delayed(&posts, delay_s_max, seed);
        assert!(shuffled != posts, "the lines must really be in another order");
        let run = run_on(&["replay", "-"], &shuffled).exits(0);
        let how = format!("delayed by up to {delay_s_max} s, seed {seed}");
        assert_eq!(run.summary().of("late"), 0, "{how}: none may count as late");
        check_same(&run.stdout, &golden(SPOTIFY), &how);
    }
}

/// The fixture's lines, dealt out to as many files as are named.
fn dealt(folder: &Folder, posts: &[u8], names: &[&str]) -> Vec<String> {
    let lines = lines(posts);
    let every = |first: usize| lines.iter().skip(first).step_by(names.len()).copied().collect::<Vec<_>>();
    names.iter().enumerate().map(|(first, name)| folder.write(name, every(first).concat())).collect()
}

#[test]
fn a_stream_dealt_out_to_several_files_is_merged_to_the_same() {
    let folder = Folder::new();
    let posts = fixture_posts(SPOTIFY);
    let two = dealt(&folder, &posts, &["odd.jsonl", "even.jsonl"]);
    check_same(&replay(&[&two[0], &two[1]]).stdout, &golden(SPOTIFY), "two files");
    check_same(&replay(&[&two[1], &two[0]]).stdout, &golden(SPOTIFY), "two files, named the other way round");
    let three = dealt(&folder, &fixture_posts("cloud-cascade"), &["a", "b", "c"]);
    let run = replay(&[&three[0], &three[1], &three[2]]);
    check_same(&run.stdout, &golden("cloud-cascade"), "three files");
}

/// Replays the lines of `name` in pieces that end before the given lines, with a snapshot between them, and compares
/// events and totals with those of one go.
#[track_caller]
fn check_pieces(name: &str, cuts: &[usize]) {
    let posts = fixture_posts(name);
    let lines = lines(&posts);
    let folder = Folder::new();
    let snapshot = folder.path("state.bin");
    let whole = replay(&[fixture(name, "posts.jsonl.zst").to_str().expect("paths are UTF-8")]);
    let mut events = Vec::new();
    let mut from = 0;
    for (piece, &to) in cuts.iter().chain([&lines.len()]).enumerate() {
        let file = folder.write("piece.jsonl", lines[from..to].concat());
        let mut args = vec![file.as_str()];
        if from > 0 {
            args.extend(["--snapshot-in", &snapshot]);
        }
        if to < lines.len() {
            args.extend(["--snapshot-out", &snapshot]);
        }
        let run = replay(&args);
        events.extend(&run.stdout);
        let summary = run.summary();
        summary.check_totals();
        assert_eq!(summary.n_before, from as u64, "{name}: piece {piece} must know what came before it");
        if to == lines.len() {
            assert_eq!(summary.outcomes, whole.summary().outcomes, "{name}: outcomes must come to the same");
        }
        from = to;
    }
    check_same(&events, &whole.stdout, &format!("{name} cut before lines {cuts:?}"));
}

#[test]
fn a_replay_cut_anywhere_goes_on_as_if_it_had_not_been() {
    let n_lines = lines(&fixture_posts("noisy-real")).len();
    for cut in [1, 2, 777, n_lines / 2, n_lines - 1] {
        check_pieces("noisy-real", &[cut]);
    }
    // While the outage is rising, at its height, while it fades, and in the cool-down.
    let n_lines = lines(&fixture_posts("cloud-cascade")).len();
    for share in [88, 90, 94, 97] {
        check_pieces("cloud-cascade", &[n_lines * share / 100]);
    }
}

#[test]
fn a_replay_cut_twice_or_often_goes_on_as_if_it_had_not_been() {
    let n_lines = lines(&fixture_posts("noisy-real")).len();
    check_pieces("noisy-real", &[n_lines / 3, 2 * n_lines / 3]);
    check_pieces("noisy-real", &[16_000, 16_001, 16_002, 16_010, 17_000, 18_000]);
    let n_lines = lines(&fixture_posts("cloud-cascade")).len();
    check_pieces("cloud-cascade", &[n_lines * 89 / 100, n_lines * 92 / 100]);
}

#[test]
fn what_is_said_never_depends_on_what_comes_later() {
    for name in ["noisy-real", "cloud-cascade"] {
        let posts = fixture_posts(name);
        let lines = lines(&posts);
        let whole = golden(name);
        let folder = Folder::new();
        let snapshot = folder.path("state.bin");
        let mut n_bytes_before = 0;
        for share in [40, 66, 75, 90, 93, 96, 99] {
            let head = folder.write("head.jsonl", lines[..lines.len() * share / 100].concat());
            let events = replay(&[&head, "--snapshot-out", &snapshot]).stdout;
            assert!(
                whole.starts_with(&events),
                "{name}: the events of the first {share} % must begin the whole's"
            );
            assert!(events.len() >= n_bytes_before, "{name}: more posts cannot take events back");
            n_bytes_before = events.len();
        }
        assert!(n_bytes_before > 0, "{name}: the prefixes must reach into the outage");
    }
}

/// A snapshot after some posts, in `folder`.
fn snapshot_of_some(folder: &Folder) -> (String, String) {
    let posts = fixture_posts("noisy-real");
    let some = folder.write("some.jsonl", lines(&posts)[..3000].concat());
    let snapshot = folder.path("state.bin");
    replay(&[&some, "--snapshot-out", &snapshot]);
    (some, snapshot)
}

#[test]
fn a_snapshot_is_refused_under_another_configuration_catalogue_or_lexicon() {
    let folder = Folder::new();
    let (some, snapshot) = snapshot_of_some(&folder);
    let config = folder.write("config.toml", "cooldown_s = 900\n");
    let catalogue = folder.write("mine.toml", "[[service]]\nid = \"mine\"\nname = \"Mine\"\n");
    let lexicon = folder.write("xx.toml", "language = \"xx\"\nnegation = [\"nix\"]\n");
    for (option, file) in [("--config", &config), ("--catalog", &catalogue), ("--lexicon", &lexicon)] {
        let run = run(&["replay", &some, "--snapshot-in", &snapshot, option, file]).exits(2);
        assert!(run.stdout.is_empty(), "{option}: nothing may be replayed");
        run.says(&[&snapshot, "configuration"]);
    }
    // The defaults written out are the same configuration.
    let defaults = folder.write("defaults.toml", "cooldown_s = 600\nallowed_lateness_s = 30\n");
    replay(&[&some, "--snapshot-in", &snapshot, "--config", &defaults]);
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let folder = Folder::new();
    let (some, snapshot) = snapshot_of_some(&folder);
    let sound = read(Path::new(&snapshot));
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 0x10;
    let damages: [(&str, &[u8], &str); 5] = [
        ("one bit flipped", &flipped, "damaged"),
        ("cut off", &sound[..sound.len() - 7], "damaged"),
        ("cut off in its header", &sound[..10], "not a snapshot"),
        ("empty", b"", "not a snapshot"),
        ("something else", b"{\"id\":\"1\"}\n", "not a snapshot"),
    ];
    for (how, bytes, message) in damages {
        let damaged = folder.write("damaged.bin", bytes);
        let run = run(&["replay", &some, "--snapshot-in", &damaged]).exits(2).says(&[&damaged, message]);
        assert!(run.stdout.is_empty(), "{how}: nothing may be replayed");
    }
    let missing = folder.path("missing.bin");
    run(&["replay", &some, "--snapshot-in", &missing]).exits(2).says(&[&missing]);
}

#[test]
fn an_outage_that_goes_on_at_a_cut_keeps_its_id_in_the_next_piece() {
    let posts = fixture_posts("noisy-real");
    let lines = lines(&posts);
    let folder = Folder::new();
    let snapshot = folder.path("state.bin");
    let cut = lines.len() * 68 / 100;
    let first = folder.write("first.jsonl", lines[..cut].concat());
    let second = folder.write("second.jsonl", lines[cut..].concat());
    let first = replay(&[&first, "--snapshot-out", &snapshot]).says(&["end ongoing"]).events();
    let second = replay(&[&second, "--snapshot-in", &snapshot]);
    let last = second.text().lines().last().expect("the second piece has events");
    let ended: Value = serde_json::from_str(last).expect("an event is JSON");
    assert_eq!(ended["type"], "groundswell.outage.ended.v1", "the outage ends in the second piece");
    assert_eq!(ended["data"]["outage_id"], first[0].outage_id.as_str(), "and is still the same");
}
