//! One Kafka transaction, tried until it is committed or turns out not to be ours to commit.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;

use super::Shared;
use super::failpoint;
use super::outbox::Outbox;
use crate::failure::{Failure, Outcome};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a transaction is tried while the program is to end.
const CLOSING_DEADLINE: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(100);

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Committed,
    /// The partition belongs to another process now; nothing of this was written.
    NotOurs,
}

/// What to do about an error within a transaction.
enum Next {
    Abort,
    GiveUp,
}

/// Sends what `send` sends and the group's `offsets` in one transaction.
///
/// # Errors
/// If the producer cannot go on, or the program is to end and the broker does not answer.
pub(super) fn commit(
    shared: &Shared,
    outbox: &Outbox,
    send: impl Fn(&Outbox) -> Outcome,
    offsets: &TopicPartitionList,
    group: &ConsumerGroupMetadata,
) -> Result<Ended, Failure> {
    let mut closing: Option<Instant> = None;
    loop {
        let error = match attempt(shared, outbox, &send, offsets, group, &mut closing)? {
            Ok(()) => return Ok(Ended::Committed),
            Err(error) => error,
        };
        tracing::warn!("transaction: {}", shared.connection.redact(&error.to_string()));
        let is_not_ours = is_not_ours(&error);
        match after(&error) {
            Next::Abort => abort(shared, outbox, &mut closing)?,
            Next::GiveUp if is_not_ours => return Ok(Ended::NotOurs),
            Next::GiveUp => return Err(shared.connection.failed("cannot commit", &error).into()),
        }
        if is_not_ours {
            return Ok(Ended::NotOurs);
        }
        check_deadline(shared, &mut closing)?;
        std::thread::sleep(PAUSE);
    }
}

fn attempt(
    shared: &Shared,
    outbox: &Outbox,
    send: &impl Fn(&Outbox) -> Outcome,
    offsets: &TopicPartitionList,
    group: &ConsumerGroupMetadata,
    closing: &mut Option<Instant>,
) -> Result<Result<(), KafkaError>, Failure> {
    let producer = outbox.producer();
    failpoint::pass("detect.before_begin");
    if let Err(error) = producer.begin_transaction() {
        return Ok(Err(error));
    }
    send(outbox)?;
    failpoint::pass("detect.before_offsets");
    if let Err(error) =
        patiently(shared, closing, || producer.send_offsets_to_transaction(offsets, group, REQUEST_TIMEOUT))?
    {
        return Ok(Err(error));
    }
    if !outbox.drain()? {
        return Err(anyhow!(
            "the broker did not take the last transaction; it is made again at the next start"
        )
        .into());
    }
    failpoint::pass("detect.before_commit");
    let committed = patiently(shared, closing, || producer.commit_transaction(REQUEST_TIMEOUT))?;
    failpoint::pass("detect.after_commit");
    Ok(committed)
}

/// Repeats a request for as long as the library says that it may be repeated.
fn patiently(
    shared: &Shared,
    closing: &mut Option<Instant>,
    request: impl Fn() -> Result<(), KafkaError>,
) -> Result<Result<(), KafkaError>, Failure> {
    loop {
        match request() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                check_deadline(shared, closing)?;
                std::thread::sleep(PAUSE);
            }
            result => return Ok(result),
        }
    }
}

fn abort(shared: &Shared, outbox: &Outbox, closing: &mut Option<Instant>) -> Outcome {
    let aborted = patiently(shared, closing, || outbox.producer().abort_transaction(REQUEST_TIMEOUT))?;
    match aborted {
        Ok(()) => Ok(()),
        Err(error) => Err(shared.connection.failed("cannot abort a transaction", &error).into()),
    }
}

fn check_deadline(shared: &Shared, closing: &mut Option<Instant>) -> Outcome {
    let is_over =
        shared.stop.is_raised() && closing.get_or_insert_with(Instant::now).elapsed() > CLOSING_DEADLINE;
    if is_over {
        return Err(anyhow!(
            "the broker did not answer in time; the last transaction is made again at the next start"
        )
        .into());
    }
    Ok(())
}

fn after(error: &KafkaError) -> Next {
    match error {
        KafkaError::Transaction(error) if error.is_fatal() => Next::GiveUp,
        KafkaError::Transaction(_) => Next::Abort,
        _ => Next::GiveUp,
    }
}

/// Whether the group or the transactional id has passed to another process.
fn is_not_ours(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::Fenced
                | Code::ProducerFenced
                | Code::InvalidProducerEpoch
                | Code::IllegalGeneration
                | Code::UnknownMemberId
                | Code::FencedInstanceId
                | Code::RebalanceInProgress
        )
    )
}
