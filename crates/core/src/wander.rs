//! How far rates wander about what is expected of them, over minutes and hours.
//!
//! It is the variance that is left of the squares of how far chunks are off, when what counts and doubt explain is taken
//! from them. A quiet service has few complaints to show it by; it is taken to be as the others, until its own chunks
//! say more.

use serde::{Deserialize, Serialize};

/// The variance before anything is known: a tenth of the rate, as real feeds show.
const VARIANCE: f64 = 0.01;
/// The variance that a well-measured chunk is taken to have, in the weights of their squares.
const SCALE: f64 = 0.01;
/// Weight of what is assumed: ten well-measured chunks.
const PRIOR_WEIGHT: f64 = 10.0 / (SCALE * SCALE);
/// Beyond this weight what is old counts half: a hundred thousand well-measured chunks, three weeks of fifty services.
const WEIGHT_MAX: f64 = 1e5 / (SCALE * SCALE);
/// The most that is left of a chunk in a burst: an outage must not widen its own guard, and a service of bursts is no
/// pattern for the others.
const BURST_COUNTS_FOR: f64 = 0.05;

/// How far a chunk was off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Residual {
    /// Observed over expected, less 1.
    pub(crate) off: f64,
    /// The relative variance of that by the chance of counts and by what is not known of the expected rate.
    pub(crate) explained: f64,
}

impl Residual {
    /// The same, no further off than a burst counts for.
    pub(crate) fn bounded(self) -> Self {
        Self { off: self.off.abs().min(libm::sqrt(self.explained + BURST_COUNTS_FOR)), ..self }
    }
}

/// A weighted mean of what is left of squares.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Wander {
    left: f64,
    weight: f64,
}

impl Wander {
    /// Adds a chunk of one service, of which what came before counts `kept`.
    pub(crate) fn add(&mut self, residual: Residual, kept: f64) {
        let scale = residual.explained + SCALE;
        let weight = 1.0 / (scale * scale);
        self.left = self.left * kept + weight * (residual.off * residual.off - residual.explained);
        self.weight = self.weight * kept + weight;
    }

    /// Adds a chunk of one of many services.
    pub(crate) fn add_to_all(&mut self, residual: Residual) {
        self.add(residual.bounded(), if self.weight > WEIGHT_MAX { 0.5 } else { 1.0 });
    }

    /// The variance, at least 0, where `all` are the services among which this one is.
    pub(crate) fn variance(&self, all: &Self) -> f64 {
        self.shrunk(all.shrunk(VARIANCE))
    }

    fn shrunk(&self, assumed: f64) -> f64 {
        ((self.left + PRIOR_WEIGHT * assumed) / (self.weight + PRIOR_WEIGHT)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunks that are a fifth off, up and down: a variance of 0.04.
    fn chunks(n: usize, explained: f64) -> impl Iterator<Item = Residual> {
        (0..n).map(move |nth| {
            let off = libm::sqrt(0.04 + explained);
            Residual { off: if nth % 2 == 0 { off } else { -off }, explained }
        })
    }

    fn of(chunks: impl Iterator<Item = Residual>) -> Wander {
        chunks.fold(Wander::default(), |mut wander, chunk| {
            wander.add(chunk, 1.0);
            wander
        })
    }

    #[test]
    fn what_counts_do_not_explain_is_wandering() {
        let variance = of(chunks(2_000, 0.002)).variance(&Wander::default());
        assert!((variance - 0.04).abs() < 0.001, "{variance}");
    }

    #[test]
    fn a_quiet_service_is_taken_to_be_as_the_others_and_a_busy_one_is_not() {
        let mut others = Wander::default();
        chunks(2_000, 0.002).for_each(|chunk| others.add_to_all(chunk));
        let steady = |explained: f64| {
            (0..300).map(move |nth| {
                let off = libm::sqrt(explained);
                Residual { off: if nth % 2 == 0 { off } else { -off }, explained }
            })
        };
        let (quiet, busy) = (of(steady(0.7)).variance(&others), of(steady(0.002)).variance(&others));
        assert!(quiet > 0.038 && busy < 0.003, "{quiet} and {busy}");
    }

    #[test]
    fn bursts_of_one_service_are_not_expected_of_the_others() {
        let mut others = Wander::default();
        for nth in 0..10_000 {
            let off = if nth % 20 == 0 { 5.0 } else { 0.0 };
            others.add_to_all(Residual { off, explained: 0.0 });
        }
        let variance = Wander::default().variance(&others);
        assert!(variance < 0.003, "a twentieth of them, each at most 0.05: {variance}");
    }

    #[test]
    fn a_group_forgets_what_is_old() {
        let mut others = Wander::default();
        chunks(100_000, 0.0).for_each(|chunk| others.add_to_all(chunk));
        (0..300_000).for_each(|_| others.add_to_all(Residual { off: 0.0, explained: 0.0 }));
        let variance = Wander::default().variance(&others);
        assert!(variance < 0.001, "{variance}");
    }
}
