//! A topic seen without the program under test: what is in it, and what a test puts there or takes away.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A topic on a broker.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    bootstrap: String,
    name: String,
}

/// What a message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) offset: i64,
    pub(crate) key: String,
    pub(crate) value: Option<Vec<u8>>,
    /// Its CloudEvents type, on the alerts topic.
    pub(crate) event_type: Option<String>,
}

impl Topic {
    pub(crate) fn new(bootstrap: &str, name: &str) -> Self {
        Self { bootstrap: bootstrap.to_owned(), name: name.to_owned() }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("group.id", "test-reader");
        config
    }

    fn consumer(&self) -> BaseConsumer {
        let mut config = self.config();
        config.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
        config.create().expect("the settings are sound")
    }

    /// Creates it, with one partition and these settings.
    pub(crate) fn create(&self, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(&self.name, 1, TopicReplication::Fixed(-1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let admin: AdminClient<DefaultClientContext> =
            self.config().create().expect("the settings are sound");
        let made = wait_for(admin.create_topics([&topic], &AdminOptions::new())).expect("the broker answers");
        assert!(made.iter().all(Result::is_ok), "{} must be created: {made:?}", self.name);
    }

    /// The oldest offset kept and the next to be written; `None` if the broker does not answer.
    pub(crate) fn watermarks(&self, partition: i32) -> Option<(i64, i64)> {
        self.consumer().fetch_watermarks(&self.name, partition, Duration::from_secs(5)).ok()
    }

    /// The committed messages of partition 0, oldest first.
    pub(crate) fn read(&self) -> Vec<Content> {
        let consumer = self.consumer();
        let mut assigned = TopicPartitionList::new();
        assigned.add_partition_offset(&self.name, 0, Offset::Beginning).expect("an offset can be set");
        consumer.assign(&assigned).expect("it can be assigned");
        let (start, mut found) = (Instant::now(), Vec::new());
        loop {
            assert!(start.elapsed() < TIMEOUT, "{} must be read within {TIMEOUT:?}", self.name);
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => found.push(Content {
                    offset: message.offset(),
                    key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
                    value: message.payload().map(<[u8]>::to_vec),
                    event_type: message.headers().and_then(|headers| {
                        let header = headers.iter().find(|header| header.key == "ce_type")?;
                        Some(String::from_utf8_lossy(header.value?).into_owned())
                    }),
                }),
                Some(Err(KafkaError::PartitionEOF(_))) => return found,
                Some(Err(error)) => panic!("{} must be readable: {error}", self.name),
                None => {}
            }
        }
    }

    /// Writes messages in transactions of `n_each`, to the partitions in turn: behind the last message of a partition there
    /// is the mark of a transaction.
    pub(crate) fn write_in_transactions(&self, messages: &[&[u8]], n_each: usize, n_partitions: i32) {
        let mut config = self.config();
        config.set("transactional.id", format!("{}.writer", self.name));
        let producer: BaseProducer = config.create().expect("the settings are sound");
        producer.init_transactions(TIMEOUT).expect("the broker answers");
        for messages in messages.chunks(n_each) {
            producer.begin_transaction().expect("none is open");
            for (partition, message) in (0..n_partitions).cycle().zip(messages) {
                let record = BaseRecord::<str, [u8]>::to(&self.name).partition(partition).payload(*message);
                producer.send(record).unwrap_or_else(|(error, _)| panic!("it must be taken: {error}"));
            }
            producer.commit_transaction(TIMEOUT).expect("it must be committed");
        }
    }

    /// Writes messages to partition 0; `None` removes a key.
    pub(crate) fn write<'a>(&self, messages: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) {
        let producer: BaseProducer = self.config().create().expect("the settings are sound");
        for (key, value) in messages {
            let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&self.name).partition(0).key(key);
            record.payload = value;
            producer.send(record).unwrap_or_else(|(error, _)| panic!("it must be taken: {error}"));
        }
        producer.flush(TIMEOUT).expect("it must be delivered");
    }

    /// Deletes what is before `offset` in a partition, as retention does.
    pub(crate) fn delete_before(&self, partition: i32, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        let offset = Offset::Offset(offset);
        offsets.add_partition_offset(&self.name, partition, offset).expect("an offset can be set");
        let admin: AdminClient<DefaultClientContext> =
            self.config().create().expect("the settings are sound");
        let done =
            wait_for(admin.delete_records(&offsets, &AdminOptions::new())).expect("the broker answers");
        assert!(done.elements().iter().all(|one| one.error().is_ok()), "records must be deleted: {done:?}");
    }

    /// What a group has committed for a partition; `None` if it is nothing, or the broker does not answer.
    pub(crate) fn committed(&self, group: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("they are sound");
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.name, partition);
        let found = consumer.committed_offsets(asked, Duration::from_secs(5)).ok()?;
        match found.find_partition(&self.name, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

/// Whether every replica of every partition has what its leader has.
pub(crate) fn is_in_sync(bootstrap: &str) -> bool {
    let consumer = Topic::new(bootstrap, "").consumer();
    let Ok(metadata) = consumer.fetch_metadata(None, Duration::from_secs(5)) else { return false };
    let mut partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
    partitions.all(|partition| partition.isr().len() == partition.replicas().len())
}

fn wait_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    runtime.block_on(work)
}
