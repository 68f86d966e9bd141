//! The lexicon: in which words people say that a service fails, works again, or that neither is meant.
//!
//! A lexicon file is TOML and describes one language. A later file for the same language replaces the earlier one
//! whole, or adds to it with `extend = true`. Every phrase names a *symptom* and a *tier*, which says how much it is
//! worth and where it has to stand:
//!
//! | tier | weight | counts |
//! |---|---|---|
//! | A | 1 | beside the name of a service ("is down") |
//! | B | 0.5 | in a post about the service ("can't log in") |
//! | C | 0.2 | only together with A or B ("slow") |
//!
//! *Cues* and *signs* are learned (`crates/trainer`): what single words, pairs of words, and what the rules found add to
//! that weight or take from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::builtin::{CUE_FILES, LEXICON_FILES};
use crate::cues::{PREFIX_LETTERS, Sign};
use crate::problem::{Problem, SourceText};
use crate::word_list::WordList;

/// The greatest weight of a cue or sign, and the most votes of a tell or category: more would decide alone against any
/// phrase.
pub const CUE_WEIGHT_MAX: f64 = 5.0;

macro_rules! symptoms {
    ($($variant:ident $name:literal,)+) => {
        /// What fails, in the eyes of the person who posts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Symptom {
            $(#[doc = $name] $variant,)+
        }

        impl Symptom {
            /// All symptoms; their order breaks ties between equal counts, the more telling first.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

symptoms! {
    Login "login",
    Playback "playback",
    Payment "payment",
    Messaging "messaging",
    Loading "loading",
    Connection "connection",
    Crash "crash",
    Slow "slow",
    Access "access",
    Error "error",
    Other "other",
}

/// How much a phrase is worth and where it must stand; see the module's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// Outage wording beside the name.
    A,
    /// Failure wording in a post about the service.
    B,
    /// Weak words, only together with A or B.
    C,
}

impl Tier {
    /// The weight of a phrase of this tier (DESIGN §5).
    pub fn weight(self) -> f64 {
        match self {
            Self::A => 1.0,
            Self::B => 0.5,
            Self::C => 0.2,
        }
    }
}

/// Phrases that share a tier and a symptom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhraseGroup {
    /// Their tier.
    pub tier: Tier,
    /// Their symptom.
    pub symptom: Symptom,
    /// The phrases; a lone `*` inside one stands for up to two words, a `?` at its end for the end of the sentence.
    pub any: Vec<String>,
}

/// Words that add to a post's weight wherever they stand in it, or take from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CueGroup {
    /// What each adds, once a post, in the unit of [`Tier::weight`], to the hundredth.
    pub weight: f64,
    /// The category of the services that it adds this for, besides what the word adds for all; all, if none is named.
    /// Services of a category that no cue names are taken as the first one that a post names besides. A category that no
    /// service of the catalogue has changes nothing.
    #[serde(default)]
    pub category: Option<String>,
    /// The words; `lade*` stands for every word that begins so, and has four or six letters before the `*`.
    pub any: WordList,
}

/// Words that tell what fails, or what does not, in a post that complains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TellGroup {
    /// What they tell.
    pub symptom: Symptom,
    /// How clearly, negative if they tell against it: the votes of a symptom's words are added up, and a phrase of the rules has 1.5 for its own (1.2 for `access`).
    pub votes: f64,
    /// The words, written as those of [`CueGroup`].
    pub any: WordList,
}

/// The lexicon of one language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// BCP 47 primary subtag: two or three lower-case letters.
    pub language: String,
    /// Whether the file adds to what is known of the language instead of replacing it.
    #[serde(default)]
    pub extend: bool,
    /// Words that deny a phrase beginning within three words after them.
    #[serde(default)]
    pub negation: Vec<String>,
    /// Phrases that say the service works again.
    #[serde(default)]
    pub recovery: Vec<String>,
    /// Phrases that put the sentence in the past or make it hypothetical.
    #[serde(default)]
    pub not_now: Vec<String>,
    /// Phrases whose words mean something else: a shorter phrase inside them does not count.
    #[serde(default)]
    pub figurative: Vec<String>,
    /// Phrases that mark reported speech.
    #[serde(default)]
    pub news: Vec<String>,
    /// What people append to a name in a hashtag: `#spotifydown`.
    #[serde(default)]
    pub hashtag_suffixes: Vec<String>,
    /// What is hung onto names: case endings, particles.
    #[serde(default)]
    pub name_endings: Vec<String>,
    /// What is written onto words in front: articles, prepositions.
    #[serde(default)]
    pub word_beginnings: Vec<String>,
    /// The phrases that complain.
    #[serde(default)]
    pub phrases: Vec<PhraseGroup>,
    /// What the words of a post add to its weight.
    #[serde(default)]
    pub cues: Vec<CueGroup>,
    /// What fails, by the words of a post.
    #[serde(default)]
    pub tells: Vec<TellGroup>,
    /// What it adds that the rules found something, in the unit of [`Tier::weight`].
    #[serde(default)]
    pub signs: BTreeMap<Sign, f64>,
}

/// The lexicons of all languages, ordered by language.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lexicon {
    languages: Vec<Language>,
}

impl Lexicon {
    /// Reads and merges lexicon files, ours first if `with_builtin`. All problems are reported, not just the first.
    ///
    /// # Errors
    /// TOML errors, unknown keys, a bad language tag, a phrase that no text can match or that stands there twice.
    pub fn load(with_builtin: bool, files: &[SourceText]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut merged: BTreeMap<String, Language> = BTreeMap::new();
        let builtin = builtin_files().filter(|_| with_builtin).map(|source| (source, false));
        for (source, is_checked) in builtin.chain(files.iter().map(|source| (source.clone(), true))) {
            match toml::from_str::<Language>(&source.text) {
                Ok(language) => {
                    if is_checked {
                        check_language(&language, &source, &mut problems);
                    }
                    merge(&mut merged, language);
                }
                Err(error) => problems.push(source.toml_problem(&error)),
            }
        }
        if problems.is_empty() {
            Ok(Self { languages: merged.into_values().collect() })
        } else {
            Err(problems)
        }
    }

    /// The same without what was learned: what a trainer begins with.
    pub fn without_cues(mut self) -> Self {
        for language in &mut self.languages {
            language.cues.clear();
            language.tells.clear();
            language.signs.clear();
        }
        self
    }

    /// The languages in order.
    pub fn languages(&self) -> &[Language] {
        &self.languages
    }

    pub(crate) fn into_languages(self) -> impl Iterator<Item = Language> {
        self.languages.into_iter()
    }
}

/// The built-in lexicon. A test checks it, so that not every start has to: folding each of its phrases for that takes a
/// quarter of the time of a start.
fn builtin_files() -> impl Iterator<Item = SourceText> {
    LEXICON_FILES.iter().chain(CUE_FILES).map(|&(name, text)| SourceText::builtin(name, text))
}

fn merge(merged: &mut BTreeMap<String, Language>, language: Language) {
    match merged.get_mut(&language.language) {
        Some(known) if language.extend => {
            known.negation.extend(language.negation);
            known.recovery.extend(language.recovery);
            known.not_now.extend(language.not_now);
            known.figurative.extend(language.figurative);
            known.news.extend(language.news);
            known.hashtag_suffixes.extend(language.hashtag_suffixes);
            known.name_endings.extend(language.name_endings);
            known.word_beginnings.extend(language.word_beginnings);
            known.phrases.extend(language.phrases);
            known.cues.extend(language.cues);
            known.tells.extend(language.tells);
            known.signs.extend(language.signs);
        }
        _ => {
            merged.insert(language.language.clone(), Language { extend: false, ..language });
        }
    }
}

impl Language {
    fn marker_lists(&self) -> [(&'static str, &[String]); 8] {
        [
            ("negation", &self.negation),
            ("recovery", &self.recovery),
            ("not_now", &self.not_now),
            ("figurative", &self.figurative),
            ("news", &self.news),
            ("hashtag_suffixes", &self.hashtag_suffixes),
            ("name_endings", &self.name_endings),
            ("word_beginnings", &self.word_beginnings),
        ]
    }
}

fn check_language(language: &Language, source: &SourceText, problems: &mut Vec<Problem>) {
    let mut report = |needle: &str, reason: String| {
        let line = source.text.find(needle).map(|offset| source.line_of(offset));
        problems.push(Problem { file: source.name.clone(), line, reason });
    };
    let tag = &language.language;
    if !is_primary_subtag(tag) {
        report("language", format!("`language` is {tag:?}; it must be 2 or 3 lower-case letters (BCP 47)"));
    }
    for (key, phrases) in language.marker_lists() {
        for phrase in phrases {
            if let Some(fault) = phrase_fault(phrase) {
                report(phrase, format!("`{key}` has {phrase:?}, which {fault}"));
            }
        }
    }
    check_cues(language, &mut report);
    let mut seen: BTreeMap<String, Tier> = BTreeMap::new();
    for group in &language.phrases {
        for phrase in &group.any {
            if let Some(fault) = phrase_fault(phrase) {
                report(phrase, format!("tier {:?} has {phrase:?}, which {fault}", group.tier));
            } else if let Some(tier) = seen.insert(crate::phrases::folded_key(phrase), group.tier) {
                report(
                    phrase,
                    format!(
                        "tier {:?} has {phrase:?}, which is never reached: tier {tier:?} has it",
                        group.tier
                    ),
                );
            }
        }
    }
}

/// What is wrong with the weights and words of cues and tells.
fn check_cues(language: &Language, report: &mut impl FnMut(&str, String)) {
    for (sign, weight) in language.signs.iter().filter(|&(_, &weight)| !is_weight(weight)) {
        let name = sign.name();
        report(name, format!("the sign `{name}` weighs {weight}; it must be within {CUE_WEIGHT_MAX} of 0"));
    }
    let cues = language.cues.iter().map(|group| (group.weight, &group.any));
    let tells = language.tells.iter().map(|group| (group.votes, &group.any));
    for (weight, cue) in cues.chain(tells).flat_map(|(weight, any)| any.iter().map(move |cue| (weight, cue)))
    {
        if !is_weight(weight) {
            report(cue, format!("{cue:?} weighs {weight}; it must be within {CUE_WEIGHT_MAX} of 0"));
        } else if let Some(fault) = cue_fault(cue) {
            report(cue, format!("`cues` or `tells` has {cue:?}, which {fault}"));
        }
    }
}

/// Whether `weight` is one that a cue, a sign, a tell or a category can have.
pub(crate) fn is_weight(weight: f64) -> bool {
    weight.is_finite() && weight.abs() <= CUE_WEIGHT_MAX
}

/// Why no text could match `cue`, if so.
fn cue_fault(cue: &str) -> Option<&'static str> {
    let Some(prefix) = cue.strip_suffix('*').filter(|prefix| !prefix.ends_with(' ')) else {
        return phrase_fault(cue);
    };
    let n = crate::phrases::folded_key(prefix).chars().count();
    if prefix.contains(' ') || !PREFIX_LETTERS.contains(&n) {
        return Some("is no beginning of a word that is looked up: it must be one word of 4 or 6 letters");
    }
    None
}

/// Whether `tag` is a BCP 47 primary subtag as we write it: two or three lower-case letters.
pub(crate) fn is_primary_subtag(tag: &str) -> bool {
    (2..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Why no text could match `phrase`, if so.
fn phrase_fault(phrase: &str) -> Option<&'static str> {
    let words: Vec<&str> = phrase.split_whitespace().collect();
    if words.first() == Some(&"*") || words.last() == Some(&"*") {
        return Some("begins or ends with `*`: a gap needs a word on either side");
    }
    match crate::phrases::n_words(phrase) {
        0 => Some("no text can match: it has no word in it"),
        n if n > crate::phrases::PHRASE_WORDS_MAX => Some("is never reached: it is longer than 24 words"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Lexicon, Vec<Problem>> {
        Lexicon::load(false, &[SourceText::new("test.toml", text)])
    }

    #[test]
    fn the_builtin_lexicon_has_fifteen_languages_and_no_problem() {
        let files: Vec<SourceText> = builtin_files().collect();
        let checked = Lexicon::load(false, &files).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(checked.languages().len(), 15);
    }

    #[test]
    fn a_file_extends_a_language_only_when_it_says_so() {
        let base = "language='en'\nnews=['a']\n";
        let more = SourceText::new("b", "language='en'\nextend=true\nnews=['b']");
        let other = SourceText::new("c", "language='en'\nnews=['c']");
        let base = SourceText::new("a", base);
        let extended = Lexicon::load(false, &[base.clone(), more]).expect("two good files");
        assert_eq!(extended.languages()[0].news, ["a", "b"]);
        let replaced = Lexicon::load(false, &[base, other]).expect("two good files");
        assert_eq!(replaced.languages()[0].news, ["c"]);
    }

    #[track_caller]
    fn check_refused(text: &str, line: usize, reason: &str) {
        let problems = load(text).expect_err("the lexicon must be refused");
        let found = problems.iter().any(|p| p.line == Some(line) && p.reason.contains(reason));
        assert!(found, "expected {reason:?} in line {line}, got {problems:?}");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        check_refused("language='English'", 1, "BCP 47");
        check_refused("language='en'\nnegations=['not']", 2, "unknown field");
        check_refused("language='en'\nnegation=['...']", 2, "no text can match");
        check_refused(
            "language='en'\n[[phrases]]\ntier='B'\nsymptom='login'\nany=['* in']",
            5,
            "begins or ends",
        );
        check_refused("language='en'\n[[phrases]]\ntier='B'\nsymptom='sadness'\nany=['x']", 4, "sadness");
        check_refused("language='en'\n[[cues]]\nweight=7.0\nany=['stuck']", 4, "within 5 of 0");
        check_refused("language='en'\n[[cues]]\nweight=0.5\nany=['stu*']", 4, "4 or 6 letters");
        check_refused(
            "language='en'\n[[tells]]\nsymptom='login'\nvotes=1.0\nany=['!']",
            5,
            "no text can match",
        );
        check_refused("language='en'\n[signs]\nluck=0.5", 3, "luck");
        check_refused(
            "language='en'\n[[phrases]]\ntier='A'\nsymptom='access'\nany=['is down']\n[[phrases]]\ntier='B'\nsymptom='access'\nany=['Is Down']",
            9,
            "never reached",
        );
    }
}
