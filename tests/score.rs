//! `groundswell score`: counts in, the same rows with expectation, score and state out.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

/// Runs `groundswell score` with `table` on standard input.
fn score(arguments: &[&str], table: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_groundswell"))
        .arg("score")
        .args(arguments)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    // A refusal may close the pipe before all of the table is written.
    drop(stdin.write_all(table));
    drop(stdin);
    child.wait_with_output().expect("the binary ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the table is UTF-8")
}

/// Ten days of about one complaint a minute, in the pattern 0 1 2, but twelve in each of `minutes` of the last day.
fn table(outage: std::ops::Range<i64>) -> String {
    let mut table = String::from("timestamp,service,count\n");
    for minute in 0..3 * 1440i64 {
        let count = if outage.contains(&(minute - 2 * 1440)) { 12 } else { minute * 7 % 3 };
        writeln!(table, "{},shop,{count}", 1_700_006_400 + minute * 60).expect("a string can be written");
    }
    table
}

#[derive(Debug)]
struct Row {
    score: f64,
    state: String,
}

fn rows(output: &Output) -> Vec<Row> {
    let text = stdout(output);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("timestamp,service,count,expected,score,state"));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields.len(), 6, "{line}");
            assert!(fields[3].parse::<f64>().is_ok_and(|expected| expected > 0.0), "{line}");
            Row { score: fields[4].parse().expect("the score is a number"), state: fields[5].to_owned() }
        })
        .collect()
}

#[test]
fn an_outage_in_the_counts_is_scored_raised_and_over_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let events = folder.path().join("events.jsonl");
    let table = table(600..660);
    let output = score(&["--events", events.to_str().expect("the path is UTF-8")], table.as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = rows(&output);
    assert_eq!(rows.len(), table.lines().count() - 1, "a row for each row");
    assert!(rows.iter().all(|row| (0.0..1.0).contains(&row.score)), "scores lie in [0, 1)");
    let outage = 2 * 1440 + 600;
    assert!(rows[outage - 1].score < 0.5 && rows[outage - 1].state != "ongoing", "{:?}", rows[outage - 1]);
    assert!(rows[outage + 2].score >= 0.5, "{:?}", rows[outage + 2]);
    assert_eq!(rows[outage + 5].state, "ongoing");
    assert!(["normal", "learning"].contains(&rows.last().expect("there are rows").state.as_str()));
    let raised = rows.iter().find(|row| row.score >= 0.5).expect("some score crosses");
    assert!(
        raised.state == "suspected" || raised.state == "ongoing",
        "0.5 is the suspected threshold: {raised:?}"
    );
    assert!(raised.score > 0.5 + 0.5 * 2.0 / 9.0, "the like was not seen in two days: {raised:?}");
    let n_news = rows.iter().filter(|row| row.score > 0.5).count();
    let n_raised = rows.iter().filter(|row| row.score >= 0.5).count();
    assert!(
        n_news <= 15 && n_raised >= 50,
        "of an hour's outage a few rows are news: {n_news} of {n_raised}"
    );
    let events = std::fs::read_to_string(&events).expect("the events were written");
    let kinds: Vec<&str> = events
        .lines()
        .filter_map(|line| line.split("groundswell.outage.").nth(1)?.split('.').next())
        .filter(|&kind| kind != "updated")
        .collect();
    assert_eq!(kinds.last(), Some(&"ended"), "{kinds:?}");
    assert!(kinds.contains(&"started"));
}

#[test]
fn what_is_said_of_the_past_does_not_depend_on_what_follows() {
    let table = table(600..660);
    let whole = stdout(&score(&[], table.as_bytes()));
    for n_lines in [1, 2, 3, 10, 16, 17, 1000, 2 * 1440 + 602, 2 * 1440 + 640] {
        let cut: String = table.lines().take(n_lines).map(|line| format!("{line}\n")).collect();
        let expected: String = whole.lines().take(n_lines).map(|line| format!("{line}\n")).collect();
        assert_eq!(stdout(&score(&[], cut.as_bytes())), expected, "cut after {n_lines} lines");
    }
}

#[test]
fn the_step_may_be_inferred_given_and_off_the_hour() {
    let five_minutes: String = (0..200).map(|n| format!("{},3\n", 1_700_000_007 + n * 300)).collect();
    let table = format!("timestamp,value\n{five_minutes}");
    let inferred = score(&[], table.as_bytes());
    assert!(inferred.status.success(), "{}", String::from_utf8_lossy(&inferred.stderr));
    assert!(stdout(&inferred).contains("1700000007,series,3,"), "the service is called series");
    for given in ["300", "300s", "5m"] {
        assert_eq!(stdout(&score(&["--bin", given], table.as_bytes())), stdout(&inferred));
    }
}

#[test]
fn rows_of_one_time_come_in_any_order_and_stay_in_it() {
    let one = "timestamp,service,count\n1700000040,a,1\n1700000040,b,2\n1700000100,b,2\n1700000100,a,1\n";
    let text = stdout(&score(&[], one.as_bytes()));
    let services: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(services, ["a", "b", "b", "a"]);
}

#[test]
fn the_order_within_a_time_does_not_change_what_is_said() {
    let table = |is_reversed: bool| {
        let mut table = String::from("timestamp,service,count\n");
        for minute in 0..300i64 {
            let mut rows: Vec<String> = (0..5)
                .map(|n| format!("{},s{n},{}\n", 1_700_006_400 + minute * 60, (minute + n) * 7 % (n + 2)))
                .collect();
            if is_reversed {
                rows.reverse();
            }
            table.extend(rows);
        }
        table
    };
    let sorted = |is_reversed: bool| {
        let text = stdout(&score(&[], table(is_reversed).as_bytes()));
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(false), sorted(true));
}

#[test]
fn a_missing_row_is_zero_or_a_gap() {
    // Two services; one falls silent for ten hours, then has its usual count again.
    let mut table = String::from("timestamp,service,count\n");
    for minute in 0..3000i64 {
        let time = 1_700_006_400 + minute * 60;
        writeln!(table, "{time},steady,4").expect("a string can be written");
        if !(1800..2400).contains(&minute) {
            writeln!(table, "{time},other,4").expect("a string can be written");
        }
    }
    let expected_at_return = |missing: &str| {
        let text = stdout(&score(&["--missing", missing], table.as_bytes()));
        let returned = format!("{},other,", 1_700_006_400 + 2400 * 60);
        let row =
            text.lines().find(|line| line.starts_with(&returned)).expect("the service returns").to_owned();
        row.split(',').nth(3).and_then(|field| field.parse::<f64>().ok()).expect("expected is a number")
    };
    let (zero, gap) = (expected_at_return("zero"), expected_at_return("gap"));
    assert!(zero < 0.95 * gap, "zeros lower the expectation, a gap does not: {zero} against {gap}");
}

#[track_caller]
fn check_refused(arguments: &[&str], table: &str, expected: &str) {
    let output = score(arguments, table.as_bytes());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{table:?}: {message}");
    assert!(message.contains(expected), "expected {expected:?} in {message:?}");
}

#[test]
fn bad_input_is_refused_with_line_column_and_reason() {
    let header = "timestamp,service,count\n";
    check_refused(&[], "", "standard input:1: the table is empty");
    check_refused(&[], "1700000040,a,1\n", "there is no column `timestamp`");
    check_refused(&[], "timestamp,count,count\n", "two columns are named `count`");
    check_refused(&[], &format!("{header}noon,a,1\n"), ":2: column 1 (`timestamp`): \"noon\" is not a time");
    check_refused(&[], &format!("{header}1700000040,a,-4\n"), ":2: column 3 (`count`): -4 is negative");
    check_refused(&[], &format!("{header}1700000040,a,0.5\n"), "0.5 is fractional");
    check_refused(&[], &format!("{header}1700000040,a,99999999999\n"), "too large");
    let back = format!("{header}1700000100,a,1\n1700000040,a,1\n");
    check_refused(&[], &back, ":3: the time goes back");
    let twice = format!("{header}1700000040,a,1\n1700000040,b,1\n1700000040,a,2\n");
    check_refused(&[], &twice, ":4: service \"a\" has a row for this time already, in line 2");
    let off = format!("{header}1700000040,a,1\n1700000100,a,1\n1700000190,a,1\n");
    check_refused(&[], &off, ":4: the time is off the grid of 60 s");
    check_refused(&[], &off, "such as --bin 30s");
    let crlf = format!("{header}1700000040,a,1\n\n1700000100,a,x\n").replace('\n', "\r\n");
    check_refused(&[], &crlf, ":4: column 3");
    let hourly = format!("{header}1700002800,a,1\n1700006400,a,1\n");
    check_refused(
        &["--false-alarms-per-service-year", "500"],
        &hourly,
        "with a step of 3600 s: `false_alarms",
    );
    check_refused(&[], &format!("{header}1700000040,a,1\n1700007240,a,1\n"), "give it with --bin");
    check_refused(&[], &format!("{header}1700000040,a,1\n1800000000,a,1\n"), "over a year");
    check_refused(&["--false-alarms-per-service-year", "0"], header, "`false_alarms_per_service_year` is 0");
}

#[test]
fn rows_before_a_bad_one_are_answered() {
    let output = score(&[], b"timestamp,count\n1700000040,1\n1700000100,1\n1700000160,x\n");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output).lines().count(), 2, "the header and the first time; the second is still open");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_groundswell"))
        .args(["score", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    drop(stdin.write_all(table(0..0).as_bytes()));
    drop(stdin);
    assert!(child.wait().expect("the binary ends").success());
}

#[test]
fn a_time_is_answered_when_the_next_arrives() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_groundswell"))
        .args(["score", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    let mut answers = BufReader::new(child.stdout.take().expect("standard output is a pipe")).lines();
    stdin.write_all(b"timestamp,count\n1700000040,1\n1700000100,2\n").expect("the binary reads");
    let mut next = || answers.next().expect("the answer comes while the input is open").expect("in UTF-8");
    assert_eq!(next(), "timestamp,service,count,expected,score,state");
    assert!(next().starts_with("1700000040,series,1,"));
    stdin.write_all(b"1700000160,3\n").expect("the binary reads");
    assert!(next().starts_with("1700000100,series,2,"));
    drop(stdin);
    assert!(child.wait().expect("the binary ends").success());
}
