//! Bodies of answers and of requests passed on: stored bytes, a stream as it
//! comes, or the beginning of one and then the rest.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::oneshot;

use crate::error::BodyError;

/// Bytes of a refused body that are still read.
const LINGER_BYTES: u64 = 64 * 1024 * 1024;
/// For how long.
const LINGER_TIME: Duration = Duration::from_secs(5);

/// A body. Stored ones cost no allocation.
#[derive(Debug)]
pub(crate) enum EdgeBody {
    /// All of it; `None` once sent.
    Full(Option<Bytes>),
    /// As it comes.
    Stream(Incoming),
    /// What was read already, then the rest.
    Resumed {
        /// Pieces read before.
        read: std::collections::VecDeque<Bytes>,
        /// What follows.
        rest: Incoming,
    },
    /// A request's, as it comes, up to a bound.
    Bounded(Bounded),
}

/// A request's body that ends with an error where it passes a bound: nothing
/// beyond it travels on.
#[derive(Debug)]
pub(crate) struct Bounded {
    body: Option<Incoming>,
    left_bytes: u64,
    most_bytes: u64,
    /// What is over the bound goes here, to be read to its end.
    over: Option<oneshot::Sender<Incoming>>,
}

impl Bounded {
    /// `body` up to `most_bytes`; where it passes them, what is left of it.
    pub(crate) fn new(body: Incoming, most_bytes: u64) -> (Self, oneshot::Receiver<Incoming>) {
        let (over, told) = oneshot::channel();
        let (body, over) = (Some(body), Some(over));
        (Self { body, left_bytes: most_bytes, most_bytes, over }, told)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx)?);
        let bytes = frame.as_ref().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        match self.left_bytes.checked_sub(bytes) {
            Some(left_bytes) => {
                self.left_bytes = left_bytes;
                Poll::Ready(frame.map(Ok))
            }
            None => {
                if let (Some(over), Some(body)) = (self.over.take(), self.body.take()) {
                    // Where nobody listens any more, the body ends here.
                    drop(over.send(body));
                }
                Poll::Ready(Some(Err(BodyError::TooLarge(self.most_bytes))))
            }
        }
    }
}

/// Reads what is left of a request's body, within bounds, so that its sender
/// comes to read the answer instead of meeting a reset.
pub(crate) async fn linger(mut body: Incoming) {
    let read_on = async {
        let mut left_bytes = LINGER_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            let Some(left) = left_bytes.checked_sub(bytes) else { return };
            left_bytes = left;
        }
    };
    // Whoever sends longer meets a reset.
    let _late = tokio::time::timeout(LINGER_TIME, read_on).await;
}

impl EdgeBody {
    /// Nothing.
    #[must_use]
    pub(crate) const fn empty() -> Self {
        Self::Full(None)
    }

    /// These bytes.
    #[must_use]
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let incoming = match self.get_mut() {
            Self::Full(bytes) => return Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Stream(incoming) => incoming,
            Self::Resumed { read, rest } => {
                if let Some(bytes) = read.pop_front() {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                rest
            }
            Self::Bounded(bounded) => return bounded.poll(cx),
        };
        Pin::new(incoming).poll_frame(cx).map_err(BodyError::from)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(incoming) => incoming.is_end_stream(),
            Self::Resumed { read, rest } => read.is_empty() && rest.is_end_stream(),
            Self::Bounded(bounded) => bounded.body.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(incoming) => incoming.size_hint(),
            Self::Bounded(Bounded { body: Some(body), .. }) => body.size_hint(),
            Self::Bounded(_) => SizeHint::default(),
            Self::Resumed { .. } => SizeHint::default(),
        }
    }
}
