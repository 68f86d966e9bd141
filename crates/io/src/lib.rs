//! Thin adapters around `groundswell-core`: bytes to posts and counts, events to bytes.
//!
//! There are no statistics and no thresholds here. In reading order:
//!
//! * [`lines`] opens plain, gzip and zstd files and standard input, and cuts them into lines.
//! * [`merge`] takes several of them in event time.
//! * [`decode`] turns a line into a post, or into the reason why not.
//! * [`cases`] are texts and counts with what is expected of them.
//! * [`counts`] reads and writes tables of counts (CSV).
//! * [`table`] writes the per-bin table.
//! * [`encode`] turns an event into a CloudEvents line, or a line for people.
//! * [`dead_letter`] keeps what could not be used.
//! * [`records`] are the complaints and marks that processes tell each other.
//! * `kafka` (a feature) connects to Apache Kafka: settings, secrets, topics.

pub mod cases;
pub mod counts;
pub mod dead_letter;
pub mod decode;
pub mod encode;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod lines;
pub mod merge;
pub mod records;
pub mod table;
pub mod times;
