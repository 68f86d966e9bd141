//! Cases: texts and counts with what is expected of them, as TOML. `groundswell test` runs them.

use groundswell_core::Symptom;
use serde::Deserialize;
use toml::Spanned;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// Texts, each with its place in the file.
    #[serde(default)]
    pub text: Vec<Spanned<TextCase>>,
    /// Counts, each with its place in the file.
    #[serde(default)]
    pub counts: Vec<Spanned<CountsCase>>,
}

/// A text and what it complains of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextCase {
    /// What somebody posted.
    pub text: String,
    /// The language, as a post has it.
    pub lang: Option<String>,
    /// The service that the post is addressed to, by id.
    pub service: Option<String>,
    /// The services that it counts for, by id; empty if for none.
    pub complains: Vec<String>,
    /// What fails; several if the text may be read so or so.
    #[serde(default)]
    pub symptom: OneOrMore,
    /// A name for what makes it hard.
    pub trap: Option<String>,
}

/// What is written as one word, or as several in a list.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged, expecting = "a symptom, or a list of them")]
pub enum OneOrMore {
    /// None at all.
    #[default]
    None,
    /// A word.
    One(Symptom),
    /// A list.
    More(Vec<Symptom>),
}

impl OneOrMore {
    /// The words.
    pub fn as_slice(&self) -> &[Symptom] {
        match self {
            Self::None => &[],
            Self::One(symptom) => std::slice::from_ref(symptom),
            Self::More(symptoms) => symptoms,
        }
    }
}

/// Counts a minute and the events that they bring about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountsCase {
    /// Runs of minutes with a count in each, as `7200x2 60x6`.
    pub counts: String,
    /// The events in order, updates left out.
    pub events: Vec<String>,
}
