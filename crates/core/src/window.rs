//! Tumbling windows over event time: open bins hold complaints, a closed bin becomes counts.
//!
//! Complaints are held, not counted on arrival, because two rules look at more than one post: an author counts once
//! per service per hour, and copies of a long text count three times a bin. Counting on arrival would let the order
//! of arrival decide which post counts; sorting the bin by (event time, post id) when it is closed makes the counts a
//! function of the posts alone. The cost is memory for the complaints of the open bins, lateness plus one bin's worth.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::catalogue::ServiceIndex;
use crate::judgement::Complaint;
use crate::post::Outcome;
use crate::tally::Tally;
use crate::time::{Bin, EventTime};

/// Who was counted lately: the rule "once per service per hour", which also absorbs a post delivered twice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct CountedAuthors {
    last_counted: BTreeMap<(ServiceIndex, u64), EventTime>,
    /// The same entries in the order of their times, for forgetting them.
    order: VecDeque<Counted>,
    /// How many were ever counted, for telling which are new.
    #[serde(skip)]
    n_ever: u64,
}

/// An author counted for a service.
pub(crate) type Counted = (EventTime, ServiceIndex, u64);

impl CountedAuthors {
    fn forget_before(&mut self, time: EventTime) {
        while let Some(&(counted, service, author)) = self.order.front() {
            if counted > time {
                break;
            }
            self.order.pop_front();
            // An author who was counted again since has a later entry of their own.
            if self.last_counted.get(&(service, author)) == Some(&counted) {
                self.last_counted.remove(&(service, author));
            }
        }
    }

    fn is_counted(&self, service: ServiceIndex, author: u64) -> bool {
        self.last_counted.contains_key(&(service, author))
    }

    fn count(&mut self, time: EventTime, service: ServiceIndex, author: u64) {
        self.last_counted.insert((service, author), time);
        self.order.push_back((time, service, author));
        self.n_ever += 1;
    }
}

/// The open bins.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    open: BTreeMap<Bin, Vec<Complaint>>,
    authors: CountedAuthors,
}

/// What a closed bin came to.
#[derive(Debug, Default)]
pub(crate) struct ClosedBin {
    /// Services with at least one distinct complainer, in order, and what was said.
    pub(crate) counts: BTreeMap<ServiceIndex, Tally>,
    /// The outcome of each complaining post.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Window {
    pub(crate) fn hold(&mut self, bin: Bin, complaint: Complaint) {
        self.open.entry(bin).or_default().push(complaint);
    }

    /// Posts whose outcome is still open.
    pub(crate) fn n_held(&self) -> usize {
        self.open.values().map(Vec::len).sum()
    }

    /// The complaints of the open bins.
    pub(crate) fn open(&self) -> &BTreeMap<Bin, Vec<Complaint>> {
        &self.open
    }

    /// Authors counted so far, ever.
    pub(crate) fn n_authors_ever(&self) -> u64 {
        self.authors.n_ever
    }

    /// The authors counted after the first `n_before` ever, in the order of counting; those forgotten since are left out.
    pub(crate) fn authors_after(&self, n_before: u64) -> impl Iterator<Item = &Counted> {
        let n_new = usize::try_from(self.authors.n_ever - n_before).unwrap_or(usize::MAX);
        let n_known = self.authors.order.len();
        self.authors.order.range(n_known - n_new.min(n_known)..)
    }

    /// Counts authors that were counted before, in the order in which they were.
    pub(crate) fn recount(&mut self, authors: impl IntoIterator<Item = Counted>) {
        authors.into_iter().for_each(|(time, service, author)| self.authors.count(time, service, author));
    }

    /// The last bin that holds a complaint.
    pub(crate) fn last_bin(&self) -> Option<Bin> {
        self.open.last_key_value().map(|(&bin, _)| bin)
    }

    /// Closes `bin`: bins are closed in order, each once. `None` if no complaint fell into it.
    pub(crate) fn close(&mut self, bin: Bin, author_window_ms: u32, copies_max: u32) -> Option<ClosedBin> {
        let mut complaints = self.open.remove(&bin)?;
        complaints.sort_unstable();
        let mut closed = ClosedBin::default();
        let mut copies: BTreeMap<(ServiceIndex, u64), u32> = BTreeMap::new();
        for complaint in &complaints {
            self.authors.forget_before(complaint.event_time.plus_ms(-i64::from(author_window_ms)));
            let mut outcome = Outcome::DuplicateAuthor;
            for &(service, symptoms) in &complaint.about {
                if self.authors.is_counted(service, complaint.author) {
                    continue;
                }
                if let Some(text) = complaint.long_text {
                    let n_copies = copies.entry((service, text)).or_default();
                    *n_copies += 1;
                    if *n_copies > copies_max {
                        if outcome == Outcome::DuplicateAuthor {
                            outcome = Outcome::RepeatedText;
                        }
                        continue;
                    }
                }
                self.authors.count(complaint.event_time, service, complaint.author);
                closed.counts.entry(service).or_default().add(complaint, symptoms);
                outcome = Outcome::Complaint;
            }
            closed.outcomes.push(outcome);
        }
        Some(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judgement::Symptoms;
    use crate::matching::LanguageTag;
    use crate::time::BinWidth;

    const HOUR_MS: u32 = 3_600_000;

    fn complaint(second: i64, id: &str, author: u64, long_text: Option<u64>) -> Complaint {
        Complaint {
            event_time: EventTime::from_ms(second * 1000).expect("a time in range"),
            post_id: id.into(),
            author,
            long_text,
            about: vec![(ServiceIndex::of(0), Symptoms::default())],
            language: LanguageTag::UNDETERMINED,
            country: None,
        }
    }

    /// Counts of the bins that hold complaints, and the outcomes in order.
    fn count(complaints: &[Complaint]) -> (Vec<u64>, Vec<Outcome>) {
        let mut window = Window::default();
        let bin_of = |complaint: &Complaint| BinWidth::MINUTE.bin_of(complaint.event_time);
        complaints.iter().for_each(|complaint| window.hold(bin_of(complaint), complaint.clone()));
        let (mut counts, mut outcomes) = (Vec::new(), Vec::new());
        let mut bins: Vec<Bin> = complaints.iter().map(bin_of).collect();
        bins.sort_unstable();
        bins.dedup();
        for bin in bins {
            let closed = window.close(bin, HOUR_MS, 3).expect("the bin holds complaints");
            counts.push(closed.counts.values().map(Tally::n_complaints).sum());
            outcomes.extend(closed.outcomes);
        }
        (counts, outcomes)
    }

    #[test]
    fn an_author_counts_once_an_hour() {
        use Outcome::{Complaint as Counted, DuplicateAuthor};
        let at = |second, id| complaint(second, id, 7, None);
        let (counts, outcomes) =
            count(&[at(0, "a"), at(30, "b"), at(3599, "c"), at(3600, "d"), at(3630, "e")]);
        assert_eq!(counts, [1, 0, 1], "minutes 0, 59 and 60");
        assert_eq!(outcomes, [Counted, DuplicateAuthor, DuplicateAuthor, Counted, DuplicateAuthor]);
    }

    #[test]
    fn copies_of_a_long_text_count_three_times_a_minute() {
        let copies: Vec<Complaint> =
            (0..5).map(|n| complaint(n, &n.to_string(), n.unsigned_abs(), Some(1))).collect();
        let (counts, outcomes) = count(&copies);
        assert_eq!(counts, [3]);
        assert_eq!(outcomes.iter().filter(|&&outcome| outcome == Outcome::RepeatedText).count(), 2);
    }

    proptest::proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            mut posts in proptest::collection::vec((0i64..7200, 0u64..20, 0u64..3), 1..80),
            seed in 0usize..1000,
        ) {
            let build = |posts: &[(i64, u64, u64)]| -> Vec<Complaint> {
                posts.iter().map(|&(second, author, text)| {
                    complaint(second, &format!("{second}-{author}-{text}"), author, (text > 0).then_some(text))
                }).collect()
            };
            let first = count(&build(&posts));
            let n = posts.len();
            posts.rotate_left(seed % n);
            posts.reverse();
            proptest::prop_assert_eq!(first, count(&build(&posts)));
        }
    }
}
