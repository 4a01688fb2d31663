//! The lake's files, counted by their footers: how many rows each has, and
//! which rows of which chunks our committer recorded in it. Blocking.

use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{ChunkId, DataFile, FileOrigin, Relation};

use crate::lake::recorded_pieces;

/// The most files whose footers one audit reads.
pub const AUDITED_FILES: usize = 10_000;

/// Rows of one chunk in one file, as our committer recorded them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The partition.
    pub partition: PartitionId,
    /// The chunk.
    pub chunk: ChunkId,
    /// The first offset that has a row in the file.
    pub first: Offset,
    /// The last.
    pub last: Offset,
    /// How many rows.
    pub rows: u64,
}

/// The lake's files, counted.
#[derive(Clone, Debug, Default)]
pub struct LakeCount {
    /// Files.
    pub files: u64,
    /// Rows by the manifests.
    pub rows: u64,
    /// Files whose footer has as many rows as the manifest says.
    pub files_as_listed: u64,
    /// Files that our committer wrote.
    pub stream_files: u64,
    /// Those whose record of chunks sums up to the manifest's rows.
    pub files_as_recorded: u64,
    /// What our committer recorded.
    pub stretches: Vec<Stretch>,
    /// A file that cannot be read, and why.
    pub unreadable: Vec<String>,
    /// More files than [`AUDITED_FILES`]: no footer was read.
    pub too_many: bool,
}

/// Counts the files of a relation.
pub(super) fn count(relation: &Relation) -> LakeCount {
    let files = &relation.files;
    let mut count = LakeCount {
        files: files.len() as u64,
        rows: files.iter().map(springtide_relation::DataFile::live_rows).sum(),
        too_many: files.len() > AUDITED_FILES,
        ..LakeCount::default()
    };
    if !count.too_many {
        for file in files.iter() {
            if let Err(reason) = add(&mut count, file) {
                count.unreadable.push(reason);
            }
        }
    }
    count
}

/// Adds one file; why it cannot be read, in words without its folder.
fn add(count: &mut LakeCount, file: &DataFile) -> Result<(), String> {
    let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let is_stream = matches!(file.origin, FileOrigin::Stream(_));
    count.stream_files += u64::from(is_stream);
    let rows = footer_rows(&file.path).map_err(|reason| format!("{name}: {reason}"))?;
    count.files_as_listed += u64::from(rows == file.rows);
    if is_stream {
        let pieces = recorded_pieces(&file.path);
        let pieces = pieces.map_err(|error| format!("{name}: {error}"))?.unwrap_or_default();
        let recorded: u64 = pieces.iter().map(|piece| piece.rows).sum();
        count.files_as_recorded += u64::from(recorded == file.rows);
        count.stretches.extend(pieces);
    }
    Ok(())
}

fn footer_rows(path: &Path) -> Result<u64, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
    let metadata = metadata.map_err(|error| error.to_string())?;
    let rows = metadata.metadata().row_groups().iter().map(|group| group.num_rows()).sum::<i64>();
    u64::try_from(rows).map_err(|error| error.to_string())
}
