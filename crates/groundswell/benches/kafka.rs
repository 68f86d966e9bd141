//! The figures that `run` owes, beside a real Kafka: `cargo bench -p groundswell --bench kafka -- --quick`.
//!
//! Needs `GROUNDSWELL_TEST_KAFKA=127.0.0.1:PORT` (`scripts/kafka/kafka start DIR`). What a post costs is the slope between
//! a small and a large backlog, so that starting up does not count; the library alone, reading the same topic in this
//! process, is what it is held against. `--quick` takes a fifth of the posts.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use made::{Dice, catalogue_text, post};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

mod made;

const N_SERVICES: usize = 1000;
const PER_MINUTE: usize = 20_000;
/// Linux counts processor time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a finished process used.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    cpu_s: f64,
    wall_s: f64,
    peak_mib: f64,
}

/// An installation of its own.
struct Bench {
    bootstrap: String,
    prefix: String,
    folder: tempfile::TempDir,
    catalogue: PathBuf,
}

impl Bench {
    fn new(bootstrap: &str, name: &str, n_services: usize, n_partitions: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let catalogue = folder.path().join("catalogue.toml");
        fs::write(&catalogue, catalogue_text(n_services)).expect("it can be written");
        let prefix = format!("bench-{}-{name}", std::process::id());
        let bench = Self { bootstrap: bootstrap.to_owned(), prefix, folder, catalogue };
        bench.finish(&["topics", "create", "--partitions", &n_partitions.to_string()]);
        bench
    }

    fn posts_topic(&self) -> String {
        format!("{}.posts", self.prefix)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundswell"));
        command.args(args).args(["--bootstrap", &self.bootstrap, "--prefix", &self.prefix]);
        command.args(["--posts-topic", &self.posts_topic()]).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn finish(&self, args: &[&str]) {
        let done = self.command(args).output().expect("the program starts");
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Publishes lines.
    fn publish(&self, lines: impl Iterator<Item = String>) {
        let path = self.folder.path().join("posts.jsonl");
        let mut file = BufWriter::new(File::create(&path).expect("it can be written"));
        lines.for_each(|line| writeln!(file, "{line}").expect("it can be written"));
        file.flush().expect("it can be written");
        self.finish(&["replay", path.to_str().expect("UTF-8"), "--to", "kafka"]);
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn start(&self, name: &str, args: &[&str]) -> Child {
        let mut command = self.command(&[&["run", "--no-builtin-catalog"], args].concat());
        command.arg("--catalog").arg(&self.catalogue);
        command.stderr(File::create(self.log(name)).expect("a log can be written"));
        command.spawn().expect("the program starts")
    }

    /// Runs one role over what there is.
    fn run(&self, role: &str) -> Usage {
        let started = Instant::now();
        let mut child = self.start(role, &["--role", role, "--until-end"]);
        let mut usage = Usage::default();
        loop {
            if let Some(now) = usage_of(child.id()) {
                usage = now;
            }
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                assert!(status.success(), "{}", fs::read_to_string(self.log(role)).unwrap_or_default());
                return Usage { wall_s: started.elapsed().as_secs_f64(), ..usage };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Processor time and peak memory of a process, if it is still there.
fn usage_of(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |nth: usize| fields.get(nth)?.parse::<f64>().ok();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = peak.split_whitespace().nth(1)?.parse().ok()?;
    Some(Usage { cpu_s: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND, wall_s: 0.0, peak_mib: kib / 1024.0 })
}

/// What the library needs to read the topic and do nothing, in this process.
fn read_bare(bootstrap: &str, topic: &str, n_partitions: i32, n_posts: usize) -> f64 {
    let before = usage_of(std::process::id()).expect("we are there").cpu_s;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bench-bare")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer can be made");
    let mut all = rdkafka::TopicPartitionList::new();
    for partition in 0..n_partitions {
        all.add_partition_offset(topic, partition, rdkafka::Offset::Beginning).expect("a good offset");
    }
    consumer.assign(&all).expect("they can be assigned");
    let mut n_read = 0;
    while n_read < n_posts {
        n_read += usize::from(matches!(consumer.poll(Duration::from_millis(100)), Some(Ok(_))));
    }
    usage_of(std::process::id()).expect("we are there").cpu_s - before
}

fn made(n_posts: usize, n_services: usize) -> impl Iterator<Item = String> {
    let mut dice = Dice(1);
    (0..n_posts).map(move |number| post(number, n_services, PER_MINUTE, &mut dice))
}

/// Slope between a small and a large backlog, a post.
fn cost_a_post(bootstrap: &str, n_posts: usize) {
    let sizes = [n_posts / 4, n_posts];
    let mut of_size = Vec::new();
    for n in sizes {
        let bench = Bench::new(bootstrap, &format!("cost{n}"), N_SERVICES, 3);
        bench.publish(made(n, N_SERVICES));
        let bare = read_bare(bootstrap, &bench.posts_topic(), 3, n);
        of_size.push((bare, bench.run("ingest"), bench.run("detect")));
    }
    let more = (sizes[1] - sizes[0]) as f64;
    let slope = |of: &dyn Fn(&(f64, Usage, Usage)) -> f64| (of(&of_size[1]) - of(&of_size[0])) / more * 1e6;
    let (bare, ingest) = (slope(&|run| run.0), slope(&|run| run.1.cpu_s));
    println!("ingest, {n_posts} posts, {N_SERVICES} services, 3 partitions, broker beside it:");
    println!(
        "  CPU a post {ingest:.2} us (aim 2), the library alone {bare:.2} us, ratio {:.2}",
        ingest / bare
    );
    println!("  {:.2} million posts/s", 1.0 / slope(&|run| run.1.wall_s));
    println!("  peak memory {:.0} MiB", of_size[1].1.peak_mib);
    let detect = slope(&|run| run.2.cpu_s);
    println!("detect of the same: {detect:.3} us of CPU a post, {:.0} MiB", of_size[1].2.peak_mib);
}

/// A role that stands still while the other has a backlog.
fn memory_while_detect_is_stalled(bootstrap: &str, n_posts: usize) {
    let bench = Bench::new(bootstrap, "stalled", N_SERVICES, 3);
    bench.publish(made(n_posts, N_SERVICES));
    let ingest = bench.run("ingest");
    let detect = bench.run("detect");
    println!(
        "a backlog of {n_posts} posts and complaints: ingest {:.0} MiB, detect {:.0} MiB at the most",
        ingest.peak_mib, detect.peak_mib
    );
}

/// The state of ten thousand services, restored by a process that takes them over.
fn restore(bootstrap: &str) {
    const MANY: usize = 10_000;
    let bench = Bench::new(bootstrap, "restore", MANY, 1);
    let mut dice = Dice(3);
    let line = |number: usize, dice: &mut Dice| {
        let service = made::name(number % MANY);
        let ms = 1_700_000_000_000 + number as u64 * 100;
        format!(
            "{{\"id\":\"{number}\",\"created_at\":{ms},\"author\":\"user{}\",\"text\":\"{service} is down again\"}}",
            dice.below(2_000_000)
        )
    };
    bench.publish((0..MANY * 4).map(|number| line(number, &mut dice)));
    bench.run("ingest");
    bench.run("detect");
    let mut again = bench.start("again", &["--role", "detect"]);
    let log = || fs::read_to_string(bench.log("again")).unwrap_or_default();
    while !log().contains("state restored") && again.try_wait().expect("it can be waited for").is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    again.kill().expect("it can be killed");
    again.wait().expect("it ends");
    let log = log();
    let number = |name: &str| {
        log.split_whitespace().find_map(|word| word.strip_prefix(name)).unwrap_or("?").to_owned()
    };
    println!(
        "restore of {MANY} services: {} ms for {} entries (aim 2000)",
        number("elapsed_ms="),
        number("n_entries=")
    );
}

/// From the post that closes a minute to the alert, over the alerts of many outages.
fn alert_latency(bootstrap: &str) {
    const N_OUTAGES: usize = 60;
    let bench = Bench::new(bootstrap, "latency", N_SERVICES, 1);
    let mut dice = Dice(4);
    let start_ms = 1_700_000_000_000i64 / 60_000 * 60_000;
    let mut number = 0;
    let mut minute_of_posts = |minute: usize, dice: &mut Dice| {
        let mut lines = Vec::new();
        let mut say = |text: String, second: usize, dice: &mut Dice| {
            number += 1;
            let ms = start_ms + (minute * 60 + second) as i64 * 1000;
            let author = dice.below(2_000_000_000);
            lines.push(format!(
                "{{\"id\":\"{number}\",\"created_at\":{ms},\"author\":\"{author}\",\"text\":\"{text}\"}}"
            ));
        };
        for second in 0..60 {
            say("what a lovely morning".to_owned(), second, dice);
            // After two hours a service a minute falls, for good.
            for service in 0..minute.saturating_sub(120).min(N_OUTAGES) {
                if second % 4 == 0 {
                    say(format!("{} is down again", made::name(service)), second, dice);
                }
            }
        }
        lines
    };
    bench.publish(
        (0..120).flat_map(|minute| minute_of_posts(minute, &mut dice)).collect::<Vec<_>>().into_iter(),
    );
    let mut run = bench.start("both", &[]);
    let mut tail = bench.command(&["tail", "--json", "--from-beginning"]);
    let mut tail = tail.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let (sender, alerts) = std::sync::mpsc::channel();
    let lines = std::io::BufReader::new(tail.stdout.take().expect("it is piped"));
    std::thread::spawn(move || {
        use std::io::BufRead as _;
        for line in lines.lines().map_while(Result::ok) {
            if sender.send((Instant::now(), line)).is_err() {
                break;
            }
        }
    });
    let mut latencies = Vec::new();
    for minute in 120..120 + N_OUTAGES + 8 {
        // Its last posts are what closes the minute before, with half a minute of lateness.
        bench.publish(minute_of_posts(minute, &mut dice).into_iter());
        let published = Instant::now();
        while let Ok((at, line)) = alerts.recv_timeout(Duration::from_millis(1200)) {
            assert!(line.contains("\"time\""), "an event has a time");
            latencies.push(at.saturating_duration_since(published).as_secs_f64());
            if latencies.len() % 4 == 0 {
                continue;
            }
        }
    }
    [&mut run, &mut tail].into_iter().for_each(|child| {
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    });
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "alert after the post that closes its minute, {} alerts: median {:.2} s, p99 {:.2} s (aim 1)",
        latencies.len(),
        at(0.5),
        at(0.99)
    );
}

fn main() {
    let Some(bootstrap) = std::env::var("GROUNDSWELL_TEST_KAFKA").ok().filter(|value| !value.is_empty())
    else {
        println!("left out: GROUNDSWELL_TEST_KAFKA names no broker");
        return;
    };
    assert!(Path::new("/proc/self/stat").exists(), "processor time is read from /proc");
    let n_posts = if std::env::args().any(|arg| arg == "--quick") { 1_000_000 } else { 5_000_000 };
    cost_a_post(&bootstrap, n_posts);
    memory_while_detect_is_stalled(&bootstrap, n_posts);
    restore(&bootstrap);
    alert_latency(&bootstrap);
}
