//! Publishes posts to a topic as they are, for `replay --to kafka`.
//!
//! A post counts as published once the broker has said so. A post that the topic does not take, being too large, is left
//! out and counted, as it would be by any other producer; any other refusal holds for all posts and ends the replay.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use groundswell_io::decode::decode;
use groundswell_io::kafka::connection::{Connection, Troubles, note_error, note_log};
use groundswell_io::kafka::topics::{message_bytes_max, n_partitions};
use groundswell_io::lines::{Line, StopFlag};
use groundswell_io::merge::Merge;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::failure::{Failure, Outcome};
use crate::pace::Pace;
use crate::progress::ProgressLine;

/// The most that the library hands to the broker: a line of the greatest length, and some room. Whether the topic takes
/// that (`max.message.bytes`) is for the broker to say.
const MESSAGE_BYTES_MAX: &str = "2000000";
/// The most that is sent in one piece, unless the topic takes less (the library's own).
const BATCH_BYTES_MAX: u64 = 1_000_000;
/// How long the last posts may take to arrive.
const FLUSH_DEADLINE: Duration = Duration::from_secs(120);
/// The same after Ctrl-C: who is in a hurry presses it again.
const INTERRUPTED_DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// What became of the posts.
#[derive(Debug, Clone, Default)]
struct Fates {
    n_delivered: u64,
    /// Larger than the topic takes.
    n_too_large: u64,
    /// Why a post was not delivered although it might have been.
    failure: Option<KafkaError>,
}

struct PublishContext {
    troubles: Troubles,
    fates: Mutex<Fates>,
}

impl PublishContext {
    fn fates(&self) -> MutexGuard<'_, Fates> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for PublishContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        note_log(&self.troubles, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&self.troubles, &error, reason);
    }
}

impl ProducerContext for PublishContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        let mut fates = self.fates();
        match result {
            Ok(_) => fates.n_delivered += 1,
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => fates.n_too_large += 1,
                // Taken back on purpose, after Ctrl-C.
                Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {}
                _ => _ = fates.failure.get_or_insert_with(|| error.clone()),
            },
        }
    }
}

/// Publishes all lines of `merge`, one partition after the other in turn, and says on stderr how many. The messages are
/// dated now, since a topic forgets what is dated long ago; the posts keep their own times.
pub(crate) fn publish(
    connection: &Connection,
    topic: &str,
    merge: &mut Merge,
    pace: &mut Pace,
    stop: &StopFlag,
) -> Outcome {
    let mut publisher = Publisher::open(connection, topic)?;
    let mut progress = ProgressLine::start(merge.n_bytes_total());
    let outcome = publisher.send_all(merge, pace, &mut progress, stop);
    progress.finish();
    let outcome = outcome.and(publisher.flush(stop));
    publisher.print(stop.is_raised())?;
    outcome
}

struct Publisher<'a> {
    connection: &'a Connection,
    topic: &'a str,
    producer: BaseProducer<PublishContext>,
    n_partitions: u32,
    n_sent: u64,
    /// Lines that are too long for us, and for any topic with the default settings.
    n_too_long: u64,
}

impl<'a> Publisher<'a> {
    fn open(connection: &'a Connection, topic: &'a str) -> Result<Self, Failure> {
        let n_partitions = n_partitions(connection, topic)?;
        // A topic's limit is one for batches: a batch over it is refused with all the posts in it.
        let batch_bytes =
            message_bytes_max(connection, topic)?.unwrap_or(BATCH_BYTES_MAX).min(BATCH_BYTES_MAX);
        let batch_bytes = batch_bytes.to_string();
        let own = [
            ("enable.idempotence", "true"),
            ("batch.size", &batch_bytes),
            ("linger.ms", "20"),
            ("compression.type", "lz4"),
            ("message.timeout.ms", "120000"),
            ("message.max.bytes", MESSAGE_BYTES_MAX),
        ];
        let context = PublishContext { troubles: connection.troubles().clone(), fates: Mutex::default() };
        let producer = connection.create(&own, context)?;
        Ok(Self { connection, topic, producer, n_partitions, n_sent: 0, n_too_long: 0 })
    }

    fn send_all(
        &mut self,
        merge: &mut Merge,
        pace: &mut Pace,
        progress: &mut ProgressLine,
        stop: &StopFlag,
    ) -> Outcome {
        while !stop.is_raised() {
            let taken = merge.with_next(|_, _, line| {
                let Line::Whole(post) = line else {
                    self.n_too_long += 1;
                    return (None, Ok(()));
                };
                if post.is_empty() {
                    return (None, Ok(()));
                }
                let time = decode(post).ok().map(|post| post.as_post().event_time);
                pace.wait_for(time, stop);
                // Its time has not come.
                if stop.is_raised() { (time, Ok(())) } else { (time, self.send(post, stop)) }
            });
            let Some((time, sent)) = taken.map_err(anyhow::Error::from)? else { break };
            sent?;
            progress.step(time, || merge.n_bytes_read());
            self.producer.poll(Duration::ZERO);
            self.check()?;
        }
        Ok(())
    }

    fn send(&mut self, post: &[u8], stop: &StopFlag) -> Outcome {
        let partition =
            i32::try_from(self.n_sent % u64::from(self.n_partitions)).expect("a partition's number fits");
        let mut record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(self.topic).partition(partition).payload(post);
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.n_sent += 1;
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(POLL);
                    self.check()?;
                    if stop.is_raised() {
                        return Ok(());
                    }
                }
                Err((error, _)) => return Err(self.failed(&error)),
            }
        }
    }

    /// Waits until everything has arrived, or takes back what has not.
    fn flush(&self, stop: &StopFlag) -> Outcome {
        let started = Instant::now();
        let mut interrupted: Option<Instant> = None;
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(POLL);
            let is_over = started.elapsed() >= FLUSH_DEADLINE
                || (stop.is_raised()
                    && interrupted.get_or_insert_with(Instant::now).elapsed() >= INTERRUPTED_DEADLINE);
            if is_over || self.producer.context().fates().failure.is_some() {
                self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
                self.producer.poll(POLL);
                self.check()?;
                return Err(anyhow!("not everything arrived in time at topic {}", self.topic).into());
            }
        }
        self.check()
    }

    fn check(&self) -> Outcome {
        match &self.producer.context().fates().failure {
            Some(error) => Err(self.failed(error)),
            None => Ok(()),
        }
    }

    fn failed(&self, error: &KafkaError) -> Failure {
        self.connection.failed(format!("cannot write to topic {}", self.topic), error).into()
    }

    fn print(&self, is_interrupted: bool) -> Outcome {
        let Fates { n_delivered, n_too_large, .. } = *self.producer.context().fates();
        let (topic, n_partitions) = (self.topic, self.n_partitions);
        let mut out = String::new();
        if is_interrupted {
            out += "interrupted: this is what was published so far\n";
        }
        out += &format!("{n_delivered} posts published to topic {topic} ({n_partitions} partitions)\n");
        if self.n_too_long > 0 {
            out += &format!("{} lines are over 1 MiB and were left out\n", self.n_too_long);
        }
        if n_too_large > 0 {
            out += &format!(
                "{n_too_large} posts are larger than the topic takes (max.message.bytes) and were left out\n"
            );
        }
        Ok(std::io::stderr().write_all(out.as_bytes())?)
    }
}
