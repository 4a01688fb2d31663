//! What goes past the cache: other methods, streams, parts, large bodies, one
//! user's answers.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::Semaphore;

use super::world::{World, answer, whole};

#[tokio::test]
async fn a_post_passes_with_its_body_and_its_answer() {
    let world = World::new(|request| async move {
        let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let text = format!("{key}:{}", body.len());
        Response::builder().status(202).header("keep-alive", "x").body(whole(&text)).unwrap()
    })
    .await;
    let fields = [("idempotency-key", "k1"), ("connection", "x-hop"), ("x-hop", "1")];
    let reply = world.ask(Method::POST, "/v1/ingest/flights", &fields, "{}\n{}\n").await;
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::ACCEPTED, &b"k1:6"[..]));
    assert_eq!(
        reply.field("cache-status"),
        "springtide-edge; fwd=method; fwd-status=202; detail=pass"
    );
    assert!(!reply.fields.contains_key("keep-alive"));
    assert!(!world.seen()[0].fields.contains_key("x-hop"));
}

#[tokio::test]
async fn a_stream_of_events_passes_as_it_comes() {
    let gate = Arc::new(Semaphore::new(0));
    let script = gate.clone();
    let world = World::new(move |_| {
        let gate = script.clone();
        async move {
            let second = async move {
                gate.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"data: 2\n\n")))
            };
            let first =
                futures::stream::iter([Ok(Frame::data(Bytes::from_static(b"data: 1\n\n")))]);
            let body = StreamBody::new(first.chain(futures::stream::once(second)));
            let response = Response::builder().header("content-type", "text/event-stream");
            response.header("cache-control", "no-store").body(BoxBodyOf::new(body)).unwrap()
        }
    })
    .await;
    for fields in [&[("accept", "text/event-stream")][..], &[]] {
        let response = world.open(Method::GET, "/v1/live/a", fields, "").await;
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&first[..], b"data: 1\n\n");
        gate.add_permits(1);
        let second = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&second[..], b"data: 2\n\n");
    }
}

/// A body that can be sent but not shared, boxed as the world wants it.
struct BoxBodyOf;

impl BoxBodyOf {
    #[expect(clippy::new_ret_no_self, reason = "reads as a constructor of the world's body")]
    fn new<B>(body: B) -> super::world::Body
    where
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        super::world::Body::new(SyncBody(parking_lot::Mutex::new(Box::pin(body))))
    }
}

struct SyncBody(
    parking_lot::Mutex<
        std::pin::Pin<Box<dyn http_body::Body<Data = Bytes, Error = Infallible> + Send>>,
    >,
);

impl http_body::Body for SyncBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.get_mut().as_mut().poll_frame(cx)
    }
}

#[tokio::test]
async fn a_part_is_asked_of_the_origin_and_not_stored() {
    let world = World::new(|_| async {
        let part = Response::builder().status(206).header("content-range", "bytes 0-1/4");
        part.header("cache-control", "s-maxage=60").body(whole("ro")).unwrap()
    })
    .await;
    for times in 1..3 {
        let reply = world.get_with("/v1/q/a", &[("range", "bytes=0-1")]).await;
        assert_eq!(reply.status, StatusCode::PARTIAL_CONTENT);
        assert!(reply.field("cache-status").contains("fwd=bypass"));
        assert_eq!(world.asked(), times);
    }
}

#[tokio::test]
async fn a_body_over_the_bound_is_streamed_and_not_stored() {
    let whole_body = "x".repeat(100_000);
    let body = whole_body.clone();
    let world = World::with(
        move |request| {
            let body = body.clone();
            async move {
                // Without a length, and with one.
                if request.uri().path().ends_with("chunked") {
                    let pieces = body.as_bytes().chunks(10_000).map(Bytes::copy_from_slice);
                    let frames: Vec<_> = pieces.map(|p| Ok(Frame::data(p))).collect();
                    let body = StreamBody::new(futures::stream::iter(frames));
                    let response = Response::builder().header("cache-control", "s-maxage=60");
                    return response.body(BoxBodyOf::new(body)).unwrap();
                }
                answer(5, "t:flights", &body)
            }
        },
        |settings| {
            settings.follows_changes = false;
            settings.largest_body_bytes = 50_000;
        },
    )
    .await;
    for target in ["/whole", "/chunked"] {
        let reply = world.get(target).await;
        assert_eq!((reply.detail(), reply.body.len()), ("too-large", 100_000), "{target}");
    }
    assert_eq!(world.edge.status().entries, 0);
}

#[tokio::test]
async fn a_chunked_body_within_the_bound_is_stored_whole() {
    let world = World::new(|_| async {
        let frames = ["ab", "cd"].map(|p| Ok(Frame::data(Bytes::from_static(p.as_bytes()))));
        let body = StreamBody::new(futures::stream::iter(frames));
        let response = Response::builder().header("cache-control", "s-maxage=60");
        response.body(BoxBodyOf::new(body)).unwrap()
    })
    .await;
    world.get("/a").await;
    let hit = world.get("/a").await;
    assert_eq!(
        (hit.detail(), hit.field("content-length"), &hit.body[..]),
        ("hit", "4", &b"abcd"[..])
    );
}

#[tokio::test]
async fn one_users_answer_is_not_anothers() {
    let world = World::new(|request| async move {
        let user = request.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned());
        match user {
            Some(user) if user != "Bearer open" => {
                let response = Response::builder().header("cache-control", "private, no-cache");
                response.header("vary", "Authorization").body(whole(&user)).unwrap()
            }
            _ => answer(5, "t:flights", "open"),
        }
    })
    .await;
    for user in ["Bearer a", "Bearer b", "Bearer a"] {
        let reply = world.get_with("/v1/q/a", &[("authorization", user)]).await;
        assert_eq!((&reply.body[..], reply.detail()), (user.as_bytes(), "private"));
    }
    // An answer that is public although it was asked for with a token may be shared (§3.5).
    let open = world.get_with("/v1/q/a", &[("authorization", "Bearer open")]).await;
    assert_eq!(open.detail(), "miss");
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn each_coding_is_kept_for_itself() {
    let world = World::new(|request| async move {
        let accept = request.headers().get("accept-encoding");
        let coding = accept.map(|v| v.to_str().unwrap().to_owned());
        let mut response = answer(5, "t:flights", coding.as_deref().unwrap_or("identity"));
        if let Some(coding) = coding {
            let fields = response.headers_mut();
            fields.insert("content-encoding", coding.parse().unwrap());
            fields.insert("vary", "Accept-Encoding".parse().unwrap());
            fields.insert("etag", format!("\"rows-{coding}\"").parse().unwrap());
        }
        response
    })
    .await;
    for (accept, body) in
        [("gzip, br", "br"), ("gzip", "gzip"), ("zstd", "identity"), ("deflate, br;q=0.2", "br")]
    {
        let reply = world.get_with("/v1/q/a", &[("accept-encoding", accept)]).await;
        assert_eq!(&reply.body[..], body.as_bytes());
    }
    assert_eq!(world.asked(), 3);
    let fields = [("accept-encoding", "br"), ("if-none-match", "\"rows-br\"")];
    assert_eq!(world.get_with("/v1/q/a", &fields).await.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn fields_that_no_key_holds_do_not_reach_a_shared_answer() {
    let world = World::new(|_| async { answer(5, "t:flights", "rows") }).await;
    let fields = [("x-forwarded-host", "evil"), ("x-original-url", "/evil"), ("accept", "*/*")];
    world.get_with("/v1/q/a", &fields).await;
    let seen = &world.seen()[0].fields;
    assert!(!seen.contains_key("x-forwarded-host") && !seen.contains_key("x-original-url"));
    assert!(seen["host"].to_str().unwrap().starts_with("127.0.0.1:"));
}

#[tokio::test]
async fn a_url_without_canonical_form_is_the_origins_to_refuse() {
    let world =
        World::new(|_| async { Response::builder().status(400).body(whole("bad")).unwrap() }).await;
    let reply = world.get("/v1/q/%zz").await;
    assert_eq!((reply.status, reply.detail()), (StatusCode::BAD_REQUEST, "pass"));
}

/// Sends a body in chunks over a plain connection and reads what comes back,
/// while it is still sending.
async fn post_chunked(world: &World, chunks: usize) -> (String, usize) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stream = tokio::net::TcpStream::connect(world.address()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let sending = tokio::spawn(async move {
        let head =
            "POST /v1/ingest/flights HTTP/1.1\r\nhost: edge\r\ntransfer-encoding: chunked\r\n\r\n";
        write.write_all(head.as_bytes()).await.unwrap();
        let mut chunk = b"2710\r\n".to_vec();
        chunk.extend([b'x'; 10_000]);
        chunk.extend(b"\r\n");
        let mut sent = 0;
        for _ in 0..chunks {
            if write.write_all(&chunk).await.is_err() {
                break;
            }
            sent += 1;
        }
        let _ = write.write_all(b"0\r\n\r\n").await;
        (sent, write)
    });
    let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
    let whole = |got: &[u8]| {
        let text = String::from_utf8_lossy(got).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.to_lowercase();
        let length = length.split_once("content-length: ")?.1;
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        (body.len() >= length).then(|| text.clone())
    };
    let text = loop {
        match read.read(&mut buffer).await {
            Ok(0) => panic!("closed without an answer: {}", String::from_utf8_lossy(&got)),
            Ok(bytes) => got.extend(&buffer[..bytes]),
            Err(error) => panic!("the connection was reset before its answer: {error}"),
        }
        if let Some(text) = whole(&got) {
            break text;
        }
    };
    (text, sending.await.unwrap().0)
}

#[tokio::test]
async fn a_chunked_body_over_the_bound_is_too_large_here_as_there() {
    let world = World::with(
        |request| async move {
            // An origin that refuses as soon as it can.
            let read = http_body_util::Limited::new(request.into_body(), 50_000).collect().await;
            let status = if read.is_ok() { 202 } else { 413 };
            Response::builder().status(status).body(whole("read")).unwrap()
        },
        |settings| {
            settings.follows_changes = false;
            settings.request_body_bytes = Some(50_000);
        },
    )
    .await;
    let (answer, sent) = post_chunked(&world, 500).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("over 50000 bytes"), "{answer}");
    assert_eq!(sent, 500, "the sender is heard out, not reset");
    let (answer, _) = post_chunked(&world, 5).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_names_too_large_a_length_does_not_travel() {
    let world = World::with(
        |_| async { Response::builder().status(202).body(whole("")).unwrap() },
        |settings| {
            settings.follows_changes = false;
            settings.request_body_bytes = Some(3);
        },
    )
    .await;
    let reply = world.ask(Method::POST, "/v1/ingest/flights", &[], "{}\n{}\n").await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn before_a_foreign_origin_urls_stay_as_they_are_and_no_feed_is_asked_for() {
    let world = World::with(
        |request| async move {
            let target = request.uri().to_string();
            let response = Response::builder().header("cache-control", "max-age=60");
            response.body(whole(&target)).unwrap()
        },
        |settings| *settings = crate::EdgeSettings::foreign(settings.upstream.clone()),
    )
    .await;
    // Order, emptiness and dots may mean something there.
    for target in ["/shop//a/?b=2&a=1&c=", "/shop//a/?a=1&b=2&c="] {
        let miss = world.get(target).await;
        assert_eq!((&miss.body[..], miss.detail()), (target.as_bytes(), "miss"));
        assert_eq!(world.get(target).await.detail(), "hit");
    }
    assert_eq!(world.seen().iter().filter(|seen| seen.target == "/v1/changes").count(), 0);
    assert_eq!(world.asked(), 2);
    assert!(world.edge.status().feed.is_none());
}
