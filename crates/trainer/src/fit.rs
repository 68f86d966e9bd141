//! Logistic regression with an L2 penalty, by accelerated gradient descent (Nesterov 1983; restarts after O'Donoghue and
//! Candès 2015, which need no constant of the problem).

use groundswell_core::{LOG_ODDS_PER_WEIGHT, Sign};

use crate::features::{Example, Examples};

/// Weights are written in so many steps a unit.
pub(crate) const WEIGHT_STEPS: f64 = 50.0;
/// The least that a phrase of the rules adds by counting. The rows are full of traps that hold one; without this, stray
/// words would take back what somebody wrote into a lexicon of their own.
const COUNTS_WEIGHT_MIN: f64 = 0.4;
const STEPS_MAX: usize = 2000;
/// Stop when no weight moves by more in a step.
const TOLERANCE: f64 = 1e-5;

/// What the fit is told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) penalty: f64,
    pub(crate) rows_min: usize,
    pub(crate) weight_min: f64,
    /// For how many missed complaints a false one counts.
    pub(crate) false_cost: f64,
}

/// What was learned of one language.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// For each cue of the vocabulary its weight, 0 for those left out.
    weights: Vec<f64>,
    pub(crate) signs: Vec<(Sign, f64)>,
    /// The numbers of the cues that have a weight.
    pub(crate) cues: Vec<usize>,
}

impl Fitted {
    pub(crate) fn weight(&self, cue: usize) -> f64 {
        self.weights[cue]
    }

    /// Whether `row` counts as a complaint.
    pub(crate) fn complains(&self, row: &Example) -> bool {
        let of_sign = |sign: &Sign| self.signs.iter().find(|(other, _)| other == sign).map_or(0.0, |s| s.1);
        let cues: f64 = row.cues.iter().map(|&cue| self.weights[cue]).sum();
        let signs: f64 = row.signs.iter().map(of_sign).sum();
        row.rules_weight + cues + signs >= 0.5
    }
}

/// A row as the fit sees it: the numbers of its features among those that are fitted.
struct Line {
    features: Vec<usize>,
    offset: f64,
    sign: f64,
    importance: f64,
}

/// Fits the rows for which `is_used` holds.
pub(crate) fn fit(examples: &Examples, settings: &Settings, is_used: impl Fn(usize) -> bool) -> Fitted {
    let rows = examples.rows.iter().enumerate().filter(|&(number, _)| is_used(number));
    let rows: Vec<&Example> = rows.map(|(_, row)| row).collect();
    let n_cues = examples.vocabulary.cues.len();
    let mut n_rows = vec![0; n_cues];
    for row in &rows {
        row.cues.iter().for_each(|&cue| n_rows[cue] += 1);
    }
    let kept: Vec<usize> = (0..n_cues).filter(|&cue| n_rows[cue] >= settings.rows_min).collect();
    let mut place = vec![None; n_cues];
    for (at, &cue) in kept.iter().enumerate() {
        place[cue] = Some(at);
    }
    let line = |row: &&Example| {
        let cues = row.cues.iter().filter_map(|&cue| place[cue]);
        let signs = row.signs.iter().map(|&sign| kept.len() + sign as usize);
        Line {
            features: cues.chain(signs).collect(),
            offset: LOG_ODDS_PER_WEIGHT * (row.rules_weight - 0.5),
            sign: if row.is_complaint { 1.0 } else { -1.0 },
            importance: row.importance() * if row.is_complaint { 1.0 } else { settings.false_cost },
        }
    };
    let lines: Vec<Line> = rows.iter().map(line).collect();
    let log_odds = minimise(&lines, kept.len() + Sign::ALL.len(), settings.penalty);
    let rounded = |at: usize| {
        let weight = (log_odds[at] / LOG_ODDS_PER_WEIGHT * WEIGHT_STEPS).round() / WEIGHT_STEPS;
        if weight.abs() < settings.weight_min { 0.0 } else { weight }
    };
    let mut weights = vec![0.0; n_cues];
    for (at, &cue) in kept.iter().enumerate() {
        weights[cue] = rounded(at);
    }
    let signs = Sign::ALL.iter().map(|&sign| {
        let weight = rounded(kept.len() + sign as usize);
        (sign, if sign == Sign::Counts { weight.max(COUNTS_WEIGHT_MIN) } else { weight })
    });
    Fitted {
        signs: signs.filter(|&(_, weight)| weight != 0.0).collect(),
        cues: kept.into_iter().filter(|&cue| weights[cue] != 0.0).collect(),
        weights,
    }
}

/// The weights, as log-odds, at which penalty and loss are least.
fn minimise(lines: &[Line], n: usize, penalty: f64) -> Vec<f64> {
    let mut at = vec![0.0; n];
    let mut ahead = at.clone();
    let mut momentum: f64 = 1.0;
    let mut step = 1.0;
    for _ in 0..STEPS_MAX {
        let (loss, gradient) = loss_and_gradient(lines, &ahead, penalty);
        let steepness: f64 = gradient.iter().map(|g| g * g).sum();
        let next = loop {
            let next: Vec<f64> = ahead.iter().zip(&gradient).map(|(x, g)| x - step * g).collect();
            // A step is short enough when it falls by half of what the slope promises.
            if loss_and_gradient(lines, &next, penalty).0 <= loss - step / 2.0 * steepness {
                break next;
            }
            step /= 2.0;
            if step < 1e-12 {
                return at;
            }
        };
        let moved = next.iter().zip(&at).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let turns_back: f64 = gradient.iter().zip(next.iter().zip(&at)).map(|(g, (a, b))| g * (a - b)).sum();
        let momentum_next =
            if turns_back > 0.0 { 1.0 } else { (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0 };
        let share = if turns_back > 0.0 { 0.0 } else { (momentum - 1.0) / momentum_next };
        ahead = next.iter().zip(&at).map(|(a, b)| a + share * (a - b)).collect();
        momentum = momentum_next;
        at = next;
        if moved < TOLERANCE {
            break;
        }
    }
    at
}

fn loss_and_gradient(lines: &[Line], at: &[f64], penalty: f64) -> (f64, Vec<f64>) {
    let mut loss = penalty / 2.0 * at.iter().map(|x| x * x).sum::<f64>();
    let mut gradient: Vec<f64> = at.iter().map(|x| penalty * x).collect();
    for line in lines {
        let margin =
            line.sign * (line.offset + line.features.iter().map(|&feature| at[feature]).sum::<f64>());
        // ln(1 + e^-margin), without overflow.
        loss += line.importance * (libm::log1p(libm::exp(-margin.abs())) + (-margin).max(0.0));
        let pull = -line.sign * line.importance / (1.0 + libm::exp(margin.min(500.0)));
        line.features.iter().for_each(|&feature| gradient[feature] += pull);
    }
    (loss, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(features: &[usize], sign: f64) -> Line {
        Line { features: features.to_vec(), offset: 0.0, sign, importance: 1.0 }
    }

    /// One feature, three rows for it and one against, penalty 1: the minimum solves w = 3/(1+e^w) − 1/(1+e^-w), by
    /// bisection 0.5052.
    #[test]
    fn one_weight_is_where_penalty_and_loss_balance() {
        let lines = [line(&[0], 1.0), line(&[0], 1.0), line(&[0], 1.0), line(&[0], -1.0)];
        let found = minimise(&lines, 1, 1.0);
        assert!((found[0] - 0.5052).abs() < 1e-3, "{found:?}");
    }

    /// Of eight rows with a cue and no rule, half complain: dear false complaints make it speak against.
    #[test]
    fn the_dearer_a_false_complaint_the_less_a_cue_weighs() {
        let row = |n: usize| Example {
            cues: vec![0],
            signs: Vec::new(),
            rules_weight: 0.5,
            is_complaint: n.is_multiple_of(2),
            is_certain: true,
            service: None,
            symptoms: Vec::new(),
        };
        let mut examples = Examples { rows: (0..8).map(row).collect(), ..Examples::default() };
        examples.vocabulary.cues.push("cue".to_owned());
        let weight = |false_cost| {
            let settings = Settings { penalty: 0.5, rows_min: 2, weight_min: 0.0, false_cost };
            fit(&examples, &settings, |_| true).weight(0)
        };
        assert!(weight(1.0).abs() < 0.02 && weight(3.0) < -0.2, "{} and {}", weight(1.0), weight(3.0));
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let lines = [line(&[0, 1], 1.0), line(&[1], -1.0), line(&[0], 1.0)];
        let at = [0.3, -0.7];
        let (loss, gradient) = loss_and_gradient(&lines, &at, 0.5);
        for (feature, slope) in gradient.iter().enumerate() {
            let mut moved = at;
            moved[feature] += 1e-6;
            let measured = (loss_and_gradient(&lines, &moved, 0.5).0 - loss) / 1e-6;
            assert!((measured - slope).abs() < 1e-4, "{measured} against {slope}");
        }
    }
}
