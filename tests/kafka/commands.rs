//! The commands as a user meets them: what they print, how they fail, what they take from where.
//!
//! * `startup`: what is wrong with a connection is said at once, with its reason and where it was written.
//! * `secured`: clusters that ask for TLS, a password or a permission.
//! * `secrets`: no secret gets into a log or an error.
//! * `precedence`: option, environment, file, default.
//! * `tail`, `topics`, `replay`, `metrics`: one command each.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::common::{Folder, Run, read_text};
use crate::system::{System, send_signal, wait_until};

mod metrics;
mod precedence;
mod replay;
mod secrets;
mod secured;
mod startup;
mod tail;
mod topics;

/// An address at which nobody listens.
const NOBODY: &str = "127.0.0.1:1";
/// The broker is on this machine: whatever takes longer fails.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A command that runs beside the test, killed at its end.
#[derive(Debug)]
struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Starts a command of `system`; what it says goes to files whose names begin with `name`.
    fn start(system: &System, name: &str, args: &[&str]) -> Self {
        Self::start_in(&system.folder, name, system.command(args))
    }

    /// Starts `command`; what it says goes to files of `folder` whose names begin with `name`.
    fn start_in(folder: &Folder, name: &str, mut command: Command) -> Self {
        let path = |end: &str| PathBuf::from(folder.path(&format!("{name}.{end}")));
        let (stdout, stderr) = (path("stdout"), path("stderr"));
        let create = |path: &Path| File::create(path).expect("a file can be written");
        command.stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
        Self { child: command.spawn().expect("the program starts"), stdout, stderr }
    }

    fn stdout(&self) -> String {
        read_text(&self.stdout)
    }

    fn stderr(&self) -> String {
        read_text(&self.stderr)
    }

    #[track_caller]
    fn wait_until_stderr_says(&self, text: &str) {
        wait_until(&format!("stderr says {text:?}"), || self.stderr().contains(text));
    }

    /// Waits until Ctrl-C and SIGTERM do not end it any more but are heard.
    #[track_caller]
    fn wait_until_it_catches_signals(&self) {
        const INT_AND_TERM: u64 = 1 << 1 | 1 << 14;
        let path = format!("/proc/{}/status", self.child.id());
        wait_until("it catches signals", || {
            let status = std::fs::read_to_string(&path).unwrap_or_default();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
            mask & INT_AND_TERM == INT_AND_TERM
        });
    }

    /// Sends a signal such as `INT`.
    #[track_caller]
    fn signal(&self, name: &str) {
        send_signal(&self.child, name);
    }

    /// Waits for the end and gives what became of it.
    #[track_caller]
    fn ends(mut self) -> Run {
        wait_until("it ends", || self.child.try_wait().expect("it can be waited for").is_some());
        let status = self.child.wait().expect("it has ended");
        Run { code: status.code(), stdout: self.stdout().into_bytes(), stderr: self.stderr() }
    }

    /// Sends a signal, waits for the end and gives what became of it.
    #[track_caller]
    fn end_by(self, signal: &str) -> Run {
        self.signal(signal);
        self.ends()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended, and then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A client of the test's own, to look at the broker with and to put things there.
struct Client {
    config: ClientConfig,
}

impl Client {
    fn new(bootstrap: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        Self { config }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config.create().expect("the settings are good")
    }

    /// Creates a topic with these settings.
    fn create(&self, topic: &str, n_partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(topic, n_partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let made = block_on(self.admin().create_topics([&new], &options)).expect("the broker answers");
        made.into_iter().for_each(|made| drop(made.expect("the topic is made")));
        // The broker answers before it knows of the topic itself.
        wait_until("the topic is there", || self.n_partitions(topic) == Some(n_partitions as usize));
    }

    fn delete(&self, topic: &str) {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let deleted = block_on(self.admin().delete_topics(&[topic], &options)).expect("the broker answers");
        deleted.into_iter().for_each(|deleted| drop(deleted.expect("the topic goes")));
        wait_until("the topic is gone", || self.n_partitions(topic).is_none());
    }

    /// Adds partitions to a topic.
    fn grow(&self, topic: &str, n_partitions: usize) {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let grown = self.admin();
        let grown = block_on(grown.create_partitions([&NewPartitions::new(topic, n_partitions)], &options));
        grown.expect("the broker answers").into_iter().for_each(|grown| drop(grown.expect("it grows")));
        wait_until("the topic has grown", || self.n_partitions(topic) == Some(n_partitions));
    }

    fn consumer(&self) -> BaseConsumer {
        self.config.create().expect("the settings are good")
    }

    fn n_partitions(&self, topic: &str) -> Option<usize> {
        let metadata = self.consumer().fetch_metadata(Some(topic), TIMEOUT).expect("the broker answers");
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        found.filter(|found| found.error().is_none()).map(|found| found.partitions().len())
    }

    /// How many messages a topic has, all partitions together, marks of transactions included.
    fn n_messages(&self, topic: &str) -> i64 {
        let consumer = self.consumer();
        let n = self.n_partitions(topic).expect("the topic is there");
        let of = |partition| {
            let (low, high) =
                consumer.fetch_watermarks(topic, partition as i32, TIMEOUT).expect("the broker answers");
            high - low
        };
        (0..n).map(of).sum()
    }

    /// The values of everything on a topic, partition by partition.
    fn values(&self, topic: &str) -> Vec<Vec<u8>> {
        use rdkafka::{Message, Offset, TopicPartitionList};
        let mut config = self.config.clone();
        config.set("group.id", "test-values").set("enable.partition.eof", "true");
        let mut values = Vec::new();
        for partition in 0..self.n_partitions(topic).expect("the topic is there") {
            let consumer: BaseConsumer = config.create().expect("the settings are good");
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(topic, partition as i32, Offset::Beginning).expect("a good place");
            consumer.assign(&from).expect("it can be assigned");
            loop {
                match consumer.poll(TIMEOUT) {
                    Some(Ok(message)) => values.push(message.payload().unwrap_or_default().to_vec()),
                    Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => break,
                    other => panic!("{topic}/{partition} must be readable to its end: {other:?}"),
                }
            }
        }
        values
    }

    /// Writes one message.
    fn write(&self, topic: &str, partition: i32, value: &[u8], headers: OwnedHeaders) {
        let producer: BaseProducer = self.config.create().expect("the settings are good");
        let record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(topic).partition(partition).payload(value).headers(headers);
        producer.send(record).map_err(|(error, _)| error).expect("it can be sent");
        producer.flush(TIMEOUT).expect("it arrives");
    }

    /// The names of all groups that the broker knows.
    fn groups(&self) -> Vec<String> {
        let groups = self.consumer().fetch_group_list(None, TIMEOUT).expect("the broker answers");
        groups.groups().iter().map(|group| group.name().to_owned()).collect()
    }
}

/// Waits for what the library's own thread completes.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The one error that a failed command must have printed, and nothing before it.
#[track_caller]
fn the_error(run: &Run) -> &str {
    let n = run.stderr.lines().filter(|line| line.starts_with("groundswell: ")).count();
    assert_eq!(n, 1, "there must be one error; stderr is:\n{}", run.stderr);
    assert!(run.stdout.is_empty(), "stdout is for data; it has:\n{}", run.text());
    &run.stderr
}
