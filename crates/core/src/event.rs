//! What the detector says: an event of an outage, as values. The wire format is the adapters' business.

use serde::{Deserialize, Serialize};

use crate::catalogue::ServiceIndex;
use crate::lexicon::Symptom;
use crate::matching::LanguageTag;
use crate::time::EventTime;

/// The kinds of event, in the order in which an outage gives them: suspected?, started?, updated\*, then ended or
/// retracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// Enough evidence for the lower tier.
    Suspected,
    /// Enough for the higher.
    Started,
    /// Something that matters has changed.
    Updated,
    /// The rate has come back and stayed.
    Ended,
    /// Suspected, but it came to nothing.
    Retracted,
}

impl EventKind {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Started => "started",
            Self::Updated => "updated",
            Self::Ended => "ended",
            Self::Retracted => "retracted",
        }
    }
}

/// How bad an outage has been at its worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Noticed.
    Minor,
    /// At least 5 times the expected rate and 2 complaints a minute more than it.
    Major,
    /// At least 10 times the expected rate and 10 complaints a minute more than it.
    Critical,
}

impl Severity {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }

    /// From the observed rate and the expected one, complaints a minute.
    pub(crate) fn of_rates(observed: f64, expected: f64) -> Self {
        let (ratio, excess) = (observed / expected, observed - expected);
        if ratio >= 10.0 && excess >= 10.0 {
            Self::Critical
        } else if ratio >= 5.0 && excess >= 2.0 {
            Self::Major
        } else {
            Self::Minor
        }
    }
}

/// The bin with the most complaints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    /// Its start.
    pub at: EventTime,
    /// Its complaints.
    pub observed: u32,
}

/// The numbers that decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Distinct complainers in the bin that decided.
    pub observed: u32,
    /// The null rate that evidence was taken against, complaints a bin.
    pub expected: f64,
    /// The strongest log-likelihood ratio, nats.
    pub evidence: f64,
    /// The threshold it is held against, nats.
    pub threshold: f64,
    /// Distinct people who complained in the hour up to the decision.
    pub n_authors_recent: u32,
}

/// How many complaints named what, since the evidence left zero. Each list is ordered: most first, then by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Complaints in all.
    pub n_complaints: u64,
    /// By symptom; a complaint may name several.
    pub symptoms: Vec<(Symptom, u64)>,
    /// By language.
    pub languages: Vec<(LanguageTag, u64)>,
    /// By country, where known.
    pub countries: Vec<([u8; 2], u64)>,
}

/// One event of an outage.
#[derive(Debug, Clone, PartialEq)]
pub struct OutageEvent {
    /// What happened.
    pub kind: EventKind,
    /// The service.
    pub service: ServiceIndex,
    /// The end of the bin that first raised this outage; with the service it identifies the outage, since a service
    /// has at most one at a time.
    pub opened_at: EventTime,
    /// 1 for the outage's first event, then one more each.
    pub sequence: u32,
    /// The end of the bin that decided this event.
    pub time: EventTime,
    /// The estimated onset.
    pub started_at: EventTime,
    /// The end of the bin that raised the outage to its present tier.
    pub detected_at: EventTime,
    /// The first instant at which the rate was back; in `ended` and `retracted`.
    pub ended_at: Option<EventTime>,
    /// Whether it ended because it lasted so long that its rate was taken for normal.
    pub is_new_normal: bool,
    /// The worst so far.
    pub severity: Severity,
    /// The numbers that decided.
    pub decision: Decision,
    /// The fullest bin so far.
    pub peak: Peak,
    /// What the complaints name.
    pub scope: Scope,
}

/// What can happen to the feed of posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FeedEventKind {
    /// Posts have stopped coming, or nearly so.
    Silent,
    /// They come again.
    Recovered,
}

impl FeedEventKind {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Recovered => "recovered",
        }
    }
}

/// Something happened to the feed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeedEvent {
    /// What happened.
    pub kind: FeedEventKind,
    /// The end of the bin that decided.
    pub time: EventTime,
    /// The first instant of the silence.
    pub since: EventTime,
    /// Posts in the bin that decided.
    pub observed: u64,
    /// Posts a bin before the silence.
    pub expected: f64,
}

/// Anything that a detector says.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Of a service.
    Outage(Box<OutageEvent>),
    /// Of the feed: while it is silent, nothing is said of services.
    Feed(FeedEvent),
}

impl OutageEvent {
    /// The same event with every time moved by `ms`: for bins that do not lie on multiples of their width.
    #[must_use]
    pub fn moved_by_ms(self, ms: i64) -> Self {
        Self {
            opened_at: self.opened_at.plus_ms(ms),
            time: self.time.plus_ms(ms),
            started_at: self.started_at.plus_ms(ms),
            detected_at: self.detected_at.plus_ms(ms),
            ended_at: self.ended_at.map(|end| end.plus_ms(ms)),
            peak: Peak { at: self.peak.at.plus_ms(ms), ..self.peak },
            ..self
        }
    }
}
