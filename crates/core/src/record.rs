//! What intakes tell the detector when they are not in one process: complaints, and how far each source has come.
//!
//! Every record carries the position in its source that brought it about. Positions of a source only grow, so whoever
//! keeps the highest one seen can drop what is delivered again, by whomever and however often.

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

/// A place in a source: the post that decided, and the how manyth of its consequences this is. A post that was set
/// aside is decided by a later one, and has the position of that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Offset of the post that decided; -1 before the first.
    pub offset: i64,
    /// 1 for the first consequence; 0 stands for the post itself.
    pub step: u32,
}

impl Position {
    /// Before everything.
    pub const START: Self = Self { offset: -1, step: 0 };
}

/// How far a source has come. Everything up to `position` was told before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The last position that this source has come to.
    pub position: Position,
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

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Telling {
    /// A post complains; `complaint` names the services of one shard.
    Complaint {
        /// Where it was decided.
        position: Position,
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
