//! A line of JSON to a post, or to the reason why it is none.
//!
//! Strings are borrowed from the line wherever JSON has them unescaped, so that decoding a post allocates nothing.

use std::borrow::Cow;
use std::fmt;

use groundswell_core::{EventTime, Outcome, Post};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use crate::times;

/// A decoded post, owning what could not be borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedPost<'a> {
    id: Cow<'a, str>,
    event_time: EventTime,
    author: Cow<'a, str>,
    text: Cow<'a, str>,
    lang: Option<Cow<'a, str>>,
    country: Option<Cow<'a, str>>,
    is_repost: bool,
    service: Option<Cow<'a, str>>,
}

impl DecodedPost<'_> {
    /// The post as the core takes it.
    pub fn as_post(&self) -> Post<'_> {
        let non_empty = |field: &'_ Option<Cow<'_, str>>| field.as_deref().map(str::is_empty) == Some(false);
        Post {
            id: &self.id,
            event_time: self.event_time,
            author: &self.author,
            text: &self.text,
            lang: self.lang.as_deref(),
            country: self.country.as_deref(),
            is_repost: self.is_repost,
            service: if non_empty(&self.service) { self.service.as_deref() } else { None },
        }
    }
}

/// Why a line is no post: a reason that is counted, and the particulars for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The outcome under which the line is counted.
    pub outcome: Outcome,
    /// What exactly is wrong.
    pub detail: String,
}

impl Rejection {
    fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into() }
    }
}

/// The post as it is written. Fields that are not named here are ignored.
#[derive(Deserialize)]
struct WirePost<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    created_at: Option<WireTime<'a>>,
    #[serde(borrow)]
    author: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    lang: Option<Text<'a>>,
    #[serde(borrow)]
    country: Option<Text<'a>>,
    is_repost: Option<bool>,
    #[serde(borrow)]
    service: Option<Text<'a>>,
}

/// Decodes one line.
///
/// # Errors
/// The line's outcome, if it is blank, not UTF-8, not a JSON object, lacks `id`, `created_at` or `text`, or has a field
/// of the wrong type or a time outside 1970–3000.
pub fn decode(line: &[u8]) -> Result<DecodedPost<'_>, Rejection> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Err(Rejection::new(Outcome::Blank, "the line is empty"));
    }
    let text =
        std::str::from_utf8(line).map_err(|error| Rejection::new(Outcome::NotUtf8, error.to_string()))?;
    if !text.starts_with('{') {
        return Err(Rejection::new(Outcome::NotJson, "not a JSON object"));
    }
    let wire: WirePost<'_> = serde_json::from_str(text).map_err(|error| {
        let outcome = if error.is_data() { Outcome::BadField } else { Outcome::NotJson };
        Rejection::new(outcome, error.to_string())
    })?;
    let missing =
        |field: &str| Rejection::new(Outcome::MissingField, format!("`{field}` is missing or empty"));
    let id = wire.id.filter(|id| !id.0.is_empty()).ok_or_else(|| missing("id"))?;
    let time = wire.created_at.ok_or_else(|| missing("created_at"))?;
    let text = wire.text.ok_or_else(|| missing("text"))?;
    let event_time = time.event_time().ok_or_else(|| {
        Rejection::new(
            Outcome::BadTime,
            format!("`created_at` is {time}; it must be RFC 3339 or epoch milliseconds"),
        )
    })?;
    Ok(DecodedPost {
        id: id.0,
        event_time,
        author: wire.author.map_or(Cow::Borrowed(""), |author| author.0),
        text: text.0,
        lang: wire.lang.map(|lang| lang.0),
        country: wire.country.map(|country| country.0),
        is_repost: wire.is_repost.unwrap_or(false),
        service: wire.service.map(|service| service.0),
    })
}

/// A string that is borrowed where it can be; serde's own `Option<Cow>` never borrows.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

enum WireTime<'a> {
    Text(Cow<'a, str>),
    EpochMs(i64),
    Fraction(f64),
}

impl WireTime<'_> {
    fn event_time(&self) -> Option<EventTime> {
        match self {
            Self::Text(text) => times::parse_rfc3339(text),
            Self::EpochMs(ms) => EventTime::from_ms(*ms),
            Self::Fraction(_) => None,
        }
    }
}

impl fmt::Display for WireTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{:?}", text.chars().take(40).collect::<String>()),
            Self::EpochMs(ms) => ms.fmt(f),
            Self::Fraction(number) => number.fmt(f),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for WireTime<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl<'de> Visitor<'de> for TimeVisitor {
            type Value = WireTime<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: RFC 3339 or epoch milliseconds")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(WireTime::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(WireTime::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_i64<E: Error>(self, ms: i64) -> Result<Self::Value, E> {
                Ok(WireTime::EpochMs(ms))
            }
            fn visit_u64<E: Error>(self, ms: u64) -> Result<Self::Value, E> {
                Ok(WireTime::EpochMs(i64::try_from(ms).unwrap_or(i64::MAX)))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(WireTime::Fraction(number))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                Err(E::invalid_type(Unexpected::Bool(value), &self))
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_rejected(line: &[u8], outcome: Outcome) {
        let rejection = decode(line).expect_err("the line must be rejected");
        assert_eq!(rejection.outcome, outcome, "{rejection:?}");
        assert!(!rejection.detail.is_empty());
    }

    #[test]
    fn a_post_is_read_whole_and_unknown_fields_are_ignored() {
        let line = br#"{"id":"1","created_at":"2023-04-20T12:00:00Z","author":"a","text":"spotify \"down\"",
            "lang":"en","country":"SE","is_repost":true,"service":"spotify","likes":[1,{"x":2}]}"#;
        let decoded = decode(line).expect("a good post");
        let post = decoded.as_post();
        assert_eq!((post.id, post.author, post.text), ("1", "a", "spotify \"down\""));
        assert_eq!((post.lang, post.country, post.service), (Some("en"), Some("SE"), Some("spotify")));
        assert!(post.is_repost);
    }

    #[test]
    fn what_is_optional_may_be_absent_null_or_empty() {
        let line =
            br#"{"id":"1","created_at":1681992000000,"text":"x","author":null,"lang":null,"service":""}"#;
        let decoded = decode(line).expect("a good post");
        assert_eq!(decoded.as_post().author, "");
        assert_eq!(decoded.as_post().service, None);
        assert_eq!(decoded.as_post().event_time.as_ms(), 1_681_992_000_000);
    }

    #[test]
    fn unescaped_strings_are_borrowed() {
        let decoded = decode(br#"{"id":"1","created_at":0,"text":"plain"}"#).expect("a good post");
        assert!(matches!(decoded.text, Cow::Borrowed("plain")));
    }

    #[test]
    fn each_mistake_has_its_reason() {
        check_rejected(b" \t ", Outcome::Blank);
        check_rejected(b"\"caf\xe9\"", Outcome::NotUtf8);
        check_rejected(b"{\"id\":\"1\"", Outcome::NotJson);
        check_rejected(b"{} {}", Outcome::NotJson);
        check_rejected(b"[1]", Outcome::NotJson);
        check_rejected(br#"{"id":"1","created_at":0}"#, Outcome::MissingField);
        check_rejected(br#"{"created_at":0,"text":""}"#, Outcome::MissingField);
        check_rejected(br#"{"id":"1","text":"x"}"#, Outcome::MissingField);
        check_rejected(br#"{"id":1,"created_at":0,"text":"x"}"#, Outcome::BadField);
        check_rejected(br#"{"id":"1","created_at":true,"text":"x"}"#, Outcome::BadField);
        check_rejected(br#"{"id":"1","created_at":"noon","text":"x"}"#, Outcome::BadTime);
        check_rejected(br#"{"id":"1","created_at":-5,"text":"x"}"#, Outcome::BadTime);
        check_rejected(br#"{"id":"1","created_at":1.5,"text":"x"}"#, Outcome::BadTime);
        check_rejected(br#"{"id":"1","created_at":99999999999999999999,"text":"x"}"#, Outcome::BadTime);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            drop(decode(&bytes));
        }
    }
}
