//! The stream: posts of all services in the order in which they arrive, as lines.
//!
//! Posts are made minute by minute and wait in a queue until nothing earlier can come any more; memory therefore
//! holds a few minutes of posts, however long the scenario. Ids are given at arrival, so they are unique and stable.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Serialize;
use serde_json::Value;

use crate::corpus::Kind;
use crate::dice::Dice;
use crate::incident::{Incident, Truth};
use crate::noise::{self, Fault};
use crate::scenario::Scenario;
use crate::source::{Draft, Source};

const MINUTE_MS: i64 = 60_000;
/// Mean time from posting to arrival: most posts are there within seconds.
const DELAY_MEAN_MS: f64 = 3_000.0;

/// One line of the stream, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The line as it is to be written, line end included; not always JSON, nor UTF-8.
    pub line: Vec<u8>,
    /// When it was really posted, in epoch milliseconds.
    pub event_ms: i64,
    /// When it arrives, in epoch milliseconds; never falls along the stream.
    pub arrival_ms: i64,
    /// Position in [`Scenario::services`] of the service it is about.
    pub service: usize,
    /// What it is.
    pub kind: Kind,
    /// What is wrong with the line; a repeated line has its fault twice.
    pub fault: Option<Fault>,
}

/// Starts a simulation: the stream of posts, and what really failed, in the order of the scenario.
///
/// The same scenario and seed give the same bytes on every platform.
pub fn simulate(scenario: &Scenario, seed: u64) -> (Posts<'_>, Vec<Truth>) {
    let truth = Incident::all(scenario).iter().map(|incident| incident.truth(scenario)).collect();
    (Posts::new(scenario, seed), truth)
}

/// The stream of posts of a scenario, in order of arrival.
#[derive(Debug)]
pub struct Posts<'a> {
    scenario: &'a Scenario,
    sources: Vec<Source<'a>>,
    /// Chance that belongs to the feed and not to what people post.
    feed: Dice,
    next_minute_ms: i64,
    waiting: BinaryHeap<Reverse<Waiting>>,
    n_drafts: u64,
    n_ids: u64,
}

/// A post under way; ordered by arrival, then by when it was made, which is unique.
#[derive(Debug)]
struct Waiting {
    arrival_ms: i64,
    number: u64,
    parcel: Parcel,
}

#[derive(Debug)]
enum Parcel {
    Draft(Box<Draft>, Option<Fault>),
    /// A line that has come before.
    Again(Box<Post>),
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrival_ms, self.number).cmp(&(other.arrival_ms, other.number))
    }
}

impl<'a> Posts<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> Self {
        Self {
            scenario,
            sources: (0..scenario.services.len())
                .map(|position| Source::new(scenario, position, seed))
                .collect(),
            // No service can have this name: ids are not empty.
            feed: Dice::new(seed, ""),
            next_minute_ms: scenario.start_ms,
            waiting: BinaryHeap::new(),
            n_drafts: 0,
            n_ids: 0,
        }
    }

    fn make_minute(&mut self) {
        let minute_ms = self.next_minute_ms;
        self.next_minute_ms += MINUTE_MS;
        for index in 0..self.sources.len() {
            for draft in self.sources[index].posts_of(minute_ms) {
                let fault = self.scenario.noise.fault(&mut self.feed);
                let delay_ms = self.delay_ms(fault);
                self.wait(draft.event_ms + delay_ms, Parcel::Draft(Box::new(draft), fault));
            }
        }
    }

    fn delay_ms(&mut self, fault: Option<Fault>) -> i64 {
        if fault == Some(Fault::Late) {
            return noise::lateness_ms(&mut self.feed);
        }
        let delay_ms = self.feed.exponential(DELAY_MEAN_MS);
        delay_ms.min(self.scenario.style.out_of_order_s_max * 1_000.0) as i64
    }

    fn wait(&mut self, arrival_ms: i64, parcel: Parcel) {
        self.n_drafts += 1;
        self.waiting.push(Reverse(Waiting { arrival_ms, number: self.n_drafts, parcel }));
    }

    /// Whether the first waiting post is surely the next: later minutes bring only later arrivals.
    fn is_settled(&self) -> bool {
        let is_last = self.next_minute_ms >= self.scenario.end_ms;
        self.waiting
            .peek()
            .map_or(is_last, |Reverse(first)| is_last || first.arrival_ms < self.next_minute_ms)
    }

    fn write(&mut self, arrival_ms: i64, draft: Draft, fault: Option<Fault>) -> Post {
        let mut line = self.line_of(&draft, fault);
        let noise = &self.scenario.noise;
        line.extend_from_slice(if self.feed.chance(noise.crlf) { b"\r\n" } else { b"\n" });
        if self.feed.chance(noise.empty_line) {
            line.push(b'\n');
        }
        Post { line, event_ms: draft.event_ms, arrival_ms, service: draft.service, kind: draft.kind, fault }
    }

    fn line_of(&mut self, draft: &Draft, fault: Option<Fault>) -> Vec<u8> {
        self.n_ids += 1;
        let service = &self.scenario.services[draft.service];
        let mut record = Record {
            id: Some(Value::from(format!("p{:07}", self.n_ids))),
            created_at: Some(self.created_at(draft.event_ms, fault)),
            author: Some(Value::from(draft.author.as_str())),
            text: Some(Value::from(noise::carried_text(fault, draft.text.clone()))),
            lang: draft.language.map(|language| language.tag()),
            country: draft.country,
            is_repost: draft.is_repost,
            source: draft.source,
            service: draft.is_addressed.then_some(service.id.as_str()),
        };
        if fault == Some(Fault::MissingField) {
            record.lose_a_field(&mut self.feed);
        }
        let line = serde_json::to_string(&record).expect("strings and numbers are always JSON");
        match fault {
            Some(Fault::MalformedJson) => noise::malformed(&mut self.feed, &line),
            Some(Fault::InvalidUtf8) => noise::invalid_utf8(&mut self.feed, &line),
            _ => line.into_bytes(),
        }
    }

    fn created_at(&mut self, event_ms: i64, fault: Option<Fault>) -> Value {
        if fault == Some(Fault::BadTime) {
            return noise::bad_time(&mut self.feed);
        }
        let claimed_ms = noise::claimed_ms(&mut self.feed, fault, event_ms);
        if self.feed.chance(self.scenario.noise.epoch_ms) {
            return Value::from(claimed_ms);
        }
        let has_offset = self.feed.chance(self.scenario.noise.offset_time);
        let offset_hours = if has_offset { *self.feed.pick(&[-5_i8, -3, 1, 2, 9]) } else { 0 };
        Value::from(rfc3339(claimed_ms, offset_hours))
    }
}

impl Iterator for Posts<'_> {
    type Item = Post;

    fn next(&mut self) -> Option<Post> {
        while !self.is_settled() {
            self.make_minute();
        }
        let Reverse(Waiting { arrival_ms, parcel, .. }) = self.waiting.pop()?;
        let (draft, fault) = match parcel {
            Parcel::Again(post) => return Some(*post),
            Parcel::Draft(draft, fault) => (*draft, fault),
        };
        let post = self.write(arrival_ms, draft, fault);
        if fault == Some(Fault::Duplicate) {
            let again_ms = arrival_ms + self.feed.exponential(DELAY_MEAN_MS) as i64;
            self.wait(again_ms, Parcel::Again(Box::new(Post { arrival_ms: again_ms, ..post.clone() })));
        }
        Some(post)
    }
}

/// A post as it is written; fields in this order, absent ones left out.
#[derive(Debug, Serialize)]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lang: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_repost: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
}

impl Record<'_> {
    /// Leaves one needed field out, or puts something there that is not a string.
    fn lose_a_field(&mut self, dice: &mut Dice) {
        let field = match dice.below(4) {
            0 => &mut self.id,
            1 => &mut self.created_at,
            2 => &mut self.author,
            _ => &mut self.text,
        };
        *field = dice.chance(0.3).then_some(Value::Null);
    }
}

fn rfc3339(time_ms: i64, offset_hours: i8) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).expect(
        "scenarios start in or after 1970 and last ten years, claims go five years back and one ahead",
    );
    if offset_hours == 0 {
        return format!("{time:.3}");
    }
    format!("{:.3}", time.display_with_offset(jiff::tz::Offset::constant(offset_hours)))
}

#[cfg(test)]
mod tests;
