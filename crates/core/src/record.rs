//! What intakes tell the detector when they are not in one process: complaints, and how far each source has come.
//!
//! A complaint carries the offset of its post, and that is what identifies it. It may be told again, by whoever reads the
//! post again, and not at the same place: a post that was set aside is decided by a later one, or by a quiet that the next
//! reader finds elsewhere. A mark says up to where all is told, so that whoever receives has to keep only the offsets after
//! that to drop what comes again.

use serde::{Deserialize, Serialize};

use crate::judgement::Complaint;
use crate::time::{Bin, EventTime};

/// One partition of a topic of posts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId {
    /// The topic.
    pub topic: Box<str>,
    /// The partition.
    pub partition: i32,
}

impl std::fmt::Display for SourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// How far a source has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The last offset that was read; -1 before the first.
    pub offset: i64,
    /// What became of the posts before this offset has been told. From it on, some may still be set aside.
    pub settled: i64,
    /// Partitions of the source's topic: until each has left a mark, none of them says how far the posts have come.
    pub n_partitions: u32,
    /// The first bin that the source can have complaints for.
    pub first_bin: Option<Bin>,
    /// The first bin that is still open; `None` while no post was borne out.
    pub open_from: Option<Bin>,
    /// The latest event time borne out.
    pub frontier: Option<EventTime>,
    /// Wall clock when the last post was read, milliseconds.
    pub read_at_ms: i64,
    /// Wall clock when the source was last found to have no more posts, milliseconds; `None` while it has.
    pub idle_as_of_ms: Option<i64>,
    /// Whether its input is taken to be over.
    pub is_finished: bool,
    /// Posts on time by bin, from the start of each bin.
    pub n_posts: Vec<(Bin, u64)>,
}

impl Mark {
    /// Of a source of which nothing was read yet.
    pub fn unread(n_partitions: u32) -> Self {
        Self {
            offset: -1,
            settled: 0,
            n_partitions,
            first_bin: None,
            open_from: None,
            frontier: None,
            read_at_ms: 0,
            idle_as_of_ms: None,
            is_finished: false,
            n_posts: Vec::new(),
        }
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Telling {
    /// A post complains; `complaint` names the services of one shard.
    Complaint {
        /// The offset of its post.
        offset: i64,
        /// The complaint.
        complaint: Complaint,
    },
    /// How far the source has come.
    Mark(Mark),
    /// Posts were lost before they could be read: offsets `[from, to)`.
    Gap {
        /// The first that is missing.
        from: i64,
        /// The first that is there again.
        to: i64,
    },
}

/// A telling and the source it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The source.
    pub source: SourceId,
    /// What is told of it.
    pub telling: Telling,
}
