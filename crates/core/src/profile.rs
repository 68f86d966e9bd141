//! How the hours of the week differ, for a group of services and for each of them.
//!
//! Each hour is a Gamma–Poisson mean: a service's shrunk towards what its own hour of the day lets expect, that towards
//! the group's hour, that towards the group's hour of the day, that towards 1. A quiet service thus borrows the shape of
//! the others and a busy one has its own after a week or two; how little is known of an hour is known, too.
//!
//! How much to shrink is learned (empirical Bayes): the product of how far an hour was off on its past visits and how
//! far it is off on this one has the variance between hours for its mean, since what is noise in the two is independent
//! ([`Between`]). A service that follows its group lets its own counts hardly matter, one in another time zone nothing
//! but them.

use serde::{Deserialize, Serialize};

use crate::time::WeekPosition;
use crate::wander::Wander;

/// Half-life of an hour of the profile, in visits to it (weeks).
const PROFILE_HALF_LIFE_VISITS: f64 = 8.0;
/// Variance of the hours of a day before anything is known: a night is a fifth of an evening.
const HOUR_OF_DAY_VARIANCE: f64 = 0.5;
/// Variance of one hour of the week about its hour of the day, before anything is known.
const HOUR_OF_WEEK_VARIANCE: f64 = 0.05;
/// Variance of a service's hour of the day about the group's, before anything is known.
const OWN_HOUR_OF_DAY_VARIANCE: f64 = 0.1;
/// Variance of a service's hour of the week about what its hour of the day and the group let expect.
const OWN_HOUR_OF_WEEK_VARIANCE: f64 = 0.05;
/// The least that either is taken to be: no two hours are quite alike.
const BETWEEN_VARIANCE_MIN: f64 = 0.002;
/// The variance that a well-measured visit is taken to have, in the weights of products.
const BETWEEN_SCALE: f64 = 0.05;
/// What the assumed variances weigh: ten well-measured visits.
const BETWEEN_PRIOR_WEIGHT: f64 = 10.0 / (BETWEEN_SCALE * BETWEEN_SCALE);
/// Beyond this weight what is old counts half; a year of a busy group.
const BETWEEN_WEIGHT_MAX: f64 = 1e8;

pub(crate) const HOURS_PER_WEEK: usize = 168;
pub(crate) const HOURS_PER_DAY: usize = 24;
const DAYS_PER_WEEK: usize = 7;

/// Counts of a chunk and what was expected of them, without the profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit {
    pub(crate) hour: usize,
    pub(crate) observed: f64,
    pub(crate) expected: f64,
    /// The share of the hour that the chunk covers.
    pub(crate) visits: f64,
    /// Relative variance of one visit to an hour beyond Poisson: it limits what the visit can teach.
    pub(crate) variance: f64,
}

impl Visit {
    /// What the counts weigh: those of an hour share its weather, so a busy hour teaches little more than a quiet one.
    pub(crate) fn share(&self) -> f64 {
        1.0 / (1.0 + self.expected / self.visits * self.variance)
    }

    /// How far it is off a profile of this mean, and the variance of that by chance.
    fn off(&self, mean: f64) -> (f64, f64) {
        let expected = self.expected * mean;
        (self.observed / expected - 1.0, 1.0 / expected + self.variance / self.visits)
    }
}

/// Ratios of observed to expected for the hours of the week, as sums that one can shrink.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct HourSums {
    observed: Box<[f32]>,
    expected: Box<[f32]>,
}

impl HourSums {
    fn new() -> Self {
        Self { observed: vec![0.0; HOURS_PER_WEEK].into(), expected: vec![0.0; HOURS_PER_WEEK].into() }
    }

    fn add(&mut self, visit: &Visit) {
        let kept = libm::exp2(-visit.visits / PROFILE_HALF_LIFE_VISITS) as f32;
        let (hour, share) = (visit.hour, visit.share());
        self.observed[hour] = self.observed[hour] * kept + (visit.observed * share) as f32;
        self.expected[hour] = self.expected[hour] * kept + (visit.expected * share) as f32;
    }

    fn hour(&self, hour: usize) -> (f64, f64) {
        (f64::from(self.observed[hour]), f64::from(self.expected[hour]))
    }
}

/// The variance of hours about what they are shrunk towards, from products of deviations on different visits.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Between {
    products: f64,
    weight: f64,
}

impl Between {
    /// Adds a visit to an hour whose past visits came to `past` (observed, expected), where `mean` is what both are
    /// held against.
    fn add(&mut self, past: (f64, f64), visit: &Visit, mean: f64) {
        let (before, expected) = past;
        let expected = expected * mean;
        if expected <= 0.0 || visit.expected <= 0.0 {
            return;
        }
        let (past_off, past_variance) = (before / expected - 1.0, 1.0 / expected);
        let (off, variance) = visit.off(mean);
        let weight = 1.0 / ((variance + BETWEEN_SCALE) * (past_variance + BETWEEN_SCALE));
        self.products += weight * past_off * off;
        self.weight += weight;
        if self.weight > BETWEEN_WEIGHT_MAX {
            self.products /= 2.0;
            self.weight /= 2.0;
        }
    }

    fn variance(&self, prior: f64) -> f64 {
        let sum = self.products + BETWEEN_PRIOR_WEIGHT * prior;
        (sum / (self.weight + BETWEEN_PRIOR_WEIGHT)).max(BETWEEN_VARIANCE_MIN)
    }
}

/// The gamma posterior of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) mean: f64,
    /// Variance over the square of the mean.
    pub(crate) variance: f64,
}

impl Ratio {
    /// Exactly 1.
    pub(crate) const ONE: Self = Self { mean: 1.0, variance: 0.0 };

    /// The posterior of a ratio that has this prior, with further relative variance, after `observed` where `expected`
    /// was.
    pub(crate) fn shrunk(prior: Self, variance: f64, (observed, expected): (f64, f64)) -> Self {
        let shape = 1.0 / (prior.variance + variance);
        Self {
            mean: prior.mean * (shape + observed) / (shape + prior.mean * expected),
            variance: 1.0 / (shape + observed),
        }
    }
}

/// What services share: their weekly profile, and how far their rates wander.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupProfile {
    sums: HourSums,
    /// Of an hour of the week about its hour of the day.
    between: Between,
    pub(crate) wander: Wander,
}

impl GroupProfile {
    pub(crate) fn new() -> Self {
        Self { sums: HourSums::new(), between: Between::default(), wander: Wander::default() }
    }

    fn hour_of_day(&self, hour: usize) -> Ratio {
        let of_day = (hour % HOURS_PER_DAY..HOURS_PER_WEEK).step_by(HOURS_PER_DAY).map(|h| self.sums.hour(h));
        let sums = of_day.fold((0.0, 0.0), |sum, hour| (sum.0 + hour.0, sum.1 + hour.1));
        Ratio::shrunk(Ratio::ONE, HOUR_OF_DAY_VARIANCE, sums)
    }

    pub(crate) fn hour(&self, hour: usize) -> Ratio {
        let variance = self.between.variance(HOUR_OF_WEEK_VARIANCE);
        Ratio::shrunk(self.hour_of_day(hour), variance, self.sums.hour(hour))
    }

    /// The group's ratios for the chunk at `position`, for all services at once.
    pub(crate) fn at(&self, position: WeekPosition) -> GroupHours {
        // The profile is given at the middle of each hour and runs straight between.
        let offset = position.fraction - 0.5;
        let step = if offset < 0.0 { HOURS_PER_WEEK - 1 } else { 1 };
        GroupHours {
            here: self.same_hour(position.hour),
            neighbour: self.same_hour((position.hour + step) % HOURS_PER_WEEK),
            neighbour_share: offset.abs(),
            wander: self.wander,
        }
    }

    /// Its ratios in an hour of the week and in the same hour of the other days.
    pub(crate) fn same_hour(&self, hour: usize) -> SameHour {
        SameHour {
            hour,
            ratios: std::array::from_fn(|day| self.hour(hour % HOURS_PER_DAY + day * HOURS_PER_DAY)),
        }
    }

    fn learn(&mut self, visit: &Visit) {
        let day = self.hour_of_day(visit.hour).mean;
        self.between.add(self.sums.hour(visit.hour), visit, day);
        self.sums.add(visit);
    }
}

/// The group's ratios in an hour of the week and in the same hour of the other days.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SameHour {
    hour: usize,
    ratios: [Ratio; DAYS_PER_WEEK],
}

impl SameHour {
    fn ratio(&self) -> Ratio {
        self.ratios[self.hour / HOURS_PER_DAY]
    }
}

/// The group's ratios around one chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupHours {
    here: SameHour,
    neighbour: SameHour,
    neighbour_share: f64,
    pub(crate) wander: Wander,
}

/// The weekly profile of one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Profile {
    sums: HourSums,
    /// Of its hours of the day about the group's.
    between_days: Between,
    /// Of its hours of the week about what its hours of the day let expect.
    between: Between,
}

impl Profile {
    pub(crate) fn new() -> Self {
        Self { sums: HourSums::new(), between_days: Between::default(), between: Between::default() }
    }

    /// Its counts in the hours of `group`, and what the group let expect of them.
    fn sums_of_day(&self, group: &SameHour) -> (f64, f64) {
        let of_day = (group.hour % HOURS_PER_DAY..HOURS_PER_WEEK).step_by(HOURS_PER_DAY);
        of_day.zip(&group.ratios).fold((0.0, 0.0), |sum, (hour, ratio)| {
            let (observed, expected) = self.sums.hour(hour);
            (sum.0 + observed, sum.1 + expected * ratio.mean)
        })
    }

    /// What its hour of the day, with these sums, lets expect of an hour.
    fn of_day(&self, group: &SameHour, sums: (f64, f64)) -> Ratio {
        let against = Ratio { mean: 1.0, ..group.ratio() };
        let variance = self.between_days.variance(OWN_HOUR_OF_DAY_VARIANCE);
        let ratio = Ratio::shrunk(against, variance, sums);
        Ratio { mean: group.ratio().mean * ratio.mean, ..ratio }
    }

    /// Its ratio in an hour in which the group has these.
    pub(crate) fn hour(&self, group: &SameHour) -> Ratio {
        let variance = self.between.variance(OWN_HOUR_OF_WEEK_VARIANCE);
        let of_day = self.of_day(group, self.sums_of_day(group));
        Ratio::shrunk(of_day, variance, self.sums.hour(group.hour))
    }

    /// Its ratio in the chunk that `group` was taken for.
    pub(crate) fn at(&self, group: &GroupHours) -> Ratio {
        let (here, next) = (self.hour(&group.here), self.hour(&group.neighbour));
        Ratio { mean: here.mean + (next.mean - here.mean) * group.neighbour_share, variance: here.variance }
    }

    /// Learns from a chunk, and lets the group learn from it.
    pub(crate) fn learn(&mut self, visit: &Visit, group: &mut GroupProfile) {
        let of_group = group.same_hour(visit.hour);
        let sums = self.sums_of_day(&of_group);
        let mean = of_group.ratio().mean;
        self.between_days.add((sums.0, sums.1 / mean), visit, mean);
        self.between.add(self.sums.hour(visit.hour), visit, self.of_day(&of_group, sums).mean);
        self.sums.add(visit);
        group.learn(visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks of hourly visits with ten complaints expected, where the service and its group have these ratios.
    fn learn(
        weeks: usize,
        own: impl Fn(usize) -> f64,
        of_group: impl Fn(usize) -> f64,
    ) -> (Profile, GroupProfile) {
        let (mut profile, mut others, mut group) = (Profile::new(), Profile::new(), GroupProfile::new());
        let visit = |hour, ratio| Visit {
            hour,
            observed: 10.0 * ratio,
            expected: 10.0,
            visits: 1.0,
            variance: 0.002,
        };
        for hour in (0..weeks).flat_map(|_| 0..HOURS_PER_WEEK) {
            for _ in 0..20 {
                others.learn(&visit(hour, of_group(hour)), &mut group);
            }
            profile.learn(&visit(hour, own(hour)), &mut group);
        }
        (profile, group)
    }

    fn day(hour: usize) -> f64 {
        if hour % HOURS_PER_DAY < 12 { 0.5 } else { 1.5 }
    }

    fn night(hour: usize) -> f64 {
        2.0 - day(hour)
    }

    #[test]
    fn a_service_that_follows_its_group_is_known_better_than_one_that_does_not() {
        let (follower, group) = learn(2, day, day);
        let (stranger, strange) = learn(2, night, day);
        // Both are at 1.5 there.
        let (known, own) = (follower.hour(&group.same_hour(15)), stranger.hour(&strange.same_hour(3)));
        assert!((known.mean - 1.5).abs() < 0.05, "{known:?}");
        assert!((own.mean - 1.5).abs() < 0.1, "its own counts decide: {own:?}");
        assert!(known.variance < own.variance, "{known:?} and {own:?}");
    }

    #[test]
    fn a_service_of_another_time_zone_is_known_from_the_same_hour_of_its_other_days() {
        // On its eighth day it has seen this hour of the week once, and this hour of the day seven times.
        let (stranger, group) = learn(1, night, day);
        let hour = stranger.hour(&group.same_hour(3));
        let of_one_visit = Ratio::shrunk(group.hour(3), OWN_HOUR_OF_DAY_VARIANCE, stranger.sums.hour(3));
        assert!((hour.mean - 1.5).abs() < 0.1, "{hour:?}");
        assert!((of_one_visit.mean - 1.5).abs() > 0.3, "one visit alone would not do: {of_one_visit:?}");
    }

    #[test]
    fn days_that_are_alike_teach_each_other_and_others_do_not() {
        let weekend = |hour| day(hour) * if hour >= 5 * HOURS_PER_DAY { 0.5 } else { 1.0 };
        let (_, alike) = learn(2, day, day);
        let (_, unlike) = learn(2, weekend, weekend);
        assert!(alike.hour(15).variance < unlike.hour(15).variance);
        let saturday = unlike.hour(5 * HOURS_PER_DAY + 15).mean;
        assert!((saturday - 0.75).abs() < 0.1, "not 1.29, the mean of all days: {saturday}");
    }
}
