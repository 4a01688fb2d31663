//! The body of an answer, gathered before its head is sent, so that it has a
//! length and a failure is an error rather than a cut (rule 15): up to 8 MB in
//! memory, beyond that in a nameless file of the scratch folder.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use springtide_engine::Answer;
use springtide_protocol::etag::Coding;
use springtide_protocol::limits::BUFFERED_BODY_BYTES;
use tokio::io::AsyncReadExt;

use crate::body::{Body, full};
use crate::coding::Encoder;
use crate::error::RequestError;

/// Pieces up to this size are written where they arrive; larger ones, and all
/// that go to a file, on a thread that may block.
const INLINE_BYTES: usize = 32 * 1024;
const READ_BYTES: usize = 256 * 1024;

/// The part of the scratch folder that large answers may fill.
#[derive(Debug)]
pub(crate) struct SpoolSpace {
    folder: PathBuf,
    bound_bytes: u64,
    used_bytes: AtomicU64,
}

/// Bytes taken of a spool space; given back when dropped.
#[derive(Debug)]
struct Taken {
    space: Arc<SpoolSpace>,
    bytes: u64,
}

/// Memory first, then a file.
struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    taken: Taken,
    /// A write failed: what is here is not whole, whoever heard of the error.
    failed: Option<io::ErrorKind>,
}

/// A whole body.
pub(crate) enum Collected {
    /// In memory.
    Memory(Bytes),
    /// In a nameless file.
    File(SpooledFile),
}

/// A body in a file, and its place in the spool space.
pub(crate) struct SpooledFile {
    file: File,
    bytes: u64,
    taken: Taken,
}

impl SpoolSpace {
    pub(crate) const fn new(folder: PathBuf, bound_bytes: u64) -> Self {
        Self { folder, bound_bytes, used_bytes: AtomicU64::new(0) }
    }
}

impl Taken {
    fn more(&mut self, bytes: u64) -> io::Result<()> {
        let used = self.space.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if used + bytes > self.space.bound_bytes {
            return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.space.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Spool {
    const fn new(space: Arc<SpoolSpace>) -> Self {
        Self { memory: Vec::new(), file: None, taken: Taken { space, bytes: 0 }, failed: None }
    }

    const fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    fn collected(self) -> io::Result<Collected> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        let Some(mut file) = self.file else {
            return Ok(Collected::Memory(self.memory.into()));
        };
        file.seek(SeekFrom::Start(0))?;
        let bytes = self.taken.bytes;
        Ok(Collected::File(SpooledFile { file, bytes, taken: self.taken }))
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.put(bytes);
        self.failed = self.failed.or(written.as_ref().err().map(io::Error::kind));
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool {
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() <= BUFFERED_BODY_BYTES {
            self.memory.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        if self.file.is_none() {
            self.taken.more(self.memory.len() as u64)?;
            let mut file = tempfile::tempfile_in(&self.taken.space.folder)?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        self.taken.more(bytes.len() as u64)?;
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        Ok(bytes.len())
    }
}

/// Gathers an answer in a coding.
pub(crate) async fn collect(
    answer: &mut Answer,
    coding: Coding,
    space: &Arc<SpoolSpace>,
) -> Result<Collected, RequestError> {
    let mut pieces = Pieces::new(coding, space.clone());
    while let Some(piece) = answer.next().await {
        pieces = pieces.with(piece?).await?;
    }
    pieces.end().await
}

/// A body that grows by pieces.
struct Pieces {
    encoder: Encoder<Spool>,
    gathered_bytes: usize,
}

impl Pieces {
    fn new(coding: Coding, space: Arc<SpoolSpace>) -> Self {
        Self { encoder: Encoder::new(coding, Spool::new(space)), gathered_bytes: 0 }
    }

    async fn with(mut self, piece: Bytes) -> Result<Self, RequestError> {
        self.gathered_bytes += piece.len();
        let plain = matches!(&self.encoder, Encoder::Identity(spool) if !spool.is_on_disk());
        let stays_in_memory = self.gathered_bytes <= BUFFERED_BODY_BYTES;
        if stays_in_memory && (plain || piece.len() <= INLINE_BYTES) {
            self.encoder.write(&piece).map_err(spooling)?;
            return Ok(self);
        }
        let written = tokio::task::spawn_blocking(move || {
            self.encoder.write(&piece)?;
            Ok::<_, io::Error>(self)
        });
        written.await?.map_err(spooling)
    }

    async fn end(self) -> Result<Collected, RequestError> {
        if self.gathered_bytes <= INLINE_BYTES {
            return self.encoder.finish().and_then(Spool::collected).map_err(spooling);
        }
        let ended = move || self.encoder.finish().and_then(Spool::collected);
        tokio::task::spawn_blocking(ended).await?.map_err(spooling)
    }
}

fn spooling(error: io::Error) -> RequestError {
    match error.kind() {
        io::ErrorKind::QuotaExceeded => RequestError::SpoolFull,
        _ => RequestError::Spool(error),
    }
}

impl Collected {
    /// Its length.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.bytes,
        }
    }

    /// As a body; a file that cannot be read on resets the connection.
    pub(crate) fn into_body(self) -> Body {
        let spooled = match self {
            Self::Memory(bytes) => return full(bytes),
            Self::File(spooled) => spooled,
        };
        let SpooledFile { file, bytes, taken } = spooled;
        let start = (tokio::fs::File::from_std(file), bytes, taken);
        let frames = futures::stream::try_unfold(start, |(mut file, left, taken)| async move {
            if left == 0 {
                return Ok(None);
            }
            let most = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let mut piece = BytesMut::with_capacity(most);
            let read = file.read_buf(&mut piece).await?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            Ok(Some((Frame::data(piece.freeze()), (file, left - read as u64, taken))))
        });
        StreamBody::new(frames).boxed_unsync()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn space(bound_bytes: u64) -> (Arc<SpoolSpace>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(SpoolSpace::new(folder.path().to_owned(), bound_bytes)), folder)
    }

    async fn gathered(space: &Arc<SpoolSpace>, bytes: usize) -> Result<Collected, RequestError> {
        let mut pieces = Pieces::new(Coding::Identity, space.clone());
        let piece = Bytes::from(vec![7_u8; 1024 * 1024]);
        let mut left = bytes;
        while left > 0 {
            let size = left.min(piece.len());
            pieces = pieces.with(piece.slice(..size)).await?;
            left -= size;
        }
        pieces.end().await
    }

    #[tokio::test]
    async fn small_bodies_stay_in_memory_and_large_ones_go_to_a_file() {
        let (space, folder) = space(64 * 1024 * 1024);
        let small = gathered(&space, BUFFERED_BODY_BYTES).await.unwrap();
        assert!(matches!(small, Collected::Memory(_)));
        let size = BUFFERED_BODY_BYTES + 1_000_001;
        let large = gathered(&space, size).await.unwrap();
        assert!(matches!(large, Collected::File(_)));
        assert_eq!(large.bytes(), size as u64);
        assert_eq!(space.used_bytes.load(Ordering::Relaxed), size as u64);
        let body = large.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.len(), size);
        assert!(body.iter().all(|b| *b == 7));
        assert_eq!(space.used_bytes.load(Ordering::Relaxed), 0, "the space is given back");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file has a name");
    }

    /// What no coding makes smaller.
    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    #[test]
    fn after_a_failed_write_there_is_no_whole_answer() {
        let gone = || Arc::new(SpoolSpace::new("/nowhere/at/all".into(), 1 << 30));
        let mut spool = Spool::new(gone());
        assert!(spool.write(&vec![7; BUFFERED_BODY_BYTES + 1]).is_err());
        assert!(spool.write(b"the rest").is_ok(), "there is room for it in memory");
        assert!(spool.collected().is_err(), "the rest is no answer");

        // A coder writes at its own times, and may keep an error to itself.
        for coding in [Coding::Brotli, Coding::Gzip] {
            let mut encoder = Encoder::new(coding, Spool::new(gone()));
            for piece in noise(BUFFERED_BODY_BYTES + 1_000_000).chunks(1_000_000) {
                let _ = encoder.write(piece);
            }
            let collected = encoder.finish().and_then(Spool::collected);
            assert!(collected.is_err(), "{coding:?}");
        }
    }

    #[tokio::test]
    async fn the_space_is_bounded() {
        let (space, _folder) = space(BUFFERED_BODY_BYTES as u64 + 10);
        let over = gathered(&space, BUFFERED_BODY_BYTES + 11).await;
        assert!(matches!(over, Err(RequestError::SpoolFull)));
        assert_eq!(space.used_bytes.load(Ordering::Relaxed), 0);
    }
}
