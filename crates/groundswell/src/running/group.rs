//! A member of a consumer group: one thread that polls, and hands on whatever can wake it.
//!
//! Partitions come and go inside `poll`, in a callback of the library: the partition's state is restored before its
//! first message is seen, and committed before it is given away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use groundswell_io::kafka::connection::{
    Connection, ConnectionError, Troubles, note_error, note_log, reason,
};
use groundswell_io::kafka::reader::is_passing;
use groundswell_io::lines::StopFlag;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::failure::{Failure, Outcome};

/// How long `poll` waits for a message: the longest that a timer can be late.
const POLL: Duration = Duration::from_millis(20);
/// Messages between two looks at the timers while messages keep coming.
const MESSAGES_PER_TICK: u32 = 64;
/// How long it is tried to take partitions over before giving up: less than the five minutes (`max.poll.interval.ms`)
/// after which the group does without us.
const ASSIGN_DEADLINE: Duration = Duration::from_secs(240);

/// How long leaving may take, after everything has been committed.
const LEAVE_DEADLINE: Duration = Duration::from_secs(2);

/// What a group's member does with its partitions.
pub(super) trait Member: Send + Sized + 'static {
    /// Takes partitions over; gives for each the offset to read on from.
    fn assign(&mut self, group: &Group<Self>, partitions: &[i32]) -> Result<Vec<(i32, i64)>, Failure>;
    /// Gives partitions away. If they are lost already, or something has failed, nothing can be committed any more.
    fn revoke(&mut self, group: &Group<Self>, partitions: &[i32], is_lost: bool) -> Outcome;
    /// Takes the next message of one of its partitions.
    fn handle_message(&mut self, group: &Group<Self>, message: &BorrowedMessage<'_>) -> Outcome;
    /// A partition has been read to its end.
    fn handle_end(&mut self, partition: i32);
    /// The messages that were to be read next are not there any more, in at least one partition.
    fn handle_loss(&mut self, group: &Group<Self>) -> Outcome;
    /// Time has passed.
    fn handle_tick(&mut self, group: &Group<Self>, now: Instant) -> Outcome;
    /// Commits everything: this is the end.
    fn close(&mut self, group: &Group<Self>) -> Outcome;
}

/// A consumer that is a member of a group.
pub(super) type Group<M> = BaseConsumer<MemberContext<M>>;

/// Joins the library's callbacks to the member.
pub(super) struct MemberContext<M> {
    troubles: Troubles,
    member: Mutex<M>,
    failure: Mutex<Option<Failure>>,
    /// Whether the member leaves: then it takes nothing over any more.
    is_leaving: AtomicBool,
    /// Whether the library has been told so: from then on it may never answer an assignment.
    is_closing: AtomicBool,
    /// Whether something failed half-way: then nothing may be committed any more, not even while leaving.
    has_failed: AtomicBool,
    /// When all brokers were last found to be away.
    away: Mutex<Option<Instant>>,
    stop: StopFlag,
}

impl<M: Member> MemberContext<M> {
    pub(super) fn new(connection: &Connection, member: M, stop: &StopFlag) -> Self {
        Self {
            troubles: connection.troubles().clone(),
            member: Mutex::new(member),
            failure: Mutex::new(None),
            is_leaving: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            away: Mutex::new(None),
            stop: stop.clone(),
        }
    }

    /// Only the polling thread takes this lock, so it never waits.
    fn member(&self) -> MutexGuard<'_, M> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All brokers were away just now.
    fn note_away(&self) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether that was within the last `time`.
    pub(super) fn was_away_within(&self, time: Duration) -> bool {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|away| away.elapsed() < time)
    }

    fn fail(&self, outcome: Outcome) {
        if let Err(failure) = outcome {
            self.has_failed.store(true, Ordering::Relaxed);
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
    }

    fn take_over(&self, group: &Group<M>, partitions: &TopicPartitionList) -> Outcome {
        if self.is_closing.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.is_leaving.load(Ordering::Relaxed) {
            // The library asks no broker any more, and nothing of these will be read.
            return Ok(group.incremental_assign(partitions)?);
        }
        let numbers = numbers(partitions);
        tracing::info!(partitions = ?numbers, "partitions assigned");
        let offsets = self.retrying(|| self.member().assign(group, &numbers))?;
        let mut assigned = TopicPartitionList::new();
        for element in partitions.elements() {
            let offset = offsets.iter().find(|(number, _)| *number == element.partition());
            let offset = offset.map_or(Offset::Beginning, |&(_, offset)| Offset::Offset(offset));
            assigned.add_partition_offset(element.topic(), element.partition(), offset)?;
        }
        Ok(group.incremental_assign(&assigned)?)
    }

    /// Tries again what the broker may answer better a moment later.
    fn retrying<T>(&self, mut work: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let started = Instant::now();
        loop {
            match work() {
                Err(Failure::Failed(error))
                    if started.elapsed() < ASSIGN_DEADLINE
                        && !self.stop.is_raised()
                        && !is_no_permission(&error) =>
                {
                    tracing::warn!("cannot take partitions over yet: {error:#}");
                    std::thread::sleep(Duration::from_millis(500));
                }
                result => return result,
            }
        }
    }

    fn give_away(&self, group: &Group<M>, partitions: &TopicPartitionList) -> Outcome {
        let numbers = numbers(partitions);
        let is_lost = group.assignment_lost();
        tracing::info!(partitions = ?numbers, is_lost, "partitions revoked");
        let has_failed = self.has_failed.load(Ordering::Relaxed);
        let outcome = self.member().revoke(group, &numbers, is_lost || has_failed);
        group.incremental_unassign(partitions)?;
        outcome
    }
}

/// What is not permitted will not be a moment later.
fn is_no_permission(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ConnectionError>().is_some_and(ConnectionError::is_no_permission)
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions
        .elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
        .collect()
}

impl<M: Member> ClientContext for MemberContext<M> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        note_log(&self.troubles, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // One of several that stays away must not keep partitions of the others from being idle.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.note_away();
        }
        note_error(&self.troubles, &error, reason);
    }
}

impl<M: Member> ConsumerContext for MemberContext<M> {
    fn rebalance(&self, group: &Group<M>, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                let outcome = self.take_over(group, partitions);
                // Whoever is to end need not have taken anything over.
                if !self.stop.is_raised() {
                    self.fail(outcome);
                }
            }
            _ => self.fail(self.give_away(group, partitions)),
        }
    }
}

/// Polls until `stop` is raised or something fails; commits at the end either way, as far as that is possible.
pub(super) fn drive<M: Member>(group: &Group<M>, stop: &StopFlag) -> Outcome {
    let context = rdkafka::client::Client::context(group.client());
    let mut n_since_tick = 0;
    let outcome = loop {
        if let Some(failure) = context.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            break Err(failure);
        }
        if stop.is_raised() {
            break Ok(());
        }
        let stepped = match group.poll(POLL) {
            Some(Ok(message)) => {
                n_since_tick += 1;
                context.member().handle_message(group, &message)
            }
            None => {
                n_since_tick = MESSAGES_PER_TICK;
                Ok(())
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                context.member().handle_end(partition);
                Ok(())
            }
            Some(Err(error)) => handle_error(group, context, &error),
        };
        if let Err(failure) = stepped {
            break Err(failure);
        }
        if n_since_tick >= MESSAGES_PER_TICK {
            n_since_tick = 0;
            if let Err(failure) = context.member().handle_tick(group, Instant::now()) {
                break Err(failure);
            }
        }
    };
    context.is_leaving.store(true, Ordering::Relaxed);
    // After a failure what was done since the last commit is done again by whoever comes next.
    let outcome = outcome.and_then(|()| context.member().close(group));
    context.has_failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
    outcome
}

/// Leaves the group. Says `false` if the library does not come to an end in time: then the group goes on without us when
/// its session timeout is over.
///
/// An assignment that waits for us while the library closes is never carried out, and who asks for it waits for ever
/// (librdkafka issue 4884); so what waits is served first, and nothing is assigned from then on.
pub(super) fn leave<M: Member>(group: Group<M>) -> bool {
    let context = rdkafka::client::Client::context(group.client());
    let started = Instant::now();
    let is_late = || started.elapsed() >= LEAVE_DEADLINE;
    while group.poll(Duration::ZERO).is_some() && !is_late() {}
    context.is_closing.store(true, Ordering::Relaxed);
    if let Err(error) = group.close_queue() {
        tracing::warn!("cannot leave the group: {error}");
    }
    while !group.closed() && !is_late() {
        drop(group.poll(POLL));
    }
    let is_closed = group.closed();
    if !is_closed {
        tracing::warn!("the group did not let go in time; it goes on without this process in a few seconds");
        // Dropping it would wait for as long as it takes.
        std::mem::forget(group);
    }
    is_closed
}

/// Reads a partition on from `offset` after a loss. The library has stopped reading it, and seeks only while it reads.
pub(super) fn resume_at<M: Member>(group: &Group<M>, topic: &str, partition: i32, offset: i64) -> Outcome {
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    group.incremental_unassign(&place)?;
    Ok(group.incremental_assign(&place)?)
}

fn handle_error<M: Member>(group: &Group<M>, context: &MemberContext<M>, error: &KafkaError) -> Outcome {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::AutoOffsetReset) => context.member().handle_loss(group),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::PollExceeded) => {
            tracing::warn!("kafka: {error}");
            Ok(())
        }
        _ if is_passing(error) => Ok(()),
        _ => Err(anyhow::anyhow!("cannot read on: {}", reason(error)).into()),
    }
}
