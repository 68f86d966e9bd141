//! What the words of a post add to the weight that the rules give it.
//!
//! Rules find the wordings that somebody thought of. People have more: "no bars", "spins and spins", "not a single mail
//! goes out". A linear model over words, pairs of words and beginnings of words weighs them all at once, and what the
//! rules set aside as well: a logistic regression whose log-odds are, for a post of weight *w* by the rules and the cues
//! *c* in it,
//!
//! > [`LOG_ODDS_PER_WEIGHT`] · (w + Σ weight(c) − ½)
//!
//! so that cues are in the unit of the tiers, and a language without cues is judged by its rules alone. `crates/trainer`
//! fits the weights with an L2 penalty (Hastie, Tibshirani, Friedman, *The Elements of Statistical Learning*, 2nd ed.,
//! §4.4) and writes them down as lexicon files.

use serde::{Deserialize, Serialize};

use crate::findings::{Finding, Verdict};
use crate::fold::{FoldedText, WordKind, is_unspaced};
use crate::lexicon::{Symptom, Tier};
use crate::matching::{Index, LanguageTag, Mark, Marker, Mention, Scan};

/// The scale between weights and log-odds.
pub const LOG_ODDS_PER_WEIGHT: f64 = 2.0;
/// How many letters of a word are looked up as its beginning, in scripts that part words by spaces.
pub(crate) const PREFIX_LETTERS: [usize; 2] = [4, 6];
/// The most words of a cue.
const CUE_WORDS_MAX: usize = 2;
/// The most characters of a cue in scripts without spaces.
const CUE_CHARACTERS_MAX: usize = 4;

macro_rules! signs {
    ($($variant:ident $name:literal $doc:literal,)+) => {
        /// Something that the rules found in a post.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Sign {
            $(#[doc = $doc] $variant,)+
        }

        impl Sign {
            /// All signs.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

signs! {
    Counts "counts" "A phrase of tier A or B that counts.",
    Figurative "figurative" "A phrase that is part of one that means something else.",
    Negated "negated" "A phrase that is denied.",
    NotNow "not_now" "A phrase beside a past or hypothetical expression.",
    News "news" "A phrase in a report.",
    Recovered "recovered" "A phrase in a post that says that the service works again.",
    TooFar "too_far" "A phrase of tier A too far from the name.",
    Alone "alone" "A phrase of tier C without one of tier A or B.",
    SaysFigurative "says_figurative" "Words that mean something else.",
    SaysNegation "says_negation" "A negation.",
    SaysNotNow "says_not_now" "A past or hypothetical expression.",
    SaysNews "says_news" "Words of a report.",
    SaysRecovery "says_recovery" "Words that say that it works again.",
}

impl Sign {
    fn of_finding(finding: &Finding) -> Option<Self> {
        match finding.verdict {
            Verdict::Counts if finding.tier != Tier::C => Some(Self::Counts),
            Verdict::Figurative => Some(Self::Figurative),
            Verdict::Negated => Some(Self::Negated),
            Verdict::NotNow => Some(Self::NotNow),
            Verdict::News => Some(Self::News),
            Verdict::Recovered => Some(Self::Recovered),
            Verdict::TooFar => Some(Self::TooFar),
            Verdict::Alone => Some(Self::Alone),
            Verdict::Counts | Verdict::NoService => None,
        }
    }

    fn of_marker(marker: Marker) -> Self {
        match marker {
            Marker::Figurative => Self::SaysFigurative,
            Marker::Negation => Self::SaysNegation,
            Marker::NotNow => Self::SaysNotNow,
            Marker::News => Self::SaysNews,
            Marker::Recovery => Self::SaysRecovery,
        }
    }
}

/// One cue of the lexicon.
#[derive(Debug, Clone)]
pub(crate) struct Cue {
    pub(crate) text: Box<str>,
    pub(crate) language: LanguageTag,
    pub(crate) weight: f64,
    pub(crate) symptom: Option<Symptom>,
}

/// What the words of one post come to. Reused from post to post.
#[derive(Debug, Default)]
pub(crate) struct CueSum {
    /// The cues found, each once, and the first word of each.
    pub(crate) found: Vec<(u32, usize)>,
    pub(crate) signs: Vec<Sign>,
    /// The language whose cues count.
    pub(crate) language: Option<LanguageTag>,
    pub(crate) total: f64,
    by_symptom: [f64; Symptom::ALL.len()],
}

impl CueSum {
    /// Forgets the last post.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
        self.signs.clear();
        self.language = None;
        self.total = 0.0;
        self.by_symptom = [0.0; Symptom::ALL.len()];
    }

    /// Adds up what `scan` and the rules found, in the language of the post or else the one that most cues are of.
    pub(crate) fn add_up(
        &mut self,
        index: &Index,
        scan: &Scan,
        post_language: Option<LanguageTag>,
        findings: &[Finding],
    ) {
        self.clear();
        self.find(scan);
        let known = post_language.filter(|&language| index.has_cues(language));
        self.language = known.or_else(|| self.most_spoken(index));
        let spoken = self.language;
        self.found.retain(|&(id, _)| Some(index.cue(id).language) == spoken);
        for &(id, _) in &self.found {
            let cue = index.cue(id);
            self.total += cue.weight;
            if let Some(symptom) = cue.symptom {
                self.by_symptom[symptom as usize] += cue.weight;
            }
        }
        self.find_signs(scan, findings);
        if let Some(language) = spoken {
            self.total += self.signs.iter().map(|&sign| index.sign_weight(language, sign)).sum::<f64>();
        }
    }

    fn find(&mut self, scan: &Scan) {
        self.found.extend(scan.hits.iter().filter_map(|hit| match hit.value {
            Mark::Cue(id) => Some((id, hit.start)),
            _ => None,
        }));
        self.found.sort_unstable();
        self.found.dedup_by_key(|&mut (id, _)| id);
    }

    fn most_spoken(&self, index: &Index) -> Option<LanguageTag> {
        // Cues are numbered language by language, so those of one language stand together.
        let runs = self.found.chunk_by(|&(a, _), &(b, _)| index.cue(a).language == index.cue(b).language);
        let most = runs.max_by_key(|run| {
            let language = index.cue(run[0].0).language;
            (run.len(), language == LanguageTag::ENGLISH, std::cmp::Reverse(language))
        })?;
        Some(index.cue(most[0].0).language)
    }

    fn find_signs(&mut self, scan: &Scan, findings: &[Finding]) {
        self.signs.extend(findings.iter().filter_map(Sign::of_finding));
        self.signs.extend(scan.hits.iter().filter_map(|hit| match hit.value {
            Mark::Marker(marker, _) => Some(Sign::of_marker(marker)),
            _ => None,
        }));
        self.signs.sort_unstable();
        self.signs.dedup();
    }

    /// What fails, by the words alone.
    pub(crate) fn symptom(&self) -> Symptom {
        let weight = |symptom: Symptom| self.by_symptom[symptom as usize];
        let mut best = Symptom::Other;
        for &symptom in Symptom::ALL {
            if weight(symptom) > weight(best) {
                best = symptom;
            }
        }
        best
    }

    /// The cue that adds most.
    pub(crate) fn strongest(&self, index: &Index) -> Option<(u32, usize)> {
        let weight = |&(id, _): &(u32, usize)| index.cue(id).weight;
        self.found
            .iter()
            .copied()
            .reduce(|best, next| if weight(&next) > weight(&best) { next } else { best })
    }
}

/// Every cue that could be learned from a text, each once and ordered, as a lexicon file writes it: its words, pairs of
/// words and beginnings of words, those of names left out; in scripts without spaces up to four characters.
pub(crate) fn candidates(text: &FoldedText, mentions: &[Mention]) -> Vec<String> {
    let words = text.words();
    let letters = |at: usize| text.letters(&words[at]);
    let is_name = |at: usize| mentions.iter().any(|mention| mention.start <= at && at < mention.end);
    let is_usable = |at: usize| matches!(words[at].kind, WordKind::Plain | WordKind::Hashtag) && !is_name(at);
    let is_unspaced = |at: usize| letters(at).chars().all(is_unspaced);
    let mut found = Vec::new();
    for start in (0..words.len()).filter(|&at| is_usable(at)) {
        let mut cue = String::new();
        for end in start..words.len().min(start + CUE_CHARACTERS_MAX) {
            let n = end - start + 1;
            if !is_usable(end) || (n > CUE_WORDS_MAX && !(start..=end).all(is_unspaced)) {
                break;
            }
            if n > 1 {
                cue.push(' ');
            }
            cue.push_str(letters(end));
            found.push(cue.clone());
        }
        if words[start].kind == WordKind::Plain {
            found.extend(prefixes(letters(start)).map(|prefix| format!("{prefix}*")));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The beginnings of `word` that are looked up, the shorter first.
pub(crate) fn prefixes(word: &str) -> impl Iterator<Item = &str> {
    let is_ascii = word.is_ascii();
    PREFIX_LETTERS.into_iter().filter_map(move |n| {
        if is_ascii {
            return if word.len() > n { word.get(..n) } else { None };
        }
        word.char_indices().nth(n).map(|(end, _)| &word[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_words_pairs_and_beginnings() {
        let mut text = FoldedText::default();
        text.fold("Lädt nicht. @abc 落ちた");
        let expected =
            ["ladt", "ladt nicht", "nich*", "nicht", "た", "ち", "ち た", "落", "落 ち", "落 ち た"];
        assert_eq!(candidates(&text, &[]), expected);
    }
}
