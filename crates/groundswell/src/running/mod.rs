//! The running system beside Kafka: two roles, a thread each, and somebody who watches them.
//!
//! In reading order: [`group`] polls; [`partition`] and [`ingest`] turn posts into records, at a pace that [`alignment`]
//! decides; [`detect`] turns those into
//! alerts, with [`transaction`]; [`outbox`] writes; [`telemetry`] and [`http`] tell how it goes.
//!
//! Shutting down, at SIGTERM or at the end of the input: stop reading; write the last marks and wait until everything
//! told has been delivered; commit the positions; commit the last transaction; leave the groups. Each step has a
//! deadline, together less than ten seconds. What a deadline cuts off is done again at the next start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use groundswell_core::{EventTime, Judge, Lexicon, RestoreError};
use groundswell_io::kafka::connection::{Connection, ConnectionContext, ConnectionError};
use groundswell_io::kafka::topics::{self, TopicNames};
use groundswell_io::lines::StopFlag;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::failure::{Failure, Outcome, usage};
use crate::settings::Settings;

mod alignment;
mod detect;
mod failpoint;
mod group;
mod http;
mod ingest;
mod outbox;
mod partition;
mod telemetry;
mod transaction;

use detect::{Detect, TakenOver};
use group::{Group, Member, MemberContext, drive, leave};
use ingest::Ingest;
use outbox::Outbox;
use telemetry::{PartitionLabel, Role, Telemetry};

/// How long it may take while the system runs; the end of the program waits for it.
const WATCH_TIMEOUT: Duration = Duration::from_secs(2);
/// How often lag is looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How often it is looked at whether the input is over, with `--until-end`.
const END_INTERVAL: Duration = Duration::from_millis(250);

/// How long ending may take: three times what the deadlines of its steps come to.
const END_DEADLINE: Duration = Duration::from_secs(30);

/// What to run, resolved.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) lexicon: Lexicon,
    pub(crate) connection: Connection,
    pub(crate) names: TopicNames,
    pub(crate) runs_ingest: bool,
    pub(crate) runs_detect: bool,
    pub(crate) until_end: bool,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) stop: StopFlag,
}

/// What the threads share.
struct Shared {
    settings: Settings,
    connection: Connection,
    names: TopicNames,
    complaints: String,
    telemetry: Telemetry,
    /// How far the partitions of the posts topic that are busy have come, as last committed by whatever process.
    busy: Mutex<BTreeMap<i32, EventTime>>,
    stop: StopFlag,
}

/// Runs until the end of the input, a signal, or a failure.
pub(crate) fn run(plan: Plan) -> Outcome {
    let Plan { settings, lexicon, connection, names, runs_ingest, runs_detect, until_end, metrics, stop } =
        plan;
    match connection.probe(&stop) {
        Err(interrupted @ ConnectionError::Interrupted { .. }) => {
            tracing::warn!("{interrupted}");
            return Ok(());
        }
        probed => probed?,
    }
    let n_posts_partitions = topics::check(&connection, &names)?;
    let hash = settings.hash;
    let telemetry = Telemetry::new(hash.to_string(), connection.troubles().clone());
    let complaints = names.complaints();
    let busy = Mutex::default();
    let shared = Arc::new(Shared { settings, connection, names, complaints, telemetry, busy, stop });
    end_at_last(&shared.stop)?;
    let judge = runs_ingest.then(|| shared.settings.judge(lexicon));
    let watcher = Watcher::new(&shared, n_posts_partitions, until_end, runs_detect)?;
    if let Some(address) = metrics {
        http::serve(address, Arc::clone(&shared))?;
    }
    tracing::info!(config_hash = %hash, posts_partitions = n_posts_partitions, "running");
    let ends = watcher.ends.clone();
    std::thread::scope(|scope| {
        let mut roles = Vec::new();
        if let Some(judge) = judge {
            shared.telemetry.expect(Role::Ingest);
            let work = || run_ingest(&shared, judge, n_posts_partitions, ends);
            roles.push(
                std::thread::Builder::new()
                    .name("ingest".to_owned())
                    .spawn_scoped(scope, stopping(&shared, work))?,
            );
        }
        if runs_detect {
            shared.telemetry.expect(Role::Detect);
            let work = || run_detect(&shared);
            roles.push(
                std::thread::Builder::new()
                    .name("detect".to_owned())
                    .spawn_scoped(scope, stopping(&shared, work))?,
            );
        }
        watcher.watch(&shared);
        // All are joined before the first failure, if there is one, is told.
        let ended = roles.into_iter().map(|role| role.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let outcomes: Vec<Outcome> = ended.collect();
        outcomes.into_iter().collect()
    })
}

/// Ends the process when ending takes too long: the library may wait for a broker for ever while a client is dropped.
/// Nothing is lost by it: what is not committed by then is done again at the next start.
fn end_at_last(stop: &StopFlag) -> Outcome {
    let stop = stop.clone();
    let wait_and_end = move || {
        while !stop.is_raised() {
            std::thread::sleep(END_INTERVAL);
        }
        std::thread::sleep(END_DEADLINE);
        tracing::error!("the Kafka library did not let go in time; ending without it");
        std::process::exit(1);
    };
    std::thread::Builder::new().name("end".to_owned()).spawn(wait_and_end)?;
    Ok(())
}

/// When one role ends, so does the other.
fn stopping<'a>(
    shared: &'a Shared,
    work: impl FnOnce() -> Outcome + Send + 'a,
) -> impl FnOnce() -> Outcome + Send + 'a {
    move || {
        let outcome = work();
        if let Err(Failure::Failed(error) | Failure::Usage(error)) = &outcome {
            tracing::error!("{}", shared.connection.redact(&format!("{error:#}")));
        }
        shared.stop.raise();
        while failpoint::has_bug("never-lets-go") {
            std::thread::park();
        }
        outcome
    }
}

fn run_ingest(
    shared: &Arc<Shared>,
    judge: Judge,
    n_partitions: u32,
    ends: Option<BTreeMap<i32, i64>>,
) -> Outcome {
    let outbox = Outbox::open(&shared.connection, &[], &shared.stop)?;
    let member = Ingest::new(shared, judge, outbox, n_partitions, ends);
    let group = join(shared, Role::Ingest, member)?;
    group.subscribe(&[&shared.names.posts])?;
    let outcome = drive(&group, &shared.stop);
    leave(group);
    outcome
}

fn run_detect(shared: &Arc<Shared>) -> Outcome {
    loop {
        let group = join(shared, Role::Detect, Detect::new(shared))?;
        group.subscribe(&[&shared.complaints])?;
        let outcome = drive(&group, &shared.stop);
        let has_left = leave(group);
        match outcome {
            Err(Failure::Failed(error)) if error.is::<TakenOver>() => {
                if shared.stop.is_raised() {
                    tracing::warn!("{error}");
                    return Ok(());
                }
                if !has_left {
                    // It would stay a member beside the new one, and keep partitions that nobody reads.
                    return Err(Failure::Failed(error));
                }
                tracing::warn!("{error}; joining the group anew");
            }
            outcome => return outcome,
        }
    }
}

fn join<M: Member>(shared: &Shared, role: Role, member: M) -> Result<Group<M>, Failure> {
    let group = group_id(shared, role);
    let own = [
        ("group.id", group.as_str()),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        // Where to begin is said at each assignment; a place that is gone is a loss, never a reason to skip.
        ("auto.offset.reset", "error"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("isolation.level", "read_committed"),
        ("allow.auto.create.topics", "false"),
        // What is fetched ahead, all partitions together: a share of the memory that does not grow with the backlog.
        ("queued.max.messages.kbytes", "32768"),
        // The library's own second of waiting, once that is full, would leave us idle most of the time.
        ("fetch.queue.backoff.ms", "10"),
        ("session.timeout.ms", "10000"),
    ];
    Ok(shared.connection.create(&own, MemberContext::new(&shared.connection, member, &shared.stop))?)
}

fn group_id(shared: &Shared, role: Role) -> String {
    format!("{}-{}", shared.names.prefix(), role.name())
}

/// Says what to do about a state that does not fit.
fn other_state(shared: &Shared, error: &RestoreError) -> Failure {
    usage(anyhow!(
        "{error}\n  run with the settings, catalogue and lexicon of before, or begin anew under another --prefix than `{}`",
        shared.names.prefix()
    ))
}

/// Looks at how far the groups have come.
struct Watcher {
    roles: Vec<(Role, String, u32, BaseConsumer<ConnectionContext>)>,
    ends: Option<BTreeMap<i32, i64>>,
    /// Whether the input is over only when detect has come to its end, too: without that role nobody might.
    watches_detect: bool,
}

impl Watcher {
    fn new(
        shared: &Shared,
        n_posts_partitions: u32,
        until_end: bool,
        watches_detect: bool,
    ) -> Result<Self, Failure> {
        let mut roles = Vec::new();
        for (role, topic, n_partitions) in [
            (Role::Ingest, shared.names.posts.clone(), n_posts_partitions),
            (Role::Detect, shared.complaints.clone(), 1),
        ] {
            let group = group_id(shared, role);
            let consumer = shared.connection.create(&[("group.id", &group)], shared.connection.context())?;
            for partition in numbers(n_partitions) {
                let label = PartitionLabel { role: role.name(), topic: topic.clone(), partition };
                drop(shared.telemetry.lag.get_or_create(&label));
            }
            roles.push((role, topic, n_partitions, consumer));
        }
        let mut watcher = Self { roles, ends: None, watches_detect };
        if until_end {
            let (_, topic, n_partitions, consumer) = &watcher.roles[0];
            watcher.ends = Some(highs(consumer, topic, *n_partitions)?);
        }
        Ok(watcher)
    }

    /// Until the program is to end; raises the flag itself once the input is over.
    fn watch(&self, shared: &Shared) {
        let mut watched = Instant::now();
        while !shared.stop.is_raised() {
            std::thread::sleep(END_INTERVAL);
            if self.ends.is_some() && self.is_over().unwrap_or(false) {
                tracing::info!("the input is over");
                shared.stop.raise();
            }
            if watched.elapsed() >= WATCH_INTERVAL {
                watched = Instant::now();
                self.report_lag(shared);
            }
        }
    }

    /// Whether ingest has come to the ends of the input, and detect to the end of what ingest told.
    fn is_over(&self) -> Result<bool, rdkafka::error::KafkaError> {
        let (_, posts, n_posts, ingest) = &self.roles[0];
        let committed = committed(ingest, posts, *n_posts)?;
        let is_read = |(number, end): (&i32, &i64)| {
            committed.get(number).is_some_and(|(at, metadata)| at >= end && ingest::is_finished(metadata))
        };
        if !self.ends.iter().flatten().all(is_read) {
            return Ok(false);
        }
        if !self.watches_detect {
            return Ok(true);
        }
        let (_, complaints, n_complaints, detect) = &self.roles[1];
        let ends = highs(detect, complaints, *n_complaints)?;
        let committed = self::committed(detect, complaints, *n_complaints)?;
        Ok(ends
            .iter()
            .all(|(number, end)| *end == 0 || committed.get(number).is_some_and(|(at, _)| at >= end)))
    }

    fn report_lag(&self, shared: &Shared) {
        for (role, topic, n_partitions, consumer) in &self.roles {
            let (Ok(highs), Ok(committed)) =
                (highs(consumer, topic, *n_partitions), committed(consumer, topic, *n_partitions))
            else {
                return;
            };
            if *role == Role::Ingest {
                let frontier = |(&number, (_, metadata)): (&i32, &(i64, String))| {
                    Some((number, ingest::busy_frontier(shared, metadata)?))
                };
                let busy = committed.iter().filter_map(frontier).collect();
                *shared.busy.lock().unwrap_or_else(PoisonError::into_inner) = busy;
            }
            for (partition, high) in highs {
                let label = PartitionLabel { role: role.name(), topic: topic.clone(), partition };
                let lag = high - committed.get(&partition).map_or(0, |(at, _)| *at);
                shared.telemetry.lag.get_or_create(&label).set(lag.max(0));
            }
        }
    }
}

fn numbers(n_partitions: u32) -> std::ops::Range<i32> {
    0..i32::try_from(n_partitions).unwrap_or(i32::MAX)
}

/// The end of each partition.
fn highs(
    consumer: &BaseConsumer<ConnectionContext>,
    topic: &str,
    n_partitions: u32,
) -> Result<BTreeMap<i32, i64>, rdkafka::error::KafkaError> {
    let high = |number| Ok((number, consumer.fetch_watermarks(topic, number, WATCH_TIMEOUT)?.1));
    numbers(n_partitions).map(high).collect()
}

/// The group's position in each partition that has one, and what is kept beside it.
fn committed(
    consumer: &BaseConsumer<ConnectionContext>,
    topic: &str,
    n_partitions: u32,
) -> Result<BTreeMap<i32, (i64, String)>, rdkafka::error::KafkaError> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(topic, 0, i32::try_from(n_partitions).unwrap_or(i32::MAX) - 1);
    let found = consumer.committed_offsets(asked, WATCH_TIMEOUT)?;
    let position = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset()
    {
        Offset::Offset(offset) => Some((element.partition(), (offset, element.metadata().to_owned()))),
        _ => None,
    };
    Ok(found.elements().into_iter().filter_map(position).collect())
}
