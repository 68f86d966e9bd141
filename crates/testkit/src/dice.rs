//! Where does chance come from, and why are the samplers written here?
//!
//! A fixture is only as good as its promise "same scenario, same seed, same bytes", on every platform and after every
//! dependency update. The usual distribution crates do not promise that: their algorithms change between versions,
//! and with feature unification they may take `exp` and `ln` from the platform's C library, whose last digit differs
//! between systems. So only the generator is borrowed (`ChaCha8`, whose output is specified), floats are built from
//! its raw words, and the few distributions needed are short textbook methods over `libm`.
//!
//! Every service has its own *stream* of the same seed. Adding a service or an event therefore leaves the posts of
//! the others as they were, and two scenarios that differ in one event can be compared post by post.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of chance.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    rng: ChaCha8Rng,
}

/// Largest mean handled by one run of the product method: `exp(-16)` is far from underflow, and larger means are
/// sums of smaller ones because a sum of Poisson counts is Poisson.
const POISSON_CHUNK: f64 = 16.0;

impl Dice {
    /// Dice for one named stream of a seed.
    pub(crate) fn new(seed: u64, stream: &str) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(fnv1a(stream));
        Self { rng }
    }

    /// A number in `[0, 1)`, of 53 random bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with the given probability; at or below 0 never, at or above 1 always.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// An index in `[0, n)`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let scaled = u128::from(self.rng.next_u64()) * n as u128;
        (scaled >> 64) as usize
    }

    /// A number in `[low, high)`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// One of the items.
    ///
    /// # Panics
    /// When there are none.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// An index, with probability proportional to its weight; the last one when all weights are 0.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let total: f64 = weights.clone().sum();
        let mut left = self.unit() * total;
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
            last = index;
        }
        last
    }

    /// A waiting time of the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// A Poisson count (Knuth 1969, vol. 2, §3.4.1, the product of uniforms); 0 for a mean at or below 0.
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        let mut left = mean;
        let mut count = 0;
        while left > 0.0 {
            let chunk = left.min(POISSON_CHUNK);
            let floor = libm::exp(-chunk);
            let mut product = self.unit();
            while product > floor {
                count += 1;
                product *= self.unit();
            }
            left -= chunk;
        }
        count
    }

    /// A count with the given mean whose variance is `dispersion_phi` times the mean (a gamma-mixed Poisson, that is,
    /// negative binomial); at a dispersion of 1 or less it is plain Poisson.
    pub(crate) fn overdispersed(&mut self, mean: f64, dispersion_phi: f64) -> u32 {
        if mean <= 0.0 || dispersion_phi <= 1.0 {
            return self.poisson(mean);
        }
        let scale = dispersion_phi - 1.0;
        let rate = self.gamma(mean / scale) * scale;
        self.poisson(rate)
    }

    /// A gamma variate of the given shape and scale 1 (Marsaglia & Tsang 2000; shapes below 1 by their §6 boost).
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = libm::pow(1.0 - self.unit(), 1.0 / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / libm::sqrt(9.0 * d);
        loop {
            let x = self.normal();
            let cube_root = 1.0 + c * x;
            if cube_root <= 0.0 {
                continue;
            }
            let v = cube_root * cube_root * cube_root;
            let u = 1.0 - self.unit();
            if libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
                return d * v;
            }
        }
    }

    /// A standard normal variate (Box & Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(2.0 * core::f64::consts::PI * self.unit())
    }
}

/// A stable hash of a name (FNV-1a, 64 bits), so that a stream depends on what it is called, not on where it stands.
pub(crate) fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: u32 = 40_000;

    #[track_caller]
    fn check_moments(draw: impl Fn(&mut Dice) -> f64, mean: f64, variance: f64) {
        let mut dice = Dice::new(7, "moments");
        let draws: Vec<f64> = (0..N).map(|_| draw(&mut dice)).collect();
        let got_mean = draws.iter().sum::<f64>() / f64::from(N);
        let got_variance = draws.iter().map(|x| (x - got_mean) * (x - got_mean)).sum::<f64>() / f64::from(N);
        // Five standard errors of the mean; the variance of these draws is itself known to about 3 % at this size.
        let margin = 5.0 * (variance / f64::from(N)).sqrt();
        assert!((got_mean - mean).abs() < margin, "mean {got_mean}, expected {mean} within {margin}");
        assert!((got_variance / variance - 1.0).abs() < 0.1, "variance {got_variance}, expected {variance}");
    }

    #[test]
    fn poisson_has_equal_mean_and_variance_below_and_above_one_chunk() {
        check_moments(|dice| f64::from(dice.poisson(0.3)), 0.3, 0.3);
        check_moments(|dice| f64::from(dice.poisson(45.0)), 45.0, 45.0);
    }

    #[test]
    fn overdispersed_counts_have_phi_times_the_variance() {
        check_moments(|dice| f64::from(dice.overdispersed(0.4, 1.3)), 0.4, 0.52);
        check_moments(|dice| f64::from(dice.overdispersed(12.0, 1.5)), 12.0, 18.0);
    }

    #[test]
    fn exponential_waits_have_the_mean_asked_for() {
        check_moments(|dice| dice.exponential(3.0), 3.0, 9.0);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let first = |stream| Dice::new(1, stream).unit().to_bits();
        assert_eq!(first("a"), first("a"));
        assert_ne!(first("a"), first("b"));
    }

    #[test]
    fn weighted_choice_follows_the_weights() {
        let mut dice = Dice::new(3, "weights");
        let mut hits = [0u32; 3];
        for _ in 0..10_000 {
            hits[dice.weighted([1.0, 0.0, 3.0].into_iter())] += 1;
        }
        assert_eq!(hits[1], 0, "a weight of 0 is never drawn");
        assert!((2_300..2_700).contains(&hits[0]), "a quarter of the draws, got {}", hits[0]);
    }
}
