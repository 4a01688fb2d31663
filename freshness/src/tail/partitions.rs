//! What the tail holds by partition of the stream: a segment's shares are
//! counted when it is sealed, so that asking is cheap wherever its rows are.

use std::collections::BTreeMap;

use springtide_protocol::PartitionId;
use springtide_relation::TailBatch;

use super::Tail;
use super::batches::bytes;

/// What one partition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes of Arrow arrays in memory, or of the file.
    pub(crate) bytes: u64,
}

/// Rows and bytes of each partition.
pub(super) type Shares = BTreeMap<PartitionId, Share>;

/// The shares of batches in memory.
pub(super) fn shares(batches: &[TailBatch]) -> Shares {
    let mut shares = Shares::new();
    for batch in batches {
        let share = shares.entry(batch.partition).or_default();
        share.rows += batch.len() as u64;
        share.bytes += bytes(batch);
    }
    shares
}

impl Tail {
    /// What is held by partition; every partition that is covered is named.
    pub(crate) fn by_partition(&self) -> Shares {
        let mut all: Shares = self.start.iter().map(|(p, _)| (p, Share::default())).collect();
        let mut add = |shares: &Shares, held: u64| {
            let whole: u64 = shares.values().map(|share| share.bytes).sum();
            for (partition, share) in shares {
                let sum = all.entry(*partition).or_default();
                sum.rows += share.rows;
                // A file has other bytes than its rows had in memory.
                sum.bytes += (share.bytes * held).checked_div(whole).unwrap_or(0);
            }
        };
        for sealed in &self.sealed {
            add(&sealed.shares, sealed.bytes);
        }
        add(&shares(&self.open.list()), self.open.bytes());
        all
    }
}
