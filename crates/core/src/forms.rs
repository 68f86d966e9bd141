//! The word that an unknown word is a form of: "netflixa", "والتطبيق", "downnnn" and "d0wn" are "netflix", "التطبيق" and
//! "down".
//!
//! Languages hang case endings onto names and articles or particles onto words; people stretch what they shout, and
//! write digits for letters. None of it is tried on a word that some phrase has as it stands, so that a form with a
//! meaning of its own keeps it.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::matching::LanguageTag;

/// The shortest name that endings are taken off, letters: shorter ones become other words ("box", "boxen").
const STEM_LETTERS_MIN: usize = 4;
/// The longest ending, letters.
const ENDING_LETTERS_MAX: usize = 6;
/// The shortest word that a beginning is taken off, letters.
const REST_LETTERS_MIN: usize = 3;
/// The shortest word that may have digits for letters, letters: shorter ones are codes ("5g", "s3").
const LEET_LETTERS_MIN: usize = 4;
/// So many same letters in a row are a stretched one: no language that we know writes more than two.
const STRETCH_MIN: usize = 3;

/// Affixes, and the words of names.
#[derive(Debug, Default)]
pub(crate) struct Forms {
    /// What is written onto any word in front, the longest first, and in which language.
    pub(crate) beginnings: Vec<(Box<str>, LanguageTag)>,
    /// What is hung onto words of names, and in which languages.
    endings: FxHashMap<Box<str>, Vec<LanguageTag>>,
    stems: FxHashSet<Box<str>>,
    /// A bit for each hash of the first letters of `stems`: most words are no name's form, and one look says so.
    stem_starts: StartBits,
}

/// A bit for each hash of the first four bytes of some words.
#[derive(Debug)]
pub(crate) struct StartBits(Box<[u64; 1024]>);

impl Default for StartBits {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
    }
}

impl StartBits {
    /// Where the bit of a word stands; `None` for a word of less than four bytes.
    fn place(word: &str) -> Option<(usize, u64)> {
        let start = word.as_bytes().first_chunk()?;
        let hash = u32::from_le_bytes(*start).wrapping_mul(0x9e37_79b1) >> 16;
        Some(((hash / 64) as usize, 1 << (hash % 64)))
    }

    pub(crate) fn insert(&mut self, word: &str) {
        if let Some((at, bit)) = Self::place(word) {
            self.0[at] |= bit;
        }
    }

    /// Whether a word that was put in may be a beginning of `word`.
    pub(crate) fn may_hold(&self, word: &str) -> bool {
        Self::place(word).is_some_and(|(at, bit)| self.0[at] & bit != 0)
    }
}

impl Forms {
    /// Adds what `language` hangs onto words of names.
    pub(crate) fn insert_ending(&mut self, ending: &str, language: LanguageTag) {
        self.endings.entry(ending.into()).or_default().push(language);
    }

    /// Adds a word that endings are hung onto, if it is long enough.
    pub(crate) fn insert_stem(&mut self, word: &str) {
        if word.chars().count() >= STEM_LETTERS_MIN {
            self.stem_starts.insert(word);
            self.stems.insert(word.into());
        }
    }

    /// Whether endings are hung onto `word`.
    pub(crate) fn is_stem(&self, word: &str) -> bool {
        self.stems.contains(word)
    }

    /// The same, ready to be asked.
    pub(crate) fn sorted(mut self) -> Self {
        self.beginnings.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        self.beginnings.dedup();
        self
    }

    /// What `known` gives for the word that the unknown word `letters` is a form of, in a text of `language`, or of any
    /// language if that is not known.
    pub(crate) fn base_of<T>(
        &self,
        letters: &str,
        language: Option<LanguageTag>,
        known: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let of_affixes =
            |word: &str| self.stem(word, language, &known).or_else(|| self.rest(word, language, &known));
        let of_squeezed = |letters_kept| {
            let word = squeezed(letters, letters_kept);
            known(&word).or_else(|| of_affixes(&word))
        };
        of_affixes(letters)
            .or_else(|| if is_stretched(letters) { of_squeezed(1).or_else(|| of_squeezed(2)) } else { None })
            .or_else(|| ['i', 'l'].iter().find_map(|&one| known(&spelled_out(letters, one)?)))
    }

    /// The name in `word` without its ending.
    fn stem<T>(
        &self,
        word: &str,
        language: Option<LanguageTag>,
        known: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if !self.stem_starts.may_hold(word) {
            return None;
        }
        let is_ending = |ending: &str| {
            let languages = self.endings.get(ending);
            languages.is_some_and(|spoken| language.is_none_or(|language| spoken.contains(&language)))
        };
        let cuts = word.char_indices().rev().take(ENDING_LETTERS_MAX);
        cuts.map(|(at, _)| word.split_at(at))
            .find(|(stem, ending)| self.stems.contains(*stem) && is_ending(ending))
            .and_then(|(stem, _)| known(stem))
    }

    /// The word behind a beginning, itself perhaps a name with an ending.
    fn rest<T>(
        &self,
        word: &str,
        language: Option<LanguageTag>,
        known: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let spoken =
            self.beginnings.iter().filter(|&&(_, of)| language.is_none_or(|language| language == of));
        let rests = spoken.filter_map(|(beginning, _)| word.strip_prefix(beginning.as_ref()));
        rests
            .filter(|rest| rest.chars().count() >= REST_LETTERS_MIN)
            .find_map(|rest| known(rest).or_else(|| self.stem(rest, language, &known)))
    }
}

/// `word` with the letters that its digits are written for, "sp0tify" and "d0wn", a 1 for `one`. None of a short word,
/// nor of one that has as many digits as letters or ends with one: those are codes and versions ("r2d2", "covid19").
fn spelled_out(word: &str, one: char) -> Option<String> {
    let n_digits = word.bytes().filter(u8::is_ascii_digit).count();
    // Of most words this is the only question.
    if n_digits == 0 || !word.is_ascii() {
        return None;
    }
    let is_code = n_digits * 2 >= word.len() || word.ends_with(|c: char| c.is_ascii_digit());
    if is_code || word.len() < LEET_LETTERS_MIN {
        return None;
    }
    let letter = |digit: char| match digit {
        '0' => 'o',
        '1' => one,
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        other => other,
    };
    Some(word.chars().map(letter).collect())
}

/// Whether some letter stands there three times in a row; digits may.
fn is_stretched(word: &str) -> bool {
    // Bytes first: in a stretched word of any script a pattern of bytes repeats.
    let bytes = word.as_bytes();
    let repeats = |width: usize| {
        bytes.len() >= STRETCH_MIN * width
            && bytes
                .windows(STRETCH_MIN * width)
                .any(|run| !run[0].is_ascii_digit() && run[width..] == run[..run.len() - width])
    };
    if word.is_ascii() { repeats(1) } else { (1..=4).any(repeats) }
}

/// `word` with at most `n` of the same letter in a row wherever it stands there three times or more.
fn squeezed(word: &str, n: usize) -> String {
    let letters: Vec<char> = word.chars().collect();
    letters
        .chunk_by(|a, b| a == b)
        .flat_map(|run| if run.len() >= STRETCH_MIN { &run[..n] } else { run })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `word` is a form of, of some words, names and affixes.
    fn base_of(word: &str, language: Option<&str>) -> Option<&'static str> {
        let mut forms = Forms::default();
        for name in ["netflix", "google", "واتساب", "box"] {
            forms.insert_stem(name);
        }
        let arabic = LanguageTag::primary_of("ar");
        forms.beginnings = ["و", "ال", "وال"].map(|beginning| (beginning.into(), arabic)).to_vec();
        let polish = LanguageTag::primary_of("pl");
        ["a", "owi", "s", "en"].iter().for_each(|ending| forms.insert_ending(ending, polish));
        let words = ["netflix", "google", "واتساب", "box", "down", "تعطل", "500", "see"];
        let known = |word: &str| words.iter().copied().find(|known| *known == word);
        forms.sorted().base_of(word, language.map(LanguageTag::primary_of), known)
    }

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(base_of(word, None), expected, "of {word:?}");
        assert_eq!(base_of(word, Some("pl")), expected, "of {word:?} in Polish");
    }

    #[test]
    fn endings_are_taken_off_names_only() {
        check("netflixa", Some("netflix"));
        check("netflixowi", Some("netflix"));
        check("downa", None);
        check("boxen", None);
        check("netflixxy", None);
    }

    #[test]
    fn endings_are_those_of_the_language() {
        let mut forms = Forms::default();
        forms.insert_stem("lapos");
        forms.insert_ending("te", LanguageTag::primary_of("tr"));
        let known = |word: &str| (word == "lapos").then_some(());
        assert_eq!(forms.base_of("laposte", Some(LanguageTag::primary_of("tr")), known), Some(()));
        assert_eq!(forms.base_of("laposte", Some(LanguageTag::primary_of("fr")), known), None);
    }

    #[test]
    fn beginnings_are_taken_off_every_word_of_their_language() {
        for language in [None, Some("ar")] {
            assert_eq!(base_of("وتعطل", language), Some("تعطل"));
            assert_eq!(base_of("الواتساب", language), Some("واتساب"));
            assert_eq!(base_of("والواتساب", language), Some("واتساب"));
            assert_eq!(base_of("ودب", language), None);
        }
        assert_eq!(base_of("وتعطل", Some("pl")), None);
    }

    #[test]
    fn digits_for_letters_are_read_where_a_word_is_known_so() {
        check("n3tflix", Some("netflix"));
        check("g00gle", Some("google"));
        check("d0wn", Some("down"));
        check("goog1e", Some("google"));
        check("netf1ix", Some("netflix"));
        check("s33", None);
        check("b0x", None);
        check("5ee5", None);
    }

    #[test]
    fn stretched_letters_are_squeezed() {
        check("downnnn", Some("down"));
        check("gooooogle", Some("google"));
        check("netflixxxxs", Some("netflix"));
        check("واتساااب", Some("واتساب"));
        check("5000", None);
        check("seee", Some("see"));
    }
}
