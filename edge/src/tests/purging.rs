//! Changes, drops and resets as a client sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::world::{World, answer};

const TAG: &str = "t:flights";

/// An origin whose answers carry its count of requests, and a query's tag.
async fn counting() -> World {
    let count = Arc::new(AtomicU64::new(0));
    let world = World::new(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        async move { answer(5 + n, "t:flights,q:a", &format!("rows-{n}")) }
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    world
}

#[tokio::test]
async fn a_hold_lasts_under_a_live_feed_and_no_longer() {
    let world = counting().await;
    world.get("/v1/q/a").await;
    world.pass(Duration::from_secs(3)).await;
    world.hear_beat(1, 5);
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
    world.pass(Duration::from_secs(3)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
    // Silent for longer than the bound: broken, and the ordinary second is over.
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
    world.pass(Duration::from_millis(1100)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
}

#[tokio::test]
async fn a_reset_marks_all_stale() {
    let world = counting().await;
    world.get("/v1/q/a").await;
    world.get("/v1/q/b").await;
    world.hear_reset(40);
    world.hear_beat(40, 5);
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
    assert_eq!(world.get("/v1/q/b").await.detail(), "refilled");
    assert_eq!(world.get("/v1/q/b").await.detail(), "hit");
}

#[tokio::test]
async fn a_gap_in_the_numbers_is_a_reset() {
    let world = counting().await;
    world.get("/v1/q/a").await;
    world.hear_change(5, 6, "t:other");
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
    world.hear_beat(9, 6);
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
    // A heartbeat sent before the last change says nothing.
    world.hear_beat(8, 6);
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn a_drop_is_never_used_again_not_even_in_need() {
    let world = counting().await;
    world.get("/v1/q/a").await;
    world.hear_full_change(2, 0, "q:a", true);
    world.kill_origin().await;
    let only = world.get_with("/v1/q/a", &[("cache-control", "max-stale")]).await;
    assert_eq!(only.detail(), "unreachable");
}

#[tokio::test]
async fn a_dropped_answer_is_fetched_without_its_validator() {
    let world = counting().await;
    world.get("/v1/q/a").await;
    world.hear_full_change(2, 0, "q:a", true);
    let reply = world.get("/v1/q/a").await;
    assert_eq!(&reply.body[..], b"rows-1");
    assert!(!world.seen()[1].fields.contains_key("if-none-match"));
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn an_answer_made_before_a_drop_is_delivered_but_not_stored() {
    let (gate, script) = {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        (gate.clone(), gate)
    };
    let world = World::new(move |_| {
        let gate = script.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            answer(5, "t:flights,q:a", "rows")
        }
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    let drop = async {
        world.asked_times(1).await;
        world.hear_full_change(2, 0, "q:a", true);
        gate.add_permits(1);
    };
    let (reply, ()) = tokio::join!(world.get("/v1/q/a"), drop);
    assert_eq!((reply.detail(), world.edge.status().entries), ("dropped", 0));
}

#[tokio::test]
async fn a_pinned_answer_outlives_changes() {
    let world = World::new(|_| async {
        let mut response = answer(5, TAG, "rows");
        let forever = "public, max-age=31536000, immutable".parse().unwrap();
        response.headers_mut().insert("cache-control", forever);
        response
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    world.get("/v1/q/a?v=x").await;
    world.hear_change(2, 6, TAG);
    world.hear_reset(3);
    assert_eq!(world.get("/v1/q/a?v=x").await.detail(), "hit");
    world.hear_full_change(4, 0, TAG, true);
    assert_eq!(world.get("/v1/q/a?v=x").await.detail(), "miss");
}

#[tokio::test]
async fn an_answer_behind_what_the_heartbeat_tells_is_not_fresh() {
    // Another origin behind the same address lags.
    let world = World::new(|_| async { answer(5, TAG, "rows") }).await;
    world.hear_reset(1);
    world.hear_beat(1, 9);
    world.get("/v1/q/a").await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
}

#[tokio::test]
async fn an_origin_that_begins_anew_is_not_asked_for_what_it_never_had() {
    let count = Arc::new(AtomicU64::new(900));
    let script = count.clone();
    let world = World::new(move |_| {
        let n = script.load(Ordering::SeqCst);
        async move { answer(n, TAG, &format!("rows-{n}")) }
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 900);
    world.get("/v1/q/a").await;
    world.hear_change(2, 901, TAG);
    count.store(3, Ordering::SeqCst);
    world.hear_reset(5);
    world.hear_beat(5, 3);
    assert_eq!(&world.get("/v1/q/a").await.body[..], b"rows-3");
    assert!(!world.seen()[1].fields.contains_key("springtide-min-version"));
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn a_write_through_the_edge_makes_its_url_invalid() {
    let world = counting().await;
    world.get("/v1/thing").await;
    assert_eq!(world.get("/v1/thing").await.detail(), "hit");
    let posted = world.ask(http::Method::POST, "/v1/thing", &[], "x").await;
    assert!(posted.field("cache-status").contains("fwd=method"));
    assert_eq!(world.get("/v1/thing").await.detail(), "miss");
}

/// An origin whose answers depend on one table partition.
async fn partitioned() -> World {
    let count = Arc::new(AtomicU64::new(0));
    let world = World::new(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        async move { answer(5 + n, "t:flights/2001-03-01", &format!("rows-{n}")) }
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    world
}

#[tokio::test]
async fn a_change_of_the_whole_table_reaches_every_partition() {
    let world = partitioned().await;
    world.get("/v1/q/a").await;
    world.hear_change(2, 6, "t:flights,t:flights/2001-03-02");
    world.hear_beat(2, 6);
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit", "another partition changed");
    world.hear_change(3, 6, "t:flights");
    world.hear_beat(3, 6);
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
    world.hear_full_change(4, 6, "t:flights", true);
    world.kill_origin().await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "unreachable");
}

#[tokio::test]
async fn a_fill_begun_before_a_change_of_the_whole_table_is_stored_stale() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let script = gate.clone();
    let world = World::new(move |_| {
        let gate = script.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            answer(5, "t:flights/2001-03-01", "rows")
        }
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    let change = async {
        world.asked_times(1).await;
        world.hear_change(2, 6, "t:flights");
        world.hear_beat(2, 6);
        gate.add_permits(2);
    };
    tokio::join!(world.get("/v1/q/a"), change);
    assert_ne!(world.get("/v1/q/a").await.detail(), "hit");
}
