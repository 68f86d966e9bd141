//! `groundswell replay` as its users meet it: nothing is lost in silence, every output agrees with the others, and
//! whatever goes wrong says so, with the exit code that the help promises.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{
    Feed, Folder, Run, checked_events, fixture_posts, groundswell, gzip, lines, replay, run, run_on,
};
use common::{services_of, time};
use serde_json::Value;

/// A catalogue entry as a user would write it.
const OWN_SERVICE: &str = r#"
[[service]]
id = "quillbank"
name = "Quill Bank"
category = "finance"
aliases = ["quillbank", "quill bank"]
handles = ["quillbank"]
"#;

const COMPLAINT: &str = "is quillbank down? nothing works";

/// Two days of a user's own posts with an outage, and the catalogue entry, as files.
fn own_feed(folder: &Folder) -> (String, String) {
    let posts = folder.write("posts.jsonl", Feed::with_outage(COMPLAINT, "").to_jsonl());
    (posts, folder.write("mine.toml", OWN_SERVICE))
}

/// What becomes of a line that is no post, by the rules of the design and nothing of the program's.
fn unusable_as(line: &[u8]) -> Option<&'static str> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Some("blank");
    }
    let Ok(text) = std::str::from_utf8(line) else { return Some("not_utf8") };
    let Ok(Value::Object(post)) = serde_json::from_str(text) else { return Some("not_json") };
    let field = |name: &str| post.get(name).filter(|value| !value.is_null());
    let texts = ["id", "author", "text", "lang", "country", "service"];
    let is_bad_text = texts.iter().any(|name| field(name).is_some_and(|value| !value.is_string()));
    let is_bad_time = field("created_at").is_some_and(|value| !value.is_string() && !value.is_number());
    if is_bad_text || is_bad_time {
        return Some("bad_field");
    }
    let has_id = field("id").is_some_and(|id| id != "");
    let (Some(created_at), Some(Value::String(text)), true) = (field("created_at"), field("text"), has_id)
    else {
        return Some("missing_field");
    };
    let is_time = created_at.as_str().is_none_or(|text| text.parse::<jiff::Timestamp>().is_ok());
    match is_time {
        false => Some("bad_time"),
        true => (text.len() > 64 * 1024).then_some("too_long"),
    }
}

#[test]
fn every_line_of_a_faulty_feed_ends_in_the_outcome_that_an_independent_count_gives() {
    let posts = fixture_posts("noisy-real");
    let summary = run_on(&["replay", "-"], &posts).exits(0).summary();
    summary.check_totals();
    let all_lines = lines(&posts);
    assert_eq!(summary.n_lines, all_lines.len() as u64, "every line must be counted");
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for outcome in all_lines.iter().filter_map(|line| unusable_as(line)) {
        *expected.entry(outcome).or_default() += 1;
    }
    for name in ["blank", "not_utf8", "not_json", "missing_field", "bad_field", "bad_time", "too_long"] {
        assert_eq!(
            summary.of(name),
            expected[name],
            "{name} must be counted as often as there are such lines"
        );
    }
    for name in ["late", "future", "complaint", "no_service", "duplicate_author"] {
        assert!(summary.of(name) > 0, "the feed has {name} posts");
    }
}

#[test]
fn every_unusable_input_has_a_dead_letter_with_reason_place_and_content() {
    let posts = fixture_posts("noisy-real");
    let all_lines = lines(&posts);
    let folder = Folder::new();
    let (input, letters) = (folder.write("feed.jsonl", &posts), folder.path("dead.jsonl"));
    let summary = replay(&[&input, "--dead-letters", &letters]).summary();
    let mut by_reason: BTreeMap<String, u64> = BTreeMap::new();
    let mut places = BTreeSet::new();
    for letter in folder.text("dead.jsonl").lines() {
        let letter: Value = serde_json::from_str(letter).expect("a dead letter is JSON");
        let reason = letter["reason"].as_str().expect("it has a reason");
        let line = letter["line"].as_u64().expect("it has a line") as usize;
        assert_eq!(letter["input"], input.as_str(), "it names the input");
        assert!(
            letter["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "it has particulars: {letter}"
        );
        let of_line = String::from_utf8_lossy(all_lines[line - 1]);
        let raw = letter["raw"].as_str().expect("it has the content");
        if letter["is_cut"].as_bool().expect("it says whether that is all") {
            // The cut may go through a character.
            assert!(of_line.starts_with(raw.trim_end_matches('\u{fffd}')), "line {line} begins {raw:?}");
        } else {
            assert_eq!(of_line.trim_end_matches(['\r', '\n']), raw, "line {line} is kept whole");
        }
        if let Some(expected) = unusable_as(all_lines[line - 1]) {
            assert_eq!(reason, expected, "line {line} is unusable for this reason");
        }
        assert!(places.insert(line), "line {line} must have one dead letter");
        *by_reason.entry(reason.to_owned()).or_default() += 1;
    }
    let reasons =
        ["not_utf8", "not_json", "missing_field", "bad_field", "bad_time", "too_long", "late", "future"];
    let counted = reasons.iter().map(|reason| ((*reason).to_owned(), summary.of(reason)));
    assert_eq!(by_reason, counted.collect(), "as many dead letters as were counted, of each reason");
}

#[test]
fn the_counts_table_has_a_row_for_each_seen_service_and_minute() {
    let folder = Folder::new();
    let table = folder.path("counts.csv");
    let run = replay(&["fixtures/cloud-cascade/posts.jsonl.zst", "--counts", &table]);
    let text = folder.text("counts.csv");
    let (header, rows) = text.split_once('\n').expect("the table has a header");
    assert_eq!(header, "timestamp,service,count,expected,score,state");
    let mut last_rows: BTreeMap<&str, (jiff::Timestamp, &str)> = BTreeMap::new();
    let (mut last_time, mut n_complaints) = (None, 0);
    for row in rows.lines() {
        let [timestamp, service, count, expected, score, state] = row.split(',').collect::<Vec<_>>()[..]
        else {
            panic!("six fields: {row}");
        };
        let (at, score): (_, f64) = (time(timestamp), score.parse().expect("a score is a number"));
        n_complaints += count.parse::<u64>().expect("a count is a whole number");
        assert!(expected.parse::<f64>().is_ok_and(|expected| expected > 0.0), "something is expected: {row}");
        assert!((0.0..1.0).contains(&score), "a score lies in [0, 1): {row}");
        assert!(last_time.is_none_or(|last| last <= at), "rows are in the order of time: {row}");
        last_time = Some(at);
        let before = last_rows.insert(service, (at, state));
        if let Some((minute_before, _)) = before {
            assert_eq!(
                at.duration_since(minute_before).as_secs(),
                60,
                "no minute is left out or doubled: {row}"
            );
        }
        let was_calm = before.is_none_or(|(_, state)| matches!(state, "learning" | "normal"));
        match state {
            "learning" | "normal" => assert!(score < 0.5, "no outage is below the threshold: {row}"),
            "suspected" | "ongoing" if was_calm => assert!(score >= 0.5, "one begins above it: {row}"),
            "suspected" | "ongoing" | "recovering" => {}
            _ => panic!("unknown state: {row}"),
        }
        assert!(!(state == "recovering" && was_calm), "nothing recovers without an outage: {row}");
    }
    let summary = run.summary();
    assert_eq!(
        last_rows.len() as u64,
        summary.n_services,
        "every service that was complained about has rows"
    );
    assert!(last_rows.values().all(|(at, _)| Some(*at) == last_time), "each up to the last minute");
    assert!(n_complaints >= summary.of("complaint"), "a complaint counts for at least one service");
}

#[test]
fn the_events_file_is_stdout_and_the_text_form_says_the_same_to_people() {
    let folder = Folder::new();
    let posts = "fixtures/noisy-real/posts.jsonl.zst";
    let json = replay(&[posts, "--events", &folder.path("json")]);
    assert_eq!(folder.text("json"), json.text(), "the file must be what stdout got");
    let text = replay(&[posts, "--events", &folder.path("text"), "--format", "text"]);
    assert_eq!(folder.text("text"), json.text(), "the file is JSON whatever stdout is");
    let events = json.events();
    assert_eq!(text.text().lines().count(), events.len(), "a line for each event");
    for (line, event) in text.text().lines().zip(&events) {
        for part in [event.time.to_string().as_str(), &event.kind, "WhatsApp"] {
            assert!(line.contains(part), "{line:?} must say {part:?}");
        }
    }
}

#[test]
fn the_time_range_is_half_open_and_what_lies_outside_is_counted() {
    let folder = Folder::new();
    let mut feed = Feed::of_chatter(0);
    feed.post_every(60, 0, 10, "hello", "");
    let posts = folder.write("posts.jsonl", feed.to_jsonl());
    let (from, to) = ("2024-03-04T00:02:00Z", "2024-03-04T00:05:00Z");
    let summary = replay(&[&posts, "--from", from, "--to", to]).summary();
    summary.check_totals();
    assert_eq!(summary.of("no_service"), 3, "minutes 2, 3 and 4 are in, minute 5 is not");
    assert_eq!(summary.of("out_of_range"), 7, "and the other seven are counted");
    assert_eq!(replay(&[&posts, "--from", from]).summary().of("out_of_range"), 2, "an open end");
    assert_eq!(replay(&[&posts, "--to", to]).summary().of("out_of_range"), 5, "an open start");
    run(&["replay", &posts, "--from", to, "--to", from]).exits(2).says(&["--from", "is not before --to"]);
    run(&["replay", &posts, "--from", "noon"]).exits(2).says(&["--from", "not a time"]);
}

#[test]
fn a_service_of_ones_own_is_detected_in_a_file_of_ones_own_posts() {
    let folder = Folder::new();
    let (posts, catalogue) = own_feed(&folder);
    let run = replay(&[&posts, "--catalog", &catalogue]).says(&["Quill Bank"]);
    let events = run.events();
    assert_eq!(services_of(&events, "started"), ["quillbank"], "it must be called an outage once");
    let started = events.iter().find(|event| event.kind == "started").expect("it started");
    let (begin, end) = (time("2024-03-05T20:00:00Z"), time("2024-03-05T21:00:00Z"));
    assert!((begin..end).contains(&started.detected_at), "while it lasts: {started:?}");
    let without = replay(&[&posts]);
    assert!(without.stdout.is_empty(), "without the entry nobody knows the name");
    assert_eq!(without.summary().of("complaint"), 0, "nor counts a complaint");
    let alone = replay(&[&posts, "--catalog", &catalogue, "--no-builtin-catalog"]).events();
    assert_eq!(services_of(&alone, "started"), ["quillbank"], "it needs no other entry");
}

#[test]
fn a_post_addressed_to_a_service_needs_no_name_in_its_text() {
    let folder = Folder::new();
    let catalogue = folder.write("mine.toml", OWN_SERVICE);
    let addressed = Feed::with_outage("I can't log in", r#","service":"quillbank""#).to_jsonl();
    let events = replay(&[&folder.write("a.jsonl", addressed), "--catalog", &catalogue]).events();
    assert_eq!(services_of(&events, "started"), ["quillbank"], "the address says whom it is about");
    let unaddressed = folder.write("b.jsonl", Feed::with_outage("I can't log in", "").to_jsonl());
    let run = replay(&[&unaddressed, "--catalog", &catalogue]);
    assert!(run.stdout.is_empty(), "without an address it is about nobody");
}

#[test]
fn an_address_that_the_catalogue_does_not_have_is_an_outcome_of_its_own() {
    let folder = Folder::new();
    let mut feed = Feed::of_chatter(1);
    feed.post_every(600, 0, 60, "spotify is down", r#","service":"no-such""#);
    let posts = folder.write("posts.jsonl", feed.to_jsonl());
    let summary = replay(&[&posts, "--dead-letters", &folder.path("dead")]).summary();
    summary.check_totals();
    assert_eq!(
        (summary.of("unknown_service"), summary.of("complaint")),
        (6, 0),
        "none may count as a complaint"
    );
    let dead = folder.text("dead");
    assert_eq!(dead.lines().count(), 6, "each is a dead letter");
    assert!(dead.lines().all(|line| line.contains("`no-such`")), "which names the service: {dead}");
}

#[test]
fn posts_without_an_author_count_each_and_the_summary_says_how_many() {
    let folder = Folder::new();
    let mut posts = Feed::of_chatter(1).to_jsonl();
    let at = "2024-03-04T00:59:30Z";
    for (n, author) in ["", r#","author":"""#, r#","author":null"#, r#","author":"x""#, r#","author":"x""#]
        .iter()
        .enumerate()
    {
        let text = format!("spotify is down, number {n}");
        posts += &format!(r#"{{"id":"n{n}","created_at":"{at}","text":"{text}"{author}}}"#);
        posts += "\n";
    }
    let run = replay(&[&folder.write("posts.jsonl", posts)]).says(&["3 posts without an author"]);
    let summary = run.summary();
    assert_eq!(summary.of("complaint"), 4, "three of nobody's and one of x");
    assert_eq!(summary.of("duplicate_author"), 1, "the second of x");
    assert_eq!(summary.n_without_author, 3, "as the summary says");
}

#[test]
fn a_request_that_cannot_be_carried_out_exits_2_and_says_why() {
    let folder = Folder::new();
    let posts = folder.write("posts.jsonl", Feed::of_chatter(1).to_jsonl());
    let missing = folder.path("missing.jsonl");
    run(&["replay", &posts, &missing]).exits(2).says(&["cannot open", &missing]);
    let directory = folder.path("");
    run(&["replay", &directory]).exits(2).says(&[&directory, "directory"]);
    run(&["replay", &posts, "--no-such-option"]).exits(2).says(&["--no-such-option"]);
    run(&["replay"]).exits(2).says(&["no posts to read"]);
    run(&["replay", &posts, "--catalog", &missing]).exits(2).says(&["cannot read", &missing]);
    let nowhere = folder.path("no/such/folder/events.jsonl");
    run(&["replay", &posts, "--events", &nowhere]).exits(2).says(&["cannot create", &nowhere]);
    for speed in ["fast", "0x", "-1x", "60"] {
        run(&["replay", &posts, &format!("--speed={speed}")])
            .exits(2)
            .says(&["--speed", "multiple of real time"]);
    }
}

#[test]
fn a_setting_that_is_wrong_is_named_with_its_line_value_and_range() {
    let folder = Folder::new();
    let posts = folder.write("posts.jsonl", "");
    let check = |content: &str, line: usize, parts: &[&str]| {
        let config = folder.write("config.toml", content);
        let place = format!("{config}:{line}: ");
        run(&["replay", &posts, "--config", &config]).exits(2).says(&[&place]).says(parts);
    };
    check("# mine\ncool_down_s = 600\n", 2, &["`cool_down_s`", "`cooldown_s`"]);
    check("copies_max = 5\ncooldown_s = 5\n", 2, &["`cooldown_s` is 5;", "between 60 and 7200"]);
    check("allowed_lateness_s = 7200\n", 1, &["`allowed_lateness_s` is 7200;", "between 0 and 3600"]);
    check("false_alarms_per_service_year = 0\n", 1, &["is 0;", "between 0.0001 and"]);
    check("copies_max = \"three\"\n", 1, &["\"three\""]);
}

#[test]
fn pace_changes_no_event() {
    let folder = Folder::new();
    let (posts, catalogue) = own_feed(&folder);
    let expected = replay(&[&posts, "--catalog", &catalogue]).stdout;
    let paced = replay(&[&posts, "--catalog", &catalogue, "--speed", "1000000x"]).stdout;
    assert!(!expected.is_empty() && paced == expected, "the same events at a million times real time");
}

#[test]
fn an_archive_that_breaks_off_gives_its_events_and_exits_1() {
    let folder = Folder::new();
    let (posts, catalogue) = own_feed(&folder);
    let packed = gzip(&common::read(posts.as_ref()));
    let whole = replay(&[&posts, "--catalog", &catalogue]);
    let broken = folder.write("posts.jsonl.gz", &packed[..packed.len() - packed.len() / 30]);
    let run =
        run(&["replay", &broken, "--catalog", &catalogue]).exits(1).says(&["cannot read", &broken, "line"]);
    assert_eq!(services_of(&run.events(), "started"), ["quillbank"], "what came before must still be told");
    assert!(whole.stdout.starts_with(run.text().lines().next().expect("it has events").as_bytes()));
    let summary = run.summary();
    summary.check_totals();
    assert!(summary.n_lines < whole.summary().n_lines, "and the summary must say how far it came");
}

#[test]
fn a_broken_line_costs_itself_alone_and_no_input_is_no_failure() {
    let folder = Folder::new();
    let feed = Feed::of_chatter(1).to_jsonl();
    let broken = feed.replacen("\"id\":\"p50\"", "\"id\":\"p50", 1);
    let summary = replay(&[&folder.write("posts.jsonl", broken)]).summary();
    assert_eq!(
        (summary.of("not_json"), summary.n_lines),
        (1, 180),
        "one line is lost, of all that were read"
    );
    let empty = replay(&[&folder.write("empty.jsonl", "")]).says(&["0 lines", "0 outages"]);
    empty.summary().check_totals();
    assert!(empty.stdout.is_empty(), "nothing in, nothing out");
}

#[test]
fn an_outage_that_goes_on_at_the_end_of_the_input_stays_ongoing() {
    let folder = Folder::new();
    let (posts, catalogue) = own_feed(&folder);
    let cut = ["--to", "2024-03-05T20:30:00Z"];
    let run = replay(&[&[posts.as_str(), "--catalog", &catalogue], &cut[..]].concat()).says(&["end ongoing"]);
    let kinds: Vec<String> = run.events().into_iter().map(|event| event.kind).collect();
    assert!(kinds.iter().any(|kind| kind == "started"), "it has started: {kinds:?}");
    assert!(
        !kinds.iter().any(|kind| kind == "ended" || kind == "retracted"),
        "no end is invented: {kinds:?}"
    );
}

/// How long a child may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The end of a child that should end by itself.
#[track_caller]
fn wait(mut child: Child) -> Run {
    let since = Instant::now();
    while child.try_wait().expect("a child can be asked").is_none() {
        if since.elapsed() > PATIENCE {
            child.kill().expect("a child can be killed");
            panic!("the program must end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Run::of(child.wait_with_output().expect("it has ended"))
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = groundswell()
        .args(["replay", "fixtures/cloud-cascade/posts.jsonl.zst"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let run = wait(child).exits(0);
    assert!(!run.stderr.contains("groundswell:"), "nothing is reported: {}", run.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupt_while_waiting_for_input_ends_with_what_was_read() {
    let folder = Folder::new();
    let (posts, catalogue) = own_feed(&folder);
    let mut child = groundswell()
        .args(["replay", "-", "--catalog", &catalogue])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let posts = common::read_text(posts.as_ref());
    let n_lines = posts.lines().count() as u64;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(posts.as_bytes()).expect("the posts are read");
    // The first event shows that it is at work; stdin stays open, so it then waits for more.
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut events = String::new();
    stdout.read_line(&mut events).expect("an event comes while stdin is open");
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status().expect("there is a kill");
    assert!(killed.success(), "the signal must be sent");
    stdout.read_to_string(&mut events).expect("stdout ends");
    let run = wait(child).exits(0).says(&["interrupted", "Quill Bank"]);
    drop(stdin);
    let events = checked_events(&events);
    assert_eq!(services_of(&events, "started"), ["quillbank"], "the events so far are told");
    let summary = run.summary();
    summary.check_totals();
    assert!((1..=n_lines).contains(&summary.n_lines), "with the totals of what was read: {summary:?}");
}
