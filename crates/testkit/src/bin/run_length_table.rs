//! Prints the table behind `groundswell-core`'s run-length module as Rust source.
//!
//! ```text
//! cargo run --release -p groundswell-testkit --bin run_length_table > crates/core/src/run_length/table.rs
//! ```
//!
//! For each multiplier of the bank it solves some thousands of CUSUMs *exactly* (a Markov chain on a lattice: Brook &
//! Evans 1972), at null laws spread evenly over the plane of the table, and fits to them a smooth surface that lies on
//! or above every threshold needed. Why on or above: counts are whole numbers, so that the run length is a staircase
//! of the threshold, whose steps shift with every small change of the mean. A surface through the middle of the
//! staircase would break the promised run length half of the time.
//!
//! Points of its own, unseen by the fit, audit the surface; the report goes to standard error. The output is a
//! function of the constants below alone: the points are a low-discrepancy sequence and every transcendental function
//! is `libm`'s, so another machine prints the same table.

#[path = "run_length_table/chain.rs"]
mod chain;

use std::io::{self, Write};

use chain::{Increment, Lattice, Null, add_scaled};

/// The multipliers, in the order in which the core indexes them.
const BANK: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 10.0, 25.0];
/// Logarithms of the shortest and the longest run length of the table: a hundred bins and, a little beyond, 10¹³.
const LN_RUN_LENGTH: (f64, f64) = (4.6, 30.0);
/// Intervals of the spline over the logarithm of the effective count, each a factor of two or so. Wider ones would lift
/// the surface over bends that it cannot follow; more would not be paid for, the staircase being coarser.
const N_SPANS: usize = 16;
/// Terms of the Chebyshev series over the overdispersion and over the run length; four follow the smooth parts of the
/// surface to about 1 %.
const N_TERMS: usize = 4;
/// Solved null laws a multiplier. The staircase resonates in narrow bands of the mean, and with 200 laws the audit
/// finds bands that the fit has missed by 30 %.
const N_FITTED: usize = 3_500;
/// Intervals of ln(run length), each 0.4 wide, in which a solved null law gives the fit a point.
const N_INTERVALS: usize = 64;
/// Solved null laws a multiplier for the audit.
const N_AUDITED: usize = 500;
/// Rounds of reweighting: enough for a violated corner's weight, doubled in each, to outgrow all others.
const N_ROUNDS: usize = 30;
/// Distance in the threshold from the target within which a point of the fit is left alone.
const TOLERANCE: f64 = 0.008;
/// Added to every threshold that the surface has to clear: it pays for laws between the fitted ones, and for the
/// lattice, with 2 % of run length.
const CLEARANCE: f64 = 0.02;

/// The run length as a function of the threshold at one point of the table.
#[derive(Debug)]
struct Curve {
    ln_effective_count: f64,
    share: f64,
    /// Expected loss of the statistic in a bin under the null, −E₀\[ℓ\].
    divergence: f64,
    step: f64,
    run_lengths: Vec<f64>,
    corners: Vec<Corner>,
}

impl Curve {
    fn new(multiplier: f64, ln_effective_count: f64, share: f64) -> Self {
        let null = Null::at(ln_effective_count, share);
        let increment = Increment::new(multiplier, null);
        let lattice = Lattice::new(increment, null);
        let run_lengths = lattice.run_lengths();
        let corners = corners(null, increment, lattice.step, &run_lengths);
        let divergence = increment.cost - null.mean * increment.gain;
        Self { ln_effective_count, share, divergence, step: lattice.step, run_lengths, corners }
    }

    /// ln of the run length at a threshold; infinite where it exceeds what was solved.
    fn ln_run_length(&self, threshold: f64) -> f64 {
        let state = ((threshold / self.step).ceil() as usize).max(1);
        self.run_lengths.get(state).map_or(f64::INFINITY, |&run_length| libm::log(run_length))
    }
}

/// A point that the surface has to clear, or one that only shows the way between those.
#[derive(Debug, Clone, Copy)]
struct Corner {
    ln_run_length: f64,
    threshold: f64,
    binding: bool,
}

/// The right-hand ends of the staircase's steps, the most demanding in each of 64 intervals of ln(run length): a
/// surface through them asks for exactly as many observations as the run length needs.
///
/// Thresholds below zero have no meaning, but the test "one bin has at least y observations", to which the CUSUM
/// reduces at high rates, continues there smoothly. These points keep the surface from bending where it crosses zero.
fn corners(null: Null, increment: Increment, step: f64, run_lengths: &[f64]) -> Vec<Corner> {
    let (shortest, longest) = LN_RUN_LENGTH;
    let (first, mut tail) = null.probabilities();
    for k in (0..tail.len() - 1).rev() {
        tail[k] += tail[k + 1];
    }
    let single_bin = tail.iter().enumerate().map(|(k, p)| {
        let threshold = increment.gain * (first + k) as f64 - increment.cost;
        Corner { ln_run_length: -libm::log(*p), threshold, binding: false }
    });
    let solved = run_lengths.iter().enumerate().skip(1).map(|(k, run_length)| Corner {
        ln_run_length: libm::log(*run_length),
        threshold: k as f64 * step,
        binding: true,
    });
    let mut before = Corner { ln_run_length: 0.0, threshold: -increment.cost, binding: false };
    let mut demanding: [Option<Corner>; N_INTERVALS] = [None; N_INTERVALS];
    for corner in single_bin.filter(|corner| corner.threshold <= 0.0).chain(solved) {
        if corner.ln_run_length < shortest {
            before = corner;
        } else if corner.ln_run_length < longest {
            let interval = (corner.ln_run_length - shortest) / (longest - shortest) * N_INTERVALS as f64;
            let slot = &mut demanding[interval as usize];
            let lead = |corner: Corner| corner.threshold - corner.ln_run_length;
            if slot.is_none_or(|other| lead(corner) > lead(other)) {
                *slot = Some(corner);
            }
        }
    }
    bridged(before, &demanding)
}

/// The corners, with a point on the straight line between its neighbours in each interval that has none: where the
/// staircase has a step wider than an interval, the surface would otherwise be free to sag or to bulge.
fn bridged(mut before: Corner, corners: &[Option<Corner>; N_INTERVALS]) -> Vec<Corner> {
    let (shortest, longest) = LN_RUN_LENGTH;
    let mut points = Vec::new();
    for (interval, corner) in corners.iter().enumerate() {
        if let Some(corner) = *corner {
            points.push(corner);
            before = corner;
        } else if let Some(after) = corners[interval..].iter().flatten().next() {
            let ln_run_length =
                shortest + (longest - shortest) * (interval as f64 + 0.5) / N_INTERVALS as f64;
            let way = (ln_run_length - before.ln_run_length) / (after.ln_run_length - before.ln_run_length);
            let threshold = before.threshold + way * (after.threshold - before.threshold);
            points.push(Corner { ln_run_length, threshold, binding: false });
        }
    }
    points
}

/// Range of ln(effective count) with its own table. Below, bins are so short that only the scaling by 1/mean is left
/// (half a per cent of a typical gain is lost a bin); above, a single bin over zero is rarer than the longest run.
fn range(multiplier: f64) -> (f64, f64) {
    let ln_multiplier = libm::log(multiplier);
    // Chernoff's bound for a gamma law, the widest, to exceed the count at which the increment is zero.
    let break_even = ln_multiplier / (1.0 - multiplier.recip());
    let exponent = break_even - 1.0 - libm::log(break_even);
    (libm::log(0.005 * ln_multiplier / (multiplier - 1.0)), libm::log(LN_RUN_LENGTH.1 / exponent))
}

/// Solves `n` null laws spread evenly over the table, a seventh or more of them on each of its two borders.
fn curves(multiplier: f64, n: usize, offset: f64) -> Vec<Curve> {
    let (lowest, highest) = range(multiplier);
    (0..n)
        .map(|k| {
            // The powers of the plastic number: the most even additive sequence known in two dimensions.
            let along = (offset + 0.754_877_666_246_693 * k as f64).fract() * 1.06 - 0.03;
            let across = (offset + 0.569_840_290_998_053 * k as f64).fract() * 1.4 - 0.2;
            Curve::new(
                multiplier,
                lowest + (highest - lowest) * along.clamp(0.0, 1.0),
                across.clamp(0.0, 1.0),
            )
        })
        .collect()
}

/// The fitted surface: (threshold + divergence) / scale as a spline in ln(effective count) whose coefficients are
/// Chebyshev series in the overdispersion and in the reciprocal of ln(run length). The core evaluates the same.
#[derive(Debug)]
struct Surface {
    range: (f64, f64),
    coefficients: Vec<f64>,
}

/// Index of a basis' first coefficient, and the values of the 4 · `N_TERMS`² functions that do not vanish.
type Basis = (usize, Vec<f64>);

impl Surface {
    fn basis(range: (f64, f64), ln_effective_count: f64, share: f64, ln_run_length: f64) -> Basis {
        let along = (ln_effective_count - range.0) / (range.1 - range.0) * N_SPANS as f64;
        let span = (along.max(0.0) as usize).min(N_SPANS - 1);
        let t = along - span as f64;
        let o = 1.0 - t;
        let spline = [
            o * o * o / 6.0,
            (t * t * (3.0 * t - 6.0) + 4.0) / 6.0,
            (o * o * (3.0 * o - 6.0) + 4.0) / 6.0,
            t * t * t / 6.0,
        ];
        let least = LN_RUN_LENGTH.0 / LN_RUN_LENGTH.1;
        let reciprocal = 2.0 * (LN_RUN_LENGTH.0 / ln_run_length - least) / (1.0 - least) - 1.0;
        let (across, along_run) = (chebyshev(2.0 * share - 1.0), chebyshev(reciprocal));
        let mut values = Vec::with_capacity(4 * N_TERMS * N_TERMS);
        for b in spline {
            for a in across {
                values.extend(along_run.iter().map(|r| b * a * r));
            }
        }
        (span * N_TERMS * N_TERMS, values)
    }

    fn threshold(&self, curve: &Curve, ln_run_length: f64) -> f64 {
        let (first, values) = Self::basis(self.range, curve.ln_effective_count, curve.share, ln_run_length);
        let scaled: f64 = values.iter().zip(&self.coefficients[first..]).map(|(v, c)| v * c).sum();
        scaled * scale(ln_run_length, curve.divergence) - curve.divergence
    }

    /// Least squares over the corners, repeated with more weight on those that the surface fails to clear.
    fn fit(range: (f64, f64), curves: &[Curve]) -> Self {
        let mut points: Vec<Point> = curves.iter().flat_map(|curve| Point::of(range, curve)).collect();
        let mut coefficients = vec![0.0; (N_SPANS + 3) * N_TERMS * N_TERMS];
        for round in 0..N_ROUNDS {
            if round > 0 {
                points.iter_mut().for_each(|point| point.reweight(&coefficients));
            }
            coefficients = solve(&points, coefficients.len());
        }
        Self { range, coefficients }
    }
}

fn chebyshev(x: f64) -> [f64; N_TERMS] {
    [1.0, x, 2.0 * x * x - 1.0, x * (4.0 * x * x - 3.0)]
}

/// Makes the surface flat: the threshold grows as ln(run length) at low rates, and as its square root, as a Gaussian
/// quantile does, above the expected loss at high ones.
fn scale(ln_run_length: f64, divergence: f64) -> f64 {
    (ln_run_length * (ln_run_length + 2.0 * divergence)).sqrt()
}

/// One corner as an equation of the fit.
#[derive(Debug)]
struct Point {
    basis: Basis,
    target: f64,
    scale: f64,
    weight: f64,
    /// Weight at first, kept while the surface is above the corner.
    slack_weight: f64,
    /// Whether the surface has to clear it: a threshold below zero is no promise.
    binding: bool,
}

impl Point {
    fn of(range: (f64, f64), curve: &Curve) -> impl Iterator<Item = Self> {
        curve.corners.iter().map(move |&Corner { ln_run_length, threshold, binding }| {
            let scale = scale(ln_run_length, curve.divergence);
            let goal = threshold + if binding { CLEARANCE } else { 0.0 };
            // Far below zero only the shape matters; run lengths under 10,000 bins are asked for by nobody.
            let depth = 1.0 + (-threshold).max(0.0);
            let weight = scale * scale / (depth * depth) * if ln_run_length < 9.0 { 0.3 } else { 1.0 };
            Self {
                basis: Surface::basis(range, curve.ln_effective_count, curve.share, ln_run_length),
                target: (goal + curve.divergence) / scale,
                scale,
                weight,
                slack_weight: weight,
                binding,
            }
        })
    }

    fn reweight(&mut self, coefficients: &[f64]) {
        let (first, values) = &self.basis;
        let fitted: f64 = values.iter().zip(&coefficients[*first..]).map(|(v, c)| v * c).sum();
        let excess = (fitted - self.target) * self.scale;
        if self.binding && excess < -TOLERANCE {
            self.weight = (self.weight * 2.0).max(self.slack_weight * 32.0);
        } else if excess > TOLERANCE {
            // Halved rather than reset: a corner that needed weight to be cleared needs some to stay so.
            self.weight = (self.weight * 0.8).max(self.slack_weight);
        }
    }
}

/// Weighted normal equations, by Cholesky.
fn solve(points: &[Point], n: usize) -> Vec<f64> {
    // The faint ridge decides the combinations that no corner touches.
    let mut matrix: Vec<f64> = (0..n * n).map(|i| if i % (n + 1) == 0 { 1e-4 } else { 0.0 }).collect();
    let mut right = vec![0.0; n];
    for point in points {
        let (first, values) = &point.basis;
        for (i, value) in values.iter().enumerate() {
            let row = (first + i) * n + first;
            add_scaled(&mut matrix[row..=row + i], point.weight * value, &values[..=i]);
            right[first + i] += point.weight * value * point.target;
        }
    }
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let rest = matrix[i * n + j] - dot;
            matrix[i * n + j] = if i == j { rest.sqrt() } else { rest / matrix[j * n + j] };
        }
    }
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| matrix[i * n + k] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| matrix[k * n + i] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i * n + i];
    }
    right
}

/// Quantiles of ln(true run length / run length asked for) over laws that the fit has not seen.
fn audit(multiplier: f64, surface: &Surface) -> String {
    let mut excess = Vec::new();
    for curve in &curves(multiplier, N_AUDITED, 0.123) {
        for k in 0..200 {
            let ln_run_length =
                LN_RUN_LENGTH.0 + (LN_RUN_LENGTH.1 - LN_RUN_LENGTH.0) * (f64::from(k) + 0.5) / 200.0;
            let threshold = surface.threshold(curve, ln_run_length);
            // At or below zero every positive threshold will do.
            if threshold > 0.0 {
                excess.push(curve.ln_run_length(threshold) - ln_run_length);
            }
        }
    }
    excess.sort_by(f64::total_cmp);
    let quantile = |p: f64| excess[((excess.len() - 1) as f64 * p) as usize];
    format!(
        "×{multiplier}: ln(true/asked) min {:.3}, 0.1 % {:.3}, 1 % {:.3}, median {:.3}, 90 % {:.3}",
        quantile(0.0),
        quantile(0.001),
        quantile(0.01),
        quantile(0.5),
        quantile(0.9)
    )
}

fn main() -> io::Result<()> {
    let fitted: Vec<(Surface, String)> = std::thread::scope(|scope| {
        let workers = BANK.map(|multiplier| {
            scope.spawn(move || {
                let surface = Surface::fit(range(multiplier), &curves(multiplier, N_FITTED, 0.5));
                let report = audit(multiplier, &surface);
                (surface, report)
            })
        });
        workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect()
    });
    let mut out = io::stdout().lock();
    writeln!(out, "//! Generated: do not edit. The source, and the command that prints this file, is")?;
    writeln!(out, "//! `crates/testkit/src/bin/run_length_table.rs`.\n")?;
    writeln!(out, "/// Range of ln(effective count) that each multiplier's spline covers.")?;
    writeln!(out, "pub(super) const RANGES: [(f64, f64); {}] = [", BANK.len())?;
    for (surface, report) in &fitted {
        writeln!(io::stderr().lock(), "{report}")?;
        writeln!(out, "    ({:.6}, {:.6}),", surface.range.0, surface.range.1)?;
    }
    writeln!(out, "];\n")?;
    writeln!(
        out,
        "/// By multiplier, knot, degree in the overdispersion and degree in the reciprocal of ln(run length)."
    )?;
    writeln!(out, "#[rustfmt::skip]")?;
    writeln!(
        out,
        "pub(super) static COEFFICIENTS: [[[[f64; {N_TERMS}]; {N_TERMS}]; {}]; {}] = [",
        N_SPANS + 3,
        BANK.len()
    )?;
    for (surface, _) in &fitted {
        writeln!(out, "    [")?;
        for knot in surface.coefficients.chunks(N_TERMS * N_TERMS) {
            let rows: Vec<String> = knot
                .chunks(N_TERMS)
                .map(|row| {
                    let terms: Vec<String> = row.iter().map(|c| format!("{c:.5}")).collect();
                    format!("[{}]", terms.join(", "))
                })
                .collect();
            writeln!(out, "        [{}],", rows.join(", "))?;
        }
        writeln!(out, "    ],")?;
    }
    writeln!(out, "];")
}
