//! Bodies of answers and of requests passed on: stored bytes, a stream as it
//! comes, or the beginning of one and then the rest.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::error::BodyError;

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
        };
        Pin::new(incoming).poll_frame(cx).map_err(BodyError::from)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(incoming) => incoming.is_end_stream(),
            Self::Resumed { read, rest } => read.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(incoming) => incoming.size_hint(),
            Self::Resumed { .. } => SizeHint::default(),
        }
    }
}
