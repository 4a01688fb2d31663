//! Validators: what moves an ETag, what does not, and that a 304 runs nothing.

use std::time::Duration;

use http::Method;

use crate::house::{House, sql};

const OF_ONE_DAY: &str = "SELECT count(*) AS n, sum(delay) AS delay FROM flights \
                          WHERE date >= '2001-03-31' AND date < '2001-04-01'";

#[tokio::test]
async fn a_304_comes_before_execution() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let first = house.get(&sql(OF_ONE_DAY)).await;
    assert_eq!(first.status, 200, "{first:?}");
    let executions = house.origin.executions();
    assert_eq!(executions, 1);

    let etag = first.etag().to_owned();
    let held = house.get_with(&sql(OF_ONE_DAY), &[("if-none-match", &etag)]).await;
    assert_eq!(held.status, 304);
    assert!(held.body.is_empty());
    assert_eq!(held.etag(), etag);
    for name in ["springtide-version", "springtide-as-of", "springtide-lag-ms", "cache-tag"] {
        assert!(!held.header(name).is_empty(), "a 304 carries {name}");
    }
    assert_eq!(held.header("cache-control"), first.header("cache-control"));
    assert_eq!(house.origin.executions(), executions, "a 304 runs nothing");

    let weak = format!("W/{etag}");
    let listed = house.get_with(&sql(OF_ONE_DAY), &[("if-none-match", &weak)]).await;
    assert_eq!(listed.status, 304);
    let head = house.ask(Method::HEAD, &sql(OF_ONE_DAY), &[]).await;
    assert_eq!((head.status.as_u16(), head.etag()), (200, etag.as_str()));
    assert_eq!(house.origin.executions(), executions, "nor does a HEAD");
}

#[tokio::test]
async fn a_row_that_cannot_match_leaves_the_etag() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let first = house.get(&sql(OF_ONE_DAY)).await;

    house.flight(2, "2001-03-30", 7).await;
    let other_day = house.get(&sql(OF_ONE_DAY)).await;
    assert_eq!(other_day.etag(), first.etag(), "also while its chunk is open");
    assert_ne!(other_day.header("springtide-version"), first.header("springtide-version"));
    assert_eq!(other_day.body, first.body);

    house.flight(3, "2001-03-31", 9).await;
    let matching = house.get(&sql(OF_ONE_DAY)).await;
    assert_ne!(matching.etag(), first.etag());
    assert_eq!(matching.json()["data"][0]["delay"], 14);
}

#[tokio::test]
async fn a_commit_moves_neither_version_nor_etag() {
    let house = House::with_token().await;
    house.flight(1, "2001-03-31", 5).await;
    let before = house.get(&sql(OF_ONE_DAY)).await;
    let committed = house.post("/v1/admin/commit/flights", &[], "").await;
    assert_eq!(committed.status, 200, "{committed:?}");
    let tables = house.get("/v1/tables/flights").await.json();
    assert_eq!(tables["lake"]["rows"], 1, "the row is in the lake: {tables}");
    let after = house.get(&sql(OF_ONE_DAY)).await;
    assert_eq!(after.header("springtide-version"), before.header("springtide-version"));
    assert_eq!(after.etag(), before.etag());
    assert_eq!(after.body, before.body);
}

#[tokio::test]
async fn tags_come_from_predicates() {
    let house = House::new().await;
    let one_day = house.get(&sql(OF_ONE_DAY)).await;
    let tags = one_day.header("cache-tag");
    assert!(tags.split(',').any(|tag| tag == "t:flights/2001-03-31"), "{tags}");
    assert!(!tags.split(',').any(|tag| tag == "t:flights"), "one kind for each table: {tags}");
    let all = house.get(&sql("SELECT count(*) AS n FROM flights")).await;
    assert_eq!(all.header("cache-tag"), "t:flights");
    let none = house.get(&sql("SELECT 1 AS one")).await;
    assert_eq!(none.header("cache-tag"), "");
}

#[tokio::test]
async fn an_answer_with_the_clock_holds_for_its_quantum() {
    let house = House::new().await;
    let statement = sql("SELECT epoch_us(now()) AS t");
    let first = house.get(&statement).await;
    assert_eq!(first.status, 200, "{first:?}");
    house.clock.advance(Duration::from_millis(400));
    let same = house.get(&statement).await;
    assert_eq!((same.etag(), &same.body), (first.etag(), &first.body));
    assert!(first.header("springtide-cache-control").starts_with("max-age=1"), "{first:?}");
    assert!(same.header("springtide-cache-control").starts_with("max-age=0"), "{same:?}");
    assert!(same.header("cache-control").contains("s-maxage=0"), "{same:?}");
    house.clock.advance(Duration::from_millis(600));
    let next = house.get(&statement).await;
    assert_ne!(next.etag(), first.etag());
    assert_eq!(next.value().as_i64().unwrap() - first.value().as_i64().unwrap(), 1_000_000);

    let timeless = house.get(&sql("SELECT 1 AS one")).await;
    assert!(timeless.header("springtide-cache-control").starts_with("max-age=3600"));
}

#[tokio::test]
async fn each_coding_has_its_own_etag_and_one_validator() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let target = sql("SELECT * FROM flights ORDER BY id");
    let plain = house.get(&target).await;
    let packed = house.get_with(&target, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(packed.header("content-encoding"), "br");
    assert_eq!(packed.header("vary"), "Accept-Encoding");
    assert_eq!(packed.etag().replace("-br\"", "\""), plain.etag());
    assert_ne!(packed.etag(), plain.etag());
    for (held, accept) in [(packed.etag(), "identity"), (plain.etag(), "br")] {
        let lines = [("if-none-match", held), ("accept-encoding", accept)];
        let answer = house.get_with(&target, &lines).await;
        assert_eq!((answer.status.as_u16(), answer.etag()), (304, held));
    }
}

#[tokio::test]
async fn what_may_differ_between_runs_is_weak() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let unstable = house.get(&sql("SELECT id FROM flights LIMIT 1")).await;
    assert!(unstable.etag().starts_with("W/\""), "{unstable:?}");
    let stable = house.get(&sql("SELECT id FROM flights ORDER BY id LIMIT 1")).await;
    assert!(stable.etag().starts_with('"'), "{stable:?}");
}
