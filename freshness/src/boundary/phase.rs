//! Where a table stands, and in words for people why it does not go on.

use std::fmt;

use springtide_protocol::{Offset, PartitionId};
use uuid::Uuid;

/// Why snapshot and tail do not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The snapshot does not tell its boundary.
    BoundaryUnknown,
    /// The stream no longer holds what follows the boundary (or the tail's end).
    Lost {
        /// The partition.
        partition: PartitionId,
        /// The first offset that is needed.
        needed: Offset,
        /// The first offset that is there.
        low: Offset,
    },
}

/// Why a table was halted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The topic's id is not the one that the lake's offsets belong to.
    TopicRecreated {
        /// The id recorded with the boundary.
        recorded: Option<Uuid>,
        /// The topic's id now.
        found: Uuid,
    },
    /// Another process has changed how the table's rows are decoded.
    DecodedOtherwise {
        /// The decode epoch of this process.
        own: u32,
        /// The table's.
        recorded: u32,
    },
    /// A partition that the lake has rows of is not in the topic.
    PartitionMissing(PartitionId),
    /// The stream ends before what was read from it.
    Truncated {
        /// The partition.
        partition: PartitionId,
        /// Where it was read to.
        read: Offset,
        /// Where it ends now.
        high: Offset,
    },
}

/// Where a table stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The stream has not been seen yet.
    Starting,
    /// The end is below the high watermarks seen at start.
    CatchingUp,
    /// Reading as rows come.
    Live,
    /// The snapshot alone answers, or the end cannot move.
    Gap(Gap),
    /// Stopped until someone has looked.
    Halted(Halt),
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BoundaryUnknown => f.write_str(
                "the current snapshot does not tell which offsets it holds (a commit by another \
                 writer): declare `foreign_commits = true` if it may add rows of its own",
            ),
            Self::Lost { partition, needed, low } => write!(
                f,
                "partition {partition}: offsets {needed} to {low} are gone from the stream and \
                 not in the lake: lengthen the topic's retention or commit more often"
            ),
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopicRecreated { recorded: Some(recorded), found } => write!(
                f,
                "the topic was made anew (its id is {found}, the lake's offsets belong to \
                 {recorded}): point the table at the old topic or start a new table"
            ),
            Self::TopicRecreated { recorded: None, found } => write!(
                f,
                "the lake tells offsets but not of which topic; topic {found} cannot be \
                 trusted to be that one"
            ),
            Self::DecodedOtherwise { own, recorded } => write!(
                f,
                "the table's rows are decoded in epoch {recorded} now and this process decodes in \
                 epoch {own}: another process has other columns, key or `unknown_columns`, or is \
                 of another version; give both the same configuration and start this one again"
            ),
            Self::PartitionMissing(partition) => {
                write!(f, "partition {partition}, of which the lake has rows, is not in the topic")
            }
            Self::Truncated { partition, read, high } => write!(
                f,
                "partition {partition} ends at {high}, but offsets up to {read} were read from \
                 it: the stream lost records (unclean election, or a restored backup)"
            ),
        }
    }
}

impl Phase {
    /// A word for labels and status.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching-up",
            Self::Live => "live",
            Self::Gap(_) => "gap",
            Self::Halted(_) => "halted",
        }
    }

    /// What happened, as a word for labels.
    #[must_use]
    pub const fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Gap(Gap::BoundaryUnknown) => Some("boundary-unknown"),
            Self::Gap(Gap::Lost { .. }) => Some("records-lost"),
            Self::Halted(Halt::TopicRecreated { .. }) => Some("topic-recreated"),
            Self::Halted(Halt::PartitionMissing(_)) => Some("partition-missing"),
            Self::Halted(Halt::Truncated { .. }) => Some("stream-truncated"),
            Self::Halted(Halt::DecodedOtherwise { .. }) => Some("decoded-otherwise"),
            Self::Starting | Self::CatchingUp | Self::Live => None,
        }
    }

    /// What happened, in words, where something did.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Gap(gap) => Some(gap.to_string()),
            Self::Halted(halt) => Some(halt.to_string()),
            Self::Starting | Self::CatchingUp | Self::Live => None,
        }
    }
}
