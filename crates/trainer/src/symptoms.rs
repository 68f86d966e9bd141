//! What fails, by the words of a complaint and by the kind of service.

use std::collections::BTreeMap;

use groundswell_core::{CUE_WEIGHT_MAX, Catalogue, Symptom};

use crate::features::{Example, Examples, Votes};
use crate::solver::minimise;

/// Votes are written in so many steps a unit.
pub(crate) const VOTE_STEPS: f64 = 10.0;
/// A cue tells a symptom from this share of the complaints it stands in; below, complaints of all kinds use it.
const SHARE_MIN: f64 = 0.15;
/// Fewer votes settle next to nothing, and there would be many of them.
const VOTES_MIN: f64 = 0.15;
/// What is kept of the counts' votes and of those of the regression. More of the latter is right more often for the
/// writers that were learned from, and less often for others.
const COUNTS_SHARE: f64 = 0.7;
const REGRESSION_SHARE: f64 = 0.6;
/// How strongly the votes of the regression are drawn to zero.
const PENALTY: f64 = 2.0;
/// So many complaints of the usual mix are mixed in, so that two rows do not settle a symptom.
const PRIOR_ROWS: f64 = 5.0;
/// A category's votes are this share of the logarithm; more would outvote the words.
const CATEGORY_SHARE: f64 = 0.6;
/// The most and the least that a category says of a symptom. They lie no further apart than what a phrase of the rules
/// has (`phrase_votes` in the core): "can't log in" is of logging in, whatever the service. And the most is less than
/// what "is down" has: "netflix is down" is not of playback.
const CATEGORY_VOTES_MAX: f64 = 0.8;
const CATEGORY_VOTES_MIN: f64 = -0.7;

/// How many complaints are of each symptom.
#[derive(Debug, Clone, Copy, Default)]
struct Counts([f64; Symptom::ALL.len()]);

impl Counts {
    fn add(&mut self, symptom: Symptom) {
        self.0[symptom as usize] += 1.0;
    }

    fn n(&self) -> f64 {
        self.0.iter().sum()
    }

    /// The share of `symptom`, with [`PRIOR_ROWS`] of the `usual` mix, and how many times its share there that is.
    fn share_and_lift(&self, symptom: Symptom, usual: &Self) -> (f64, f64) {
        let usual_share = usual.0[symptom as usize] / usual.n().max(1.0);
        let share = (self.0[symptom as usize] + PRIOR_ROWS * usual_share) / (self.n() + PRIOR_ROWS);
        (share, if usual_share > 0.0 { share / usual_share } else { 1.0 })
    }
}

/// A cue, what it tells, and its votes.
pub(crate) type Tell = (usize, Symptom, f64);

/// The symptoms that cues tell, and how clearly, learned from the complaints for which `is_used` holds; a cue must stand
/// in `rows_min` of them. Two estimates are added up: what the counts say, which is robust where rows are few, and what a
/// regression finds beside phrases and categories, which knows of words that stand together.
pub(crate) fn tells(examples: &Examples, rows_min: usize, is_used: impl Fn(usize) -> bool) -> Vec<Tell> {
    let rows = examples.rows.iter().enumerate().filter(|&(number, _)| is_used(number));
    let rows: Vec<(&Example, Symptom)> =
        rows.filter_map(|(_, row)| row.symptoms.first().map(|&symptom| (row, symptom))).collect();
    let mut votes = by_counts(&rows, rows_min);
    for of_cue in votes.values_mut() {
        of_cue.iter_mut().for_each(|n| *n *= COUNTS_SHARE);
    }
    for (cue, of_cue) in by_regression(&rows, rows_min) {
        let sum = votes.entry(cue).or_default();
        sum.iter_mut().zip(of_cue).for_each(|(sum, n)| *sum += REGRESSION_SHARE * n);
    }
    let of_cue = |(cue, votes): (usize, Votes)| {
        let of_symptom = move |&symptom: &Symptom| (cue, symptom, rounded(votes[symptom as usize]));
        Symptom::ALL.iter().map(of_symptom).filter(|&(.., votes)| votes != 0.0)
    };
    votes.into_iter().flat_map(of_cue).collect()
}

/// In steps and within what a lexicon takes; 0 if too few to count.
fn rounded(votes: f64) -> f64 {
    let votes = votes.clamp(-CUE_WEIGHT_MAX, CUE_WEIGHT_MAX);
    if votes.abs() < VOTES_MIN { 0.0 } else { (votes * VOTE_STEPS).round() / VOTE_STEPS }
}

/// A symptom's share of the complaints with the cue, times the logarithm of how many times its share of all complaints
/// that is.
fn by_counts(rows: &[(&Example, Symptom)], rows_min: usize) -> BTreeMap<usize, Votes> {
    let mut of_cue: BTreeMap<usize, Counts> = BTreeMap::new();
    let mut usual = Counts::default();
    for &(row, symptom) in rows {
        usual.add(symptom);
        row.cues.iter().for_each(|&cue| of_cue.entry(cue).or_default().add(symptom));
    }
    of_cue.retain(|_, counts| counts.n() >= rows_min as f64);
    let votes = |counts: Counts| {
        let mut votes = Votes::default();
        for &symptom in Symptom::ALL {
            let (share, lift) = counts.share_and_lift(symptom, &usual);
            if share >= SHARE_MIN {
                votes[symptom as usize] = (share * libm::log(lift)).max(0.0);
            }
        }
        votes
    };
    of_cue.into_iter().map(|(cue, counts)| (cue, votes(counts))).collect()
}

/// Multinomial logistic regression with an L2 penalty (Hastie, Tibshirani, Friedman, §4.4), the log-odds of a row without
/// cues being its votes without them.
fn by_regression(rows: &[(&Example, Symptom)], rows_min: usize) -> Vec<(usize, Votes)> {
    let mut n_rows: BTreeMap<usize, usize> = BTreeMap::new();
    rows.iter().flat_map(|(row, _)| &row.cues).for_each(|&cue| *n_rows.entry(cue).or_default() += 1);
    n_rows.retain(|_, n| *n >= rows_min);
    let places: BTreeMap<usize, usize> = n_rows.into_keys().zip(0..).collect();
    let lines: Vec<(Vec<usize>, Votes, Symptom)> = rows
        .iter()
        .map(|(row, symptom)| {
            let cues = row.cues.iter().filter_map(|cue| places.get(cue).copied());
            (cues.collect(), row.votes, *symptom)
        })
        .collect();
    let n = Symptom::ALL.len();
    let found = minimise(places.len() * n, &[], |at| softmax_loss_and_gradient(&lines, at));
    let votes = found.chunks_exact(n).map(|votes| votes.try_into().expect("a vote for each symptom"));
    places.into_keys().zip(votes).collect()
}

/// `at` has a cue's votes for each symptom one after the other.
fn softmax_loss_and_gradient(lines: &[(Vec<usize>, Votes, Symptom)], at: &[f64]) -> (f64, Vec<f64>) {
    let n = Symptom::ALL.len();
    let mut loss = PENALTY / 2.0 * at.iter().map(|x| x * x).sum::<f64>();
    let mut gradient: Vec<f64> = at.iter().map(|x| PENALTY * x).collect();
    for (cues, offset, symptom) in lines {
        let mut odds = *offset;
        for &cue in cues {
            odds.iter_mut().zip(&at[cue * n..]).for_each(|(sum, votes)| *sum += votes);
        }
        let greatest = odds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        loss += greatest - odds[*symptom as usize];
        odds.iter_mut().for_each(|x| *x = libm::exp(*x - greatest));
        let total: f64 = odds.iter().sum();
        loss += libm::log(total);
        odds.iter_mut().for_each(|x| *x /= total);
        odds[*symptom as usize] -= 1.0;
        for &cue in cues {
            gradient[cue * n..].iter_mut().zip(&odds).for_each(|(sum, x)| *sum += x);
        }
    }
    (loss, gradient)
}

/// The share of complaints of which the symptom is told that their label names, each by what the other parts taught (but
/// for what fails in its category, which the catalogue has from all rows).
pub(crate) fn share_right(examples: &Examples, rows_min: usize, folds: usize) -> f64 {
    let (mut right, mut n) = (0.0, 0.0);
    for part in 0..folds {
        let mut votes: BTreeMap<usize, Votes> = BTreeMap::new();
        for (cue, symptom, n) in tells(examples, rows_min, |row| row % folds != part) {
            votes.entry(cue).or_default()[symptom as usize] = n;
        }
        let left_out = examples.rows.iter().skip(part).step_by(folds);
        for row in left_out.filter(|row| !row.symptoms.is_empty()) {
            n += 1.0;
            if row.symptoms.contains(&told(row, &votes)) {
                right += 1.0;
            }
        }
    }
    right / f64::max(n, 1.0)
}

/// What fails in `row`, as the core decides it.
fn told(row: &Example, votes: &BTreeMap<usize, Votes>) -> Symptom {
    let mut sum = row.votes;
    for of_cue in row.cues.iter().filter_map(|cue| votes.get(cue)) {
        sum.iter_mut().zip(of_cue).for_each(|(sum, n)| *sum += n);
    }
    let better = |best: Symptom, &next: &Symptom| {
        // A ten-billionth is no vote: sums of decimals are exact in the core, not here.
        if sum[next as usize] > sum[best as usize] + 1e-10 { next } else { best }
    };
    Symptom::ALL.iter().fold(Symptom::Access, better)
}

/// What fails in services of each category, learned from the rows of all languages.
#[derive(Debug, Default)]
pub(crate) struct ByCategory {
    counts: BTreeMap<String, Counts>,
    usual: Counts,
}

impl ByCategory {
    /// Takes in the complaints of one language.
    pub(crate) fn add(&mut self, examples: &Examples, catalogue: &Catalogue) {
        for row in &examples.rows {
            if let (Some(&symptom), Some(service)) = (row.symptoms.first(), row.service) {
                let category = &catalogue.service(service).category;
                self.counts.entry(category.clone()).or_default().add(symptom);
                self.usual.add(symptom);
            }
        }
    }

    /// The votes of each category; symptoms that are as usual are left out.
    pub(crate) fn votes(&self) -> BTreeMap<String, BTreeMap<Symptom, f64>> {
        let votes_of = |counts: &Counts| {
            let votes = |&symptom: &Symptom| {
                let (_, lift) = counts.share_and_lift(symptom, &self.usual);
                let votes = CATEGORY_SHARE * libm::log(lift);
                let votes = votes.clamp(CATEGORY_VOTES_MIN, CATEGORY_VOTES_MAX);
                (symptom, (votes * VOTE_STEPS).round() / VOTE_STEPS)
            };
            Symptom::ALL.iter().map(votes).filter(|(_, votes)| *votes != 0.0).collect()
        };
        self.counts.iter().map(|(category, counts)| (category.clone(), votes_of(counts))).collect()
    }
}

#[cfg(test)]
mod tests {
    use groundswell_core::SourceText;

    use super::*;

    fn complaint(cue: usize, symptom: Symptom, service: &str, catalogue: &Catalogue) -> Example {
        Example {
            cues: vec![cue],
            is_complaint: true,
            is_certain: true,
            service: catalogue.index_of(service),
            symptoms: vec![symptom],
            ..Example::default()
        }
    }

    /// Twenty complaints about a bank, all of payments, and twenty about a shop, all of loading; half of each say "0".
    fn examples(catalogue: &Catalogue) -> Examples {
        let mut examples = Examples::default();
        for n in 0..20 {
            examples.rows.push(complaint(n % 2, Symptom::Payment, "bank", catalogue));
            examples.rows.push(complaint(n % 2 * 2, Symptom::Loading, "shop", catalogue));
        }
        examples
    }

    fn catalogue() -> Catalogue {
        let text = ["bank", "shop"].map(|id| format!("[[service]]\nid='{id}'\nname='N'\ncategory='{id}s'\n"));
        Catalogue::load(false, &[SourceText::new("f", text.concat())]).expect("a good catalogue")
    }

    /// With five of the usual mix, 22.5 of 25 are payments where 1 in 2 is usual: 0.6 ln 1.8 = 0.35; and 2.5 of 25 are
    /// loading: 0.6 ln 0.2 = -0.97, which is no less than -0.7.
    #[test]
    fn a_category_votes_by_how_much_more_often_a_symptom_is_met_in_it() {
        let catalogue = catalogue();
        let mut by_category = ByCategory::default();
        by_category.add(&examples(&catalogue), &catalogue);
        let expected = BTreeMap::from([(Symptom::Payment, 0.4), (Symptom::Loading, -0.7)]);
        assert_eq!(by_category.votes()["banks"], expected);
    }

    /// Cue 1 stands in ten complaints, all of payments: 12.5 of 15 against 1 in 2 is 0.83 ln 1.67 = 0.43 votes. Cue 0
    /// stands in as many of one as of the other and tells nothing.
    #[test]
    fn counts_tell_what_a_cue_stands_in_more_often_than_usual() {
        let examples = examples(&catalogue());
        let rows: Vec<(&Example, Symptom)> = examples.rows.iter().map(|row| (row, row.symptoms[0])).collect();
        let found = by_counts(&rows, 2);
        assert!((found[&1][Symptom::Payment as usize] - 0.4257).abs() < 1e-3, "{found:?}");
        assert_eq!(found[&0], Votes::default());
    }

    /// By the count of the test above and SciPy's minimum of the loss, 2.2648 for payments and -0.2265 for each other
    /// symptom: 0.7 · 0.4257 + 0.6 · 2.2648 = 1.66 votes, and 0.6 · -0.2265 = -0.14, which are too few. Cue 0 has 1.05 for
    /// both symptoms that it stands in and -0.23 for the others.
    #[test]
    fn tells_are_a_part_of_either_estimate() {
        let found = tells(&examples(&catalogue()), 2, |_| true);
        let of_cue = |cue: usize| {
            let votes = found.iter().filter(|&&(of, ..)| of == cue);
            votes.map(|&(_, symptom, votes)| (symptom, votes)).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(of_cue(1), BTreeMap::from([(Symptom::Payment, 1.7)]));
        assert_eq!(of_cue(0).len(), Symptom::ALL.len());
        assert_eq!((of_cue(0)[&Symptom::Payment], of_cue(0)[&Symptom::Login]), (1.0, -0.2));
    }

    /// Four complaints with one cue, three of payments and one of logging in: votes solve 2v = n - 4 softmax(v), by a
    /// root finder (SciPy's fsolve) 1.0296 and 0.2781 for the two.
    #[test]
    fn a_regression_tells_where_penalty_and_loss_balance() {
        let catalogue = catalogue();
        let rows = [Symptom::Payment, Symptom::Payment, Symptom::Payment, Symptom::Login];
        let rows = rows.map(|symptom| complaint(7, symptom, "bank", &catalogue));
        let rows: Vec<(&Example, Symptom)> = rows.iter().map(|row| (row, row.symptoms[0])).collect();
        let [(7, votes)] = by_regression(&rows, 2)[..] else { panic!("one cue") };
        assert!((votes[Symptom::Payment as usize] - 1.0296).abs() < 1e-3, "{votes:?}");
        assert!((votes[Symptom::Login as usize] - 0.2781).abs() < 1e-3, "{votes:?}");
    }

    /// All complaints about the bank are of payments: its phrases and category say so already, and the cue need not.
    #[test]
    fn a_regression_leaves_to_phrases_and_categories_what_they_tell() {
        let votes_of_1 = |known: f64| {
            let mut examples = examples(&catalogue());
            for row in examples.rows.iter_mut().filter(|row| row.symptoms == [Symptom::Payment]) {
                row.votes[Symptom::Payment as usize] = known;
            }
            let rows: Vec<(&Example, Symptom)> =
                examples.rows.iter().map(|row| (row, row.symptoms[0])).collect();
            let (_, votes) = by_regression(&rows, 2).into_iter().find(|(cue, _)| *cue == 1).expect("cue 1");
            votes[Symptom::Payment as usize]
        };
        assert!(votes_of_1(0.0) > 2.0 * votes_of_1(3.0), "{} and {}", votes_of_1(0.0), votes_of_1(3.0));
    }

    #[test]
    fn what_is_told_of_rows_left_out_is_right_where_a_cue_settles_it() {
        let catalogue = catalogue();
        let mut examples = Examples::default();
        for n in 0..20 {
            let symptom = if n % 2 == 0 { Symptom::Payment } else { Symptom::Loading };
            examples.rows.push(complaint(n % 2, symptom, "bank", &catalogue));
        }
        assert_eq!(share_right(&examples, 2, 5), 1.0);
        examples.rows.iter_mut().for_each(|row| row.cues.clear());
        assert_eq!(share_right(&examples, 2, 5), 0.0, "without a cue it is access");
    }
}
