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
//! * `@name` and `#tag` keep their sign; a link is one word, its host kept for domain look-up and its path ignored.
//! * `.` `!` `?` and line ends part sentences, `,` `;` `:` part clauses.
//!
//! ASCII, the bulk of all posts, never leaves a byte loop; other characters are folded one by one.

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

/// A folded text: reused from post to post, so that folding allocates nothing once warm.
#[derive(Debug, Default)]
pub(crate) struct FoldedText {
    letters: String,
    words: Vec<Word>,
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

    /// Replaces the content by the folded `text`.
    pub(crate) fn fold(&mut self, text: &str) {
        self.letters.clear();
        self.words.clear();
        self.sentence = 0;
        self.clause = 0;
        if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            self.fold_normalized(text);
        } else {
            let normalized: String = text.nfkc().collect();
            self.fold_normalized(&normalized);
        }
    }

    fn fold_normalized(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            at = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => self.word_from(text, at),
                b'@' => self.tagged_from(text, at, WordKind::Handle),
                b'#' => self.tagged_from(text, at, WordKind::Hashtag),
                b'.' | b'!' | b'?' | b'\n' => {
                    self.end_sentence();
                    at + 1
                }
                b',' | b';' | b':' => {
                    self.clause = self.clause.saturating_add(1);
                    at + 1
                }
                0..=0x7f => at + 1,
                _ => self.non_ascii_from(text, at),
            };
        }
    }

    fn end_sentence(&mut self) {
        self.sentence = self.sentence.saturating_add(1);
        self.clause = self.clause.saturating_add(1);
    }

    fn push_word(&mut self, start: usize, kind: WordKind) {
        // Texts are at most 64 KiB and folding at most triples them, so offsets fit.
        let offset = |n: usize| u32::try_from(n).expect("a folded text is far below 4 GiB");
        self.words.push(Word {
            start: offset(start),
            end: offset(self.letters.len()),
            kind,
            sentence: self.sentence,
            clause: self.clause,
        });
    }

    /// Folds the word that starts at byte `at`; returns where to go on. A dotted run such as `open.spotify.com` gives
    /// its words and then itself as a host.
    fn word_from(&mut self, text: &str, at: usize) -> usize {
        let start = self.letters.len();
        let mut end = self.letters_from(text, at, false);
        if text[end..].starts_with("://") && matches!(&self.letters[start..], "http" | "https") {
            self.letters.truncate(start);
            return self.link_from(text, end + 3);
        }
        self.push_word(start, WordKind::Plain);
        let bytes = text.as_bytes();
        let joined = |end: usize| {
            bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric)
        };
        if !joined(end) {
            return end;
        }
        while joined(end) {
            let start = self.letters.len();
            end = self.letters_from(text, end + 1, false);
            self.push_word(start, WordKind::Plain);
        }
        let start = self.letters.len();
        self.host_letters(&text[at..end]);
        self.push_word(start, WordKind::Host);
        end
    }

    /// Takes a link whose host starts at byte `at`: one word for the host, nothing for the rest up to white space.
    fn link_from(&mut self, text: &str, at: usize) -> usize {
        let rest = &text[at..];
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let host_end = rest[..end].find(['/', '?', '#', ':']).unwrap_or(end);
        let start = self.letters.len();
        self.host_letters(&rest[..host_end]);
        self.push_word(start, WordKind::Host);
        at + end
    }

    fn host_letters(&mut self, host: &str) {
        let host = host.trim_end_matches('.');
        self.letters.extend(host.chars().flat_map(char::to_lowercase));
    }

    /// Takes `@name` or `#tag` at byte `at`; a sign with nothing behind it is skipped.
    fn tagged_from(&mut self, text: &str, at: usize, kind: WordKind) -> usize {
        let start = self.letters.len();
        let end = self.letters_from(text, at + 1, true);
        if end > at + 1 && self.letters.len() > start {
            self.push_word(start, kind);
        }
        end
    }

    /// Folds characters from byte `at` on while they belong to a word, or to a name, which may have underscores and
    /// characters of unspaced scripts too; returns the byte after the last one.
    fn letters_from(&mut self, text: &str, at: usize, is_name: bool) -> usize {
        let bytes = text.as_bytes();
        let mut end = at;
        loop {
            let run = bytes[end..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            let folded_from = self.letters.len();
            self.letters.push_str(&text[end..end + run]);
            self.letters[folded_from..].make_ascii_lowercase();
            end += run;
            match bytes.get(end) {
                Some(b'\'' | b'`') => end += 1,
                Some(b'_') if is_name => end += 1,
                Some(0x80..) => {
                    let c = char_at(text, end);
                    if !is_word_char(c) && !(is_name && is_unspaced(c)) {
                        return end;
                    }
                    if !is_dropped(c) {
                        push_folded(&mut self.letters, c);
                    }
                    end += c.len_utf8();
                }
                _ => return end,
            }
        }
    }

    fn non_ascii_from(&mut self, text: &str, at: usize) -> usize {
        let c = char_at(text, at);
        let next = at + c.len_utf8();
        match c {
            '。' | '！' | '？' | '…' | '।' | '؟' => self.end_sentence(),
            '、' | '，' | '；' | '：' | '،' | '؛' => self.clause = self.clause.saturating_add(1),
            _ if is_dropped(c) || is_skin_tone(c) => {}
            _ if is_unspaced(c) || is_symbol(c) => {
                let start = self.letters.len();
                self.letters.push(c);
                self.push_word(start, WordKind::Plain);
            }
            _ if is_word_char(c) => return self.word_from(text, at),
            _ => {}
        }
        next
    }
}

fn char_at(text: &str, at: usize) -> char {
    text[at..].chars().next().expect("`at` is the start of a character inside the text")
}

/// Letters, digits and what hides inside words; the scripts without spaces are words of one character instead.
fn is_word_char(c: char) -> bool {
    is_dropped(c) || (!is_unspaced(c) && (c.is_alphanumeric() || is_indic(c) || is_combining_mark(c)))
}

/// Inside a word, but not part of how it is compared: apostrophes, marks on letters, invisible characters.
fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\'' | '’' | '‘' | 'ʼ' | '`' | '´' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{300}'..='\u{36f}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
    )
}

/// Scripts whose words are not parted by spaces, and Hangul.
fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
            | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// The Indic blocks, whose vowel signs and viramas are marks but part of the spelling.
fn is_indic(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{dff}')
}

fn is_symbol(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}') && !is_skin_tone(c)
}

fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Appends `c` in lower case and without its marks.
fn push_folded(out: &mut String, c: char) {
    match c {
        'ı' | 'İ' => out.push('i'),
        'ß' | 'ẞ' => out.push_str("ss"),
        'ø' | 'Ø' => out.push('o'),
        'ł' | 'Ł' => out.push('l'),
        'đ' | 'Đ' => out.push('d'),
        'æ' | 'Æ' => out.push_str("ae"),
        'œ' | 'Œ' => out.push_str("oe"),
        'ى' => out.push('ي'),
        'ة' => out.push('ه'),
        // Latin, Greek, Cyrillic, Hebrew and Arabic letters carry marks that people leave out when they type.
        '\u{80}'..='\u{6ff}' | '\u{1e00}'..='\u{1fff}' => decompose_canonical(c, |part| {
            if !is_dropped(part) {
                out.extend(part.to_lowercase());
            }
        }),
        _ => out.extend(c.to_lowercase()),
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
    fn voiced_kana_keep_their_marks() {
        check("が", "が");
        check("か\u{3099}", "が");
    }

    #[test]
    fn handles_tags_and_links_keep_what_they_are() {
        check("@SpotifyCares #SpotifyDown!", "@spotifycares #spotifydown");
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
    fn emoji_are_words_and_skin_tones_are_not() {
        check("down👎🏽 lol", "down 👎 lol");
        check("zero\u{200b}width", "zerowidth");
    }

    #[test]
    fn indic_marks_are_part_of_the_word() {
        check("काम नहीं", "काम नहीं");
    }
}
