//! Whether the feed itself is alive: an empty minute of a dead feed says nothing about the services.
//!
//! Quiet is not the same as healthy. Where posts stop coming altogether, complaints stop, too; taken at their word, every
//! outage would be over and every service learned to be calm. So the posts of each bin, whatever they are about, are held
//! against the feed's own last hour, by a CUSUM of "a tenth of the rate is left" against "as before". While it is raised,
//! outages are held as they are: nothing is learned, raised or resolved.
//!
//! The last hour and not a weekly profile: a night falls over hours and a feed dies within minutes, and this way a feed
//! is watched from its second hour on. The price is that a feed which dies away over half a day is not noticed.
//!
//! A single bin without any post is left out already, before anything is raised, where the feed has many: there even an
//! outage of all services would not silence everybody.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::event::{FeedEvent, FeedEventKind};
use crate::time::{Bin, BinWidth};

/// The share of its rate that a dead feed is taken to keep: retries, another source. More, and a night after a busy
/// evening comes near it.
const DEAD_SHARE: f64 = 0.1;
/// Inverse size of the negative binomial that posts a bin are taken to follow. Posts come in bursts, far more so than
/// complaints; this bounds what one bin can say to 23 nats.
const INVERSE_SIZE: f64 = 0.1;
/// Evidence that raises. A CUSUM exceeds h by chance once in e^h bins or more rarely (Lorden, Annals of Mathematical
/// Statistics 42, 1971): once in about a year of minutes.
const SILENT_NATS: f64 = 13.2;
/// The most that one bin may add: three bins at least must agree, so that a hiccup of the collector is no event.
const BIN_NATS_MAX: f64 = SILENT_NATS / 3.0;
/// Evidence that a dead feed lives again; small, for it is weighed only then.
const RECOVERED_NATS: f64 = 6.0;
/// The same bound for the way back: two bins.
const RECOVERED_BIN_NATS_MAX: f64 = RECOVERED_NATS / 2.0;
/// Half-life of the reference, seconds. Longer, and a nightfall looks like a collapse; shorter, and a collapse becomes
/// its own reference.
const HALF_LIFE_S: f64 = 1800.0;
/// The youngest bins, which the reference leaves out.
const LAG_BINS: usize = 5;
/// Bins before anything is said.
const BINS_MIN: u32 = 60;
/// Posts a bin from which an empty bin is no chance: under the law above it comes once in a million bins, about two
/// years of minutes.
const BUSY_POSTS: f64 = 30.0;
/// What has been silent for so long, seconds, is the new normal, if posts come at all.
const NEW_NORMAL_S: u32 = 86_400;

/// What a feed remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Feed {
    /// Posts a bin, of late.
    reference: f64,
    n_bins: u32,
    /// Bins that are too young for the reference.
    lagging: VecDeque<u64>,
    /// Evidence for what it is not: dead while it lives, alive while it is dead.
    evidence: f64,
    /// The first bin of that evidence.
    onset: Option<Bin>,
    silent_since: Option<Bin>,
}

impl Feed {
    /// Takes the posts of `bin`. Gives whether the bin says nothing of the services, and what there is to tell.
    pub(crate) fn observe(&mut self, bin: Bin, n_posts: u64, width: BinWidth) -> (bool, Option<FeedEvent>) {
        let n = n_posts as f64;
        let Some(since) = self.silent_since else {
            let is_usable = self.n_bins >= BINS_MIN;
            let is_blank = is_usable && n_posts == 0 && self.reference >= BUSY_POSTS;
            if is_usable {
                self.weigh(bin, self.for_dead(n).min(BIN_NATS_MAX));
            }
            if self.evidence < SILENT_NATS {
                self.learn(n_posts, width);
                return (is_blank, None);
            }
            let since = self.onset.unwrap_or(bin);
            self.silent_since = Some(since);
            self.evidence = 0.0;
            return (true, Some(self.event(FeedEventKind::Silent, bin, since, n_posts, width)));
        };
        self.weigh(bin, (-self.for_dead(n)).min(RECOVERED_BIN_NATS_MAX));
        let is_new_normal = n_posts > 0 && bin.since(since) >= width.bins_covering(NEW_NORMAL_S);
        if self.evidence < RECOVERED_NATS && !is_new_normal {
            return (true, None);
        }
        let event = self.event(FeedEventKind::Recovered, bin, since, n_posts, width);
        let reference = if is_new_normal { n } else { self.reference };
        *self = Self { reference, n_bins: if is_new_normal { 0 } else { self.n_bins }, ..Self::default() };
        (false, Some(event))
    }

    /// Whether it is silent.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent_since.is_some()
    }

    /// Log-likelihood ratio of `n` posts under a dead feed against a living one.
    fn for_dead(&self, n: f64) -> f64 {
        let mean = self.reference;
        let size = 1.0 / INVERSE_SIZE;
        n * libm::log(DEAD_SHARE)
            + (n + size) * libm::log((1.0 + INVERSE_SIZE * mean) / (1.0 + INVERSE_SIZE * DEAD_SHARE * mean))
    }

    fn weigh(&mut self, bin: Bin, nats: f64) {
        self.evidence = (self.evidence + nats).max(0.0);
        if self.evidence == 0.0 {
            self.onset = None;
        } else {
            self.onset.get_or_insert(bin);
        }
    }

    fn learn(&mut self, n_posts: u64, width: BinWidth) {
        self.lagging.push_back(n_posts);
        if self.lagging.len() <= LAG_BINS {
            return;
        }
        let n = self.lagging.pop_front().unwrap_or(0) as f64;
        self.n_bins = self.n_bins.saturating_add(1);
        // A plain mean until there are bins enough, then an exponential one.
        let share = 1.0 - libm::exp2(-f64::from(width.seconds()) / HALF_LIFE_S);
        let share = share.max(1.0 / f64::from(self.n_bins));
        self.reference += (n - self.reference) * share;
    }

    fn event(&self, kind: FeedEventKind, bin: Bin, since: Bin, n_posts: u64, width: BinWidth) -> FeedEvent {
        FeedEvent {
            kind,
            time: width.end_of(bin),
            since: width.start_of(since),
            observed: n_posts,
            expected: self.reference,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: BinWidth = BinWidth::MINUTE;

    /// Feeds the counts; gives the minutes of the events, and which minutes said nothing.
    fn run(counts: impl IntoIterator<Item = u64>) -> (Vec<(FeedEventKind, usize)>, Vec<usize>) {
        let mut feed = Feed::default();
        let (mut events, mut blank) = (Vec::new(), Vec::new());
        for (minute, n) in counts.into_iter().enumerate() {
            let (is_blank, event) = feed.observe(Bin::of_index(minute as i64), n, MINUTE);
            events.extend(event.map(|event| (event.kind, minute)));
            if is_blank {
                blank.push(minute);
            }
        }
        (events, blank)
    }

    fn flat(n: u64, minutes: usize) -> impl Iterator<Item = u64> {
        std::iter::repeat_n(n, minutes)
    }

    #[test]
    fn a_feed_that_stops_is_silent_within_minutes_and_recovers_within_two() {
        use FeedEventKind::{Recovered, Silent};
        let (events, blank) = run(flat(50, 200).chain(flat(0, 60)).chain(flat(50, 60)));
        assert_eq!(events, [(Silent, 202), (Recovered, 261)]);
        let expected: Vec<usize> = (200..261).collect();
        assert_eq!(blank, expected, "from its first empty minute until it is back");
    }

    #[test]
    fn a_quiet_feed_takes_longer_and_its_empty_minutes_count_meanwhile() {
        let (events, blank) = run(flat(2, 200).chain(flat(0, 60)));
        let [(FeedEventKind::Silent, minute)] = events.as_slice() else { panic!("{events:?}") };
        assert!(
            (207..=212).contains(minute),
            "at two posts a minute some nine minutes are needed, not {minute}"
        );
        assert_eq!(blank.first(), Some(minute), "an empty minute of so quiet a feed is ordinary");
    }

    #[test]
    fn a_night_and_a_hiccup_are_not_silence() {
        // From 60 posts a minute to 6 within three hours, and up again.
        let night =
            (0..180).map(|minute| 60 - minute * 54 / 180).chain(std::iter::repeat_n(6, 300)).chain(6..60);
        let (events, _) = run(flat(60, 200).chain(night));
        assert_eq!(events, []);
        let (events, blank) = run(flat(50, 200).chain(flat(0, 2)).chain(flat(50, 60)));
        assert_eq!((events, blank), (Vec::new(), vec![200, 201]));
    }

    #[test]
    fn a_collapse_to_a_trickle_is_silence_and_after_a_day_the_new_normal() {
        use FeedEventKind::{Recovered, Silent};
        let (events, _) = run(flat(100, 200).chain(flat(4, 2000)));
        assert_eq!(events, [(Silent, 202), (Recovered, 200 + 1440)]);
        let (events, _) = run(flat(100, 200).chain(flat(0, 2000)));
        assert_eq!(events, [(Silent, 202)], "a feed without any post has no new normal");
    }

    #[test]
    fn nothing_is_said_of_a_feed_that_is_not_known_yet() {
        let (events, blank) = run(flat(50, 30).chain(flat(0, 30)));
        assert_eq!((events, blank), (Vec::new(), Vec::new()));
    }
}
