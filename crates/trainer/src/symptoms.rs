//! What fails, by the words of a complaint and by the kind of service.

use std::collections::BTreeMap;

use groundswell_core::{Catalogue, Symptom};

use crate::features::Examples;

/// Votes are written in so many steps a unit.
pub(crate) const VOTE_STEPS: f64 = 10.0;
/// A cue tells a symptom from this share of the complaints it stands in; below, complaints of all kinds use it.
const SHARE_MIN: f64 = 0.15;
/// Fewer votes would round to none, or settle nothing.
const VOTES_MIN: f64 = 0.1;
/// What stands in a single complaint tells of that complaint only.
const ROWS_MIN: f64 = 2.0;
/// So many complaints of the usual mix are mixed in, so that two rows do not settle a symptom.
const PRIOR_ROWS: f64 = 5.0;
/// A category's votes are this share of the logarithm; more would outvote the words.
const CATEGORY_SHARE: f64 = 0.6;
/// The most and the least that a category says of a symptom. They lie no further apart than what a phrase of the rules
/// has (`PHRASE_VOTES` in the core): "can't log in" is of logging in, whatever the service. And the most is less than
/// `ACCESS_VOTES`: "netflix is down" is not of playback.
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

/// The symptoms that cues tell, and how clearly: a symptom's share of the complaints with the cue, times the logarithm of
/// how many times its share of all complaints that is.
pub(crate) fn tells(examples: &Examples) -> Vec<(usize, Symptom, f64)> {
    let mut of_cue: BTreeMap<usize, Counts> = BTreeMap::new();
    let mut usual = Counts::default();
    for row in &examples.rows {
        if let Some(&symptom) = row.symptoms.first() {
            usual.add(symptom);
            row.cues.iter().for_each(|&cue| of_cue.entry(cue).or_default().add(symptom));
        }
    }
    let mut found = Vec::new();
    for (cue, counts) in of_cue.into_iter().filter(|(_, counts)| counts.n() >= ROWS_MIN) {
        for &symptom in Symptom::ALL {
            let (share, lift) = counts.share_and_lift(symptom, &usual);
            let votes = share * libm::log(lift);
            if share >= SHARE_MIN && votes >= VOTES_MIN {
                found.push((cue, symptom, votes));
            }
        }
    }
    found
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
    use crate::features::Example;

    fn complaint(cue: usize, symptom: Symptom, service: &str, catalogue: &Catalogue) -> Example {
        Example {
            cues: vec![cue],
            signs: Vec::new(),
            rules_weight: 0.0,
            is_complaint: true,
            is_certain: true,
            service: catalogue.index_of(service),
            symptoms: vec![symptom],
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
    fn a_cue_tells_what_it_stands_in_more_often_than_usual() {
        let found = tells(&examples(&catalogue()));
        let votes_of_1 =
            found.iter().find(|(cue, ..)| *cue == 1).map(|&(_, symptom, votes)| (symptom, votes));
        let (symptom, votes) = votes_of_1.expect("cue 1 tells");
        assert_eq!(symptom, Symptom::Payment);
        assert!((votes - 0.4257).abs() < 1e-3, "{votes}");
        assert!(found.iter().all(|(cue, ..)| *cue != 0), "{found:?}");
    }
}
