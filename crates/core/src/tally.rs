//! Counting who is affected and how: symptoms, languages and countries of the complaints since the evidence left zero.

use serde::{Deserialize, Serialize};

use crate::event::Scope;
use crate::judgement::{Complaint, Symptoms};
use crate::lexicon::Symptom;
use crate::matching::LanguageTag;

/// Languages or countries kept apart; there are a few hundred of either, and a hostile feed must not grow the state.
const KEYS_MAX: usize = 300;
/// A symptom leads from this many complaints on, so that the first few do not make it flicker.
const LEADING_MIN: u64 = 5;

/// Counts of one service's complaints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    n_complaints: u64,
    symptoms: Vec<(Symptom, u32)>,
    languages: Vec<(LanguageTag, u32)>,
    countries: Vec<([u8; 2], u32)>,
}

impl Tally {
    pub(crate) fn add(&mut self, complaint: &Complaint, symptoms: Symptoms) {
        self.n_complaints += 1;
        for symptom in symptoms.iter() {
            count(&mut self.symptoms, symptom, 1);
        }
        count(&mut self.languages, complaint.language, 1);
        if let Some(country) = complaint.country {
            count(&mut self.countries, country, 1);
        }
    }

    /// Adds complaints of which nothing but their number is known.
    pub(crate) fn add_bare(&mut self, n_complaints: u32) {
        self.n_complaints += u64::from(n_complaints);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.n_complaints += other.n_complaints;
        other.symptoms.iter().for_each(|&(key, n)| count(&mut self.symptoms, key, n));
        other.languages.iter().for_each(|&(key, n)| count(&mut self.languages, key, n));
        other.countries.iter().for_each(|&(key, n)| count(&mut self.countries, key, n));
    }

    pub(crate) fn n_complaints(&self) -> u64 {
        self.n_complaints
    }

    /// The symptom named most.
    pub(crate) fn leading_symptom(&self) -> Option<Symptom> {
        let &(symptom, n) = ordered(&self.symptoms).first()?;
        (n >= LEADING_MIN).then_some(symptom)
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope {
            n_complaints: self.n_complaints,
            symptoms: ordered(&self.symptoms),
            languages: ordered(&self.languages),
            countries: ordered(&self.countries),
        }
    }
}

fn count<K: PartialEq>(counts: &mut Vec<(K, u32)>, key: K, n: u32) {
    match counts.iter().position(|(known, _)| *known == key) {
        Some(at) => counts[at].1 = counts[at].1.saturating_add(n),
        None if counts.len() < KEYS_MAX => counts.push((key, n)),
        None => {}
    }
}

/// Most first, then by key.
fn ordered<K: Copy + Ord>(counts: &[(K, u32)]) -> Vec<(K, u64)> {
    let mut ordered: Vec<(K, u64)> = counts.iter().map(|&(key, n)| (key, u64::from(n))).collect();
    ordered.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    ordered
}
