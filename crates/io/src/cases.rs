//! Cases: texts and counts with what is expected of them, as TOML. `groundswell test` runs them.

use groundswell_core::Symptom;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
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
    #[serde(default, rename = "symptom", deserialize_with = "one_or_more")]
    pub symptoms: Vec<Symptom>,
    /// A name for what makes it hard.
    pub trap: Option<String>,
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

/// A symptom, or a list of them that is not empty.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Symptom>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`symptom` must be a word, or a list of words")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    let names = match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(name) => vec![name],
        OneOrMore::More(names) => names,
    };
    if names.is_empty() {
        return Err(D::Error::custom("`symptom` is an empty list; leave it out if any would do"));
    }
    names.iter().map(|name| symptom(name).map_err(D::Error::custom)).collect()
}

/// The symptom of this name.
///
/// # Errors
/// What symptoms there are, if this is none.
pub fn symptom(name: &str) -> Result<Symptom, String> {
    let found = Symptom::ALL.iter().copied().find(|symptom| symptom.name() == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = Symptom::ALL.iter().map(|symptom| symptom.name()).collect();
        format!("there is no symptom {name:?}; there are {}", names.join(", "))
    })
}
