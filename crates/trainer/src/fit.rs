//! What words weigh: logistic regression with an L2 penalty.

use std::collections::BTreeMap;

use groundswell_core::{LOG_ODDS_PER_WEIGHT, Sign};

use crate::features::{Example, Examples};
use crate::solver::minimise;

/// Weights are written in so many steps a unit.
pub(crate) const WEIGHT_STEPS: f64 = 50.0;
/// The least that a phrase of the rules adds by counting. The rows are full of traps that hold one; without this, stray
/// words would take back what somebody wrote into a lexicon of their own.
const COUNTS_WEIGHT_MIN: f64 = 0.4;

/// Rounds after which the cues hardly change any more.
const STRANGE_ROUNDS_MAX: usize = 4;

/// What the fit is told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) penalty: f64,
    pub(crate) rows_min: usize,
    pub(crate) weight_min: f64,
    /// For how many missed complaints a false one counts.
    pub(crate) false_cost: f64,
    /// Whether words may mean more for services of one category than for others.
    pub(crate) by_category: bool,
    /// Whether words of which nothing is known speak against a complaint.
    pub(crate) strange_words: bool,
    /// Whether a post without a phrase that counts has a weight before its words.
    pub(crate) constant: bool,
}

/// What was learned of one language.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// For each cue of the vocabulary its weight, 0 for those left out.
    weights: Vec<f64>,
    pub(crate) signs: Vec<(Sign, f64)>,
    /// What words add besides for services of a category: its number, the cue's, the weight.
    pub(crate) by_category: BTreeMap<(usize, usize), f64>,
    /// The numbers of the cues that have a weight.
    pub(crate) cues: Vec<usize>,
}

impl Fitted {
    pub(crate) fn weight(&self, cue: usize) -> f64 {
        self.weights[cue]
    }

    /// Whether `row` counts as a complaint.
    pub(crate) fn complains(&self, row: &Example) -> bool {
        let of_sign = |sign| self.signs.iter().find(|(other, _)| *other == sign).map_or(0.0, |s| s.1);
        let cues: f64 = row.cues.iter().map(|&cue| self.weights[cue]).sum();
        let strange = row.strange_words(|cue| self.weights[cue] != 0.0);
        let signs = row.signs.iter().copied().chain(strange).chain(row.constant());
        let signs: f64 = signs.map(of_sign).sum();
        let besides = pairs(row).filter_map(|pair| self.by_category.get(&pair));
        // A ten-billionth is no weight: sums of decimals are exact in the core, not here.
        row.rules_weight + cues + signs + besides.sum::<f64>() >= 0.5 - 1e-10
    }
}

/// The cues of `row` with its category.
fn pairs(row: &Example) -> impl Iterator<Item = (usize, usize)> {
    row.category.into_iter().flat_map(|category| row.cues.iter().map(move |&cue| (category, cue)))
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
    let frequent: Vec<usize> = (0..n_cues).filter(|&cue| n_rows[cue] >= settings.rows_min).collect();
    let mut found = fit_cues(examples, settings, &rows, &frequent, false);
    if settings.strange_words {
        // Which words are strange is known once the others have weights; of those some lose theirs by it.
        for _ in 0..STRANGE_ROUNDS_MAX {
            let before = std::mem::take(&mut found.cues);
            found = fit_cues(examples, settings, &rows, &before, true);
            if found.cues == before {
                break;
            }
        }
    }
    found
}

/// Fits the cues `kept`, and what words weigh that are in none of them, if there is such a weight.
fn fit_cues(
    examples: &Examples,
    settings: &Settings,
    rows: &[&Example],
    kept: &[usize],
    with_strange_words: bool,
) -> Fitted {
    let n_cues = examples.vocabulary.cues.len();
    let mut place = vec![None; n_cues];
    for (at, &cue) in kept.iter().enumerate() {
        place[cue] = Some(at);
    }
    let mut n_pairs: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    if settings.by_category {
        // Pairs of words and beginnings of words would make it twice as many for little more.
        let is_word = |cue: usize| !examples.vocabulary.cues[cue].contains([' ', '*']);
        let found = rows.iter().flat_map(|row| pairs(row)).filter(|&(_, cue)| is_word(cue));
        found.for_each(|pair| *n_pairs.entry(pair).or_default() += 1);
        n_pairs.retain(|_, n| *n >= settings.rows_min);
    }
    let first_pair = kept.len() + Sign::ALL.len();
    let places = n_pairs.into_keys().zip(first_pair..).collect::<BTreeMap<_, _>>();
    // A row is one line, or two of half the importance each, one without the category: the words must do by themselves
    // where it is not known.
    let lines_of = |row: &&Example| {
        let cues = row.cues.iter().filter_map(|&cue| place[cue]);
        let strange = with_strange_words.then(|| row.strange_words(|cue| place[cue].is_some()));
        let constant = row.constant().filter(|_| settings.constant);
        let signs = row.signs.iter().copied().chain(strange.into_iter().flatten()).chain(constant);
        let signs = signs.map(|sign| kept.len() + sign as usize);
        let features: Vec<usize> = cues.chain(signs).collect();
        let besides: Vec<usize> = pairs(row).filter_map(|pair| places.get(&pair).copied()).collect();
        let importance = row.importance() * if row.is_complaint { 1.0 } else { settings.false_cost };
        let line = |features, importance| Line {
            features,
            offset: LOG_ODDS_PER_WEIGHT * (row.rules_weight - 0.5),
            sign: if row.is_complaint { 1.0 } else { -1.0 },
            importance,
        };
        if besides.is_empty() {
            return vec![line(features, importance)];
        }
        let both = features.iter().copied().chain(besides).collect();
        vec![line(both, importance / 2.0), line(features, importance / 2.0)]
    };
    let lines: Vec<Line> = rows.iter().flat_map(lines_of).collect();
    let counts = kept.len() + Sign::Counts as usize;
    let at_least = [(counts, LOG_ODDS_PER_WEIGHT * COUNTS_WEIGHT_MIN)];
    let log_odds =
        minimise(first_pair + places.len(), &at_least, |at| loss_and_gradient(&lines, at, settings.penalty));
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
        // What the bound promises no cut-off takes away.
        (sign, if sign == Sign::Counts { weight.max(COUNTS_WEIGHT_MIN) } else { weight })
    });
    Fitted {
        signs: signs.filter(|&(_, weight)| weight != 0.0).collect(),
        by_category: places
            .into_iter()
            .map(|(pair, at)| (pair, rounded(at)))
            .filter(|&(_, weight)| weight != 0.0)
            .collect(),
        cues: kept.iter().copied().filter(|&cue| weights[cue] != 0.0).collect(),
        weights,
    }
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
        let found = minimise(1, &[], |at| loss_and_gradient(&lines, at, 1.0));
        assert!((found[0] - 0.5052).abs() < 1e-3, "{found:?}");
    }

    /// f(x, y) = (x − 1)² + (y + 2)² + xy: without a bound (8/3, −10/3); with y ≥ −1 the least of (x − 1)² − x, at 3/2.
    #[test]
    fn a_bound_moves_the_other_weights_too() {
        let f = |at: &[f64]| {
            let (x, y) = (at[0], at[1]);
            let loss = (x - 1.0) * (x - 1.0) + (y + 2.0) * (y + 2.0) + x * y;
            (loss, vec![2.0 * (x - 1.0) + y, 2.0 * (y + 2.0) + x])
        };
        let close = |found: Vec<f64>, expected: [f64; 2]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3)
        };
        assert!(close(minimise(2, &[], f), [8.0 / 3.0, -10.0 / 3.0]));
        assert!(close(minimise(2, &[(1, -1.0)], f), [1.5, -1.0]));
        assert!(close(minimise(2, &[(1, -5.0)], f), [8.0 / 3.0, -10.0 / 3.0]), "a bound that binds nothing");
    }

    /// `n` rows with one cue and no rule, of which every other complains; `category` is that of a row.
    fn rows_of_one_cue(n: usize, category: impl Fn(usize) -> Option<usize>) -> Examples {
        let row = |n: usize| Example {
            cues: vec![0],
            category: category(n),
            rules_weight: 0.5,
            is_complaint: n.is_multiple_of(2),
            is_certain: true,
            ..Example::default()
        };
        let mut examples = Examples { rows: (0..n).map(row).collect(), ..Examples::default() };
        examples.vocabulary.cues.push("cue".to_owned());
        examples
    }

    fn settings(weight_min: f64, false_cost: f64, by_category: bool) -> Settings {
        Settings {
            penalty: 0.5,
            rows_min: 2,
            weight_min,
            false_cost,
            by_category,
            strange_words: false,
            constant: false,
        }
    }

    /// Half of the rows complain: dear false complaints make the cue speak against.
    #[test]
    fn the_dearer_a_false_complaint_the_less_a_cue_weighs() {
        let examples = rows_of_one_cue(8, |_| None);
        let weight = |false_cost| fit(&examples, &settings(0.0, false_cost, false), |_| true).weight(0);
        assert!(weight(1.0).abs() < 0.02 && weight(3.0) < -0.2, "{} and {}", weight(1.0), weight(3.0));
    }

    /// The same cue, in complaints about services of category 0 and in praise of those of category 1.
    #[test]
    fn a_word_weighs_by_category_what_it_does_not_weigh_for_all() {
        let mut examples = rows_of_one_cue(20, |n| Some(n % 2));
        let fitted =
            |examples: &Examples, by_category| fit(examples, &settings(0.05, 1.0, by_category), |_| true);
        let found = fitted(&examples, true);
        assert!(found.by_category[&(0, 0)] > 0.3 && found.by_category[&(1, 0)] < -0.3, "{found:?}");
        assert_eq!(found.weight(0), 0.0, "by itself it says nothing");
        assert!(found.complains(&examples.rows[0]) && !found.complains(&examples.rows[1]));
        assert!(fitted(&examples, false).by_category.is_empty());
        // Where all rows are of one category the word is learned without it all the same.
        examples.rows.iter_mut().for_each(|row| (row.category, row.is_complaint) = (Some(0), true));
        let found = fitted(&examples, true);
        assert!(found.weight(0) > 2.0 * found.by_category[&(0, 0)].max(0.05), "{found:?}");
    }

    /// One cue in one row of ten, and no other in the rest, of which none complains.
    #[test]
    fn a_constant_is_what_rows_have_in_common() {
        let mut examples = rows_of_one_cue(100, |_| None);
        for (n, row) in examples.rows.iter_mut().enumerate() {
            row.is_complaint = n.is_multiple_of(10);
            row.cues = if row.is_complaint { vec![0] } else { vec![] };
        }
        let fitted = |constant| fit(&examples, &Settings { constant, ..settings(0.0, 1.0, false) }, |_| true);
        let found = fitted(true);
        let (_, constant) = found.signs.iter().find(|(sign, _)| *sign == Sign::Post).expect("a constant");
        assert!(*constant < -0.3, "{found:?}");
        let right = |fitted: &Fitted| {
            examples.rows.iter().filter(|row| fitted.complains(row) == row.is_complaint).count()
        };
        assert_eq!((right(&fitted(false)), right(&found)), (10, 100));
    }

    /// One cue in all rows; those that do not complain have a word besides that stands in no other.
    #[test]
    fn words_of_which_nothing_is_known_speak_against() {
        let mut examples = rows_of_one_cue(20, |_| None);
        for (n, row) in examples.rows.iter_mut().enumerate() {
            examples.vocabulary.cues.push(format!("word{n}"));
            row.words = if row.is_complaint { vec![vec![0]] } else { vec![vec![0], vec![n + 1]] };
            row.cues = row.words.concat();
            row.rules_weight = 0.0;
        }
        let fitted = |strange_words| {
            fit(&examples, &Settings { strange_words, ..settings(0.05, 1.0, false) }, |_| true)
        };
        let right = |fitted: &Fitted| {
            examples.rows.iter().filter(|row| fitted.complains(row) == row.is_complaint).count()
        };
        let found = fitted(true);
        assert!(matches!(found.signs[..], [_, (Sign::StrangeWord, weight)] if weight < -0.2), "{found:?}");
        assert_eq!((right(&fitted(false)), right(&found)), (10, 20));
        // Where a phrase counts they say nothing.
        let phrase = Example { signs: vec![Sign::Counts], rules_weight: 1.0, ..Example::default() };
        assert!(found.complains(&Example { words: vec![vec![2]; 9], cues: vec![2], ..phrase }));
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
