//! Folds a text into words, once, the same way for posts and for the phrases that they are matched against.
//!
//! Matching compares whole words rather than bytes: "downtown" must not match "down", and a byte automaton needs a
//! boundary check after every hit and a table that outgrows the cache with the catalogue. Words cost one hash
//! look-up each, however many services there are.
//!
//! * Letters are compared without case, diacritics, compatibility forms (NFKC) and apostrophes: `Can’t` is `cant`.
//! * Scripts written without spaces (Han, kana, Thai) and Hangul, whose particles stick to the noun, give one word a
//!   character, so that phrases in them match anywhere, as substrings do.
//! * A symbol or emoji is a word by itself.
//! * `@name` and `#tag` keep their sign, and the parts of `#a_long_tag` are words besides; a link is one word, its host
//!   kept for domain look-up and its path ignored.
//! * Digits of Arabic and Indic scripts are ASCII digits.
//! * `.` `!` `?` and line ends part sentences, `,` `;` `:` part clauses.
//!
//! A text is folded whole first, then cut: ASCII, the bulk of all posts, by one pass that the compiler vectorises.

use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// What a word is, besides its letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordKind {
    /// A plain word, a number, one character of an unspaced script, or a symbol.
    Plain,
    /// `@name`; the text is the name alone.
    Handle,
    /// `#tag`; the text is the tag alone.
    Hashtag,
    /// `host.tld` or a link; the text is the host alone.
    Host,
}

/// One word of a folded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    start: u32,
    end: u32,
    pub(crate) kind: WordKind,
    /// Number of the sentence it stands in, from 0.
    pub(crate) sentence: u16,
    /// Number of the clause it stands in, from 0; a new sentence starts a new clause.
    pub(crate) clause: u16,
}

impl Word {
    /// Whether `other` is a part of it, as the words of a host are.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A folded text and its words: reused from post to post, so that folding allocates nothing once warm.
#[derive(Debug, Default)]
pub(crate) struct FoldedText {
    letters: String,
    words: Vec<Word>,
    /// Where in the letters an apostrophe stood, in order.
    apostrophes: Vec<u32>,
    sentence: u16,
    clause: u16,
}

impl FoldedText {
    /// The words in order.
    pub(crate) fn words(&self) -> &[Word] {
        &self.words
    }

    /// The folded letters of `word`.
    pub(crate) fn letters(&self, word: &Word) -> &str {
        &self.letters[word.start as usize..word.end as usize]
    }

    /// The numbers of the plain words that end in an `s` behind an apostrophe.
    pub(crate) fn genitives(&self) -> impl Iterator<Item = usize> {
        let ends_so = |place: u32| {
            let at = self.words.partition_point(|word| word.end <= place);
            let word = self.words.get(at).filter(|word| word.kind == WordKind::Plain)?;
            let is_behind_name = word.start < place && word.end == place + 1;
            (is_behind_name && self.letters(word).ends_with('s')).then_some(at)
        };
        self.apostrophes.iter().filter_map(move |&place| ends_so(place))
    }

    /// Replaces the content by the folded `text`.
    pub(crate) fn fold(&mut self, text: &str) {
        self.letters.clear();
        self.words.clear();
        self.apostrophes.clear();
        self.sentence = 0;
        self.clause = 0;
        if text.is_ascii() {
            self.letters.push_str(text);
            // Without early exit, so that it is one vectorised pass.
            if text.bytes().fold(false, |found, byte| found | (byte == b'\'') | (byte == b'`')) {
                let (mut n_kept, apostrophes) = (0, &mut self.apostrophes);
                self.letters.retain(|c| {
                    let is_kept = !is_apostrophe(c);
                    if is_kept {
                        n_kept += 1;
                    } else {
                        note(apostrophes, n_kept);
                    }
                    is_kept
                });
            }
            self.letters.make_ascii_lowercase();
        } else if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            push_folded(&mut self.letters, &mut self.apostrophes, text.chars());
        } else {
            // NFKC makes a space and a mark of it.
            let text = text.chars().map(|c| if c == '´' { '\'' } else { c });
            push_folded(&mut self.letters, &mut self.apostrophes, text.nfkc());
        }
        // Taken out so that words can be pushed while its bytes are looked at.
        let letters = std::mem::take(&mut self.letters);
        self.cut(&letters, 0);
        self.letters = letters;
    }

    /// Cuts the folded letters from byte `at` on into words.
    fn cut(&mut self, letters: &str, mut at: usize) {
        let bytes = letters.as_bytes();
        while at < bytes.len() {
            at = match bytes[at] {
                b'a'..=b'z' | b'0'..=b'9' => self.word_at(letters, at),
                b'@' if letters[..at].ends_with(is_word_char) => end_of_address(letters, at + 1),
                b'@' => self.name_at(letters, at, WordKind::Handle),
                b'#' => self.name_at(letters, at, WordKind::Hashtag),
                b'.' | b'!' | b'?' | b'\n' => {
                    self.end_sentence();
                    at + 1
                }
                b',' | b';' | b':' => {
                    self.end_clause();
                    at + 1
                }
                0..=0x7f => at + 1,
                _ => self.non_ascii_at(letters, at),
            };
        }
    }

    fn end_clause(&mut self) {
        self.clause = self.clause.saturating_add(1);
    }

    fn end_sentence(&mut self) {
        self.sentence = self.sentence.saturating_add(1);
        self.end_clause();
    }

    fn push_word(&mut self, start: usize, end: usize, kind: WordKind) {
        // Texts are at most 64 KiB and folding at most triples them, so offsets fit.
        let offset = |n: usize| u32::try_from(n).expect("a folded text is far below 4 GiB");
        let (start, end) = (offset(start), offset(end));
        self.words.push(Word { start, end, kind, sentence: self.sentence, clause: self.clause });
    }

    /// Takes the word at byte `at`; returns where to go on. A `+` at its end is part of it: "canal+" is no canal. A
    /// dotted run such as `open.spotify.com` gives its words and then itself as a host.
    fn word_at(&mut self, letters: &str, at: usize) -> usize {
        let mut end = end_of_word(letters, at);
        if letters[end..].starts_with("://") && matches!(&letters[at..end], "http" | "https") {
            return self.link_at(letters, end + 3);
        }
        let bytes = letters.as_bytes();
        let goes_on_behind = |c: char| c == '+' || is_word_char(c);
        if bytes.get(end) == Some(&b'+') && !letters[end + 1..].starts_with(goes_on_behind) {
            end += 1;
        }
        self.push_word(at, end, WordKind::Plain);
        let goes_on = |end: usize| {
            bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric)
        };
        if !goes_on(end) {
            return end;
        }
        while goes_on(end) {
            let start = end + 1;
            end = end_of_word(letters, start);
            self.push_word(start, end, WordKind::Plain);
        }
        self.push_word(at, end, WordKind::Host);
        end
    }

    /// Takes a link whose host starts at byte `at`: one word for the host, nothing for the rest up to white space.
    fn link_at(&mut self, letters: &str, at: usize) -> usize {
        let rest = &letters[at..];
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let host_end = rest[..end].find(['/', '?', '#', ':']).unwrap_or(end);
        let host = rest[..host_end].trim_end_matches('.');
        self.push_word(at, at + host.len(), WordKind::Host);
        at + end
    }

    /// Takes `@name` or `#tag` at byte `at`; a sign with nothing behind it is skipped.
    fn name_at(&mut self, letters: &str, at: usize, kind: WordKind) -> usize {
        let start = at + 1;
        let belongs = |c: char| c == '_' || is_word_char(c) || is_unspaced(c);
        let end = letters[start..].find(|c| !belongs(c)).map_or(letters.len(), |n| start + n);
        if kind == WordKind::Hashtag && letters[start..end].contains('_') {
            self.cut(&letters[..end], start);
        }
        if end > start {
            self.push_word(start, end, kind);
        }
        end
    }

    fn non_ascii_at(&mut self, letters: &str, at: usize) -> usize {
        let c = char_at(letters, at);
        let next = at + c.len_utf8();
        match c {
            '。' | '！' | '？' | '…' | '।' | '؟' => self.end_sentence(),
            '、' | '，' | '；' | '：' | '،' | '؛' => self.end_clause(),
            _ if is_unspaced(c) || is_symbol(c) => self.push_word(at, next, WordKind::Plain),
            _ if is_word_char(c) => return self.word_at(letters, at),
            _ => {}
        }
        next
    }
}

/// The end of the host at byte `at` in an address: whose mail it is, or where an account is at home, is not spoken of.
fn end_of_address(letters: &str, at: usize) -> usize {
    let is_part = |c: char| c == '.' || c == '-' || c == '_' || is_word_char(c);
    letters[at..].find(|c| !is_part(c)).map_or(letters.len(), |n| at + n)
}

/// The end of the word at byte `at`.
fn end_of_word(letters: &str, at: usize) -> usize {
    let bytes = letters.as_bytes();
    let mut end = at;
    loop {
        match bytes.get(end) {
            Some(byte) if byte.is_ascii_alphanumeric() => end += 1,
            Some(0x80..) => {
                let c = char_at(letters, end);
                if !is_word_char(c) {
                    return end;
                }
                end += c.len_utf8();
            }
            _ => return end,
        }
    }
}

fn char_at(text: &str, at: usize) -> char {
    text[at..].chars().next().expect("`at` is the start of a character inside the text")
}

/// Letters, digits and marks; characters of unspaced scripts are words by themselves instead.
fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || (!c.is_ascii() && !is_unspaced(c) && (c.is_alphanumeric() || is_indic(c) || is_combining_mark(c)))
}

/// What stands for an apostrophe; it does not count when words are compared.
fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | 'ʼ' | '`')
}

/// Adds a place to those of apostrophes, once.
fn note(apostrophes: &mut Vec<u32>, place: usize) {
    let place = u32::try_from(place).expect("a folded text is far below 4 GiB");
    if apostrophes.last() != Some(&place) {
        apostrophes.push(place);
    }
}

/// What does not count either: marks on letters, invisible characters, skin tones.
fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{300}'..='\u{36f}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
            | '\u{93c}' | '\u{1f3fb}'..='\u{1f3ff}'
    )
}

/// Scripts whose words are not parted by spaces, and Hangul.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
            | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// The Indic blocks, whose vowel signs and viramas are marks but part of the spelling; the full stops among them are not.
fn is_indic(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{963}' | '\u{966}'..='\u{dff}')
}

fn is_symbol(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// The ASCII digit for `c` of a script whose digits begin at `zero`.
fn digit(c: char, zero: char) -> char {
    char::from_digit(c as u32 - zero as u32, 10).expect("ten digits in a row")
}

/// Appends `text` in lower case and without what is dropped; notes where apostrophes were.
fn push_folded(out: &mut String, apostrophes: &mut Vec<u32>, text: impl Iterator<Item = char>) {
    for c in text {
        match c {
            _ if is_apostrophe(c) => note(apostrophes, out.len()),
            _ if is_dropped(c) => {}
            '\0'..='\x7f' => out.push(c.to_ascii_lowercase()),
            'ı' | 'İ' => out.push('i'),
            'ß' | 'ẞ' => out.push_str("ss"),
            'ø' | 'Ø' => out.push('o'),
            'ł' | 'Ł' => out.push('l'),
            'đ' | 'Đ' => out.push('d'),
            'æ' | 'Æ' => out.push_str("ae"),
            'œ' | 'Œ' => out.push_str("oe"),
            'ى' | 'ی' => out.push('ي'),
            'ک' => out.push('ك'),
            'ٱ' => out.push('ا'),
            'ة' => out.push('ه'),
            'ँ' => out.push('ं'),
            '٠'..='٩' => out.push(digit(c, '٠')),
            '۰'..='۹' => out.push(digit(c, '۰')),
            '०'..='९' => out.push(digit(c, '०')),
            // Latin, Greek, Cyrillic, Hebrew and Arabic letters carry marks that people leave out when they type.
            '\u{80}'..='\u{6ff}' | '\u{1e00}'..='\u{1fff}' => decompose_canonical(c, |part| {
                if !is_dropped(part) {
                    out.extend(part.to_lowercase());
                }
            }),
            _ => out.extend(c.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words by a space, a sentence end as `|`, handles, tags and hosts with their sign.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut folded = FoldedText::default();
        folded.fold(text);
        let mut out = String::new();
        let mut sentence = 0;
        for word in folded.words() {
            if word.sentence != sentence {
                out.push_str("| ");
                sentence = word.sentence;
            }
            out.push_str(match word.kind {
                WordKind::Plain => "",
                WordKind::Handle => "@",
                WordKind::Hashtag => "#",
                WordKind::Host => "//",
            });
            out.push_str(folded.letters(word));
            out.push(' ');
        }
        assert_eq!(out.trim_end(), expected, "folding {text:?}");
    }

    #[test]
    fn case_and_apostrophes_do_not_matter() {
        check("Spotify CAN'T play", "spotify cant play");
        check("can’t ca`nt", "cant cant");
    }

    #[test]
    fn diacritics_and_compatibility_forms_do_not_matter() {
        check("Störung está caído", "storung esta caido");
        check("ＳＰＯＴＩＦＹ ﬁx", "spotify fix");
        check("I\u{307}nstagram ÇÖKTÜ çalışmıyor", "instagram coktu calismiyor");
        check("e\u{301}té Straße", "ete strasse");
    }

    #[test]
    fn unspaced_scripts_give_a_word_a_character() {
        check("Spotify落ちた。重い", "spotify 落 ち た | 重 い");
        check("서버 다운", "서 버 다 운");
    }

    #[test]
    fn a_plus_behind_a_word_is_part_of_it() {
        check("Canal+ et Disney+, 18+", "canal+ et disney+ 18+");
        check("LG U+가 canal+😡 canal+…", "lg u+ 가 canal+ 😡 canal+");
        check("C++ 1+1 a+b + x", "c 1 1 a b x");
        check("https://a.com/x+", "//a.com");
    }

    #[test]
    fn voiced_kana_keep_their_marks() {
        check("が", "が");
        check("か\u{3099}", "が");
    }

    #[test]
    fn handles_tags_and_links_keep_what_they_are() {
        check("@SpotifyCares #SpotifyDown!", "@spotifycares #spotifydown");
        check("mail me@hanmail.net, @lena@mastodon.social down", "mail me @lena down");
        check("see https://open.spotify.com/track/is-down now", "see //open.spotify.com now");
        check("spotify.com is slow", "spotify com //spotify.com is slow");
        check("a @ b # c", "a b c");
    }

    #[test]
    fn sentences_end_at_stops_but_not_inside_hosts() {
        check("it broke. again", "it broke | again");
        check("what?! no", "what | no");
    }

    #[test]
    fn names_may_have_underscores() {
        check("@Azure_Support #spotify_down", "@azure_support spotify down #spotify_down");
    }

    #[test]
    fn emoji_are_words_and_skin_tones_are_not() {
        check("down👎🏽 lol", "down 👎 lol");
        check("zero\u{200b}width", "zerowidth");
    }

    #[test]
    fn arabic_letters_have_one_form() {
        check("الإنترنت أُرسِلُ شبكة ٥٠٠", "الانترنت ارسل شبكه 500");
        check("بانک کارت مى ٱلشبكة", "بانك كارت مي الشبكه");
    }

    #[test]
    fn indic_marks_are_part_of_the_word() {
        check("काम नहीं", "काम नहीं");
        check("बड़ा हूँ ५००", "बडा हूं 500");
        check("बंद है।", "बंद है");
    }
}
