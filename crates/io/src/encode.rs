//! Events to bytes: CloudEvents 1.0 in structured JSON, a line each, or a line for people.
//!
//! Input positions and whether it was a replay are left out on purpose: an event must be the same bytes however its
//! posts arrived (`schemas/outage-event.v1.schema.json` has the whole form).

use groundswell_core::{Catalogue, ConfigHash, Event, EventKind, EventTime, FeedEvent, OutageEvent};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::times;

/// The CloudEvents `source` of every event.
pub const SOURCE: &str = "groundswell";

/// Turns events into lines, for one configuration.
#[derive(Debug)]
pub struct EventEncoder<'a> {
    catalogue: &'a Catalogue,
    config_hash: String,
}

/// An event in parts: its CloudEvents attributes, which are headers on Kafka, and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudEvent {
    /// Deterministic, so that an event delivered twice can be recognised.
    pub id: String,
    /// What happened.
    pub event_type: String,
    /// The service; empty if it is about none.
    pub subject: String,
    /// Event time of the decision, RFC 3339.
    pub time: String,
    /// The data, JSON.
    pub data: String,
}

/// The structured form, in the order in which it is written.
#[derive(Serialize)]
struct Structured<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    time: &'a str,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

/// The version of CloudEvents.
pub const SPEC_VERSION: &str = "1.0";
/// The type of the data.
pub const CONTENT_TYPE: &str = "application/json";

impl CloudEvent {
    /// The event as one line of JSON, without a line end.
    ///
    /// # Errors
    /// If the data is not JSON, which it is in events that an encoder made.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Structured {
            specversion: SPEC_VERSION,
            id: &self.id,
            source: SOURCE,
            event_type: &self.event_type,
            subject: &self.subject,
            time: &self.time,
            datacontenttype: CONTENT_TYPE,
            data: serde_json::from_str(&self.data)?,
        })
    }
}

#[derive(Serialize)]
struct Data<'a> {
    outage_id: String,
    sequence: u32,
    service: &'a str,
    service_name: &'a str,
    category: &'a str,
    status: &'static str,
    severity: &'static str,
    started_at: String,
    detected_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<&'static str>,
    observed: u32,
    expected: f64,
    ratio: f64,
    evidence: f64,
    threshold: f64,
    unique_authors: u32,
    complaints: u64,
    peak: PeakData,
    symptoms: Counts<'a>,
    languages: Counts<'a>,
    #[serde(skip_serializing_if = "Counts::is_empty")]
    countries: Counts<'a>,
    depends_on: &'a [String],
    config_hash: &'a str,
    version: &'static str,
}

#[derive(Serialize)]
struct FeedData<'a> {
    status: &'static str,
    since: String,
    observed: u64,
    expected: f64,
    config_hash: &'a str,
    version: &'static str,
}

#[derive(Serialize)]
struct PeakData {
    at: String,
    observed: u32,
}

/// A JSON object of counts, in the given order.
struct Counts<'a>(Vec<(&'a str, u64)>);

impl Counts<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, n) in &self.0 {
            map.serialize_entry(key, n)?;
        }
        map.end()
    }
}

/// The data of an event of the feed, as a line for people needs it.
#[derive(Deserialize)]
struct ToldFeed {
    since: String,
    observed: u64,
    expected: f64,
}

/// The data of an event of a service, as a line for people needs it.
#[derive(Deserialize)]
struct Told {
    service_name: String,
    severity: String,
    started_at: String,
    ended_at: Option<String>,
    observed: u64,
    expected: f64,
    evidence: f64,
    threshold: f64,
    symptoms: serde_json::Map<String, serde_json::Value>,
}

impl CloudEvent {
    /// What happened, in a word: `started`.
    pub fn kind(&self) -> &str {
        let kind = self.event_type.trim_start_matches("groundswell.").trim_end_matches(".v1");
        kind.trim_start_matches("outage.")
    }

    /// The event as a line for people, without a line end.
    pub fn to_text(&self) -> String {
        let head = format!("{}  {:<9}", self.time, self.kind());
        if let Ok(ToldFeed { since, observed, expected }) = serde_json::from_str(&self.data) {
            return format!("{head}  since {since}  {observed} posts a minute, expected {expected:.1}");
        }
        let Ok(told) = serde_json::from_str::<Told>(&self.data) else {
            return format!("{head}  {}", self.data);
        };
        let symptoms: Vec<&str> = told.symptoms.keys().take(3).map(String::as_str).collect();
        let end = told.ended_at.map(|end| format!(", until {end}")).unwrap_or_default();
        format!(
            "{head}  {}  {}  since {}{end}  observed {} expected {:.2}  evidence {:.1}/{:.1}  {}",
            told.service_name,
            told.severity,
            told.started_at,
            told.observed,
            told.expected,
            told.evidence,
            told.threshold,
            symptoms.join(", "),
        )
        .trim_end()
        .to_owned()
    }
}

impl<'a> EventEncoder<'a> {
    /// An encoder for events of detectors under this catalogue and configuration.
    pub fn new(catalogue: &'a Catalogue, config_hash: ConfigHash) -> Self {
        Self { catalogue, config_hash: config_hash.to_string() }
    }

    /// The event in parts.
    pub fn to_cloud_event(&self, event: &Event) -> CloudEvent {
        match event {
            Event::Outage(event) => self.outage_event(event),
            Event::Feed(event) => self.feed_event(event),
        }
    }

    fn feed_event(&self, event: &FeedEvent) -> CloudEvent {
        let data = FeedData {
            status: event.kind.name(),
            since: times::format(event.since),
            observed: event.observed,
            expected: event.expected,
            config_hash: &self.config_hash,
            version: env!("CARGO_PKG_VERSION"),
        };
        CloudEvent {
            id: format!("feed-{}-{}", compact(event.time), event.kind.name()),
            event_type: format!("groundswell.feed.{}.v1", event.kind.name()),
            subject: String::new(),
            time: times::format(event.time),
            data: serde_json::to_string(&data).expect("strings and finite numbers always encode"),
        }
    }

    /// The event of an outage, in parts.
    pub fn outage_event(&self, event: &OutageEvent) -> CloudEvent {
        let service = self.catalogue.service(event.service);
        let outage_id = outage_id(&service.id, event.opened_at);
        CloudEvent {
            id: format!("{outage_id}-{}", event.sequence),
            event_type: format!("groundswell.outage.{}.v1", event.kind.name()),
            subject: service.id.clone(),
            time: times::format(event.time),
            data: serde_json::to_string(&self.data(event, outage_id))
                .expect("strings and finite numbers always encode"),
        }
    }

    fn data(&self, event: &'a OutageEvent, outage_id: String) -> Data<'_> {
        let service = self.catalogue.service(event.service);
        let decision = &event.decision;
        let symptoms = event.scope.symptoms.iter().map(|&(symptom, n)| (symptom.name(), n));
        let languages = event.scope.languages.iter().map(|(language, n)| (language.as_str(), *n));
        let countries = event
            .scope
            .countries
            .iter()
            .filter_map(|(country, n)| Some((std::str::from_utf8(country).ok()?, *n)));
        Data {
            outage_id,
            sequence: event.sequence,
            service: &service.id,
            service_name: &service.name,
            category: &service.category,
            status: status(event.kind),
            severity: event.severity.name(),
            started_at: times::format(event.started_at),
            detected_at: times::format(event.detected_at),
            ended_at: event.ended_at.map(times::format),
            duration_s: event.ended_at.map(|end| end.ms_since(event.started_at) / 1000),
            end_reason: (event.kind == EventKind::Ended).then_some(if event.is_new_normal {
                "new_normal"
            } else {
                "recovered"
            }),
            observed: decision.observed,
            expected: decision.expected,
            ratio: f64::from(decision.observed) / decision.expected,
            evidence: decision.evidence,
            threshold: decision.threshold,
            unique_authors: decision.n_authors_recent,
            complaints: event.scope.n_complaints,
            peak: PeakData { at: times::format(event.peak.at), observed: event.peak.observed },
            symptoms: Counts(symptoms.collect()),
            languages: Counts(languages.collect()),
            countries: Counts(countries.collect()),
            depends_on: &service.depends_on,
            config_hash: &self.config_hash,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Identifies an outage: a service has at most one at a time, so its id and the minute that raised it are enough.
fn outage_id(service: &str, opened_at: EventTime) -> String {
    format!("{service}-{}", compact(opened_at))
}

/// A time without the marks between its numbers.
fn compact(time: EventTime) -> String {
    times::format(time).chars().filter(|&c| c != '-' && c != ':').collect()
}

/// What holds after the event.
fn status(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Suspected => "suspected",
        EventKind::Started | EventKind::Updated => "ongoing",
        EventKind::Ended => "ended",
        EventKind::Retracted => "retracted",
    }
}
