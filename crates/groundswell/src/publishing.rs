//! Publishes posts to a topic as they are, for `replay --to kafka`.

use std::io::Write;
use std::time::Duration;

use anyhow::anyhow;
use groundswell_io::decode::decode;
use groundswell_io::kafka::connection::{Connection, ConnectionContext};
use groundswell_io::kafka::topics::n_partitions;
use groundswell_io::lines::{Line, StopFlag};
use groundswell_io::merge::Merge;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::failure::{Failure, Outcome};
use crate::pace::Pace;
use crate::progress::ProgressLine;

/// What was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Published {
    pub(crate) n_posts: u64,
    /// Lines that are too long for a message.
    pub(crate) n_too_long: u64,
    pub(crate) n_partitions: u32,
}

impl Published {
    /// Says on stderr what was published.
    pub(crate) fn print(self, topic: &str) -> std::io::Result<()> {
        let Self { n_posts, n_too_long, n_partitions } = self;
        let mut out = std::io::stderr().lock();
        writeln!(out, "{n_posts} posts published to topic {topic} ({n_partitions} partitions)")?;
        if n_too_long > 0 {
            writeln!(out, "{n_too_long} lines are over 1 MiB and were left out")?;
        }
        Ok(())
    }
}

/// Publishes all lines of `merge`, one partition after the other in turn. The messages are dated now, since a topic
/// forgets what is dated long ago; the posts keep their own times.
pub(crate) fn publish(
    connection: &Connection,
    topic: &str,
    merge: &mut Merge,
    pace: &mut Pace,
    stop: &StopFlag,
) -> Result<Published, Failure> {
    let own = [
        ("enable.idempotence", "true"),
        ("linger.ms", "20"),
        ("compression.type", "lz4"),
        ("message.timeout.ms", "120000"),
    ];
    let n_partitions = n_partitions(connection, topic)?;
    let producer: BaseProducer<ConnectionContext> = connection.create(&own, connection.context())?;
    let mut published = Published { n_partitions, ..Published::default() };
    let mut progress = ProgressLine::start(merge.n_bytes_total());
    while !stop.is_raised() {
        let taken = merge.with_next(|_, _, line| {
            let Line::Whole(bytes) = line else { return (None, Ok(false)) };
            if bytes.is_empty() {
                return (None, Ok(true));
            }
            let time = decode(bytes).ok().map(|post| post.as_post().event_time);
            pace.wait_for(time, stop);
            let partition = published.n_posts % u64::from(n_partitions);
            published.n_posts += 1;
            let partition = i32::try_from(partition).expect("a partition's number fits");
            (time, send(&producer, connection, topic, partition, bytes).map(|()| true))
        });
        let Some((time, sent)) = taken.map_err(anyhow::Error::from)? else { break };
        published.n_too_long += u64::from(!sent?);
        progress.step(time, || merge.n_bytes_read());
        producer.poll(Duration::ZERO);
    }
    progress.finish();
    producer
        .flush(Duration::from_secs(120))
        .map_err(|error| connection.failed("not everything was published", &error))?;
    Ok(published)
}

fn send(
    producer: &BaseProducer<ConnectionContext>,
    connection: &Connection,
    topic: &str,
    partition: i32,
    post: &[u8],
) -> Outcome {
    let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(partition).payload(post);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(50));
                if let Some((_, reason)) = producer.client().fatal_error() {
                    return Err(anyhow!("cannot publish: {}", connection.redact(&reason)).into());
                }
            }
            Err((error, _)) => {
                return Err(connection.failed(format!("cannot write to topic {topic}"), &error).into());
            }
        }
    }
}
