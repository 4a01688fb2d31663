//! Follows the origin's `/v1/changes`: connects, reads server-sent events,
//! resumes after the last one heard, and tries again with a growing pause. It
//! must never know what an event does (see `feed`).

use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use springtide_protocol::FeedEvent;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::body::EdgeBody;
use crate::error::UpstreamError;
use crate::service::Edge;

/// The feed's path.
const CHANGES: &str = "/v1/changes";
/// The field that names the event to resume after.
const LAST_EVENT_ID: &str = "last-event-id";
/// The first pause before a new try; each is twice the one before.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const MOST_PAUSE: Duration = Duration::from_secs(5);
/// One event's text.
const EVENT_BYTES: usize = 1024 * 1024;

/// Why following broke off.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the change feed cannot be reached")]
    Upstream(#[from] UpstreamError),
    #[error("the origin answers {0} for its change feed")]
    Refused(StatusCode),
    #[error("the change feed's request cannot be made")]
    Request(#[from] http::Error),
    #[error("the change feed broke off")]
    BrokenOff(#[from] hyper::Error),
    #[error("the change feed ended")]
    Ended,
    #[error("the change feed is silent")]
    Silent,
    #[error("an event of the change feed is over {EVENT_BYTES} bytes")]
    TooLarge,
    #[error("an event of the change feed was not understood")]
    Invalid(#[from] springtide_protocol::change::InvalidEvent),
}

/// Follows until `stop`.
pub(crate) async fn follow(edge: Arc<Edge>, stop: CancellationToken) {
    let mut pause = LEAST_PAUSE;
    loop {
        let mut heard = false;
        let ended = tokio::select! {
            ended = listen(&edge, &mut heard) => ended,
            () = stop.cancelled() => return,
        };
        edge.feed.broke();
        if heard {
            pause = LEAST_PAUSE;
        }
        if let Err(error) = ended {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, source, ?pause, "following changes broke off; trying again");
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(MOST_PAUSE);
    }
}

async fn listen(edge: &Edge, heard: &mut bool) -> Result<(), FollowError> {
    let mut request = Request::get(CHANGES)
        .header(header::ACCEPT, HeaderValue::from_static("text/event-stream"))
        .body(EdgeBody::empty())?;
    if let Some(id) = edge.feed.resume_after() {
        let id = HeaderValue::try_from(id.to_string()).map_err(http::Error::from)?;
        request.headers_mut().insert(LAST_EVENT_ID, id);
    }
    let response = edge.upstream.send(request).await?;
    if response.status() != StatusCode::OK {
        return Err(FollowError::Refused(response.status()));
    }
    let mut body = response.into_body();
    let mut events = Events::default();
    loop {
        let frame = timeout(edge.settings.feed_silence, body.frame()).await;
        let Some(frame) = frame.map_err(|_| FollowError::Silent)? else {
            return Err(FollowError::Ended);
        };
        let Ok(data) = frame?.into_data() else { continue };
        events.push(&data)?;
        while let Some(event) = events.next()? {
            *heard = true;
            edge.feed.hear(event, edge.now());
        }
    }
}

/// Server-sent events out of bytes (the HTML standard, §9.2.6).
#[derive(Debug, Default)]
struct Events {
    /// Bytes of a line that has not ended.
    rest: Vec<u8>,
    read: usize,
    kind: String,
    id: String,
    data: String,
}

impl Events {
    fn push(&mut self, bytes: &[u8]) -> Result<(), FollowError> {
        self.rest.drain(..std::mem::take(&mut self.read));
        self.rest.extend_from_slice(bytes);
        let pending = self.rest.iter().rev().take_while(|b| **b != b'\n').count();
        if pending > EVENT_BYTES { Err(FollowError::TooLarge) } else { Ok(()) }
    }

    /// The next whole event.
    fn next(&mut self) -> Result<Option<FeedEvent>, FollowError> {
        loop {
            let unread = &self.rest[self.read..];
            let Some(end) = unread.iter().position(|b| *b == b'\n') else { return Ok(None) };
            let line = String::from_utf8_lossy(&unread[..end]).into_owned();
            self.read += end + 1;
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if line.is_empty() {
                let data = std::mem::take(&mut self.data);
                let kind = std::mem::take(&mut self.kind);
                if data.is_empty() {
                    continue;
                }
                return Ok(Some(FeedEvent::from_fields(&kind, &self.id, &data)?));
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "event" => value.clone_into(&mut self.kind),
                "id" => value.clone_into(&mut self.id),
                "data" => {
                    if !self.data.is_empty() {
                        self.data.push('\n');
                    }
                    self.data.push_str(value);
                    if self.data.len() > EVENT_BYTES {
                        return Err(FollowError::TooLarge);
                    }
                }
                // Comments have an empty name; other fields mean nothing here.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
