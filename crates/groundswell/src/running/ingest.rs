//! The ingest role: posts in, complaints and marks out.
//!
//! What is told of a post is a function of its partition's posts before it. A commit says up to where everything told
//! has been delivered, together with the state of the intake at that place, so that whoever reads on from there tells
//! the same again: the detect role knows a complaint by the offset of its post, and drops what it has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use groundswell_core::{EventTime, Intake, Judge, Judgement, OutcomeCounts, Record, SourceId, Telling};
use groundswell_io::dead_letter::{self, DeadLetter};
use groundswell_io::records;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use super::alignment::{Alignment, Reading};
use super::failpoint;
use super::group::{Group, Member, resume_at};
use super::outbox::{Outbox, Outgoing};
use super::partition::{Partition, Said, Unusable};
use super::telemetry::{OutcomeLabel, Role, RoleLabel, now_ms};
use super::{Shared, other_state};
use crate::failure::{Failure, Outcome};

/// How often marks are written: a part of the second that an alert may take.
const MARK_INTERVAL: Duration = Duration::from_millis(200);
/// How often positions are committed, and so the most that is read again after a crash.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How often an idle partition is looked at; each time leaves a mark, so less often is less to keep.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// How long no partition counts as idle after all brokers were away: producers come back one after the other, partition
/// by partition, and wait for up to ten seconds between two attempts (librdkafka's `reconnect.backoff.max.ms`).
const PRODUCERS_RETURN: Duration = Duration::from_secs(12);
/// How long the broker may take to answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that a broker keeps beside a committed position, less some room (`offset.metadata.max.bytes` is 4096).
const METADATA_BYTES_MAX: usize = 4000;

/// How long nothing comes though the end is further on, before what is there is taken to be no posts: marks of
/// transactions have offsets, too. Posts come within a fetch, half a second.
const NO_POSTS_MS: i64 = 5_000;

/// What is known of the place behind the last post that was read.
#[derive(Debug, Clone, Copy, Default)]
struct Tail {
    /// Whether the library came to the end there.
    is_at_end: bool,
    /// The end that the broker told, and since when.
    high: Option<(i64, i64)>,
}

impl Tail {
    /// The broker says at `now_ms` that the end is at `high`. Whether there are no posts from `next` to there.
    fn is_empty(&mut self, next: i64, high: i64, now_ms: i64) -> bool {
        let (known, since_ms) = *self.high.get_or_insert((high, now_ms));
        if known != high {
            self.high = Some((high, now_ms));
            return high == next;
        }
        high == next || now_ms - since_ms >= NO_POSTS_MS
    }
}

/// What is committed beside a position.
#[derive(Serialize, Deserialize)]
struct Committed {
    read_at_ms: i64,
    is_idle: bool,
    is_finished: bool,
    intake: Vec<u8>,
}

impl Committed {
    fn to_metadata(&self) -> String {
        BASE64.encode(postcard::to_stdvec(self).expect("plain data always encodes"))
    }

    /// Reads what [`Committed::to_metadata`] gave; `None` of anything else.
    fn of_metadata(metadata: &str) -> Option<Self> {
        postcard::from_bytes(&BASE64.decode(metadata).ok()?).ok()
    }
}

/// Whether the input was taken to be over at a committed position.
pub(super) fn is_finished(metadata: &str) -> bool {
    Committed::of_metadata(metadata).is_some_and(|kept| kept.is_finished)
}

/// How far a partition had come at a committed position; `None` if there was no more to read then.
pub(super) fn busy_frontier(shared: &Shared, metadata: &str) -> Option<EventTime> {
    let kept = Committed::of_metadata(metadata)?;
    if kept.is_idle || kept.is_finished {
        return None;
    }
    Intake::restore(&shared.settings.config, shared.settings.hash, &kept.intake).ok()?.frontier()
}

/// The member of the ingest group.
pub(super) struct Ingest {
    shared: Arc<Shared>,
    judge: Judge,
    judgement: Judgement,
    outbox: Outbox,
    n_partitions: u32,
    /// Where each partition is taken to end, if it is.
    ends: Option<BTreeMap<i32, i64>>,
    partitions: BTreeMap<i32, Partition>,
    tails: BTreeMap<i32, Tail>,
    alignment: Alignment,
    paused: BTreeSet<i32>,
    /// Since they were last given to the metrics.
    outcomes: OutcomeCounts,
    bytes: Vec<u8>,
    marked: Instant,
    committed: Instant,
    looked: Instant,
}

impl Ingest {
    pub(super) fn new(
        shared: &Arc<Shared>,
        judge: Judge,
        outbox: Outbox,
        n_partitions: u32,
        ends: Option<BTreeMap<i32, i64>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared: Arc::clone(shared),
            judge,
            judgement: Judgement::default(),
            outbox,
            n_partitions,
            ends,
            partitions: BTreeMap::new(),
            tails: BTreeMap::new(),
            alignment: Alignment::default(),
            paused: BTreeSet::new(),
            outcomes: OutcomeCounts::default(),
            bytes: Vec::new(),
            marked: now,
            committed: now,
            looked: now,
        }
    }

    /// Calls `work` with a partition and the parts that it needs, and sends what it says.
    fn with_partition(
        &mut self,
        number: i32,
        work: impl FnOnce(&mut Partition, (&Judge, &mut Judgement), &mut OutcomeCounts, &mut dyn FnMut(Said)),
    ) -> Outcome {
        let Some(partition) = self.partitions.get_mut(&number) else { return Ok(()) };
        let mut outcome = Ok(());
        let sender = Sender { shared: &self.shared, outbox: &self.outbox };
        let (bytes, alignment) = (&mut self.bytes, &mut self.alignment);
        let mut say = |said: Said| {
            if let Said::Record(Record { telling: Telling::Complaint { complaint, .. }, .. }) = &said {
                alignment.note_complaint(complaint.event_time);
            }
            if outcome.is_ok() {
                outcome = sender.send(number, &said, bytes);
            }
        };
        work(partition, (&self.judge, &mut self.judgement), &mut self.outcomes, &mut say);
        outcome
    }

    fn write_marks(&mut self) -> Outcome {
        let sender = Sender { shared: &self.shared, outbox: &self.outbox };
        for (&number, partition) in &mut self.partitions {
            if let Some(record) = partition.mark() {
                sender.send(number, &Said::Record(record), &mut self.bytes)?;
            }
        }
        Ok(())
    }

    /// Commits what has been told so far, once all of it has been delivered.
    fn commit(&mut self, group: &Group<Self>, only: Option<&[i32]>) -> Outcome {
        self.write_marks()?;
        failpoint::pass("ingest.before_flush");
        if failpoint::has_bug("positions-before-records") {
            self.outbox.discard();
        } else if !self.outbox.drain()? {
            return Err(
                anyhow!("the broker did not take what was told; it is told again at the next start").into()
            );
        }
        failpoint::pass("ingest.before_commit");
        let mut positions = TopicPartitionList::new();
        for (&number, partition) in &self.partitions {
            if only.is_some_and(|only| !only.contains(&number)) || !partition.is_uncommitted() {
                continue;
            }
            let committed = Committed {
                read_at_ms: partition.read_at_ms(),
                is_idle: partition.is_idle(),
                is_finished: partition.is_finished(),
                intake: partition.intake().save(self.shared.settings.hash),
            };
            let metadata = committed.to_metadata();
            // Posts with long ids are set aside: a few posts later there is room again, and until then the place
            // committed before is as good.
            if metadata.len() > METADATA_BYTES_MAX {
                continue;
            }
            let mut position = positions.add_partition(&self.shared.names.posts, number);
            position.set_metadata(metadata);
            position.set_offset(Offset::Offset(partition.next_offset()))?;
        }
        if positions.count() > 0 {
            match group.commit(&positions, CommitMode::Sync) {
                Ok(()) => self.note_committed(&positions),
                // The place committed before is as good: what follows it is told again.
                Err(error) => {
                    let error = self.shared.connection.redact(&error.to_string());
                    tracing::warn!("cannot commit positions: {error}");
                }
            }
        }
        failpoint::pass("ingest.after_commit");
        self.report();
        Ok(())
    }

    fn note_committed(&mut self, positions: &TopicPartitionList) {
        for position in positions.elements() {
            if let Some(partition) = self.partitions.get_mut(&position.partition()) {
                partition.note_committed();
            }
        }
    }

    fn report(&mut self) {
        for (outcome, n) in std::mem::take(&mut self.outcomes).occurred() {
            self.shared.telemetry.posts.get_or_create(&OutcomeLabel { outcome: outcome.name() }).inc_by(n);
        }
    }

    /// Asks the broker whether partitions that were read to their end are still at it.
    fn look_at_idle(&mut self, group: &Group<Self>) -> Outcome {
        let context = rdkafka::client::Client::context(group.client());
        if context.was_away_within(PRODUCERS_RETURN) {
            return Ok(());
        }
        let numbers: Vec<i32> = self.partitions.keys().copied().collect();
        for number in numbers {
            let topic = self.shared.names.posts.clone();
            let partition = &self.partitions[&number];
            let tail = self.tails.entry(number).or_default();
            // What is finished has nothing more to tell; a mark a second would keep the complaints' end moving for ever.
            if !tail.is_at_end || partition.is_finished() {
                continue;
            }
            let asked_ms = now_ms();
            // Without an answer nothing is known, and the others would not answer either.
            let Ok((_, high)) = group.fetch_watermarks(&topic, number, Duration::from_secs(1)) else {
                tail.high = None;
                break;
            };
            if tail.is_empty(partition.next_offset(), high, asked_ms) {
                self.with_partition(number, |partition, _, outcomes, say| {
                    partition.handle_idle(asked_ms, outcomes, say);
                })?;
            }
        }
        Ok(())
    }

    fn finish_at_ends(&mut self) -> Outcome {
        if self.ends.is_none() {
            return Ok(());
        }
        let numbers: Vec<i32> = self.partitions.keys().copied().collect();
        for number in numbers {
            // The ends were asked for before reading began.
            let is_at_end = self.tails.get(&number).is_some_and(|tail| tail.is_at_end);
            self.with_partition(number, |partition, _, outcomes, say| {
                partition.finish_at_end(is_at_end, outcomes, say);
            })?;
        }
        Ok(())
    }

    /// Lets the partitions that are far ahead of the slowest wait.
    fn align(&mut self, group: &Group<Self>) -> Outcome {
        let reading = |partition: &Partition| {
            let is_busy = !partition.is_idle() && !partition.is_finished();
            Some(Reading { frontier: partition.frontier()?, is_busy })
        };
        let own =
            self.partitions.iter().filter_map(|(&n, partition)| Some((n, reading(partition)?))).collect();
        let waiting = {
            let busy = self.shared.busy.lock().unwrap_or_else(PoisonError::into_inner);
            self.alignment.waiting(&own, &busy)
        };
        let list = |numbers: Vec<&i32>| {
            let mut list = TopicPartitionList::new();
            for &number in numbers {
                list.add_partition(&self.shared.names.posts, number);
            }
            list
        };
        let pause = list(waiting.difference(&self.paused).collect());
        let resume = list(self.paused.difference(&waiting).collect());
        if pause.count() > 0 {
            group.pause(&pause)?;
        }
        if resume.count() > 0 {
            group.resume(&resume)?;
        }
        self.paused = waiting;
        Ok(())
    }

    /// Where to read a partition on from, and its state there.
    fn restore(
        &self,
        number: i32,
        committed: Option<(i64, &str)>,
        low: i64,
    ) -> Result<(Partition, i64), Failure> {
        let source = SourceId { topic: self.shared.names.posts.as_str().into(), partition: number };
        let end = self.ends.as_ref().and_then(|ends| ends.get(&number).copied());
        let Some((offset, metadata)) = committed else {
            let intake = Intake::new(&self.shared.settings.config);
            return Ok((Partition::new(source, self.n_partitions, intake, low, end), low));
        };
        let kept = Committed::of_metadata(metadata)
            .ok_or_else(|| anyhow!("the position committed for {source} has no state of ours beside it"))?;
        let intake = Intake::restore(&self.shared.settings.config, self.shared.settings.hash, &kept.intake)
            .map_err(|error| other_state(&self.shared, &error))?;
        let partition =
            Partition::new(source, self.n_partitions, intake, offset, end).resumed(kept.read_at_ms);
        Ok((partition, offset))
    }
}

impl Member for Ingest {
    fn assign(&mut self, group: &Group<Self>, numbers: &[i32]) -> Result<Vec<(i32, i64)>, Failure> {
        let topic = self.shared.names.posts.clone();
        let mut asked = TopicPartitionList::new();
        for &number in numbers {
            asked.add_partition(&topic, number);
        }
        let committed = group.committed_offsets(asked, REQUEST_TIMEOUT)?;
        let mut offsets = Vec::new();
        for &number in numbers {
            let (low, high) = group.fetch_watermarks(&topic, number, REQUEST_TIMEOUT)?;
            let found = committed.find_partition(&topic, number);
            let position = found.as_ref().and_then(|found| match found.offset() {
                Offset::Offset(offset) => Some((offset, found.metadata())),
                _ => None,
            });
            let (partition, offset) = self.restore(number, position, low)?;
            self.partitions.insert(number, partition);
            self.tails.insert(number, Tail::default());
            let there = if offset < low || offset > high { low } else { offset };
            if there != offset {
                self.skip(number, offset, there)?;
            }
            offsets.push((number, there));
        }
        self.finish_at_ends()?;
        self.write_marks()?;
        self.shared.telemetry.rebalances.get_or_create(&RoleLabel { role: Role::Ingest.name() }).inc();
        Ok(offsets)
    }

    fn revoke(&mut self, group: &Group<Self>, numbers: &[i32], is_lost: bool) -> Outcome {
        self.shared.telemetry.rebalances.get_or_create(&RoleLabel { role: Role::Ingest.name() }).inc();
        let outcome = if is_lost { Ok(()) } else { self.commit(group, Some(numbers)) };
        for number in numbers {
            self.partitions.remove(number);
            self.tails.remove(number);
            self.paused.remove(number);
        }
        outcome
    }

    fn handle_message(&mut self, _: &Group<Self>, message: &BorrowedMessage<'_>) -> Outcome {
        let number = message.partition();
        self.tails.insert(number, Tail::default());
        let post = (message.offset(), message.payload().unwrap_or_default(), now_ms());
        self.with_partition(number, |partition, judge, outcomes, say| {
            partition.handle_post(post, judge, outcomes, say);
        })
    }

    fn handle_end(&mut self, number: i32) {
        self.tails.entry(number).or_default().is_at_end = true;
    }

    fn handle_loss(&mut self, group: &Group<Self>) -> Outcome {
        let topic = self.shared.names.posts.clone();
        let nexts: Vec<(i32, i64)> =
            self.partitions.iter().map(|(&n, partition)| (n, partition.next_offset())).collect();
        for (number, next) in nexts {
            let (low, high) = group.fetch_watermarks(&topic, number, REQUEST_TIMEOUT)?;
            if next < low || next > high {
                self.skip(number, next, low)?;
                resume_at(group, &topic, number, low)?;
                self.paused.remove(&number);
            }
        }
        Ok(())
    }

    fn handle_tick(&mut self, group: &Group<Self>, now: Instant) -> Outcome {
        self.outbox.serve();
        if now - self.marked >= MARK_INTERVAL {
            self.marked = now;
            self.shared.telemetry.beat(Role::Ingest);
            self.finish_at_ends()?;
            self.write_marks()?;
            self.align(group)?;
        }
        if now - self.looked >= IDLE_INTERVAL {
            self.looked = now;
            self.look_at_idle(group)?;
        }
        if now - self.committed >= COMMIT_INTERVAL {
            self.committed = now;
            self.commit(group, None)?;
        }
        Ok(())
    }

    fn close(&mut self, group: &Group<Self>) -> Outcome {
        self.commit(group, None)
    }
}

impl Ingest {
    fn skip(&mut self, number: i32, from: i64, to: i64) -> Outcome {
        tracing::error!(partition = number, from, to, "posts were lost before they could be read");
        self.shared.telemetry.gaps.inc();
        self.with_partition(number, |partition, _, _, say| partition.skip_to(to, say))
    }
}

/// Turns what is said into records.
struct Sender<'a> {
    shared: &'a Shared,
    outbox: &'a Outbox,
}

impl Sender<'_> {
    fn send(&self, number: i32, said: &Said, bytes: &mut Vec<u8>) -> Outcome {
        match said {
            Said::Record(record) => {
                let catalogue = &self.shared.settings.catalogue;
                records::encode(record, catalogue, self.shared.settings.hash, bytes);
                let key = match &record.telling {
                    Telling::Complaint { complaint, .. } => {
                        let first = complaint
                            .about
                            .first()
                            .map(|&(service, _)| catalogue.service(service).id.as_str());
                        first.unwrap_or_default().to_owned()
                    }
                    Telling::Mark(_) | Telling::Gap { .. } => record.source.to_string(),
                };
                let topic = &self.shared.complaints;
                self.outbox.send(
                    Outgoing { topic, partition: Some(0), key: key.as_bytes(), value: Some(bytes) },
                    None,
                )
            }
            Said::Unusable(unusable) => self.send_dead_letter(number, unusable, bytes),
        }
    }

    fn send_dead_letter(&self, number: i32, unusable: &Unusable, bytes: &mut Vec<u8>) -> Outcome {
        let Unusable { rejection, offset, raw } = unusable;
        let label = OutcomeLabel { outcome: rejection.outcome.name() };
        self.shared.telemetry.dead_letters.get_or_create(&label).inc();
        let source = format!("{}/{number}", self.shared.names.posts);
        let letter = DeadLetter {
            outcome: rejection.outcome,
            detail: &rejection.detail,
            input: &source,
            line: offset.unsigned_abs(),
            raw: raw.as_deref(),
        };
        bytes.clear();
        dead_letter::write(bytes, &letter)?;
        let key = format!("{source}/{offset}");
        let topic = self.shared.names.dead_letter();
        self.outbox
            .send(Outgoing { topic: &topic, partition: None, key: key.as_bytes(), value: Some(bytes) }, None)
    }
}
