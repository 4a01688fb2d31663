//! What goes outward: hits, heads, conditions, ages, the status in words.

use http::{Method, StatusCode};
use std::time::Duration;

use super::world::{Reply, World, answer};

const TAGS: &str = "t:flights/2001-03-31";

async fn plain() -> World {
    World::new(|_| async { answer(5, TAGS, "rows") }).await
}

#[tokio::test]
async fn a_miss_and_then_a_hit() {
    let world = plain().await;
    let miss = world.get("/v1/q/a.json?b=2&a=1").await;
    assert_eq!(
        miss.field("cache-status"),
        "springtide-edge; fwd=uri-miss; fwd-status=200; stored; ttl=1; detail=miss"
    );
    let hit = world.get("/v1/q/a.json?a=1&b=2&c=").await;
    assert_eq!((hit.status, &hit.body[..]), (StatusCode::OK, &b"rows"[..]));
    assert_eq!(hit.field("cache-status"), "springtide-edge; hit; ttl=1; detail=hit");
    assert_eq!(hit.field("etag"), "\"rows\"");
    assert_eq!(hit.field("content-length"), "4");
    assert_eq!(hit.field("cache-control"), "public, max-age=0, s-maxage=1, stale-if-error=60");
    assert!(hit.fields.contains_key("age") && hit.fields.contains_key("date"));
    // The hold is for our own edges.
    for reply in [&hit, &miss] {
        assert!(!reply.fields.contains_key("springtide-cache-control"));
    }
    // What speaks of the exchange goes to the one who waited for it.
    let timings =
        |reply: &Reply| reply.fields.get_all("server-timing").iter().cloned().collect::<Vec<_>>();
    assert_eq!(miss.field("x-request-id"), "of-the-fill");
    assert_eq!(timings(&miss)[..2], ["plan;dur=1.5", "execute;dur=2.5"]);
    assert!(timings(&miss)[2].to_str().unwrap().starts_with("edge;dur="));
    assert!(!hit.fields.contains_key("x-request-id"), "the id was the fill's");
    assert_eq!(timings(&hit), ["edge;desc=\"hit\""]);
    assert_eq!(world.asked(), 1);
    assert_eq!(world.seen()[0].target, "/v1/q/a.json?a=1&b=2");
}

#[tokio::test]
async fn head_and_conditions_are_answered_from_the_stored_get() {
    let world = plain().await;
    world.get("/v1/q/a").await;
    let head = world.ask(Method::HEAD, "/v1/q/a", &[], "").await;
    assert_eq!((head.detail(), head.field("content-length"), head.body.len()), ("hit", "4", 0));
    for tag in ["\"rows\"", "W/\"rows\"", "\"x\", \"rows-br\"", "*"] {
        let reply = world.get_with("/v1/q/a", &[("if-none-match", tag)]).await;
        assert_eq!((reply.status, reply.detail()), (StatusCode::NOT_MODIFIED, "hit"), "{tag}");
        assert_eq!(reply.field("etag"), "\"rows\"");
        assert!(reply.fields.contains_key("springtide-version"));
        assert!(!reply.fields.contains_key("content-type"));
    }
    let other = world.get_with("/v1/q/a", &[("if-none-match", "\"other\"")]).await;
    assert_eq!((other.status, other.detail()), (StatusCode::OK, "hit"));
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_condition_at_a_miss_is_answered_by_the_edge_and_the_answer_is_stored() {
    let world = plain().await;
    let reply = world.get_with("/v1/q/a", &[("if-none-match", "\"rows\"")]).await;
    assert_eq!((reply.status, reply.detail()), (StatusCode::NOT_MODIFIED, "miss"));
    assert!(!world.seen()[0].fields.contains_key("if-none-match"));
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn a_heartbeat_validates_what_it_did_not_name() {
    let world = plain().await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    world.get("/v1/q/a").await;
    world.pass(Duration::from_secs(3)).await;
    let aged = world.get("/v1/q/a").await;
    // The hold counts, so it is a hit; the age and the lag tell the truth.
    assert_eq!((aged.detail(), aged.field("age")), ("hit", "3"));
    assert!(aged.field("springtide-lag-ms").parse::<u64>().unwrap() >= 3000);
    world.hear_beat(1, 9);
    let fresh = world.get("/v1/q/a").await;
    assert_eq!((fresh.detail(), fresh.field("age")), ("hit", "0"));
    assert!(fresh.field("springtide-lag-ms").parse::<u64>().unwrap() < 1000);
    assert_ne!(fresh.field("springtide-as-of"), aged.field("springtide-as-of"));
    assert_ne!(fresh.field("date"), aged.field("date"));
    // The signed version stays the one that was read.
    assert_eq!(fresh.field("springtide-version"), aged.field("springtide-version"));
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_minimum_version_is_reached_by_the_answer_or_by_the_heartbeat() {
    let world = plain().await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    world.get("/v1/q/a").await;
    let minimum = |offset: u64| format!("flights.o0-{offset}");
    let reached = world.get_with("/v1/q/a", &[("springtide-min-version", &minimum(5))]).await;
    assert_eq!(reached.detail(), "hit");
    let short = world.get_with("/v1/q/a", &[("springtide-min-version", &minimum(8))]).await;
    assert_eq!(short.field("cache-status").split("; ").nth(1), Some("fwd=request"));
    assert!(
        world.seen()[1].fields["springtide-min-version"].to_str().unwrap().ends_with(".o0-8")
            || world.seen()[1].fields["springtide-min-version"] == "flights.o0-8"
    );
    world.hear_beat(1, 8);
    let raised = world.get_with("/v1/q/a", &[("springtide-min-version", &minimum(8))]).await;
    assert_eq!(raised.detail(), "hit");
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn the_answers_of_a_frozen_clock_are_not_held() {
    let world = World::new(|_| async {
        let mut response = answer(5, TAGS, "rows");
        let version = format!("{}~T1767225600000000", super::world::version(5));
        response.headers_mut().insert("springtide-version", version.parse().unwrap());
        response
    })
    .await;
    world.hear_reset(1);
    world.hear_beat(1, 5);
    world.get("/v1/q/a").await;
    world.pass(Duration::from_millis(1200)).await;
    world.hear_beat(1, 6);
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
}

#[tokio::test]
async fn a_step_of_the_wall_clock_neither_ages_nor_renews() {
    let world = plain().await;
    world.get("/v1/q/a").await;
    for step in [300_000_000, -600_000_000] {
        world.step_wall(step);
        let reply = world.get("/v1/q/a").await;
        assert_eq!((reply.detail(), reply.field("age")), ("hit", "0"));
    }
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
}

#[tokio::test]
async fn directives_of_the_client_are_honoured() {
    let world = plain().await;
    let only = world.get_with("/v1/q/a", &[("cache-control", "only-if-cached")]).await;
    assert_eq!((only.status, only.detail()), (StatusCode::GATEWAY_TIMEOUT, "only-if-cached"));
    let private = world.get_with("/v1/q/a", &[("cache-control", "no-store")]).await;
    assert_eq!(private.detail(), "request-no-store");
    assert_eq!(world.get("/v1/q/a").await.detail(), "miss");
    let hit = world.get_with("/v1/q/a", &[("cache-control", "only-if-cached")]).await;
    assert_eq!(hit.detail(), "hit");
    let validated = world.get_with("/v1/q/a", &[("cache-control", "no-cache")]).await;
    assert!(validated.field("cache-status").contains("fwd=request"));
    assert_eq!(world.seen()[2].fields["if-none-match"], "\"rows\"");
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn own_pages_stay_here() {
    let world = plain().await;
    world.get("/v1/q/a").await;
    world.get("/v1/q/a").await;
    let status = world.get("/v1/edge/status").await;
    let json: serde_json::Value = serde_json::from_slice(&status.body).unwrap();
    assert_eq!(json["entries"], 1);
    assert_eq!(json["outcomes"]["hit"], 1);
    let metrics = world.get("/v1/edge/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.contains("springtide_edge_requests_total{outcome=\"miss\"} 1"));
    assert_eq!(world.get("/v1/edge/healthz").await.status, StatusCode::OK);
    assert_eq!(world.get("/v1/edge/x").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.asked(), 1);
    // The origin's own health passes through.
    world.get("/healthz").await;
    assert_eq!(world.asked(), 2);
}
