//! The pure, deterministic core of Groundswell: posts in, outage events out.
//!
//! It does no I/O, reads no clock, starts no thread and holds no global state. Time comes with the posts,
//! configuration is an argument, and the same posts under the same configuration give the same events, byte for byte,
//! on every platform (even logarithms come from the `libm` crate, not from the system).
//!
//! The flow, a module each:
//!
//! ```text
//! Post ─judgement, intake─> Complaint ─window─> Tally ─baseline─> Expectation ─evidence─> Reading ─outage─> Transition ─> OutageEvent
//! ```
//!
//! * A [`Judge`] decides from a [`Catalogue`] of services and a [`Lexicon`] of phrases what a [`Post`] complains about.
//! * An [`Intake`] decides which posts of a source are on time.
//! * A [`Detector`] counts distinct complainers per service and bin, weighs the counts and yields [`OutageEvent`]s.
//! * A [`Pipeline`] joins the three.
//!
//! ```
//! use groundswell_core::{Catalogue, Config, EventTime, Lexicon, Outcome, Pipeline, Post, Receipt};
//!
//! let catalogue = Catalogue::load(true, &[]).expect("the built-in catalogue is sound");
//! let lexicon = Lexicon::load(true, &[]).expect("the built-in lexicon is sound");
//! let mut pipeline = Pipeline::new(Config::default(), &catalogue, lexicon);
//! for minute in 0..6 {
//!     let post = Post {
//!         id: &minute.to_string(),
//!         event_time: EventTime::from_ms(1_681_948_800_000 + minute * 10_000).expect("a time in range"),
//!         author: "someone",
//!         text: "lovely weather",
//!         lang: None,
//!         country: None,
//!         is_repost: false,
//!         service: None,
//!     };
//!     pipeline.handle_post(0, &post);
//! }
//! pipeline.finish();
//! assert_eq!(pipeline.outcomes().of(Outcome::NoService), 6);
//! assert!(pipeline.detector().poll().is_none(), "nothing happened");
//! ```

mod assessment;
mod baseline;
mod builtin;
mod catalogue;
mod changelog;
mod common_words;
mod config;
mod confluence;
mod cue_table;
mod cues;
mod detector;
mod event;
mod evidence;
mod expectation;
mod feed;
mod findings;
mod fold;
mod forms;
mod habits;
mod handles;
mod intake;
mod judgement;
mod lexicon;
mod matching;
mod monitor;
mod monitors;
mod normal;
mod novelty;
mod outage;
mod phrases;
mod pipeline;
mod post;
mod problem;
mod profile;
mod progress;
mod reach;
mod recent;
mod record;
mod run_length;
mod snapshot;
mod sources;
mod tally;
mod time;
mod wander;
mod window;
mod word_list;
mod words;

pub use assessment::{Assessment, Status};
pub use catalogue::{CATEGORY_UNKNOWN, Catalogue, Category, Service, ServiceIndex};
pub use changelog::{Change, RestoreError};
pub use common_words::{names_that_are_common_words, names_without_context};
pub use config::{Config, ConfigError};
pub use confluence::{Arrival, Confluence};
pub use cues::{LOG_ODDS_PER_WEIGHT, STRANGE_WORDS_MAX, Sign, is_spaced_word, phrase_votes};
pub use detector::{Detector, Row};
pub use event::{Decision, Event, EventKind, FeedEvent, FeedEventKind, OutageEvent, Peak, Scope, Severity};
pub use findings::{Finding, Verdict};
pub use intake::{Admitted, Intake};
pub use judgement::{Accusation, AuthorKey, Complaint, Judge, Judgement, Symptoms};
pub use lexicon::{CUE_WEIGHT_MAX, CueGroup, Language, Lexicon, PhraseGroup, Symptom, TellGroup, Tier};
pub use matching::LanguageTag;
pub use pipeline::{Pipeline, Receipt, Stream};
pub use post::{Outcome, OutcomeCounts, Post, TEXT_BYTES_MAX};
pub use problem::{Problem, SourceText};
pub use reach::unreachable_entries;
pub use record::{Mark, Record, SourceId, Telling};
pub use snapshot::{ConfigHash, SnapshotError, restore, save};
pub use time::{Bin, BinWidth, EventTime};
pub use word_list::WordList;
