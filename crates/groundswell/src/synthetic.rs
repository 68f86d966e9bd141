//! The detector as it ships, in worlds of which everything is known: does the promise hold, and how near is the delay to
//! the least that is possible?
//!
//! Worlds are independent of each other and are watched on all cores; the result does not depend on how many there are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use groundswell_core::{
    Bin, BinWidth, Catalogue, Config, Detector, EventKind, EventTime, OutageEvent, ServiceIndex,
};
use groundswell_io::lines::StopFlag;
use groundswell_testkit::{
    Change, CountedService, Counts, Hard, MULTIPLIERS, Shape, World, oracle_delay_min,
};

use crate::judging::{median, poisson_interval_95};

/// The worlds begin on this Monday, minutes since 1970 (1 January 2024).
const START_MIN: i64 = 28_401_120;
const MINUTES_PER_YEAR: f64 = 525_960.0;
/// An outage counts as found from its start until so long after its end, minutes.
const TOLERANCE_MIN: i64 = 15;
/// Outages of services below this rate, of less strength or length than the others, are told and not judged.
const RATE_MIN: f64 = 0.1;
const STRENGTH_MIN: f64 = 5.0;
/// The end is judged for this strength, and from this rate on.
const END_STRENGTH: f64 = 5.0;
const END_RATE_MIN: f64 = 1.0;
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
    let events = detect(&world, seed, config, stop)?;
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

/// Runs a world through a detector; the events of each service.
fn detect(world: &World, seed: u64, config: &Config, stop: &StopFlag) -> Option<Vec<Vec<OutageEvent>>> {
    let mut catalogue = Catalogue::default();
    let services: Vec<ServiceIndex> =
        world.services.iter().map(|service| catalogue.push_bare(&service.id)).collect();
    let mut counts: Vec<Counts<'_>> =
        world.services.iter().map(|service| Counts::new(service, seed)).collect();
    let mut detector = Detector::new(config.clone());
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
            let at = services.binary_search(&event.service).expect("events are of services that were given");
            events[at].push(event);
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

/// What was told of one outage.
#[derive(Debug, Clone, Copy)]
struct Told {
    onset: i64,
    raised: i64,
    started: Option<i64>,
    ended: Option<(i64, i64)>,
}

fn told(events: &[OutageEvent]) -> Vec<Told> {
    let mut all: Vec<(EventTime, Told)> = Vec::new();
    for event in events {
        let (onset, time) = (minute_of(event.started_at), minute_of(event.time));
        if all.last().is_none_or(|(opened, _)| *opened != event.opened_at) {
            all.push((event.opened_at, Told { onset, raised: time, started: None, ended: None }));
        }
        let Some((_, told)) = all.last_mut() else { continue };
        if event.kind == EventKind::Started {
            (told.onset, told.started) = (onset, Some(time));
        }
        told.ended = event.ended_at.map(|ended| (minute_of(ended), time));
    }
    all.into_iter().map(|(_, told)| told).collect()
}

fn judge(world: &World, seed: u64, events: &[Vec<OutageEvent>]) -> Vec<Judged> {
    let each = world.services.iter().zip(events);
    each.flat_map(|(service, events)| {
        let (told, rates) = (told(events), Counts::new(service, seed));
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
        told.onset >= start - TOLERANCE_MIN
            && told.onset <= end
            && told.raised > start
            && told.raised <= end + TOLERANCE_MIN
    };
    let mut of_it = told.iter().filter(is_of_it);
    let first = of_it.next();
    let minutes = |later: i64, earlier: i64| (later - earlier) as f64;
    Judged {
        change: *change,
        rate: rates.base_rate(change.start_min),
        size: service.size,
        suspected_min: first.map(|told| minutes(told.raised, start)),
        started_min: first.and_then(|told| Some(minutes(told.started?, start))),
        onset_error_min: first.map(|told| minutes(told.onset, start).abs()),
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

/// A measured figure, and the bar that it is held against.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) measured: String,
    pub(crate) bar: &'static str,
    /// `None` where there is no bar, or nothing to hold against it.
    pub(crate) holds: Option<bool>,
}

impl Measured {
    /// The table of figures.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (name, alarms) in [("steady", &self.steady), ("wandering", &self.wandering)] {
            let (rate, low, high) = alarms.rate(alarms.suspected);
            figures.push(Figure {
                name: format!("false suspected a service-year, {name} rates"),
                measured: format!("{rate:.3} ({low:.3} to {high:.3}, {:.1} years)", alarms.service_years),
                bar: "<= 1.2",
                holds: Some(rate <= 1.2),
            });
            let (rate, low, high) = alarms.rate(alarms.started);
            figures.push(Figure {
                name: format!("false started a service-year, {name} rates"),
                measured: format!("{rate:.3} ({low:.3} to {high:.3})"),
                bar: "95 % interval holds 0.01, or below",
                holds: Some(low <= 0.01),
            });
        }
        self.outage_figures(&mut figures);
        for case in &self.hard {
            let gap = if case.around_gap > 0 {
                format!(", {} around the gap", case.around_gap)
            } else {
                String::new()
            };
            let is_outage = case.name == Hard::EarlyOutage.name();
            figures.push(Figure {
                name: format!("{}, {} services", case.name, case.services),
                measured: format!(
                    "{} started, at most {} of one; {} suspected{gap}",
                    case.started, case.started_most, case.suspected
                ),
                bar: if case.name == Hard::Gap.name() {
                    "nothing around it"
                } else {
                    "at most 1 started each"
                },
                holds: Some((is_outage || case.started_most <= 1) && case.around_gap == 0),
            });
        }
        figures
    }

    fn outage_figures(&self, figures: &mut Vec<Figure>) {
        let judged: Vec<&Judged> = self
            .outages
            .iter()
            .filter(|outage| outage.change.multiplier >= STRENGTH_MIN && outage.rate >= RATE_MIN)
            .collect();
        for (tier, is_found) in [
            ("suspected", (|outage| outage.suspected_min.is_some()) as fn(&Judged) -> bool),
            ("started", |outage| outage.started_min.is_some()),
        ] {
            let n_found = judged.iter().filter(|outage| is_found(outage)).count();
            let recall = n_found as f64 / judged.len() as f64;
            figures.push(Figure {
                name: format!("recall ({tier}), x5 and up, 15 min and longer, 0.1 a minute and up"),
                measured: format!("{recall:.3} ({n_found} of {})", judged.len()),
                bar: ">= 0.98",
                holds: (tier == "suspected").then_some(recall >= 0.98),
            });
        }
        for multiplier in MULTIPLIERS {
            figures.push(self.delay_figure(multiplier));
        }
        let onsets = judged.iter().filter(|outage| outage.change.shape == Shape::Step);
        figures.push(median_figure(
            "onset error",
            onsets.filter_map(|outage| outage.onset_error_min),
            "<= 1 min",
            1.0,
        ));
        let ends: Vec<&Judged> = self
            .outages
            .iter()
            .filter(|outage| {
                outage.change.multiplier == END_STRENGTH
                    && outage.rate >= END_RATE_MIN
                    && outage.change.shape == Shape::Step
                    && outage.suspected_min.is_some()
            })
            .collect();
        figures.push(median_figure(
            "end error, x5, 1 a minute and up",
            ends.iter().filter_map(|end| end.end_error_min),
            "<= 5 min",
            5.0,
        ));
        figures.push(median_figure(
            "end decided after it, x5, 1 a minute and up",
            ends.iter().filter_map(|end| end.end_decided_min),
            "<= 15 min",
            15.0,
        ));
        let found: Vec<&Judged> =
            self.outages.iter().filter(|outage| outage.suspected_min.is_some()).collect();
        let n_endless = found.iter().filter(|outage| outage.end_decided_min.is_none()).count();
        figures.push(Figure {
            name: "outages without an end".to_owned(),
            measured: format!("{n_endless} of {}", found.len()),
            bar: "0",
            holds: Some(n_endless == 0),
        });
        let n_split = found.iter().filter(|outage| outage.n_further > 0).count();
        let share = n_split as f64 / found.len() as f64;
        figures.push(Figure {
            name: "outages split in two".to_owned(),
            measured: format!("{:.1} % ({n_split} of {})", share * 100.0, found.len()),
            bar: "<= 1 %",
            holds: Some(share <= 0.01),
        });
    }

    /// Mean delay of sharp outages over the oracle's mean for the same ones.
    fn delay_figure(&self, multiplier: f64) -> Figure {
        let (mut ours, mut oracle, mut n, mut n_missed) = (0.0, 0.0, 0, 0);
        for outage in &self.outages {
            let is_judged = outage.change.multiplier == multiplier
                && outage.change.shape == Shape::Step
                && (RATE_MIN..=100.0).contains(&outage.rate);
            let Some(least) = oracle_delay_min(outage.rate, multiplier, outage.size).filter(|_| is_judged)
            else {
                continue;
            };
            match outage.suspected_min {
                Some(delay) => {
                    ours += delay;
                    oracle += least;
                    n += 1;
                }
                None => n_missed += 1,
            }
        }
        let ratio = ours / oracle;
        let (bar, most) = match multiplier {
            2.0 => ("<= 1.6", Some(1.6)),
            5.0 | 10.0 | 20.0 => ("<= 1.25", Some(1.25)),
            _ => ("", None),
        };
        Figure {
            name: format!("delay over the oracle's, x{multiplier}, 0.1 to 100 a minute"),
            measured: format!(
                "{ratio:.2} ({:.1} against {:.1} min, {n} found, {n_missed} missed)",
                ours / f64::from(n),
                oracle / f64::from(n)
            ),
            bar,
            holds: most.map(|most| ratio <= most),
        }
    }
}

fn median_figure(name: &str, values: impl Iterator<Item = f64>, bar: &'static str, most: f64) -> Figure {
    let found = median(values.collect());
    Figure {
        name: format!("{name}, median"),
        measured: found.map_or_else(|| "-".to_owned(), |found| format!("{found:.1} min")),
        bar,
        holds: found.map(|found| found <= most),
    }
}
