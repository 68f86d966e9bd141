//! How unusual is a burst for this service, by its own past?
//!
//! Evidence says whether counts are beyond what a service with such a rate has by chance. Where bursts come daily that is
//! so every day, and a table in which each of their bins scores high does not say which one to look at. [`Novelty`] says
//! how long ago the like was last seen, and says it once: of a burst, only the bins that bring news have a return period,
//! and those that add nothing have none.
//!
//! **Level**: the logarithm of the counts of the last quarter of an hour, and of the last four hours. **Return period**:
//! for each record of the past, the time since it, stretched e-fold for each quarter of the usual change from day to day
//! by which the present level exceeds it; the least of these, in days. What is younger than half a day is not past but
//! this burst. Where the level exceeds every record by far, so that it would come to d days, a history of n days vouches
//! for n (1 + ln d/n). Days are days that were watched. **News** is a return period of over a day that is e times as long
//! as the last one told within half a day.
//!
//! Nothing is expected of a rate here, so neither seasons nor growth have to be learned: they show in the records. The
//! constants were settled on real series of tweets (the Numenta Anomaly Benchmark's, see ARCHITECTURE.md).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::BinWidth;

/// The two time scales: what is sharp, and what lasts.
const SCALES_SECONDS: [u32; 2] = [900, 14_400];
/// Added to counts, so that none has a logarithm.
const COUNT_OFFSET: f64 = 0.5;
/// A moving sum is kept in at most this many parts.
const PARTS_MAX: u32 = 16;
/// Maxima are kept of blocks of an hour, …
const BLOCK_SECONDS: u32 = 3_600;
/// … and those of the last half day belong to the present burst.
const HELD_BLOCKS: usize = 12;
/// Records kept.
const RECORDS_MAX: usize = 16;
const DAY_SECONDS: u32 = 86_400;
/// How fast a return period grows with the level: e-fold for a quarter of the usual change of the daily maximum.
const STEEPNESS: f64 = 4.0;
/// That change before any is seen, in logarithms, and the days that this counts for.
const CHANGE_PRIOR: f64 = 0.5;
const CHANGE_PRIOR_DAYS: f64 = 3.0;
/// The least that it is taken to be.
const CHANGE_MIN: f64 = 0.05;
/// Days after which a change counts e times less.
const CHANGE_MEMORY_DAYS: f64 = 28.0;
/// News must be so much rarer than the last, on the logarithm of the return period.
const NEWS_GAIN: f64 = 1.0;
/// After this time the last news counts no more.
const NEWS_HOLD_SECONDS: u32 = 43_200;
/// The return period that makes half a score: a week.
const HALF_SCORE_DAYS: f64 = 7.0;

/// The history of one service's counts, as far as it says what is unusual for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Novelty {
    width: BinWidth,
    n_bins: u64,
    scales: [Scale; 2],
    /// The last news: its bin, and the logarithm of its return period in days.
    told: Option<(u64, f64)>,
    news: f64,
}

impl Novelty {
    /// Nothing is known yet.
    pub(crate) fn new(width: BinWidth) -> Self {
        Self {
            width,
            n_bins: 0,
            scales: SCALES_SECONDS.map(|seconds| Scale::new(seconds, width)),
            told: None,
            news: 0.0,
        }
    }

    /// How unusual the last bin was, in [0, 1): the share that its return period has of that and a week; 0 if it brought
    /// no news.
    pub(crate) fn news(&self) -> f64 {
        self.news
    }

    /// Takes the count of the next bin. What `is_raised` is not is no news, however unusual.
    pub(crate) fn weigh(&mut self, observed: u32, is_raised: bool) {
        let at = self.n_bins;
        self.n_bins += 1;
        let width = self.width;
        let [sharp, lasting] = self.scales.each_mut().map(|scale| scale.push(at, observed, width));
        let hold = u64::from(NEWS_HOLD_SECONDS / width.seconds());
        let told = self.told.filter(|&(bin, _)| at - bin <= hold);
        let news_from = told.map_or(0.0, |(_, last)| (last + NEWS_GAIN).max(0.0));
        // None is less than any.
        let longest = if sharp > lasting { sharp } else { lasting };
        let news = longest.filter(|&period| is_raised && period >= news_from);
        self.told = news.map(|period| (at, period)).or(told);
        self.news = news.map_or(0.0, |period| {
            let days = libm::exp(period);
            days / (days + HALF_SCORE_DAYS)
        });
    }

    /// Leaves a bin out, of which nothing is known.
    pub(crate) fn skip(&mut self) {
        self.news = 0.0;
    }
}

/// A level, and the bin that had it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Peak {
    level: f64,
    at: u64,
}

/// The records of a level on one time scale.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Scale {
    sum: MovingSum,
    /// The highest of the present block, and of the blocks that belong to the present burst.
    block: Option<Peak>,
    held: VecDeque<Peak>,
    /// Peaks that no later one reached: from the oldest, which is the highest.
    records: Vec<Peak>,
    /// The highest level of this day, and of the day before.
    today: Option<f64>,
    yesterday: Option<f64>,
    /// Changes of the daily maximum, and their weights.
    change: (f64, f64),
}

impl Scale {
    fn new(seconds: u32, width: BinWidth) -> Self {
        Self {
            sum: MovingSum::of(seconds, width),
            block: None,
            held: VecDeque::new(),
            records: Vec::new(),
            today: None,
            yesterday: None,
            change: (CHANGE_PRIOR_DAYS * CHANGE_PRIOR, CHANGE_PRIOR_DAYS),
        }
    }

    /// Takes the count of bin `at`; gives the logarithm of its return period in days, once there is a past.
    fn push(&mut self, at: u64, observed: u32, width: BinWidth) -> Option<f64> {
        let level = libm::log(self.sum.push(observed) + COUNT_OFFSET);
        let bins = |seconds: u32| u64::from((seconds / width.seconds()).max(1));
        if at > 0 && at.is_multiple_of(bins(BLOCK_SECONDS)) {
            self.close_block();
        }
        if at > 0 && at.is_multiple_of(bins(DAY_SECONDS)) {
            self.close_day();
        }
        let day = bins(DAY_SECONDS) as f64;
        let period = self.return_period(Peak { level, at }, day);
        if self.block.is_none_or(|block| level > block.level) {
            self.block = Some(Peak { level, at });
        }
        self.today = Some(self.today.map_or(level, |highest| highest.max(level)));
        period
    }

    fn return_period(&self, now: Peak, day: f64) -> Option<f64> {
        let change = (self.change.0 / self.change.1).max(CHANGE_MIN);
        let since = |record: &Peak| {
            libm::log((now.at - record.at) as f64 / day) + STEEPNESS * (now.level - record.level) / change
        };
        let period = self.records.iter().map(since).reduce(f64::min)?;
        let history = libm::log(now.at as f64 / day);
        Some(if period > history { history + libm::log1p(period - history) } else { period })
    }

    /// Ends a block; the oldest of those held back becomes past.
    fn close_block(&mut self) {
        self.held.extend(self.block.take());
        let Some(past) = (self.held.len() > HELD_BLOCKS).then(|| self.held.pop_front()).flatten() else {
            return;
        };
        while self.records.last().is_some_and(|record| record.level <= past.level) {
            self.records.pop();
        }
        self.records.push(past);
        if self.records.len() > RECORDS_MAX {
            // The one that stands out least from its elder.
            let gaps = self.records.windows(2).map(|pair| pair[0].level - pair[1].level);
            let least = gaps.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
            self.records.remove(least.map_or(1, |(index, _)| index + 1));
        }
    }

    fn close_day(&mut self) {
        if let (Some(today), Some(yesterday)) = (self.today, self.yesterday) {
            let kept = libm::exp(-1.0 / CHANGE_MEMORY_DAYS);
            self.change = (self.change.0 * kept + (today - yesterday).abs(), self.change.1 * kept + 1.0);
        }
        self.yesterday = self.today.take();
    }
}

/// The sum of the last bins, in parts; of the oldest part the share that is still within.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct MovingSum {
    bins_per_part: u32,
    n_parts: usize,
    parts: VecDeque<u32>,
    current: u32,
    n_current: u32,
}

impl MovingSum {
    fn of(seconds: u32, width: BinWidth) -> Self {
        let n_bins = (seconds / width.seconds()).max(1);
        let bins_per_part = n_bins.div_ceil(PARTS_MAX);
        let n_parts = n_bins.div_ceil(bins_per_part) as usize;
        Self { bins_per_part, n_parts, parts: VecDeque::new(), current: 0, n_current: 0 }
    }

    /// Adds a bin and gives the sum. While there are too few bins it is scaled up.
    fn push(&mut self, observed: u32) -> f64 {
        self.current = self.current.saturating_add(observed);
        self.n_current += 1;
        let is_full = self.parts.len() == self.n_parts;
        let of_part = f64::from(self.n_current) / f64::from(self.bins_per_part);
        let leaving = if is_full { f64::from(self.parts[0]) * of_part } else { 0.0 };
        let sum =
            f64::from(self.current) + self.parts.iter().map(|&part| f64::from(part)).sum::<f64>() - leaving;
        let seen = if is_full { self.n_parts as f64 } else { self.parts.len() as f64 + of_part };
        if self.n_current == self.bins_per_part {
            if is_full {
                self.parts.pop_front();
            }
            self.parts.push_back(std::mem::take(&mut self.current));
            self.n_current = 0;
        }
        sum.max(0.0) * self.n_parts as f64 / seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: BinWidth = BinWidth::MINUTE;
    const HOUR: u64 = 60;
    const DAY: u64 = 24 * HOUR;

    /// The news of each bin of a series of `n_days`, all of it raised.
    fn news(n_days: u64, count: impl Fn(u64) -> u32) -> Vec<f64> {
        let mut novelty = Novelty::new(WIDTH);
        let weigh = |at| {
            novelty.weigh(count(at), true);
            novelty.news()
        };
        (0..n_days * DAY).map(weigh).collect()
    }

    /// Return period in days of the greatest news from `from` on, for a day.
    fn period_days(news: &[f64], from: u64) -> f64 {
        let day = &news[from as usize..(from + DAY) as usize];
        let greatest = day.iter().copied().fold(0.0, f64::max);
        HALF_SCORE_DAYS * greatest / (1.0 - greatest)
    }

    /// Ten a minute, and an hour of 100 at noon of each day; on day 12 it is `last`.
    fn noons(last: u32) -> impl Fn(u64) -> u32 {
        move |at| match (at / DAY, at % DAY / HOUR) {
            (12, 12) => last,
            (_, 12) => 100,
            _ => 10,
        }
    }

    #[test]
    fn what_comes_every_day_has_a_return_period_of_a_day() {
        let days = period_days(&news(14, noons(100)), 12 * DAY);
        assert!((0.8..1.6).contains(&days), "{days}");
    }

    #[test]
    fn what_was_never_seen_grows_slowly_beyond_the_length_of_history() {
        let days = period_days(&news(14, noons(2_000)), 12 * DAY);
        // Twelve days and a half, times 1 + ln of what it would be beyond that: at most 4 ln 20 / 0.05.
        assert!((100.0..3_100.0).contains(&days), "{days}");
    }

    #[test]
    fn a_burst_is_told_once_and_again_only_as_it_grows() {
        let told = |count: &dyn Fn(u64) -> u32| {
            let all = news(14, count);
            let noon = (12 * DAY + 12 * HOUR) as usize;
            let n_told = |bins: &[f64]| bins.iter().filter(|&&news| news > 0.0).count();
            (n_told(&all[noon..noon + 30]), n_told(&all[noon + 30..noon + 12 * HOUR as usize]))
        };
        let flat = told(&noons(2_000));
        let growing = told(&|at| noons(2_000)(at) * if at > 12 * DAY && at % HOUR >= 30 { 30 } else { 1 });
        assert!((1..=3).contains(&flat.0) && flat.1 == 0, "{flat:?}");
        assert!(growing.0 > 0 && (1..=3).contains(&growing.1), "{growing:?}");
    }

    #[test]
    fn nothing_is_news_before_there_is_a_past() {
        let all = news(1, |at| if at == 300 { 10_000 } else { 1 });
        assert!(all[..(12 * HOUR) as usize].iter().all(|&news| news == 0.0));
    }

    #[test]
    fn what_is_not_raised_is_no_news_and_takes_none_away() {
        let mut novelty = Novelty::new(WIDTH);
        for at in 0..3 * DAY {
            novelty.weigh(10, at % 7 == 0);
        }
        for _ in 0..5 {
            novelty.weigh(5_000, false);
            assert_eq!(novelty.news(), 0.0);
        }
        novelty.weigh(5_000, true);
        assert!(novelty.news() > 0.3, "{}", novelty.news());
        novelty.skip();
        assert_eq!(novelty.news(), 0.0);
    }

    #[test]
    fn a_moving_sum_is_that_of_the_last_bins() {
        // Four hours are 16 parts of a quarter; within one the oldest leaves evenly.
        let mut sum = MovingSum::of(14_400, WIDTH);
        let mut counts: Vec<u32> = Vec::new();
        for at in 0..1_000_u32 {
            counts.push(at / 15 % 7);
            let ours = sum.push(at / 15 % 7);
            let last: u32 = counts.iter().rev().take(240).sum();
            let seen = counts.len().min(240) as f64;
            assert!((ours - f64::from(last) * 240.0 / seen).abs() < 1e-6, "at {at}: {ours} and {last}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut novelty = Novelty::new(BinWidth::from_seconds(3_600).expect("an hour"));
        // Ever lower peaks, none of which a later one reaches.
        for at in 0..4_000_u32 {
            novelty.weigh(if at.is_multiple_of(24) { 1_000_000 / (1 + at) } else { 0 }, true);
        }
        for scale in &novelty.scales {
            assert!(scale.records.len() <= RECORDS_MAX && scale.held.len() <= HELD_BLOCKS);
            assert!(
                scale.records.windows(2).all(|pair| pair[0].level > pair[1].level && pair[0].at < pair[1].at)
            );
        }
    }
}
