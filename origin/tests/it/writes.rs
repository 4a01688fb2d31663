//! Ingest, admin, and who may.

use serde_json::json;

use crate::house::{House, sql};

const ROW: &str = r#"{"id":1,"date":"2001-03-31T08:00:00","delay":5,"origin":"SFO"}"#;
const COUNT: &str = "SELECT count(*) AS n FROM flights";

#[tokio::test]
async fn an_idempotency_key_makes_a_retry_harmless() {
    let house = House::new().await;
    let send = || house.post("/v1/ingest/flights", &[("idempotency-key", "k-1")], ROW);
    let (first, again) = (send().await, send().await);
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (202, 202));
    assert_eq!(first.body, again.body);
    assert_eq!(first.json()["rows"], 1);
    let token = first.header("springtide-version");
    let counted = house.get_with(&sql(COUNT), &[("springtide-min-version", token)]).await;
    assert_eq!(counted.value(), 1);
    let lines = [("idempotency-key", "k-1")];
    let other = house.post("/v1/ingest/flights", &lines, &ROW.replace("SFO", "LAX")).await;
    assert_eq!((other.status.as_u16(), other.problem().as_str()), (400, "invalid-request"));
}

#[tokio::test]
async fn with_a_token_writes_need_it() {
    let house = House::with(|settings| {
        settings.admin_token = Some("t0ken".to_owned());
        settings.beyond_loopback = true;
    })
    .await;
    for target in ["/v1/ingest/flights", "/v1/admin/commit/flights", "/v1/admin/purge"] {
        let nobody = house.post(target, &[], ROW).await;
        assert_eq!((nobody.status.as_u16(), nobody.header("www-authenticate")), (401, "Bearer"));
        let wrong = house.post(target, &[("authorization", "Bearer other")], ROW).await;
        assert_eq!(wrong.status, 401);
    }
    let lines = [("authorization", "Bearer t0ken")];
    assert_eq!(house.post("/v1/ingest/flights", &lines, ROW).await.status, 202);
    assert_eq!(house.get(&sql("SELECT 1 AS x")).await.status, 200, "reads stay open");
}

#[tokio::test]
async fn beyond_loopback_without_a_token_writes_are_off() {
    let house = House::with(|settings| settings.beyond_loopback = true).await;
    let refused = house.post("/v1/ingest/flights", &[], ROW).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (403, "forbidden"));
    assert!(refused.detail().contains("admin_token"), "{}", refused.detail());
}

#[tokio::test]
async fn without_a_token_admin_is_off_even_on_this_machine() {
    let house = House::new().await;
    for target in
        ["/v1/admin/commit/flights", "/v1/admin/purge", "/v1/admin/dead-letters/flights/discard"]
    {
        let refused = house.post(target, &[], r#"{"tags":["t:flights"]}"#).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (403, "forbidden"));
        let detail = refused.detail();
        assert!(detail.contains("`admin_token` under [server]"), "{detail}");
        assert!(detail.contains("SPRINGTIDE_SERVER__ADMIN_TOKEN"), "{detail}");
    }
    let letters = house.get("/v1/admin/dead-letters/flights").await;
    assert_eq!((letters.status.as_u16(), letters.problem().as_str()), (403, "forbidden"));
    assert_eq!(house.post("/v1/ingest/flights", &[], ROW).await.status, 202, "rows still come");
}

#[tokio::test]
async fn only_names_of_this_machine_write_without_a_token() {
    let house = House::new().await;
    // A name that was made to point at loopback is not this machine's.
    for lines in [
        &[("host", "rebound.example")][..],
        &[("host", "rebound.example:8081"), ("origin", "http://rebound.example:8081")],
        &[("host", "127.0.0.1"), ("origin", "http://rebound.example")],
    ] {
        let refused = house.post("/v1/ingest/flights", lines, ROW).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (403, "forbidden"));
    }
    let own = [("host", "localhost:8081"), ("origin", "http://127.0.0.1:8080")];
    assert_eq!(house.post("/v1/ingest/flights", &own, ROW).await.status, 202);
}

#[tokio::test]
async fn a_page_of_another_site_may_not_write() {
    let house = House::new().await;
    let lines = [("origin", "https://evil.example")];
    let refused = house.post("/v1/ingest/flights", &lines, ROW).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn a_commit_is_durable_when_it_answers() {
    let house = House::with_token().await;
    house.ingest("flights", ROW).await;
    let committed = house.post("/v1/admin/commit/flights", &[], "").await;
    assert_eq!(committed.status, 200, "{committed:?}");
    assert!(committed.header("springtide-version").starts_with("flights.u"));
    let lake = house.get("/v1/tables/flights").await.json()["lake"].clone();
    assert_eq!((&lake["rows"], &lake["boundary"]["0"]), (&json!(1), &json!(1)), "{lake}");
    assert_eq!(house.get(&sql(COUNT)).await.value(), 1);
    let unknown = house.post("/v1/admin/commit/other", &[], "").await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_purge_names_tags() {
    let house = House::with_token().await;
    let purged = house.post("/v1/admin/purge", &[], r#"{"tags":["t:flights","q:top"]}"#).await;
    assert_eq!(
        (purged.status.as_u16(), purged.json()["tags"].clone()),
        (200, json!(["t:flights", "q:top"]))
    );
    for bad in ["", "{}", r#"{"tags":[]}"#, r#"{"tags":["flights"]}"#, r#"{"tags":["q:a"],"x":1}"#]
    {
        let refused = house.post("/v1/admin/purge", &[], bad).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
}
