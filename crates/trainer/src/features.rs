//! What the core finds in each row, as numbers.

use std::collections::BTreeMap;

use groundswell_core::{Catalogue, EventTime, Judge, Judgement, Outcome, Post, Sign, Symptom};

use crate::rows::Row;

/// A row that readers disagree on teaches so much less.
const UNCERTAIN_WEIGHT: f64 = 0.4;

/// All that can be learned a weight of: cues first, then [`Sign::ALL`].
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    numbers: BTreeMap<String, usize>,
    pub(crate) cues: Vec<String>,
}

impl Vocabulary {
    fn number(&mut self, cue: String) -> usize {
        let n = self.numbers.len();
        let cues = &mut self.cues;
        *self.numbers.entry(cue).or_insert_with_key(|cue| {
            cues.push(cue.clone());
            n
        })
    }
}

#[derive(Debug)]
struct Example {
    /// The features that it has, by number, each once.
    cues: Vec<usize>,
    signs: Vec<Sign>,
    rules_weight: f64,
    complaint: bool,
    certain: bool,
    symptoms: Vec<Symptom>,
}

/// The rows of one language.
#[derive(Debug, Default)]
pub(crate) struct Examples {
    pub(crate) vocabulary: Vocabulary,
    examples: Vec<Example>,
}

impl Examples {
    /// Judges `rows`. One that names no service that we know teaches all the same, as if it were addressed to some.
    pub(crate) fn of(rows: &[Row], catalogue: &Catalogue, judge: &Judge) -> Self {
        let mut found = Self::default();
        let mut judgement = Judgement::default();
        let some_service = catalogue.services().first().map(|service| service.id.as_str());
        for row in rows {
            let known = catalogue.index_of(&row.service).map(|_| row.service.as_str());
            let addressed = if row.addressed == Some(1) { known.or(some_service) } else { None };
            let outcome = judge.explain(&post(row, addressed), &mut judgement);
            if outcome == Outcome::NoService {
                judge.explain(&post(row, known.or(some_service)), &mut judgement);
            }
            let cues = judgement.cue_candidates();
            let example = Example {
                cues: cues.into_iter().map(|cue| found.vocabulary.number(cue)).collect(),
                signs: judgement.signs().to_vec(),
                rules_weight: judgement.rules_weight(),
                complaint: row.label == 1,
                certain: row.certain != Some(0),
                symptoms: row.symptom.split('|').filter_map(symptom).collect(),
            };
            found.examples.push(example);
        }
        found
    }

    pub(crate) fn len(&self) -> usize {
        self.examples.len()
    }

    pub(crate) fn is_certain(&self, row: usize) -> bool {
        self.examples[row].certain
    }

    pub(crate) fn is_complaint(&self, row: usize) -> bool {
        self.examples[row].complaint
    }

    pub(crate) fn rules_weight(&self, row: usize) -> f64 {
        self.examples[row].rules_weight
    }

    /// How much a row teaches.
    pub(crate) fn importance(&self, row: usize) -> f64 {
        if self.examples[row].certain { 1.0 } else { UNCERTAIN_WEIGHT }
    }

    /// The numbers of its cues.
    pub(crate) fn cues(&self, row: usize) -> &[usize] {
        &self.examples[row].cues
    }

    pub(crate) fn signs(&self, row: usize) -> &[Sign] {
        &self.examples[row].signs
    }

    /// The symptoms that its label names, the best first.
    pub(crate) fn symptoms(&self, row: usize) -> &[Symptom] {
        &self.examples[row].symptoms
    }
}

fn symptom(name: &str) -> Option<Symptom> {
    Symptom::ALL.iter().copied().find(|symptom| symptom.name() == name)
}

fn post<'a>(row: &'a Row, service: Option<&'a str>) -> Post<'a> {
    Post {
        id: "row",
        event_time: EventTime::MIN,
        author: "",
        text: &row.text,
        lang: Some(&row.lang),
        country: None,
        is_repost: false,
        service,
    }
}
