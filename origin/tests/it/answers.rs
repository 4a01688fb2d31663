//! Formats, the headers that every answer has, and the other pages.

use http::Method;

use crate::house::{House, sql};

#[tokio::test]
async fn every_format_has_its_suffix_and_type() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let target = sql("SELECT id, delay FROM flights ORDER BY id");
    let types = [
        ("json", "application/json"),
        ("csv", "text/csv; charset=utf-8"),
        ("ndjson", "application/x-ndjson"),
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("parquet", "application/vnd.apache.parquet"),
    ];
    let mut etags = std::collections::BTreeSet::new();
    for (suffix, content_type) in types {
        let answer = house.get(&target.replace("/v1/sql", &format!("/v1/sql.{suffix}"))).await;
        assert_eq!(answer.status, 200, "{suffix}: {answer:?}");
        assert_eq!(answer.header("content-type"), content_type);
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        assert!(etags.insert(answer.etag().to_owned()), "each format has its own");
    }
    let csv = house.get(&target.replace("/v1/sql", "/v1/sql.csv")).await;
    assert_eq!(String::from_utf8_lossy(&csv.body).replace("\r\n", "\n"), "id,delay\n1,5\n");
    let json = house.get(&target).await.json();
    assert_eq!(json["rows"], 1);
    assert_eq!(json["meta"][0]["type"], "BIGINT");
}

#[tokio::test]
async fn an_answer_says_what_it_read_and_when() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let answer =
        house.get_with(&sql("SELECT 1 AS x FROM flights"), &[("x-request-id", "r-7")]).await;
    assert_eq!(answer.header("x-request-id"), "r-7");
    assert!(answer.header("springtide-version").starts_with("flights.u"), "{answer:?}");
    assert!(answer.header("springtide-version").contains("~S"), "it is signed");
    assert!(answer.header("springtide-as-of").starts_with("2001-04-01T00:0"), "{answer:?}");
    house.clock.advance(std::time::Duration::from_secs(60));
    let later = house.get(&sql("SELECT 1 AS x FROM flights")).await;
    let lag_ms: u64 = later.header("springtide-lag-ms").parse().unwrap();
    assert!((30_000..=60_000).contains(&lag_ms), "now - as-of: {lag_ms}");
    let timing = answer.header("server-timing");
    for phase in ["parse", "prepare", "pin", "plan", "execute"] {
        assert!(timing.contains(&format!("{phase};dur=")), "{timing}");
    }
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-expose-headers").contains("Springtide-Version"));
}

#[tokio::test]
async fn a_large_answer_is_whole_and_has_a_length() {
    let house = House::new().await;
    let rows: String = (0..40)
        .map(|id| {
            format!(
                "{{\"id\":{id},\"date\":\"2001-03-31T08:00:00\",\"delay\":1,\"origin\":\"SFO\"}}\n"
            )
        })
        .collect();
    house.ingest("flights", &rows).await;
    let target = sql("SELECT id, repeat(origin, 100000) AS long FROM flights ORDER BY id");
    let answer = house.get(&target).await;
    assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body[..200]));
    assert!(answer.body.len() > 9 * 1024 * 1024, "over what is held in memory");
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(answer.json()["rows"], 40);
    let packed = house.get_with(&target, &[("accept-encoding", "gzip")]).await;
    let mut decoded = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed.body), &mut decoded)
        .unwrap();
    assert_eq!(decoded, answer.body);
}

#[tokio::test]
async fn the_other_pages_answer() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    assert_eq!(house.get("/healthz").await.body, "ok\n");
    let ready = house.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["ready"]), (200, &true.into()));
    let tables = house.get("/v1/tables").await.json();
    assert_eq!(tables["tables"][0]["name"], "flights");
    assert_eq!(tables["tables"][0]["columns"][0]["name"], "id");
    assert_eq!(tables["tables"][0]["state"], "live");
    house.get(&sql("SELECT 1 AS x")).await;
    let metrics = String::from_utf8(house.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("springtide_origin_executions_total"), "{metrics}");
    assert!(metrics.contains("springtide_table_lag_s{table=\"flights\"}"), "{metrics}");
    let api = house.get("/openapi.json").await.json();
    assert!(api["paths"]["/v1/sql.{format}"].is_object());
    let page = house.get("/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let again = house.get_with("/", &[("if-none-match", page.etag())]).await;
    assert_eq!(again.status, 304);
    for asset in ["/console.js", "/console.css"] {
        assert_eq!(house.get(asset).await.status, 200);
    }
}

#[tokio::test]
async fn methods_are_held_to_their_urls() {
    let house = House::new().await;
    let wrong = house.ask(Method::DELETE, &sql("SELECT 1"), &[]).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "GET, HEAD, OPTIONS"));
    let preflight = house.ask(Method::OPTIONS, &sql("SELECT 1"), &[]).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), "GET, HEAD");
    let missing = house.get("/v1/nothing").await;
    assert_eq!((missing.status.as_u16(), missing.problem().as_str()), (404, "not-found"));
}
