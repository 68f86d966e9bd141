//! Counts of complaints a minute with known outages: what a detector of counts is measured on.
//!
//! A count is negative binomial about a rate that is the product of a level, its growth, a daily and weekly rhythm, a
//! rate that wanders by itself, and what fails. Every service has a stream of its own, so that one more changes none of
//! the others, and a service with an outage has the counts of the one without it up to the outage.

use crate::dice::Dice;
use crate::rhythm::{is_weekend, swing};

const DAY_MIN: u32 = 1_440;
const WEEK_MIN: f64 = 10_080.0;
/// From a working day to the weekend and back.
const TRANSITION_MIN: i64 = 360;

/// A rate that goes its own way: the logarithm is an Ornstein–Uhlenbeck process about 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wander {
    /// Standard deviation of the logarithm: 0.1 is about 10 % of the rate.
    pub deviation: f64,
    /// Time in which half of a deviation is gone, minutes.
    pub half_life_min: f64,
}

/// How a change of the rate runs between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// At once, and for all the time.
    Step,
    /// In equal steps over the first third.
    Ramp,
    /// At once, and down to a third of it by the end, exponentially.
    Decay,
}

/// A stretch in which the rate is another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The first minute.
    pub start_min: u32,
    /// The minute after the last.
    pub end_min: u32,
    /// How many times the rate there is at the most.
    pub multiplier: f64,
    /// Its course.
    pub shape: Shape,
}

impl Change {
    /// How many times the rate there is in a minute.
    fn factor(&self, minute: u32) -> f64 {
        if !(self.start_min..self.end_min).contains(&minute) {
            return 1.0;
        }
        let share = f64::from(minute - self.start_min) / f64::from(self.end_min - self.start_min);
        match self.shape {
            Shape::Step => self.multiplier,
            Shape::Ramp => 1.0 + (self.multiplier - 1.0) * (3.0 * share).min(1.0),
            Shape::Decay => 1.0 + (self.multiplier - 1.0) * libm::pow(3.0, -share),
        }
    }
}

/// What a service's counts are like.
#[derive(Debug, Clone, PartialEq)]
pub struct CountedService {
    /// Its name, which also names its stream.
    pub id: String,
    /// Complaints a minute, the mean of the first week.
    pub base: f64,
    /// Size r of the negative binomial: the variance is mean + mean²/r; infinite for Poisson.
    pub size: f64,
    /// Strength of the daily swing; 0 for none, 1 for a factor of about 7 between night and evening.
    pub swing: f64,
    /// Hour of the day with the most, in UTC.
    pub peak_hour: f64,
    /// Rate of a day of the weekend over that of a working day.
    pub weekend: f64,
    /// Growth a week: 0.02 is 2 %.
    pub growth_per_week: f64,
    /// From this minute on clocks are put forward by an hour, if they are.
    pub clock_change_min: Option<u32>,
    /// How the rate wanders, if it does.
    pub wander: Option<Wander>,
    /// What fails, is different, or stays different.
    pub changes: Vec<Change>,
}

/// The counts of one service, minute by minute from Monday 00:00 UTC.
#[derive(Debug, Clone)]
pub struct Counts<'a> {
    service: &'a CountedService,
    dice: Dice,
    day: Vec<f64>,
    week_mean: f64,
    wandered: f64,
    minute: u32,
}

impl<'a> Counts<'a> {
    /// The counts of `service` under `seed`.
    pub fn new(service: &'a CountedService, seed: u64) -> Self {
        let mut day: Vec<f64> = (0..DAY_MIN)
            .map(|minute| swing(f64::from(minute) / 60.0, service.peak_hour, service.swing))
            .collect();
        let mean = day.iter().sum::<f64>() / f64::from(DAY_MIN);
        day.iter_mut().for_each(|rate| *rate /= mean);
        let mut dice = Dice::new(seed, &service.id);
        let wandered = service.wander.map_or(0.0, |wander| wander.deviation * dice.normal());
        let week_mean = (5.0 + 2.0 * service.weekend) / 7.0;
        Self { service, dice, day, week_mean, wandered, minute: 0 }
    }

    /// The rate in a minute as it is without wandering and changes: what a perfect baseline would expect.
    pub fn base_rate(&self, minute: u32) -> f64 {
        let service = self.service;
        let local = minute + service.clock_change_min.filter(|&from| minute >= from).map_or(0, |_| 60);
        let of_day = 1.0 + (service.weekend - 1.0) * weekend_share(i64::from(local));
        let growth = libm::pow(1.0 + service.growth_per_week, f64::from(minute) / WEEK_MIN);
        service.base * growth * self.day[(local % DAY_MIN) as usize] * of_day / self.week_mean
    }
}

/// How much of a weekend a minute is. People of several time zones begin their Monday one after the other: half a
/// transition lies before midnight and half behind it.
fn weekend_share(minute: i64) -> f64 {
    let day = i64::from(DAY_MIN);
    // Day 4 after 1 January 1970 was a Monday.
    let is_weekend_at = |minute: i64| f64::from(u8::from(is_weekend(minute.div_euclid(day) + 4)));
    let (before, after) =
        (is_weekend_at(minute - TRANSITION_MIN / 2), is_weekend_at(minute + TRANSITION_MIN / 2));
    if before == after {
        return before;
    }
    let midnight = (minute + TRANSITION_MIN / 2).div_euclid(day) * day;
    let share = (minute - midnight + TRANSITION_MIN / 2) as f64 / TRANSITION_MIN as f64;
    before + (after - before) * share
}

impl Iterator for Counts<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let minute = self.minute;
        self.minute += 1;
        let changed: f64 = self.service.changes.iter().map(|change| change.factor(minute)).product();
        let rate = self.base_rate(minute) * changed * libm::exp(self.wandered);
        if let Some(Wander { deviation, half_life_min }) = self.service.wander {
            let kept = libm::exp2(-1.0 / half_life_min);
            let fresh = deviation * libm::sqrt(1.0 - kept * kept);
            self.wandered = self.wandered * kept + fresh * self.dice.normal();
        }
        let dispersion = if self.service.size.is_finite() { 1.0 + rate / self.service.size } else { 1.0 };
        Some(self.dice.overdispersed(rate, dispersion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> CountedService {
        CountedService {
            id: "s".to_owned(),
            base: 5.0,
            size: f64::INFINITY,
            swing: 0.8,
            peak_hour: 18.0,
            weekend: 0.5,
            growth_per_week: 0.0,
            clock_change_min: None,
            wander: None,
            changes: Vec::new(),
        }
    }

    fn counts(service: &CountedService, n: usize) -> Vec<f64> {
        Counts::new(service, 1).take(n).map(f64::from).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn a_week_has_the_mean_asked_for_and_weekends_differ() {
        let service = service();
        let week = counts(&service, 10_080);
        assert!((mean(&week) / 5.0 - 1.0).abs() < 0.02, "{}", mean(&week));
        let (monday, saturday) = (mean(&week[..1_440]), mean(&week[5 * 1_440..6 * 1_440]));
        assert!((saturday / monday - 0.5).abs() < 0.05, "{saturday} against {monday}");
    }

    #[test]
    fn counts_have_the_variance_of_their_size() {
        let flat = CountedService { swing: 0.0, weekend: 1.0, size: 5.0, ..service() };
        let counts = counts(&flat, 40_000);
        let mean = mean(&counts);
        let variance = counts.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / counts.len() as f64;
        // Mean 5 and size 5: 5 + 25/5.
        assert!((variance - 10.0).abs() < 0.6, "{variance}");
    }

    #[test]
    fn a_wandering_rate_stays_where_it_went_for_a_while() {
        let wander = Some(Wander { deviation: 0.3, half_life_min: 120.0 });
        let flat = CountedService { swing: 0.0, weekend: 1.0, base: 100.0, wander, ..service() };
        let hours: Vec<f64> = counts(&flat, 60 * 3_000).chunks(60).map(mean).collect();
        let mean = mean(&hours);
        let deviations: Vec<f64> = hours.iter().map(|hour| hour / mean - 1.0).collect();
        let lagged = |lag: usize| {
            deviations.iter().zip(&deviations[lag..]).map(|(a, b)| a * b).sum::<f64>()
                / deviations.len() as f64
        };
        assert!((lagged(0).sqrt() - 0.3).abs() < 0.04, "{}", lagged(0).sqrt());
        // Two hours later half of it is left; hours, not minutes, and lognormal, so roughly.
        assert!((lagged(2) / lagged(0) - 0.5).abs() < 0.1, "{}", lagged(2) / lagged(0));
    }

    #[test]
    fn a_change_runs_its_course_and_leaves_the_past_alone() {
        let change = |shape| Change { start_min: 30, end_min: 60, multiplier: 4.0, shape };
        let factors = |shape| [29, 30, 40, 59, 60].map(|minute| change(shape).factor(minute));
        assert_eq!(factors(Shape::Step), [1.0, 4.0, 4.0, 4.0, 1.0]);
        assert_eq!(factors(Shape::Ramp), [1.0, 1.0, 4.0, 4.0, 1.0]);
        let decay = factors(Shape::Decay);
        assert!(decay[1] == 4.0 && decay[3] > 2.0 && decay[3] < 2.1, "{decay:?}");
        let failing = CountedService { changes: vec![change(Shape::Step)], ..service() };
        assert_eq!(counts(&service(), 30), counts(&failing, 30));
    }

    #[test]
    fn growth_and_a_clock_change_move_the_rate() {
        let growing = CountedService { growth_per_week: 0.1, ..service() };
        let ratio = |service: &CountedService, minute| {
            Counts::new(service, 1).base_rate(minute) / Counts::new(&self::service(), 1).base_rate(minute)
        };
        assert!((ratio(&growing, 20_160) - 1.21).abs() < 1e-9);
        let changed = CountedService { clock_change_min: Some(600), ..service() };
        let rates = Counts::new(&changed, 1);
        assert_eq!(rates.base_rate(599), Counts::new(&service(), 1).base_rate(599));
        assert_eq!(rates.base_rate(600), Counts::new(&service(), 1).base_rate(660));
    }
}
