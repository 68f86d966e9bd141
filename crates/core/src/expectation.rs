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
    /// Its upper quantile: the null rate that evidence of the lower tier is taken against.
    pub(crate) guarded: f64,
    /// A quantile further up, for the higher tier.
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

    /// Between these lie nineteen of twenty counts of a bin while nothing is wrong: quantiles of the Gamma with the mean
    /// and the variance of a count, doubt included.
    pub(crate) fn usual(&self) -> (f64, f64) {
        let relative_variance = 1.0 / self.mean + self.inverse_size + self.doubt;
        let quantile = |normal| (self.mean * gamma_quantile(1.0 / relative_variance, normal)).max(0.0);
        (quantile(-NORMAL_QUANTILE_975), quantile(NORMAL_QUANTILE_975))
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
        let (low, high) = Expectation::exactly(0.01).usual();
        assert!((0.0..0.01).contains(&low) && high > 0.01, "{low} to {high}");
    }
}
