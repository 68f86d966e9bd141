//! Seeded posts and catalogues of any size: everyday words, a third naming a service, a tenth of those complaining.

use std::fmt::Write as _;

use groundswell_core::EventTime;

const WORDS: &[&str] = &[
    "the", "and", "today", "with", "my", "really", "new", "love", "about", "going", "watch", "music", "game",
    "work", "time", "people", "just", "think", "because", "tonight", "good", "coffee", "train", "weekend",
    "friend", "story", "update", "video", "phone", "news", "never", "always", "maybe", "little", "house",
    "city", "rain", "school",
];
const COMPLAINTS: &[&str] =
    &["is down again", "won't load for me", "can't log in", "keeps crashing since the update"];

/// A small generator (SplitMix64, Steele et al. 2014), so that the posts are the same everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// A pronounceable name, different for each number.
pub(crate) fn name(mut number: usize) -> String {
    const SYLLABLES: &[&str] = &["ba", "do", "ki", "lu", "me", "no", "pa", "ri", "su", "ta", "ve", "zo"];
    let mut name = String::from("qu");
    for _ in 0..4 {
        name.push_str(SYLLABLES[number % SYLLABLES.len()]);
        number /= SYLLABLES.len();
    }
    name
}

pub(crate) fn catalogue_text(n_services: usize) -> String {
    let mut text = String::new();
    for number in 0..n_services {
        let name = name(number);
        writeln!(
            text,
            "[[service]]\nid = '{name}'\nname = '{name}'\naliases = ['{name}', '{name} app', 'the {name}']\n\
             handles = ['{name}', '{name}help']\ndomains = ['{name}.example']\n"
        )
        .expect("a string can be written");
    }
    text
}

/// A post as a line of JSON, `per_minute` a minute, about a service numbered below `n_services`.
pub(crate) fn post(number: usize, n_services: usize, per_minute: usize, dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..10 + dice.below(12) {
        text.push_str(WORDS[dice.below(WORDS.len())]);
        text.push(' ');
    }
    if dice.below(3) == 0 {
        text.push_str(&name(dice.below(n_services)));
        text.push(' ');
        if dice.below(10) == 0 {
            text.push_str(COMPLAINTS[dice.below(COMPLAINTS.len())]);
        }
    }
    let ms = 1_700_000_000_000 + (number as u64 * 60_000) / per_minute as u64;
    let time = EventTime::from_ms(ms as i64).map(groundswell_io::times::format).expect("a time in range");
    format!(
        "{{\"id\":\"{number}\",\"created_at\":\"{time}\",\"author\":\"user{}\",\"text\":\"{}\",\"lang\":\"en\",\"source\":\"bench\"}}",
        dice.below(2_000_000),
        text.trim_end()
    )
}
