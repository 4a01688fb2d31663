//! Which offsets of a chunk the tail has rows of: 128 bytes that tell how many
//! lie above a boundary, wherever the rows themselves have gone.

use springtide_protocol::Offset;
use springtide_protocol::limits::CHUNK_OFFSETS;
use springtide_relation::{ChunkId, TailBatch};

const WORDS: usize = CHUNK_OFFSETS as usize / 64;

/// The offsets of one chunk that have rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present([u64; WORDS]);

impl Present {
    /// Those of `id` that lie in `rows`.
    pub(super) fn new(id: ChunkId, rows: &[TailBatch]) -> Self {
        let mut present = Self::default();
        for offset in rows.iter().flat_map(|batch| batch.offsets.values().iter()) {
            let place = usize::try_from(offset - id.start().0).unwrap_or(usize::MAX);
            if let Some(word) = present.0.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
        present
    }

    /// How many lie below `boundary`.
    pub(super) fn below(&self, id: ChunkId, boundary: Offset) -> u64 {
        let most = usize::try_from((boundary.0 - id.start().0).max(0)).unwrap_or(usize::MAX);
        let words = self.0.iter().enumerate().map(|(index, word)| {
            let kept = most.saturating_sub(index * 64).min(64);
            let mask = if kept == 64 { u64::MAX } else { (1 << kept) - 1 };
            u64::from((word & mask).count_ones())
        });
        words.sum()
    }

    /// How many lie at or above `boundary`.
    pub(super) fn from(&self, id: ChunkId, boundary: Offset) -> u64 {
        self.below(id, id.end()) - self.below(id, boundary)
    }
}
