//! The detector as it ships, in worlds of which everything is known: does the promise hold, and how near is the delay to
//! the least that is possible?
//!
//! Worlds are independent of each other and are watched on all cores; the result does not depend on how many there are.

mod example;
mod figures;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use groundswell_core::{
    Bin, BinWidth, Catalogue, Config, Detector, EventKind, EventTime, OutageEvent, ServiceIndex,
};
use groundswell_io::lines::StopFlag;
use groundswell_testkit::{Change, CountedService, Counts, Hard, World};

pub(crate) use self::example::watch_example;
pub(crate) use self::figures::{Delay, Figure};
use crate::judging::poisson_interval_95;
use crate::report::Histories;
use crate::told::{Told, tell};

/// The worlds begin on this Monday, minutes since 1970 (1 January 2024).
const START_MIN: i64 = 28_401_120;
const MINUTES_PER_YEAR: f64 = 525_960.0;
/// An outage counts as found from its start until so long after its end, minutes.
const TOLERANCE_MIN: i64 = 15;
/// How long after a gap of the feed a storm would come.
const STORM_MIN: u32 = 60;

/// How much to watch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) n_null: u64,
    pub(crate) n_failing: u64,
}

impl Extent {
    /// Two hundred service-years of each kind of null.
    pub(crate) const FULL: Self = Self { n_null: 44, n_failing: 12 };
    /// Enough to see that nothing is broken.
    pub(crate) const QUICK: Self = Self { n_null: 3, n_failing: 2 };

    pub(crate) fn n_worlds(self) -> u64 {
        2 * self.n_null + self.n_failing + Hard::ALL.len() as u64
    }
}

#[derive(Debug, Clone, Copy)]
enum Job {
    Null { nth: u64, wanders: bool },
    Failing(u64),
    Hard(Hard),
}

/// Alarms where nothing is wrong.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(crate) struct Alarms {
    pub(crate) suspected: u64,
    pub(crate) started: u64,
    pub(crate) service_years: f64,
}

impl Alarms {
    fn add(&mut self, other: Self) {
        self.suspected += other.suspected;
        self.started += other.started;
        self.service_years += other.service_years;
    }

    /// Alarms a service-year with the exact 95 % interval.
    pub(crate) fn rate(&self, n: u64) -> (f64, f64, f64) {
        let (low, high) = poisson_interval_95(n);
        let of = |n: f64| n / self.service_years;
        (of(n as f64), of(low), of(high))
    }
}

/// One outage, and what became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) change: Change,
    /// Rate that was to be expected at its start, complaints a minute.
    pub(crate) rate: f64,
    pub(crate) size: f64,
    /// From the true start to *suspected* and to *started*, minutes.
    pub(crate) suspected_min: Option<f64>,
    pub(crate) started_min: Option<f64>,
    pub(crate) onset_error_min: Option<f64>,
    /// From the true end: the end that was told, and the decision on it.
    pub(crate) end_error_min: Option<f64>,
    pub(crate) end_decided_min: Option<f64>,
    /// Further outages told within it.
    pub(crate) n_further: usize,
}

/// What happened where something was hard.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct HardCase {
    pub(crate) name: &'static str,
    pub(crate) services: usize,
    pub(crate) suspected: usize,
    pub(crate) started: usize,
    /// The most that one service had.
    pub(crate) started_most: usize,
    /// Events within the gap and the hour after it.
    pub(crate) around_gap: usize,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) steady: Alarms,
    pub(crate) wandering: Alarms,
    pub(crate) outages: Vec<Judged>,
    pub(crate) hard: Vec<HardCase>,
}

/// Watches all worlds of `seed`; `None` if `stop` was raised. `done` is called after each.
pub(crate) fn measure(
    seed: u64,
    extent: Extent,
    config: &Config,
    stop: &StopFlag,
    done: &(dyn Fn() + Sync),
) -> Option<Measured> {
    let nulls = (0..extent.n_null).flat_map(|nth| [false, true].map(|wanders| Job::Null { nth, wanders }));
    let jobs: Vec<Job> =
        (0..extent.n_failing).map(Job::Failing).chain(Hard::ALL.map(Job::Hard)).chain(nulls).collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&job) = jobs.get(at) else { return };
                    let Some(measured) = watch(seed, job, config, stop) else { return };
                    results.lock().expect("no thread panics with it").push((at, measured));
                    done();
                }
            });
        }
    });
    if stop.is_raised() {
        return None;
    }
    let mut results = results.into_inner().expect("no thread panics with it");
    results.sort_by_key(|&(at, _)| at);
    let mut all = Measured::default();
    for (_, measured) in results {
        all.steady.add(measured.steady);
        all.wandering.add(measured.wandering);
        all.outages.extend(measured.outages);
        all.hard.extend(measured.hard);
    }
    Some(all)
}

fn watch(seed: u64, job: Job, config: &Config, stop: &StopFlag) -> Option<Measured> {
    let world = match job {
        Job::Null { nth, wanders } => World::null(seed, nth, wanders),
        Job::Failing(nth) => World::failing(seed, nth),
        Job::Hard(hard) => World::hard(seed, hard),
    };
    let events = detect(&world, seed, config, stop, None)?;
    let mut measured = Measured::default();
    match job {
        Job::Null { wanders, .. } => {
            let alarms = if wanders { &mut measured.wandering } else { &mut measured.steady };
            *alarms = count_alarms(&world, &events);
        }
        Job::Failing(_) => measured.outages = judge(&world, seed, &events),
        Job::Hard(hard) => measured.hard = vec![hard_case(&world, hard, &events)],
    }
    Some(measured)
}

/// The services of a world, in its order, and what each is known by.
fn catalogue_of(world: &World) -> (Catalogue, Vec<ServiceIndex>) {
    let mut catalogue = Catalogue::default();
    let services = world.services.iter().map(|service| catalogue.push_bare(&service.id)).collect();
    (catalogue, services)
}

/// Runs a world through a detector; the events of each service. Their histories are kept if they are wanted.
fn detect(
    world: &World,
    seed: u64,
    config: &Config,
    stop: &StopFlag,
    mut histories: Option<&mut Histories>,
) -> Option<Vec<Vec<OutageEvent>>> {
    let (catalogue, services) = catalogue_of(world);
    let mut counts: Vec<Counts<'_>> =
        world.services.iter().map(|service| Counts::new(service, seed)).collect();
    let mut detector = Detector::new(config.clone());
    if histories.is_some() {
        detector.keep_rows();
    }
    let mut events = vec![Vec::new(); services.len()];
    let mut row = Vec::new();
    for minute in 0..world.n_minutes {
        if minute.is_multiple_of(1_440) && stop.is_raised() {
            return None;
        }
        row.clear();
        row.extend(services.iter().zip(&mut counts).filter_map(|(&service, counts)| {
            let count = counts.next()?;
            // The first minute makes the services known; from then on no row is no complaint.
            (count > 0 || minute == 0).then_some((service, count))
        }));
        let bin = bin_of(minute);
        if world.gap.as_ref().is_some_and(|gap| gap.contains(&minute)) {
            detector.handle_counts(bin, &[], &services);
        } else {
            detector.handle_counts(bin, &row, &[]);
        }
        while let Some(event) = detector.poll_event() {
            if let Some(histories) = &mut histories {
                histories.note(&event, &catalogue);
            }
            let at = services.binary_search(&event.service).expect("events are of services that were given");
            events[at].push(event);
        }
        while let Some(row) = detector.poll_row() {
            if let Some(histories) = &mut histories {
                histories.take(&row, &catalogue);
            }
        }
    }
    Some(events)
}

fn bin_of(minute: u32) -> Bin {
    BinWidth::MINUTE.bin_of(time_of(minute))
}

fn time_of(minute: u32) -> EventTime {
    EventTime::from_ms((START_MIN + i64::from(minute)) * 60_000).expect("the worlds lie in 2024")
}

/// Minutes from the start of a world.
fn minute_of(time: EventTime) -> i64 {
    time.as_ms() / 60_000 - START_MIN
}

fn count_alarms(world: &World, events: &[Vec<OutageEvent>]) -> Alarms {
    let is_judged = |event: &&OutageEvent| minute_of(event.time) > i64::from(world.warm_up_min);
    let of = |kind: EventKind| {
        events.iter().flatten().filter(is_judged).filter(|event| event.kind == kind).count() as u64
    };
    let watched_min = f64::from(world.n_minutes - world.warm_up_min);
    // An outage may be raised to the higher tier at once.
    let directly = events.iter().flatten().filter(is_judged);
    let directly = directly.filter(|event| event.kind == EventKind::Started && event.sequence == 1).count();
    Alarms {
        suspected: of(EventKind::Suspected) + directly as u64,
        started: of(EventKind::Started),
        service_years: events.len() as f64 * watched_min / MINUTES_PER_YEAR,
    }
}

fn judge(world: &World, seed: u64, events: &[Vec<OutageEvent>]) -> Vec<Judged> {
    let each = world.services.iter().zip(events);
    each.flat_map(|(service, events)| {
        let (told, rates) = (tell(events), Counts::new(service, seed));
        service
            .changes
            .iter()
            .map(move |change| judge_outage(service, change, &rates, &told))
            .collect::<Vec<_>>()
    })
    .collect()
}

fn judge_outage(service: &CountedService, change: &Change, rates: &Counts<'_>, told: &[Told]) -> Judged {
    let (start, end) = (i64::from(change.start_min), i64::from(change.end_min));
    let is_of_it = |told: &&Told| {
        let (onset, raised) = (minute_of(told.onset()), minute_of(told.suspected.at));
        onset >= start - TOLERANCE_MIN && onset <= end && raised > start && raised <= end + TOLERANCE_MIN
    };
    let mut of_it = told.iter().filter(is_of_it);
    let first = of_it.next();
    let minutes = |later: EventTime, earlier: i64| (minute_of(later) - earlier) as f64;
    Judged {
        change: *change,
        rate: rates.base_rate(change.start_min),
        size: service.size,
        suspected_min: first.map(|told| minutes(told.suspected.at, start)),
        started_min: first.and_then(|told| Some(minutes(told.started?.at, start))),
        onset_error_min: first.map(|told| minutes(told.onset(), start).abs()),
        end_error_min: first.and_then(|told| Some(minutes(told.ended?.0, end).abs())),
        end_decided_min: first.and_then(|told| Some(minutes(told.ended?.1, end))),
        n_further: of_it.count(),
    }
}

fn hard_case(world: &World, hard: Hard, events: &[Vec<OutageEvent>]) -> HardCase {
    let of = |events: &[OutageEvent], kind: EventKind| {
        let judged = events.iter().filter(|event| minute_of(event.time) > i64::from(world.warm_up_min));
        judged.filter(|event| event.kind == kind).count()
    };
    let started: Vec<usize> = events.iter().map(|events| of(events, EventKind::Started)).collect();
    let around = |event: &&OutageEvent| {
        let at = minute_of(event.time);
        world
            .gap
            .as_ref()
            .is_some_and(|gap| at > i64::from(gap.start) && at <= i64::from(gap.end + STORM_MIN))
    };
    HardCase {
        name: hard.name(),
        services: events.len(),
        suspected: events.iter().map(|events| of(events, EventKind::Suspected)).sum(),
        started: started.iter().sum(),
        started_most: started.into_iter().max().unwrap_or(0),
        around_gap: events.iter().flatten().filter(around).count(),
    }
}
