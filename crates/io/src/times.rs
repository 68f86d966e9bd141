//! Times as text: RFC 3339 in, RFC 3339 out, and the other forms that tables of counts use.

use groundswell_core::EventTime;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Epoch numbers from here on are milliseconds: as seconds they would lie past the year 5138.
const EPOCH_MS_FROM: i64 = 100_000_000_000;

/// Reads RFC 3339 with any offset; `None` if it is not that or lies outside 1970–3000. The fraction is cut to
/// milliseconds.
pub fn parse_rfc3339(text: &str) -> Option<EventTime> {
    if let Some(time) = parse_plain_utc(text.as_bytes()) {
        return EventTime::from_ms(time);
    }
    let timestamp: Timestamp = text.parse().ok()?;
    EventTime::from_ms(timestamp.as_millisecond())
}

/// `YYYY-MM-DDTHH:MM:SS[.fff]Z`, by far the commonest form, without a general parser's cost on every post.
fn parse_plain_utc(bytes: &[u8]) -> Option<i64> {
    let (seconds, rest) = bytes.split_at_checked(19)?;
    let ms = match rest {
        b"Z" => 0,
        [b'.', a, b, c, b'Z'] => number(&[*a, *b, *c])?,
        _ => return None,
    };
    let shape_fits = seconds[4] == b'-'
        && seconds[7] == b'-'
        && seconds[10] == b'T'
        && seconds[13] == b':'
        && seconds[16] == b':';
    if !shape_fits {
        return None;
    }
    let field = |from: usize, to: usize| number(&seconds[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = [31, 28 + i64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days_in_month = *month_days.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + ms)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

/// Reads what tables of counts use: RFC 3339, `YYYY-MM-DD HH:MM[:SS]` (UTC), or a whole number since the epoch,
/// seconds or, from 10¹¹ on, milliseconds.
pub fn parse_table_time(text: &str) -> Option<EventTime> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        let ms = if number.abs() < EPOCH_MS_FROM { number.checked_mul(1000)? } else { number };
        return EventTime::from_ms(ms);
    }
    if let Some(time) = parse_rfc3339(text) {
        return Some(time);
    }
    let civil: DateTime = text.parse().ok()?;
    let timestamp = TimeZone::UTC.to_timestamp(civil).ok()?;
    EventTime::from_ms(timestamp.as_millisecond())
}

/// RFC 3339 in UTC, with milliseconds only where there are any.
pub fn format(time: EventTime) -> String {
    let timestamp = Timestamp::from_millisecond(time.as_ms()).expect("event times lie within 1970–3000");
    timestamp.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_path_agrees_with_the_general_parser() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2023-04-20T12:34:56.789Z",
            "2100-03-01T00:00:00Z",
            "2999-12-31T23:59:59.999Z",
        ] {
            let general: Timestamp = text.parse().expect("a valid time");
            assert_eq!(parse_plain_utc(text.as_bytes()), Some(general.as_millisecond()), "{text}");
        }
    }

    #[test]
    fn offsets_are_honoured_and_nonsense_is_refused() {
        let utc = parse_rfc3339("2023-04-20T12:00:00Z");
        assert_eq!(parse_rfc3339("2023-04-20T14:00:00+02:00"), utc);
        assert_eq!(parse_rfc3339("2023-04-20t12:00:00z"), utc);
        for bad in [
            "",
            "yesterday",
            "2023-02-30T00:00:00Z",
            "2023-04-20T24:00:00Z",
            "2023-04-20",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn tables_may_use_plain_times_and_epochs() {
        let expected = parse_rfc3339("2023-04-20T12:00:00Z");
        for text in
            ["2023-04-20 12:00:00", "2023-04-20 12:00", "2023-04-20T12:00:00", "1681992000", "1681992000000"]
        {
            assert_eq!(parse_table_time(text), expected, "{text:?}");
        }
    }

    #[test]
    fn formatting_is_the_shortest_rfc3339() {
        let time = parse_rfc3339("2023-04-20T12:00:00.250Z").expect("a valid time");
        assert_eq!(format(time), "2023-04-20T12:00:00.25Z");
        let time = parse_rfc3339("2023-04-20T12:00:00Z").expect("a valid time");
        assert_eq!(format(time), "2023-04-20T12:00:00Z");
    }
}
