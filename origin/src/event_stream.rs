//! Server-sent events to one client: a place among the bounded streams, the end
//! with the server or with the client's token, the form on the wire. It must
//! never know what an event says.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::Identity;
use crate::body::Body;
use crate::error::RequestError;
use crate::origin::Origin;

/// What every stream begins with: when a client that lost it tries again.
const BEGIN: &str = "retry: 1000\n\n";

/// What happens, one event after the other.
pub(crate) trait Events: Send + 'static {
    /// The next event as text with its blank line; `None` at the end. Dropped at most
    /// once, when the stream ends.
    fn next(&mut self) -> impl Future<Output = Option<String>> + Send;
}

/// A place among the streams, and how long it may be held.
pub(crate) struct Place {
    /// The end of the client's token.
    ends: Option<Instant>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Takes a place.
    ///
    /// # Errors
    /// Where all are taken.
    pub(crate) fn take(
        origin: &Origin,
        identity: &Identity,
        stop: &CancellationToken,
    ) -> Result<Self, RequestError> {
        let permit = origin.event_stream()?;
        Ok(Self { ends: ends(origin, identity), stop: stop.clone(), _permit: permit })
    }

    async fn over(&self) {
        let ends = async {
            match self.ends {
                Some(instant) => tokio::time::sleep_until(instant).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = ends => {}
        }
    }
}

/// The response that sends events until they end, or the place does.
pub(crate) fn respond(events: impl Events, place: Place) -> Response<Body> {
    let frame = |text: String| Ok::<_, io::Error>(Frame::data(Bytes::from(text)));
    let begin = futures::stream::once(std::future::ready(frame(BEGIN.to_owned())));
    let rest = futures::stream::unfold((events, place), move |(mut events, place)| async move {
        let event = tokio::select! {
            biased;
            () = place.over() => None,
            event = events.next() => event,
        };
        Some((frame(event?), (events, place)))
    });
    let frames = futures::StreamExt::chain(begin, rest);
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, plain("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, plain("no-store"));
    // Proxies that buffer would hold events back.
    headers.insert("x-accel-buffering", plain("no"));
    response
}

/// When a token's stream ends.
fn ends(origin: &Origin, identity: &Identity) -> Option<Instant> {
    let left_micros = identity.ends_micros()?.saturating_sub(origin.now_micros());
    let left = Duration::from_micros(u64::try_from(left_micros).unwrap_or(0));
    Instant::now().checked_add(left)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    /// Events that never end.
    struct Counting(u32);

    impl Events for Counting {
        async fn next(&mut self) -> Option<String> {
            tokio::task::yield_now().await;
            self.0 += 1;
            Some(format!("data: {}\n\n", self.0))
        }
    }

    async fn place(places: &Arc<Semaphore>, ends: Option<Instant>) -> (Place, CancellationToken) {
        let stop = CancellationToken::new();
        let permit = places.clone().acquire_owned().await.unwrap();
        (Place { ends, stop: stop.clone(), _permit: permit }, stop)
    }

    async fn next(body: &mut Body) -> Option<String> {
        let data = body.frame().await?.unwrap().into_data().unwrap();
        Some(String::from_utf8(data.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_stream_begins_with_its_retry_and_ends_with_the_server() {
        let (place, stop) = place(&Arc::new(Semaphore::new(1)), None).await;
        let mut body = respond(Counting(0), place).into_body();
        assert_eq!(next(&mut body).await.as_deref(), Some("retry: 1000\n\n"));
        assert_eq!(next(&mut body).await.as_deref(), Some("data: 1\n\n"));
        stop.cancel();
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_token_and_gives_its_place_back() {
        let places = Arc::new(Semaphore::new(1));
        let (place, _stop) = place(&places, Some(Instant::now())).await;
        let mut body = respond(Counting(0), place).into_body();
        let to_its_end = async { while next(&mut body).await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(10), to_its_end).await.expect("it ends");
        drop(body);
        assert_eq!(places.available_permits(), 1);
    }
}
