//! One HTTP/1.1 connection that asks and reads, with as little work of its own
//! as can be: what is measured is the other side.

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BUFFER_BYTES: usize = 64 * 1024;
/// A header longer than this is not one of ours.
const HEAD_BYTES: usize = 32 * 1024;

/// A kept connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// `http://HOST:PORT/path` in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) authority: String,
    pub(super) target: String,
}

impl std::str::FromStr for Url {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let rest =
            text.strip_prefix("http://").with_context(|| format!("`{text}` is no http URL"))?;
        let (authority, target) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { authority: authority.to_owned(), target: format!("/{target}") })
    }
}

impl Url {
    /// The bytes of a GET.
    pub(super) fn get(&self, headers: &str) -> Vec<u8> {
        let Self { authority, target } = self;
        format!("GET {target} HTTP/1.1\r\nhost: {authority}\r\n{headers}\r\n").into_bytes()
    }

    /// The bytes of a POST.
    pub(super) fn post(&self, body: &[u8]) -> Vec<u8> {
        let Self { authority, target } = self;
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/x-ndjson\r\n\
             content-length: {length}\r\n\r\n"
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        request
    }
}

impl Reply {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Connection {
    pub(super) async fn open(authority: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority)
            .await
            .with_context(|| format!("cannot connect to {authority}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0 })
    }

    /// Sends a request and reads its whole reply.
    pub(super) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Reply> {
        self.stream.write_all(request).await?;
        let (head, length) = self.read_head().await?;
        let text = String::from_utf8_lossy(&self.buffer[..head]).into_owned();
        let status = status(&self.buffer[..head])?;
        let mut body = self.buffer[head..self.filled.min(head + length)].to_vec();
        let read = body.len();
        body.resize(length, 0);
        self.stream.read_exact(&mut body[read..]).await?;
        self.keep(head + read);
        Ok(Reply { status, head: text, body })
    }

    /// Sends a request and passes over its reply; its status.
    pub(super) async fn ask_and_drop(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        let (head, length) = self.read_head().await?;
        let status = status(&self.buffer[..head])?;
        let mut rest = (head + length).saturating_sub(self.filled);
        if rest == 0 {
            self.keep(head + length);
            return Ok(status);
        }
        self.filled = 0;
        while rest > 0 {
            let most = rest.min(BUFFER_BYTES);
            let read = self.stream.read(&mut self.buffer[..most]).await?;
            ensure!(read > 0, "the connection ended within a body");
            rest -= read;
        }
        Ok(status)
    }

    /// Drops what is used of the buffer.
    fn keep(&mut self, used: usize) {
        let used = used.min(self.filled);
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
    }

    /// Reads to the end of the head; its length and the body's.
    async fn read_head(&mut self) -> anyhow::Result<(usize, usize)> {
        let mut searched = 0;
        loop {
            let from = searched.min(self.filled);
            let found = self.buffer[from..self.filled].windows(4).position(|w| w == b"\r\n\r\n");
            if let Some(at) = found {
                let head = from + at + 4;
                return Ok((head, content_length(&self.buffer[..head])?));
            }
            searched = self.filled.saturating_sub(3);
            ensure!(self.filled < HEAD_BYTES, "the reply's head is too long");
            let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
            ensure!(read > 0, "the connection ended before a reply");
            self.filled += read;
        }
    }
}

fn status(head: &[u8]) -> anyhow::Result<u16> {
    let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    let status = digits.and_then(|digits| digits.parse().ok());
    status.context("the reply has no status")
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    const NAME: &[u8] = b"content-length:";
    let mut lines = head.split(|byte| *byte == b'\n');
    let found = lines
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)));
    let Some(line) = found else {
        // 304 and 204 have no body to measure.
        return match status(head)? {
            204 | 304 => Ok(0),
            _ => bail!("the reply has no content-length: {}", String::from_utf8_lossy(head)),
        };
    };
    if status(head)? == 304 {
        return Ok(0);
    }
    let digits = std::str::from_utf8(&line[NAME.len()..])?;
    Ok(digits.trim().parse()?)
}
