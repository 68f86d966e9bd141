//! The rules that make a phrase count or set it aside, one phrase at a time.
//!
//! Each phrase of the lexicon that stands in a text becomes a [`Finding`] with exactly one [`Verdict`]. Rules look at
//! words, clauses and sentences around the phrase only; what a post comes to is for [`crate::judgement`] to add up.
//! Keeping the rejected findings costs nothing on the many posts that have none, and makes an explanation the very
//! computation that decided, not a second one that could drift from it.

use crate::catalogue::ServiceIndex;
use crate::lexicon::{Symptom, Tier};
use crate::matching::{Index, LanguageTag, Mark, Marker, Mention, Phrase, Scan};
use crate::phrases::{Hit, folded_key};

/// A tier A phrase must stand within this many words of the name ("spotify *in germany now* is down").
const BESIDE_WORDS_MAX: usize = 3;
/// A negation reaches a phrase that begins within this many words after it ("not *that it is* down").
const NEGATION_WORDS_MAX: usize = 3;
/// Names with at most this many words between them share what is said of either ("x *and* y are down").
const COORDINATION_WORDS_MAX: usize = 1;

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
    pub(crate) phrase: PhraseId,
    /// The words `[start, end)`.
    pub(crate) words: (usize, usize),
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

/// Which phrase was found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PhraseId {
    Lexicon(u32),
    /// `#Xdown`: name and phrase in one word.
    Hashtag,
}

/// Judges every phrase that `scan` found; `addressed` is the service that the post is addressed to, if any.
pub(crate) fn find(
    index: &Index,
    scan: &Scan,
    post_language: Option<LanguageTag>,
    addressed: Option<ServiceIndex>,
    findings: &mut Vec<Finding>,
) {
    let markers = scan.hits.iter().filter_map(|hit| match hit.value {
        Mark::Marker(marker, language) if index.speaks(post_language, language) => Some((marker, hit)),
        _ => None,
    });
    let context = Context { index, scan, markers: markers.collect(), post_language, addressed };
    for hit in &scan.hits {
        if let Mark::Phrase(id) = hit.value
            && index.speaks(post_language, index.phrase(id).language)
            && (!index.phrase(id).ends_sentence || context.ends_sentence(hit))
        {
            context.judge_phrase(id, hit, findings);
        }
    }
    for mention in &scan.mentions {
        if let Some(language) = mention.says_down {
            findings.push(Finding {
                phrase: PhraseId::Hashtag,
                words: (mention.start, mention.end),
                service: Some(mention.service),
                weight: Tier::A.weight(),
                symptom: Symptom::Access,
                tier: Tier::A,
                language,
                verdict: context.set_aside(mention.start, mention.end, None).unwrap_or(Verdict::Counts),
            });
        }
    }
}

/// Everything that a phrase's verdict depends on.
struct Context<'a> {
    index: &'a Index,
    scan: &'a Scan,
    /// The markers of the languages that the post is read in.
    markers: Vec<(Marker, &'a Hit<Mark>)>,
    post_language: Option<LanguageTag>,
    addressed: Option<ServiceIndex>,
}

impl Context<'_> {
    /// One finding for each service that the phrase is about, or a single one without.
    fn judge_phrase(&self, id: u32, hit: &Hit<Mark>, findings: &mut Vec<Finding>) {
        let phrase = self.index.phrase(id);
        let set_aside = self.set_aside(hit.start, hit.end, Some(phrase));
        let mut push = |service, weight, verdict| {
            let words = (hit.start, hit.end);
            let (tier, symptom, language) = (phrase.tier, phrase.symptom, phrase.language);
            let is_same =
                |other: &&mut Finding| (other.words, other.tier, other.service) == (words, tier, service);
            match findings.iter_mut().find(is_same) {
                // Languages share words, and a word counts once: as English if it is that, which lent it.
                Some(same) if language == LanguageTag::ENGLISH => same.language = language,
                Some(_) => {}
                None => findings.push(Finding {
                    phrase: PhraseId::Lexicon(id),
                    words,
                    service,
                    weight,
                    symptom,
                    tier,
                    language,
                    verdict,
                }),
            }
        };
        if let Some(service) = self.addressed {
            return push(Some(service), phrase.tier.weight(), set_aside.unwrap_or(Verdict::Counts));
        }
        let about = mentions_spoken_of(self.scan, (hit.start, hit.end));
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

    fn ends_sentence(&self, hit: &Hit<Mark>) -> bool {
        let words = self.scan.text.words();
        words.get(hit.end).is_none_or(|next| next.sentence != words[hit.start].sentence)
    }

    /// A tier A phrase is worth 1 beside the name and half of that in its sentence; elsewhere it is too likely to be
    /// about something else.
    fn weight_at(&self, tier: Tier, hit: &Hit<Mark>, mention: &Mention) -> f64 {
        let words = self.scan.text.words();
        let in_one_sentence = || words[mention.start].sentence == words[hit.start].sentence;
        match tier {
            Tier::A if words_between(mention, hit.start, hit.end) <= BESIDE_WORDS_MAX => Tier::A.weight(),
            Tier::A if in_one_sentence() => Tier::B.weight(),
            Tier::A => 0.0,
            Tier::B | Tier::C => tier.weight(),
        }
    }

    /// The rule that sets words `[start, end)` aside, if any; `phrase` is what they matched, or a hashtag.
    fn set_aside(&self, start: usize, end: usize, phrase: Option<&Phrase>) -> Option<Verdict> {
        let words = self.scan.text.words();
        let sentence = words[start].sentence;
        let clause = words[start].clause;
        let mut found: Option<Verdict> = None;
        let mut offer = |verdict: Verdict| {
            if found.is_none_or(|earlier| (verdict as u8) < (earlier as u8)) {
                found = Some(verdict);
            }
        };
        for &(marker, hit) in &self.markers {
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
                        && words[hit.start].clause == clause
                        && !self.is_of_phrase_before(hit, start) =>
                {
                    offer(Verdict::Negated);
                }
                // "is * down" takes "is not down" in, and the words that fill a gap may deny it.
                Marker::Negation if is_inside && phrase.is_some_and(|phrase| self.fills_gap(phrase, hit)) => {
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

    /// Whether `negation` is a word of a complaint that ends before `start`, and denies nothing behind it: "is not working
    /// and can't log in".
    fn is_of_phrase_before(&self, negation: &Hit<Mark>, start: usize) -> bool {
        self.scan.hits.iter().any(|hit| {
            let Mark::Phrase(id) = hit.value else { return false };
            let phrase = self.index.phrase(id);
            let holds = hit.start <= negation.start && negation.end <= hit.end;
            holds
                && hit.end <= start
                && self.index.speaks(self.post_language, phrase.language)
                && !self.fills_gap(phrase, negation)
        })
    }

    /// Whether a hit inside the words that `phrase` matched fills a gap of it, rather than being one of its own words.
    fn fills_gap(&self, phrase: &Phrase, hit: &Hit<Mark>) -> bool {
        let first = self.scan.text.letters(&self.scan.text.words()[hit.start]);
        phrase.text.contains('*') && folded_key(&phrase.text).split(' ').all(|word| word != first)
    }

    /// Whether a recovery is denied: "not back up yet".
    fn is_negated(&self, recovery: &Hit<Mark>) -> bool {
        self.scan.hits.iter().any(|hit| {
            matches!(hit.value, Mark::Marker(Marker::Negation, _))
                && hit.end <= recovery.start
                && recovery.start - hit.end < NEGATION_WORDS_MAX
        })
    }
}

/// The mentions that words `[start, end)` speak of: the only service named, or else the nearest name before them in their
/// sentence, then the nearest after them, then the first; with the names joined to that one ("x and y").
pub(crate) fn mentions_spoken_of(scan: &Scan, (start, end): (usize, usize)) -> Vec<&Mention> {
    let mentions = &scan.mentions;
    let Some(first) = mentions.first() else { return Vec::new() };
    if mentions.iter().all(|mention| mention.service == first.service) {
        return mentions
            .iter()
            .min_by_key(|mention| words_between(mention, start, end))
            .into_iter()
            .collect();
    }
    let words = scan.text.words();
    let sentence = words[start].sentence;
    let here = |mention: &&Mention| words[mention.start].sentence == sentence;
    let before = mentions.iter().filter(here).rfind(|mention| mention.start < end);
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

fn words_between(mention: &Mention, start: usize, end: usize) -> usize {
    if mention.end <= start { start - mention.end } else { mention.start.saturating_sub(end) }
}
