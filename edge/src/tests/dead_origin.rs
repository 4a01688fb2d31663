//! An origin that is gone, slow, broken or in error (RFC 5861 §4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::sync::Semaphore;

use super::world::{Reply, World, answer, whole};

const TAG: &str = "t:flights";

#[tokio::test]
async fn hits_go_on_while_the_origin_is_dead_and_say_so() {
    let world = World::new(|_| async { answer(5, TAG, "rows") }).await;
    world.get("/v1/q/a").await;
    world.kill_origin().await;
    world.pass(Duration::from_secs(3)).await;
    for seconds in [0, 10, 40] {
        world.pass(Duration::from_secs(seconds)).await;
        let reply = world.get("/v1/q/a").await;
        assert_eq!((reply.status, reply.detail()), (StatusCode::OK, "stale-if-error"));
        assert!(reply.field("cache-status").contains("fwd=stale"), "{reply:?}");
        assert!(!reply.fields.contains_key("warning"));
        assert!(reply.field("age").parse::<u64>().unwrap() >= 3 + seconds);
    }
    // The lifetime of 1 s and the 60 s after it are over.
    world.pass(Duration::from_secs(20)).await;
    let gone = world.get("/v1/q/a").await;
    assert_eq!((gone.status, gone.detail()), (StatusCode::BAD_GATEWAY, "unreachable"));
    assert_eq!(gone.field("content-type"), "application/problem+json");
}

#[tokio::test]
async fn what_was_never_stored_is_a_bad_gateway() {
    let world = World::new(|_| async { answer(5, TAG, "rows") }).await;
    world.kill_origin().await;
    let reply = world.get("/v1/q/a").await;
    assert_eq!((reply.status, reply.detail()), (StatusCode::BAD_GATEWAY, "unreachable"));
    let posted = world.ask(http::Method::POST, "/v1/ingest/a", &[], "{}").await;
    assert_eq!(posted.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_stale_answer_stands_in_for_an_error_but_not_for_a_mistake_of_the_client() {
    let failing = Arc::new(AtomicBool::new(false));
    let script = failing.clone();
    let world = World::new(move |_| {
        let failing = script.load(Ordering::SeqCst);
        async move {
            if failing {
                let error = Response::builder().status(503).header("cache-control", "no-store");
                return error.body(whole("overloaded")).unwrap();
            }
            answer(5, TAG, "rows")
        }
    })
    .await;
    world.get("/v1/q/a").await;
    failing.store(true, Ordering::SeqCst);
    world.pass(Duration::from_secs(2)).await;
    let reply = world.get("/v1/q/a").await;
    assert_eq!((reply.detail(), &reply.body[..]), ("stale-if-error", &b"rows"[..]));
    assert!(reply.field("cache-status").contains("fwd-status=503"));
    // Without a stored answer the error itself goes out.
    let other = world.get("/v1/q/b").await;
    assert_eq!(
        (other.status, &other.body[..]),
        (StatusCode::SERVICE_UNAVAILABLE, &b"overloaded"[..])
    );
    failing.store(false, Ordering::SeqCst);
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
}

#[tokio::test]
async fn a_marked_answer_stands_in_only_so_long_after_its_first_change() {
    let failing = Arc::new(AtomicBool::new(false));
    let script = failing.clone();
    let world = World::new(move |_| {
        let failing = script.load(Ordering::SeqCst);
        async move {
            if failing {
                return Response::builder().status(500).body(whole("")).unwrap();
            }
            answer(5, TAG, "rows")
        }
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    world.get("/v1/q/a").await;
    failing.store(true, Ordering::SeqCst);
    // Changes go on and each is newer than the last: the first one counts.
    for n in 2..9 {
        world.hear_change(n, 4 + n, TAG);
        assert_eq!(world.get("/v1/q/a").await.detail(), "stale-if-error");
        world.pass(Duration::from_secs(8)).await;
    }
    world.pass(Duration::from_secs(6)).await;
    assert_eq!(world.get("/v1/q/a").await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn errors_are_kept_as_they_say_but_at_most_ten_seconds() {
    let world = World::new(|_| async {
        let error = Response::builder().status(404).header("cache-control", "public, s-maxage=600");
        error.body(whole("no such query")).unwrap()
    })
    .await;
    assert_eq!(world.get("/v1/q/none").await.detail(), "miss");
    world.pass(Duration::from_secs(9)).await;
    assert_eq!(world.get("/v1/q/none").await.detail(), "hit");
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.get("/v1/q/none").await.detail(), "refilled");
}

#[tokio::test]
async fn half_an_answer_is_neither_stored_nor_told_as_whole() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            let half =
                "HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncache-control: s-maxage=9\r\n\r\nhalf";
            stream.write_all(half.as_bytes()).await.unwrap();
        }
    });
    let uri = format!("http://{address}").parse().unwrap();
    let world = World::with(
        |_| async { answer(5, TAG, "rows") },
        |settings| {
            settings.upstream = uri;
            settings.follows_changes = false;
        },
    )
    .await;
    let reply = world.get("/v1/q/a").await;
    assert_eq!((reply.status, reply.detail()), (StatusCode::BAD_GATEWAY, "unreachable"));
    assert_eq!(world.edge.status().entries, 0);
}

#[tokio::test]
async fn an_origin_that_hangs_is_given_up_in_time() {
    let hanging = Arc::new(AtomicBool::new(false));
    let script = hanging.clone();
    let world = World::with(
        move |_| {
            let hanging = script.load(Ordering::SeqCst);
            async move {
                if hanging {
                    std::future::pending::<()>().await;
                }
                answer(5, TAG, "rows")
            }
        },
        |settings| {
            settings.follows_changes = false;
            settings.response_timeout = Duration::from_millis(200);
        },
    )
    .await;
    world.get("/v1/q/a").await;
    hanging.store(true, Ordering::SeqCst);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "stale-if-error");
    let reply = world.get("/v1/q/b").await;
    assert_eq!((reply.status, reply.detail()), (StatusCode::GATEWAY_TIMEOUT, "timed-out"));
}

/// What the second of two gets who ask at once while the first is answered an error with
/// these fields; each error says whose it is.
async fn beside_an_error(fields: &'static [(&'static str, &'static str)]) -> (World, Reply) {
    let gate = Arc::new(Semaphore::new(0));
    let script = gate.clone();
    let world = World::with(
        move |request| {
            let gate = script.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                let user = request.headers()["cookie"].to_str().unwrap();
                let mut error = Response::builder().status(500);
                for (name, value) in fields {
                    error = error.header(*name, value.replace("USER", user));
                }
                error.body(whole(&format!("no luck, {user}"))).unwrap()
            }
        },
        |settings| *settings = crate::EdgeSettings::foreign(settings.upstream.clone()),
    )
    .await;
    let let_go = async {
        world.asked_times(1).await;
        while world.edge.status().waiting < 1 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
    };
    let (first, second, ()) = tokio::join!(
        world.get_with("/account", &[("cookie", "ann")]),
        async {
            world.asked_times(1).await;
            world.get_with("/account", &[("cookie", "bob")]).await
        },
        let_go
    );
    assert_eq!(&first.body[..], b"no luck, ann");
    (world, second)
}

#[tokio::test]
async fn an_error_for_one_client_is_not_told_to_those_who_wait() {
    for fields in [
        &[("set-cookie", "session=USER"), ("cache-control", "private")][..],
        &[("set-cookie", "session=USER"), ("cache-control", "no-store")],
        &[("set-cookie", "session=USER")],
        &[("cache-control", "private")],
        &[("cache-control", "no-store, private")],
        &[("cdn-cache-control", "private, max-age=0"), ("cache-control", "no-store")],
        &[("vary", "Cookie"), ("cache-control", "no-store")],
    ] {
        let (world, reply) = beside_an_error(fields).await;
        assert_eq!(&reply.body[..], b"no luck, bob", "{fields:?}");
        assert!(!reply.field("set-cookie").contains("ann"), "{reply:?}");
        assert_eq!(world.asked(), 2, "{fields:?}");
    }
    for fields in [&[("cache-control", "no-store")][..], &[]] {
        let (world, reply) = beside_an_error(fields).await;
        assert_eq!((&reply.body[..], reply.detail()), (&b"no luck, ann"[..], "collapsed"));
        assert_eq!(world.asked(), 1, "{fields:?}");
    }
}

#[tokio::test]
async fn a_stale_answer_stands_in_for_an_error_of_one_client_too() {
    let failing = Arc::new(AtomicBool::new(false));
    let script = failing.clone();
    let world = World::new(move |_| {
        let failing = script.load(Ordering::SeqCst);
        async move {
            if failing {
                let error = Response::builder().status(500).header("set-cookie", "session=1");
                return error.body(whole("")).unwrap();
            }
            answer(5, TAG, "rows")
        }
    })
    .await;
    world.get("/v1/q/a").await;
    failing.store(true, Ordering::SeqCst);
    world.pass(Duration::from_secs(2)).await;
    let reply = world.get("/v1/q/a").await;
    assert_eq!((reply.detail(), &reply.body[..]), ("stale-if-error", &b"rows"[..]));
    assert!(reply.field("cache-status").contains("fwd-status=500"));
    assert!(!reply.fields.contains_key("set-cookie"));
}
