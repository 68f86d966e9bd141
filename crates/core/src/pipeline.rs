//! The whole core in one: the posts of one source in, outage events out.

use std::collections::VecDeque;

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::detector::Detector;
use crate::intake::Intake;
use crate::judgement::{Judge, Judgement};
use crate::lexicon::Lexicon;
use crate::post::{Outcome, OutcomeCounts, Post};
use crate::time::EventTime;

/// Where a post stands right after it was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Its outcome is known and counted.
    Decided(Outcome),
    /// It complains; whether it counts is decided when its bin is closed.
    Held,
    /// It is dated far ahead of the others, and they will decide ([`Pipeline::poll_decided`]).
    SetAside,
}

/// What is remembered of the posts of one source, and all that a snapshot holds.
#[derive(Debug)]
pub struct Stream {
    pub(crate) intake: Intake,
    pub(crate) detector: Detector,
    /// Inputs that ended before the window; the detector counts the others.
    pub(crate) outcomes: OutcomeCounts,
}

impl Stream {
    /// A stream of which nothing was seen.
    pub fn new(config: Config) -> Self {
        let intake = Intake::new(&config);
        Self { intake, detector: Detector::new(config), outcomes: OutcomeCounts::default() }
    }

    /// Its detector.
    pub fn detector(&mut self) -> &mut Detector {
        &mut self.detector
    }
}

/// Judge, intake and detector, joined. Poll pipeline and detector after each post.
#[derive(Debug)]
pub struct Pipeline {
    judge: Judge,
    judgement: Judgement,
    stream: Stream,
    decided: VecDeque<(u64, Outcome)>,
}

impl Pipeline {
    /// A pipeline that has seen nothing. `config` must be valid ([`Config::validate`]).
    pub fn new(config: Config, catalogue: &Catalogue, lexicon: Lexicon) -> Self {
        let judge = Judge::new(catalogue, lexicon, config.author_key);
        Self::with_stream(judge, Stream::new(config))
    }

    /// Joins a judge to what a snapshot kept.
    pub fn with_stream(judge: Judge, stream: Stream) -> Self {
        Self { judge, judgement: Judgement::default(), stream, decided: VecDeque::new() }
    }

    /// What a snapshot holds.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Takes a post. `ticket` is the caller's own number for it; it comes back from [`Pipeline::poll_decided`] if the
    /// post is set aside.
    pub fn handle_post(&mut self, ticket: u64, post: &Post<'_>) -> Receipt {
        let outcome = self.judge.judge(post, &mut self.judgement);
        if matches!(outcome, Outcome::TooLong) {
            self.stream.outcomes.record(outcome);
            return Receipt::Decided(outcome);
        }
        self.stream.intake.handle_post(ticket, post.event_time, outcome, self.judgement.take_complaint());
        let mut receipt = Receipt::SetAside;
        self.settle(Some((ticket, &mut receipt)));
        receipt
    }

    /// Counts an input that never became a post.
    pub fn handle_reject(&mut self, outcome: Outcome) {
        self.stream.outcomes.record(outcome);
    }

    /// Closes every bin: there is no more input.
    pub fn finish(&mut self) {
        self.stream.intake.finish();
        self.settle(None);
        let Stream { intake, detector, .. } = &mut self.stream;
        detector.close_until_end(intake.frontier(), Some(intake.n_posts()));
    }

    /// The next post, by its ticket, that had been set aside and is decided now.
    pub fn poll_decided(&mut self) -> Option<(u64, Outcome)> {
        self.decided.pop_front()
    }

    /// How many inputs ended in each outcome so far.
    pub fn outcomes(&self) -> OutcomeCounts {
        self.stream.outcomes.plus(self.stream.detector.outcomes())
    }

    /// Posts whose outcome is still open: in an open bin, or set aside.
    pub fn n_undecided(&self) -> u64 {
        (self.stream.detector.n_held() + self.stream.intake.n_set_aside()) as u64
    }

    /// The latest event time borne out.
    pub fn frontier(&self) -> Option<EventTime> {
        self.stream.intake.frontier()
    }

    /// The detector, for its events, rows and queries.
    pub fn detector(&mut self) -> &mut Detector {
        &mut self.stream.detector
    }

    /// Acts on what became decided. `current` is the post in hand, whose receipt its caller waits for; others were
    /// set aside before and are reported by ticket.
    fn settle(&mut self, mut current: Option<(u64, &mut Receipt)>) {
        while let Some(admitted) = self.stream.intake.poll_admitted() {
            let is_held = admitted.complaint.is_some();
            match admitted.complaint {
                Some(complaint) => self.stream.detector.handle_complaint(complaint),
                None => self.stream.outcomes.record(admitted.outcome),
            }
            match &mut current {
                Some((own, receipt)) if *own == admitted.ticket => {
                    **receipt = if is_held { Receipt::Held } else { Receipt::Decided(admitted.outcome) };
                }
                _ => self.decided.push_back((admitted.ticket, admitted.outcome)),
            }
        }
        if let (Some(first), Some(open_from)) =
            (self.stream.intake.first_bin(), self.stream.intake.open_from())
        {
            let Stream { intake, detector, .. } = &mut self.stream;
            detector.begin(first);
            if detector.next_bin().is_some_and(|next| next < open_from) {
                detector.close_until(open_from, Some(intake.n_posts()));
                intake.forget_posts_before(open_from);
            }
        }
    }
}
