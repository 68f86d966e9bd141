//! Axes whose ticks stand where people expect them: at round times, at decades, one a row.

use std::ops::Range;

use groundswell_core::EventTime;
use groundswell_io::times;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;

const N_TICKS_MAX: i64 = 8;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1_440 * MINUTE_MS;
/// Distances between ticks of a time axis, minutes: the shortest that leaves few enough is taken.
const TICK_STEPS_MIN: [i64; 17] =
    [1, 5, 10, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 10_080, 20_160, 43_200, 86_400, 259_200, 525_600];

/// A straight axis with labelled ticks.
#[derive(Clone)]
pub(crate) struct Axis {
    inner: RangedCoordf64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    pub(crate) fn new(range: Range<f64>, ticks: Vec<(f64, String)>) -> Self {
        Self { inner: range.into(), ticks }
    }

    /// An axis of times in milliseconds. Ticks lie at whole multiples of their distance, so that they fall on round
    /// times; they have the time of day, and at midnight the day.
    pub(crate) fn over_time(range: Range<f64>) -> Self {
        let (first, last) = (range.start as i64, range.end as i64);
        let length_min = (last - first) / MINUTE_MS;
        let longest = TICK_STEPS_MIN[TICK_STEPS_MIN.len() - 1];
        let step = TICK_STEPS_MIN.into_iter().find(|step| length_min / step < N_TICKS_MAX);
        let step_ms = step.unwrap_or(longest) * MINUTE_MS;
        let first_tick = first.div_euclid(step_ms) + i64::from(first.rem_euclid(step_ms) > 0);
        let ticks = (first_tick..=last.div_euclid(step_ms)).map(|n| n * step_ms);
        Self::new(range, ticks.map(|ms| (ms as f64, time_label(ms))).collect())
    }

    /// An axis of counts from 0 to `end`, with at most six ticks.
    pub(crate) fn counts(end: f64) -> Self {
        let decade = 10f64.powi(end.log10().floor() as i32);
        // Of the end over its decade, from 1 to 10, each step leaves at most six.
        let step = [0.2, 0.5, 1.0, 2.0].into_iter().find(|step| end / decade / step < 6.0).unwrap_or(2.0);
        let ticks = (0..).map(|n| f64::from(n) * step * decade).take_while(|tick| *tick <= end);
        Self::new(0.0..end, ticks.map(|tick| (tick, format!("{}", (tick * 100.0).round() / 100.0))).collect())
    }

    /// An axis of logarithms to the base 10, with the numbers themselves at its ticks.
    pub(crate) fn decades(first: i32, last: i32) -> Self {
        let ticks = (first..=last).map(|decade| (f64::from(decade), format!("{}", 10f64.powi(decade))));
        Self::new(f64::from(first)..f64::from(last), ticks.collect())
    }

    /// An axis from top to bottom with a row of height 1 for each of `names`.
    pub(crate) fn rows<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let ticks: Vec<(f64, String)> =
            names.into_iter().enumerate().map(|(n, name)| (n as f64 + 0.5, name.to_owned())).collect();
        Self::new(ticks.len() as f64..0.0, ticks)
    }
}

fn time_label(ms: i64) -> String {
    let Some(time) = EventTime::from_ms(ms) else { return String::new() };
    times::format(time)[if ms % DAY_MS == 0 { 5..10 } else { 11..16 }].to_owned()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.inner.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|&(at, _)| at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.inner.range()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|(at, _)| at == value).map_or_else(String::new, |(_, label)| label.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(axis: &Axis, expected: &[&str]) {
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, expected);
    }

    /// An axis from and to these minutes after 2023-04-20T00:00:00Z.
    fn over_minutes(minutes: Range<i64>) -> Axis {
        let ms = |minute: i64| (1_681_948_800_000 + minute * MINUTE_MS) as f64;
        Axis::over_time(ms(minutes.start)..ms(minutes.end))
    }

    #[test]
    fn ticks_fall_on_round_times() {
        check(&over_minutes(763..1_140), &["13:00", "14:00", "15:00", "16:00", "17:00", "18:00", "19:00"]);
        check(&over_minutes(1_100..1_700), &["20:00", "22:00", "04-21", "02:00", "04:00"]);
        check(&over_minutes(-2_900..2_900), &["04-18", "04-19", "04-20", "04-21", "04-22"]);
        check(&over_minutes(5..5), &["00:05"]);
    }

    #[test]
    fn counts_have_few_and_round_ticks() {
        check(&Axis::counts(1.08), &["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        check(&Axis::counts(11.9), &["0", "2", "4", "6", "8", "10"]);
        check(&Axis::counts(270.0), &["0", "50", "100", "150", "200", "250"]);
        check(&Axis::counts(9_900.0), &["0", "2000", "4000", "6000", "8000"]);
    }

    #[test]
    fn decades_and_rows_have_a_tick_each() {
        check(&Axis::decades(-2, 1), &["0.01", "0.1", "1", "10"]);
        let rows = Axis::rows(["a", "b"]);
        check(&rows, &["a", "b"]);
        assert_eq!((rows.map(&0.5, (0, 100)), rows.format_ext(&1.5)), (75, "b".to_owned()));
    }
}
