//! Records of the complaints topic as bytes: a format number, then postcard.
//!
//! Services are written by id and not by number, so that a reader whose catalogue differs notices instead of counting
//! for another service.

use groundswell_core::{
    Catalogue, Complaint, ConfigHash, EventTime, LanguageTag, Mark, Record, SourceId, Symptoms, Telling,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Raised with every change to the form.
const FORMAT: u8 = 2;

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// They are of another format.
    #[error("the record has format {found}; this version reads format {FORMAT}")]
    OtherFormat {
        /// The format they have.
        found: u8,
    },
    /// They were written under another configuration.
    #[error(
        "ingest runs under another configuration, catalogue or lexicon ({found}, here {expected}); all processes of an \
         installation need the same"
    )]
    OtherConfig {
        /// The hash they carry.
        found: String,
        /// The hash in force.
        expected: String,
    },
    /// They name a service that the catalogue does not have.
    #[error("the catalogue has no service `{0}`: do all processes run with the same catalogue?")]
    UnknownService(String),
    /// They cannot be read.
    #[error("the record is damaged: {0}")]
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
struct WireRecord<'a> {
    topic: &'a str,
    partition: i32,
    #[serde(borrow)]
    telling: WireTelling<'a>,
}

#[derive(Serialize, Deserialize)]
enum WireTelling<'a> {
    #[serde(borrow)]
    Complaint(WireComplaint<'a>),
    Mark(ConfigHash, Mark),
    Gap {
        from: i64,
        to: i64,
    },
}

#[derive(Serialize, Deserialize)]
struct WireComplaint<'a> {
    offset: i64,
    event_time: EventTime,
    post_id: &'a str,
    author: u64,
    long_text: Option<u64>,
    #[serde(borrow)]
    about: Vec<(&'a str, Symptoms)>,
    language: LanguageTag,
    country: Option<[u8; 2]>,
}

/// Writes `record` to `out`, which is emptied first. Marks carry the `hash` of the configuration: a reader under another
/// must not go on.
pub fn encode(record: &Record, catalogue: &Catalogue, hash: ConfigHash, out: &mut Vec<u8>) {
    let telling = match &record.telling {
        Telling::Complaint { offset, complaint } => WireTelling::Complaint(WireComplaint {
            offset: *offset,
            event_time: complaint.event_time,
            post_id: &complaint.post_id,
            author: complaint.author,
            long_text: complaint.long_text,
            about: complaint
                .about
                .iter()
                .map(|&(index, said)| (catalogue.service(index).id.as_str(), said))
                .collect(),
            language: complaint.language,
            country: complaint.country,
        }),
        Telling::Mark(mark) => WireTelling::Mark(hash, mark.clone()),
        &Telling::Gap { from, to } => WireTelling::Gap { from, to },
    };
    let wire = WireRecord { topic: &record.source.topic, partition: record.source.partition, telling };
    out.clear();
    out.push(FORMAT);
    postcard::to_io(&wire, out).expect("memory can be written, and plain data always encodes");
}

/// Reads a record.
///
/// # Errors
/// If it is of another format or configuration, damaged, or about a service that the catalogue does not have.
pub fn decode(bytes: &[u8], catalogue: &Catalogue, hash: ConfigHash) -> Result<Record, RecordError> {
    let damaged = |reason: &str| RecordError::Damaged(reason.to_owned());
    let (&found, rest) = bytes.split_first().ok_or_else(|| damaged("it is empty"))?;
    if found != FORMAT {
        return Err(RecordError::OtherFormat { found });
    }
    let wire: WireRecord<'_> = postcard::from_bytes(rest).map_err(|error| damaged(&error.to_string()))?;
    let telling = match wire.telling {
        WireTelling::Complaint(wire) => {
            let index = |&(id, said): &(&str, Symptoms)| {
                let index =
                    catalogue.index_of(id).ok_or_else(|| RecordError::UnknownService(id.to_owned()))?;
                Ok((index, said))
            };
            let complaint = Complaint {
                event_time: wire.event_time,
                post_id: wire.post_id.into(),
                author: wire.author,
                long_text: wire.long_text,
                about: wire.about.iter().map(index).collect::<Result<_, RecordError>>()?,
                language: wire.language,
                country: wire.country,
            };
            Telling::Complaint { offset: wire.offset, complaint }
        }
        WireTelling::Mark(found, _) if found != hash => {
            return Err(RecordError::OtherConfig { found: found.to_string(), expected: hash.to_string() });
        }
        WireTelling::Mark(_, mark) => Telling::Mark(mark),
        WireTelling::Gap { from, to } => Telling::Gap { from, to },
    };
    Ok(Record { source: SourceId { topic: wire.topic.into(), partition: wire.partition }, telling })
}

#[cfg(test)]
mod tests {
    use groundswell_core::{Config, Lexicon};

    use super::*;

    fn record(about: Vec<(groundswell_core::ServiceIndex, Symptoms)>) -> Record {
        let complaint = Complaint {
            event_time: EventTime::from_ms(1_681_948_800_000).expect("a time in range"),
            post_id: "p1".into(),
            author: 7,
            long_text: Some(8),
            about,
            language: LanguageTag::UNDETERMINED,
            country: Some(*b"SE"),
        };
        let source = SourceId { topic: "posts".into(), partition: 2 };
        Record { source, telling: Telling::Complaint { offset: 3, complaint } }
    }

    fn hash_of(catalogue: &Catalogue) -> ConfigHash {
        ConfigHash::of(&Config::default(), catalogue, &Lexicon::default())
    }

    /// Under one hash, whatever the catalogue.
    fn hash() -> ConfigHash {
        hash_of(&Catalogue::default())
    }

    fn decode(bytes: &[u8], catalogue: &Catalogue) -> Result<Record, RecordError> {
        super::decode(bytes, catalogue, hash())
    }

    fn written(record: &Record, catalogue: &Catalogue) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(record, catalogue, hash(), &mut bytes);
        bytes
    }

    #[test]
    fn a_record_comes_back_as_it_was_under_another_numbering_too() {
        let (ours, theirs) = (Catalogue::of_ids(["b", "c"]), Catalogue::of_ids(["a", "b", "c"]));
        let of = |catalogue: &Catalogue| {
            record(vec![(catalogue.index_of("b").expect("it has b"), Symptoms::default())])
        };
        let bytes = written(&of(&ours), &ours);
        assert_eq!(decode(&bytes, &ours), Ok(of(&ours)));
        assert_eq!(decode(&bytes, &theirs), Ok(of(&theirs)), "services travel by id");
        let unknown = decode(&bytes, &Catalogue::of_ids(["a"]));
        assert_eq!(unknown, Err(RecordError::UnknownService("b".to_owned())));
    }

    #[test]
    fn a_mark_of_another_configuration_is_refused() {
        let mark = Mark::unread(1);
        let catalogue = Catalogue::of_ids(["b"]);
        let source = SourceId { topic: "posts".into(), partition: 0 };
        let record = Record { source, telling: Telling::Mark(mark) };
        let bytes = written(&record, &catalogue);
        assert_eq!(decode(&bytes, &catalogue), Ok(record));
        let refused = super::decode(&bytes, &catalogue, hash_of(&catalogue));
        assert!(matches!(refused, Err(RecordError::OtherConfig { .. })), "{refused:?}");
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        let catalogue = Catalogue::of_ids(["b"]);
        let bytes = written(&record(Vec::new()), &catalogue);
        assert_eq!(decode(&[9, 1, 2], &catalogue), Err(RecordError::OtherFormat { found: 9 }));
        for n in 0..bytes.len() {
            assert!(decode(&bytes[..n], &catalogue).is_err(), "cut after {n} bytes it must be refused");
        }
    }
}
