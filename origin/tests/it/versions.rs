//! Pinned and minimum versions.

use springtide_protocol::{Offset, PartitionId, Version};

use crate::house::{House, key, sql};

const COUNT: &str = "SELECT count(*) AS n FROM flights";

fn pinned(target: &str, version: &str) -> String {
    format!("{target}&v={version}")
}

#[tokio::test]
async fn a_pinned_version_answers_exactly() {
    let house = House::with_token().await;
    house.flight(1, "2001-03-31", 5).await;
    let then = house.get(&sql(COUNT)).await;
    house.flight(2, "2001-03-31", 5).await;
    assert_eq!(house.get(&sql(COUNT)).await.value(), 2);

    let version = then.header("springtide-version");
    let again = house.get(&pinned(&sql(COUNT), version)).await;
    assert_eq!(again.value(), 1);
    assert_eq!(again.body, then.body);
    assert_eq!(again.etag(), then.etag());
    assert_eq!(again.header("springtide-version"), version);
    assert!(again.header("cache-control").ends_with("immutable"), "{again:?}");
    assert_eq!(again.header("cache-tag"), "", "no row can change it");

    house.post("/v1/admin/commit/flights", &[], "").await;
    let after_commit = house.get(&pinned(&sql(COUNT), version)).await;
    assert_eq!(after_commit.value(), 1, "also where its rows have moved to the lake");
    assert_eq!(after_commit.etag(), then.etag());
}

#[tokio::test]
async fn only_what_was_issued_is_accepted() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let signed = house.get(&sql(COUNT)).await.header("springtide-version").to_owned();
    let unsigned = signed.split("~S").next().unwrap();
    for version in [unsigned.to_owned(), signed.replace(".o0-1", ".o0-9"), "x".to_owned()] {
        let refused = house.get(&pinned(&sql(COUNT), &version)).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (400, "invalid-version"));
    }

    let mut version: Version = unsigned.parse().unwrap();
    version.tables.values_mut().next().unwrap().offsets.set(PartitionId(0), Offset(9));
    let future = house.get(&pinned(&sql(COUNT), &key().sign(&version))).await;
    assert_eq!(future.status, 404, "{future:?}");
    assert_eq!(future.header("cache-control"), "no-store");

    version.tables.values_mut().next().unwrap().table_uuid = uuid::Uuid::from_u128(7);
    let gone = house.get(&pinned(&sql(COUNT), &key().sign(&version))).await;
    assert_eq!(gone.status, 410, "{gone:?}");
    assert_eq!(gone.header("cache-control"), "public, max-age=10");

    let other = house.get(&pinned(&sql("SELECT count(*) AS n FROM payroll"), &signed)).await;
    assert_eq!((other.status.as_u16(), other.problem().as_str()), (400, "invalid-version"));
    let clock = house.get(&pinned(&sql("SELECT now() AS t, count(*) FROM flights"), &signed)).await;
    assert_eq!((clock.status.as_u16(), clock.problem().as_str()), (400, "invalid-version"));
}

#[tokio::test]
async fn a_pinned_clock_stands_still() {
    let house = House::new().await;
    let target = sql("SELECT epoch_us(now()) AS t");
    let then = house.get(&target).await;
    house.clock.advance(std::time::Duration::from_secs(90));
    let again = house.get(&pinned(&target, then.header("springtide-version"))).await;
    assert_eq!(again.body, then.body);
    assert_ne!(house.get(&target).await.body, then.body);
}

#[tokio::test]
async fn a_writer_reads_its_own_write() {
    let house = House::new().await;
    let row = r#"{"id":1,"date":"2001-03-31T08:00:00","delay":5,"origin":"SFO"}"#;
    for n in 1..=5 {
        // No waiting: the token does it.
        let receipt = house.post("/v1/ingest/flights", &[], row).await;
        let token = receipt.header("springtide-version");
        assert_eq!(receipt.json()["version"], token);
        let by_header = house.get_with(&sql(COUNT), &[("springtide-min-version", token)]).await;
        assert_eq!(by_header.value(), n);
        let by_url = house.get(&format!("{}&min={token}", sql(COUNT))).await;
        assert_eq!(by_url.value(), n);
    }
}

#[tokio::test]
async fn a_minimum_that_is_not_reached_is_an_error_and_not_an_old_answer() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let with = |minimum: &'static str| {
        let house = &house;
        async move { house.get_with(&sql(COUNT), &[("springtide-min-version", minimum)]).await }
    };
    let behind = with("flights.o0-99").await;
    assert_eq!((behind.status.as_u16(), behind.problem().as_str()), (503, "version-not-reached"));
    assert!(!behind.header("retry-after").is_empty());
    let other = with("flights.uAAAAAAAAAAAAAAAAAAAAAQ.o0-1").await;
    assert_eq!((other.status.as_u16(), other.problem().as_str()), (409, "incomparable-version"));
    let unread = with("payroll.o0-99").await;
    assert_eq!(unread.status, 200, "tables that the statement does not read do not count");
    let malformed = with("flights.zz").await;
    assert_eq!((malformed.status.as_u16(), malformed.problem().as_str()), (400, "invalid-version"));
}
