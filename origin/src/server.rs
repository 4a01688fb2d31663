//! The listener: connections, their bounds, the way of one request, and a
//! clean end. Every request gets an id, a line in the log and a response.

mod dispatch;
mod frame;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::body::Body;
use crate::origin::Origin;

pub(crate) use frame::json;

/// How often files of published queries are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(1);
/// A pause after a failed accept (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The least bytes of hyper's read buffer.
const BUFFER_BYTES: usize = 16 * 1024;
/// Header lines of one request.
const HEADER_LINES: usize = 100;

impl Origin {
    /// Serves a listener until `stop` is cancelled; then lets running requests
    /// end, for at most `drain_time`.
    ///
    /// # Errors
    /// Where the listener itself fails.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let reload = tokio::spawn(keep_reloading(Arc::clone(&self), stop.clone()));
        let builder = Arc::new(self.builder());
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.settings.bounds.connections));
        loop {
            let (stream, place) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&listener, &places) => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let serving = Serving { origin: Arc::clone(&self), stop: stop.clone(), place };
            tokio::spawn(serving.connection(stream, builder.clone(), graceful.watcher()));
        }
        drop(listener);
        let drain = tokio::time::timeout(self.settings.bounds.drain_time, graceful.shutdown());
        if drain.await.is_err() {
            tracing::warn!("requests that did not end in time are dropped");
        }
        reload.abort();
        Ok(())
    }

    fn builder(&self) -> Builder<TokioExecutor> {
        let bounds = self.settings.bounds;
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.header_time)
            .max_buf_size((bounds.header_bytes as usize).max(BUFFER_BYTES))
            .max_headers(HEADER_LINES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(bounds.header_bytes)
            .max_concurrent_streams(bounds.http2_streams)
            .keep_alive_interval(bounds.body_time)
            .keep_alive_timeout(bounds.header_time);
        builder
    }
}

/// One connection's share of the origin.
struct Serving {
    origin: Arc<Origin>,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
}

impl Serving {
    async fn connection(
        self,
        stream: TcpStream,
        builder: Arc<Builder<TokioExecutor>>,
        watcher: Watcher,
    ) {
        let Self { origin, stop, place } = self;
        // Small events must not wait for more.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let (origin, stop) = (Arc::clone(&origin), stop.clone());
            async move {
                let response: Response<Body> = frame::respond(&origin, request, &stop).await;
                Ok::<_, Infallible>(response)
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error, "a connection ended early");
        }
        drop(place);
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn keep_reloading(origin: Arc<Origin>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RELOAD_EVERY) => {}
        }
        if let Err(error) = origin.reload_queries().await {
            tracing::warn!(%error, "the folder of published queries cannot be read");
        }
    }
}
