//! What the words of a post add to the weight that the rules give it.
//!
//! Rules find the wordings that somebody thought of. People have more: "no bars", "spins and spins", "not a single mail
//! goes out". A linear model over words, pairs of words and beginnings of words weighs them all at once, and what the
//! rules set aside as well: a logistic regression whose log-odds are, for a post of weight *w* by the rules and the cues
//! *c* in it,
//!
//! > [`LOG_ODDS_PER_WEIGHT`] · (w + Σ weight(c) − ½)
//!
//! so that cues are in the unit of the tiers, and a language without cues is judged by its rules alone. A constant may be
//! among them ([`Sign::Post`]). A cue may weigh more, or less, for services of a category: its weight is then the sum of
//! both parts. `crates/trainer` fits the weights with an L2 penalty (Hastie, Tibshirani, Friedman, *The Elements of
//! Statistical Learning*, 2nd ed., §4.4) and writes them down as lexicon files.

use serde::{Deserialize, Serialize};

use crate::cue_table::{CueCategory, CueLanguage};
use crate::findings::{Finding, Verdict};
use crate::fold::{FoldedText, WordKind, is_unspaced};
use crate::lexicon::{Symptom, Tier};
use crate::matching::{Index, LanguageTag, Mark, Marker, Scan};

/// The scale between weights and log-odds.
pub const LOG_ODDS_PER_WEIGHT: f64 = 2.0;
/// How clearly a phrase of the rules tells its symptom, in the unit of a lexicon's tells: as the kind of service at most
/// does ([`crate::Category`]). That something is down tells less.
pub fn phrase_votes(symptom: Symptom) -> f64 {
    if symptom == Symptom::Access { 1.2 } else { 1.5 }
}

/// Votes for each symptom, in the order of [`Symptom::ALL`].
pub(crate) type Votes = [Hundredths; Symptom::ALL.len()];
/// Hundredths of the unit of weight: sums of decimals are exact, and a post at the limit is on the same side of it
/// whatever order its words stand in.
pub(crate) type Hundredths = i32;
/// How many letters of a word are looked up as its beginning, in scripts that part words by spaces.
pub(crate) const PREFIX_LETTERS: [usize; 2] = [4, 6];
/// How many strange words of a post are counted: with more it is no more about something else, and no post should be
/// beyond doubt for its length.
pub const STRANGE_WORDS_MAX: usize = 10;
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
    StrangeWord "strange_word" "Each word, up to ten, that no cue with a weight holds, where no phrase of tier A or B counts.",
    Post "post" "Any post in which no phrase of tier A or B counts: what its words are added to.",
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

/// A cue in a post.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundCue {
    pub(crate) id: u32,
    /// The first word of it.
    start: usize,
}

/// What the words of one post come to. Reused from post to post.
#[derive(Debug, Default)]
pub(crate) struct CueSum {
    /// The cues found, each once.
    pub(crate) found: Vec<FoundCue>,
    /// Each once, but a strange word as often as there is one.
    pub(crate) signs: Vec<Sign>,
    /// The words of cues that weigh something.
    weighty: Vec<(usize, usize)>,
    /// The words of phrases that mean something else: they are no cues.
    figurative: Vec<(usize, usize)>,
    /// The language whose cues count.
    pub(crate) language: Option<LanguageTag>,
    /// What they add, whatever the service.
    pub(crate) total: Hundredths,
    /// What they add besides for services of the categories spoken of.
    pub(crate) by_category: Vec<(CueCategory, Hundredths)>,
    votes: Votes,
}

impl CueSum {
    /// Forgets the last post.
    pub(crate) fn clear(&mut self) {
        self.found.clear();
        self.signs.clear();
        self.weighty.clear();
        self.figurative.clear();
        self.language = None;
        self.total = 0;
        self.by_category.clear();
        self.votes = Votes::default();
    }

    /// Adds up what `scan` and the rules found, in the language of the post; if it has no tag, or one that the lexicon
    /// lacks, in the language that most cues are of. `categories` are those of the services that it speaks of, the one
    /// addressed first.
    pub(crate) fn add_up(
        &mut self,
        index: &Index,
        scan: &Scan,
        post_language: Option<LanguageTag>,
        findings: &[Finding],
        categories: impl Iterator<Item = CueCategory>,
    ) {
        self.clear();
        for category in categories {
            if !self.by_category.iter().any(|&(known, _)| known == category) {
                self.by_category.push((category, 0));
            }
        }
        for finding in findings {
            self.signs.extend(Sign::of_finding(finding));
        }
        for hit in &scan.hits {
            if let Mark::Marker(marker, language) = hit.value
                && index.speaks(post_language, language)
            {
                self.signs.push(Sign::of_marker(marker));
                if marker == Marker::Figurative {
                    self.figurative.push((hit.start, hit.end));
                }
            }
        }
        self.signs.sort_unstable();
        self.signs.dedup();
        let languages = index.cues().languages();
        let language = match post_language.filter(|&post| index.knows(post)) {
            Some(post) => languages.iter().find(|language| language.tag == post),
            None => most_spoken(languages, scan),
        };
        let Some(language) = language else { return };
        self.language = Some(language.tag);
        for hit in &scan.hits {
            if let Mark::Cue(id) = hit.value
                && language.ids.contains(&id)
                && !self.is_taken(scan, hit.start, hit.end)
            {
                self.found.push(FoundCue { id, start: hit.start });
                if index.cues().get(id).is_weighty() {
                    self.weighty.push((hit.start, hit.end));
                }
            }
        }
        if !self.signs.contains(&Sign::Counts) {
            if language.weight(Sign::StrangeWord) != 0 {
                let n = self.n_strange_words(scan);
                self.signs.extend(std::iter::repeat_n(Sign::StrangeWord, n));
            }
            if language.weight(Sign::Post) != 0 {
                self.signs.push(Sign::Post);
            }
        }
        self.found.sort_unstable_by_key(|found| (found.id, found.start));
        self.found.dedup_by_key(|found| found.id);
        for found in &self.found {
            let cue = index.cues().get(found.id);
            self.total += cue.weight();
            for (category, sum) in &mut self.by_category {
                *sum += cue.weight_besides(*category);
            }
            for &(symptom, votes) in cue.tells() {
                self.votes[symptom as usize] += votes;
            }
        }
        self.total += self.signs.iter().map(|&sign| language.weight(sign)).sum::<Hundredths>();
    }

    /// What the words add to the weight of a service of `category`. If that is none that cues name, they mean what they
    /// mean for the first service that the post speaks of otherwise.
    pub(crate) fn weight(&self, category: Option<CueCategory>) -> Hundredths {
        let besides = match category {
            Some(_) => self.by_category.iter().find(|&&(known, _)| Some(known) == category),
            None => self.by_category.first(),
        };
        self.total + besides.map_or(0, |&(_, weight)| weight)
    }

    /// The most that the words add for any service.
    pub(crate) fn weight_max(&self) -> Hundredths {
        self.total + self.by_category.iter().map(|&(_, weight)| weight).max().unwrap_or(0)
    }

    /// Whether words `[start, end)` are no cues, for some of them name a service or mean something else.
    fn is_taken(&self, scan: &Scan, start: usize, end: usize) -> bool {
        let names = scan.mentions.iter().map(|name| (name.start, name.end));
        names.chain(self.figurative.iter().copied()).any(|(from, to)| from < end && start < to)
    }

    /// How many words there are that no cue holds, each counted once: words with a letter, not parts of a host or of a
    /// tag, nor characters of scripts without spaces, which by themselves mean little.
    fn n_strange_words(&self, scan: &Scan) -> usize {
        let text = &scan.text;
        let words = text.words();
        let is_held = |at: usize| self.weighty.iter().any(|&(from, to)| from <= at && at < to);
        let is_part = |at: usize| {
            let whole = words[at + 1..].iter().find(|next| next.kind != WordKind::Plain);
            whole.is_some_and(|whole| whole.holds(&words[at]))
        };
        let mut strange = [""; STRANGE_WORDS_MAX];
        let mut n = 0;
        for at in (0..words.len()).filter(|&at| is_cue_word(text, at) && !is_held(at)) {
            let letters = text.letters(&words[at]);
            let is_new = is_spaced_word(letters) && !strange[..n].contains(&letters);
            if n < STRANGE_WORDS_MAX && is_new && !is_part(at) && !self.is_taken(scan, at, at + 1) {
                strange[n] = letters;
                n += 1;
            }
        }
        n
    }

    /// Every cue that could be learned from the post that was added up, each once and ordered, as a lexicon file writes
    /// it: its words, pairs of words and beginnings of words, those of names left out; in scripts without spaces up to
    /// four characters.
    pub(crate) fn candidates(&self, scan: &Scan) -> Vec<String> {
        candidates(&scan.text, |at| self.is_taken(scan, at, at + 1))
    }

    /// The votes on what fails: of the words, of `of_phrase`, the symptom of the strongest phrase that counts, and
    /// `of_category`, for what fails in services of the kind.
    pub(crate) fn votes(&self, of_phrase: Option<Symptom>, of_category: &Votes) -> Votes {
        let mut votes = self.votes;
        votes.iter_mut().zip(of_category).for_each(|(votes, more)| *votes += more);
        if let Some(symptom) = of_phrase {
            votes[symptom as usize] += hundredths(phrase_votes(symptom));
        }
        votes
    }

    /// The first word of the cue that adds most.
    pub(crate) fn strongest(&self, index: &Index) -> Option<usize> {
        let weight = |found: FoundCue| {
            let cue = index.cues().get(found.id);
            let besides = self.by_category.iter().map(|&(category, _)| cue.weight_besides(category));
            cue.weight() + besides.max().unwrap_or(0)
        };
        let heavier = |best: FoundCue, next: FoundCue| if weight(next) > weight(best) { next } else { best };
        self.found.iter().copied().reduce(heavier).map(|found| found.start)
    }
}

/// The symptom with most votes. Among equals `access`, then the first: that it is down is what most posts say.
pub(crate) fn most_voted(votes: &Votes) -> Symptom {
    let mut best = Symptom::Access;
    for &symptom in Symptom::ALL {
        if votes[symptom as usize] > votes[best as usize] {
            best = symptom;
        }
    }
    best
}

/// `weight` to the hundredth.
pub(crate) fn hundredths(weight: f64) -> Hundredths {
    // Within a few units of 0, as the lexicon's check sees to.
    (weight * 100.0).round() as Hundredths
}

/// What `n` hundredths are in the unit of weight.
pub(crate) fn units(n: Hundredths) -> f64 {
    f64::from(n) / 100.0
}

/// The language that most cues of a text are of; among equals English, then the first.
fn most_spoken<'a>(languages: &'a [CueLanguage], scan: &Scan) -> Option<&'a CueLanguage> {
    let mut counts = vec![0_u32; languages.len()];
    for hit in &scan.hits {
        if let Mark::Cue(id) = hit.value {
            counts[languages.partition_point(|language| language.ids.end <= id)] += 1;
        }
    }
    let most = counts.into_iter().zip(languages).max_by_key(|&(n, language)| {
        (n, language.tag == LanguageTag::ENGLISH, std::cmp::Reverse(language.tag))
    })?;
    if most.0 > 0 { Some(most.1) } else { None }
}

/// Whether `letters` are a word, of a script that parts them by spaces: no number, no emoji.
pub fn is_spaced_word(letters: &str) -> bool {
    letters.contains(char::is_alphabetic) && !letters.chars().all(is_unspaced)
}

/// Whether the word at `at` can be part of a cue.
fn is_cue_word(text: &FoldedText, at: usize) -> bool {
    matches!(text.words()[at].kind, WordKind::Plain | WordKind::Hashtag)
}

/// The cues of `text` without the words for which `is_left_out` holds.
fn candidates(text: &FoldedText, is_left_out: impl Fn(usize) -> bool) -> Vec<String> {
    let words = text.words();
    let letters = |at: usize| text.letters(&words[at]);
    let is_usable = |at: usize| is_cue_word(text, at) && !is_left_out(at);
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
        assert_eq!(candidates(&text, |_| false), expected);
    }
}
