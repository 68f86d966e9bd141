//! What tables say of a service.

use crate::expectation::Expectation;

/// What is said of a service for one bin, in the per-minute table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assessment {
    /// Distinct complainers.
    pub observed: u32,
    /// The null rate that evidence is taken against, complaints a bin.
    pub expected: f64,
    /// Evidence as e / (1 + e), with e its share of the *suspected* threshold: in [0, 1), and 0.5 there.
    pub evidence: f64,
    /// The same below 0.5. From there on it says how unusual the bin is for this service, if scores are calibrated
    /// ([`crate::Detector::calibrate_scores`]): at 0.75 its like comes once a week, and bins that add nothing to an
    /// outage under way stay at 0.5.
    pub score: f64,
    /// Where the outage stands.
    pub status: Status,
    pub(crate) expectation: Expectation,
}

impl Assessment {
    /// Between these lie at least nineteen of twenty counts while nothing is wrong, complaints a bin.
    pub fn usual(&self) -> (f64, f64) {
        self.expectation.usual()
    }

    /// The same with `news`, in [0, 1), for the upper half of the score.
    pub(crate) fn calibrated(self, news: f64) -> Self {
        Self { score: if self.evidence >= 0.5 { 0.5 + 0.5 * news } else { self.evidence }, ..self }
    }
}

/// Where a service stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// No outage, and the baseline is still young.
    Learning,
    /// No outage.
    Normal,
    /// Past the lower tier.
    Suspected,
    /// Past the higher tier.
    Ongoing,
    /// The rate is back; not over yet.
    Recovering,
}

impl Status {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Normal => "normal",
            Self::Suspected => "suspected",
            Self::Ongoing => "ongoing",
            Self::Recovering => "recovering",
        }
    }
}
