//! Takes the posts of one source in the order of their arrival, and decides of each whether it is on time.
//!
//! A source is a file, or one partition of a topic. What is decided of a post depends on the posts of its own source
//! alone, so that it does not matter how far other sources have come, who reads them, or how often: two processes that
//! read the same partition decide alike.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::changelog::{RestoreError, check_format};
use crate::config::Config;
use crate::judgement::Complaint;
use crate::post::Outcome;
use crate::progress::{Admission, Progress};
use crate::snapshot::ConfigHash;
use crate::time::{Bin, BinWidth, EventTime};

/// Raised with every change to what the state holds.
const FORMAT_VERSION: u16 = 1;

/// A post that is waiting to be borne out.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    ticket: u64,
    event_time: EventTime,
    outcome: Outcome,
    complaint: Option<Complaint>,
}

/// A post that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The caller's own number for it.
    pub ticket: u64,
    /// What became of it; [`Outcome::Complaint`] is not final, the window may still find that it does not count.
    pub outcome: Outcome,
    /// The complaint, if it is one and on time.
    pub complaint: Option<Complaint>,
}

/// What an intake remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct IntakeState {
    progress: Progress<Waiting>,
    /// The first bin that is not closed; posts for earlier ones are late.
    open_from: Option<Bin>,
    /// Posts on time by bin, from `open_from` on, and of closed bins until they are taken.
    n_posts: BTreeMap<Bin, u64>,
}

/// Decides which posts of one source are on time. After each input, poll until nothing comes.
#[derive(Debug)]
pub struct Intake {
    width: BinWidth,
    state: IntakeState,
    admitted: VecDeque<Admitted>,
    decided: Vec<Admission<Waiting>>,
}

impl Intake {
    /// An intake that has seen nothing.
    pub fn new(config: &Config) -> Self {
        let progress = Progress::new(config.allowed_lateness_ms, config.ahead_ms_max);
        Self::with_state(config, IntakeState { progress, open_from: None, n_posts: BTreeMap::new() })
    }

    pub(crate) fn with_state(config: &Config, state: IntakeState) -> Self {
        Self { width: config.bin_width, state, admitted: VecDeque::new(), decided: Vec::new() }
    }

    /// Its state as bytes, to be kept beside the position in the source that it belongs to. Everything must have been
    /// polled.
    pub fn save(&self, hash: ConfigHash) -> Vec<u8> {
        postcard::to_stdvec(&(FORMAT_VERSION, hash, self.state()))
            .expect("plain data of known size always encodes")
    }

    /// Restores what [`Intake::save`] gave.
    ///
    /// # Errors
    /// If it was saved under another configuration or by another version, or is damaged.
    pub fn restore(config: &Config, hash: ConfigHash, bytes: &[u8]) -> Result<Self, RestoreError> {
        let rest = check_format(bytes, FORMAT_VERSION, hash)?;
        let state = postcard::from_bytes(rest)
            .map_err(|error| RestoreError::Damaged { key: "intake".to_owned(), reason: error.to_string() })?;
        Ok(Self::with_state(config, state))
    }

    pub(crate) fn state(&self) -> &IntakeState {
        debug_assert!(self.admitted.is_empty(), "poll everything before the state is kept");
        &self.state
    }

    /// Takes a post of `event_time` with its outcome so far, and its complaint if it is one. `ticket` comes back from
    /// [`Intake::poll_admitted`].
    pub fn handle_post(
        &mut self,
        ticket: u64,
        event_time: EventTime,
        outcome: Outcome,
        complaint: Option<Complaint>,
    ) {
        debug_assert_eq!(
            complaint.is_some(),
            outcome == Outcome::Complaint,
            "a complaint comes with its outcome"
        );
        let closed_until = self.state.open_from.map(|bin| self.width.start_of(bin));
        let waiting = Waiting { ticket, event_time, outcome, complaint };
        self.state.progress.admit(event_time, waiting, closed_until, &mut self.decided);
        self.settle();
    }

    /// The source has been quiet until `now`: posts that still wait for others to bear them out are taken as they are,
    /// unless others spoke against them or they are dated after `now`.
    pub fn handle_quiet(&mut self, now: EventTime) {
        self.state.progress.release_standing(now, &mut self.decided);
        self.settle();
    }

    /// There is no more input: decides what still waits.
    pub fn finish(&mut self) {
        self.state.progress.finish(&mut self.decided);
        self.settle();
    }

    /// The next post that was decided, in the order of decision.
    pub fn poll_admitted(&mut self) -> Option<Admitted> {
        self.admitted.pop_front()
    }

    /// Posts that are set aside.
    pub fn n_set_aside(&self) -> usize {
        self.state.progress.n_ahead()
    }

    /// Whether the post of this ticket is set aside.
    pub fn is_set_aside(&self, ticket: u64) -> bool {
        self.state.progress.waiting().any(|waiting| waiting.ticket == ticket)
    }

    /// Whether a post dated until `now` is set aside. As long as one is, the source has something left to tell, and is
    /// not idle as of `now`.
    pub fn is_waiting_at(&self, now: EventTime) -> bool {
        self.state.progress.waiting().any(|waiting| waiting.event_time <= now)
    }

    /// The lowest ticket of a post that is set aside: what became of those before it has been decided.
    pub fn first_set_aside(&self) -> Option<u64> {
        self.state.progress.waiting().map(|waiting| waiting.ticket).min()
    }

    /// The latest event time borne out.
    pub fn frontier(&self) -> Option<EventTime> {
        self.state.progress.frontier()
    }

    /// The first bin that this source can have posts for.
    pub fn first_bin(&self) -> Option<Bin> {
        self.state.progress.start().map(|start| self.width.bin_of(start))
    }

    /// The first bin that is still open: the one that holds the watermark.
    pub fn open_from(&self) -> Option<Bin> {
        self.state.open_from
    }

    /// Posts on time by bin, those of closed bins until [`Intake::forget_posts_before`].
    pub fn n_posts(&self) -> &BTreeMap<Bin, u64> {
        &self.state.n_posts
    }

    /// Forgets how many posts the bins before `bin` had.
    pub fn forget_posts_before(&mut self, bin: Bin) {
        while let Some(entry) = self.state.n_posts.first_entry()
            && *entry.key() < bin
        {
            entry.remove();
        }
    }

    fn settle(&mut self) {
        let mut decided = std::mem::take(&mut self.decided);
        for admission in decided.drain(..) {
            let (waiting, outcome) = match admission {
                Admission::Late(waiting) => (waiting, Some(Outcome::Late)),
                Admission::Future(waiting) => (waiting, Some(Outcome::Future)),
                // It was set aside, and its bin was closed since.
                Admission::OnTime(waiting)
                    if self
                        .state
                        .open_from
                        .is_some_and(|open| self.width.bin_of(waiting.event_time) < open) =>
                {
                    (waiting, Some(Outcome::Late))
                }
                Admission::OnTime(waiting) => (waiting, None),
            };
            let Waiting { ticket, event_time, outcome: own, complaint } = waiting;
            self.admitted.push_back(match outcome {
                Some(outcome) => Admitted { ticket, outcome, complaint: None },
                None => {
                    *self.state.n_posts.entry(self.width.bin_of(event_time)).or_default() += 1;
                    Admitted { ticket, outcome: own, complaint }
                }
            });
        }
        self.decided = decided;
        let watermark = self.state.progress.watermark().map(|time| self.width.bin_of(time));
        self.state.open_from = self.state.open_from.max(watermark);
    }
}
