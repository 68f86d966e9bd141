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
/// How long one step of an abort may take before delivery reports are looked at again.
const ABORT_STEP: Duration = Duration::from_millis(100);
/// How long a rebalance under way may refuse our offsets: members learn its outcome from the next heartbeats. Shorter,
/// and a member that keeps its partition restores it for nothing; longer, and one that lost it is noticed late.
const REBALANCE_PATIENCE: Duration = Duration::from_secs(8);

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
    group: impl Fn() -> Option<ConsumerGroupMetadata>,
) -> Result<Ended, Failure> {
    let started = Instant::now();
    let mut closing: Option<Instant> = None;
    loop {
        // Asked for anew each time: a rebalance that leaves us our partition gives the group another generation.
        let metadata = group().ok_or_else(|| anyhow!("the consumer has no group"))?;
        let error = match attempt(shared, outbox, &send, offsets, &metadata, &mut closing)? {
            Ok(()) => return Ok(Ended::Committed),
            Err(error) => error,
        };
        tracing::warn!("transaction: {}", shared.connection.redact(&error.to_string()));
        let is_not_ours =
            is_not_ours(&error) || (is_rebalance(&error) && started.elapsed() >= REBALANCE_PATIENCE);
        match after(&error) {
            Next::Abort => match abort(shared, outbox, &mut closing)? {
                Ok(()) => {}
                Err(error) if self::is_not_ours(&error) => return Ok(Ended::NotOurs),
                Err(error) => {
                    return Err(shared.connection.failed("cannot abort a transaction", &error).into());
                }
            },
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

fn abort(
    shared: &Shared,
    outbox: &Outbox,
    closing: &mut Option<Instant>,
) -> Result<Result<(), KafkaError>, Failure> {
    // It takes the records back and waits until we have looked at the report on each: between its steps we do.
    patiently(shared, closing, || {
        outbox.serve();
        outbox.producer().abort_transaction(ABORT_STEP)
    })
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
                | Code::UnknownMemberId
                | Code::FencedInstanceId
        )
    )
}

/// Whether the group is being rebalanced, or has been and we do not know it yet.
fn is_rebalance(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error.rdkafka_error_code(), Some(Code::IllegalGeneration | Code::RebalanceInProgress))
}
