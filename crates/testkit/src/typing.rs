//! What happens between a sentence and a post: thumbs, autocorrect, haste and temper.
//!
//! Templates alone would give a few hundred texts, and a matcher that learned them by heart would look perfect. Most
//! posts therefore lose something on the way: capitals, apostrophes, letters, restraint. Accounts, hashtags and links
//! are left alone, as they are mostly completed by the device.

use crate::corpus::{Corpus, Kind, Language};
use crate::dice::Dice;
use crate::wording::Wording;

/// Gives a wording the form one person posts it in; news and official accounts proofread.
pub(crate) fn type_out(dice: &mut Dice, wording: Wording, kind: Kind, typo_share: f64) -> String {
    if matches!(kind, Kind::News | Kind::NewsFixed | Kind::Official | Kind::OfficialFixed) {
        return wording.text;
    }
    let language = wording.language;
    let mood = Mood::of(kind);
    let mut text = wording.text;
    if wording.takes_opener && dice.chance(0.1) {
        text = framed(dice, language, mood.opener, text, true);
    }
    if dice.chance(0.16) {
        text = framed(dice, language, mood.tail, text, false);
    }
    if language != Language::Ja {
        text = letters(dice, text, kind, typo_share);
    }
    text = punctuation(dice, text);
    if dice.chance(0.16) {
        let n_emoji = 1 + usize::from(dice.chance(0.3)) + usize::from(dice.chance(0.2));
        let emoji = framed(dice, Language::En, mood.emoji, String::new(), false);
        let space = if language == Language::Ja { "" } else { " " };
        text = format!("{text}{space}{}", emoji.trim().repeat(n_emoji));
    }
    text
}

/// Which lists the words around a text come from: nobody sighs about a new playlist.
#[derive(Debug, Clone, Copy)]
struct Mood {
    opener: &'static str,
    tail: &'static str,
    emoji: &'static str,
}

impl Mood {
    fn of(kind: Kind) -> Self {
        if kind.is_complaint() || matches!(kind, Kind::Price | Kind::PriceRise) {
            Self { opener: "opener", tail: "tail", emoji: "emoji" }
        } else {
            Self { opener: "opener_light", tail: "tail_light", emoji: "emoji_light" }
        }
    }
}

fn framed(dice: &mut Dice, language: Language, slot: &str, text: String, before: bool) -> String {
    let list = Corpus::of(language).slot(slot);
    if list.is_empty() {
        return text;
    }
    let frame = dice.pick(list);
    let space = if language == Language::Ja { "" } else { " " };
    if before { format!("{frame}{space}{text}") } else { format!("{text}{space}{frame}") }
}

/// What is done to the letters of a text written in Latin script.
fn letters(dice: &mut Dice, mut text: String, kind: Kind, typo_share: f64) -> String {
    if dice.chance(0.3) {
        text = by_word(&text, str::to_lowercase);
    } else if dice.chance(0.45) {
        text = capitalized(&text);
    } else if kind.is_complaint() && dice.chance(0.04) {
        text = by_word(&text, str::to_uppercase);
    }
    if dice.chance(0.35) {
        text = text.replace('\'', "");
    } else if dice.chance(0.3) {
        text = text.replace('\'', "\u{2019}");
    }
    if dice.chance(0.05) {
        change_word(dice, &mut text, 3, elongate);
    }
    if dice.chance(typo_share) {
        change_word(dice, &mut text, 4, slip);
    }
    text
}

/// What people end a sentence with when they end it at all.
const ENDINGS: [&str; 6] = [".", ".", "...", "!", " !!", ".."];

fn punctuation(dice: &mut Dice, mut text: String) -> String {
    match text.chars().next_back() {
        Some('.' | '。') if dice.chance(0.6) => {
            text.pop();
        }
        Some(mark @ ('?' | '!' | '？' | '！')) if dice.chance(0.25) => {
            for _ in 0..=dice.below(4) {
                text.push(mark);
            }
        }
        Some(letter) if letter.is_alphabetic() && dice.chance(0.14) => {
            let ending = dice.pick(&ENDINGS);
            text.push_str(ending);
        }
        _ => {}
    }
    text
}

/// The capital that a telephone puts at the start.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn by_word(text: &str, change: impl Fn(&str) -> String) -> String {
    let words: Vec<String> =
        text.split(' ').map(|word| if is_protected(word) { word.to_owned() } else { change(word) }).collect();
    words.join(" ")
}

fn is_protected(word: &str) -> bool {
    word.contains(['@', '#', '/'])
}

/// Changes one word of at least so many letters, chosen at random; a text without such a word stays as it is.
fn change_word(
    dice: &mut Dice,
    text: &mut String,
    letters_min: usize,
    change: impl Fn(&mut Dice, &str) -> String,
) {
    let words: Vec<&str> = text.split(' ').collect();
    let fit = |word: &str| {
        !is_protected(word) && word.chars().count() >= letters_min && word.chars().all(char::is_alphabetic)
    };
    let candidates: Vec<usize> = (0..words.len()).filter(|index| fit(words[*index])).collect();
    if candidates.is_empty() {
        return;
    }
    let chosen = *dice.pick(&candidates);
    let changed = change(dice, words[chosen]);
    let mut words: Vec<&str> = words;
    words[chosen] = &changed;
    *text = words.join(" ");
}

/// "down" to "downnnn".
fn elongate(dice: &mut Dice, word: &str) -> String {
    let last = word.chars().next_back().into_iter();
    word.chars().chain(last.cycle().take(1 + dice.below(5))).collect()
}

/// One slip: a letter dropped, doubled, swapped with the next, or its neighbour on the keyboard hit instead.
fn slip(dice: &mut Dice, word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    // The first letter is looked at when it is typed; slips come after it.
    let place = 1 + dice.below(letters.len() - 2);
    match dice.below(4) {
        0 => {
            letters.remove(place);
        }
        1 => letters.insert(place, letters[place]),
        2 => letters.swap(place, place + 1),
        _ => letters[place] = neighbour(dice, letters[place]),
    }
    letters.into_iter().collect()
}

fn neighbour(dice: &mut Dice, letter: char) -> char {
    const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
    for row in ROWS {
        if let Some(place) = row.find(letter) {
            let row = row.as_bytes();
            let beside =
                if place == 0 || (place + 1 < row.len() && dice.chance(0.5)) { place + 1 } else { place - 1 };
            return char::from(row[beside]);
        }
    }
    letter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str, kind: Kind, seed: u64) -> String {
        let wording = Wording {
            text: text.to_owned(),
            language: Language::En,
            names_service: true,
            takes_opener: true,
        };
        type_out(&mut Dice::new(seed, "typing"), wording, kind, 0.3)
    }

    #[test]
    fn one_sentence_becomes_many_posts() {
        let posts: std::collections::BTreeSet<String> =
            (0..300).map(|seed| typed("why can't I open Spotify today?", Kind::Ordinary, seed)).collect();
        assert!(posts.len() > 100, "300 people typed only {} different posts", posts.len());
    }

    #[test]
    fn accounts_hashtags_and_links_stay_whole() {
        for seed in 0..500 {
            let post = typed("wow @SpotifyCares #SpotifyDown https://t.co/Ab", Kind::Ordinary, seed);
            for word in ["@SpotifyCares", "#SpotifyDown", "https://t.co/Ab"] {
                assert!(post.contains(word), "seed {seed}: {word} lost in {post}");
            }
        }
    }

    #[test]
    fn news_accounts_proofread() {
        for seed in 0..100 {
            assert_eq!(typed("Users report problems.", Kind::News, seed), "Users report problems.");
        }
    }

    #[test]
    fn slips_never_fail_on_short_or_foreign_words() {
        for seed in 0..2_000 {
            let mut dice = Dice::new(seed, "slip");
            assert!(!slip(&mut dice, "Äöüß").is_empty());
        }
    }
}
