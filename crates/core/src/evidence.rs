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

use crate::baseline::Expectation;
use crate::run_length;
use crate::time::{Bin, BinWidth};

/// Size of the bank.
pub(crate) const N_MULTIPLIERS: usize = run_length::MULTIPLIERS.len();
/// Evidence stops growing at this multiple of the higher threshold, so that it can come down when an outage is over.
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

/// One member's increment, W += gain · y − cost, and thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Member {
    gain: f64,
    cost: f64,
    suspected: f64,
    started: f64,
}

/// The increments and thresholds that hold for one chunk of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bank {
    members: [Member; N_MULTIPLIERS],
    authors_min: u32,
}

impl Bank {
    pub(crate) fn of(expectation: &Expectation, run_lengths: RunLengths, width: BinWidth) -> Self {
        let (mean, inverse_size) = (expectation.guarded, expectation.inverse_size);
        let members = std::array::from_fn(|index| {
            let (gain, cost) =
                log_likelihood_ratio(mean, mean * run_length::MULTIPLIERS[index], inverse_size);
            let threshold = |ln| run_length::threshold(index, mean, inverse_size, ln);
            Member {
                gain,
                cost,
                suspected: threshold(run_lengths.ln_suspected),
                started: threshold(run_lengths.ln_started),
            }
        });
        let per_hour = mean * 3600.0 / f64::from(width.seconds());
        let authors_min = if per_hour < TINY_PER_HOUR { AUTHORS_MIN_TINY } else { AUTHORS_MIN };
        Self { members, authors_min }
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

/// The strongest member of the bank after a bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// W, in nats.
    pub(crate) evidence: f64,
    /// Its thresholds.
    pub(crate) suspected: f64,
    pub(crate) started: f64,
    /// The estimated onset: the first bin of the change.
    pub(crate) onset: Bin,
}

impl Reading {
    pub(crate) fn is_suspected(&self) -> bool {
        self.evidence >= self.suspected
    }

    pub(crate) fn is_started(&self) -> bool {
        self.evidence >= self.started
    }

    /// Whether it is enough to go on with an outage that was about to be over.
    pub(crate) fn is_flaring_up(&self) -> bool {
        self.evidence >= FLARE_UP_EVIDENCE
    }

    /// Evidence on a scale for people: e/(1 + e) with e the evidence over the threshold. In [0, 1), monotone, and at
    /// least 0.5 exactly where the *suspected* threshold is reached.
    pub(crate) fn score(&self) -> f64 {
        let relative = self.evidence / self.suspected;
        relative / (1.0 + relative)
    }
}

/// The forward evidence of one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Evidence {
    cusums: [Cusum; N_MULTIPLIERS],
}

impl Evidence {
    /// No evidence, from `bin` on.
    pub(crate) fn none_since(bin: Bin) -> Self {
        Self { cusums: [Cusum { evidence: 0.0, since: bin, n_complaints: 0 }; N_MULTIPLIERS] }
    }

    /// Whether every member is at zero. Then a bin without complaints changes nothing and may be left out.
    pub(crate) fn is_zero(&self) -> bool {
        self.cusums.iter().all(|cusum| cusum.evidence <= 0.0)
    }

    /// Weighs the count of `bin`.
    pub(crate) fn weigh(&mut self, bin: Bin, observed: u32, bank: &Bank) {
        let y = f64::from(observed);
        for (cusum, member) in self.cusums.iter_mut().zip(&bank.members) {
            if cusum.evidence <= 0.0 {
                *cusum = Cusum { evidence: 0.0, since: bin, n_complaints: 0 };
            }
            let ceiling = CEILING * member.started;
            cusum.evidence = (cusum.evidence + member.gain * y - member.cost).clamp(0.0, ceiling);
            cusum.n_complaints = cusum.n_complaints.saturating_add(observed);
        }
    }

    /// The strongest member: the one furthest towards its threshold, the smaller multiplier among equals.
    /// `n_authors_recent` is how many people complained lately; a member with fewer behind it stays below its
    /// thresholds.
    pub(crate) fn read(&self, bank: &Bank, n_authors_recent: u32) -> Reading {
        let mut best: Option<Reading> = None;
        for (cusum, member) in self.cusums.iter().zip(&bank.members) {
            let is_supported = cusum.n_complaints.min(n_authors_recent) >= bank.authors_min;
            let cap = if is_supported { f64::INFINITY } else { UNSUPPORTED * member.suspected };
            let reading = Reading {
                evidence: cusum.evidence.min(cap),
                suspected: member.suspected,
                started: member.started,
                onset: cusum.since,
            };
            let strength = |reading: &Reading| reading.evidence / reading.suspected;
            let is_stronger = best.is_none_or(|best| {
                // Started decides first: a member may be past `started` while another is relatively further.
                (reading.is_started(), strength(&reading)) > (best.is_started(), strength(&best))
            });
            if is_stronger {
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
/// The weakest outage that the reverse test tells from normal, as a multiple of the expected rate. Anything below
/// about 1.57 (where the two likelihoods meet) counts as back.
const OUTAGE_RATIO_MIN: f64 = 2.0;
/// A service counts as back at this multiple of the expected rate …
const BACK_RATIO: f64 = 1.2;
/// … or with this many more complaints a second, whichever is more.
const BACK_EXCESS_PER_SECOND: f64 = 1.0 / 3000.0;
/// A return must be to at most this ratio; else the outage has only become weaker.
const RETURN_RATIO_MAX: f64 = 1.6;
/// Half-life of the estimate of how strong the outage is, seconds.
const STRENGTH_HALF_LIFE_SECONDS: f64 = 600.0;

/// The reverse test: has the rate come back?
///
/// It is a CUSUM of the returned rate against the strength of the outage, which is estimated from the bins before the
/// statistic last left zero, so that the return itself cannot weaken it. When the test fires on a rate that is still
/// well above normal, the outage has merely decayed to a new strength, and the test starts over against that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Clearing {
    /// Ratio of observed to expected.
    strength: f64,
    evidence: f64,
    since: Bin,
    observed: f64,
    expected: f64,
}

impl Clearing {
    /// Starts at `bin`, with the outage at `strength` times the expected rate.
    pub(crate) fn new(bin: Bin, strength: f64) -> Self {
        Self { strength, evidence: 0.0, since: bin, observed: 0.0, expected: 0.0 }
    }

    /// Weighs the count of `bin`; gives the first bin of the return once it is sure.
    pub(crate) fn weigh(
        &mut self,
        bin: Bin,
        observed: u32,
        expectation: &Expectation,
        width: BinWidth,
    ) -> Option<Bin> {
        let (y, mean) = (f64::from(observed), expectation.guarded);
        let seconds = f64::from(width.seconds());
        let back = (BACK_RATIO * mean).max(mean + BACK_EXCESS_PER_SECOND * seconds);
        let failing = (self.strength.max(OUTAGE_RATIO_MIN) * mean).max(OUTAGE_RATIO_MIN * back);
        let (gain, cost) = log_likelihood_ratio(failing, back, expectation.inverse_size);
        if self.evidence <= 0.0 {
            *self = Self { strength: self.strength, ..Self::new(bin, self.strength) };
        }
        self.observed += y;
        self.expected += mean;
        self.evidence += gain * y - cost;
        if self.evidence <= 0.0 {
            let kept = libm::exp2(-seconds / STRENGTH_HALF_LIFE_SECONDS);
            self.strength = self.strength * kept + y / mean * (1.0 - kept);
            self.evidence = 0.0;
            return None;
        }
        if self.evidence < libm::log(CLEAR_RUN_LENGTH_SECONDS / seconds) {
            return None;
        }
        let rate_back = back / mean * RETURN_RATIO_MAX / BACK_RATIO;
        if self.observed > rate_back * self.expected {
            *self = Self::new(bin.plus(1), self.observed / self.expected);
            return None;
        }
        Some(self.since)
    }

    /// How strong the outage is at present, as a multiple of the expected rate.
    pub(crate) fn strength(&self) -> f64 {
        self.strength
    }
}
