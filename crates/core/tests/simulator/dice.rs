//! Chance from a seed: the same seed gives the same schedule on every machine.

/// SplitMix64 (Steele, Lea & Flood 2014).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1, without 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// One of `0..n`; `n` is at least 1. The bias of the remainder is far below what a schedule could show.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).expect("a length fits");
        usize::try_from(self.next() % n).expect("it is below a usize")
    }

    /// A whole number from `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        let n = usize::try_from(most - least + 1).expect("the range is not empty");
        least + i64::try_from(self.below(n)).expect("it is below the range's length")
    }

    /// Between `least` and `most`, as likely from 1 to 10 as from 10 to 100.
    pub(crate) fn log_uniform(&mut self, least: f64, most: f64) -> f64 {
        least * libm::pow(most / least, self.uniform())
    }

    /// A Poisson count by multiplication (Knuth), for small means.
    pub(crate) fn poisson(&mut self, mean: f64) -> usize {
        let limit = libm::exp(-mean);
        let (mut product, mut n) = (self.uniform(), 0);
        while product > limit {
            product *= self.uniform();
            n += 1;
        }
        n
    }
}
