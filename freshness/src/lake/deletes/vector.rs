//! Deletion vectors of Iceberg's format 3: one blob of a Puffin file, found by
//! the offset and size that the manifest gives. It must never know whose rows
//! they are.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use roaring::RoaringTreemap;

use super::Source;

const MAGIC: [u8; 4] = [0xD1, 0xD3, 0x39, 0x64];
/// Of the length before the bitmap, of the magic number and of the checksum behind it.
const WORD: usize = 4;

/// Why a blob is no deletion vector.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("its deletion vector, at byte {start}, has {bytes} bytes, but the file only {file}")]
    Truncated { start: u64, bytes: u64, file: u64 },
    #[error("its deletion vector says that it has {said} bytes, but has {has}")]
    Length { said: u64, has: u64 },
    #[error("its deletion vector does not begin as one")]
    Magic,
    #[error("its deletion vector has another checksum than it says")]
    Checksum,
    #[error("its deletion vector's bitmap cannot be read")]
    Bitmap(#[source] std::io::Error),
    #[error("its deletion vector has {has} positions, but the manifest says {said}")]
    Cardinality { said: u64, has: u64 },
}

/// The positions of the blob at `start` that has `bytes` bytes. Blocks.
pub(super) fn read(
    path: &Path,
    (start, bytes): (u64, u64),
    rows: u64,
) -> Result<RoaringTreemap, Source> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if start.checked_add(bytes).is_none_or(|end| end > size) {
        return Err(Fault::Truncated { start, bytes, file: size }.into());
    }
    let mut blob = vec![0; usize::try_from(bytes)?];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut blob)?;
    let positions = decode(&blob)?;
    if positions.len() != rows {
        return Err(Fault::Cardinality { said: rows, has: positions.len() }.into());
    }
    Ok(positions)
}

/// Length (big-endian), magic number and bitmap, checksum of both (big-endian).
pub(super) fn decode(blob: &[u8]) -> Result<RoaringTreemap, Fault> {
    let has = blob.len() as u64;
    let short = || Fault::Length { said: 0, has };
    let (length, rest) = blob.split_first_chunk::<WORD>().ok_or_else(short)?;
    let (body, checksum) = rest.split_last_chunk::<WORD>().ok_or_else(short)?;
    let said = u64::from(u32::from_be_bytes(*length));
    if said != body.len() as u64 {
        return Err(Fault::Length { said, has: body.len() as u64 });
    }
    let mut bitmap = body.strip_prefix(&MAGIC).ok_or(Fault::Magic)?;
    if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
        return Err(Fault::Checksum);
    }
    let positions = RoaringTreemap::deserialize_from(&mut bitmap).map_err(Fault::Bitmap)?;
    if !bitmap.is_empty() {
        return Err(Fault::Length { said, has: said - bitmap.len() as u64 });
    }
    Ok(positions)
}
