//! The worlds that a detector is measured in: services with nothing wrong, services that fail, and what is hard.
//!
//! The same services each time but for what the world is about: rates from 0.02 to 100 a minute, Poisson to badly
//! overdispersed, a common day with differences, a little growth. Six weeks each, of which the first two are for
//! learning.

use std::ops::Range;

use crate::counts::{Change, CountedService, Shape, Wander};
use crate::dice::Dice;

const DAY_MIN: u32 = 1_440;
const WEEK_MIN: u32 = 7 * DAY_MIN;
/// Sizes of the negative binomial; the oracle's table has these.
const SIZES: [f64; 4] = [2.0, 5.0, 10.0, f64::INFINITY];
/// How strong outages are.
pub const MULTIPLIERS: [f64; 6] = [2.0, 3.0, 5.0, 10.0, 20.0, 50.0];
const N_SERVICES: usize = 60;
const BASE_RANGE: (f64, f64) = (0.02, 100.0);
/// A tenth of the rate, with a half-life of two hours: what real feeds show.
const WANDER: Wander = Wander { deviation: 0.1, half_life_min: 120.0 };
/// From one outage to the next of a service: what came before is over and forgotten.
const BETWEEN_OUTAGES_MIN: Range<f64> = 1_500.0..3_000.0;

/// Services that are watched together.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// The services.
    pub services: Vec<CountedService>,
    /// How long it lasts.
    pub n_minutes: u32,
    /// Until then it is only learned; what is raised before is not judged.
    pub warm_up_min: u32,
    /// When nothing is known of any service.
    pub gap: Option<Range<u32>>,
}

/// What is hard for a detector and no outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hard {
    /// In the middle of the fourth week the rate is doubled for good.
    PermanentStep,
    /// Every week has a tenth more.
    Growth,
    /// A working day that is as a Sunday, and another with half as much again.
    Holiday,
    /// Clocks are put forward.
    ClockChange,
    /// The feed is gone for six hours.
    Gap,
    /// An outage of four hours on the third day.
    EarlyOutage,
}

impl Hard {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::PermanentStep, Self::Growth, Self::Holiday, Self::ClockChange, Self::Gap, Self::EarlyOutage];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::PermanentStep => "permanent step",
            Self::Growth => "growth",
            Self::Holiday => "holiday",
            Self::ClockChange => "clock change",
            Self::Gap => "feed gap of 6 h",
            Self::EarlyOutage => "outage on the third day",
        }
    }
}

impl World {
    /// The `nth` world in which nothing is wrong; with rates that wander by themselves, or not.
    pub fn null(seed: u64, nth: u64, wanders: bool) -> Self {
        let mut world = Self::ordinary(seed, &format!("null{nth}"));
        if wanders {
            world.services.iter_mut().for_each(|service| service.wander = Some(WANDER));
        }
        world
    }

    /// The `nth` world with outages: every strength, length and course for every rate.
    pub fn failing(seed: u64, nth: u64) -> Self {
        let mut world = Self::ordinary(seed, &format!("failing{nth}"));
        let mut dice = Dice::new(seed, &format!("outages{nth}"));
        for service in &mut world.services {
            let mut start = f64::from(world.warm_up_min) + dice.between(0.0, BETWEEN_OUTAGES_MIN.end);
            loop {
                let multiplier = *dice.pick(&MULTIPLIERS);
                // A weak one must last, to be found at all.
                let length =
                    if multiplier < 5.0 { 720.0 } else { *dice.pick(&[15.0, 30.0, 60.0, 120.0, 240.0]) };
                if start + length + BETWEEN_OUTAGES_MIN.start > f64::from(world.n_minutes) {
                    break;
                }
                let shape = *dice.pick(&[Shape::Step, Shape::Step, Shape::Step, Shape::Ramp, Shape::Decay]);
                let (start_min, end_min) = (start as u32, (start + length) as u32);
                service.changes.push(Change { start_min, end_min, multiplier, shape });
                start += length + dice.between(BETWEEN_OUTAGES_MIN.start, BETWEEN_OUTAGES_MIN.end);
            }
        }
        world
    }

    /// A world with something hard in it.
    pub fn hard(seed: u64, hard: Hard) -> Self {
        let mut world = Self::ordinary(seed, hard.name());
        let (day, end) = (|day: u32| day * DAY_MIN, world.n_minutes);
        let step =
            |start_min, end_min, multiplier| Change { start_min, end_min, multiplier, shape: Shape::Step };
        for service in &mut world.services {
            match hard {
                Hard::PermanentStep => service.changes.push(step(day(24) + 720, end, 2.0)),
                Hard::Growth => service.growth_per_week = 0.1,
                Hard::Holiday => {
                    service.changes.push(step(day(23), day(24), service.weekend));
                    service.changes.push(step(day(31), day(32), 1.5));
                }
                Hard::ClockChange => service.clock_change_min = Some(day(27) + 120),
                Hard::Gap => {}
                Hard::EarlyOutage => service.changes.push(step(day(2) + 600, day(2) + 840, 5.0)),
            }
        }
        world.gap = (hard == Hard::Gap).then(|| day(24) + 600..day(24) + 960);
        if hard == Hard::EarlyOutage {
            world.warm_up_min = 0;
            world.n_minutes = 2 * WEEK_MIN;
        }
        world
    }

    fn ordinary(seed: u64, name: &str) -> Self {
        let mut dice = Dice::new(seed, name);
        let peak_hour = dice.between(0.0, 24.0);
        let (low, high) = BASE_RANGE;
        let service = |index: usize| {
            // Evenly over the whole range, so that a small world has every rate, too.
            let share = (index as f64 + dice.unit()) / N_SERVICES as f64;
            CountedService {
                id: format!("{name}-{index}"),
                base: low * libm::pow(high / low, share),
                size: SIZES[index % SIZES.len()],
                swing: dice.between(0.3, 1.0),
                peak_hour: peak_hour + 2.0 * dice.normal(),
                weekend: dice.between(0.6, 1.1),
                growth_per_week: dice.between(-0.01, 0.04),
                clock_change_min: None,
                wander: None,
                changes: Vec::new(),
            }
        };
        let services = (0..N_SERVICES).map(service).collect();
        Self { services, n_minutes: 6 * WEEK_MIN, warm_up_min: 2 * WEEK_MIN, gap: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_repeat_and_differ() {
        assert_eq!(World::null(1, 0, true), World::null(1, 0, true));
        assert_ne!(World::null(1, 0, false), World::null(1, 1, false));
        assert_ne!(World::null(1, 0, false), World::null(2, 0, false));
    }

    #[test]
    fn outages_are_apart_and_of_every_strength() {
        let world = World::failing(1, 0);
        let mut strengths = std::collections::BTreeSet::new();
        for service in &world.services {
            assert!(service.changes.len() >= 5, "{} has {}", service.id, service.changes.len());
            for pair in service.changes.windows(2) {
                assert!(pair[0].end_min + 1_400 < pair[1].start_min, "{pair:?}");
            }
            assert!(service.changes.iter().all(|change| change.start_min >= world.warm_up_min));
            strengths.extend(service.changes.iter().map(|change| change.multiplier as u32));
        }
        assert_eq!(strengths.into_iter().collect::<Vec<_>>(), [2, 3, 5, 10, 20, 50]);
    }

    #[test]
    fn rates_and_sizes_cover_what_they_should() {
        let services = World::null(3, 0, false).services;
        assert!(services[0].base < 0.025 && services[N_SERVICES - 1].base > 85.0);
        for size in SIZES {
            assert!(
                services.iter().filter(|service| service.size == size).count() == N_SERVICES / SIZES.len()
            );
        }
    }
}
