//! What is wrong with a real feed: each fault as it comes off the wire.
//!
//! Faults are made on the finished line, after the post itself is settled, so that a scenario with noise has the same
//! posts as the one without it. One post has at most one fault: then every kind can be counted on its own.

use crate::dice::Dice;
use crate::scenario::Noise;

/// One thing wrong with one post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `Noise` with these names say what each is")]
pub enum Fault {
    MalformedJson,
    InvalidUtf8,
    Oversized,
    Huge,
    Duplicate,
    Late,
    Future,
    Backdated,
    MissingField,
    BadTime,
}

const FAULTS: [Fault; 10] = [
    Fault::MalformedJson,
    Fault::InvalidUtf8,
    Fault::Oversized,
    Fault::Huge,
    Fault::Duplicate,
    Fault::Late,
    Fault::Future,
    Fault::Backdated,
    Fault::MissingField,
    Fault::BadTime,
];

impl Noise {
    /// The shares of which at most one strikes a post, in the order of the faults they stand for.
    pub(crate) fn exclusive_shares(&self) -> [(&'static str, f64); 10] {
        [
            ("malformed_json", self.malformed_json),
            ("invalid_utf8", self.invalid_utf8),
            ("oversized", self.oversized),
            ("huge", self.huge),
            ("duplicate", self.duplicate),
            ("late", self.late),
            ("future", self.future),
            ("backdated", self.backdated),
            ("missing_field", self.missing_field),
            ("bad_time", self.bad_time),
        ]
    }

    /// The fault of one post, if it has any.
    pub(crate) fn fault(&self, dice: &mut Dice) -> Option<Fault> {
        let mut left = dice.unit();
        for (fault, (_, share)) in FAULTS.into_iter().zip(self.exclusive_shares()) {
            if left < share {
                return Some(fault);
            }
            left -= share;
        }
        None
    }
}

const MINUTE_MS: f64 = 60_000.0;
const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: f64 = 24.0 * HOUR_MS;
/// The largest text the design accepts, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;
const HUGE_TEXT_BYTES: usize = 100_000;

/// How long a late post is under way, in milliseconds.
pub(crate) fn lateness_ms(dice: &mut Dice) -> i64 {
    dice.between(3.0 * MINUTE_MS, 40.0 * MINUTE_MS) as i64
}

/// The time a post claims, given when it was really posted.
pub(crate) fn claimed_ms(dice: &mut Dice, fault: Option<Fault>, event_ms: i64) -> i64 {
    match fault {
        Some(Fault::Future) => event_ms + dice.between(HOUR_MS, 365.0 * DAY_MS) as i64,
        Some(Fault::Backdated) => event_ms - dice.between(DAY_MS, 5.0 * 365.0 * DAY_MS) as i64,
        _ => event_ms,
    }
}

/// The text a post carries: the same, over and over, when it is to be too long.
pub(crate) fn carried_text(fault: Option<Fault>, text: String) -> String {
    let bytes_min = match fault {
        Some(Fault::Oversized) => TEXT_BYTES_MAX + 1,
        Some(Fault::Huge) => HUGE_TEXT_BYTES,
        _ => return text,
    };
    let mut long = String::with_capacity(bytes_min + text.len());
    while long.len() < bytes_min {
        long.push_str(&text);
        long.push(' ');
    }
    long
}

/// A time that nobody can read, as JSON.
pub(crate) fn bad_time(dice: &mut Dice) -> serde_json::Value {
    const TEXTS: [&str; 6] =
        ["yesterday", "2023-13-45T99:61:00Z", "", "20/04/2023 10:15", "2023-04-20T12:00:00", "null"];
    match dice.below(8) {
        0 => serde_json::Value::Null,
        1 => serde_json::Value::Bool(true),
        _ => serde_json::Value::from(*dice.pick(&TEXTS)),
    }
}

/// A line that should have been the given JSON object.
pub(crate) fn malformed(dice: &mut Dice, line: &str) -> Vec<u8> {
    match dice.below(8) {
        0 => "<html><body><h1>502 Bad Gateway</h1></body></html>".into(),
        1 => "[]".into(),
        2 => "null".into(),
        3 => line.replace("\":\"", "\":").into(),
        4 => line.replace('"', "'").into(),
        5 => format!("{line}{line}").into(),
        // A line cut off, at a character's edge or within one, as a full buffer does it.
        _ => {
            let bytes = line.as_bytes();
            let keep = 1 + dice.below(bytes.len() - 1);
            bytes[..keep].to_vec()
        }
    }
}

/// The line with bytes that no UTF-8 text has, somewhere in the last half.
pub(crate) fn invalid_utf8(dice: &mut Dice, line: &str) -> Vec<u8> {
    const BROKEN: [&[u8]; 4] = [&[0xff], &[0xc3, 0x28], &[0xed, 0xa0, 0x80], &[0xf0, 0x9f, 0x98]];
    let mut bytes = line.as_bytes().to_vec();
    let mut place = bytes.len() / 2;
    while !line.is_char_boundary(place) {
        place += 1;
    }
    bytes.splice(place..place, dice.pick(&BROKEN).iter().copied());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"{"id":"p1","created_at":"2023-04-20T12:00:00.000Z","author":"ana","text":"caído 😭"}"#;

    #[test]
    fn damaged_lines_are_what_they_are_meant_to_be() {
        for seed in 0..300 {
            let mut dice = Dice::new(seed, "noise");
            let line = malformed(&mut dice, LINE);
            let object: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_slice(&line);
            assert!(object.is_err(), "seed {seed}: still a JSON object");
            let line = invalid_utf8(&mut dice, LINE);
            assert!(String::from_utf8(line).is_err(), "seed {seed}: still UTF-8");
        }
    }

    #[test]
    fn long_texts_are_as_long_as_they_are_meant_to_be() {
        let oversized = carried_text(Some(Fault::Oversized), "no".into()).len();
        assert!((TEXT_BYTES_MAX + 1..TEXT_BYTES_MAX + 10).contains(&oversized), "{oversized} bytes");
        assert!(carried_text(Some(Fault::Huge), "no".into()).len() >= HUGE_TEXT_BYTES);
    }

    #[test]
    fn faults_come_at_their_shares() {
        let noise = Noise { duplicate: 0.02, bad_time: 0.01, ..Noise::default() };
        let mut dice = Dice::new(1, "faults");
        let faults: Vec<Fault> = (0..100_000).filter_map(|_| noise.fault(&mut dice)).collect();
        let n_duplicate = faults.iter().filter(|fault| **fault == Fault::Duplicate).count();
        assert!((1_800..2_200).contains(&n_duplicate), "{n_duplicate} of about 2000");
        assert!((2_750..3_250).contains(&faults.len()), "{} of about 3000", faults.len());
    }
}
