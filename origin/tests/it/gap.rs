//! Where lake and stream do not meet, the snapshot alone answers and says so (rule 20).

use crate::house::{House, sql};

const COUNT: &str = "SELECT count(*) AS n FROM flights";

#[tokio::test]
async fn the_snapshot_alone_answers_and_says_so() {
    let house = House::with_token().await;
    house.flight(1, "2001-03-31", 5).await;
    let token = house.flight(2, "2001-03-31", 5).await;
    let committed = house.post("/v1/admin/commit/flights", &[], "").await;
    assert_eq!(committed.status, 200, "{committed:?}");
    let whole = house.get(&sql(COUNT)).await;
    assert_eq!(whole.header("springtide-coverage"), "");

    // The stream is lost: another topic of the same name takes its place.
    let folder = house.close().await;
    for suffix in ["", "-wal", "-shm"] {
        let file = folder.path().join(format!("state/journal.sqlite{suffix}"));
        if file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    let house = House::over(folder, |_| {}).await;
    house.until_snapshot_only("flights").await;
    let alone = house.get(&sql(COUNT)).await;
    assert_eq!(alone.value(), 2);
    assert_eq!(alone.header("springtide-coverage"), "snapshot-only");
    assert_eq!(alone.header("cache-control"), "no-store");
    for name in ["cdn-cache-control", "springtide-cache-control"] {
        assert_eq!(alone.header(name), "", "{name}");
    }
    let ready = house.get("/readyz").await;
    assert_eq!(ready.status, 503);
    let parts = ready.json()["parts"].clone();
    let flights = parts.as_array().unwrap().iter().find(|part| part["part"] == "table:flights");
    assert!(flights.unwrap()["reason"].is_string(), "it says why: {parts}");

    let more = token.replace(".o0-2", ".o0-3");
    let lines = [("springtide-min-version", more.as_str())];
    let refused = house.get_with(&sql(COUNT), &lines).await;
    assert_eq!(refused.status, 503, "never an older answer for a minimum: {refused:?}");
    assert!(!refused.header("retry-after").is_empty());
}
