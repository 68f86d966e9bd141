//! What a service's complaints are expected to be, learned from its own past and never from its future.
//!
//! Expected rate = level × trend × weekly profile × drift, in complaints a bin (METHODS §3).
//!
//! * **Level**: Gamma–Poisson with forgetting; a bin's count adds to the shape, its share of the profile to the exposure.
//! * **Trend**: the last days against the level, shrunk towards 1: a level with a memory of weeks lags behind growth.
//! * **Profile**: 168 hours of the week, shrunk as far as the data say ([`crate::profile`]).
//! * **Drift**: the ratio of counts one to three hours old to what was expected of them, shrunk towards 1 and only
//!   upwards. Until the profile is learned this is what keeps a morning's rise from looking like an outage.
//!
//! Of each of these its variance is known, and how far the rate **wanders** about them over minutes and hours is learned
//! for each service among all ([`crate::wander`]).
//!
//! **Guard**: evidence is taken against an upper quantile of what the rate may be, or against the furthest that it
//! wanders in a year, not its mean: a true rate 25 % above the assumed one would turn one false alarm a year into one
//! every other day (METHODS §2).
//!
//! Counts are gathered in chunks of a quarter of an hour and learned two hours late, so that an outage is known before
//! it could raise the baseline. Its chunks are learned as if the rate had been the guarded one: left out altogether, an
//! hour that is wrongly expected to be quiet would alarm every week and never be learned. Chunks also make silence
//! cheap: a bin without complaints needs no work, its exposure is added when the chunk is learned.
//!
//! Suspicious bins count less: with z the Anscombe residual, weight 1 up to z = 2.58, then (2.58 / z)² (Farrington's
//! scheme as improved by Noufaily et al., Statistics in Medicine 32, 2013).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::catalogue::ServiceIndex;
use crate::expectation::Expectation;
use crate::habits::Habits;
use crate::normal::{anscombe_residual, gamma_quantile};
use crate::profile::{GroupHours, GroupProfile, Profile, Ratio, Visit};
use crate::time::{Bin, BinWidth, WeekPosition};
use crate::wander::{Residual, Wander};

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
/// Relative variance of the rate of one visit to an hour beyond what is known of it: no two days are alike.
const VISIT_VARIANCE: f64 = 0.002;
/// Half-life of how far the rate wanders, days. Short: until the profile is learned, its errors are taken for wandering.
const WANDER_HALF_LIFE_DAYS: f64 = 3.0;
/// The part of the doubt that shows in how far chunks are off. Hours are not as unlike each other as they may be.
const DOUBT_SEEN: f64 = 0.3;
/// What the two variances count for in the guard. Settled on synthetic worlds: what is not known of hours is as often
/// too low as too high and is soon learned; a rate that wanders stays where it went for an hour.
const DOUBT_COUNTS_FOR: f64 = 0.4;
const WANDER_COUNTS_FOR: f64 = 2.0;
/// How far a rate that wanders comes by itself, in standard deviations of its logarithm: in a year of a half-life of two
/// hours the furthest of some four thousand excursions, and the same in a hundred years.
const EXCURSIONS: [f64; 2] = [4.0, 5.0];
/// The most that counts for these: a rate that comes by itself to more than three times its mean is one of bursts, and a
/// guard to match would hide every outage of it.
const WANDER_MOST: f64 = 0.09;
/// What the bank does not mind: below this multiple of the null rate its weakest member, at 1.5 times, gains nothing:
/// 1.5 ln 1.5 / 0.5 for counts that are as overdispersed as can be, and more for others.
const EXCURSION_UNNOTICED: f64 = 1.216;
/// Quantiles of the standard normal distribution for the guards of the two tiers: 0.9 (METHODS §3) and 0.995.
const QUANTILES: [f64; 2] = [1.281_551_565_5, 2.575_829_304];
/// The same while learning, 0.99 and 0.999. Of thirty services that begin at once three would exceed their
/// 0.9-quantile, and each of those could be an alarm in its first days.
const LEARNING_QUANTILES: [f64; 2] = [2.326_347_874, 3.090_232_306];
/// Variance between the chunks of a service, which limits how much its first hours can tell of its level.
const CHUNK_VARIANCE: f64 = 0.1;
/// The prior of the level, Gamma(½, 1 bin). It is not forgotten, so that a silent service keeps a proper level.
const LEVEL_PRIOR_SHAPE: f64 = 0.5;
const LEVEL_PRIOR_EXPOSURE: f64 = 1.0;
/// The rate is never taken to be below this, complaints a second (one in about 17 hours): the least that a real
/// service has, and a lower one makes three complaints an outage.
const RATE_MIN_PER_SECOND: f64 = 1.0 / 60_000.0;
/// Variance of the drift beyond that of the profile. Small, for what drifts is not raised: an outage of a quiet service
/// takes an hour to be told.
const DRIFT_VARIANCE: f64 = 0.001;
/// What an outage counts for in learning where there was one in the same hour a day or a week ago, as a multiple of the
/// guarded rate: what comes every day or every week is no outage.
const HABIT_COUNTS_FOR: f64 = 1.25;
/// The same for any before the day `YOUNG_DAYS`: what seems to be an outage is then often an hour that is not known yet.
const YOUNG_COUNTS_FOR: f64 = 1.5;
const YOUNG_DAYS: u32 = 14;
/// Half-life of the trend, days: growth would otherwise leave the level behind.
const TREND_HALF_LIFE_DAYS: f64 = 2.0;
/// Variance of the trend before anything is known.
const TREND_VARIANCE: f64 = 0.01;
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

const SECONDS_PER_DAY: f64 = 86_400.0;

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

    /// From how many bins a new normal is learned.
    pub(crate) fn rebase_bins(self) -> i64 {
        self.bins * KEPT_CHUNKS as i64
    }

    pub(crate) fn rate_min(self) -> f64 {
        RATE_MIN_PER_SECOND * self.bin_seconds
    }
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
    /// What was known of it: relative variance, and the upper quantile that was taken, complaints a bin.
    doubt: f32,
    guarded: f32,
    /// Share of that rate that the profile made, to be taken out of the level's exposure.
    profile: f32,
    /// Whether an outage was told in it.
    is_outage: bool,
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
    /// Complaints of the last days and what the level let expect.
    trend: (f64, f64),
    profile: Profile,
    habits: Habits,
    pairs: f64,
    squares: f64,
    wander: Wander,
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
            trend: (0.0, 0.0),
            profile: Profile::new(),
            habits: Habits::new(),
            pairs: 0.0,
            squares: 0.0,
            wander: Wander::default(),
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

    /// Gathers the count of a bin in which an outage goes on.
    pub(crate) fn gather_in_outage(&mut self, observed: u32) {
        self.gathering.observed += observed as f32;
        self.gathering.is_outage = true;
    }

    /// Leaves a bin out, as if it had not been.
    pub(crate) fn skip_bin(&mut self) {
        self.gathering.exposure -= 1.0;
    }

    /// The `n_bins` before now turned out to belong to an outage.
    pub(crate) fn note_outage(&mut self, n_bins: i64, shape: ChunkShape) {
        self.gathering.is_outage = true;
        let n_chunks = usize::try_from(n_bins / shape.bins + 1).unwrap_or(usize::MAX);
        for chunk in self.kept.iter_mut().skip(self.n_learned).rev().take(n_chunks) {
            chunk.is_outage = true;
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
        chunk.doubt = expectation.doubt as f32;
        chunk.guarded = expectation.guarded as f32;
        chunk.profile = self.profile.hour(&group.same_hour(position.hour)).mean as f32;
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
        let observed = self.bounded(chunk, shape);
        let exposure = f64::from(chunk.exposure);
        let level = self.level();
        let kept = shape.kept_share(HALF_LIFE_DAYS);
        self.complaints = self.complaints * kept + observed;
        self.exposure = self.exposure * kept + f64::from(chunk.profile) * exposure;
        if !chunk.is_outage {
            self.pairs = self.pairs * kept + f64::from(chunk.pairs);
            self.squares = self.squares * kept + chunk.squares();
        }
        self.bins_learned = self.bins_learned * kept + exposure;
        let residual = self.residual(chunk, observed);
        let own = if chunk.is_outage { residual.bounded() } else { residual };
        self.wander.add(own, shape.kept_share(WANDER_HALF_LIFE_DAYS));
        if !chunk.is_outage {
            group.wander.add_to_all(residual);
        }
        let visit = Visit {
            hour,
            observed,
            expected: level.max(shape.rate_min()) * exposure,
            visits: exposure * shape.bin_seconds / 3600.0,
            variance: VISIT_VARIANCE
                + self.inverse_size(f64::from(chunk.mean)) * shape.bin_seconds / 3600.0
                + self.wander.variance(&group.wander),
        };
        let kept = shape.kept_share(TREND_HALF_LIFE_DAYS);
        let share = visit.share();
        self.trend.0 = self.trend.0 * kept + observed * share;
        self.trend.1 = self.trend.1 * kept + visit.expected * f64::from(chunk.profile) * share;
        // Until a day is over the level is that of the hours seen so far, and their ratio to it says nothing.
        if f64::from(self.age_chunks) * shape.seconds() > SECONDS_PER_DAY {
            self.profile.learn(&visit, group);
        }
    }

    /// What is learned of a chunk's count: of an outage no more than the guarded rate, or somewhat more if there was one
    /// in that hour a day or a week ago or the hours are hardly known.
    fn bounded(&mut self, chunk: &Chunk, shape: ChunkShape) -> f64 {
        let observed = f64::from(chunk.observed);
        let most = f64::from(chunk.guarded * chunk.exposure);
        if !chunk.is_outage || observed <= most {
            return observed;
        }
        let day = (f64::from(self.age_chunks) * shape.seconds() / SECONDS_PER_DAY) as u32;
        let is_habit = self.habits.note(usize::from(chunk.hour), day);
        let counts_for = if day < YOUNG_DAYS {
            YOUNG_COUNTS_FOR
        } else if is_habit {
            HABIT_COUNTS_FOR
        } else {
            1.0
        };
        observed.min(counts_for * most)
    }

    /// How far a chunk is off what was expected of it.
    fn residual(&self, chunk: &Chunk, observed: f64) -> Residual {
        let (mean, exposure) = (f64::from(chunk.mean), f64::from(chunk.exposure));
        let expected = mean * exposure;
        let of_counts = 1.0 / expected + self.inverse_size(mean) / exposure;
        Residual {
            off: observed / expected - 1.0,
            explained: of_counts + DOUBT_SEEN * f64::from(chunk.doubt),
        }
    }

    /// An outage does not end: what the last hours had is normal from now on. Only they are known of the new level, so
    /// that what follows can still move it. Gives the factor between the new level and what was expected of those hours.
    pub(crate) fn rebase(&mut self) -> f64 {
        let level = self.level() * self.recent_trend().mean;
        let sums = self.kept.iter().fold((0.0, 0.0, 0.0), |(observed, exposure, bins), chunk| {
            let share = f64::from(chunk.profile * chunk.exposure);
            (observed + f64::from(chunk.observed), exposure + share, bins + f64::from(chunk.exposure))
        });
        if sums.1 <= 0.0 {
            return 1.0;
        }
        (self.complaints, self.exposure, self.bins_learned) = (sums.0, sums.1, sums.2.max(BINS_MIN));
        self.trend = (0.0, 0.0);
        self.kept.clear();
        self.n_learned = 0;
        self.level() / level
    }

    /// Mean of the level, complaints a bin.
    fn level(&self) -> f64 {
        self.shape() / (self.exposure + LEVEL_PRIOR_EXPOSURE)
    }

    fn shape(&self) -> f64 {
        self.complaints + LEVEL_PRIOR_SHAPE
    }

    /// How the last days compare with the level.
    fn recent_trend(&self) -> Ratio {
        Ratio::shrunk(Ratio::ONE, TREND_VARIANCE, self.trend)
    }

    /// What to expect in the chunk that `group` was taken for.
    pub(crate) fn expect(&self, group: &GroupHours, shape: ChunkShape) -> Expectation {
        let (profile, trend) = (self.profile.at(group), self.recent_trend());
        let steady = (self.level() * trend.mean * profile.mean).max(shape.rate_min());
        let n_chunks = self.bins_learned / shape.bins_f64();
        let level_variance = 1.0 / self.shape() + CHUNK_VARIANCE / (n_chunks + 1.0);
        let doubt = level_variance + trend.variance + profile.variance;
        let wander = self.wander.variance(&group.wander);
        let mean = steady * self.drift(profile.variance, wander);
        let is_day_old = f64::from(self.age_chunks) * shape.seconds() >= SECONDS_PER_DAY;
        let is_week_old = f64::from(self.age_chunks) * shape.seconds() >= 7.0 * SECONDS_PER_DAY;
        let is_learning = !(is_week_old || (is_day_old && self.complaints >= LEARNED_COMPLAINTS));
        let shape = 1.0 / (DOUBT_COUNTS_FOR * doubt + WANDER_COUNTS_FOR * wander);
        let [quantile, higher] = if is_learning { LEARNING_QUANTILES } else { QUANTILES };
        Expectation {
            steady,
            mean,
            doubt,
            guarded: mean * gamma_quantile(shape, quantile).max(furthest(wander, EXCURSIONS[0])),
            guarded_more: mean * gamma_quantile(shape, higher).max(furthest(wander, EXCURSIONS[1])),
            inverse_size: self.inverse_size(mean) + wander,
            is_usable: self.bins_learned >= BINS_MIN,
            is_learning,
        }
    }

    /// How far above expectation the service was one to three hours ago, at least 1.
    fn drift(&self, profile_variance: f64, wander: f64) -> f64 {
        let n_old = self.kept.len().saturating_sub(DRIFT_SKIPS_CHUNKS.min(self.age_chunks as usize / 2));
        let kept = self.kept.iter().take(n_old).filter(|chunk| !chunk.is_outage);
        let sums = kept.fold((0.0, 0.0), |(observed, expected), chunk| {
            (observed + f64::from(chunk.observed), expected + f64::from(chunk.steady * chunk.exposure))
        });
        let share = 1.0 / (1.0 + sums.1 * (VISIT_VARIANCE + wander / 2.0));
        let data = (sums.0 * share, sums.1 * share);
        Ratio::shrunk(Ratio::ONE, DOUBT_SEEN * profile_variance + DRIFT_VARIANCE, data).mean.max(1.0)
    }

    /// 1/r by the second factorial moment, Σ y(y−1) / Σ mean² − 1 ([`Chunk::squares`]), shrunk towards the prior.
    fn inverse_size(&self, mean: f64) -> f64 {
        let prior = DISPERSION_PRIOR_SQUARES + DISPERSION_PRIOR_BINS * mean * mean;
        let ratio = (self.pairs + prior * (1.0 + INVERSE_SIZE_PRIOR)) / (self.squares + prior);
        (ratio - 1.0).clamp(0.0, INVERSE_SIZE_MAX)
    }
}

/// The null rate, as a multiple of the mean, against which the bank does not mind a rate that wanders `deviations` up.
fn furthest(wander: f64, deviations: f64) -> f64 {
    libm::exp(deviations * libm::sqrt(wander.min(WANDER_MOST))) / EXCURSION_UNNOTICED
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
        assert!(third > 13.0, "the second it has learned, for an hour unlike its other days: {third}");
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
    fn growth_is_followed() {
        let rate = |bin: i64| 40.0 * libm::pow(1.1, bin as f64 / 10_080.0);
        let all = run(42, |bin| rate(bin) as u32);
        let last = all[all.len() - 1];
        let lag = 1.0 - last.mean / rate(42 * 1440);
        assert!((0.0..0.06).contains(&lag), "a level of weeks alone would be a fifth behind, not {lag}");
    }

    #[test]
    fn an_outage_counts_for_the_guarded_rate_and_one_that_comes_every_week_for_more() {
        let shape = ChunkShape::of(BinWidth::MINUTE);
        let chunk = Chunk { observed: 600.0, exposure: 15.0, guarded: 12.0, ..Chunk::default() };
        let outage = Chunk { is_outage: true, ..chunk };
        let chunks_per_day = 96;
        let mut baseline = Baseline { age_chunks: 30 * chunks_per_day, ..Baseline::new() };
        assert_eq!(baseline.bounded(&chunk, shape), 600.0, "what was no outage counts in full");
        assert_eq!(baseline.bounded(&outage, shape), 180.0);
        baseline.age_chunks += 3 * chunks_per_day;
        assert_eq!(baseline.bounded(&outage, shape), 180.0, "three days later is another outage");
        baseline.age_chunks += 7 * chunks_per_day;
        assert_eq!(baseline.bounded(&outage, shape), 225.0, "what comes every week is none");
        assert_eq!(baseline.bounded(&outage, shape), 225.0, "for all of that hour");
        baseline.age_chunks = 3 * chunks_per_day;
        assert_eq!(
            baseline.bounded(&outage, shape),
            270.0,
            "at first it may be an hour that is not known yet"
        );
    }

    #[test]
    fn once_hours_are_known_a_slow_outage_does_not_raise_its_own_baseline() {
        let (hour, outage) = (|bin: i64| bin / 60, 21 * 24 + 18);
        let all = run(22, |bin| {
            let day = 1 + u32::from(hour(bin) % 24 >= 12);
            let is_failing = (outage..outage + 3).contains(&hour(bin));
            day * if is_failing { 2 } else { 1 }
        });
        let expected = |hour: i64| all[(4 * hour) as usize - 2].mean;
        let (before, in_its_third_hour) = (expected(outage), expected(outage + 3));
        assert!((before - 2.0).abs() < 0.1 && in_its_third_hour < 2.4, "{before} and {in_its_third_hour}");
    }

    #[test]
    fn the_new_normal_is_what_the_last_hours_had_however_noisy_the_last_minutes() {
        let shape = ChunkShape::of(BinWidth::MINUTE);
        let mut group = GroupProfile::new();
        let mut baseline = Baseline::new();
        let at = crate::time::week_position(crate::time::EventTime::from_ms(0).expect("the epoch"));
        let expectation = |baseline: &Baseline, group: &GroupProfile| baseline.expect(&group.at(at), shape);
        for chunk in 0..400 {
            let expected = expectation(&baseline, &group);
            for _ in 0..15 {
                if chunk < 380 { baseline.gather(4, &expected, shape) } else { baseline.gather_in_outage(10) }
            }
            baseline.end_chunk(at, &expected, &mut group, shape);
        }
        let before = expectation(&baseline, &group);
        let factor = baseline.rebase();
        let after = expectation(&baseline, &group);
        assert!((after.mean - 10.0).abs() < 0.3, "{} before, {} after", before.mean, after.mean);
        assert!(
            (before.times(factor).mean - 10.0).abs() < 0.5,
            "the same for the rest of the chunk: {factor}"
        );
        assert_eq!(Baseline::new().rebase(), 1.0, "nothing is known of nothing");
    }

    #[test]
    fn the_guard_allows_for_the_excursions_of_a_rate_that_wanders() {
        // Of counts as overdispersed as can be the likelihoods of rates 1 and 1.5 meet at 1.5 ln 1.5 / 0.5.
        let of_a_fifth = furthest(0.04, 4.0) / libm::exp(0.8);
        assert!((1.0 / of_a_fifth - 1.5 * libm::log(1.5) / 0.5).abs() < 1e-3, "{of_a_fifth}");
        assert!(furthest(0.0, 4.0) < 1.0, "what does not wander needs no room for it");
        assert_eq!(furthest(0.5, 4.0), furthest(WANDER_MOST, 4.0), "bursts are no wandering");
    }

    #[test]
    fn silence_lowers_the_rate_to_its_floor_only() {
        let all = run(30, |_| 0);
        let last = all[all.len() - 1];
        assert!((last.mean - 0.001).abs() < 1e-3, "{last:?}");
        assert!(last.guarded.is_finite() && last.guarded > 0.0);
    }
}
