//! Event time and the tumbling windows ("bins") that it is cut into.
//!
//! The core has no clock. A time is a number of milliseconds that came with a post, a window is that number divided
//! by the bin width, and "now" is whatever the watermark says. Bins are one minute everywhere but in `score`, where
//! the user's own counts set the width; the code is the same.

use serde::{Deserialize, Serialize};

const MS_PER_SECOND: i64 = 1000;
const SECONDS_PER_HOUR: i64 = 3600;
const HOURS_PER_WEEK: i64 = 168;
/// 1 January 1970 was a Thursday; hour 0 of the week is Monday 00:00 UTC.
const EPOCH_HOUR_OF_WEEK: i64 = 3 * 24;
/// 365.25 days: the mean Julian year, so that a promise per year does not depend on leap years.
pub(crate) const SECONDS_PER_YEAR: f64 = 31_557_600.0;

/// A point in event time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTime(i64);

impl EventTime {
    /// The earliest time that is accepted, 1970-01-01T00:00:00Z: social posts are younger.
    pub const MIN: Self = Self(0);
    /// The first time that is not accepted any more, 3000-01-01T00:00:00Z. The bound keeps all arithmetic on times
    /// far from overflow, so none of it needs checking.
    pub const END: Self = Self(32_503_680_000_000);

    /// Wraps milliseconds since the epoch; `None` outside `[MIN, END)`.
    pub fn from_ms(ms: i64) -> Option<Self> {
        (Self::MIN.0..Self::END.0).contains(&ms).then_some(Self(ms))
    }

    /// Milliseconds since the epoch.
    pub fn as_ms(self) -> i64 {
        self.0
    }

    /// This time moved by `ms` milliseconds (either way); may lie before [`EventTime::MIN`] by as much.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0 + ms)
    }

    /// Signed distance `self - earlier` in milliseconds.
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

/// The width of a bin in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinWidth(u32);

impl BinWidth {
    /// One minute: what posts are counted by.
    pub const MINUTE: Self = Self(60);
    /// The narrowest bin, seconds. Below it a count is mostly 0 or 1 and the hour holds too many bins to keep.
    pub const SECONDS_MIN: u32 = 10;
    /// The widest bin, seconds. The weekly profile has one value an hour, so a wider bin would straddle several.
    pub const SECONDS_MAX: u32 = 3600;

    /// Wraps a width in seconds; `None` outside `10..=3600`.
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        (Self::SECONDS_MIN..=Self::SECONDS_MAX).contains(&seconds).then_some(Self(seconds))
    }

    /// The width in seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }

    fn ms(self) -> i64 {
        i64::from(self.0) * MS_PER_SECOND
    }

    /// Whole bins that cover `seconds`, at least one.
    pub(crate) fn bins_covering(self, seconds: u32) -> i64 {
        i64::from(seconds.div_ceil(self.0).max(1))
    }

    /// Bins a year, not rounded.
    pub(crate) fn bins_per_year(self) -> f64 {
        SECONDS_PER_YEAR / f64::from(self.0)
    }

    /// The bin that holds `time`.
    pub fn bin_of(self, time: EventTime) -> Bin {
        Bin(time.0.div_euclid(self.ms()))
    }

    /// The first instant of `bin`.
    pub fn start_of(self, bin: Bin) -> EventTime {
        EventTime(bin.0 * self.ms())
    }

    /// The first instant after `bin`: bins are half-open, `[start, end)`.
    pub fn end_of(self, bin: Bin) -> EventTime {
        self.start_of(bin.plus(1))
    }
}

/// The index of a tumbling window `[index × width, (index + 1) × width)`, counted from the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bin(i64);

impl Bin {
    /// The bin of this index.
    pub(crate) fn of_index(index: i64) -> Self {
        Self(index)
    }

    /// Its index.
    pub(crate) fn index(self) -> i64 {
        self.0
    }

    /// The bin `n` later (earlier when negative).
    pub fn plus(self, n: i64) -> Self {
        Self(self.0 + n)
    }

    /// Its index modulo `n`, in `[0, n)`.
    pub(crate) fn modulo(self, n: i64) -> i64 {
        self.0.rem_euclid(n)
    }

    /// Signed distance `self - earlier` in bins.
    pub fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

/// Where in the week a time lies: the hour bin and how far into it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WeekPosition {
    /// 0 is Monday 00:00 UTC, 167 the last hour of Sunday.
    pub(crate) hour: usize,
    /// `[0, 1)` of that hour gone by.
    pub(crate) fraction: f64,
}

/// The place of `time` in the week.
pub(crate) fn week_position(time: EventTime) -> WeekPosition {
    let ms_per_hour = SECONDS_PER_HOUR * MS_PER_SECOND;
    let hour = (time.0.div_euclid(ms_per_hour) + EPOCH_HOUR_OF_WEEK).rem_euclid(HOURS_PER_WEEK);
    let fraction = time.0.rem_euclid(ms_per_hour) as f64 / ms_per_hour as f64;
    WeekPosition { hour: usize::try_from(hour).expect("rem_euclid is never negative"), fraction }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> EventTime {
        EventTime::from_ms(ms).expect("a test time inside the accepted range")
    }

    #[test]
    fn a_bin_is_half_open() {
        let width = BinWidth::MINUTE;
        let bin = width.bin_of(at(60_000));
        assert_eq!(width.bin_of(at(119_999)), bin, "the last millisecond belongs to the bin");
        assert_eq!(width.bin_of(at(120_000)), bin.plus(1), "the end belongs to the next bin");
        assert_eq!(width.end_of(bin), at(120_000));
    }

    #[test]
    fn times_outside_the_accepted_range_are_refused() {
        assert_eq!(EventTime::from_ms(-1), None);
        assert_eq!(EventTime::from_ms(EventTime::END.as_ms()), None);
        assert!(EventTime::from_ms(0).is_some());
    }

    #[test]
    fn hours_of_the_week_start_on_monday() {
        // 2023-04-20T12:30:00Z was a Thursday (any calendar): hour 3 × 24 + 12.
        let position = week_position(at(1_681_993_800_000));
        assert_eq!(position.hour, 84);
        assert!((position.fraction - 0.5).abs() < 1e-12);
    }

    #[test]
    fn widths_outside_ten_seconds_to_an_hour_are_refused() {
        assert_eq!(BinWidth::from_seconds(9), None);
        assert_eq!(BinWidth::from_seconds(3601), None);
        assert_eq!(BinWidth::from_seconds(300).map(BinWidth::seconds), Some(300));
    }
}
