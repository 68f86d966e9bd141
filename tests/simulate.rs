//! `groundswell simulate`: the same scenario and seed give the same bytes, and what comes out can be replayed.

mod common;

use std::path::Path;

use common::{Folder, fixture, read, read_text, replay, run, services_of};

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    let first = run(&["simulate", "--seed", "7"]).exits(0).stdout;
    assert!(!first.is_empty(), "posts come on stdout");
    assert!(first == run(&["simulate", "--seed", "7"]).exits(0).stdout, "the same seed, the same posts");
    assert!(first != run(&["simulate", "--seed", "8"]).exits(0).stdout, "another seed, other posts");
    assert!(first != run(&["simulate"]).exits(0).stdout, "the default is one seed of many");
}

#[test]
fn packing_follows_the_name_and_changes_no_post() {
    let folder = Folder::new();
    let plain = run(&["simulate", "--seed", "7"]).exits(0).stdout;
    for name in ["posts.jsonl", "posts.jsonl.gz", "posts.jsonl.zst"] {
        run(&["simulate", "--seed", "7", "--posts", &folder.path(name)]).exits(0);
        let packed = read(Path::new(&folder.path(name)));
        assert_eq!(packed == plain, name == "posts.jsonl", "{name}: packed as its name asks");
        let again = folder.path(&format!("again-{name}"));
        run(&["simulate", "--seed", "7", "--posts", &again]).exits(0);
        assert!(read(Path::new(&again)) == packed, "{name}: the packed bytes are the same too");
        let summary = replay(&[&folder.path(name)]).summary();
        assert_eq!(summary.n_lines as usize, common::lines(&plain).len(), "{name}: every post is in it");
    }
}

#[test]
fn what_failed_in_the_simulated_day_is_what_replay_finds() {
    let folder = Folder::new();
    let (posts, truth) = (folder.path("posts.jsonl"), folder.path("truth.csv"));
    run(&["simulate", "--posts", &posts, "--truth", &truth]).exits(0);
    let truth = folder.text("truth.csv");
    let mut rows = truth.lines();
    assert_eq!(rows.next(), Some("service,start_utc,end_utc,kind"), "the truth has a header");
    let mut failed: Vec<&str> = rows.filter_map(|row| row.split(',').next()).collect();
    let events = replay(&[&posts]).events();
    let mut started = services_of(&events, "started");
    failed.sort_unstable();
    started.sort_unstable();
    assert_eq!(failed.len(), 2, "two services fail in the built-in scenario");
    assert_eq!(started, failed, "and just these must start");
}

#[test]
fn a_scenario_that_makes_no_sense_is_refused_and_names_what_is_wrong() {
    let folder = Folder::new();
    let sound = read_text(&fixture("noisy-real", "scenario.toml"));
    let check = |content: &str, parts: &[&str]| {
        let scenario = folder.write("scenario.toml", content);
        let run = run(&["simulate", "--scenario", &scenario]).exits(2).says(&[&scenario]).says(parts);
        assert!(run.stdout.is_empty(), "nothing may be made of it");
    };
    check("start = 5\n[", &["2"]);
    check(&sound.replacen("duration_min", "duration_hours", 1), &["duration_hours"]);
    check(&sound.replacen("service = \"whatsapp\"", "service = \"nobody\"", 1), &["nobody"]);
    check(&sound.replacen("late = 0.01", "late = 1.5", 1), &["late", "1.5"]);
    let missing = folder.path("missing.toml");
    run(&["simulate", "--scenario", &missing]).exits(2).says(&["cannot read", &missing]);
    run(&["simulate", "--seed", "lucky"]).exits(2).says(&["--seed"]);
}

#[test]
fn posts_that_cannot_be_written_exit_1() {
    let folder = Folder::new();
    let nowhere = folder.path("no/such/folder/posts.jsonl");
    run(&["simulate", "--posts", &nowhere]).exits(1).says(&["cannot write posts", &nowhere]);
    run(&["simulate", "--truth", &nowhere]).exits(1).says(&["cannot write the truth", &nowhere]);
}
