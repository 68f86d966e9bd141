//! What a service's complaints are expected to be, learned from its own past and never from its future.
//!
//! Expected rate = level × weekly profile × recent drift, in complaints a bin (METHODS §3).
//!
//! * **Level**: Gamma–Poisson with forgetting; a bin's count adds to the shape, its share of the profile to the exposure.
//! * **Profile**: 168 hours of the week. Each hour is a Gamma–Poisson mean shrunk towards the group's hour, that
//!   towards the group's hour of the day, that towards 1. A quiet service thus borrows the shape of the others, a busy
//!   one has its own after a week or two, and how little is known of an hour is known too.
//! * **Drift**: the ratio of counts one to three hours old to what was expected of them, shrunk towards 1 and only
//!   upwards. Until the profile is learned this is what keeps a morning's rise from looking like an outage.
//! * **Guard**: evidence is taken against the 0.9-quantile of what the rate may be (0.99 while learning), not its mean: a true rate 25 %
//!   above the assumed one would turn one false alarm a year into one every other day (METHODS §2).
//!
//! Counts are gathered in chunks of a quarter of an hour and learned two hours late, so that an outage is found and
//! its chunks are struck out before they could raise the baseline. Chunks also make silence cheap: a bin without
//! complaints needs no work, its exposure is added when the chunk is learned.
//!
//! Suspicious bins count less: with z the Anscombe residual, weight 1 up to z = 2.58, then (2.58 / z)² (Farrington's
//! scheme as improved by Noufaily et al., Statistics in Medicine 32, 2013).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::catalogue::ServiceIndex;
use crate::normal::{NORMAL_QUANTILE_90, NORMAL_QUANTILE_99, anscombe_residual, gamma_quantile};
use crate::time::{Bin, BinWidth, WeekPosition};

/// Length of a chunk, seconds. Shorter and the drift is noise, longer and the profile moves within a chunk.
const CHUNK_SECONDS: u32 = 900;
/// Chunks that learning lags behind: two hours.
const LAG_CHUNKS: usize = 8;
/// Chunks kept in all: drift looks back three hours.
const KEPT_CHUNKS: usize = 12;
/// The youngest chunks, which drift leaves out: an outage of an hour must not raise its own baseline.
const DRIFT_SKIPS_CHUNKS: usize = 4;
/// Half-life of level and dispersion, days (METHODS §3).
const HALF_LIFE_DAYS: f64 = 14.0;
/// Half-life of an hour of the profile, in visits to it (weeks).
const PROFILE_HALF_LIFE_VISITS: f64 = 8.0;
/// Counts of one visit to an hour vary by this much (squared) beyond Poisson; it limits what one visit can teach.
const VISIT_VARIANCE: f64 = 0.02;
/// Variance of the hours of a day before anything is known: a night is a fifth of an evening.
const HOUR_OF_DAY_VARIANCE: f64 = 0.5;
/// Variance of one hour of the week about its hour of the day.
const HOUR_OF_WEEK_VARIANCE: f64 = 0.09;
/// Variance of a service's hour about the group's.
const OWN_HOUR_VARIANCE: f64 = 0.25;
/// Variance of a rate about its profile over hours: the weather of a day.
const WANDER_VARIANCE: f64 = 0.01;
/// Weight of the assumption that it does not wander beyond that: ten chunks of a busy service.
const WANDER_PRIOR_WEIGHT: f64 = 10.0 / (WANDER_VARIANCE * WANDER_VARIANCE);
/// Variance between the chunks of a service, which limits how much its first hours can tell of its level.
const CHUNK_VARIANCE: f64 = 0.1;
/// The prior of the level, Gamma(½, 1 bin). It is not forgotten, so that a silent service keeps a proper level.
const LEVEL_PRIOR_SHAPE: f64 = 0.5;
const LEVEL_PRIOR_EXPOSURE: f64 = 1.0;
/// The rate is never taken to be below this, complaints a second (one in about 17 hours): the least that a real
/// service has, and a lower one makes three complaints an outage.
const RATE_MIN_PER_SECOND: f64 = 1.0 / 60_000.0;
/// Inverse size of the negative binomial before anything is known (r = 10).
const INVERSE_SIZE_PRIOR: f64 = 0.1;
/// The most overdispersed that counts are taken to be (r = 0.5).
const INVERSE_SIZE_MAX: f64 = 2.0;
/// Bins that the prior of the dispersion is worth.
const DISPERSION_PRIOR_BINS: f64 = 30.0;
/// Weight of that prior for quiet services, in squared complaints: below about one a bin dispersion hardly matters.
const DISPERSION_PRIOR_SQUARES: f64 = 20.0;
/// Residuals up to this are ordinary: the two-sided 99 % point of the normal distribution.
const RESIDUAL_ORDINARY: f64 = 2.58;
/// Bins that must have been learned before evidence is taken.
const BINS_MIN: f64 = 10.0;
/// Effective complaints after which a baseline counts as learned, if it is a day old.
const LEARNED_COMPLAINTS: f64 = 200.0;

const HOURS_PER_WEEK: usize = 168;
const HOURS_PER_DAY: usize = 24;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// What is expected of a service during one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Expectation {
    /// Level × profile, complaints a bin.
    steady: f64,
    /// Best estimate of the rate, complaints a bin: `steady` × drift.
    pub(crate) mean: f64,
    /// Its upper quantile: the null rate that evidence is taken against.
    pub(crate) guarded: f64,
    /// 1/r: variance = mean + mean² × this.
    pub(crate) inverse_size: f64,
    /// Whether the baseline is old enough to take evidence against.
    pub(crate) is_usable: bool,
    /// Whether it is still young enough to be told apart.
    pub(crate) is_learning: bool,
}

impl Expectation {
    /// The same, for a service whose rate is `rate` a bin from now on.
    pub(crate) fn at_rate(&self, rate: f64) -> Self {
        let factor = rate / self.mean;
        Self { steady: rate, mean: rate, guarded: self.guarded * factor, ..*self }
    }
}

/// Chunk arithmetic for one bin width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ChunkShape {
    pub(crate) bins: i64,
    bin_seconds: f64,
}

impl ChunkShape {
    pub(crate) fn of(width: BinWidth) -> Self {
        Self {
            bins: i64::from((CHUNK_SECONDS / width.seconds()).max(1)),
            bin_seconds: f64::from(width.seconds()),
        }
    }

    fn bins_f64(self) -> f64 {
        self.bins as f64
    }

    fn seconds(self) -> f64 {
        self.bins_f64() * self.bin_seconds
    }

    /// The share that is kept of a sum with this half-life when a chunk is added.
    fn kept_share(self, half_life_days: f64) -> f64 {
        libm::exp2(-self.seconds() / (half_life_days * SECONDS_PER_DAY))
    }

    /// How many bins of the service's chunk lie before `bin`.
    pub(crate) fn bins_into_chunk(self, bin: Bin, service: ServiceIndex) -> i64 {
        bin.plus(i64::from(service.0)).modulo(self.bins)
    }

    pub(crate) fn rate_min(self) -> f64 {
        RATE_MIN_PER_SECOND * self.bin_seconds
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

    /// Adds a chunk; `visits` is the share of the hour that it covers.
    fn add(&mut self, hour: usize, observed: f64, expected: f64, visits: f64) {
        let kept = libm::exp2(-visits / PROFILE_HALF_LIFE_VISITS) as f32;
        // The hour's counts share its weather, so a busy hour teaches little more than a quiet one.
        let share = 1.0 / (1.0 + expected / visits * VISIT_VARIANCE);
        self.observed[hour] = self.observed[hour] * kept + (observed * share) as f32;
        self.expected[hour] = self.expected[hour] * kept + (expected * share) as f32;
    }

    fn hour(&self, hour: usize) -> (f64, f64) {
        (f64::from(self.observed[hour]), f64::from(self.expected[hour]))
    }
}

/// A mean with its variance, both relative to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratio {
    mean: f64,
    variance: f64,
}

impl Ratio {
    /// The posterior of a ratio with this prior (mean, further variance) after `observed` where `expected` was.
    fn shrunk(prior: Self, variance: f64, (observed, expected): (f64, f64)) -> Self {
        let prior_expected = 1.0 / (prior.variance + variance);
        Self {
            mean: (prior_expected * prior.mean + observed) / (prior_expected + expected),
            variance: 1.0 / (prior_expected + expected),
        }
    }
}

/// The weekly profile that services share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupProfile {
    sums: HourSums,
}

impl GroupProfile {
    pub(crate) fn new() -> Self {
        Self { sums: HourSums::new() }
    }

    fn hour(&self, hour: usize) -> Ratio {
        let of_day = (hour % HOURS_PER_DAY..HOURS_PER_WEEK).step_by(HOURS_PER_DAY).map(|h| self.sums.hour(h));
        let day_sums = of_day.fold((0.0, 0.0), |sum, hour| (sum.0 + hour.0, sum.1 + hour.1));
        let flat = Ratio { mean: 1.0, variance: 0.0 };
        let day = Ratio::shrunk(flat, HOUR_OF_DAY_VARIANCE, day_sums);
        Ratio::shrunk(day, HOUR_OF_WEEK_VARIANCE, self.sums.hour(hour))
    }

    /// The group's ratios for the chunk at `position`, for all services at once.
    pub(crate) fn at(&self, position: WeekPosition) -> GroupHours {
        // The profile is given at the middle of each hour and runs straight between.
        let offset = position.fraction - 0.5;
        let step = if offset < 0.0 { HOURS_PER_WEEK - 1 } else { 1 };
        let neighbour = (position.hour + step) % HOURS_PER_WEEK;
        GroupHours {
            here: (position.hour, self.hour(position.hour)),
            neighbour: (neighbour, self.hour(neighbour)),
            neighbour_share: offset.abs(),
        }
    }
}

/// The group's ratios around one chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupHours {
    here: (usize, Ratio),
    neighbour: (usize, Ratio),
    neighbour_share: f64,
}

/// The counts of one chunk, weighted. Single precision: a service keeps a dozen of these, and counts of one chunk need
/// no more than its 24 bits.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Chunk {
    hour: u8,
    /// Weighted sum of counts.
    observed: f32,
    /// Weighted sum of y(y − 1), whose mean is mean² × (1 + 1/r).
    pairs: f32,
    /// Bins that count, in whole and in part.
    exposure: f32,
    /// Rate that was expected, a bin, without and with drift.
    steady: f32,
    mean: f32,
    /// Share of that rate that the profile made, to be taken out of the level's exposure.
    profile: f32,
}

impl Chunk {
    /// The chunk's estimate of (bins × mean²), from products of different bins: (Y² − Σy²) / (n − 1), which is unbiased
    /// whatever the mean. With the expected mean instead, an expectation 5 % too high would hide a dispersion of 0.1.
    /// A chunk of a single bin has no such products, and there the expected mean must do.
    fn squares(&self) -> f64 {
        let (observed, exposure) = (f64::from(self.observed), f64::from(self.exposure));
        if exposure < 2.0 {
            let mean = f64::from(self.mean);
            return exposure * mean * mean;
        }
        let sum_of_squares = f64::from(self.pairs) + observed;
        ((observed * observed - sum_of_squares) / (exposure - 1.0)).max(0.0)
    }
}

/// The learned state of one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// Complaints learned, less what is forgotten, …
    complaints: f64,
    /// … and in how many bins of an average hour.
    exposure: f64,
    sums: HourSums,
    pairs: f64,
    squares: f64,
    /// Squares of how far chunks were off their expectation, beyond what their counts explain, and their weights.
    wander: f64,
    wander_weight: f64,
    bins_learned: f64,
    age_chunks: u32,
    gathering: Chunk,
    kept: VecDeque<Chunk>,
    /// How many of `kept`, from the front, are learned already.
    n_learned: usize,
}

impl Baseline {
    pub(crate) fn new() -> Self {
        Self {
            complaints: 0.0,
            exposure: 0.0,
            sums: HourSums::new(),
            pairs: 0.0,
            squares: 0.0,
            wander: 0.0,
            wander_weight: 0.0,
            bins_learned: 0.0,
            age_chunks: 0,
            gathering: Chunk::default(),
            kept: VecDeque::new(),
            n_learned: 0,
        }
    }

    /// The baseline of a service that was watched for `n_silent_bins` before its first complaint, which falls `n_bins`
    /// into a chunk. Only bins that were watched count: the rest of a chunk in which watching began is not silence.
    pub(crate) fn after_silence(n_silent_bins: i64, n_bins: i64, shape: ChunkShape) -> Self {
        let mut baseline = Self::new();
        let n_unwatched = (n_bins - n_silent_bins).max(0);
        baseline.gathering.exposure = -(n_unwatched as f32);
        let n_chunks = (n_silent_bins - n_bins).max(0) as f64 / shape.bins_f64();
        // The sum of a geometric series: what that many silent chunks would have left, had each been learned.
        let kept = shape.kept_share(HALF_LIFE_DAYS);
        let silent_bins = shape.bins_f64() * (1.0 - libm::pow(kept, n_chunks)) / (1.0 - kept);
        baseline.exposure = silent_bins;
        baseline.bins_learned = silent_bins;
        baseline.age_chunks = n_chunks as u32;
        baseline
    }

    /// Gathers a count of at least one; bins without complaints need not be told.
    pub(crate) fn gather(&mut self, observed: u32, expectation: &Expectation, shape: ChunkShape) {
        let y = f64::from(observed);
        let weight = if expectation.is_usable { bin_weight(y, expectation, shape) } else { 1.0 };
        self.gathering.observed += (weight * y) as f32;
        self.gathering.pairs += (weight * y * (y - 1.0)) as f32;
        self.gathering.exposure -= (1.0 - weight) as f32;
    }

    /// Leaves a bin out, as if it had not been.
    pub(crate) fn skip_bin(&mut self) {
        self.gathering.exposure -= 1.0;
    }

    /// Strikes out the `n_bins` before now, which turned out to belong to an outage.
    pub(crate) fn strike_out(&mut self, n_bins: i64, shape: ChunkShape) {
        self.gathering = Chunk { exposure: -shape.bins_f64() as f32, ..Chunk::default() };
        let n_chunks = usize::try_from(n_bins / shape.bins + 1).unwrap_or(usize::MAX);
        for chunk in self.kept.iter_mut().skip(self.n_learned).rev().take(n_chunks) {
            *chunk = Chunk { hour: chunk.hour, ..Chunk::default() };
        }
    }

    /// Ends the chunk that lay at `position` and for which `expectation` held.
    pub(crate) fn end_chunk(
        &mut self,
        position: WeekPosition,
        expectation: &Expectation,
        group: &mut GroupProfile,
        shape: ChunkShape,
    ) {
        let mut chunk = std::mem::take(&mut self.gathering);
        chunk.hour = u8::try_from(position.hour).expect("168 hours fit");
        chunk.exposure = (chunk.exposure + shape.bins_f64() as f32).max(0.0);
        chunk.steady = expectation.steady as f32;
        chunk.mean = expectation.mean as f32;
        chunk.profile = self.own_hour(position.hour, group.hour(position.hour)).mean as f32;
        self.age_chunks = self.age_chunks.saturating_add(1);
        self.kept.push_back(chunk);
        // A young baseline cannot afford the whole lag.
        let lag = LAG_CHUNKS.min(self.age_chunks as usize / 2);
        while self.kept.len() - self.n_learned > lag {
            let chunk = self.kept[self.n_learned];
            self.n_learned += 1;
            self.learn(&chunk, group, shape);
        }
        if self.kept.len() > KEPT_CHUNKS {
            self.kept.pop_front();
            self.n_learned -= 1;
        }
    }

    fn learn(&mut self, chunk: &Chunk, group: &mut GroupProfile, shape: ChunkShape) {
        if chunk.exposure <= 0.0 {
            return;
        }
        let hour = usize::from(chunk.hour);
        let (observed, exposure) = (f64::from(chunk.observed), f64::from(chunk.exposure));
        let level = self.level();
        let kept = shape.kept_share(HALF_LIFE_DAYS);
        self.complaints = self.complaints * kept + observed;
        self.exposure = self.exposure * kept + f64::from(chunk.profile) * exposure;
        self.pairs = self.pairs * kept + f64::from(chunk.pairs);
        self.squares = self.squares * kept + chunk.squares();
        self.bins_learned = self.bins_learned * kept + exposure;
        self.learn_wander(chunk, kept);
        // Until a day is over the level is that of the hours seen so far, and their ratio to it says nothing.
        if f64::from(self.age_chunks) * shape.seconds() > SECONDS_PER_DAY {
            let visits = exposure * shape.bin_seconds / 3600.0;
            let expected = level.max(shape.rate_min()) * exposure;
            self.sums.add(hour, observed, expected, visits);
            group.sums.add(hour, observed, expected, visits);
        }
    }

    /// Learns from a chunk how far the rate is off its expectation: over minutes and hours it wanders, and the profile is
    /// never quite right.
    fn learn_wander(&mut self, chunk: &Chunk, kept: f64) {
        self.wander *= kept;
        self.wander_weight *= kept;
        let (mean, exposure) = (f64::from(chunk.mean), f64::from(chunk.exposure));
        let expected = mean * exposure;
        // The relative variance of the chunk's count about its own rate.
        let noise = 1.0 / expected + self.inverse_size(mean) / exposure;
        let off = f64::from(chunk.observed) / expected - 1.0;
        let weight = 1.0 / ((noise + WANDER_VARIANCE) * (noise + WANDER_VARIANCE));
        self.wander += weight * (off * off - noise);
        self.wander_weight += weight;
    }

    /// The relative variance of the rate about its expectation; 0 until enough is known.
    fn wander_variance(&self) -> f64 {
        (self.wander / (self.wander_weight + WANDER_PRIOR_WEIGHT)).max(0.0)
    }

    /// Takes `rate` a bin for normal from now on, where `expectation` held until now: an outage that does not end is
    /// the new normal. A day's worth of it, so that what follows can still move it.
    pub(crate) fn rebase(&mut self, rate: f64, expectation: &Expectation, shape: ChunkShape) {
        let day = SECONDS_PER_DAY / shape.bin_seconds;
        let level = self.level() * rate / expectation.steady;
        self.exposure = day.min(self.exposure);
        self.complaints = level * self.exposure;
        self.kept.clear();
        self.n_learned = 0;
        self.pairs = 0.0;
        self.squares = 0.0;
    }

    /// Mean of the level, complaints a bin.
    fn level(&self) -> f64 {
        self.shape() / (self.exposure + LEVEL_PRIOR_EXPOSURE)
    }

    fn shape(&self) -> f64 {
        self.complaints + LEVEL_PRIOR_SHAPE
    }

    fn own_hour(&self, hour: usize, group: Ratio) -> Ratio {
        Ratio::shrunk(group, OWN_HOUR_VARIANCE, self.sums.hour(hour))
    }

    /// What to expect in the chunk that `group` was taken for.
    pub(crate) fn expect(&self, group: &GroupHours, shape: ChunkShape) -> Expectation {
        let here = self.own_hour(group.here.0, group.here.1);
        let next = self.own_hour(group.neighbour.0, group.neighbour.1);
        let profile = here.mean + (next.mean - here.mean) * group.neighbour_share;
        let profile_variance = here.variance / (here.mean * here.mean);
        let steady = (self.level() * profile).max(shape.rate_min());
        let mean = steady * self.drift(profile_variance);
        let n_chunks = self.bins_learned / shape.bins_f64();
        let level_variance = 1.0 / self.shape() + CHUNK_VARIANCE / (n_chunks + 1.0);
        let is_day_old = f64::from(self.age_chunks) * shape.seconds() >= SECONDS_PER_DAY;
        let is_week_old = f64::from(self.age_chunks) * shape.seconds() >= 7.0 * SECONDS_PER_DAY;
        let is_learning = !(is_week_old || (is_day_old && self.complaints >= LEARNED_COMPLAINTS));
        let variance = level_variance + profile_variance + self.wander_variance();
        let quantile = if is_learning { NORMAL_QUANTILE_99 } else { NORMAL_QUANTILE_90 };
        Expectation {
            steady,
            mean,
            guarded: mean * gamma_quantile(1.0 / variance, quantile),
            inverse_size: self.inverse_size(mean),
            is_usable: self.bins_learned >= BINS_MIN,
            is_learning,
        }
    }

    /// How far above expectation the service was one to three hours ago, at least 1.
    fn drift(&self, profile_variance: f64) -> f64 {
        let n_old = self.kept.len().saturating_sub(DRIFT_SKIPS_CHUNKS.min(self.age_chunks as usize / 2));
        let sums = self.kept.iter().take(n_old).fold((0.0, 0.0), |(observed, expected), chunk| {
            (observed + f64::from(chunk.observed), expected + f64::from(chunk.steady * chunk.exposure))
        });
        let share = 1.0 / (1.0 + sums.1 * VISIT_VARIANCE);
        let steady = Ratio { mean: 1.0, variance: 0.0 };
        let data = (sums.0 * share, sums.1 * share);
        Ratio::shrunk(steady, profile_variance + WANDER_VARIANCE, data).mean.max(1.0)
    }

    /// 1/r by the second factorial moment, Σ y(y−1) / Σ mean² − 1 ([`Chunk::squares`]), shrunk towards the prior.
    fn inverse_size(&self, mean: f64) -> f64 {
        let prior = DISPERSION_PRIOR_SQUARES + DISPERSION_PRIOR_BINS * mean * mean;
        let ratio = (self.pairs + prior * (1.0 + INVERSE_SIZE_PRIOR)) / (self.squares + prior);
        (ratio - 1.0).clamp(0.0, INVERSE_SIZE_MAX)
    }
}

/// The weight of a bin in learning, in (0, 1].
fn bin_weight(y: f64, expectation: &Expectation, shape: ChunkShape) -> f64 {
    // At tiny rates a single complaint is a large residual, but it is all that ever comes.
    let mean = expectation.guarded.max(20.0 * shape.rate_min());
    let residual = anscombe_residual(y, mean) / libm::sqrt(1.0 + expectation.inverse_size * mean);
    if residual <= RESIDUAL_ORDINARY {
        1.0
    } else {
        let ratio = RESIDUAL_ORDINARY / residual;
        ratio * ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a service with `count_of` a bin for `days`; gives the expectation at each chunk's end.
    fn run(days: i64, count_of: impl Fn(i64) -> u32) -> Vec<Expectation> {
        let shape = ChunkShape::of(BinWidth::MINUTE);
        let mut group = GroupProfile::new();
        let mut baseline = Baseline::new();
        let at = |bin: i64| {
            let time = crate::time::EventTime::from_ms(bin * 60_000).expect("small times are in range");
            crate::time::week_position(time)
        };
        let mut expectation = baseline.expect(&group.at(at(0)), shape);
        let mut all = Vec::new();
        for bin in 0..days * 1440 {
            let count = count_of(bin);
            if count > 0 {
                baseline.gather(count, &expectation, shape);
            }
            if (bin + 1) % shape.bins == 0 {
                baseline.end_chunk(at(bin), &expectation, &mut group, shape);
                expectation = baseline.expect(&group.at(at(bin + 8)), shape);
                all.push(expectation);
            }
        }
        all
    }

    #[test]
    fn a_steady_rate_is_learned_in_hours_and_tightly_in_days() {
        let all = run(10, |bin| u32::from(bin % 2 == 0) * 2);
        let after_hours = all[12];
        assert!((after_hours.mean - 1.0).abs() < 0.2, "{after_hours:?}");
        let last = all[all.len() - 1];
        assert!((last.mean - 1.0).abs() < 0.03, "{last:?}");
        assert!(last.guarded > last.mean && last.guarded < 1.3 * last.mean, "{last:?}");
        assert!(!last.is_learning && after_hours.is_learning);
    }

    #[test]
    fn a_daily_cycle_is_learned() {
        let day = |bin: i64| if (bin / 60) % 24 < 12 { 1 } else { 9 };
        let all = run(21, day);
        let last_day = &all[all.len() - 96..];
        assert!((last_day[4 * 5].mean - 1.0).abs() < 0.35, "night {:?}", last_day[4 * 5]);
        assert!((last_day[4 * 18].mean - 9.0).abs() < 1.0, "day {:?}", last_day[4 * 18]);
    }

    #[test]
    fn the_first_hours_of_a_history_are_not_taken_for_ordinary_ones() {
        // Busy while it begins, and at that time every week.
        let all = run(15, |bin| if bin % 10_080 < 180 { 18 } else { 10 });
        let (second, third) = (all[4 * (7 * 24 + 1)].mean, all[4 * (14 * 24 + 1)].mean);
        assert!(second < 12.0, "of the first visit it knows nothing: {second}");
        assert!(third > 15.5, "the second it has learned: {third}");
    }

    #[test]
    fn a_rate_that_wanders_widens_the_guard_and_one_that_does_not_leaves_it() {
        let steady = run(15, |_| 50);
        // Three hours a fifth above its mean, six hours a tenth below.
        let wandering = run(15, |bin| if (bin / 180) % 3 == 0 { 60 } else { 45 });
        let width = |all: &[Expectation]| all[all.len() - 1].guarded / all[all.len() - 1].mean;
        assert!(width(&wandering) > width(&steady) + 0.05, "{} and {}", width(&wandering), width(&steady));
        assert!(width(&steady) < 1.3, "{}", width(&steady));
    }

    #[test]
    fn silence_lowers_the_rate_to_its_floor_only() {
        let all = run(30, |_| 0);
        let last = all[all.len() - 1];
        assert!((last.mean - 0.001).abs() < 1e-3, "{last:?}");
        assert!(last.guarded.is_finite() && last.guarded > 0.0);
    }
}
