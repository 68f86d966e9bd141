//! `groundswell evaluate`: events held against known outages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name).join(file)
}

fn evaluate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_groundswell"))
        .arg("evaluate")
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON object")
}

#[test]
fn the_known_outage_of_a_fixture_is_matched() {
    let (posts, truth) = (fixture("noisy-real", "posts.jsonl.zst"), fixture("noisy-real", "truth.csv"));
    let output = evaluate(&["--posts", text(&posts), "--truth", text(&truth), "--min-f1", "1", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures = &json(&output)["figures"];
    assert_eq!(figures["true_positives"], 1);
    assert_eq!(figures["false_alarms"], 0);
    assert!(figures["delay_min_median"].as_f64().is_some_and(|delay| delay > 0.0));
    assert!(figures["service_years"].as_f64().is_some_and(|years| years > 0.0));
}

#[test]
fn an_outage_that_is_not_there_is_missed_and_fails_the_bar() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let truth = folder.path().join("truth.csv");
    let rows = "service,start_utc,end_utc,kind\nnetflix,2023-10-04T03:00:00Z,2023-10-04T04:00:00Z,outage\n";
    fs::write(&truth, rows).expect("the temporary folder can be written");
    let posts = fixture("noisy-real", "posts.jsonl.zst");
    let output = evaluate(&["--posts", text(&posts), "--truth", text(&truth), "--min-f1", "0.5"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("F1 is 0.000, below the 0.5"));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("missed: netflix from 2023-10-04T03:00:00Z"), "{table}");
    assert!(table.contains("false alarm: whatsapp"), "{table}");
}

#[test]
fn counts_are_evaluated_like_posts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (counts, truth) = (folder.path().join("counts.csv"), folder.path().join("truth.csv"));
    let start = 1_700_006_400 + 2 * 86_400;
    let mut table = String::from("timestamp,service,count\n");
    for minute in 0..3 * 1440i64 {
        let time = 1_700_006_400 + minute * 60;
        let count = if (start..start + 3600).contains(&time) { 15 } else { minute * 7 % 3 };
        table.push_str(&format!("{time},shop,{count}\n"));
    }
    fs::write(&counts, table).expect("the temporary folder can be written");
    let row = format!("service,start_utc,end_utc,kind\nshop,{start},{},outage\n", start + 3600);
    fs::write(&truth, row).expect("the temporary folder can be written");
    let arguments = ["--counts", text(&counts), "--truth", text(&truth), "--json"];
    let figures = json(&evaluate(&arguments))["figures"].clone();
    assert_eq!((&figures["f1"], &figures["ongoing"]), (&1.0.into(), &0.into()), "{figures}");
    assert!(figures["end_error_min_median"].as_f64().is_some_and(|error| error <= 10.0), "{figures}");
    // The same stretch as `other` is neither truth nor false alarm.
    let other = format!("service,start_utc,end_utc,kind\nshop,{start},{},other\n", start + 3600);
    fs::write(&truth, other).expect("the temporary folder can be written");
    let figures = json(&evaluate(&arguments))["figures"].clone();
    assert_eq!((&figures["ignored"], &figures["false_alarms"]), (&1.into(), &0.into()), "{figures}");
    assert!(figures["precision"].is_null(), "nothing is left to judge: {figures}");
}

#[test]
fn a_bad_truth_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let truth = folder.path().join("truth.csv");
    let posts = fixture("noisy-real", "posts.jsonl.zst");
    for (rows, expected) in [
        ("service,start_utc\n", "there is no column `end_utc`"),
        (
            "service,start_utc,end_utc\na,noon,1700000000\n",
            ":2: column 2 (`start_utc`): \"noon\" is not a time",
        ),
        (
            "service,start_utc,end_utc\na,1700000060,1700000000\n",
            ":2: column 3 (`end_utc`): is before the start",
        ),
    ] {
        fs::write(&truth, rows).expect("the temporary folder can be written");
        let output = evaluate(&["--posts", text(&posts), "--truth", text(&truth)]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "expected {expected:?} in {message:?}");
    }
    assert_eq!(evaluate(&["--truth", text(&truth)]).status.code(), Some(2), "posts or counts are needed");
}

#[test]
fn synthetic_worlds_need_no_data_and_take_none() {
    for (arguments, said) in [
        (vec!["--synthetic", "--truth", "truth.csv"], "--truth"),
        (vec!["--posts", "p.jsonl", "--truth", "t.csv", "--quick"], "--synthetic"),
        (vec!["--synthetic", "--posts", "p.jsonl"], "--posts"),
        (vec![], "--synthetic"),
    ] {
        let output = evaluate(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

/// A table of counts with an outage of the service `<b>&"` in three days of minutes, and its start, seconds.
fn write_awkward_counts(path: &Path) -> i64 {
    let first = 1_700_006_400;
    let start = first + 2 * 86_400;
    let mut table = String::from("timestamp,service,count\n");
    for minute in 0..3 * 1_440i64 {
        let time = first + minute * 60;
        let count = if (start..start + 3_600).contains(&time) { 15 } else { minute * 7 % 3 };
        table.push_str(&format!("{time},\"<b>&\"\"\",{count}\n{time},quiet,{}\n", minute * 5 % 3));
    }
    fs::write(path, table).expect("the temporary folder can be written");
    start
}

/// Whether every element of an HTML page is closed in its place; those that have no end are told apart by name.
#[track_caller]
fn assert_balanced(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag has an end");
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "an element is closed that is not open"),
            None if name == "!DOCTYPE" || name == "meta" || tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "these are never closed: {open:?}");
}

#[test]
fn a_report_draws_every_outage_and_needs_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (counts, truth) = (folder.path().join("counts.csv"), folder.path().join("truth.csv"));
    let start = write_awkward_counts(&counts);
    // One is found, one is missed, and one is of a service that nobody complains about.
    let rows = format!(
        "service,start_utc,end_utc,kind\n\"<b>&\"\"\",{start},{},outage\nquiet,{},{},outage\nunheard,{start},{},<i>\n",
        start + 3_600,
        start + 7_200,
        start + 9_000,
        start + 60
    );
    fs::write(&truth, rows).expect("the temporary folder can be written");
    let report = |name: &str| {
        let path = folder.path().join(name);
        let output = evaluate(&["--counts", text(&counts), "--truth", text(&truth), "--report", text(&path)]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read_to_string(&path).expect("the report is written, in UTF-8")
    };
    let page = report("one.html");
    assert_balanced(&page);
    // Two services, each as a whole and with its one outage.
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(page.contains("<h2>&lt;b&gt;&amp;&quot;</h2>"), "names are escaped");
    assert!(!page.contains("<b>&") && !page.contains("<i>:"), "nothing of the data is markup");
    assert!(page.contains("Nobody was counted as complaining about it"), "what was never heard of is told");
    let links: Vec<&str> = page.split("href=\"#").skip(1).filter_map(|link| link.split('"').next()).collect();
    assert_eq!(links.len(), 2, "each missed outage has a link");
    assert!(
        links.iter().all(|link| page.contains(&format!("id=\"{link}\""))),
        "links lead somewhere: {links:?}"
    );
    let elsewhere = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "the page needs no network");
    assert_eq!(page, report("two.html"), "the same run gives the same bytes");
}

#[test]
fn a_report_says_why_an_alarm_was_raised() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report.html");
    let (posts, truth) = (fixture("noisy-real", "posts.jsonl.zst"), fixture("noisy-real", "truth.csv"));
    let output = evaluate(&["--posts", text(&posts), "--truth", text(&truth), "--report", text(&path)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(&path).expect("the report is written");
    assert_balanced(&page);
    assert_eq!(page.matches("<svg").count(), 2, "whatsapp as a whole, and its outage");
    for said in
        ["<b>started</b>", "observed ", "evidence ", "people within the hour", "symptoms: ", "found after"]
    {
        assert!(page.contains(said), "{said:?} is told");
    }
    assert!(page.contains("further services without an outage are left out"));
}

#[test]
fn a_report_goes_to_a_file_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (truth, nowhere) = (folder.path().join("truth.csv"), folder.path().join("no/such/folder.html"));
    fs::write(&truth, "service,start_utc,end_utc\n").expect("the temporary folder can be written");
    let posts = fixture("noisy-real", "posts.jsonl.zst");
    for (path, said) in [(&nowhere, "cannot create"), (&truth, "it is the input")] {
        let output = evaluate(&["--posts", text(&posts), "--truth", text(&truth), "--report", text(path)]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(said) && message.contains(text(path)), "{message}");
    }
    assert!(
        fs::read_to_string(&truth).is_ok_and(|kept| kept.starts_with("service")),
        "the input is untouched"
    );
}
