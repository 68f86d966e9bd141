//! What people write, by language, kind and topic: the templates under `data/corpus`.
//!
//! The texts were written for the simulator from how people post, and on purpose *not* derived from the detector's
//! lexicon: a fixture made of the phrases the matcher looks for would pass whatever the matcher does. Texts marked
//! `oblique` say plainly to a reader that something is broken and contain none of the usual phrases.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// A language posts are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// English.
    En,
    /// Spanish.
    Es,
    /// Portuguese.
    Pt,
    /// French.
    Fr,
    /// German.
    De,
    /// Japanese.
    Ja,
}

impl Language {
    /// Its BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
            Self::Pt => "pt",
            Self::Fr => "fr",
            Self::De => "de",
            Self::Ja => "ja",
        }
    }
}

/// What does not work, as a complaint tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own words and say all there is")]
pub enum Symptom {
    Access,
    Login,
    Playback,
    Loading,
    Messaging,
    Payment,
    Connection,
    Crash,
    Slow,
    Error,
}

/// What kind of service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own words and say all there is")]
pub enum Topic {
    Music,
    Video,
    Social,
    Chat,
    Game,
    Work,
    Cloud,
    Pay,
    Shop,
    Ride,
    Ai,
    Telecom,
}

impl Topic {
    const ALL: [Self; 12] = [
        Self::Music,
        Self::Video,
        Self::Social,
        Self::Chat,
        Self::Game,
        Self::Work,
        Self::Cloud,
        Self::Pay,
        Self::Shop,
        Self::Ride,
        Self::Ai,
        Self::Telecom,
    ];

    /// What people complain about at such a service, on an ordinary day or when nothing more is known.
    pub(crate) fn usual_symptoms(self) -> BTreeMap<Symptom, f64> {
        use Symptom::{Access, Connection, Crash, Error, Loading, Login, Messaging, Payment, Playback, Slow};
        let shares: &[(Symptom, f64)] = match self {
            Self::Music => {
                &[(Access, 2.0), (Playback, 3.0), (Loading, 1.5), (Login, 1.0), (Crash, 1.5), (Slow, 0.7)]
            }
            Self::Video => {
                &[(Access, 2.0), (Playback, 3.0), (Loading, 2.0), (Login, 1.0), (Error, 1.0), (Slow, 1.0)]
            }
            Self::Social => {
                &[(Access, 2.5), (Loading, 3.0), (Login, 2.0), (Messaging, 1.0), (Crash, 1.5), (Slow, 1.0)]
            }
            Self::Chat => &[(Access, 2.0), (Messaging, 4.0), (Connection, 2.0), (Loading, 1.0), (Login, 0.7)],
            Self::Game => {
                &[(Access, 2.0), (Login, 2.5), (Connection, 3.5), (Error, 1.5), (Crash, 1.5), (Slow, 1.0)]
            }
            Self::Work => &[
                (Access, 2.5),
                (Login, 2.0),
                (Connection, 2.0),
                (Messaging, 1.5),
                (Loading, 2.0),
                (Slow, 1.5),
            ],
            Self::Cloud => {
                &[(Access, 3.0), (Error, 3.0), (Connection, 2.0), (Loading, 1.5), (Slow, 1.5), (Login, 1.0)]
            }
            Self::Pay => &[(Payment, 4.0), (Access, 2.0), (Login, 2.0), (Error, 1.5), (Loading, 1.0)],
            Self::Shop => {
                &[(Access, 2.0), (Payment, 2.5), (Loading, 2.5), (Login, 1.0), (Error, 1.0), (Slow, 1.0)]
            }
            Self::Ride => {
                &[(Access, 2.0), (Payment, 2.0), (Loading, 2.0), (Crash, 1.5), (Error, 1.0), (Slow, 1.0)]
            }
            Self::Ai => &[(Access, 3.0), (Error, 3.0), (Login, 1.5), (Loading, 2.0), (Slow, 2.0)],
            Self::Telecom => &[(Connection, 5.0), (Access, 2.0), (Slow, 2.0), (Messaging, 1.0), (Login, 0.5)],
        };
        shares.iter().copied().collect()
    }
}

/// What a post is, known because it was made so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each name but the documented ones says what the post is")]
pub enum Kind {
    /// Something does not work, said with the usual words.
    Complaint(Symptom),
    /// Something does not work, said without them.
    Oblique(Symptom),
    /// A complaint that names the provider behind it.
    Blame,
    Ordinary,
    Praise,
    Howto,
    /// Grumbling about what it costs.
    Price,
    /// "It works for me."
    Negated,
    Hypothetical,
    /// A failure that is over.
    Past,
    /// The words of an outage with another meaning.
    Figurative,
    Joke,
    Recovery,
    News,
    /// News that it is over.
    NewsFixed,
    /// The service's own account: we know.
    Official,
    /// The service's own account: it is fixed.
    OfficialFixed,
    /// Talk about a release.
    Release,
    /// Talk about a price rise.
    PriceRise,
    /// Somebody else's post, repeated.
    Repost,
}

impl Kind {
    /// Whether a human reader would say: this person has trouble with the service now.
    pub fn is_complaint(self) -> bool {
        matches!(self, Self::Complaint(_) | Self::Oblique(_) | Self::Blame)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCorpus {
    slots: BTreeMap<String, Vec<String>>,
    texts: Vec<RawTexts>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTexts {
    kind: RawKind,
    symptom: Option<Symptom>,
    #[serde(default)]
    topics: Vec<Topic>,
    /// One template a line; blank lines are ignored.
    lines: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawKind {
    Complaint,
    Oblique,
    Blame,
    Ordinary,
    Praise,
    Howto,
    Price,
    Negated,
    Hypothetical,
    Past,
    Figurative,
    Joke,
    Recovery,
    News,
    NewsFixed,
    Official,
    OfficialFixed,
    Release,
    PriceRise,
}

impl RawTexts {
    fn kind(&self) -> Option<Kind> {
        Some(match self.kind {
            RawKind::Complaint => Kind::Complaint(self.symptom?),
            RawKind::Oblique => Kind::Oblique(self.symptom?),
            RawKind::Blame => Kind::Blame,
            RawKind::Ordinary => Kind::Ordinary,
            RawKind::Praise => Kind::Praise,
            RawKind::Howto => Kind::Howto,
            RawKind::Price => Kind::Price,
            RawKind::Negated => Kind::Negated,
            RawKind::Hypothetical => Kind::Hypothetical,
            RawKind::Past => Kind::Past,
            RawKind::Figurative => Kind::Figurative,
            RawKind::Joke => Kind::Joke,
            RawKind::Recovery => Kind::Recovery,
            RawKind::News => Kind::News,
            RawKind::NewsFixed => Kind::NewsFixed,
            RawKind::Official => Kind::Official,
            RawKind::OfficialFixed => Kind::OfficialFixed,
            RawKind::Release => Kind::Release,
            RawKind::PriceRise => Kind::PriceRise,
        })
    }
}

/// The templates and slot fillings of one language.
#[derive(Debug)]
pub(crate) struct Corpus {
    slots: BTreeMap<String, Vec<String>>,
    templates: BTreeMap<(Kind, Topic), Vec<String>>,
}

/// A template of a topic stands this often for each time a general one does: there are fewer of them, and people
/// talk about songs and games more than about services.
const TOPIC_WEIGHT: usize = 3;

impl Corpus {
    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let raw: RawCorpus = toml::from_str(text)?;
        let mut templates: BTreeMap<(Kind, Topic), Vec<String>> = BTreeMap::new();
        for texts in &raw.texts {
            let kind = texts.kind().ok_or_else(|| {
                serde::de::Error::custom(format!("{:?} without a symptom: {}", texts.kind, texts.lines))
            })?;
            let (topics, weight) = match texts.topics.as_slice() {
                [] => (Topic::ALL.as_slice(), 1),
                topics => (topics, TOPIC_WEIGHT),
            };
            for topic in topics {
                let list = templates.entry((kind, *topic)).or_default();
                for _ in 0..weight {
                    list.extend(lines(&texts.lines).map(str::to_owned));
                }
            }
        }
        Ok(Self { slots: raw.slots, templates })
    }

    /// The language's corpus.
    pub(crate) fn of(language: Language) -> &'static Self {
        static CORPORA: LazyLock<[Corpus; 6]> = LazyLock::new(|| {
            let texts = [
                include_str!("../data/corpus/en.toml"),
                include_str!("../data/corpus/es.toml"),
                include_str!("../data/corpus/pt.toml"),
                include_str!("../data/corpus/fr.toml"),
                include_str!("../data/corpus/de.toml"),
                include_str!("../data/corpus/ja.toml"),
            ];
            texts.map(|text| Corpus::parse(text).expect("the built-in corpora are valid: a test parses them"))
        });
        &CORPORA[language as usize]
    }

    /// The templates of a kind; empty when the language has none.
    pub(crate) fn templates(&self, kind: Kind, topic: Topic) -> &[String] {
        self.templates.get(&(kind, topic)).map_or(&[], Vec::as_slice)
    }

    /// What can stand in a slot; empty when the language has no list for it.
    pub(crate) fn slot(&self, name: &str) -> &[String] {
        self.slots.get(name).map_or(&[], Vec::as_slice)
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests;
