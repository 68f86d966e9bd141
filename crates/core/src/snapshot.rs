//! Saves and restores a stream whole, so that a replay cut anywhere goes on as if it had not been.
//!
//! A snapshot is `GWSNAP`, a format version, the configuration's hash and the state in postcard's encoding, whose
//! floats are exact bits. It is refused under any other configuration, catalogue or lexicon: numbers learned under one
//! mean nothing under another, and services are numbered by their place in the catalogue.

use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher24};
use thiserror::Error;

use crate::catalogue::Catalogue;
use crate::config::Config;
use crate::detector::{Detector, DetectorState};
use crate::intake::{Intake, IntakeState};
use crate::lexicon::Lexicon;
use crate::pipeline::Stream;
use crate::post::OutcomeCounts;

const MAGIC: &[u8; 6] = b"GWSNAP";
/// Raised with every change to what the state holds.
const FORMAT_VERSION: u16 = 6;
const HEADER_BYTES: usize = MAGIC.len() + 2 + 16;

/// Identifies everything that a result depends on besides the posts: configuration, catalogue, lexicon, and the
/// version of the program. Equal hashes and equal posts mean equal events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigHash([u8; 16]);

impl ConfigHash {
    /// Hashes a configuration. SipHash-2-4-128 under the zero key: it names configurations, it guards nothing.
    pub fn of(config: &Config, catalogue: &Catalogue, lexicon: &Lexicon) -> Self {
        #[derive(Serialize)]
        struct All<'a>(
            &'static str,
            &'a Config,
            &'a [crate::catalogue::Service],
            &'a [crate::catalogue::Category],
            &'a [crate::lexicon::Language],
        );
        let version = env!("CARGO_PKG_VERSION");
        let all = All(version, config, catalogue.services(), catalogue.categories(), lexicon.languages());
        let bytes = postcard::to_stdvec(&all).expect("plain data of known size always encodes");
        let mut hasher = SipHasher24::new();
        hasher.write(&bytes);
        Self(hasher.finish128().as_bytes())
    }
}

impl std::fmt::Display for ConfigHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a snapshot cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// It does not begin as one does.
    #[error("not a snapshot of groundswell")]
    NotASnapshot,
    /// It was written by a version whose state differs.
    #[error("the snapshot has format {found}; this version reads format {FORMAT_VERSION}")]
    OtherFormat {
        /// The format it has.
        found: u16,
    },
    /// It was written under another configuration.
    #[error(
        "the snapshot was written under another configuration, catalogue or lexicon ({found}, here {expected}); \
         what it learned does not carry over"
    )]
    OtherConfig {
        /// The hash it carries.
        found: String,
        /// The hash in force.
        expected: String,
    },
    /// Its content is damaged.
    #[error("the snapshot is damaged: {0}")]
    Damaged(String),
}

/// The parts of a stream, borrowed for saving and owned when restored.
#[derive(Serialize, Deserialize)]
struct Parts<I, D, O> {
    intake: I,
    detector: D,
    outcomes: O,
}

/// Saves `stream`, all of whose outputs must have been polled.
pub fn save(stream: &Stream, hash: ConfigHash) -> Vec<u8> {
    let mut bytes = Vec::from(MAGIC);
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend(hash.0);
    let Stream { intake, detector, outcomes } = stream;
    let parts = Parts { intake: intake.state(), detector: detector.state(), outcomes };
    let state = postcard::to_stdvec(&parts).expect("plain data of known size always encodes");
    let mut checksum = SipHasher24::new();
    checksum.write(&state);
    bytes.extend(checksum.finish128().as_bytes());
    bytes.extend(state);
    bytes
}

/// Restores a stream that was saved under the same `config` and `hash`.
///
/// # Errors
/// If the bytes are not a snapshot, are of another format or configuration, or are damaged.
pub fn restore(bytes: &[u8], config: Config, hash: ConfigHash) -> Result<Stream, SnapshotError> {
    if !bytes.starts_with(MAGIC) || bytes.len() < HEADER_BYTES {
        return Err(SnapshotError::NotASnapshot);
    }
    let (header, rest) = bytes.split_at(HEADER_BYTES);
    let found = u16::from_le_bytes([header[6], header[7]]);
    if found != FORMAT_VERSION {
        return Err(SnapshotError::OtherFormat { found });
    }
    let saved: [u8; 16] = header[8..].try_into().expect("the header ends with a hash");
    if saved != hash.0 {
        let (found, expected) = (ConfigHash(saved).to_string(), hash.to_string());
        return Err(SnapshotError::OtherConfig { found, expected });
    }
    let damaged = |reason: &str| SnapshotError::Damaged(reason.to_owned());
    let Some((checksum, state)) = rest.split_at_checked(16) else { return Err(damaged("it ends too early")) };
    let mut hasher = SipHasher24::new();
    hasher.write(state);
    if hasher.finish128().as_bytes() != *checksum {
        return Err(damaged("its checksum does not fit its content"));
    }
    let parts: Parts<IntakeState, DetectorState, OutcomeCounts> =
        postcard::from_bytes(state).map_err(|error| damaged(&error.to_string()))?;
    Ok(Stream {
        intake: Intake::with_state(&config, parts.intake),
        detector: Detector::with_state(config, parts.detector),
        outcomes: parts.outcomes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::SourceText;

    #[test]
    fn the_hash_names_what_is_known_of_categories_too() {
        let hash = |votes: &str| {
            let text = format!(
                "[[category]]\nname='c'\nsymptoms={{slow={votes}}}\n[[service]]\nid='s'\nname='S'\ncategory='c'\n"
            );
            let catalogue = Catalogue::load(false, &[SourceText::new("c", text)]).expect("a good catalogue");
            ConfigHash::of(&Config::default(), &catalogue, &Lexicon::default())
        };
        assert_ne!(hash("0.5"), hash("0.4"));
    }
}
