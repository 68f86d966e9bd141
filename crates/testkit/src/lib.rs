//! Seeded synthetic posts with ground truth, for Groundswell's fixtures, tests and benchmarks.
//!
//! A [`Scenario`] says which services there are, how much people post about them, and what fails when.
//! [`simulate`] turns it and a seed into a stream of [`Post`]s in order of arrival, and the [`Truth`]: what really
//! failed. Each post also carries its [`Kind`], so that a test can ask not only "was the outage found" but "which
//! complaints were missed".
//!
//! Why simulate at all, with real outages to be had? Real posts cannot be published, and nobody knows the truth of
//! them to the minute. A simulation knows it exactly; its weakness is that it can only contain what somebody thought of.
//! Two rules keep it honest: its texts do not come from the detector's lexicon, and it contains what is hard on purpose
//! (talk without a failure, complaints without the usual words, feeds with faults).
//!
//! The library reads no clock, no file and no environment; the same scenario and seed give the same bytes.
//!
//! ```
//! use groundswell_testkit::{Scenario, simulate};
//!
//! let scenario = Scenario::demo();
//! let (posts, truth) = simulate(&scenario, 1);
//! let complaints = posts.take(2_000).filter(|post| post.kind.is_complaint()).count();
//! assert!(complaints > 50);
//! assert_eq!(truth.len(), 2);
//! ```
//!
//! [`Counts`] are the same for a detector that is given counts: a rate that swings, grows and wanders, and what fails.

mod scenario;

mod benchmark;
mod corpus;
mod counts;
mod dice;
mod incident;
mod noise;
mod oracle;
mod people;
mod posts;
mod rhythm;
mod source;
mod typing;
mod wording;

pub use benchmark::{Hard, MULTIPLIERS, World};
pub use corpus::{Kind, Language, Symptom, Topic};
pub use counts::{Change, CountedService, Counts, Shape, Wander};
pub use incident::{Truth, TruthKind};
pub use noise::Fault;
pub use oracle::oracle_delay_min;
pub use posts::{Post, Posts, simulate};
pub use scenario::{
    Course, Dependant, Echo, Noise, Onset, Outage, People, Phase, Rhythm, Scenario, ScenarioError, Service,
    Style, Surge, SurgeTopic,
};
