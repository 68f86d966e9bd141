//! The whole core in one: posts in, outage events out.

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::detector::{Detector, Receipt};
use crate::judgement::{Judge, Judgement};
use crate::lexicon::Lexicon;
use crate::post::{Outcome, Post};

/// Judge and detector, joined. Poll the detector after each post.
#[derive(Debug)]
pub struct Pipeline {
    judge: Judge,
    judgement: Judgement,
    detector: Detector,
}

impl Pipeline {
    /// A pipeline that has seen nothing. `config` must be valid ([`Config::validate`]).
    pub fn new(config: Config, catalogue: &Catalogue, lexicon: &Lexicon) -> Self {
        let judge = Judge::new(catalogue, lexicon, config.author_key);
        Self::with_detector(judge, Detector::new(config))
    }

    /// Joins a judge to a detector that may have been restored from a snapshot.
    pub fn with_detector(judge: Judge, detector: Detector) -> Self {
        Self { judge, judgement: Judgement::default(), detector }
    }

    /// Takes a post. `ticket` is the caller's own number for it; it comes back from [`Detector::poll_decided`] if the
    /// post is set aside.
    pub fn handle_post(&mut self, ticket: u64, post: &Post<'_>) -> Receipt {
        let outcome = self.judge.judge(post, &mut self.judgement);
        if matches!(outcome, Outcome::TooLong) {
            self.detector.handle_reject(outcome);
            return Receipt::Decided(outcome);
        }
        self.detector.handle_post(ticket, post.event_time, outcome, self.judgement.take_complaint())
    }

    /// The detector, for rejects, the end of the input, and queries.
    pub fn detector(&mut self) -> &mut Detector {
        &mut self.detector
    }
}
