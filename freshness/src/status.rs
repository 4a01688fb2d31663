//! What people and probes are told about tables. Shapes only.

use serde::Serialize;
use springtide_protocol::{OffsetMap, TableVersion};

/// Where one table stands.
#[derive(Clone, Debug)]
pub struct TableStatus {
    /// What it does.
    pub state: TableState,
    /// Why, where it is not live; also what fails while it answers on.
    pub reason: Option<String>,
    /// The causes behind `reason`, each one of [`CAUSES`]: few words, for labels.
    pub causes: Vec<&'static str>,
    /// What can be pinned now; `None`: nothing yet.
    pub version: Option<TableVersion>,
    /// Start of the last round that it holds everything of, microseconds since 1970.
    pub as_of_micros: Option<i64>,
    /// Whether the snapshot alone answers.
    pub is_snapshot_only: bool,
    /// Rows in the tail, those included that the lake holds too.
    pub tail_rows: u64,
    /// Bytes of the tail in memory.
    pub tail_memory_bytes: u64,
    /// Bytes of the tail's files.
    pub tail_disk_bytes: u64,
    /// Segments of the tail.
    pub tail_segments: usize,
    /// First offsets that the tail covers.
    pub coverage_start: OffsetMap,
    /// First offsets that it does not cover yet.
    pub coverage_end: OffsetMap,
    /// Iceberg's id of the current snapshot.
    pub snapshot_id: Option<i64>,
    /// Rows in the current snapshot.
    pub snapshot_rows: u64,
    /// Data files of the current snapshot.
    pub snapshot_files: usize,
    /// Snapshots that versions in the pin window may need.
    pub kept_snapshots: usize,
    /// B(S); `None`: unknown.
    pub boundary: Option<OffsetMap>,
    /// Records kept aside since they are no rows.
    pub dead_letters: u64,
    /// When a commit of ours last succeeded, microseconds since 1970.
    pub last_commit_micros: Option<i64>,
}

/// Every cause that a table may name.
pub const CAUSES: [&str; 12] = [
    "boundary-unknown",
    "records-lost",
    "topic-recreated",
    "partition-missing",
    "stream-truncated",
    "decoded-otherwise",
    "lake",
    "stream",
    "intake",
    "tail-full",
    "disk",
    "commit",
];

/// What a table does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableState {
    /// The lake or the stream has not been reached yet.
    Starting,
    /// Reading up to what the stream held at start.
    CatchingUp,
    /// Reading as rows come.
    Live,
    /// Lake and tail do not meet.
    Gap,
    /// Stopped until someone has looked.
    Halted,
    /// The lake's state cannot be read (delete files, for example): no answers.
    Unreadable,
}

impl TableState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::CatchingUp, Self::Live, Self::Gap, Self::Halted, Self::Unreadable];

    /// A word for labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching-up",
            Self::Live => "live",
            Self::Gap => "gap",
            Self::Halted => "halted",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One part that answers depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// `catalog`, `stream`, or `table:{name}`.
    pub part: String,
    /// Whether it works.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
