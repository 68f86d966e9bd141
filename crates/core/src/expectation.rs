//! What is expected of a service's counts during one chunk of its baseline.

use serde::{Deserialize, Serialize};

use crate::normal::gamma_quantile;

/// The 0.975-quantile of the standard normal distribution.
const NORMAL_QUANTILE_975: f64 = 1.959_963_985;

/// What is expected of a service during one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Expectation {
    /// Level × profile, complaints a bin.
    pub(crate) steady: f64,
    /// Best estimate of the rate, complaints a bin: `steady` × drift.
    pub(crate) mean: f64,
    /// Relative variance of level, trend and profile, as far as they are known.
    pub(crate) doubt: f64,
    /// The most that it may be, the larger of a quantile and an excursion: the null rate of the lower tier.
    pub(crate) guarded: f64,
    /// The same further up, for the higher tier.
    pub(crate) guarded_more: f64,
    /// 1/r: variance = mean + mean² × this; what wanders within an hour is in it.
    pub(crate) inverse_size: f64,
    /// Whether the baseline is old enough to take evidence against.
    pub(crate) is_usable: bool,
    /// Whether it is still young enough to be told apart.
    pub(crate) is_learning: bool,
}

impl Expectation {
    /// The same, for a service whose rate is `factor` times as high from now on.
    pub(crate) fn times(&self, factor: f64) -> Self {
        Self {
            steady: self.steady * factor,
            mean: self.mean * factor,
            guarded: self.guarded * factor,
            guarded_more: self.guarded_more * factor,
            ..*self
        }
    }

    /// Between these lie at least nineteen of twenty counts of a bin while nothing is wrong: quantiles of the Gamma with
    /// the mean and the variance of a count, doubt included, and the whole numbers beyond them.
    pub(crate) fn usual(&self) -> (f64, f64) {
        let relative_variance = 1.0 / self.mean + self.inverse_size + self.doubt;
        let quantile = |normal| (self.mean * gamma_quantile(1.0 / relative_variance, normal)).max(0.0);
        (libm::floor(quantile(-NORMAL_QUANTILE_975)), libm::ceil(quantile(NORMAL_QUANTILE_975)))
    }
}

#[cfg(test)]
impl Expectation {
    /// Poisson counts of a rate that is known.
    pub(crate) fn exactly(rate: f64) -> Self {
        Self {
            steady: rate,
            mean: rate,
            doubt: 0.0,
            guarded: rate,
            guarded_more: rate,
            inverse_size: 0.0,
            is_usable: true,
            is_learning: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_of_twenty_counts_are_usual() {
        // scipy.stats.poisson.ppf([0.025, 0.975], 100) is [81, 120], nbinom.ppf of mean 100 and size 10 [45, 174].
        let (low, high) = Expectation::exactly(100.0).usual();
        assert!((low - 81.0).abs() < 1.5 && (high - 120.0).abs() < 1.5, "{low} to {high}");
        let (low, high) = Expectation { inverse_size: 0.1, ..Expectation::exactly(100.0) }.usual();
        assert!((low - 45.0).abs() < 2.0 && (high - 174.0).abs() < 2.0, "{low} to {high}");
        for mean in [0.01, 0.1, 0.16, 0.5, 1.0, 2.0, 3.0, 7.0] {
            let (low, high) = Expectation::exactly(mean).usual();
            let mut share = 0.0;
            let mut of_count = libm::exp(-mean);
            for count in 0..=30 {
                let count = f64::from(count);
                share += if (low..=high).contains(&count) { of_count } else { 0.0 };
                of_count *= mean / (count + 1.0);
            }
            assert!(share > 0.95, "at {mean} a Poisson count is within {low} to {high} with {share}");
        }
    }
}
