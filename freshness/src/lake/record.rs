//! The chunks' record beside a data file: which pieces of which chunks its rows
//! are, with exact statistics, in the Parquet footer. So the same chunks come
//! back from the lake as were in the tail (rule 5).
//!
//! It must never know manifests.

use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use serde::{Deserialize, Serialize};
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{ChunkId, ColumnStatistics, Scalar};

use super::LakeError;
use crate::audit::Stretch;

/// The footer's key.
pub(super) const CHUNKS: &str = "springtide.chunks";
/// How the names of our committer's data files begin; only their footers are read.
pub(super) const STREAM_FILE: &str = "springtide-stream-";
const RECORD_VERSION: u32 = 1;

/// The rows of one chunk that lie in one file.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) chunk: ChunkId,
    pub(super) first: Offset,
    pub(super) last: Offset,
    pub(super) rows: u64,
    /// By field id.
    pub(super) columns: Vec<(i32, ColumnStatistics)>,
}

#[derive(Serialize, Deserialize)]
struct RecordText {
    v: u32,
    chunks: Vec<PieceText>,
}

#[derive(Serialize, Deserialize)]
struct PieceText {
    partition: PartitionId,
    index: i64,
    first: Offset,
    last: Offset,
    rows: u64,
    columns: Vec<ColumnText>,
}

#[derive(Serialize, Deserialize)]
struct ColumnText {
    id: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lower: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upper: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nulls: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nans: Option<u64>,
}

/// The record as the footer's value.
pub(super) fn encode(pieces: &[Piece]) -> String {
    let chunks = pieces.iter().map(|piece| PieceText {
        partition: piece.chunk.partition,
        index: piece.chunk.index,
        first: piece.first,
        last: piece.last,
        rows: piece.rows,
        columns: piece.columns.iter().map(|(id, column)| column_text(*id, column)).collect(),
    });
    let record = RecordText { v: RECORD_VERSION, chunks: chunks.collect() };
    serde_json::to_string(&record).unwrap_or_default()
}

/// The pieces of a footer's value; `None` where it cannot be understood.
pub(super) fn decode(text: &str) -> Option<Vec<Piece>> {
    let record: RecordText = serde_json::from_str(text).ok()?;
    if record.v != RECORD_VERSION {
        return None;
    }
    let piece = |text: PieceText| {
        let rows = text.rows;
        let column = |text: ColumnText| column_statistics(text, rows);
        Some(Piece {
            chunk: ChunkId { partition: text.partition, index: text.index },
            first: text.first,
            last: text.last,
            rows,
            columns: text.columns.into_iter().map(column).collect::<Option<_>>()?,
        })
    };
    record.chunks.into_iter().map(piece).collect()
}

/// Reads a local file's record; `None` where it has none. Blocks.
pub(super) fn read(path: &Path) -> Result<Option<Vec<Piece>>, LakeError> {
    let file =
        File::open(path).map_err(|source| LakeError::File { path: path.to_owned(), source })?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|source| LakeError::Parquet { path: path.display().to_string(), source })?;
    let pairs = metadata.metadata().file_metadata().key_value_metadata();
    let value = pairs.into_iter().flatten().find(|pair| pair.key == CHUNKS);
    let Some(text) = value.and_then(|pair| pair.value.as_deref()) else { return Ok(None) };
    let place = || path.display().to_string();
    let pieces = decode(text).ok_or_else(|| LakeError::Record { what: CHUNKS, place: place() })?;
    Ok(Some(pieces))
}

fn column_text(id: i32, column: &ColumnStatistics) -> ColumnText {
    ColumnText {
        id,
        lower: column.lower.as_ref().map(scalar_text),
        upper: column.upper.as_ref().map(scalar_text),
        nulls: column.nulls,
        nans: column.nans,
    }
}

fn column_statistics(text: ColumnText, rows: u64) -> Option<(i32, ColumnStatistics)> {
    let bound = |text: Option<String>| text.map(|text| scalar(&text).ok_or(())).transpose().ok();
    let column = ColumnStatistics {
        lower: bound(text.lower)?,
        upper: bound(text.upper)?,
        nulls: text.nulls,
        nans: text.nans,
        rows,
    };
    Some((text.id, column))
}

/// Text that comes back as exactly the same value: JSON's numbers hold neither
/// infinities nor 128 bits.
fn scalar_text(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Boolean(value) => format!("b:{value}"),
        Scalar::Integer(value) => format!("i:{value}"),
        Scalar::Float(value) => format!("f:{value:?}"),
        Scalar::Decimal(value, scale) => format!("d:{value}e{scale}"),
        Scalar::Date(days) => format!("date:{days}"),
        Scalar::Time(micros) => format!("time:{micros}"),
        Scalar::Timestamp(micros) => format!("ts:{micros}"),
        Scalar::Text(text) => format!("s:{text}"),
        Scalar::Binary(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x:{hex}")
        }
    }
}

fn scalar(text: &str) -> Option<Scalar> {
    let (kind, value) = text.split_once(':')?;
    Some(match kind {
        "b" => Scalar::Boolean(value.parse().ok()?),
        "i" => Scalar::Integer(value.parse().ok()?),
        "f" => Scalar::Float(value.parse().ok()?),
        "d" => {
            let (value, scale) = value.split_once('e')?;
            Scalar::Decimal(value.parse().ok()?, scale.parse().ok()?)
        }
        "date" => Scalar::Date(value.parse().ok()?),
        "time" => Scalar::Time(value.parse().ok()?),
        "ts" => Scalar::Timestamp(value.parse().ok()?),
        "s" => Scalar::Text(value.into()),
        "x" => Scalar::Binary(bytes(value)?.into()),
        _ => return None,
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

/// The stretches of chunks that a data file of ours records; `None` where it has no
/// record. Blocks.
pub(crate) fn recorded_pieces(path: &Path) -> Result<Option<Vec<Stretch>>, LakeError> {
    let stretch = |piece: Piece| Stretch {
        partition: piece.chunk.partition,
        chunk: piece.chunk,
        first: piece.first,
        last: piece.last,
        rows: piece.rows,
    };
    Ok(read(path)?.map(|pieces| pieces.into_iter().map(stretch).collect()))
}
