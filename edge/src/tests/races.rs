//! Rule 12 in fixed orders: fills against changes, and who joins whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use http::{Method, Response, StatusCode};
use tokio::sync::Semaphore;

use super::world::{World, answer, unmodified, whole};

const TAG: &str = "t:flights/2001-03-31";
const OTHER: &str = "t:flights/2001-03-30";

/// An origin that answers at an offset which the test sets, each time that it is let.
struct Gated {
    world: World,
    gate: Arc<Semaphore>,
    offset: Arc<AtomicU64>,
}

/// Waits until so many requests wait for a fill.
async fn waiting(world: &World, requests: usize) {
    while world.edge.status().waiting < requests {
        tokio::task::yield_now().await;
    }
}

async fn gated() -> Gated {
    let (gate, offset) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(5)));
    let script = (gate.clone(), offset.clone());
    let world = World::new(move |_| {
        let (gate, offset) = script.clone();
        // What it reads is settled when it is asked: a pinned version.
        let read = offset.load(Ordering::SeqCst);
        async move {
            gate.acquire().await.unwrap().forget();
            answer(read, TAG, &format!("rows-{read}"))
        }
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    Gated { world, gate, offset }
}

#[tokio::test]
async fn an_answer_older_than_an_announced_change_is_stored_stale() {
    let Gated { world, gate, offset } = gated().await;
    let first = async {
        let reply = world.get("/v1/q/a").await;
        assert_eq!(&reply.body[..], b"rows-5");
        assert!(reply.field("cache-status").contains("detail=miss"));
    };
    let change = async {
        world.asked_times(1).await;
        offset.store(6, Ordering::SeqCst);
        world.hear_change(2, 6, "t:flights,t:flights/2001-03-31");
        gate.add_permits(1);
    };
    tokio::join!(first, change);
    // Stored, but stale: the next asks, with the clock as its minimum.
    gate.add_permits(1);
    let next = world.get("/v1/q/a").await;
    assert_eq!((&next.body[..], next.detail()), (&b"rows-6"[..], "refilled"));
    let minimum = world.seen()[1].fields["springtide-min-version"].to_str().unwrap().to_owned();
    assert_eq!(minimum, super::world::version(6));
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn an_answer_that_has_the_change_is_stored_fresh() {
    let Gated { world, gate, offset } = gated().await;
    offset.store(6, Ordering::SeqCst);
    let change = async {
        world.asked_times(1).await;
        world.hear_change(2, 6, TAG);
        gate.add_permits(1);
    };
    tokio::join!(world.get("/v1/q/a"), change);
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn a_change_of_another_partition_touches_nothing() {
    let Gated { world, gate, .. } = gated().await;
    gate.add_permits(1);
    world.get("/v1/q/a").await;
    world.hear_change(2, 6, OTHER);
    world.hear_beat(2, 6);
    world.pass(Duration::from_secs(3)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn who_comes_after_a_change_does_not_join_a_fill_begun_before_it() {
    let Gated { world, gate, offset } = gated().await;
    let (first, second, ()) = tokio::join!(
        world.get("/v1/q/a"),
        async {
            world.asked_times(1).await;
            offset.store(6, Ordering::SeqCst);
            world.hear_change(2, 6, TAG);
            world.get("/v1/q/a").await
        },
        async {
            world.asked_times(2).await;
            gate.add_permits(2);
        }
    );
    assert_eq!((&first.body[..], &second.body[..]), (&b"rows-5"[..], &b"rows-6"[..]));
    // The older fill, whenever it ended, did not push out the newer answer.
    let hit = world.get("/v1/q/a").await;
    assert_eq!((&hit.body[..], hit.detail()), (&b"rows-6"[..], "hit"));
}

#[tokio::test]
async fn a_refill_is_joined_across_changes_that_do_not_concern_it() {
    let Gated { world, gate, offset } = gated().await;
    gate.add_permits(1);
    world.get("/v1/q/a").await;
    offset.store(6, Ordering::SeqCst);
    world.hear_change(2, 6, TAG);
    let (first, second, ()) = tokio::join!(
        world.get("/v1/q/a"),
        async {
            world.asked_times(2).await;
            world.hear_change(3, 7, OTHER);
            world.get("/v1/q/a").await
        },
        async {
            world.asked_times(2).await;
            waiting(&world, 1).await;
            gate.add_permits(2);
        }
    );
    assert_eq!((first.detail(), second.detail()), ("refilled", "collapsed"));
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_thousand_equal_misses_are_one_request_upstream() {
    let Gated { world, gate, .. } = gated().await;
    let let_go = async {
        world.asked_times(1).await;
        waiting(&world, 999).await;
        gate.add_permits(1);
    };
    let (replies, ()) = tokio::join!(join_all((0..1000).map(|_| world.get("/v1/q/a"))), let_go);
    assert!(replies.iter().all(|r| &r.body[..] == b"rows-5"));
    assert_eq!(world.asked(), 1);
    let misses = replies.iter().filter(|r| r.detail() == "miss").count();
    assert_eq!(misses, 1);
    assert_eq!(replies.iter().filter(|r| r.detail() == "collapsed").count(), 999);
}

#[tokio::test]
async fn an_answer_for_one_alone_releases_all_who_wait() {
    let gate = Arc::new(Semaphore::new(0));
    let script = gate.clone();
    let world = World::new(move |_| {
        let gate = script.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            let response = Response::builder().header("cache-control", "private, no-cache");
            response.body(whole("mine")).unwrap()
        }
    })
    .await;
    let let_go = async {
        world.asked_times(1).await;
        waiting(&world, 19).await;
        assert_eq!(world.asked(), 1);
        gate.add_permits(1);
        // The others are released at once and each asks for itself.
        world.asked_times(20).await;
        gate.add_permits(19);
    };
    let (replies, ()) = tokio::join!(join_all((0..20).map(|_| world.get("/v1/q/a"))), let_go);
    assert!(replies.iter().all(|r| r.detail() == "private" && &r.body[..] == b"mine"));
    // From then on they do not wait for each other.
    let let_go = async {
        world.asked_times(25).await;
        gate.add_permits(5);
    };
    tokio::join!(join_all((0..5).map(|_| world.get("/v1/q/a"))), let_go);
    assert_eq!(world.edge.status().entries, 0);
}

#[tokio::test]
async fn a_fill_outlives_the_client_that_began_it() {
    let Gated { world, gate, .. } = gated().await;
    let mut gone = Box::pin(world.get("/v1/q/a"));
    tokio::select! {
        _ = &mut gone => panic!("the gate is shut"),
        () = world.asked_times(1) => {}
    }
    let waits = world.get("/v1/q/a");
    drop(gone);
    let let_go = async {
        waiting(&world, 1).await;
        gate.add_permits(1);
    };
    let (reply, ()) = tokio::join!(waits, let_go);
    assert_eq!((reply.detail(), world.asked()), ("collapsed", 1));
}

#[tokio::test]
async fn too_many_who_wait_are_told_to_come_back() {
    let gate = Arc::new(Semaphore::new(0));
    let script = gate.clone();
    let world = World::with(
        move |_| {
            let gate = script.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                answer(5, TAG, "rows")
            }
        },
        |settings| {
            settings.follows_changes = false;
            settings.waiters_per_fill = 3;
        },
    )
    .await;
    let let_go = async {
        world.asked_times(1).await;
        while world.edge.status().waiting < 3
            || world.edge.outcomes.of(crate::outcome::Outcome::Crowded) < 6
        {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
    };
    let (replies, ()) = tokio::join!(join_all((0..10).map(|_| world.get("/v1/q/a"))), let_go);
    let crowded = replies.iter().filter(|r| r.detail() == "crowded");
    assert!(crowded.clone().all(|r| r.status == StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(crowded.count(), 6);
}

#[tokio::test]
async fn a_revalidation_keeps_the_body_and_takes_the_new_version() {
    let world = World::new(|request| async move {
        let known = request.headers().get("if-none-match").is_some_and(|v| v == "\"rows\"");
        if known { unmodified(6, TAG, "rows") } else { answer(5, TAG, "rows") }
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    world.get("/v1/q/a").await;
    world.hear_change(2, 6, TAG);
    let reply = world.get("/v1/q/a").await;
    assert_eq!(
        (reply.status, reply.detail(), &reply.body[..]),
        (StatusCode::OK, "revalidated", &b"rows"[..])
    );
    assert!(reply.field("springtide-version").contains(".o0-6"));
    assert!(reply.field("cache-status").contains("fwd=stale; fwd-status=304; stored"));
    assert_eq!(reply.field("content-type"), "application/json");
    let minimum = [("springtide-min-version", "flights.o0-6")];
    assert_eq!(world.get_with("/v1/q/a", &minimum).await.detail(), "hit");
    let head = world.ask(Method::HEAD, "/v1/q/a", &[], "").await;
    assert_eq!((head.detail(), world.asked()), ("hit", 2));
}
