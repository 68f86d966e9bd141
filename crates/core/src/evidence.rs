//! Evidence that a service fails, and later that it works again: sequential likelihood-ratio tests on its counts.
//!
//! **Forward**, a bank of CUSUMs (Page 1954), one for each multiplier ρ of the rate. For a count y against the null
//! rate μ with negative-binomial size r (METHODS §4),
//!
//! ```text
//! ℓ(y) = y·ln[ρ(r + μ)/(r + ρμ)] − r·ln[(r + ρμ)/(r + μ)]        (r → ∞: y·ln ρ − μ(ρ − 1))
//! W ← max(0, W + ℓ(y)),   raised when W ≥ h
//! ```
//!
//! A CUSUM for the true ρ is the fastest test there is at its run length (Moustakides 1986); a bank costs a tenth more
//! without knowing ρ, where a threshold on single counts misses everything slow. The thresholds h come from the
//! promised false-alarm rate ([`crate::run_length`]), each member having the run length of the promise times the size
//! of the bank. The last bin in which W was zero is the estimate of the onset: the change point that maximises the
//! likelihood.
//!
//! **Reverse**, one CUSUM of "the rate is back" against "it is still what it was", whose alternative follows the
//! outage as it decays ([`Clearing`]).

use serde::{Deserialize, Serialize};

use crate::expectation::Expectation;
use crate::run_length;
use crate::time::{Bin, BinWidth};

/// Size of the bank.
pub(crate) const N_MULTIPLIERS: usize = run_length::MULTIPLIERS.len();
/// Evidence stops growing at this multiple of the threshold, so that it can come down when an outage is over.
const CEILING: f64 = 2.0;
/// A raise needs complaints by this many people; below [`TINY_PER_HOUR`] expected an hour, by the smaller number.
const AUTHORS_MIN: u32 = 5;
const AUTHORS_MIN_TINY: u32 = 3;
/// Services that expect fewer complaints an hour than this are tiny: five at once would be a day's worth.
const TINY_PER_HOUR: f64 = 3.0;
/// Where evidence is capped while too few people stand behind it, as a share of the threshold.
const UNSUPPORTED: f64 = 0.98;

/// The promise, as run lengths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RunLengths {
    pub(crate) ln_suspected: f64,
    pub(crate) ln_started: f64,
}

impl RunLengths {
    /// From false alarms a service-year at the two tiers.
    pub(crate) fn of_promise(suspected: f64, started: f64, width: BinWidth) -> Self {
        let bins = width.bins_per_year() * N_MULTIPLIERS as f64;
        Self { ln_suspected: libm::log(bins / suspected), ln_started: libm::log(bins / started) }
    }
}

/// The tiers, each with the null rate that it is watched against, its promise and its own statistics.
///
/// A wrong baseline makes both tiers wrong at once: what raises the lower by chance would soon raise the higher, too, and
/// a promise a hundred times as strict would not hold. So the higher is held against a rate that the baseline hardly
/// allows for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Suspected,
    Started,
}

/// One member's increment, W += gain · y − cost, and threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Member {
    gain: f64,
    cost: f64,
    threshold: f64,
}

/// The increments and thresholds of a tier that hold for one chunk of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bank {
    members: [Member; N_MULTIPLIERS],
    /// The null rate, complaints a bin.
    null: f64,
    authors_min: u32,
}

impl Bank {
    pub(crate) fn of(
        expectation: &Expectation,
        tier: Tier,
        run_lengths: RunLengths,
        width: BinWidth,
    ) -> Self {
        let (null, ln_run_length) = match tier {
            Tier::Suspected => (expectation.guarded, run_lengths.ln_suspected),
            Tier::Started => (expectation.guarded_more, run_lengths.ln_started),
        };
        let inverse_size = expectation.inverse_size;
        let members = std::array::from_fn(|index| {
            let (gain, cost) =
                log_likelihood_ratio(null, null * run_length::MULTIPLIERS[index], inverse_size);
            Member { gain, cost, threshold: run_length::threshold(index, null, inverse_size, ln_run_length) }
        });
        let per_hour = null * 3600.0 / f64::from(width.seconds());
        let authors_min = if per_hour < TINY_PER_HOUR { AUTHORS_MIN_TINY } else { AUTHORS_MIN };
        Self { members, null, authors_min }
    }
}

/// The log-likelihood ratio of a count under rate `alternative` against rate `null` as (gain, cost): it is
/// `gain · y − cost`. Both rates > 0; `inverse_size` ≥ 0, and 0 is the Poisson limit.
fn log_likelihood_ratio(null: f64, alternative: f64, inverse_size: f64) -> (f64, f64) {
    if inverse_size < 1e-9 {
        return (libm::log(alternative / null), alternative - null);
    }
    let grown = libm::log((1.0 + alternative * inverse_size) / (1.0 + null * inverse_size));
    (libm::log(alternative / null) - grown, grown / inverse_size)
}

/// One CUSUM.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Cusum {
    evidence: f64,
    /// The first bin after the statistic was last zero.
    since: Bin,
    /// Complaints since then.
    n_complaints: u32,
}

impl Cusum {
    /// At zero; `bin` is the next.
    fn zero(bin: Bin) -> Self {
        Self { evidence: 0.0, since: bin, n_complaints: 0 }
    }
}

/// The strongest member of a tier's bank after a bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// W, in nats.
    pub(crate) evidence: f64,
    /// Its threshold.
    pub(crate) threshold: f64,
    /// The null rate that both are of, complaints a bin.
    pub(crate) null: f64,
    /// The estimated onset: the first bin of the change.
    pub(crate) onset: Bin,
}

impl Reading {
    pub(crate) fn is_raised(&self) -> bool {
        self.evidence >= self.threshold
    }

    /// Whether it is enough to go on with an outage that was about to be over.
    pub(crate) fn is_flaring_up(&self) -> bool {
        self.evidence >= FLARE_UP_EVIDENCE
    }

    /// Evidence on a scale for people: e/(1 + e) with e the evidence over the threshold. In [0, 1), monotone, and at
    /// least 0.5 exactly where the threshold is reached.
    pub(crate) fn share(&self) -> f64 {
        let relative = self.evidence / self.threshold;
        relative / (1.0 + relative)
    }
}

/// The forward evidence of one service for one tier.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Evidence {
    bank: Bank,
    cusums: [Cusum; N_MULTIPLIERS],
}

impl Evidence {
    /// No evidence, from `bin` on.
    pub(crate) fn none_since(bin: Bin, bank: Bank) -> Self {
        Self { bank, cusums: [Cusum::zero(bin); N_MULTIPLIERS] }
    }

    /// Takes the bank for the chunk that begins.
    pub(crate) fn expect(&mut self, bank: Bank) {
        self.bank = bank;
    }

    /// Forgets everything; `bin` is the next.
    pub(crate) fn forget(&mut self, bin: Bin) {
        *self = Self::none_since(bin, self.bank);
    }

    /// Whether every member is at zero. Then a bin without complaints changes nothing and may be left out.
    pub(crate) fn is_zero(&self) -> bool {
        self.cusums.iter().all(|cusum| cusum.evidence <= 0.0)
    }

    /// Weighs the count of `bin`.
    pub(crate) fn weigh(&mut self, bin: Bin, observed: u32) {
        let y = f64::from(observed);
        for (cusum, member) in self.cusums.iter_mut().zip(&self.bank.members) {
            if cusum.evidence <= 0.0 {
                *cusum = Cusum::zero(bin);
            }
            let ceiling = CEILING * member.threshold;
            cusum.evidence = (cusum.evidence + member.gain * y - member.cost).clamp(0.0, ceiling);
            cusum.n_complaints = cusum.n_complaints.saturating_add(observed);
        }
    }

    /// The strongest member: the one furthest towards its threshold. Those at the ceiling are equals, and of them the
    /// largest multiplier knows best when it began. `n_authors_recent` is how many people complained lately; a member
    /// with fewer behind it stays below its threshold.
    pub(crate) fn read(&self, n_authors_recent: u32) -> Reading {
        let mut best: Option<Reading> = None;
        for (cusum, member) in self.cusums.iter().zip(&self.bank.members) {
            let is_supported = cusum.n_complaints.min(n_authors_recent) >= self.bank.authors_min;
            let cap = if is_supported { f64::INFINITY } else { UNSUPPORTED * member.threshold };
            let reading = Reading {
                evidence: cusum.evidence.min(cap),
                threshold: member.threshold,
                null: self.bank.null,
                onset: cusum.since,
            };
            if best.is_none_or(|best| reading.evidence / reading.threshold >= best.evidence / best.threshold)
            {
                best = Some(reading);
            }
        }
        best.expect("the bank has members")
    }
}

/// The false-alarm run length of the reverse test: it would call a lasting outage over once in ten days at most. At a
/// day, one outage in twenty is cut in two; each factor of ten costs 2.3 nats, a minute or two at five times normal.
const CLEAR_RUN_LENGTH_SECONDS: f64 = 864_000.0;
/// Evidence, in nats, at which an outage that was about to be over flares up again: e^7.3 is a day in minutes. The
/// promise does not bear on it, since no new outage comes of it.
const FLARE_UP_EVIDENCE: f64 = 7.3;
/// The weakest outage that the reverse test tells from normal, as a multiple of the guarded rate. What the bank calls an
/// outage is more than 1.23 times the guarded rate, where the likelihoods of its weakest member meet, and here they
/// must meet lower: else the same rate would be raised and cleared at once.
const OUTAGE_RATIO_MIN: f64 = 1.3;
/// The least outage that is worth being held open for, as a multiple of [`BACK_EXCESS_PER_SECOND`]: to be sure that a
/// quiet service does not have a few complaints an hour more than before takes half a day.
const OUTAGE_EXCESS: f64 = 5.0;
/// A service counts as back at its expected rate, or with this many more complaints a second.
const BACK_EXCESS_PER_SECOND: f64 = 1.0 / 3000.0;
/// A return must be to at most this ratio of the guarded rate; else the outage has only become weaker.
const RETURN_RATIO_MAX: f64 = 1.2;
/// Half-life of the estimate of how strong the outage is: so many seconds, and so many complaints.
const STRENGTH_HALF_LIFE_SECONDS: f64 = 600.0;
const STRENGTH_HALF_LIFE_COMPLAINTS: f64 = 30.0;
/// Standard errors that it is taken to be less strong than it seems: chance must not look like a return.
const STRENGTH_DEVIATIONS: f64 = 1.5;

/// The reverse test: has the rate come back?
///
/// It is a CUSUM of the returned rate against the strength of the outage, which is estimated from the bins up to where the
/// statistic last was zero, so that the return itself cannot weaken it. When the test fires on a rate that is still
/// well above normal, the outage has merely decayed to a new strength, and the test starts over against that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clearing {
    /// Ratio of observed to expected, and how many bins are behind it.
    strength: f64,
    strength_bins: f64,
    evidence: f64,
    since: Bin,
    observed: f64,
    expected: f64,
}

impl Clearing {
    /// Starts at `bin`, with the outage at `strength` times the guarded rate over the last `n_bins`.
    pub(crate) fn new(bin: Bin, strength: f64, n_bins: f64) -> Self {
        Self { strength, strength_bins: n_bins, evidence: 0.0, since: bin, observed: 0.0, expected: 0.0 }
    }

    /// The same from `bin` on, without what spoke for a return before.
    pub(crate) fn renewed(&self, bin: Bin) -> Self {
        Self::new(bin, self.strength, self.strength_bins)
    }

    /// How strong the outage is at the least.
    fn strength_at_least(&self, guarded: f64, inverse_size: f64) -> f64 {
        let variance =
            (1.0 / (self.strength * guarded).max(f64::MIN_POSITIVE) + inverse_size) / self.strength_bins;
        (self.strength * (1.0 - STRENGTH_DEVIATIONS * libm::sqrt(variance))).max(OUTAGE_RATIO_MIN)
    }

    /// Weighs the count of `bin`; gives the first bin of the return once it is sure.
    pub(crate) fn weigh(
        &mut self,
        bin: Bin,
        observed: u32,
        expectation: &Expectation,
        width: BinWidth,
    ) -> Option<Bin> {
        let (y, guarded) = (f64::from(observed), expectation.guarded);
        let seconds = f64::from(width.seconds());
        let excess = BACK_EXCESS_PER_SECOND * seconds;
        let back = expectation.mean + excess;
        let at_least = self.strength_at_least(guarded, expectation.inverse_size) * guarded;
        let failing = at_least.max(back + OUTAGE_EXCESS * excess);
        let (gain, cost) = log_likelihood_ratio(failing, back, expectation.inverse_size);
        if self.evidence <= 0.0 {
            *self = self.renewed(bin);
        }
        self.observed += y;
        self.expected += guarded;
        self.evidence += gain * y - cost;
        if self.evidence <= 0.0 {
            // What spoke for a return spoke too soon: all of it belongs to the outage.
            let n_bins = self.expected / guarded;
            let half_life =
                (STRENGTH_HALF_LIFE_SECONDS / seconds).max(STRENGTH_HALF_LIFE_COMPLAINTS / failing);
            self.strength_bins = self.strength_bins * libm::exp2(-n_bins / half_life) + n_bins;
            self.strength += (self.observed / self.expected - self.strength) * n_bins / self.strength_bins;
            self.evidence = 0.0;
            return None;
        }
        if self.evidence < libm::log(CLEAR_RUN_LENGTH_SECONDS / seconds) {
            return None;
        }
        let n_bins = self.expected / guarded;
        if self.observed > RETURN_RATIO_MAX * (self.expected + excess * n_bins) {
            *self = Self::new(bin.plus(1), self.observed / self.expected, n_bins);
            return None;
        }
        Some(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EventTime;

    fn bin(nth: i64) -> Bin {
        BinWidth::MINUTE.bin_of(EventTime::from_ms(nth * 60_000).expect("small times are in range"))
    }

    #[test]
    fn strength_is_the_mean_of_the_outage_and_not_of_its_high_bins() {
        // Four times as much, in bins of 1 and of 7: after each of the former the statistic is above zero.
        let mut clearing = Clearing::new(bin(0), 6.0, 5.0);
        for nth in 0..400 {
            let y = if nth % 2 == 0 { 1 } else { 7 };
            assert_eq!(clearing.weigh(bin(nth), y, &Expectation::exactly(1.0), BinWidth::MINUTE), None);
        }
        assert!((clearing.strength - 4.0).abs() < 0.3, "{}", clearing.strength);
    }

    #[test]
    fn it_is_taken_for_less_than_it_seems_by_its_standard_error() {
        // Poisson, rate 4 over 16 bins: 64 complaints, so a standard error of an eighth of it, and 1.5 of these.
        let clearing = Clearing::new(bin(0), 4.0, 16.0);
        assert!((clearing.strength_at_least(1.0, 0.0) - 4.0 * (1.0 - 1.5 / 8.0)).abs() < 1e-12);
        assert_eq!(Clearing::new(bin(0), 1.2, 1e6).strength_at_least(1.0, 0.0), OUTAGE_RATIO_MIN);
    }

    #[test]
    fn a_return_is_found_where_it_began() {
        let mut clearing = Clearing::new(bin(0), 5.0, 60.0);
        let since = (0..60).find_map(|nth| {
            let y = if nth < 20 { 5 } else { 1 };
            clearing.weigh(bin(nth), y, &Expectation::exactly(1.0), BinWidth::MINUTE)
        });
        assert_eq!(since, Some(bin(20)));
    }
}
