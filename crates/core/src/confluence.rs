//! Several sources flow together: records of complaints and marks in, outage events out.
//!
//! This is the detector of a system that is spread over processes. It is a function of the records: which of them are
//! redelivered, how the sources interleave, and where the reading is cut and resumed makes no difference to the events.

use crate::changelog::Written;
use crate::config::Config;
use crate::detector::{Detector, DetectorState};
use crate::event::Event;
use crate::post::OutcomeCounts;
use crate::record::{Record, Telling};
use crate::sources::{Reach, Sources};
use crate::time::{Bin, BinWidth, EventTime};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It was used.
    Used,
    /// It was seen before.
    Redelivered,
    /// Its bin is closed: its source was idle when the others went on.
    Late,
}

/// The detector behind any number of sources. After each input, poll until nothing comes.
#[derive(Debug)]
pub struct Confluence {
    pub(crate) width: BinWidth,
    allowed_lateness_ms: i64,
    pub(crate) author_window_ms: i64,
    pub(crate) sources: Sources,
    pub(crate) detector: Detector,
    pub(crate) written: Written,
    n_late: u64,
    n_redelivered: u64,
}

impl Confluence {
    /// A confluence that has seen nothing. `config` must be valid ([`Config::validate`]).
    pub fn new(config: Config) -> Self {
        Self::with_parts(&config, Sources::default(), Detector::new(config.clone()))
    }

    pub(crate) fn with_state(config: &Config, sources: Sources, state: DetectorState) -> Self {
        Self::with_parts(config, sources, Detector::with_state(config.clone(), state))
    }

    fn with_parts(config: &Config, sources: Sources, detector: Detector) -> Self {
        Self {
            width: config.bin_width,
            allowed_lateness_ms: i64::from(config.allowed_lateness_ms),
            author_window_ms: i64::from(config.author_window_ms),
            sources,
            detector,
            written: Written::default(),
            n_late: 0,
            n_redelivered: 0,
        }
    }

    /// Takes a record, and closes the bins that it completes.
    pub fn handle_record(&mut self, record: Record) -> Arrival {
        let Record { source, telling } = record;
        match telling {
            Telling::Complaint { offset, complaint } => {
                if !self.sources.is_new(&source, offset) {
                    self.n_redelivered += 1;
                    return Arrival::Redelivered;
                }
                let bin = self.width.bin_of(complaint.event_time);
                if self.detector.next_bin().is_some_and(|next| bin < next) {
                    self.n_late += 1;
                    return Arrival::Late;
                }
                self.detector.handle_complaint(complaint);
            }
            Telling::Mark(mark) => {
                self.sources.handle_mark(&source, mark);
                self.advance();
            }
            // Who lost what is for the adapters to tell; the counts that are there stand.
            Telling::Gap { .. } => {}
        }
        Arrival::Used
    }

    /// The next that there is to say, in the order of event time.
    pub fn poll(&mut self) -> Option<Event> {
        self.detector.poll()
    }

    /// How many complaints about a service ended in each outcome since this was made.
    pub fn outcomes(&self) -> &OutcomeCounts {
        self.detector.outcomes()
    }

    /// Complaints for bins that were closed, since this was made or restored.
    pub fn n_late(&self) -> u64 {
        self.n_late
    }

    /// Complaints that had been seen before, since this was made or restored.
    pub fn n_redelivered(&self) -> u64 {
        self.n_redelivered
    }

    /// The detector, for queries.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The latest event time of any source.
    pub fn frontier(&self) -> Option<EventTime> {
        self.sources.frontier()
    }

    fn advance(&mut self) {
        let reach = self.sources.reach(self.width, self.allowed_lateness_ms);
        let is_further = |end: Bin| self.detector.next_bin().is_none_or(|next| next < end);
        match reach {
            Reach::Until(end) if is_further(end) => {
                self.begin();
                self.detector.close_until(end, Some(&self.sources.n_posts()));
            }
            Reach::End(Some(frontier)) => {
                self.begin();
                self.detector.close_until_end(Some(frontier), Some(&self.sources.n_posts()));
            }
            Reach::Unknown | Reach::Until(_) | Reach::End(None) => return,
        }
        if let Some(next) = self.detector.next_bin() {
            self.sources.forget_before(next);
        }
    }

    fn begin(&mut self) {
        if let Some(first) = self.sources.first_bin() {
            self.detector.begin(first);
        }
    }
}
