//! The run length of one CUSUM, solved exactly: its statistic, on a fine lattice, is a Markov chain.

use std::collections::VecDeque;

/// Multiply-adds for one exact solution; sets the lattice's step, from 0.006 at low rates to 0.08 at high ones, where one
/// bin decides and the lattice hardly matters. More would make the table take longer than a few minutes.
const SOLUTION_COST: f64 = 3e7;
/// Thresholds above this are never needed: E₀[e^ℓ] = 1 makes the run length at least e^h.
const HIGHEST_THRESHOLD: f64 = 30.5;
/// Probabilities of a count below this are dropped; the longest run length is 10¹³.
const NEGLIGIBLE: f64 = 1e-30;

/// A null law of the counts: negative binomial with variance `mean + inverse_size·mean²`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Null {
    /// Expected count of a bin.
    pub(crate) mean: f64,
    /// Variance is `mean + inverse_size·mean²`; 0 is Poisson.
    pub(crate) inverse_size: f64,
}

impl Null {
    /// The law at a point of the table. `share` in [0, 1] is the overdispersion relative to the most that is possible
    /// at this effective count with an inverse size of 2; 0 is Poisson.
    pub(crate) fn at(ln_effective_count: f64, share: f64) -> Self {
        let effective_count = libm::exp(ln_effective_count);
        // At 1 the mean would be infinite (the gamma limit); at 0.99 the law has all but reached that limit.
        let excess = (share * (2.0 * effective_count).min(1.0)).min(0.99);
        Self { mean: effective_count / (1.0 - excess), inverse_size: excess / effective_count }
    }

    /// First count of non-negligible probability, and the probabilities from there on.
    pub(crate) fn probabilities(self) -> (usize, Vec<f64>) {
        let Self { mean, inverse_size } = self;
        let mode = (mean * (1.0 - inverse_size)).max(0.0).floor();
        let ln_mode = mode * libm::log(mean) - libm::lgamma(mode + 1.0)
            + if inverse_size == 0.0 {
                -mean
            } else {
                let size = inverse_size.recip();
                libm::lgamma(mode + size)
                    - libm::lgamma(size)
                    - mode * libm::log(size + mean)
                    - size * libm::log1p(mean * inverse_size)
            };
        let ratio = |y: f64| (1.0 + y * inverse_size) * mean / ((1.0 + mean * inverse_size) * (y + 1.0));
        let mut below = Vec::new();
        let (mut y, mut p) = (mode, libm::exp(ln_mode));
        while y > 0.0 && p > NEGLIGIBLE {
            y -= 1.0;
            p /= ratio(y);
            below.push(p);
        }
        let first = mode as usize - below.len();
        below.reverse();
        let mut all = below;
        let (mut y, mut p) = (mode, libm::exp(ln_mode));
        while p > NEGLIGIBLE {
            all.push(p);
            p *= ratio(y);
            y += 1.0;
        }
        let total: f64 = all.iter().sum();
        all.iter_mut().for_each(|p| *p /= total);
        (first, all)
    }
}

/// The log-likelihood ratio of a count y is `gain·y − cost`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Increment {
    /// Worth of one observation.
    pub(crate) gain: f64,
    /// Price of one bin.
    pub(crate) cost: f64,
}

impl Increment {
    /// Of the law with `multiplier` times the mean and the same size, against `null`.
    pub(crate) fn new(multiplier: f64, null: Null) -> Self {
        let Null { mean, inverse_size } = null;
        let gain = libm::log1p((multiplier - 1.0) / (1.0 + inverse_size * multiplier * mean));
        let raise = (multiplier - 1.0) * mean;
        let cost = if inverse_size == 0.0 {
            raise
        } else {
            libm::log1p(inverse_size * raise / (1.0 + inverse_size * mean)) / inverse_size
        };
        Self { gain, cost }
    }
}

/// The increment's distribution on multiples of `step`; `masses[i]` is at `lowest + i`, `above` beyond the last.
#[derive(Debug)]
pub(crate) struct Lattice {
    /// Distance of neighbours on the lattice.
    pub(crate) step: f64,
    lowest: i64,
    masses: Vec<f64>,
    above: f64,
}

impl Lattice {
    /// Splits each increment between its two neighbours so that E[e^ℓ] = 1 stays exact: the run length's exponent is
    /// then exact too, and only its constant carries the rounding.
    pub(crate) fn new(increment: Increment, null: Null) -> Self {
        let Increment { gain, cost } = increment;
        let step = Self::step(increment);
        let n_states = (HIGHEST_THRESHOLD / step).ceil() as i64;
        let (first, probabilities) = null.probabilities();
        // Everything at or below −n_states leads to zero from anywhere.
        let lowest = (((gain * first as f64 - cost) / step).floor() as i64).max(-n_states);
        let mut masses = vec![0.0; (n_states - lowest + 1) as usize];
        let mut above = 0.0;
        for (k, &p) in probabilities.iter().enumerate() {
            let position = (gain * (first + k) as f64 - cost) / step;
            let mut left = position.floor();
            let mut right_share = libm::expm1((position - left) * step) / libm::expm1(step);
            // An increment on the lattice but for a rounding error must not leak into a neighbour.
            if right_share > 1.0 - 1e-9 {
                left += 1.0;
                right_share = 0.0;
            } else if right_share < 1e-9 {
                right_share = 0.0;
            }
            if left >= n_states as f64 {
                above += p;
                continue;
            }
            let at = ((left as i64).max(lowest) - lowest) as usize;
            masses[at] += p * (1.0 - right_share);
            masses[at + 1] += p * right_share;
        }
        above += masses.pop().unwrap_or(0.0);
        Self { step, lowest, masses, above }
    }

    /// The finest step within the cost, a whole fraction of the gain of one observation where that is larger: the
    /// staircase's steps then fall on the lattice.
    fn step(increment: Increment) -> f64 {
        let mut step = 0.0015;
        loop {
            let n_states = HIGHEST_THRESHOLD / step;
            let reach = (increment.cost / step + 2.0).min(n_states);
            if n_states * n_states * reach / 2.0 <= SOLUTION_COST {
                break;
            }
            step *= 1.05;
        }
        if increment.gain > step { increment.gain / (increment.gain / step).ceil() } else { step }
    }

    /// Average run length for an alarm at `k·step` or above, for each k from 1; index 0 is unused.
    ///
    /// Censors the chain state by state from zero upwards (Grassmann, Taksar & Heyman's elimination): after state k
    /// nothing at or below k is left, and what remains of its row is where the statistic first climbs above k, and
    /// when. Only sums of positive numbers occur, so the relative error stays at rounding level where subtraction would lose
    /// a run length of 10¹³ entirely; and one elimination answers every threshold.
    pub(crate) fn run_lengths(&self) -> Vec<f64> {
        let n = (self.masses.len() as i64 + self.lowest) as usize;
        let reach = ((-self.lowest).max(0) as usize).min(n) + 1;
        let mut rows: VecDeque<Row> = (0..reach.min(n)).map(|state| self.row(state, n)).collect();
        let mut record = vec![0.0; n];
        record[0] = 1.0;
        let mut run_lengths = vec![f64::INFINITY; n + 1];
        let mut run_length = 0.0;
        for k in 0..n {
            let Some(mut row) = rows.pop_front() else { break };
            let leaving = row.to[k + 1..].iter().sum::<f64>() + row.beyond;
            if leaving < 1e-200 {
                break;
            }
            row.to[k + 1..].iter_mut().for_each(|p| *p /= leaving);
            row.beyond /= leaving;
            row.time /= leaving;
            for other in &mut rows {
                let weight = other.to[k];
                if weight > 0.0 {
                    add_scaled(&mut other.to[k + 1..], weight, &row.to[k + 1..]);
                    other.beyond += weight * row.beyond;
                    other.time += weight * row.time;
                }
            }
            if k + reach < n {
                rows.push_back(self.row(k + reach, n));
            }
            let weight = record[k];
            add_scaled(&mut record[k + 1..], weight, &row.to[k + 1..]);
            run_length += weight * row.time;
            run_lengths[k + 1] = run_length;
        }
        run_lengths
    }

    /// One bin from `state`, with everything at or below zero gathered at zero.
    fn row(&self, state: usize, n: usize) -> Row {
        let origin = -self.lowest - state as i64;
        let mass = |to: i64| {
            usize::try_from(origin + to).ok().and_then(|i| self.masses.get(i)).copied().unwrap_or(0.0)
        };
        let mut to: Vec<f64> = (0..n as i64).map(mass).collect();
        let to_zero = usize::try_from(origin + 1).unwrap_or(0).min(self.masses.len());
        to[0] = self.masses[..to_zero].iter().sum();
        let beyond = usize::try_from(origin + n as i64).unwrap_or(0).min(self.masses.len());
        Row { to, beyond: self.masses[beyond..].iter().sum::<f64>() + self.above, time: 1.0 }
    }
}

/// Where a state leads, with what chance beyond the last state, and after how many bins on average.
#[derive(Debug)]
struct Row {
    to: Vec<f64>,
    beyond: f64,
    time: f64,
}

/// Adds `weight` times `source` to `target`.
pub(crate) fn add_scaled(target: &mut [f64], weight: f64, source: &[f64]) {
    for (t, s) in target.iter_mut().zip(source) {
        *t += weight * s;
    }
}
