//! What the core finds in each row, as numbers.

use std::collections::{BTreeMap, BTreeSet};

use groundswell_core::{
    CATEGORY_UNKNOWN, Catalogue, Judge, Judgement, Outcome, Post, Problem, STRANGE_WORDS_MAX, ServiceIndex,
    Sign, SourceText, Symptom, is_spaced_word, names_without_context, phrase_votes,
};

use crate::rows::Row;

/// The id of the service that rows are taken as addressed to whose own is not known.
const SOME_SERVICE: &str = "some-service";
/// Longer runs of digits are numbers of telephones, accounts and orders: they tell who speaks, not what fails.
const DIGITS_MAX: usize = 5;
/// A row that readers disagree on teaches so much less.
const UNCERTAIN_WEIGHT: f64 = 0.4;

/// Votes for each symptom, in the order of [`Symptom::ALL`].
pub(crate) type Votes = [f64; Symptom::ALL.len()];

/// The cues that can be learned a weight of, and their numbers.
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

/// One row.
#[derive(Debug, Default)]
pub(crate) struct Example {
    /// The numbers of its cues, each once.
    pub(crate) cues: Vec<usize>,
    /// For each of its words the numbers of the cues that hold it.
    pub(crate) words: Vec<Vec<usize>>,
    pub(crate) signs: Vec<Sign>,
    /// The number of its service's category.
    pub(crate) category: Option<usize>,
    pub(crate) rules_weight: f64,
    pub(crate) is_complaint: bool,
    pub(crate) is_certain: bool,
    /// The service that it is about: the one its row names, or else the first that its text does.
    pub(crate) service: Option<ServiceIndex>,
    /// The symptoms that its label names, the best first.
    pub(crate) symptoms: Vec<Symptom>,
    /// What fails without a look at the cues: by its strongest phrase and the category of its service.
    pub(crate) votes: Votes,
}

impl Example {
    /// The sign of a strange word for each word that none of the cues holds for which `is_known`; none beside a phrase
    /// that counts.
    pub(crate) fn strange_words(&self, is_known: impl Fn(usize) -> bool) -> impl Iterator<Item = Sign> {
        let is_strange = |cues: &&Vec<usize>| !cues.iter().any(|&cue| is_known(cue));
        let n = self.words.iter().filter(is_strange).count().min(STRANGE_WORDS_MAX);
        std::iter::repeat_n(Sign::StrangeWord, if self.signs.contains(&Sign::Counts) { 0 } else { n })
    }

    /// The sign of a post in which no phrase counts.
    pub(crate) fn constant(&self) -> Option<Sign> {
        (!self.signs.contains(&Sign::Counts)).then_some(Sign::Post)
    }

    /// How much it teaches.
    pub(crate) fn importance(&self) -> f64 {
        if self.is_certain { 1.0 } else { UNCERTAIN_WEIGHT }
    }
}

/// The rows of one language.
#[derive(Debug, Default)]
pub(crate) struct Examples {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) categories: Vec<String>,
    pub(crate) rows: Vec<Example>,
}

impl Examples {
    /// Judges `rows`; see [`explain`].
    pub(crate) fn of(rows: &[Row], catalogue: &Catalogue, judge: &Judge) -> Self {
        let mut found = Self::default();
        let mut judgement = Judgement::default();
        let names: BTreeSet<String> = catalogue.services().iter().flat_map(names_without_context).collect();
        for row in rows {
            explain(row, catalogue, judge, &mut judgement);
            let service = catalogue.index_of(&row.service).or_else(|| judgement.mentioned().first().copied());
            let category = service.and_then(|service| found.category(&catalogue.service(service).category));
            let candidates = judgement.cue_candidates();
            let words = words(&candidates);
            // What is left of a name stands in a phrase that means something else ("google play music").
            let is_left_out = |cue: &String| is_of_a_number(cue) || names.contains(cue);
            let number = |cue: String| (!is_left_out(&cue)).then(|| found.vocabulary.number(cue));
            let numbers: Vec<Option<usize>> = candidates.into_iter().map(number).collect();
            let numbered = |places: Vec<usize>| places.into_iter().filter_map(|at| numbers[at]).collect();
            let example = Example {
                words: words.into_iter().map(numbered).collect(),
                cues: numbers.iter().copied().flatten().collect(),
                signs: judgement.signs().to_vec(),
                rules_weight: judgement.rules_weight(),
                is_complaint: row.label == 1,
                is_certain: row.is_certain(),
                category,
                service,
                symptoms: row.symptoms.clone(),
                votes: votes_without_cues(judgement.rules_symptom(), service, catalogue),
            };
            found.rows.push(example);
        }
        found
    }

    /// The number of the category `name`; none of that which services have whose kind is not known.
    fn category(&mut self, name: &str) -> Option<usize> {
        if name == CATEGORY_UNKNOWN {
            return None;
        }
        let known = self.categories.iter().position(|known| known == name);
        Some(known.unwrap_or_else(|| {
            self.categories.push(name.to_owned());
            self.categories.len() - 1
        }))
    }
}

/// The built-in catalogue, and a service of no known category for rows that name none we know.
///
/// # Errors
/// If the built-in catalogue is unsound.
pub(crate) fn catalogue() -> Result<Catalogue, Vec<Problem>> {
    let some = format!("[[service]]\nid = \"{SOME_SERVICE}\"\nname = \"some service\"");
    Catalogue::load(true, &[SourceText::new("the trainer", &some)])
}

/// Judges a row. One that names no service that we know is judged all the same, as if it were addressed to some.
pub(crate) fn explain(row: &Row, catalogue: &Catalogue, judge: &Judge, judgement: &mut Judgement) -> Outcome {
    let known = catalogue.index_of(&row.service).map_or(SOME_SERVICE, |_| row.service.as_str());
    let post = Post { lang: Some(&row.lang), ..Post::of_text(&row.text) };
    let addressed = (row.addressed == Some(1)).then_some(known);
    match judge.explain(&Post { service: addressed, ..post }, judgement) {
        Outcome::NoService => judge.explain(&Post { service: Some(known), ..post }, judgement),
        outcome => outcome,
    }
}

/// Whether a long number is in `cue`, or it is the beginning of a number.
fn is_of_a_number(cue: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    cue.strip_suffix('*').is_some_and(is_digits)
        || cue.as_bytes().windows(DIGITS_MAX + 1).any(|run| run.iter().all(u8::is_ascii_digit))
}

/// For each word among `cues` the places of the cues that hold it.
fn words(cues: &[String]) -> Vec<Vec<usize>> {
    let is_word = |cue: &&String| !cue.contains([' ', '*']) && is_spaced_word(cue);
    let holds = |cue: &str, word: &str| match cue.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning) && word.len() > beginning.len(),
        None => cue.split(' ').any(|part| part == word),
    };
    let places = |word: &String| (0..cues.len()).filter(|&at| holds(&cues[at], word)).collect();
    cues.iter().filter(is_word).map(places).collect()
}

fn votes_without_cues(
    of_phrase: Option<Symptom>,
    service: Option<ServiceIndex>,
    catalogue: &Catalogue,
) -> Votes {
    let mut votes = Votes::default();
    if let Some(symptom) = of_phrase {
        votes[symptom as usize] += phrase_votes(symptom);
    }
    let category = service.map(|service| catalogue.service(service).category.as_str());
    let known = catalogue.categories().iter().find(|known| Some(known.name.as_str()) == category);
    for (&symptom, n) in known.into_iter().flat_map(|known| &known.symptoms) {
        votes[symptom as usize] += n;
    }
    votes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_telephones_are_no_cues_and_codes_of_errors_are() {
        let of_numbers = ["09087493040", "on 012291", "tel012291x", "0908*", "090874*"];
        assert!(of_numbers.iter().all(|cue| is_of_a_number(cue)));
        let others = ["40303", "error 40303", "err4*", "500", "1080p", "落"];
        assert_eq!(others.map(is_of_a_number), [false; 6]);
    }

    #[test]
    fn a_word_is_held_by_itself_its_beginnings_and_its_pairs() {
        let cues = ["app", "appli*", "applica", "applica app", "落", "落 app"].map(str::to_owned);
        assert_eq!(words(&cues), [vec![0, 3, 5], vec![1, 2, 3]]);
    }
}
