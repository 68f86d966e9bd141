//! Reads a topic from one place to another, without a group: nothing is committed, and anybody may do it at any time.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::connection::{Connection, ConnectionContext, ConnectionError};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the oldest message that is kept.
    Beginning,
    /// With what is written from now on.
    End,
    /// With the first message written at or after this time, milliseconds since the epoch.
    Time(i64),
}

/// Reads all partitions of a topic.
pub struct TopicReader {
    connection: Connection,
    consumer: BaseConsumer<ConnectionContext>,
    topic: String,
    /// For each partition that has not been read to its end, the end as it was when the reading began.
    ends: BTreeMap<i32, i64>,
}

impl std::fmt::Debug for TopicReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicReader")
            .field("topic", &self.topic)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

/// What [`TopicReader::poll`] found.
#[derive(Debug)]
pub enum Next<'a> {
    /// A message.
    Message(BorrowedMessage<'a>),
    /// Nothing for now.
    Quiet,
}

impl TopicReader {
    /// Opens all partitions of `topic`. Transactions that are not committed are not seen.
    ///
    /// # Errors
    /// If the topic is not there or cannot be read.
    pub fn open(connection: &Connection, topic: &str, from: From) -> Result<Self, ConnectionError> {
        let n_partitions = super::topics::n_partitions(connection, topic)?;
        Self::assign(connection, topic, 0..i32::try_from(n_partitions).unwrap_or(i32::MAX), from)
    }

    /// Opens one partition of `topic` from its oldest message on.
    ///
    /// # Errors
    /// If the topic is not there or cannot be read.
    pub fn open_partition(
        connection: &Connection,
        topic: &str,
        partition: i32,
    ) -> Result<Self, ConnectionError> {
        Self::assign(connection, topic, partition..partition + 1, From::Beginning)
    }

    /// Assigns once: the library does not survive a second assignment while the first is being carried out.
    fn assign(
        connection: &Connection,
        topic: &str,
        partitions: std::ops::Range<i32>,
        from: From,
    ) -> Result<Self, ConnectionError> {
        let own = [
            ("group.id", "groundswell-reader"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "error"),
            ("allow.auto.create.topics", "false"),
            // What is fetched ahead. A replay has a reader for each partition: with the library's own 64 MiB twelve of
            // them would take the better part of a gigabyte, and be no faster.
            ("queued.max.messages.kbytes", "2048"),
            // The library's own second of waiting, once that is full, would leave us idle most of the time.
            ("fetch.queue.backoff.ms", "10"),
        ];
        let consumer: BaseConsumer<ConnectionContext> = connection.create(&own, connection.context())?;
        let mut reader =
            Self { connection: connection.clone(), consumer, topic: topic.to_owned(), ends: BTreeMap::new() };
        let assigned = reader.offsets(partitions, from)?;
        let failed = |error| connection.failed(format!("topic {topic}"), &error);
        reader.consumer.assign(&assigned).map_err(failed)?;
        Ok(reader)
    }

    fn offsets(
        &mut self,
        partitions: std::ops::Range<i32>,
        from: From,
    ) -> Result<TopicPartitionList, ConnectionError> {
        let connection = self.connection.clone();
        let failed = |error: KafkaError| connection.failed(format!("topic {}", self.topic), &error);
        let mut assigned = TopicPartitionList::new();
        for partition in partitions {
            let (low, high) =
                self.consumer.fetch_watermarks(&self.topic, partition, REQUEST_TIMEOUT).map_err(failed)?;
            let start = match from {
                From::Beginning => Offset::Offset(low),
                From::End => Offset::Offset(high),
                From::Time(ms) => {
                    self.offset_at(partition, ms).map_err(failed)?.unwrap_or(Offset::Offset(high))
                }
            };
            assigned.add_partition_offset(&self.topic, partition, start).map_err(failed)?;
            let is_empty = low == high || start == Offset::Offset(high);
            if !is_empty {
                self.ends.insert(partition, high);
            }
        }
        Ok(assigned)
    }

    fn offset_at(&self, partition: i32, ms: i64) -> Result<Option<Offset>, KafkaError> {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset(&self.topic, partition, Offset::Offset(ms))?;
        let found = self.consumer.offsets_for_times(times, REQUEST_TIMEOUT)?;
        let offset = found
            .elements_for_topic(&self.topic)
            .first()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::offset);
        Ok(offset.filter(|offset| matches!(offset, Offset::Offset(_))))
    }

    /// Whether everything that was there when the reading began has been read.
    pub fn is_at_end(&self) -> bool {
        self.ends.is_empty()
    }

    /// The next message, waiting for at most `timeout`.
    ///
    /// # Errors
    /// If the topic cannot be read on. Lost connections are not errors: the library takes them up again.
    pub fn poll(&mut self, timeout: Duration) -> Result<Next<'_>, ConnectionError> {
        match self.consumer.poll(timeout) {
            None => Ok(Next::Quiet),
            Some(Ok(message)) => {
                let (partition, next) = (message.partition(), message.offset() + 1);
                if self.ends.get(&partition).is_some_and(|&end| next >= end) {
                    self.ends.remove(&partition);
                }
                Ok(Next::Message(message))
            }
            // Behind the last message there may be marks of transactions, which are no messages.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.ends.remove(&partition);
                Ok(Next::Quiet)
            }
            Some(Err(error)) if is_passing(&error) => Ok(Next::Quiet),
            Some(Err(error)) => {
                Err(self.connection.failed(format!("cannot read topic {}", self.topic), &error))
            }
        }
    }
}

/// Whether the library gets over an error by itself.
pub fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::Resolve
                | Code::NotCoordinator
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::RequestTimedOut
                | Code::NetworkException
                | Code::SaslAuthenticationFailed
        )
    )
}
