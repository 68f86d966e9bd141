//! An installation under test: topics of its own on a broker, processes, and what they publish.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::common::{Folder, Run, fixture_posts, groundswell, lines, read_text, root};
use crate::topic::{self, Topic};

/// The variable that names the broker.
const BROKER_VARIABLE: &str = "GROUNDSWELL_TEST_KAFKA";
/// How long anything may take before a test is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Says what a test leaves out and why, past the harness: that keeps to itself what a test prints that passes.
pub(crate) fn say_left_out(why: &str, what: &str) {
    let line = format!("left out, for {why}: {what}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("stderr can be written");
}

/// The shared broker; `None`, having said so, where there is none.
pub(crate) fn broker(left_out: &str) -> Option<String> {
    let found = std::env::var(BROKER_VARIABLE).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        say_left_out(&format!("{BROKER_VARIABLE} is not set"), left_out);
    }
    found
}

/// The shared broker, if there is one and the program can be made to fail.
pub(crate) fn broker_to_fail(left_out: &str) -> Option<String> {
    let broker = broker(left_out)?;
    if !cfg!(feature = "failpoints") {
        say_left_out("the program is built without the feature failpoints", left_out);
        return None;
    }
    Some(broker)
}

/// A cluster of the test's own, stopped and removed at its end.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: Folder,
    pub(crate) bootstrap: String,
}

impl Cluster {
    /// Starts one of `n_nodes` (1 or 3), with further `properties` for each broker.
    pub(crate) fn start(n_nodes: u32, properties: &str) -> Self {
        Self::start_with(n_nodes, &[("KAFKA_EXTRA_PROPS", properties)])
    }

    /// Starts one with these variables of the script.
    pub(crate) fn start_with(n_nodes: u32, variables: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let mut command = script(&["start", &folder.path("kafka"), &n_nodes.to_string()]);
        let started = command.envs(variables.iter().copied()).output().expect("the script can be run");
        let text = String::from_utf8_lossy(&started.stdout).into_owned();
        let bootstrap = text.trim().strip_prefix("bootstrap.servers=").map(str::to_owned);
        let said = String::from_utf8_lossy(&started.stderr);
        let bootstrap = bootstrap.unwrap_or_else(|| panic!("a cluster must start; it says:\n{text}{said}"));
        Self { folder, bootstrap }
    }

    /// Runs the script on this cluster: `stop`, `start`, `kill ID`, `pause ID`, `resume ID`.
    #[track_caller]
    pub(crate) fn control(&self, command: &str, arguments: &[&str]) {
        let done =
            script(&[&[command, &self.folder.path("kafka")], arguments].concat()).output().expect("it runs");
        assert!(done.status.success(), "{command} must succeed: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Waits until every replica has what its leader has: whoever then loses a node loses no more than that.
    pub(crate) fn wait_until_in_sync(&self) {
        wait_until("all replicas are in sync", || topic::is_in_sync(&self.bootstrap));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test that paused or killed nodes must not leave any behind; what it says does not matter any more.
        drop(script(&["kill", &self.folder.path("kafka")]).output());
    }
}

/// The first of `posts`, lines of a fixture, that was posted at or after `time`.
pub(crate) fn first_at(posts: &[&[u8]], time: &str) -> usize {
    let is_later = |line: &&[u8]| {
        let post: serde_json::Value = serde_json::from_slice(line).expect("a post of a fixture is JSON");
        post["created_at"].as_str().expect("it has a time") >= time
    };
    posts.iter().position(is_later).expect("there are posts as late as that")
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(root().join("scripts/kafka/kafka"));
    command.args(arguments);
    command
}

/// An installation: its own topics and groups.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) bootstrap: String,
    pub(crate) prefix: String,
    pub(crate) folder: Folder,
    n_partitions: u32,
    n_processes: AtomicU32,
}

impl System {
    /// Creates the topics, the posts topic with `n_partitions`.
    pub(crate) fn new(bootstrap: &str, n_partitions: u32) -> Self {
        Self::with_topics(bootstrap, n_partitions, |_| {})
    }

    /// The same, where `create` has made some of the topics before.
    pub(crate) fn with_topics(bootstrap: &str, n_partitions: u32, create: impl FnOnce(&Self)) -> Self {
        static N_SYSTEMS: AtomicU32 = AtomicU32::new(0);
        let nth = N_SYSTEMS.fetch_add(1, Ordering::Relaxed);
        // A broker that stays for long sees the numbers of processes come again.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        let system = Self {
            bootstrap: bootstrap.to_owned(),
            prefix: format!("test-{}-{}-{nth}", since.as_secs(), std::process::id()),
            folder: Folder::new(),
            n_partitions,
            n_processes: AtomicU32::new(0),
        };
        create(&system);
        system.run(&["topics", "create", "--partitions", &n_partitions.to_string()]).exits(0);
        system
    }

    /// The same installation, its brokers found at another address.
    pub(crate) fn through(&self, bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            prefix: self.prefix.clone(),
            folder: Folder::new(),
            n_partitions: self.n_partitions,
            n_processes: AtomicU32::new(0),
        }
    }

    /// The name of the posts topic.
    pub(crate) fn posts_topic(&self) -> String {
        format!("{}.posts", self.prefix)
    }

    /// The options that name this installation.
    fn options(&self) -> [String; 6] {
        let option = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
        let (bootstrap, prefix) = (option("--bootstrap", &self.bootstrap), option("--prefix", &self.prefix));
        let posts = option("--posts-topic", &self.posts_topic());
        let [[a, b], [c, d], [e, f]] = [bootstrap, prefix, posts];
        [a, b, c, d, e, f]
    }

    /// The program with these arguments and the options of this installation, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = groundswell();
        command.args(args).args(self.options());
        command
    }

    /// Runs a command of the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).stdin(Stdio::null()).output().expect("the program starts"))
    }

    /// Publishes a file of posts.
    pub(crate) fn publish(&self, file: &str) {
        self.run(&["replay", file, "--to", "kafka"]).exits(0);
    }

    /// The posts of a fixture in `n` slices, as files.
    pub(crate) fn slices(&self, fixture: &str, n: usize) -> Vec<String> {
        let posts = fixture_posts(fixture);
        let lines = lines(&posts);
        let write = |(nth, slice): (usize, &[&[u8]])| {
            self.folder.write(&format!("slice-{nth}.jsonl"), slice.concat())
        };
        lines.chunks(lines.len().div_ceil(n)).enumerate().map(write).collect()
    }

    /// Publishes lines, each with its end.
    pub(crate) fn publish_lines(&self, lines: &[&[u8]]) {
        let nth = self.n_processes.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.write(&format!("process-{nth}.jsonl"), lines.concat());
        self.publish(&file);
    }

    /// Starts to publish a file at a multiple of the speed of life. It waits for brokers that are away, as a publisher
    /// does.
    pub(crate) fn start_publishing(&self, file: &str, speed: u32) -> Process {
        self.spawn(&["replay", file, "--to", "kafka", "--speed", &format!("{speed}x")], &[])
    }

    /// One of its own topics: `alerts`, `state`, `complaints`, `dead-letter`, `posts`.
    pub(crate) fn topic(&self, name: &str) -> Topic {
        Topic::new(&self.bootstrap, &format!("{}.{name}", self.prefix))
    }

    /// How far detect has come in the complaints; `None` if it has not begun or the broker does not answer.
    pub(crate) fn position(&self) -> Option<i64> {
        self.topic("complaints").committed(&format!("{}-detect", self.prefix), 0)
    }

    /// Waits until detect has come further than `position`; gives how long that took.
    #[track_caller]
    pub(crate) fn wait_for_progress(&self, position: Option<i64>) -> Duration {
        self.wait_until("detect makes progress", || self.position() > position)
    }

    /// How many posts have been published.
    pub(crate) fn n_posts_published(&self) -> usize {
        let n_in = |partition| self.topic("posts").watermarks(partition).expect("the broker answers").1;
        usize::try_from(self.partitions().map(n_in).sum::<i64>()).expect("offsets count from 0")
    }

    /// The partitions of the posts topic.
    fn partitions(&self) -> std::ops::Range<i32> {
        0..i32::try_from(self.n_partitions).expect("there are few")
    }

    /// Waits until ingest has read all posts and detect has taken all complaints that came of them.
    #[track_caller]
    pub(crate) fn wait_until_caught_up(&self) {
        let (posts, complaints) = (self.topic("posts"), self.topic("complaints"));
        let end = |topic: &Topic, partition| topic.watermarks(partition).map_or(0, |(_, end)| end);
        let group = format!("{}-ingest", self.prefix);
        for partition in self.partitions() {
            let written = end(&posts, partition);
            let is_read = || written == 0 || posts.committed(&group, partition) >= Some(written);
            self.wait_until("all posts are read", is_read);
        }
        let told = end(&complaints, 0);
        self.wait_until("all complaints are taken", || self.position() >= Some(told));
    }

    /// As [`wait_until`]; who waits in vain is shown the logs. Gives how long it took.
    #[track_caller]
    fn wait_until(&self, what: &str, is_so: impl FnMut() -> bool) -> Duration {
        let took = try_wait_until(is_so);
        took.unwrap_or_else(|| panic!("waited {} s until {what}\n{}", PATIENCE.as_secs(), self.logs()))
    }

    /// Starts `groundswell run` with further arguments and variables.
    pub(crate) fn start(&self, args: &[&str], variables: &[(&str, &str)]) -> Process {
        self.spawn(&[&["run"], args].concat(), variables)
    }

    fn spawn(&self, args: &[&str], variables: &[(&str, &str)]) -> Process {
        let nth = self.n_processes.fetch_add(1, Ordering::Relaxed);
        let log = PathBuf::from(self.folder.path(&format!("process-{nth}.log")));
        let mut command = self.command(args);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&log).expect("a log can be written"));
        Process { child: command.spawn().expect("the program starts"), log }
    }

    /// Runs `n` processes until the end of what is there now; all must succeed.
    #[track_caller]
    pub(crate) fn run_until_end(&self, n: usize) {
        let processes: Vec<Process> = (0..n).map(|_| self.start(&["--until-end"], &[])).collect();
        processes.into_iter().for_each(|mut process| process.wait_for_success());
    }

    /// Everything on the alerts topic, as `replay` would print it.
    pub(crate) fn alerts(&self) -> String {
        let tail = self.run(&["tail", "--json", "--from-beginning", "--until-end"]).exits(0);
        String::from_utf8(tail.stdout).expect("events are UTF-8")
    }

    /// The alerts must be these, byte for byte.
    #[track_caller]
    pub(crate) fn check_alerts(&self, expected: &str) {
        let found = self.alerts();
        if found != expected {
            let line = expected.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
            let at = |text: &str| text.lines().nth(line).unwrap_or("(no more events)").to_owned();
            panic!(
                "{}: the alerts part from the replay's at line {}\n- {}\n+ {}\n{}",
                self.prefix,
                line + 1,
                at(expected),
                at(&found),
                self.logs()
            );
        }
    }

    /// The ends of all logs, for the message of a test that fails.
    pub(crate) fn logs(&self) -> String {
        let n = self.n_processes.load(Ordering::Relaxed);
        let tail = |nth: u32| {
            let text = std::fs::read_to_string(self.folder.path(&format!("process-{nth}.log")));
            let text = text.unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("process {nth}:\n  {}\n", lines[lines.len().saturating_sub(15)..].join("\n  "))
        };
        (0..n).map(tail).collect()
    }
}

/// A running `groundswell run`, killed at the end of the test if it still runs.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        read_text(&self.log)
    }

    /// Waits until its log says `text`.
    #[track_caller]
    pub(crate) fn wait_until_it_says(&self, text: &str) {
        wait_until(&format!("it says {text:?}"), || self.log().contains(text));
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_some()
    }

    /// Waits for its end; gives its exit code, or `None` if a signal ended it.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let start = Instant::now();
        while !self.has_ended() {
            assert!(start.elapsed() < PATIENCE, "it must end; it says:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.wait().expect("it can be waited for").code()
    }

    #[track_caller]
    pub(crate) fn wait_for_success(&mut self) {
        let code = self.wait();
        assert_eq!(code, Some(0), "it must succeed; it says:\n{}", self.log());
    }

    /// Sends a signal: `TERM` as an orchestrator does, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        send_signal(&self.child, name);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill();
        }
    }
}

/// Sends `child` the signal called `name`, such as `INT`.
#[track_caller]
pub(crate) fn send_signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill can be run").success(), "the process is there");
}

/// Looks again and again, ever more rarely, until `is_so`.
#[track_caller]
pub(crate) fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(try_wait_until(is_so).is_some(), "waited {} s until {what}", PATIENCE.as_secs());
}

/// The same; gives how long it took, or `None` if patience ended first.
fn try_wait_until(mut is_so: impl FnMut() -> bool) -> Option<Duration> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(5);
    while !is_so() {
        if start.elapsed() >= PATIENCE {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    Some(start.elapsed())
}
