//! What a simulated stretch of time contains: services, their people, and what goes wrong.
//!
//! A scenario is a TOML file because a fixture has to be reviewable: who reads `scenario.toml` beside a data set can see
//! what the truth is and which choices made it, without reading this crate. Unknown keys are refused, since a
//! misspelt `multiplier` that silently meant "1" would make a fixture that can never fail.
//!
//! Rates are means over a week of people's own local time; the rhythm of day and week only spreads them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::corpus::{Language, Symptom, Topic};

mod check;

/// Why a scenario is refused.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, an unknown key, or a value of the wrong type; the message names the line.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// Well formed, but a value is outside what can be simulated.
    #[error("{key} is {value}, {allowed}")]
    Invalid {
        /// Where the value stands, for example `outage[0].multiplier`.
        key: String,
        /// The value as given.
        value: String,
        /// What would have been accepted.
        allowed: String,
    },
}

/// A stretch of simulated time; made by [`Scenario::parse`], which checks it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// First instant, in epoch milliseconds; a whole minute.
    #[serde(rename = "start", deserialize_with = "rfc3339_ms")]
    pub start_ms: i64,
    /// End of the stretch (exclusive), in epoch milliseconds.
    #[serde(rename = "end", deserialize_with = "rfc3339_ms")]
    pub end_ms: i64,
    /// Who posts.
    #[serde(default)]
    pub people: People,
    /// How posts look and arrive.
    #[serde(default)]
    pub style: Style,
    /// What is posted about.
    #[serde(rename = "service")]
    pub services: Vec<Service>,
    /// What fails.
    #[serde(default, rename = "outage")]
    pub outages: Vec<Outage>,
    /// What is loud without failing.
    #[serde(default, rename = "surge")]
    pub surges: Vec<Surge>,
    /// What is wrong with the feed itself.
    #[serde(default)]
    pub noise: Noise,
}

impl Scenario {
    /// Reads and checks a scenario.
    ///
    /// # Errors
    /// When the text is not TOML of this shape, or a value cannot be simulated; both name the place.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        check::check(&scenario)?;
        Ok(scenario)
    }

    /// The small built-in scenario: one day, six services, two outages.
    ///
    /// # Panics
    /// Never: a test parses it.
    pub fn demo() -> Self {
        Self::parse(include_str!("../data/scenario/demo.toml")).expect("the built-in scenario is valid")
    }

    /// The position of a service by its id.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.services.iter().position(|service| service.id == id)
    }
}

/// Who posts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct People {
    /// Number of ordinary people, over all languages.
    pub population: u32,
    /// Number of loud people of each service.
    pub loud: u32,
    /// Share of a service's posts that come from its loud people.
    pub loud_share: f64,
}

impl Default for People {
    fn default() -> Self {
        Self { population: 60_000, loud: 25, loud_share: 0.03 }
    }
}

/// How posts look and arrive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Style {
    /// Share of posts that state their language.
    pub lang_share: f64,
    /// Share of posts that state their country.
    pub country_share: f64,
    /// Share of posts that state their source.
    pub source_share: f64,
    /// Share of ordinary complaints worded so that no obvious phrase catches them.
    pub oblique_share: f64,
    /// Share of ordinary mentions that are reposts.
    pub repost_share: f64,
    /// Share of posts with a slip of the fingers in them.
    pub typo_share: f64,
    /// Variance of a minute's complaints over their mean; 1 is Poisson.
    pub dispersion_phi: f64,
    /// Longest time between posting and arrival of a post that is not late, in seconds.
    pub out_of_order_s_max: f64,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            lang_share: 0.6,
            country_share: 0.25,
            source_share: 0.5,
            oblique_share: 0.2,
            repost_share: 0.05,
            typo_share: 0.14,
            dispersion_phi: 1.2,
            out_of_order_s_max: 20.0,
        }
    }
}

/// A service people post about.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its id in the catalogue and in the truth.
    pub id: String,
    /// What kind of service it is, which decides what people say about it.
    pub topic: Topic,
    /// Spellings as people type them; repeat one to make it commoner.
    pub names: Vec<String>,
    /// Spellings used in one language only.
    #[serde(default)]
    pub local_names: BTreeMap<Language, Vec<String>>,
    /// Account name that people address, without `@`.
    pub handle: String,
    /// Hashtag, without `#`.
    pub tag: String,
    /// Complaints an hour when nothing is wrong.
    pub complaints_per_hour: f64,
    /// Posts an hour that name the service and are no complaint.
    pub mentions_per_hour: f64,
    /// Share of each language.
    #[serde(default = "english_only")]
    pub languages: BTreeMap<Language, f64>,
    /// When in the day and week people post.
    #[serde(default)]
    pub rhythm: Rhythm,
}

fn english_only() -> BTreeMap<Language, f64> {
    BTreeMap::from([(Language::En, 1.0)])
}

/// When people post, in their own local time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rhythm {
    /// Local hour of the busiest time.
    pub peak_hour: f64,
    /// How strongly the day swings: 0 is flat, 1 makes the peak about seven times the trough.
    pub strength: f64,
    /// Weekend rate over weekday rate.
    pub weekend: f64,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { peak_hour: 19.5, strength: 0.7, weekend: 1.1 }
    }
}

/// A time during which a service fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// The id of the service that fails.
    pub service: String,
    /// When it starts to fail, in epoch milliseconds.
    #[serde(rename = "start", deserialize_with = "rfc3339_ms")]
    pub start_ms: i64,
    /// How long it fails, in minutes.
    pub duration_min: f64,
    /// Complaints at the height over ordinary complaints.
    pub multiplier: f64,
    /// How complaints rise and fall.
    #[serde(default)]
    pub course: Course,
    /// What people complain about, from when on; without any, what is usual for such a service.
    #[serde(default, rename = "phase")]
    pub phases: Vec<Phase>,
    /// What else people post about it.
    #[serde(default)]
    pub echo: Echo,
    /// Services that fail because this one does: with any of them the outage is a cascade.
    #[serde(default, rename = "dependant")]
    pub dependants: Vec<Dependant>,
}

/// How complaints rise to the height of an outage and fall after its end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Course {
    /// The form of the rise.
    pub onset: Onset,
    /// Time from the start to the height, in minutes.
    pub ramp_min: f64,
    /// Time in which people tire of complaining by half while it lasts, in minutes; 0 means never.
    pub fatigue_half_life_min: f64,
    /// Time constant of the fall after the end, in minutes.
    pub decay_min: f64,
}

impl Default for Course {
    fn default() -> Self {
        Self { onset: Onset::Sudden, ramp_min: 4.0, fatigue_half_life_min: 0.0, decay_min: 7.0 }
    }
}

/// The form of a rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Onset {
    /// Steep first, then levelling: everybody is hit at once and notices within minutes.
    Sudden,
    /// A straight line: the failure spreads.
    Ramp,
}

/// What people complain about from some minute of an outage on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// First minute of the phase, counted from the start of the outage.
    pub from_min: f64,
    /// Share of each symptom.
    pub symptoms: BTreeMap<Symptom, f64>,
}

/// What else people post about an outage; shares are of the complaints it causes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Echo {
    /// Share of the complaints worded so that no obvious phrase catches them.
    pub oblique_share: f64,
    /// Jokes about it, for each complaint.
    pub joke_share: f64,
    /// Reposts of complaints and news, for each complaint.
    pub repost_share: f64,
    /// "Works for me", for each complaint.
    pub unaffected_share: f64,
    /// "It is back", after the end, for each complaint at the height.
    pub recovery_share: f64,
    /// Posts of news accounts an hour.
    pub news_per_hour: f64,
    /// Posts of the service's own account an hour.
    pub official_per_hour: f64,
}

impl Default for Echo {
    fn default() -> Self {
        Self {
            oblique_share: 0.22,
            joke_share: 0.08,
            repost_share: 0.12,
            unaffected_share: 0.03,
            recovery_share: 0.25,
            news_per_hour: 5.0,
            official_per_hour: 1.2,
        }
    }
}

/// A service that fails because another does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependant {
    /// The id of the service.
    pub service: String,
    /// Time from the provider's start to this one's, in minutes.
    pub lag_min: f64,
    /// How long it fails, in minutes.
    pub duration_min: f64,
    /// Complaints at the height over ordinary complaints.
    pub multiplier: f64,
    /// Share of its complaints that name the provider.
    #[serde(default = "default_blame_share")]
    pub blame_share: f64,
}

fn default_blame_share() -> f64 {
    0.08
}

/// A time of much talk without a failure.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surge {
    /// The ids of the services talked about.
    pub services: Vec<String>,
    /// When it starts, in epoch milliseconds.
    #[serde(rename = "start", deserialize_with = "rfc3339_ms")]
    pub start_ms: i64,
    /// How long it lasts, in minutes.
    pub duration_min: f64,
    /// Mentions at the height over ordinary mentions.
    pub multiplier: f64,
    /// Time from the start to the height, in minutes.
    pub ramp_min: f64,
    /// Time constant of the fall after the end, in minutes.
    #[serde(default = "default_surge_decay_min")]
    pub decay_min: f64,
    /// What it is about.
    pub about: SurgeTopic,
    /// Ordinary complaints during it over ordinary complaints: more people use the service, so a few more have trouble.
    #[serde(default = "one")]
    pub complaints: f64,
}

fn default_surge_decay_min() -> f64 {
    60.0
}

fn one() -> f64 {
    1.0
}

/// What a surge is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SurgeTopic {
    /// An album, a season or a match comes out.
    Release,
    /// The price goes up.
    Price,
}

/// What is wrong with the feed: shares of all posts, all 0 unless given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Noise {
    /// Lines that are not JSON objects.
    pub malformed_json: f64,
    /// Lines with bytes that are not UTF-8.
    pub invalid_utf8: f64,
    /// Texts a little over 64 KiB.
    pub oversized: f64,
    /// Texts of 100 kB.
    pub huge: f64,
    /// Lines that come twice.
    pub duplicate: f64,
    /// Posts that arrive 3 to 40 minutes after they were posted.
    pub late: f64,
    /// Posts dated from an hour to a year ahead.
    pub future: f64,
    /// Posts dated from a day to five years back.
    pub backdated: f64,
    /// Posts without one of the fields every post needs.
    pub missing_field: f64,
    /// Posts whose time cannot be read.
    pub bad_time: f64,
    /// Usable posts whose time is in epoch milliseconds.
    pub epoch_ms: f64,
    /// Usable posts whose time has an offset other than `Z`.
    pub offset_time: f64,
    /// Lines that end in CR LF.
    pub crlf: f64,
    /// Empty lines between posts.
    pub empty_line: f64,
}

fn rfc3339_ms<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let timestamp: jiff::Timestamp = text.parse().map_err(|error| {
        serde::de::Error::custom(format!(
            "`{text}` is not an RFC 3339 time such as 2023-04-20T12:00:00Z: {error}"
        ))
    })?;
    Ok(timestamp.as_millisecond())
}

#[cfg(test)]
mod tests;
