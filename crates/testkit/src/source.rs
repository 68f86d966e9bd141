//! What is posted about one service in one minute.
//!
//! Ordinary complaints and mentions come at the pace of people's day; failures and surges add to them. Counts are
//! drawn first and posts made after, each with its own moment inside the minute.

use std::collections::{BTreeMap, VecDeque};

use crate::corpus::{Kind, Language, Symptom};
use crate::dice::Dice;
use crate::incident::{Incident, Wave};
use crate::people;
use crate::rhythm::Pulse;
use crate::scenario::{Scenario, Service, SurgeTopic};
use crate::typing::type_out;
use crate::wording::{Subject, compose};

const MINUTE_MS: i64 = 60_000;
const MINUTES_AN_HOUR: f64 = 60.0;

/// Mentions vary more than complaints do: talk comes in threads.
const MENTION_DISPERSION_PHI: f64 = 1.6;

/// Share of each kind in ordinary mentions.
///
/// The kinds that a careless matcher would take for complaints (from `Negated` on) are kept at an eighth of all: rarer
/// and the fixture would not test them, commoner and it would not be an ordinary day.
const MENTION_SHARES: [(Kind, f64); 8] = [
    (Kind::Ordinary, 0.50),
    (Kind::Praise, 0.17),
    (Kind::Howto, 0.12),
    (Kind::Price, 0.08),
    (Kind::Negated, 0.015),
    (Kind::Hypothetical, 0.025),
    (Kind::Past, 0.03),
    (Kind::Figurative, 0.06),
];

/// Recent posts kept for reposting: people repeat what they have just read.
const RECENT_MAX: usize = 30;

/// A post before it is given an id and written down.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) service: usize,
    pub(crate) kind: Kind,
    pub(crate) event_ms: i64,
    pub(crate) author: String,
    pub(crate) text: String,
    pub(crate) language: Option<Language>,
    pub(crate) country: Option<&'static str>,
    pub(crate) source: Option<&'static str>,
    pub(crate) is_repost: bool,
    /// Whether it was sent to the service's own inbox, so that it carries the service's id.
    pub(crate) is_addressed: bool,
}

/// The posts about one service.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    scenario: &'a Scenario,
    service: &'a Service,
    position: usize,
    incidents: Vec<Incident>,
    waves: Vec<Wave>,
    usual: BTreeMap<Symptom, f64>,
    pulse: Pulse,
    dice: Dice,
    recent: VecDeque<(String, String)>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(scenario: &'a Scenario, position: usize, seed: u64) -> Self {
        let service = &scenario.services[position];
        Self {
            scenario,
            service,
            position,
            incidents: Incident::all(scenario).into_iter().filter(|i| i.service == position).collect(),
            waves: Wave::all(scenario).into_iter().filter(|wave| wave.concerns(position)).collect(),
            usual: service.topic.usual_symptoms(),
            pulse: Pulse::new(service),
            dice: Dice::new(seed, &service.id),
            recent: VecDeque::new(),
        }
    }

    /// Makes the posts of the minute `[minute_ms, minute_ms + 60000)`, in no particular order.
    pub(crate) fn posts_of(&mut self, minute_ms: i64) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let activity = self.pulse.at(minute_ms);
        let middle_ms = minute_ms + MINUTE_MS / 2;
        self.ordinary(minute_ms, middle_ms, activity, &mut drafts);
        for index in 0..self.waves.len() {
            self.surge(index, minute_ms, middle_ms, activity, &mut drafts);
        }
        let usual_rate = self.service.complaints_per_hour / MINUTES_AN_HOUR * activity;
        for index in 0..self.incidents.len() {
            let incident = self.incidents[index].clone();
            self.failure(&incident, minute_ms, middle_ms, usual_rate, &mut drafts);
            self.aftermath(&incident, minute_ms, middle_ms, usual_rate, &mut drafts);
        }
        drafts
    }

    fn ordinary(&mut self, minute_ms: i64, middle_ms: i64, activity: f64, drafts: &mut Vec<Draft>) {
        let style = &self.scenario.style;
        let factor: f64 = self.waves.iter().map(|wave| wave.complaints_factor(middle_ms)).product();
        let complaints = self.service.complaints_per_hour / MINUTES_AN_HOUR * activity * factor;
        for _ in 0..self.dice.overdispersed(complaints, style.dispersion_phi) {
            let usual = self.usual.clone();
            let kind = self.complaint(&usual, style.oblique_share);
            drafts.push(self.post(kind, minute_ms, None));
        }
        let mentions = self.service.mentions_per_hour / MINUTES_AN_HOUR * activity;
        for _ in 0..self.dice.overdispersed(mentions, MENTION_DISPERSION_PHI) {
            let draft = if self.dice.chance(style.repost_share) {
                self.repost(minute_ms)
            } else {
                let kind = self.mention();
                Some(self.post(kind, minute_ms, None))
            };
            drafts.extend(draft);
        }
    }

    /// Mostly talk about the event itself, and more of everything else.
    fn surge(
        &mut self,
        index: usize,
        minute_ms: i64,
        middle_ms: i64,
        activity: f64,
        drafts: &mut Vec<Draft>,
    ) {
        let wave = &self.waves[index];
        let about = match wave.about {
            SurgeTopic::Release => Kind::Release,
            SurgeTopic::Price => Kind::PriceRise,
        };
        let rate = self.service.mentions_per_hour / MINUTES_AN_HOUR * activity * wave.excess(middle_ms);
        for _ in 0..self.dice.overdispersed(rate, MENTION_DISPERSION_PHI) {
            let draft = match self.dice.unit() {
                share if share < 0.70 => Some(self.post(about, minute_ms, None)),
                share if share < 0.85 => self.repost(minute_ms),
                share if share < 0.92 => Some(self.post(Kind::Figurative, minute_ms, None)),
                _ => {
                    let kind = self.mention();
                    Some(self.post(kind, minute_ms, None))
                }
            };
            drafts.extend(draft);
        }
    }

    /// What people post because of a failure: complaints, and around them jokes, reposts and "works for me".
    fn failure(
        &mut self,
        incident: &Incident,
        minute_ms: i64,
        middle_ms: i64,
        usual_rate: f64,
        drafts: &mut Vec<Draft>,
    ) {
        let rate = usual_rate * incident.excess(middle_ms);
        if rate <= 0.0 {
            return;
        }
        let echo = &incident.echo;
        let symptoms = incident.symptoms(middle_ms, self.service.topic);
        for _ in 0..self.dice.overdispersed(rate, self.scenario.style.dispersion_phi) {
            let kind = if self.dice.chance(incident.blame_share) {
                Kind::Blame
            } else {
                self.complaint(&symptoms, echo.oblique_share)
            };
            drafts.push(self.post(kind, minute_ms, incident.provider));
        }
        for (kind, share) in [(Kind::Joke, echo.joke_share), (Kind::Negated, echo.unaffected_share)] {
            for _ in 0..self.dice.poisson(rate * share) {
                drafts.push(self.post(kind, minute_ms, incident.provider));
            }
        }
        for _ in 0..self.dice.poisson(rate * echo.repost_share) {
            drafts.extend(self.repost(minute_ms));
        }
    }

    /// What accounts of record post about a failure, and people's relief after it.
    fn aftermath(
        &mut self,
        incident: &Incident,
        minute_ms: i64,
        middle_ms: i64,
        usual_rate: f64,
        drafts: &mut Vec<Draft>,
    ) {
        for _ in 0..self.dice.poisson(usual_rate * incident.relief(middle_ms)) {
            drafts.push(self.post(Kind::Recovery, minute_ms, None));
        }
        if !incident.in_the_news(middle_ms) {
            return;
        }
        let (news, official) = if incident.lasts(middle_ms) {
            (Kind::News, Kind::Official)
        } else {
            (Kind::NewsFixed, Kind::OfficialFixed)
        };
        for (kind, per_hour) in
            [(news, incident.echo.news_per_hour), (official, incident.echo.official_per_hour)]
        {
            for _ in 0..self.dice.poisson(per_hour / MINUTES_AN_HOUR) {
                drafts.push(self.post(kind, minute_ms, incident.provider));
            }
        }
    }

    fn complaint(&mut self, symptoms: &BTreeMap<Symptom, f64>, oblique_share: f64) -> Kind {
        let chosen = self.dice.weighted(symptoms.values().copied());
        let symptom = symptoms.keys().nth(chosen).copied().unwrap_or(Symptom::Access);
        if self.dice.chance(oblique_share) { Kind::Oblique(symptom) } else { Kind::Complaint(symptom) }
    }

    fn mention(&mut self) -> Kind {
        MENTION_SHARES[self.dice.weighted(MENTION_SHARES.iter().map(|(_, share)| *share))].0
    }

    fn post(&mut self, kind: Kind, minute_ms: i64, provider: Option<usize>) -> Draft {
        let dice = &mut self.dice;
        let style = &self.scenario.style;
        let event_ms = minute_ms + dice.below(MINUTE_MS as usize) as i64;
        let (language, country) = self.pulse.place(dice);
        let provider = provider.map(|position| &self.scenario.services[position]);
        let wording = compose(dice, Subject { kind, language, service: self.service, provider });
        let language = wording.language;
        // A text that does not name the service reaches us mostly because it was sent to the service.
        let inbox_share = if wording.names_service { 0.03 } else { 0.7 };
        let is_addressed = kind.is_complaint() && dice.chance(inbox_share);
        let author = match kind {
            Kind::News | Kind::NewsFixed => people::news_author(dice),
            Kind::Official | Kind::OfficialFixed => self.service.handle.clone(),
            _ => people::author(dice, &self.scenario.people, self.service, language),
        };
        let text = type_out(dice, wording, kind, style.typo_share);
        self.recent.push_back((author.clone(), text.clone()));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        Draft {
            service: self.position,
            kind,
            event_ms,
            author,
            text,
            language: dice.chance(style.lang_share).then_some(language),
            country: dice.chance(style.country_share).then_some(country),
            source: place_of_posting(dice, is_addressed, style.source_share),
            is_repost: false,
            is_addressed,
        }
    }

    /// Repeats a recent post under another name; nothing while there is none.
    fn repost(&mut self, minute_ms: i64) -> Option<Draft> {
        if self.recent.is_empty() {
            return None;
        }
        let dice = &mut self.dice;
        let (author, text) = self.recent[dice.below(self.recent.len())].clone();
        let event_ms = minute_ms + dice.below(MINUTE_MS as usize) as i64;
        let (language, _) = self.pulse.place(dice);
        // Some clients mark a repost, some only quote it, some do both.
        let is_marked = dice.chance(0.8);
        let is_quoted = !is_marked || dice.chance(0.6);
        Some(Draft {
            service: self.position,
            kind: Kind::Repost,
            event_ms,
            author: people::author(dice, &self.scenario.people, self.service, language),
            text: if is_quoted { format!("RT @{author}: {text}") } else { text },
            language: None,
            country: None,
            source: place_of_posting(dice, false, self.scenario.style.source_share),
            is_repost: is_marked,
            is_addressed: false,
        })
    }
}

fn place_of_posting(dice: &mut Dice, is_addressed: bool, source_share: f64) -> Option<&'static str> {
    const INBOXES: [&str; 3] = ["app-review", "support-inbox", "app-review"];
    const NETWORKS: [&str; 6] = ["x", "x", "x", "bluesky", "mastodon", "reddit"];
    if is_addressed {
        return Some(*dice.pick(&INBOXES));
    }
    dice.chance(source_share).then(|| *dice.pick(&NETWORKS))
}
