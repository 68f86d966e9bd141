//! The detect role: complaints and marks in, alerts out.
//!
//! Alerts, what was learned, and the place to read on from are written in one Kafka transaction: after a crash there is
//! either all of it or nothing. The place is part of the state itself and counts before the group's own offset, so an old
//! state is caught up from where it belongs. Each partition has a producer of its own, whose transactional id is the
//! partition's: taking a partition over ends whatever its former owner left open, and shuts a zombie out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use groundswell_core::{Confluence, Detector, Event, OutcomeCounts, Record, SourceId, Telling};
use groundswell_io::encode::{CloudEvent, EventEncoder};
use groundswell_io::kafka::alerts::headers;
use groundswell_io::kafka::reader::{Next, TopicReader};
use groundswell_io::kafka::topics::STATE_BYTES_MAX;
use groundswell_io::records::{self, RecordError};
use rdkafka::consumer::Consumer;
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::Producer;
use rdkafka::{Message, Offset, TopicPartitionList};
use thiserror::Error;

use super::failpoint;
use super::group::{Group, Member, resume_at};
use super::outbox::{Outbox, Outgoing};
use super::telemetry::{KindLabel, OutcomeLabel, Role, RoleLabel, StateLabel, now_ms};
use super::transaction::{Ended, commit};
use super::{Shared, other_state};
use crate::failure::{Failure, Outcome};

/// How often state is written when there is nothing to tell: the most that is read again after a crash.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
const TICK_INTERVAL: Duration = Duration::from_millis(200);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the producer keeps a connection that it does not use. If the group's coordinator crashes during a transaction,
/// the library waits for it without an end, until any other connection comes or goes (librdkafka issues 5456 and 5511);
/// nothing else would make one go.
const IDLE_MS_MAX: &str = "10000";

/// The member of the detect group.
pub(super) struct Detect {
    shared: Arc<Shared>,
    tasks: BTreeMap<i32, Task>,
    ticked: Instant,
}

/// Another process has taken a partition over; whoever had it joins the group anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("another process has taken partition {partition} over")]
pub(super) struct TakenOver {
    partition: i32,
}

/// One partition of the complaints topic.
struct Task {
    partition: i32,
    confluence: Confluence,
    outbox: Outbox,
    next_offset: i64,
    /// What is told because of records before this place is on the alerts topic already: the group's offset is written
    /// with it. Ahead of the state's own place only if that state is an old one, which is caught up in silence.
    told_until: i64,
    /// Events that are not committed yet.
    events: Vec<CloudEvent>,
    is_changed: bool,
    committed: Instant,
    /// What the metrics have been told.
    told: Told,
}

#[derive(Default)]
struct Told {
    outcomes: OutcomeCounts,
    n_late: u64,
    n_redelivered: u64,
    n_bins_closed: u64,
}

impl Detect {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), tasks: BTreeMap::new(), ticked: Instant::now() }
    }

    fn open(&self, group: &Group<Self>, partition: i32) -> Result<Task, Failure> {
        let started = Instant::now();
        let id = format!("{}-detect-{partition}", self.shared.names.prefix());
        // A transaction that hangs holds readers of alerts up; ours take milliseconds.
        let own = [
            ("transactional.id", id.as_str()),
            ("transaction.timeout.ms", "30000"),
            ("message.max.bytes", STATE_BYTES_MAX),
            ("message.timeout.ms", "30000"),
            ("connections.max.idle.ms", IDLE_MS_MAX),
        ];
        let outbox = Outbox::open(&self.shared.connection, &own, &self.shared.stop)?;
        outbox.producer().init_transactions(REQUEST_TIMEOUT).map_err(|error| {
            self.shared.connection.failed(format!("cannot begin transactions as {id}"), &error)
        })?;
        let entries = read_state(&self.shared, partition)?;
        let restored = Confluence::restore(&self.shared.settings.config, self.shared.settings.hash, &entries);
        let restored = restored.map_err(|error| other_state(&self.shared, &error))?;
        let (low, high) = group.fetch_watermarks(&self.shared.complaints, partition, REQUEST_TIMEOUT)?;
        let told_until = committed_offset(group, &self.shared.complaints, partition)?;
        let told_until = told_until.filter(|told| (low..=high).contains(told)).unwrap_or(low);
        let mut events = Vec::new();
        let (confluence, next_offset) = match restored {
            None => (Confluence::new(self.shared.settings.config.clone()), low),
            Some((confluence, next)) if (low..=high).contains(&next) => (confluence, next),
            Some((confluence, next)) => {
                tracing::error!(
                    partition,
                    from = next,
                    to = low,
                    "complaints were lost before they could be read"
                );
                let source = SourceId { topic: self.shared.complaints.as_str().into(), partition };
                self.shared.telemetry.gaps.inc();
                events.push(gap_event(&source, next, low));
                (confluence, low)
            }
        };
        self.shared.telemetry.restore_s.observe(started.elapsed().as_secs_f64());
        let elapsed_ms = started.elapsed().as_millis();
        tracing::info!(
            partition,
            offset = next_offset,
            n_entries = entries.len(),
            elapsed_ms,
            "state restored"
        );
        if told_until > next_offset {
            tracing::warn!(
                partition,
                from = next_offset,
                to = told_until,
                "the state is older than the alerts; catching up without telling them again"
            );
        }
        // What is restored was told by whoever counted it.
        let told = Told {
            n_bins_closed: confluence.detector().n_bins_closed(),
            outcomes: confluence.outcomes().clone(),
            ..Told::default()
        };
        let is_changed = !events.is_empty();
        Ok(Task {
            partition,
            confluence,
            outbox,
            next_offset,
            told_until,
            events,
            is_changed,
            committed: Instant::now(),
            told,
        })
    }

    /// Commits what is due; a task whose partition turns out to be another's is dropped.
    fn commit_due(&mut self, group: &Group<Self>, is_due: impl Fn(&Task) -> bool) -> Outcome {
        let due: Vec<i32> =
            self.tasks.iter().filter(|(_, task)| is_due(task)).map(|(&number, _)| number).collect();
        for number in due {
            let Some(task) = self.tasks.get_mut(&number) else { continue };
            if task.commit(&self.shared, group)? == Ended::NotOurs {
                return Err(TakenOver { partition: number }.into());
            }
        }
        Ok(())
    }

    fn report(&mut self) {
        let telemetry = &self.shared.telemetry;
        for task in self.tasks.values_mut() {
            task.report(&self.shared);
        }
        let sum =
            |of: fn(&Detector) -> usize| self.tasks.values().map(|task| of(task.confluence.detector())).sum();
        let ongoing: usize = sum(|detector| detector.ongoing().count());
        let suspected: usize = sum(|detector| detector.suspected().count());
        let known: usize = sum(Detector::n_services_seen);
        let set = |state, n: usize| {
            telemetry.services.get_or_create(&StateLabel { state }).set(i64::try_from(n).unwrap_or(i64::MAX));
        };
        set("ongoing", ongoing);
        set("suspected", suspected);
        set("normal", known - ongoing - suspected);
        let is_silent = self.tasks.values().any(|task| task.confluence.detector().is_feed_silent());
        telemetry.feed_silent.set(i64::from(is_silent));
        if let Some(frontier) = self.tasks.values().filter_map(|task| task.confluence.frontier()).max() {
            telemetry.watermark_delay_s.set((now_ms() - frontier.as_ms()) as f64 / 1e3);
        }
    }
}

impl Member for Detect {
    fn assign(&mut self, group: &Group<Self>, numbers: &[i32]) -> Result<Vec<(i32, i64)>, Failure> {
        let mut offsets = Vec::new();
        for &number in numbers {
            let task = self.open(group, number)?;
            offsets.push((number, task.next_offset));
            self.tasks.insert(number, task);
        }
        self.shared.telemetry.rebalances.get_or_create(&RoleLabel { role: Role::Detect.name() }).inc();
        Ok(offsets)
    }

    fn revoke(&mut self, group: &Group<Self>, numbers: &[i32], is_lost: bool) -> Outcome {
        self.shared.telemetry.rebalances.get_or_create(&RoleLabel { role: Role::Detect.name() }).inc();
        let outcome =
            if is_lost { Ok(()) } else { self.commit_due(group, |task| numbers.contains(&task.partition)) };
        numbers.iter().for_each(|number| drop(self.tasks.remove(number)));
        outcome
    }

    fn handle_message(&mut self, group: &Group<Self>, message: &BorrowedMessage<'_>) -> Outcome {
        let Some(task) = self.tasks.get_mut(&message.partition()) else { return Ok(()) };
        if message.offset() < task.next_offset {
            return Ok(());
        }
        task.next_offset = message.offset() + 1;
        task.is_changed = true;
        let n_events = task.events.len();
        match records::decode(
            message.payload().unwrap_or_default(),
            &self.shared.settings.catalogue,
            self.shared.settings.hash,
        ) {
            Ok(record) => task.handle_record(record, &self.shared),
            // Whoever runs with another catalogue or version must not be left out in silence.
            Err(
                error @ (RecordError::OtherFormat { .. }
                | RecordError::OtherConfig { .. }
                | RecordError::UnknownService(_)),
            ) => {
                return Err(
                    anyhow!("{} at offset {}: {error}", self.shared.complaints, message.offset()).into()
                );
            }
            Err(error @ RecordError::Damaged(_)) => {
                tracing::error!(offset = message.offset(), "{error}");
                self.shared.telemetry.complaints.get_or_create(&OutcomeLabel { outcome: "damaged" }).inc();
            }
        }
        if message.offset() < task.told_until {
            task.events.truncate(n_events);
        }
        if task.events.is_empty() { Ok(()) } else { self.commit_due(group, |task| !task.events.is_empty()) }
    }

    fn handle_end(&mut self, _: i32) {}

    fn handle_loss(&mut self, group: &Group<Self>) -> Outcome {
        let topic = self.shared.complaints.clone();
        for task in self.tasks.values_mut() {
            let (low, high) = group.fetch_watermarks(&topic, task.partition, REQUEST_TIMEOUT)?;
            if !(low..=high).contains(&task.next_offset) {
                tracing::error!(
                    partition = task.partition,
                    from = task.next_offset,
                    to = low,
                    "complaints were lost before they could be read"
                );
                let source = SourceId { topic: topic.as_str().into(), partition: task.partition };
                self.shared.telemetry.gaps.inc();
                task.events.push(gap_event(&source, task.next_offset, low));
                task.next_offset = low;
                resume_at(group, &topic, task.partition, low)?;
            }
        }
        Ok(())
    }

    fn handle_tick(&mut self, group: &Group<Self>, now: Instant) -> Outcome {
        if now - self.ticked >= TICK_INTERVAL {
            self.ticked = now;
            self.shared.telemetry.beat(Role::Detect);
            self.commit_due(group, |task| task.is_changed && now - task.committed >= COMMIT_INTERVAL)?;
            self.report();
        }
        Ok(())
    }

    fn close(&mut self, group: &Group<Self>) -> Outcome {
        self.commit_due(group, |task| task.is_changed)
    }
}

impl Task {
    fn handle_record(&mut self, record: Record, shared: &Shared) {
        if let Telling::Gap { from, to } = record.telling {
            self.events.push(gap_event(&record.source, from, to));
            return;
        }
        self.confluence.handle_record(record);
        let encoder = EventEncoder::new(&shared.settings.catalogue, shared.settings.hash);
        let polled = std::iter::from_fn(|| self.confluence.poll());
        let encode = |event: Event| encoder.to_cloud_event(&event);
        self.events.extend(polled.map(encode));
    }

    fn commit(&mut self, shared: &Shared, group: &Group<Detect>) -> Result<Ended, Failure> {
        let started = Instant::now();
        let saved_offset = self.next_offset + i64::from(failpoint::has_bug("off-by-one"));
        let changes = self.confluence.take_changes(shared.settings.hash, saved_offset);
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&shared.complaints, self.partition, Offset::Offset(self.next_offset))?;
        let (alerts, state) = (shared.names.alerts(), shared.names.state());
        let send_alerts = |outbox: &Outbox| -> Outcome {
            for event in &self.events {
                let outgoing = Outgoing {
                    topic: &alerts,
                    partition: None,
                    key: event.subject.as_bytes(),
                    value: Some(event.data.as_bytes()),
                };
                outbox.send(outgoing, Some(headers(event)))?;
            }
            Ok(())
        };
        let send_state = |outbox: &Outbox| -> Outcome {
            for change in &changes {
                let outgoing = Outgoing {
                    topic: &state,
                    partition: Some(self.partition),
                    key: change.key.as_bytes(),
                    value: change.value.as_deref(),
                };
                outbox.send(outgoing, None)?;
            }
            Ok(())
        };
        let send = |outbox: &Outbox| -> Outcome {
            send_alerts(outbox)?;
            failpoint::pass("detect.between_alerts_and_state");
            send_state(outbox)
        };
        if failpoint::has_bug("state-before-alerts") && !self.events.is_empty() {
            commit(shared, &self.outbox, send_state, &offsets, || group.group_metadata())?;
            failpoint::pass("detect.between_transactions");
        }
        let ended = commit(shared, &self.outbox, send, &offsets, || group.group_metadata())?;
        if ended == Ended::NotOurs {
            return Ok(ended);
        }
        self.is_changed = false;
        self.committed = Instant::now();
        for event in self.events.drain(..) {
            let kind = event.event_type.trim_start_matches("groundswell.").trim_end_matches(".v1").to_owned();
            tracing::info!(id = event.id, kind, "event published");
            shared.telemetry.alerts.get_or_create(&KindLabel { kind }).inc();
        }
        shared.telemetry.transaction_s.observe(started.elapsed().as_secs_f64());
        Ok(ended)
    }

    fn report(&mut self, shared: &Shared) {
        let telemetry = &shared.telemetry;
        let now = self.confluence.outcomes();
        for (outcome, n) in now.occurred() {
            let label = OutcomeLabel { outcome: outcome.name() };
            telemetry.complaints.get_or_create(&label).inc_by(n - self.told.outcomes.of(outcome));
        }
        let n_late = self.confluence.n_late() - self.told.n_late;
        if n_late > 0 {
            tracing::warn!(
                n_late,
                "complaints came for minutes that are closed: their partition had been empty while others went on"
            );
        }
        let add = |outcome, n: u64, told: &mut u64| {
            telemetry.complaints.get_or_create(&OutcomeLabel { outcome }).inc_by(n - *told);
            *told = n;
        };
        add("late", self.confluence.n_late(), &mut self.told.n_late);
        add("redelivered", self.confluence.n_redelivered(), &mut self.told.n_redelivered);
        self.told.outcomes = now.clone();
        let n_closed = self.confluence.detector().n_bins_closed();
        telemetry.minutes_closed.inc_by(n_closed - self.told.n_bins_closed);
        self.told.n_bins_closed = n_closed;
    }
}

/// The group's offset, if it has one.
fn committed_offset(group: &Group<Detect>, topic: &str, partition: i32) -> Result<Option<i64>, Failure> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, partition);
    let found = group.committed_offsets(asked, REQUEST_TIMEOUT)?;
    let offset = found.find_partition(topic, partition).map(|found| found.offset());
    Ok(offset.and_then(|offset| match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }))
}

/// Reads what the state topic holds for a partition.
fn read_state(shared: &Shared, partition: i32) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut reader = TopicReader::open_partition(&shared.connection, &shared.names.state(), partition)?;
    let mut entries = BTreeMap::new();
    while !reader.is_at_end() {
        if shared.stop.is_raised() {
            return Err(anyhow!("interrupted while the state was restored").into());
        }
        if let Next::Message(message) = reader.poll(Duration::from_millis(100))? {
            let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
            match message.payload() {
                Some(value) => _ = entries.insert(key, value.to_vec()),
                None => _ = entries.remove(&key),
            }
        }
    }
    Ok(entries)
}

/// Tells that records `[from, to)` of `source` were lost before they were read.
fn gap_event(source: &SourceId, from: i64, to: i64) -> CloudEvent {
    let data =
        serde_json::json!({ "topic": source.topic, "partition": source.partition, "from": from, "to": to });
    CloudEvent {
        id: format!("gap-{}-{}-{from}-{to}", source.topic, source.partition),
        event_type: "groundswell.feed.gap.v1".to_owned(),
        subject: String::new(),
        time: groundswell_io::times::format(
            groundswell_core::EventTime::from_ms(now_ms()).unwrap_or(groundswell_core::EventTime::MIN),
        ),
        data: data.to_string(),
    }
}
