//! Decides whether a post complains, about which services, and of what.
//!
//! Each phrase of the lexicon that stands in the text becomes a [`Finding`] with exactly one [`Verdict`]: it counts,
//! or a named rule sets it aside. A service gets the weight of its strongest counting phrase of tier A or B, plus 0.2
//! for each further one of tier C; the post complains about it from a weight of 0.5. Rules are tried in the order of
//! [`Verdict`], and the first that applies is the reason that `explain` gives.
//!
//! Keeping the rejected findings costs nothing on the many posts that have none, and makes the explanation the very
//! computation that decided, not a second one that could drift from it.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::catalogue::{Catalogue, ServiceIndex};
use crate::lexicon::{Lexicon, Symptom, Tier};
use crate::matching::{Index, LanguageTag, Mark, Marker, Mention, Scan};
use crate::phrases::Hit;
use crate::post::{Outcome, Post, TEXT_BYTES_MAX};
use crate::time::EventTime;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// A post counts from this weight on (DESIGN §5).
const WEIGHT_MIN: f64 = 0.5;
/// A tier A phrase must stand within this many words of the name ("spotify *in germany now* is down").
const BESIDE_WORDS_MAX: usize = 3;
/// A negation reaches a phrase that begins within this many words after it ("not *that it is* down").
const NEGATION_WORDS_MAX: usize = 3;
/// Names with at most this many words between them share what is said of either ("x *and* y are down").
const COORDINATION_WORDS_MAX: usize = 1;
/// Texts from this many characters on are the same only if copied; short ones ("spotify down") are not.
const LONG_TEXT_CHARS: usize = 40;

/// The key of the author hash: 16 bytes, one for each deployment.
pub type AuthorKey = [u8; 16];

/// A set of symptoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Symptoms(u16);

impl Symptoms {
    /// Adds `symptom`.
    pub fn insert(&mut self, symptom: Symptom) {
        self.0 |= 1 << symptom as u16;
    }

    /// The symptoms in the set.
    pub fn iter(self) -> impl Iterator<Item = Symptom> {
        Symptom::ALL.iter().copied().filter(move |&symptom| self.0 & (1 << symptom as u16) != 0)
    }
}

/// A complaining post; all that the detector needs to know of it. The order is that in which complaints of one bin are
/// taken, whatever order they arrived in: by time, then by id, and then by the rest so that no two differ unordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Complaint {
    /// When it was posted.
    pub event_time: EventTime,
    /// The post's id.
    pub post_id: Box<str>,
    /// Keyed hash of the author; of the post id where the author is unknown.
    pub author: u64,
    /// Keyed hash of the folded text, for texts long enough to be copies.
    pub long_text: Option<u64>,
    /// The services complained about, each once, and what fails.
    pub about: Vec<(ServiceIndex, Symptoms)>,
    /// Language of the post, or of the phrase that decided.
    pub language: LanguageTag,
    /// Country of the post, upper case.
    pub country: Option<[u8; 2]>,
}

/// Why a finding counts or not. The order is the order in which the rules are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Counts,
    /// Its words are part of a phrase that means something else.
    Figurative,
    /// It is denied.
    Negated,
    /// It stands beside a past or hypothetical expression.
    NotNow,
    /// The post reports what others say.
    News,
    /// The post says that the service works again.
    Recovered,
    /// A tier A phrase too far from the service's name.
    TooFar,
    /// A tier C phrase without one of tier A or B.
    Alone,
    /// The post names no service that it could be about.
    NoService,
}

impl Verdict {
    /// The stable name, as in `explain --json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Figurative => "figurative",
            Self::Negated => "negated",
            Self::NotNow => "not_now",
            Self::News => "news",
            Self::Recovered => "recovered",
            Self::TooFar => "too_far",
            Self::Alone => "alone",
            Self::NoService => "no_service",
        }
    }
}

/// A phrase found in a text, and what was made of it.
#[derive(Debug, Clone, Copy)]
pub struct Finding {
    phrase: PhraseId,
    start: usize,
    end: usize,
    /// The service that it is about, if any.
    pub service: Option<ServiceIndex>,
    /// Its weight by itself.
    pub weight: f64,
    /// What fails.
    pub symptom: Symptom,
    /// Its tier.
    pub tier: Tier,
    /// The language that it was found in.
    pub language: LanguageTag,
    /// Whether it counts, and why not.
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy)]
enum PhraseId {
    Lexicon(u32),
    /// `#Xdown`: name and phrase in one word.
    Hashtag,
}

/// A service complained about, as `explain` reports it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accusation {
    /// The service.
    pub service: ServiceIndex,
    /// Total weight, at most 1.
    pub weight: f64,
    /// The symptom of the strongest phrase.
    pub symptom: Symptom,
    /// Every symptom named.
    pub symptoms: Symptoms,
    /// The language of the strongest phrase.
    pub language: LanguageTag,
}

/// What was made of one post. Reused from post to post.
#[derive(Debug, Default)]
pub struct Judgement {
    scan: Scan,
    findings: Vec<Finding>,
    accusations: Vec<Accusation>,
    complaint: Option<Complaint>,
}

impl Judgement {
    /// Every phrase that was found, with its verdict.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The services complained about.
    pub fn accusations(&self) -> &[Accusation] {
        &self.accusations
    }

    /// The services that the text names, in the order of the words, each once.
    pub fn mentioned(&self) -> Vec<ServiceIndex> {
        let mut seen = Vec::new();
        for mention in &self.scan.mentions {
            if !seen.contains(&mention.service) {
                seen.push(mention.service);
            }
        }
        seen
    }

    /// Takes the complaint out, if the post is one.
    pub fn take_complaint(&mut self) -> Option<Complaint> {
        self.complaint.take()
    }
}

/// Judges posts against a catalogue and a lexicon.
#[derive(Debug)]
pub struct Judge {
    index: Index,
    services: FxHashMap<Box<str>, ServiceIndex>,
    /// Author names that speak for a service.
    official: FxHashMap<Box<str>, Vec<ServiceIndex>>,
    author_key: AuthorKey,
}

impl Judge {
    /// Compiles `catalogue` and `lexicon`.
    pub fn new(catalogue: &Catalogue, lexicon: &Lexicon, author_key: AuthorKey) -> Self {
        let mut services = FxHashMap::default();
        let mut official: FxHashMap<Box<str>, Vec<ServiceIndex>> = FxHashMap::default();
        for (position, service) in catalogue.services().iter().enumerate() {
            let index = ServiceIndex::of(position);
            services.insert(service.id.as_str().into(), index);
            for name in &service.official {
                let name = name.trim_start_matches('@').to_lowercase();
                official.entry(name.into()).or_default().push(index);
            }
        }
        Self { index: Index::new(catalogue, lexicon), services, official, author_key }
    }

    /// Judges `post`. The outcome is [`Outcome::Complaint`] if and only if `judgement` holds a complaint; whether it
    /// counts is for the window to say, which knows the author's other posts.
    pub fn judge(&self, post: &Post<'_>, judgement: &mut Judgement) -> Outcome {
        judgement.findings.clear();
        judgement.accusations.clear();
        judgement.complaint = None;
        judgement.scan.mentions.clear();
        if post.text.len() > TEXT_BYTES_MAX {
            return Outcome::TooLong;
        }
        let addressed = match post.service.map(|id| self.services.get(id)) {
            Some(None) => return Outcome::UnknownService,
            Some(Some(&service)) => Some(service),
            None => None,
        };
        self.index.scan(post.text, &mut judgement.scan);
        let Judgement { scan, findings, accusations, .. } = &mut *judgement;
        if addressed.is_none() && scan.mentions.is_empty() {
            return Outcome::NoService;
        }
        if post.is_repost || post.text.starts_with("RT @") {
            return Outcome::Repost;
        }
        if self.is_official(post.author, addressed, &scan.mentions) {
            return Outcome::Official;
        }
        self.find(post, addressed, scan, findings);
        weigh(findings, accusations);
        if accusations.is_empty() {
            return outcome_without_complaint(scan, findings);
        }
        self.write_complaint(post, judgement);
        Outcome::Complaint
    }

    /// Judges `post` as [`Judge::judge`] does, and finds the phrases also where nothing could come of them, because no
    /// service is named or the account's words do not count.
    pub fn explain(&self, post: &Post<'_>, judgement: &mut Judgement) -> Outcome {
        let outcome = self.judge(post, judgement);
        if matches!(outcome, Outcome::NoService | Outcome::Repost | Outcome::Official) {
            let addressed = post.service.and_then(|id| self.services.get(id)).copied();
            self.find(post, addressed, &judgement.scan, &mut judgement.findings);
        }
        outcome
    }

    /// The text of the phrase behind `finding`.
    pub fn phrase_text(&self, finding: &Finding) -> &str {
        match finding.phrase {
            PhraseId::Lexicon(id) => &self.index.phrase(id).text,
            PhraseId::Hashtag => "#…down",
        }
    }

    fn is_official(&self, author: &str, addressed: Option<ServiceIndex>, mentions: &[Mention]) -> bool {
        if author.is_empty() || self.official.is_empty() {
            return false;
        }
        let speaks_for = self.official.get(author.trim_start_matches('@').to_lowercase().as_str());
        speaks_for.is_some_and(|services| {
            addressed.into_iter().chain(mentions.iter().map(|m| m.service)).any(|s| services.contains(&s))
        })
    }

    fn find(&self, post: &Post<'_>, addressed: Option<ServiceIndex>, scan: &Scan, findings: &mut Vec<Finding>) {
        let post_language = post.lang.map(LanguageTag::primary_of);
        let context = Context { index: &self.index, scan, post_language, addressed };
        for hit in &scan.hits {
            if let Mark::Phrase(id) = hit.value {
                let phrase = self.index.phrase(id);
                if self.index.speaks(post_language, phrase.language) {
                    context.judge_phrase(id, hit, findings);
                }
            }
        }
        for mention in &scan.mentions {
            if let Some(language) = mention.says_down {
                findings.push(Finding {
                    phrase: PhraseId::Hashtag,
                    start: mention.start,
                    end: mention.end,
                    service: Some(mention.service),
                    weight: Tier::A.weight(),
                    symptom: Symptom::Access,
                    tier: Tier::A,
                    language,
                    verdict: context.set_aside(mention.start, mention.end).unwrap_or(Verdict::Counts),
                });
            }
        }
    }

    fn write_complaint(&self, post: &Post<'_>, judgement: &mut Judgement) {
        let author = match post.author {
            "" => self.hash(b"post", post.id.as_bytes()),
            author => self.hash(b"author", author.as_bytes()),
        };
        let long_text = self.long_text_hash(post.text, &judgement.scan);
        let language = match post.lang {
            Some(tag) => LanguageTag::primary_of(tag),
            None => judgement.accusations.first().map_or(LanguageTag::UNDETERMINED, |a| a.language),
        };
        judgement.complaint = Some(Complaint {
            event_time: post.event_time,
            post_id: post.id.into(),
            author,
            long_text,
            about: judgement.accusations.iter().map(|a| (a.service, a.symptoms)).collect(),
            language,
            country: post.country.and_then(country_code),
        });
    }

    /// Links are left out: copies of one text differ in their shortened links.
    fn long_text_hash(&self, text: &str, scan: &Scan) -> Option<u64> {
        if text.chars().count() < LONG_TEXT_CHARS {
            return None;
        }
        let mut hasher = SipHasher13::new_with_key(&self.author_key);
        hasher.write(b"text");
        for word in scan.text.words().iter().filter(|word| word.kind != crate::fold::WordKind::Host) {
            hasher.write(scan.text.letters(word).as_bytes());
            hasher.write_u8(b' ');
        }
        Some(hasher.finish())
    }

    fn hash(&self, domain: &[u8], bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.author_key);
        hasher.write(domain);
        hasher.write(bytes);
        hasher.finish()
    }
}

fn country_code(country: &str) -> Option<[u8; 2]> {
    let letters: [u8; 2] = country.as_bytes().try_into().ok()?;
    letters.iter().all(u8::is_ascii_alphabetic).then(|| letters.map(|letter| letter.to_ascii_uppercase()))
}

/// Everything that a phrase's verdict depends on.
struct Context<'a> {
    index: &'a Index,
    scan: &'a Scan,
    post_language: Option<LanguageTag>,
    addressed: Option<ServiceIndex>,
}

impl Context<'_> {
    /// One finding for each service that the phrase is about, or a single one without.
    fn judge_phrase(&self, id: u32, hit: &Hit<Mark>, findings: &mut Vec<Finding>) {
        let phrase = self.index.phrase(id);
        let set_aside = self.set_aside(hit.start, hit.end);
        let mut push = |service, weight, verdict| {
            findings.push(Finding {
                phrase: PhraseId::Lexicon(id),
                start: hit.start,
                end: hit.end,
                service,
                weight,
                symptom: phrase.symptom,
                tier: phrase.tier,
                language: phrase.language,
                verdict,
            });
        };
        if let Some(service) = self.addressed {
            return push(Some(service), phrase.tier.weight(), set_aside.unwrap_or(Verdict::Counts));
        }
        let about = self.mentions_spoken_of(hit);
        if about.is_empty() {
            return push(None, phrase.tier.weight(), set_aside.unwrap_or(Verdict::NoService));
        }
        for mention in about {
            let weight = self.weight_at(phrase.tier, hit, mention);
            let verdict = match set_aside {
                Some(verdict) => verdict,
                None if weight == 0.0 => Verdict::TooFar,
                None => Verdict::Counts,
            };
            push(Some(mention.service), weight, verdict);
        }
    }

    /// A tier A phrase is worth 1 beside the name and half of that in its sentence; elsewhere it is too likely to be
    /// about something else.
    fn weight_at(&self, tier: Tier, hit: &Hit<Mark>, mention: &Mention) -> f64 {
        let words = self.scan.text.words();
        let in_one_sentence = || words[mention.start].sentence == words[hit.start].sentence;
        match tier {
            Tier::A if words_between(mention, hit) <= BESIDE_WORDS_MAX => Tier::A.weight(),
            Tier::A if in_one_sentence() => Tier::B.weight(),
            Tier::A => 0.0,
            Tier::B | Tier::C => tier.weight(),
        }
    }

    /// The rule that sets words `[start, end)` aside, if any.
    fn set_aside(&self, start: usize, end: usize) -> Option<Verdict> {
        let words = self.scan.text.words();
        let sentence = words[start].sentence;
        let clause = words[start].clause;
        let mut found: Option<Verdict> = None;
        let mut offer = |verdict: Verdict| {
            if found.is_none_or(|earlier| (verdict as u8) < (earlier as u8)) {
                found = Some(verdict);
            }
        };
        for hit in &self.scan.hits {
            let Mark::Marker(marker, language) = hit.value else { continue };
            if !self.index.speaks(self.post_language, language) {
                continue;
            }
            let overlaps = hit.start < end && start < hit.end;
            let is_inside = start <= hit.start && hit.end <= end;
            match marker {
                // A phrase that holds the whole expression knows better: "is down for me" against "down for".
                Marker::Figurative if overlaps && !(is_inside && end - start > hit.end - hit.start) => {
                    offer(Verdict::Figurative);
                }
                Marker::Negation
                    if hit.end <= start
                        && start - hit.end < NEGATION_WORDS_MAX
                        && words[hit.start].clause == clause =>
                {
                    offer(Verdict::Negated);
                }
                Marker::NotNow if words[hit.start].sentence == sentence => offer(Verdict::NotNow),
                Marker::News if self.addressed.is_none() => offer(Verdict::News),
                // What is said in a later sentence is newer: "it's back up. nope, down again".
                Marker::Recovery
                    if !is_inside && sentence <= words[hit.start].sentence && !self.is_negated(hit) =>
                {
                    offer(Verdict::Recovered);
                }
                Marker::Figurative | Marker::Negation | Marker::NotNow | Marker::News | Marker::Recovery => {}
            }
        }
        found
    }

    /// Whether a recovery is denied: "not back up yet".
    fn is_negated(&self, recovery: &Hit<Mark>) -> bool {
        self.scan.hits.iter().any(|hit| {
            matches!(hit.value, Mark::Marker(Marker::Negation, _))
                && hit.end <= recovery.start
                && recovery.start - hit.end < NEGATION_WORDS_MAX
        })
    }

    /// The mentions that a phrase speaks of: the only service named, or else the nearest name before it in its
    /// sentence, then the nearest after it, then the first; with the names joined to that one ("x and y").
    fn mentions_spoken_of(&self, hit: &Hit<Mark>) -> Vec<&Mention> {
        let mentions = &self.scan.mentions;
        let Some(first) = mentions.first() else { return Vec::new() };
        if mentions.iter().all(|mention| mention.service == first.service) {
            return mentions.iter().min_by_key(|mention| words_between(mention, hit)).into_iter().collect();
        }
        let words = self.scan.text.words();
        let sentence = words[hit.start].sentence;
        let here = |mention: &&Mention| words[mention.start].sentence == sentence;
        let before = mentions.iter().filter(here).filter(|mention| mention.start < hit.end).next_back();
        let Some(nearest) = before.or_else(|| mentions.iter().find(here)).or(Some(first)) else {
            return Vec::new();
        };
        let mut joined = vec![nearest];
        for mention in mentions.iter().rev().filter(|mention| mention.end <= nearest.start) {
            let next = joined.last().expect("starts with one");
            if next.start - mention.end.min(next.start) > COORDINATION_WORDS_MAX {
                break;
            }
            if joined.iter().all(|known| known.service != mention.service) {
                joined.push(mention);
            }
        }
        joined
    }
}

fn words_between(mention: &Mention, hit: &Hit<Mark>) -> usize {
    if mention.end <= hit.start { hit.start - mention.end } else { mention.start.saturating_sub(hit.end) }
}

/// Adds up the counting findings for each service; those of tier C count only beside one of tier A or B.
fn weigh(findings: &mut [Finding], accusations: &mut Vec<Accusation>) {
    for finding in findings.iter().filter(|finding| finding.verdict == Verdict::Counts) {
        let Some(service) = finding.service else { continue };
        if finding.tier == Tier::C {
            continue;
        }
        let stronger = |known: &Accusation| {
            (finding.weight, std::cmp::Reverse(finding.symptom)) > (known.weight, std::cmp::Reverse(known.symptom))
        };
        let accusation = Accusation {
            service,
            weight: finding.weight,
            symptom: finding.symptom,
            symptoms: Symptoms::default(),
            language: finding.language,
        };
        match accusations.iter_mut().find(|known| known.service == service) {
            Some(known) if stronger(known) => *known = accusation,
            Some(_) => {}
            None => accusations.push(accusation),
        }
    }
    for finding in findings.iter_mut().filter(|finding| finding.verdict == Verdict::Counts) {
        match accusations.iter_mut().find(|known| Some(known.service) == finding.service) {
            Some(known) => {
                known.symptoms.insert(finding.symptom);
                if finding.tier == Tier::C {
                    known.weight = (known.weight + finding.weight).min(1.0);
                }
            }
            None => finding.verdict = Verdict::Alone,
        }
    }
    accusations.retain(|accusation| accusation.weight >= WEIGHT_MIN);
    accusations.sort_by_key(|accusation| accusation.service);
}

/// The outcome of a post that names a service but complains of none: the rule that set its phrases aside.
fn outcome_without_complaint(scan: &Scan, findings: &[Finding]) -> Outcome {
    let aside = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let says_recovered =
        scan.hits.iter().any(|hit| matches!(hit.value, Mark::Marker(Marker::Recovery, _)));
    if aside(Verdict::News) {
        Outcome::News
    } else if aside(Verdict::Recovered) || (says_recovered && findings.is_empty()) {
        Outcome::Recovery
    } else if aside(Verdict::Negated) {
        Outcome::Negated
    } else if aside(Verdict::NotNow) {
        Outcome::NotNow
    } else {
        Outcome::NoComplaint
    }
}
