//! What the running system says of itself, as Prometheus metrics: the unit is in each name.
//!
//! Every metric is there from the start, and every counter with 0 under each label value that can be foreseen: a counter
//! that appears with its first 1 has not grown as Prometheus sees it, so that the first dead letter after a start would
//! raise no alert. `deploy/metrics.txt` lists the names; dashboards and rules use no others.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use groundswell_core::Outcome;
use groundswell_io::kafka::connection::Troubles;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A Kafka transaction takes some milliseconds; a broker that restarts makes it some seconds.
const TRANSACTION_BUCKETS_S: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const RESTORE_BUCKETS_S: [f64; 7] = [0.05, 0.1, 0.5, 1.0, 2.0, 10.0, 60.0];

/// What becomes of complaints that are counted when their minute is closed.
const COUNTED: [Outcome; 3] = [Outcome::Complaint, Outcome::DuplicateAuthor, Outcome::RepeatedText];
/// What becomes of the others: the minute was closed before, it was told again after a restart, it cannot be read.
const NOT_COUNTED: [&str; 3] = ["late", "redelivered", "damaged"];
/// Kinds of events.
const KINDS: [&str; 8] =
    ["suspected", "started", "updated", "ended", "retracted", "feed.silent", "feed.recovered", "feed.gap"];
/// States of services.
const STATES: [&str; 3] = ["normal", "suspected", "ongoing"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabel {
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabel {
    pub(super) kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabel {
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RoleLabel {
    pub(super) role: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PartitionLabel {
    pub(super) role: &'static str,
    pub(super) topic: String,
    pub(super) partition: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabel {
    version: &'static str,
    config_hash: String,
}

/// Dead letters: what is the outcome of a post is the reason of its dead letter.
#[derive(Debug, Clone, Default)]
pub(super) struct ByReason(Family<ReasonLabel, Counter>);

impl ByReason {
    pub(super) fn get_or_create(&self, label: &OutcomeLabel) -> Counter {
        self.0.get_or_create(&ReasonLabel { reason: label.outcome }).clone()
    }
}

/// Alerts: of the kinds that are about outages the kind says so anyway.
#[derive(Debug, Clone, Default)]
pub(super) struct ByKind(Family<KindLabel, Counter>);

impl ByKind {
    pub(super) fn get_or_create(&self, label: &KindLabel) -> Counter {
        let kind = label.kind.trim_start_matches("outage.").to_owned();
        self.0.get_or_create(&KindLabel { kind }).clone()
    }
}

/// The metrics, and the signs of life that `/readyz` asks for.
#[derive(Debug)]
pub(super) struct Telemetry {
    registry: Mutex<Registry>,
    pub(super) posts: Family<OutcomeLabel, Counter>,
    pub(super) complaints: Family<OutcomeLabel, Counter>,
    pub(super) dead_letters: ByReason,
    pub(super) lag: Family<PartitionLabel, Gauge>,
    pub(super) watermark_delay_s: Gauge<f64, AtomicU64>,
    pub(super) minutes_closed: Counter,
    pub(super) services: Family<StateLabel, Gauge>,
    pub(super) alerts: ByKind,
    /// 1 while the detect role hears nothing of the feed.
    pub(super) feed_silent: Gauge,
    pub(super) gaps: Counter,
    pub(super) rebalances: Family<RoleLabel, Counter>,
    pub(super) transaction_s: Histogram,
    pub(super) restore_s: Histogram,
    /// When each role last looked at its timers, milliseconds since the epoch; 0 before, -1 for a role that is not run.
    beats: [AtomicI64; 2],
    /// Whether each role has been told its partitions, and has restored what belongs to them.
    has_joined: [AtomicBool; 2],
}

/// A role's place among the heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Ingest,
    Detect,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Detect => "detect",
        }
    }
}

impl Telemetry {
    pub(super) fn new(config_hash: String, troubles: Troubles) -> Self {
        let telemetry = Self {
            registry: Mutex::default(),
            posts: Family::default(),
            complaints: Family::default(),
            dead_letters: ByReason::default(),
            lag: Family::default(),
            watermark_delay_s: Gauge::default(),
            minutes_closed: Counter::default(),
            services: Family::default(),
            alerts: ByKind::default(),
            feed_silent: Gauge::default(),
            gaps: Counter::default(),
            rebalances: Family::default(),
            transaction_s: Histogram::new(TRANSACTION_BUCKETS_S),
            restore_s: Histogram::new(RESTORE_BUCKETS_S),
            beats: [AtomicI64::new(-1), AtomicI64::new(-1)],
            has_joined: [AtomicBool::new(false), AtomicBool::new(false)],
        };
        telemetry.foresee();
        let build: Family<BuildLabel, Gauge> = Family::default();
        build.get_or_create(&BuildLabel { version: env!("CARGO_PKG_VERSION"), config_hash }).set(1);
        telemetry.register(build, troubles);
        telemetry
    }

    /// Begins with 0 under every label value that can be foreseen.
    fn foresee(&self) {
        for outcome in Outcome::ALL {
            let label = OutcomeLabel { outcome: outcome.name() };
            drop(self.posts.get_or_create(&label));
            if outcome.is_dead_letter() {
                drop(self.dead_letters.get_or_create(&label));
            }
        }
        let outcomes = COUNTED.iter().map(|outcome| outcome.name()).chain(NOT_COUNTED);
        outcomes.for_each(|outcome| drop(self.complaints.get_or_create(&OutcomeLabel { outcome })));
        KINDS.iter().for_each(|&kind| drop(self.alerts.get_or_create(&KindLabel { kind: kind.to_owned() })));
        STATES.iter().for_each(|state| drop(self.services.get_or_create(&StateLabel { state })));
        ROLES.iter().for_each(|role| drop(self.rebalances.get_or_create(&RoleLabel { role: role.name() })));
    }

    fn register(&self, build: Family<BuildLabel, Gauge>, troubles: Troubles) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register_collector(Box::new(ProcessUsage));
        let own = registry.sub_registry_with_prefix("groundswell");
        own.register("posts", "Posts read, by what became of them", self.posts.clone());
        own.register(
            "complaints",
            "Complaints taken by the detector, by what became of them",
            self.complaints.clone(),
        );
        own.register("dead_letters", "Posts that could not be used, by reason", self.dead_letters.0.clone());
        own.register("consumer_lag_records", "Records not yet read", self.lag.clone());
        own.register(
            "watermark_delay_seconds",
            "Wall clock less the latest event time",
            self.watermark_delay_s.clone(),
        );
        own.register("minutes_closed", "Minutes of event time that were closed", self.minutes_closed.clone());
        own.register("services", "Services that have been complained about, by state", self.services.clone());
        own.register("alerts", "Events published, by kind", self.alerts.0.clone());
        own.register("feed_silent", "1 while far fewer posts come than is usual", self.feed_silent.clone());
        own.register("gaps", "Times that input was lost before it was read", self.gaps.clone());
        own.register("rebalances", "Times that partitions came or went", self.rebalances.clone());
        own.register(
            "transaction_duration_seconds",
            "Time of a Kafka transaction",
            self.transaction_s.clone(),
        );
        own.register(
            "restore_duration_seconds",
            "Time to restore a partition's state",
            self.restore_s.clone(),
        );
        own.register("build_info", "Version and configuration", build);
        own.register_collector(Box::new(KafkaErrors(troubles)));
    }

    /// Everything in Prometheus' text format.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut text, &registry).expect("a string can be written");
        text
    }

    /// A role is alive, now.
    pub(super) fn beat(&self, role: Role) {
        self.beats[role as usize].store(now_ms(), Ordering::Relaxed);
        // Partitions are taken over where no role beats, so at the first beat after that their state is restored.
        if self.rebalances.get_or_create(&RoleLabel { role: role.name() }).get() > 0 {
            self.has_joined[role as usize].store(true, Ordering::Relaxed);
        }
    }

    /// A role is to be run but is not up yet.
    pub(super) fn expect(&self, role: Role) {
        self.beats[role as usize].store(0, Ordering::Relaxed);
    }

    /// What the roles that are run lack for being ready: one has not joined its group yet, or it has not looked at its
    /// timers for `limit`.
    pub(super) fn obstacles(&self, limit: Duration) -> Vec<String> {
        let obstacle = |role: &Role| {
            let beat_ms = self.beats[*role as usize].load(Ordering::Relaxed);
            let name = role.name();
            if beat_ms < 0 {
                return None;
            }
            if beat_ms == 0 || !self.has_joined[*role as usize].load(Ordering::Relaxed) {
                return Some(format!("{name} has not joined its group yet"));
            }
            let silent_ms = u128::try_from(now_ms() - beat_ms).unwrap_or_default();
            (silent_ms > limit.as_millis())
                .then(|| format!("{name} has been stuck for {} s", silent_ms / 1000))
        };
        ROLES.iter().filter_map(obstacle).collect()
    }
}

/// Both, in the order of their places.
const ROLES: [Role; 2] = [Role::Ingest, Role::Detect];

/// Errors that the Kafka library reported, by code.
#[derive(Debug)]
struct KafkaErrors(Troubles);

impl Collector for KafkaErrors {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Errors that the Kafka library reported, by code";
        let mut metric = encoder.encode_descriptor("errors", help, None, MetricType::Counter)?;
        for (code, n) in self.0.counts() {
            ConstCounter::new(n).encode(metric.encode_family(&[("code", code)])?)?;
        }
        Ok(())
    }
}

/// What the process uses, read when it is asked for.
#[derive(Debug)]
struct ProcessUsage;

impl Collector for ProcessUsage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some((bytes, seconds)) = process_usage() else { return Ok(()) };
        let memory = ConstGauge::new(bytes);
        let help = "Resident memory";
        memory.encode(encoder.encode_descriptor(
            "process_resident_memory_bytes",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        let cpu = ConstCounter::new(seconds);
        let help = "User and system time";
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?)
    }
}

/// The wall clock, milliseconds since the epoch.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Resident memory in bytes and processor time in seconds, where the system tells.
fn process_usage() -> Option<(i64, f64)> {
    /// Linux' page size and clock tick on every platform that we build for.
    const PAGE_BYTES: i64 = 4096;
    const TICKS_PER_SECOND: f64 = 100.0;
    let pages: i64 =
        std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The fields after the program's name, which may hold spaces: user and system time are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |nth: usize| fields.get(nth)?.parse::<f64>().ok();
    Some((pages * PAGE_BYTES, (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use groundswell_io::kafka::connection::Connection;

    use super::*;

    fn telemetry() -> (Telemetry, Troubles) {
        let troubles = Connection::new("127.0.0.1:1", &BTreeMap::new()).troubles().clone();
        (Telemetry::new("abc".to_owned(), troubles.clone()), troubles)
    }

    #[track_caller]
    fn check_lines(telemetry: &Telemetry, lines: &[&str]) {
        let text = telemetry.to_text();
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line} must be in\n{text}");
        }
    }

    #[test]
    fn every_metric_that_dashboards_and_rules_know_is_there_from_the_start() {
        let names = include_str!("../../../../deploy/metrics.txt");
        let (telemetry, _) = telemetry();
        let label = PartitionLabel { role: "ingest", topic: "posts".to_owned(), partition: 0 };
        drop(telemetry.lag.get_or_create(&label));
        let text = telemetry.to_text();
        for name in names.lines() {
            let has_sample = text.lines().any(|line| {
                let rest = line.strip_prefix(name).unwrap_or_default();
                let rest = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| rest.strip_prefix(end))
                    .unwrap_or(rest);
                rest.starts_with(['{', ' '])
            });
            assert!(has_sample, "{name} must have a value in\n{text}");
        }
        let named = |line: &str| {
            let name = line.split([' ', '{']).next().unwrap_or_default();
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            names.lines().any(|known| known == base)
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(named(line), "{line} must be in deploy/metrics.txt");
        }
    }

    #[test]
    fn counters_begin_with_0_under_every_label_value_that_can_be_foreseen() {
        let (telemetry, _) = telemetry();
        for outcome in Outcome::ALL {
            let name = outcome.name();
            check_lines(&telemetry, &[&format!("groundswell_posts_total{{outcome=\"{name}\"}} 0")]);
            let dead_letter = format!("groundswell_dead_letters_total{{reason=\"{name}\"}} 0");
            let is_there = telemetry.to_text().contains(&dead_letter);
            assert_eq!(is_there, outcome.is_dead_letter(), "{name} is a reason if it can be one");
        }
        check_lines(
            &telemetry,
            &[
                "groundswell_complaints_total{outcome=\"complaint\"} 0",
                "groundswell_complaints_total{outcome=\"late\"} 0",
                "groundswell_complaints_total{outcome=\"redelivered\"} 0",
                "groundswell_complaints_total{outcome=\"damaged\"} 0",
                "groundswell_alerts_total{kind=\"started\"} 0",
                "groundswell_alerts_total{kind=\"feed.gap\"} 0",
                "groundswell_rebalances_total{role=\"detect\"} 0",
                "groundswell_services{state=\"normal\"} 0",
                "groundswell_services{state=\"suspected\"} 0",
                "groundswell_services{state=\"ongoing\"} 0",
                "groundswell_errors_total{code=\"broker_transport_failure\"} 0",
                "groundswell_errors_total{code=\"authentication\"} 0",
                "groundswell_feed_silent 0",
                "groundswell_gaps_total 0",
            ],
        );
    }

    #[test]
    fn what_is_counted_is_told_under_the_label_that_dashboards_ask_for() {
        let (telemetry, troubles) = telemetry();
        telemetry.posts.get_or_create(&OutcomeLabel { outcome: "complaint" }).inc_by(3);
        telemetry.dead_letters.get_or_create(&OutcomeLabel { outcome: "not_json" }).inc();
        telemetry.alerts.get_or_create(&KindLabel { kind: "outage.started".to_owned() }).inc();
        troubles.count(rdkafka::error::RDKafkaErrorCode::SSL);
        troubles.count(rdkafka::error::RDKafkaErrorCode::NotCoordinator);
        check_lines(
            &telemetry,
            &[
                "groundswell_posts_total{outcome=\"complaint\"} 3",
                "groundswell_dead_letters_total{reason=\"not_json\"} 1",
                "groundswell_alerts_total{kind=\"started\"} 1",
                "groundswell_errors_total{code=\"ssl\"} 1",
                "groundswell_errors_total{code=\"not_coordinator\"} 1",
                "# TYPE process_cpu_seconds counter",
                "# EOF",
            ],
        );
        assert!(telemetry.to_text().contains("config_hash=\"abc\""));
    }

    #[test]
    fn a_role_is_ready_once_it_has_joined_and_until_it_is_stuck() {
        const LIMIT: Duration = Duration::from_secs(1);
        let (telemetry, _) = telemetry();
        assert_eq!(telemetry.obstacles(LIMIT), [] as [&str; 0], "a role that is not run need not be ready");
        telemetry.expect(Role::Ingest);
        assert_eq!(telemetry.obstacles(LIMIT), ["ingest has not joined its group yet"]);
        telemetry.beat(Role::Ingest);
        assert_eq!(telemetry.obstacles(LIMIT), ["ingest has not joined its group yet"]);
        telemetry.rebalances.get_or_create(&RoleLabel { role: "ingest" }).inc();
        assert_eq!(
            telemetry.obstacles(LIMIT),
            ["ingest has not joined its group yet"],
            "its state may not be restored yet"
        );
        telemetry.beat(Role::Ingest);
        assert_eq!(telemetry.obstacles(LIMIT), [] as [&str; 0]);
        telemetry.beats[0].store(now_ms() - 70_500, Ordering::Relaxed);
        assert_eq!(telemetry.obstacles(LIMIT), ["ingest has been stuck for 70 s"]);
    }
}
