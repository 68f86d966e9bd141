//! What the end-to-end tests share: the program under test, the fixtures, made-up feeds, and the invariants that hold
//! for every stream of events, written once.

#![allow(dead_code, reason = "every test binary has its own copy and uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The data sets in `fixtures/`.
pub(crate) const FIXTURES: [&str; 4] =
    ["spotify-2023-04-20", "viral-not-down", "cloud-cascade", "noisy-real"];

/// The root of the repository, where the program is run so that messages name the same paths everywhere.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// A file of a fixture.
pub(crate) fn fixture(name: &str, file: &str) -> PathBuf {
    root().join("fixtures").join(name).join(file)
}

/// Reads a file that must be there.
#[track_caller]
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{} must be readable: {error}", path.display()))
}

/// Reads a text that must be there.
#[track_caller]
pub(crate) fn read_text(path: &Path) -> String {
    String::from_utf8(read(path)).unwrap_or_else(|_| panic!("{} must be UTF-8", path.display()))
}

/// The posts of a fixture, unpacked.
pub(crate) fn fixture_posts(name: &str) -> Vec<u8> {
    zstd::decode_all(read(&fixture(name, "posts.jsonl.zst")).as_slice()).expect("a fixture unpacks")
}

/// The lines of a file, each with its end.
pub(crate) fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n').collect()
}

/// Packs as gzip.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory can be written");
    packed.finish().expect("memory can be written")
}

/// A directory of the test's own, removed at its end.
#[derive(Debug)]
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory can be made"))
    }

    /// The path of a file in it, there or not.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("temporary paths are UTF-8").to_owned()
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("a temporary file can be written");
        path
    }

    /// Reads one of its files.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> String {
        read_text(Path::new(&self.path(name)))
    }
}

/// The program under test.
pub(crate) fn groundswell() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_groundswell"));
    command.current_dir(root());
    command
}

/// How a run of the program ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).expect("messages are UTF-8");
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }

    /// Itself, if the exit code is the expected one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "the exit code must be {code}; stderr:\n{}", self.stderr);
        self
    }

    /// Itself, if stderr says all of this.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "stderr must say {part:?}; it says:\n{}", self.stderr);
        }
        self
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is UTF-8")
    }

    /// The events on stdout, which must keep every invariant.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Event> {
        checked_events(self.text())
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary::parse(&self.stderr)
    }
}

/// Runs the program to its end, with an empty stdin.
pub(crate) fn run(args: &[&str]) -> Run {
    Run::of(groundswell().args(args).stdin(Stdio::null()).output().expect("the program starts"))
}

/// Runs the program to its end on this stdin.
pub(crate) fn run_on(args: &[&str], stdin: &[u8]) -> Run {
    let mut command = groundswell();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut pipe = child.stdin.take().expect("stdin is piped");
    std::thread::scope(|scope| {
        // It may end before it has read everything: what it made of that is for the test to judge.
        scope.spawn(move || pipe.write_all(stdin).unwrap_or_default());
        Run::of(child.wait_with_output().expect("the program ends"))
    })
}

/// Runs `groundswell replay`, which must succeed.
#[track_caller]
pub(crate) fn replay(args: &[&str]) -> Run {
    run(&[&["replay"], args].concat()).exits(0)
}

/// The numbers of the summary on stderr.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) n_lines: u64,
    pub(crate) n_before: u64,
    pub(crate) outcomes: BTreeMap<String, u64>,
    pub(crate) n_minutes: u64,
    pub(crate) n_services: u64,
    pub(crate) n_without_author: u64,
    pub(crate) n_started: u64,
    pub(crate) n_suspected_only: u64,
}

impl Summary {
    #[track_caller]
    fn parse(stderr: &str) -> Self {
        let numbers = |line: &str| -> Vec<u64> {
            line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
        };
        let find = |mark: &str| {
            let found = stderr.lines().find(|line| line.contains(mark));
            found.map(numbers).unwrap_or_else(|| panic!("the summary must have {mark:?}:\n{stderr}"))
        };
        let head = stderr
            .lines()
            .find(|line| line.starts_with(|c: char| c.is_ascii_digit()) && (line.contains(" line")));
        let head = numbers(head.unwrap_or_else(|| panic!("the summary must begin with lines:\n{stderr}")));
        let outcomes = stderr.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let n = words.next()?.parse().ok()?;
            let _share: f64 = words.next()?.parse().ok()?;
            (words.next()? == "%").then_some(())?;
            Some((words.next()?.to_owned(), n))
        });
        let closed = find(" closed, ");
        let outages = find(" suspected only");
        Self {
            n_lines: head[0],
            n_before: head.get(1).copied().unwrap_or(0),
            outcomes: outcomes.collect(),
            n_minutes: closed[0],
            n_services: closed[1],
            n_without_author: closed.get(2).copied().unwrap_or(0),
            n_started: outages[0],
            n_suspected_only: outages[1],
        }
    }

    /// How many inputs ended in this outcome.
    pub(crate) fn of(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }

    /// Every input must end in exactly one outcome.
    #[track_caller]
    pub(crate) fn check_totals(&self) {
        let total: u64 = self.outcomes.values().sum();
        assert_eq!(total, self.n_lines + self.n_before, "outcomes must add up to the lines read: {self:?}");
    }
}

/// One event, as far as the tests look into it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) service: String,
    pub(crate) outage_id: String,
    pub(crate) time: Timestamp,
    pub(crate) started_at: Timestamp,
    pub(crate) detected_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) json: Value,
}

impl Event {
    #[track_caller]
    fn parse(line: &str) -> Self {
        let json: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
        let faults = schema_faults(&json);
        assert!(faults.is_empty(), "the event must fit its schema:\n{faults}{json}");
        let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let needed = |pointer: &str| text(pointer).unwrap_or_else(|| panic!("{pointer} is missing: {line}"));
        let kind =
            needed("/type").trim_start_matches("groundswell.outage.").trim_end_matches(".v1").to_owned();
        Self {
            kind,
            service: needed("/data/service"),
            outage_id: needed("/data/outage_id"),
            time: time(&needed("/time")),
            started_at: time(&needed("/data/started_at")),
            detected_at: time(&needed("/data/detected_at")),
            ended_at: text("/data/ended_at").map(|text| time(&text)),
            json,
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.json["id"].as_str().expect("the schema asks for a string")
    }

    /// Its count of complaints with this symptom.
    pub(crate) fn symptom(&self, name: &str) -> u64 {
        self.json["data"]["symptoms"][name].as_u64().unwrap_or(0)
    }
}

#[track_caller]
pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text:?} must be a time: {error}"))
}

/// A schema of the repository.
fn validator(file: &str) -> jsonschema::Validator {
    let schema = serde_json::from_str(&read_text(&root().join("schemas").join(file)));
    jsonschema::draft202012::new(&schema.expect("the schema is JSON")).expect("the schema is a JSON Schema")
}

/// What the schema of its kind has against an event, a line each.
fn schema_faults(event: &Value) -> String {
    static OUTAGE: OnceLock<jsonschema::Validator> = OnceLock::new();
    static FEED: OnceLock<jsonschema::Validator> = OnceLock::new();
    let is_of_feed = event["type"].as_str().is_some_and(|kind| kind.starts_with("groundswell.feed."));
    let validator = if is_of_feed {
        FEED.get_or_init(|| validator("feed-event.v1.schema.json"))
    } else {
        OUTAGE.get_or_init(|| validator("outage-event.v1.schema.json"))
    };
    let mut faults = String::new();
    for error in validator.iter_errors(event) {
        writeln!(faults, "  at {}: {error}", error.instance_path()).expect("a string can be written");
    }
    faults
}

/// Whether an event has the form that the schema promises.
pub(crate) fn fits_schema(event: &Value) -> bool {
    schema_faults(event).is_empty()
}

/// Updates of an outage come at least this long after its last event.
const UPDATE_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

/// Parses a stream of events and checks everything that holds for any such stream.
#[track_caller]
pub(crate) fn checked_events(text: &str) -> Vec<Event> {
    let events: Vec<Event> = text.lines().map(Event::parse).collect();
    check_order_and_ids(&events);
    let mut by_service: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in &events {
        by_service.entry(&event.service).or_default().push(event);
    }
    for of_service in by_service.values() {
        let mut outages: Vec<Vec<&Event>> = Vec::new();
        for event in of_service {
            match outages.last_mut() {
                Some(outage) if outage[0].outage_id == event.outage_id => outage.push(event),
                _ => outages.push(vec![event]),
            }
        }
        let ids: BTreeSet<&str> = outages.iter().map(|outage| outage[0].outage_id.as_str()).collect();
        assert_eq!(ids.len(), outages.len(), "outages of one service must not overlap: {ids:?}");
        for (position, outage) in outages.iter().enumerate() {
            check_outage(outage);
            let is_over = matches!(outage[outage.len() - 1].kind.as_str(), "ended" | "retracted");
            assert!(
                is_over || position + 1 == outages.len(),
                "one outage of a service must be over before the next begins: {}",
                outage[0].outage_id
            );
        }
    }
    events
}

#[track_caller]
fn check_order_and_ids(events: &[Event]) {
    let ids: BTreeSet<&str> = events.iter().map(Event::id).collect();
    assert_eq!(ids.len(), events.len(), "no two events may share an id");
    for pair in events.windows(2) {
        assert!(pair[0].time <= pair[1].time, "{} must not come after {}", pair[0].id(), pair[1].id());
    }
    for event in events {
        let id = event.id();
        assert_eq!(event.json["subject"], event.json["data"]["service"], "{id}: the subject is the service");
        assert!(event.started_at < event.detected_at, "{id}: the onset must lie before the detection");
        assert!(event.detected_at <= event.time, "{id}: nothing is said before it is detected");
        for minute in [event.time, event.detected_at] {
            assert_eq!(minute.as_millisecond() % 60_000, 0, "{id}: {minute} must be the end of a minute");
        }
        if let Some(ended_at) = event.ended_at {
            assert!(ended_at <= event.time, "{id}: an end must not lie after its decision");
            let duration_s = event.json["data"]["duration_s"].as_i64();
            assert_eq!(
                duration_s,
                Some(ended_at.duration_since(event.started_at).as_secs()),
                "{id}: the duration must be from onset to end"
            );
        }
    }
}

/// One outage: suspected?, started?, updated*, then ended or retracted, and nothing after.
#[track_caller]
fn check_outage(events: &[&Event]) {
    let id = &events[0].outage_id;
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    for (position, event) in events.iter().enumerate() {
        let sequence = event.json["data"]["sequence"].as_u64();
        assert_eq!(sequence, Some(position as u64 + 1), "{id}: events must be numbered 1, 2, 3, …");
        assert_eq!(event.id(), format!("{id}-{}", position + 1), "{id}: an event's id has its number");
        let before = position.checked_sub(1).map(|before| kinds[before]);
        let may_follow = match event.kind.as_str() {
            "suspected" => before.is_none(),
            "started" => matches!(before, None | Some("suspected")),
            "updated" | "ended" => matches!(before, Some("started" | "updated")),
            "retracted" => before == Some("suspected"),
            other => panic!("{id}: unknown kind {other:?}"),
        };
        assert!(may_follow, "{id}: suspected?, started?, updated*, then ended or retracted, not {kinds:?}");
    }
    for pair in events.windows(2).filter(|pair| pair[1].kind == "updated") {
        let apart = pair[1].time.duration_since(pair[0].time);
        assert!(apart >= UPDATE_INTERVAL, "{}: an update must keep its distance, not {apart}", pair[1].id());
    }
}

/// A row of a fixture's `truth.csv`.
#[derive(Debug, Clone)]
pub(crate) struct TrueOutage {
    pub(crate) service: String,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

/// What really failed in a fixture.
pub(crate) fn truth(name: &str) -> Vec<TrueOutage> {
    let text = read_text(&fixture(name, "truth.csv"));
    let (header, rows) = text.split_once('\n').expect("the truth has a header");
    assert_eq!(header, "service,start_utc,end_utc,kind", "the truth has these columns");
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        TrueOutage { service: fields[0].to_owned(), start: time(fields[1]), end: time(fields[2]) }
    };
    rows.lines().map(row).collect()
}

/// The services of the events of one kind, in the events' order.
pub(crate) fn services_of<'a>(events: &'a [Event], kind: &str) -> Vec<&'a str> {
    events.iter().filter(|event| event.kind == kind).map(|event| event.service.as_str()).collect()
}

/// A feed of one's own: chatter every 20 s, and complaints of ever new authors about one service.
#[derive(Debug)]
pub(crate) struct Feed {
    posts: Vec<(i64, String)>,
    n: usize,
}

/// When feeds begin: a Monday.
pub(crate) const FEED_START: &str = "2024-03-04T00:00:00Z";

impl Feed {
    /// A feed of `hours` with chatter alone.
    pub(crate) fn of_chatter(hours: i64) -> Self {
        let mut feed = Self { posts: Vec::new(), n: 0 };
        feed.post_every(20, 0, hours * 60, "what a lovely morning", "");
        feed
    }

    /// Two days in which `complaint` is heard every ten minutes, and six times a minute for an hour from 20:00 of the
    /// second day on. `extra` is spliced into each complaint's JSON.
    pub(crate) fn with_outage(complaint: &str, extra: &str) -> Self {
        let mut feed = Self::of_chatter(48);
        feed.post_every(600, 0, 48 * 60, complaint, extra);
        feed.post_every(10, 44 * 60, 45 * 60, complaint, extra);
        feed
    }

    /// Adds posts every `step_s` in the minutes `[from, to)` since the start.
    pub(crate) fn post_every(&mut self, step_s: i64, from: i64, to: i64, text: &str, extra: &str) {
        let start_ms = time(FEED_START).as_millisecond();
        for at_ms in (from * 60_000..to * 60_000).step_by(step_s as usize * 1000) {
            self.n += 1;
            let n = self.n;
            let at = Timestamp::from_millisecond(start_ms + at_ms).expect("a time in range");
            let text = Value::from(text);
            let post = format!(r#"{{"id":"p{n}","created_at":"{at}","author":"a{n}","text":{text}{extra}}}"#);
            self.posts.push((at_ms, post));
        }
    }

    /// Its lines in event time.
    pub(crate) fn to_jsonl(&self) -> String {
        let mut posts: Vec<&(i64, String)> = self.posts.iter().collect();
        posts.sort_by_key(|(at_ms, _)| *at_ms);
        posts.iter().fold(String::new(), |text, (_, post)| text + post + "\n")
    }
}
