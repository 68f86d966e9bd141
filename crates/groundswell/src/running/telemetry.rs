//! What the running system says of itself, as Prometheus metrics: the unit is in each name.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// A Kafka transaction takes some milliseconds; a broker that restarts makes it some seconds.
const TRANSACTION_BUCKETS_S: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const RESTORE_BUCKETS_S: [f64; 7] = [0.05, 0.1, 0.5, 1.0, 2.0, 10.0, 60.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabel {
    pub(super) outcome: &'static str,
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

/// The metrics, and the signs of life that `/readyz` asks for.
#[derive(Debug)]
pub(super) struct Telemetry {
    registry: Mutex<Registry>,
    pub(super) posts: Family<OutcomeLabel, Counter>,
    pub(super) complaints: Family<OutcomeLabel, Counter>,
    pub(super) dead_letters: Family<OutcomeLabel, Counter>,
    pub(super) lag: Family<PartitionLabel, Gauge>,
    pub(super) watermark_delay_s: Gauge<f64, AtomicU64>,
    pub(super) minutes_closed: Counter,
    pub(super) services: Family<StateLabel, Gauge>,
    pub(super) alerts: Family<KindLabel, Counter>,
    pub(super) gaps: Counter,
    pub(super) rebalances: Family<RoleLabel, Counter>,
    pub(super) transaction_s: Histogram,
    pub(super) restore_s: Histogram,
    memory_bytes: Gauge,
    cpu_s: Gauge<f64, AtomicU64>,
    /// When each role last looked at its timers, milliseconds since the epoch; 0 before, -1 for a role that is not run.
    beats: [AtomicI64; 2],
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
    pub(super) fn new(config_hash: String) -> Self {
        let telemetry = Self {
            registry: Mutex::default(),
            posts: Family::default(),
            complaints: Family::default(),
            dead_letters: Family::default(),
            lag: Family::default(),
            watermark_delay_s: Gauge::default(),
            minutes_closed: Counter::default(),
            services: Family::default(),
            alerts: Family::default(),
            gaps: Counter::default(),
            rebalances: Family::default(),
            transaction_s: Histogram::new(TRANSACTION_BUCKETS_S),
            restore_s: Histogram::new(RESTORE_BUCKETS_S),
            memory_bytes: Gauge::default(),
            cpu_s: Gauge::default(),
            beats: [AtomicI64::new(-1), AtomicI64::new(-1)],
        };
        let build: Family<BuildLabel, Gauge> = Family::default();
        build.get_or_create(&BuildLabel { version: env!("CARGO_PKG_VERSION"), config_hash }).set(1);
        telemetry.register(build);
        telemetry
    }

    fn register(&self, build: Family<BuildLabel, Gauge>) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let own = registry.sub_registry_with_prefix("groundswell");
        own.register("posts", "Posts read, by what became of them", self.posts.clone());
        own.register(
            "complaints",
            "Complaints taken by the detector, by what became of them",
            self.complaints.clone(),
        );
        own.register("dead_letters", "Posts that could not be used, by reason", self.dead_letters.clone());
        own.register("consumer_lag_records", "Records not yet read", self.lag.clone());
        own.register(
            "watermark_delay_seconds",
            "Wall clock less the latest event time",
            self.watermark_delay_s.clone(),
        );
        own.register("minutes_closed", "Minutes of event time that were closed", self.minutes_closed.clone());
        own.register("services", "Services by state", self.services.clone());
        own.register("alerts", "Events published, by kind", self.alerts.clone());
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
        registry.register("process_resident_memory_bytes", "Resident memory", self.memory_bytes.clone());
        registry.register("process_cpu_seconds", "User and system time", self.cpu_s.clone());
    }

    /// Everything in Prometheus' text format.
    pub(super) fn to_text(&self) -> String {
        if let Some((bytes, seconds)) = process_usage() {
            self.memory_bytes.set(bytes);
            self.cpu_s.set(seconds);
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut text, &registry).expect("a string can be written");
        text
    }

    /// A role is alive, now.
    pub(super) fn beat(&self, role: Role) {
        self.beats[role as usize].store(now_ms(), Ordering::Relaxed);
    }

    /// A role is to be run but is not up yet.
    pub(super) fn expect(&self, role: Role) {
        self.beats[role as usize].store(0, Ordering::Relaxed);
    }

    /// Roles that have not looked at their timers for `limit`.
    pub(super) fn stuck(&self, limit: Duration) -> Vec<&'static str> {
        let oldest = now_ms() - i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        let roles = [Role::Ingest, Role::Detect].into_iter();
        roles
            .filter(|&role| (0..oldest).contains(&self.beats[role as usize].load(Ordering::Relaxed)))
            .map(Role::name)
            .collect()
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
    use super::*;

    #[test]
    fn metrics_have_their_unit_in_the_name() {
        let telemetry = Telemetry::new("abc".to_owned());
        telemetry.posts.get_or_create(&OutcomeLabel { outcome: "complaint" }).inc_by(3);
        let text = telemetry.to_text();
        for line in [
            "groundswell_posts_total{outcome=\"complaint\"} 3",
            "process_resident_memory_bytes ",
            "config_hash=\"abc\"",
        ] {
            assert!(text.contains(line), "{line} must be in\n{text}");
        }
    }

    #[test]
    fn a_role_that_is_not_run_is_not_stuck_and_one_that_never_came_up_is() {
        let telemetry = Telemetry::new(String::new());
        assert_eq!(telemetry.stuck(Duration::from_secs(1)), [] as [&str; 0]);
        telemetry.expect(Role::Ingest);
        assert_eq!(telemetry.stuck(Duration::from_secs(1)), ["ingest"]);
        telemetry.beat(Role::Ingest);
        assert_eq!(telemetry.stuck(Duration::from_secs(1)), [] as [&str; 0]);
    }
}
