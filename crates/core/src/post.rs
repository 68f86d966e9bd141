//! A post as the core sees it, and the one outcome that each ends in.
//!
//! Nothing is lost silently: whatever was read, a broken line included, is counted under exactly one [`Outcome`],
//! and the counts add up to what was received ([`OutcomeCounts::total`]).

use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// The longest text that is looked at, in bytes. Posts are a few hundred bytes; a text beyond this is a mistake of
/// the feed, and refusing it bounds the work for one post.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// One post, borrowed from the line or message it was decoded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Post<'a> {
    /// The source's own id; orders posts of one instant.
    pub id: &'a str,
    /// When it was posted.
    pub event_time: EventTime,
    /// Who posted it; empty when unknown, and then the post counts as an author of its own.
    pub author: &'a str,
    /// What it says.
    pub text: &'a str,
    /// Language, a BCP 47 tag, when the source knows it.
    pub lang: Option<&'a str>,
    /// Country, ISO 3166-1 alpha-2, when the source knows it.
    pub country: Option<&'a str>,
    /// Whether it repeats another post.
    pub is_repost: bool,
    /// The catalogue id of the service it is addressed to (a support inbox, an app-store review), if any.
    pub service: Option<&'a str>,
}

impl<'a> Post<'a> {
    /// A post of which only the text is known: for judging it by itself, outside of any stream.
    pub fn of_text(text: &'a str) -> Self {
        Self {
            id: "text",
            event_time: EventTime::MIN,
            author: "",
            text,
            lang: None,
            country: None,
            is_repost: false,
            service: None,
        }
    }

    /// What the author says: "RT @someone:" and all that follows are another's words. Without the colon it is a plea,
    /// unless it begins the text.
    pub(crate) fn own_words(&self) -> &'a str {
        let is_mark = |&at: &usize| {
            let (own, name) = (&self.text[..at], &self.text[at + "RT @".len()..]);
            let behind = name.trim_start_matches(|c: char| c == '_' || c.is_alphanumeric());
            !own.ends_with(char::is_alphanumeric)
                && (behind.starts_with(':') || !own.contains(char::is_alphanumeric))
        };
        let mut marks = self.text.match_indices("RT @").map(|(at, _)| at);
        &self.text[..marks.find(is_mark).unwrap_or(self.text.len())]
    }
}

macro_rules! outcomes {
    ($($variant:ident $name:literal $doc:literal,)+) => {
        /// What became of one input. Each input ends in exactly one of these.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Outcome {
            $(#[doc = $doc] $variant,)+
        }

        impl Outcome {
            /// All outcomes, in the order in which they are reported.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, as it appears in summaries, dead letters and `explain --json`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What the outcome means, in a sentence for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)+ }
            }
        }
    };
}

outcomes! {
    Complaint "complaint" "Counted as a complaint about at least one service.",
    DuplicateAuthor "duplicate_author" "A complaint by an author who was already counted for that service within the hour.",
    RepeatedText "repeated_text" "A complaint whose long text was already counted three times in that minute.",
    NoComplaint "no_complaint" "Names a service but does not complain.",
    Negated "negated" "The complaint is denied: \"not down for me\".",
    NotNow "not_now" "Speaks of the past or of what might be.",
    Recovery "recovery" "Says that the service works again.",
    News "news" "Reports what others say.",
    Official "official" "Written by the service's own account.",
    Repost "repost" "Repeats another post.",
    NoService "no_service" "Names no service of the catalogue.",
    UnknownService "unknown_service" "Addressed to a service that the catalogue does not have.",
    Late "late" "Arrived after its minute was closed.",
    Future "future" "Dated ahead of everything around it.",
    OutOfRange "out_of_range" "Outside the time range that was asked for.",
    Blank "blank" "An empty line.",
    NotUtf8 "not_utf8" "Not UTF-8.",
    NotJson "not_json" "Not a JSON object.",
    MissingField "missing_field" "A required field is missing.",
    BadField "bad_field" "A field has the wrong type.",
    BadTime "bad_time" "`created_at` is not a time between 1970 and 3000.",
    TooLong "too_long" "The text is over 64 KiB.",
}

impl Outcome {
    /// Whether the input could not be used at all and belongs among the dead letters.
    pub fn is_dead_letter(self) -> bool {
        match self {
            Self::NotUtf8
            | Self::NotJson
            | Self::MissingField
            | Self::BadField
            | Self::BadTime
            | Self::TooLong
            | Self::UnknownService
            | Self::Late
            | Self::Future => true,
            Self::Complaint
            | Self::DuplicateAuthor
            | Self::RepeatedText
            | Self::NoComplaint
            | Self::Negated
            | Self::NotNow
            | Self::Recovery
            | Self::News
            | Self::Official
            | Self::Repost
            | Self::NoService
            | Self::OutOfRange
            | Self::Blank => false,
        }
    }
}

/// How many inputs ended in each outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutcomeCounts {
    counts: Vec<u64>,
}

impl OutcomeCounts {
    /// Counts one input.
    pub fn record(&mut self, outcome: Outcome) {
        if self.counts.is_empty() {
            self.counts = vec![0; Outcome::ALL.len()];
        }
        self.counts[outcome as usize] += 1;
    }

    /// How many ended in `outcome`.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.counts.get(outcome as usize).copied().unwrap_or(0)
    }

    /// The sum over all outcomes.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of both counts.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let both = Outcome::ALL.iter().map(|&outcome| self.of(outcome) + other.of(outcome));
        Self { counts: both.collect() }
    }

    /// The outcomes that occurred, in reporting order, with their counts.
    pub fn occurred(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.iter().map(|&outcome| (outcome, self.of(outcome))).filter(|&(_, n)| n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_own(text: &str, expected: &str) {
        assert_eq!(Post::of_text(text).own_words(), expected, "of {text:?}");
    }

    #[test]
    fn what_stands_behind_rt_is_anothers() {
        check_own("it is down", "it is down");
        check_own("RT @a it is down", "");
        check_own("\"RT @a: it is down", "\"");
        check_own("so true RT @a_b1: it is down", "so true ");
        check_own("ALBERT @a: it is down. RT @é: no", "ALBERT @a: it is down. ");
        check_own("please RT @a it is down", "please RT @a it is down");
        check_own("please RT @", "please RT @");
    }

    #[test]
    fn every_outcome_is_counted_under_its_own_name() {
        let mut counts = OutcomeCounts::default();
        for &outcome in Outcome::ALL {
            counts.record(outcome);
        }
        assert_eq!(counts.total(), Outcome::ALL.len() as u64);
        assert!(Outcome::ALL.iter().all(|&outcome| counts.of(outcome) == 1), "one count each");
        let names: std::collections::BTreeSet<_> = Outcome::ALL.iter().map(|o| o.name()).collect();
        assert_eq!(names.len(), Outcome::ALL.len(), "no two outcomes share a name");
    }
}
