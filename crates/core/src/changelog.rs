//! Keeps a confluence in a changelog of keys and values, as a compacted topic holds them, and restores it from there.
//!
//! A snapshot would be written whole each second. A changelog holds what has changed: each complaint of an open bin
//! once, the authors counted in a bin once, a service when its numbers moved. Values are in postcard's encoding, whose
//! floats are exact bits, so that what is restored is the same to the last bit.
//!
//! | key | value | until |
//! |---|---|---|
//! | `head` | format, configuration, where to read on, progress of the sources, what is shared by all services | for ever |
//! | `service/N` | the state of service N | for ever |
//! | `open/BIN/N` | the Nth lot of complaints of an open bin | the bin is closed |
//! | `authors/BIN` | who was counted in a closed bin | an author window later |

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::catalogue::ServiceIndex;
use crate::config::Config;
use crate::confluence::Confluence;
use crate::detector::{DetectorState, Overall};
use crate::judgement::Complaint;
use crate::monitor::Monitor;
use crate::monitors::Monitors;
use crate::snapshot::ConfigHash;
use crate::sources::Sources;
use crate::time::Bin;
use crate::window::{Counted, Window};

/// Raised with every change to what the values hold.
const FORMAT_VERSION: u16 = 4;
const HEAD: &str = "head";

/// One change: a new value of a key, or its removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its value from now on; `None` removes it.
    pub value: Option<Vec<u8>>,
}

/// Why a changelog cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// It was written by a version whose state differs.
    #[error("the state has format {found}; this version reads format {expected}")]
    OtherFormat {
        /// The format it has.
        found: u16,
        /// The format that is read.
        expected: u16,
    },
    /// It was written under another configuration.
    #[error(
        "the state was written under another configuration, catalogue or lexicon ({found}, here {expected}); \
         what it learned does not carry over"
    )]
    OtherConfig {
        /// The hash it carries.
        found: String,
        /// The hash in force.
        expected: String,
    },
    /// A value is damaged or missing.
    #[error("the state is damaged at `{key}`: {reason}")]
    Damaged {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Head<S, O> {
    /// The next record of the input that this state has not seen.
    next_offset: i64,
    sources: S,
    overall: O,
}

/// What has been written so far.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Of each open bin: how many complaints are written, in how many lots.
    open: BTreeMap<Bin, (usize, u32)>,
    /// Bins whose authors are written.
    authors: BTreeSet<Bin>,
    n_authors_ever: u64,
}

impl Confluence {
    /// What has changed since this was last called, to be written together with `next_offset`, the next record that this
    /// state has not seen. All events must have been polled.
    pub fn take_changes(&mut self, hash: ConfigHash, next_offset: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        let sources = &self.sources;
        let state = self.detector.state_mut();
        let head = Head { next_offset, sources, overall: &state.overall };
        changes.push(Change { key: HEAD.to_owned(), value: Some(encode(&(FORMAT_VERSION, hash, head))) });
        for service in state.monitors.take_touched() {
            let value = state.monitors.get(service).map(encode);
            changes.push(Change { key: format!("service/{}", service.0), value });
        }
        self.written.open_bins(&state.window, &mut changes);
        let oldest = self.oldest_author_bin();
        let window = &self.detector.state().window;
        self.written.authors(window, oldest, |counted| self.width.bin_of(counted.0), &mut changes);
        changes
    }

    /// Restores what a changelog holds for this configuration, and the record to read on from; `None` if it is empty.
    ///
    /// # Errors
    /// If it was written under another configuration or by another version, or is damaged.
    pub fn restore(
        config: &Config,
        hash: ConfigHash,
        entries: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Option<(Self, i64)>, RestoreError> {
        let Some(head) = entries.get(HEAD) else { return Ok(None) };
        let head: Head<Sources, Overall> = decode(HEAD, check_format(head, FORMAT_VERSION, hash)?)?;
        let (mut monitors, mut window, mut written) =
            (Monitors::default(), Window::default(), Written::default());
        let mut authors: BTreeMap<Bin, Vec<Counted>> = BTreeMap::new();
        for (key, value) in entries {
            let damaged =
                || RestoreError::Damaged { key: key.clone(), reason: "not a key of this format".to_owned() };
            let parts: Vec<&str> = key.split('/').collect();
            match parts.as_slice() {
                [HEAD] => {}
                ["service", number] => {
                    let service = ServiceIndex(number.parse().map_err(|_| damaged())?);
                    monitors.insert(service, decode::<Monitor>(key, value)?);
                }
                ["open", bin, lot] => {
                    let bin = parse_bin(bin).ok_or_else(damaged)?;
                    let lot: u32 = lot.parse().map_err(|_| damaged())?;
                    let complaints: Vec<Complaint> = decode(key, value)?;
                    let (n_written, n_lots) = written.open.entry(bin).or_default();
                    *n_written += complaints.len();
                    *n_lots = (*n_lots).max(lot + 1);
                    complaints.into_iter().for_each(|complaint| window.hold(bin, complaint));
                }
                ["authors", bin] => {
                    let bin = parse_bin(bin).ok_or_else(damaged)?;
                    authors.insert(bin, decode(key, value)?);
                    written.authors.insert(bin);
                }
                _ => return Err(damaged()),
            }
        }
        window.recount(authors.into_values().flatten());
        written.n_authors_ever = window.n_authors_ever();
        let _ = monitors.take_touched();
        let state = DetectorState { window, overall: head.overall, monitors, novelties: None };
        let mut confluence = Self::with_state(config, head.sources, state);
        confluence.written = written;
        Ok(Some((confluence, head.next_offset)))
    }

    /// The first bin whose authors can still matter.
    fn oldest_author_bin(&self) -> Option<Bin> {
        let next = self.width.start_of(self.detector.next_bin()?);
        Some(self.width.bin_of(next.plus_ms(-self.author_window_ms)))
    }
}

impl Written {
    fn open_bins(&mut self, window: &Window, changes: &mut Vec<Change>) {
        let key = |bin: Bin, lot: u32| format!("open/{}/{lot}", bin.index());
        self.open.retain(|&bin, &mut (_, n_lots)| {
            let is_open = window.open().contains_key(&bin);
            if !is_open {
                changes.extend((0..n_lots).map(|lot| Change { key: key(bin, lot), value: None }));
            }
            is_open
        });
        for (&bin, complaints) in window.open() {
            let (n_written, n_lots) = self.open.entry(bin).or_default();
            if complaints.len() > *n_written {
                let lot = encode(&&complaints[*n_written..]);
                changes.push(Change { key: key(bin, *n_lots), value: Some(lot) });
                *n_written = complaints.len();
                *n_lots += 1;
            }
        }
    }

    fn authors(
        &mut self,
        window: &Window,
        oldest: Option<Bin>,
        bin_of: impl Fn(&Counted) -> Bin,
        changes: &mut Vec<Change>,
    ) {
        let key = |bin: Bin| format!("authors/{}", bin.index());
        // A bin is closed at once, so all who were counted in it are new together.
        let mut new: BTreeMap<Bin, Vec<&Counted>> = BTreeMap::new();
        for counted in window.authors_after(self.n_authors_ever) {
            new.entry(bin_of(counted)).or_default().push(counted);
        }
        self.n_authors_ever = window.n_authors_ever();
        for (bin, counted) in new {
            changes.push(Change { key: key(bin), value: Some(encode(&counted)) });
            self.authors.insert(bin);
        }
        let Some(oldest) = oldest else { return };
        while let Some(&bin) = self.authors.first().filter(|&&bin| bin < oldest) {
            self.authors.remove(&bin);
            changes.push(Change { key: key(bin), value: None });
        }
    }
}

/// Looks at format and configuration, with which every state begins, and gives the rest, which can only be read if they
/// fit.
pub(crate) fn check_format(bytes: &[u8], format: u16, hash: ConfigHash) -> Result<&[u8], RestoreError> {
    let damaged =
        |error: postcard::Error| RestoreError::Damaged { key: HEAD.to_owned(), reason: error.to_string() };
    let (found, rest) = postcard::take_from_bytes::<u16>(bytes).map_err(damaged)?;
    if found != format {
        return Err(RestoreError::OtherFormat { found, expected: format });
    }
    let (found, rest) = postcard::take_from_bytes::<ConfigHash>(rest).map_err(damaged)?;
    if found != hash {
        return Err(RestoreError::OtherConfig { found: found.to_string(), expected: hash.to_string() });
    }
    Ok(rest)
}

fn parse_bin(text: &str) -> Option<Bin> {
    text.parse().ok().map(Bin::of_index)
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data of known size always encodes")
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, RestoreError> {
    postcard::from_bytes(value)
        .map_err(|error| RestoreError::Damaged { key: key.to_owned(), reason: error.to_string() })
}
