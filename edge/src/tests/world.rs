//! The world of a test: a scripted origin, an edge before it, and a client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::HeaderMap;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use springtide_protocol::change::Heartbeat;
use springtide_protocol::clock::Clock;
use springtide_protocol::{Change, ChangeId, FeedEvent};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Edge, EdgeSettings};

/// 2026-01-01T00:00:00Z.
pub(crate) const START_MICROS: i64 = 1_767_225_600_000_000;
pub(crate) const UUIDS: &str = "uAAAAAAAAAAAAAAAAAAAAAQ.tAAAAAAAAAAAAAAAAAAAAAg.s1.d1.f0";

pub(crate) type Body = BoxBody<Bytes, Infallible>;
type Script = Box<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// What the origin was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) fields: HeaderMap,
}

#[derive(Debug)]
struct TestClock {
    started: tokio::time::Instant,
    step: AtomicI64,
}

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap();
        START_MICROS + elapsed + self.step.load(Ordering::Relaxed)
    }
}

pub(crate) struct World {
    pub(crate) edge: Arc<Edge>,
    clock: Arc<TestClock>,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    client: Client<HttpConnector, Full<Bytes>>,
    origin: CancellationToken,
    _stop: tokio_util::sync::DropGuard,
}

/// What the client got.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(crate) fn detail(&self) -> &str {
        let status = self.field("cache-status");
        status.rsplit_once("detail=").map_or("", |(_, detail)| detail)
    }
}

impl World {
    /// A world whose feed is spoken by the test.
    pub(crate) async fn new<F, A>(script: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::with(script, |settings| settings.follows_changes = false).await
    }

    pub(crate) async fn with<F, A>(script: F, set: impl FnOnce(&mut EdgeSettings)) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let origin = CancellationToken::new();
        let script: Script = Box::new(move |request| Box::pin(script(request)));
        let upstream = serve_script(script, seen.clone(), origin.clone()).await;
        let uri = format!("http://{upstream}").parse().unwrap();
        let mut settings = EdgeSettings::new(uri);
        set(&mut settings);
        let started = tokio::time::Instant::now();
        let clock = Arc::new(TestClock { started, step: AtomicI64::new(0) });
        let edge = Arc::new(Edge::new(settings, clock.clone()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(edge.clone().serve(listener, stop.clone()));
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { edge, clock, address, seen, client, origin, _stop: stop.drop_guard() }
    }

    /// Where the edge listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.ask(Method::GET, target, &[], "").await
    }

    pub(crate) async fn get_with(&self, target: &str, fields: &[(&str, &str)]) -> Reply {
        self.ask(Method::GET, target, fields, "").await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        target: &str,
        fields: &[(&str, &str)],
        body: &'static str,
    ) -> Reply {
        let (parts, body) = self.open(method, target, fields, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status, fields: parts.headers, body }
    }

    /// The head of an answer, and its body as it comes.
    pub(crate) async fn open(
        &self,
        method: Method,
        target: &str,
        fields: &[(&str, &str)],
        body: &'static str,
    ) -> Response<Incoming> {
        let uri = format!("http://{}{target}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).unwrap();
        self.client.request(request).await.unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(crate) fn asked(&self) -> usize {
        self.seen.lock().len()
    }

    /// Waits until the origin was asked so often.
    pub(crate) async fn asked_times(&self, times: usize) {
        while self.asked() < times {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass for the edge: timers that are due fire.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    /// Sets the wall clock on or back.
    pub(crate) fn step_wall(&self, micros: i64) {
        self.clock.step.fetch_add(micros, Ordering::Relaxed);
    }

    /// The origin's listener and connections end.
    pub(crate) async fn kill_origin(&self) {
        self.origin.cancel();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    pub(crate) fn hear_reset(&self, sequence: u64) {
        self.edge.feed.hear(FeedEvent::Reset(id(sequence)), self.edge.now());
    }

    pub(crate) fn hear_beat(&self, sequence: u64, offset: u64) {
        let at = self.text_now();
        let beat = Heartbeat {
            version: version(offset),
            as_of: at.clone(),
            as_of_by_table: [("flights".parse().unwrap(), at.clone())].into(),
            at,
        };
        self.edge.feed.hear(FeedEvent::Heartbeat(id(sequence), beat), self.edge.now());
    }

    pub(crate) fn hear_change(&self, sequence: u64, offset: u64, tags: &str) {
        self.hear_full_change(sequence, offset, tags, false);
    }

    pub(crate) fn hear_full_change(&self, sequence: u64, offset: u64, tags: &str, drop: bool) {
        let change = Change {
            table: Some("flights".parse().unwrap()),
            version: if offset == 0 { String::new() } else { version(offset) },
            tags: springtide_protocol::Tag::parse_list(tags).unwrap(),
            at: self.text_now(),
            drop,
        };
        self.edge.feed.hear(FeedEvent::Change(id(sequence), change), self.edge.now());
    }

    pub(crate) fn text_now(&self) -> String {
        rfc3339(self.clock.now_micros())
    }
}

pub(crate) fn rfc3339(micros: i64) -> String {
    let at = chrono::DateTime::from_timestamp_micros(micros).unwrap();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

pub(crate) fn id(sequence: u64) -> ChangeId {
    ChangeId { epoch: 7, sequence }
}

pub(crate) fn version(offset: u64) -> String {
    format!("flights.{UUIDS}.o0-{offset}")
}

/// An answer of our origin: a strong ETag, the outward second, the long hold.
pub(crate) fn answer(offset: u64, tags: &str, body: &str) -> Response<Body> {
    let response = Response::builder()
        .header("etag", format!("\"{body}\""))
        .header("content-type", "application/json")
        .header("cache-control", "public, max-age=0, s-maxage=1, stale-if-error=60")
        .header("springtide-cache-control", "max-age=86400")
        .header("springtide-version", format!("{}~SAAAAAAAAAAAAAAAAAAAAAA", version(offset)))
        .header("springtide-as-of", rfc3339(START_MICROS))
        .header("springtide-lag-ms", "0")
        .header("x-request-id", "of-the-fill")
        .header("server-timing", "plan;dur=1.5")
        .header("server-timing", "execute;dur=2.5")
        .header("cache-tag", tags);
    response.body(whole(body)).unwrap()
}

/// The 304 of the same answer.
pub(crate) fn unmodified(offset: u64, tags: &str, body: &str) -> Response<Body> {
    let (mut parts, _) = answer(offset, tags, body).into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove("content-type");
    Response::from_parts(parts, whole(""))
}

pub(crate) fn whole(body: &str) -> Body {
    Full::from(body.to_owned()).boxed()
}

async fn serve_script(
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: CancellationToken,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(script);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let (stream, _) = accepted.unwrap();
            let (script, seen, stop) = (script.clone(), seen.clone(), stop.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                seen.lock().push(Seen {
                    target: request.uri().to_string(),
                    fields: request.headers().clone(),
                });
                let answer = script(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    _ = serving => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    });
    address
}
