//! The least that a hyper server can do: one body for every request. The peer
//! that the edge's hits are measured against; it must never learn a feature.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// Answers every request with `body`, until the task is dropped.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    content_type: HeaderValue,
    body: Bytes,
) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (content_type, body) = (content_type.clone(), body.clone());
        let answer = service_fn(move |_| {
            let mut response = Response::new(Full::new(body.clone()));
            response.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
            std::future::ready(Ok::<_, Infallible>(response))
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}
