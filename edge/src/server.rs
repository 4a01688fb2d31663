//! The listener: HTTP/1.1 and HTTP/2 on one port, with limits on every size
//! and time, and a drain at the end. It must never know what a request means.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::follow::follow;
use crate::service::Edge;
use crate::settings::EdgeSettings;

/// Requests at once on one HTTP/2 connection.
const STREAMS_PER_CONNECTION: u32 = 256;
/// The pause after a failed accept (out of file descriptors, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Edge {
    /// Serves until `stop`, then lets open requests end.
    ///
    /// # Errors
    /// Where the listener has no address.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        tracing::debug!(address = ?listener.local_addr()?, "edge listens");
        let follower =
            self.settings.follows_changes.then(|| tokio::spawn(follow(self.clone(), stop.clone())));
        let builder = Arc::new(builder(&self.settings));
        let places = Arc::new(Semaphore::new(self.settings.connections));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &places) => accepted,
                () = stop.cancelled() => break,
            };
            let Some((stream, _peer, place)) = accepted else { continue };
            let edge = self.clone();
            let watcher = graceful.watcher();
            let builder = builder.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = edge.answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                // A client that breaks off is no event of ours.
                let _ = watcher.watch(connection.into_owned()).await;
                drop(place);
            });
        }
        drop(listener);
        if timeout(self.settings.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::debug!("requests still open after the drain's time are cut");
        }
        if let Some(follower) = follower {
            follower.abort();
        }
        Ok(())
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn builder(settings: &EdgeSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_headers(settings.header_fields)
        .max_buf_size(settings.header_bytes.max(16 * 1024))
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(settings.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .keep_alive_interval(settings.header_timeout);
    builder
}
