//! Who posts: a finite crowd whose members keep their names, a few of whom are loud.
//!
//! Names are derived from a number, not stored, so that a crowd of millions costs nothing. The detector counts
//! authors, so repetition matters more than beauty: most posts come from different people, some people come back
//! after days, and a loud few post about one service again and again.

use crate::corpus::Language;
use crate::dice::{Dice, fnv1a};
use crate::scenario::{People, Service};

const FIRST: [&str; 72] = [
    "maria", "jess", "tom", "lucas", "ana", "sofia", "dave", "kevin", "emma", "noah", "liam", "olivia",
    "mateo", "camila", "juan", "pedro", "bia", "rafa", "julie", "hugo", "lena", "max", "felix", "paul",
    "yuki", "hana", "ken", "aiko", "priya", "rahul", "ali", "fatima", "omar", "chris", "sam", "alex",
    "taylor", "jordan", "casey", "nina", "mike", "steph", "ash", "ben", "chloe", "zoe", "eva", "leo", "dani",
    "vale", "gabi", "caro", "tobi", "jonas", "ines", "theo", "manon", "lea", "rin", "sota", "miku", "kai",
    "deb", "barb", "gary", "linda", "josh", "tyler", "bri", "kenzie", "marcus", "andre",
];
const SECOND: [&str; 64] = [
    "lopez", "smith", "k", "wolf", "silva", "m", "rose", "jones", "garcia", "music", "plays", "writes", "b",
    "moon", "tanaka", "r", "muller", "dubois", "costa", "xo", "official", "dev", "codes", "runs", "reads",
    "photo", "santos", "weber", "martin", "p", "sato", "fox", "cat", "bear", "sky", "star", "gaming", "tv",
    "live", "irl", "wtf", "again", "online", "hq", "vibes", "beats", "coffee", "tea", "bakes", "fan", "army",
    "swift", "stan", "era", "fc", "utd", "nyc", "ldn", "atx", "mx", "br", "jp", "ger", "paris",
];
const FORM_COUNT: u64 = 6;

/// The author of one post about a service.
pub(crate) fn author(dice: &mut Dice, people: &People, service: &Service, language: Language) -> String {
    if dice.chance(people.loud_share) {
        let number = dice.below(people.loud as usize) as u64;
        return name(fnv1a(&service.id) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    // People of different languages are different people.
    let number = dice.below(people.population as usize) as u64;
    name(number * 8 + language as u64)
}

/// The author of a news post.
pub(crate) fn news_author(dice: &mut Dice) -> String {
    const DESKS: [&str; 6] =
        ["newswire", "technewsdesk", "breakingwire", "dailytech", "outagewatch", "worldbrief"];
    format!("{}_{}", dice.pick(&DESKS), 1 + dice.below(9))
}

fn name(number: u64) -> String {
    let bits = mixed(number);
    let first = FIRST[(bits % FIRST.len() as u64) as usize];
    let second = SECOND[((bits >> 8) % SECOND.len() as u64) as usize];
    let digits = (bits >> 20) % 10_000;
    match (bits >> 40) % FORM_COUNT {
        0 => format!("{first}_{second}{}", digits % 1_000),
        1 => format!("{first}{second}{}", digits % 1_000),
        2 => format!("{first}.{second}.{}", digits % 1_000),
        3 => format!("{first}{digits:04}"),
        4 => format!("{second}{first}{}", digits % 1_000),
        _ => format!("x{first}{second}x{}", digits % 1_000),
    }
}

/// The finishing steps of `SplitMix64` (Steele, Lea & Flood 2014): neighbouring numbers get unlike names.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_crowd_has_mostly_different_names() {
        let names: BTreeSet<String> = (0..60_000).map(name).collect();
        assert!(names.len() > 58_000, "60000 people have only {} names", names.len());
    }
}
