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
    assert!(metrics.contains("springtide_table_lag_seconds{table=\"flights\"}"), "{metrics}");
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

/// Every family that `/metrics` may have, each of another meaning.
const FAMILIES: [(&str, &str); 28] = [
    ("springtide_audit_failures_total", "counter"),
    ("springtide_commit_failures_total", "counter"),
    ("springtide_commits_total", "counter"),
    ("springtide_dead_letters_total", "counter"),
    ("springtide_engine_session_panics_total", "counter"),
    ("springtide_lag_seconds", "histogram"),
    ("springtide_origin_executions_total", "counter"),
    ("springtide_origin_ingested_rows_total", "counter"),
    ("springtide_origin_not_modified_total", "counter"),
    ("springtide_origin_request_seconds", "histogram"),
    ("springtide_origin_requests_total", "counter"),
    ("springtide_partition_boundary_offset", "gauge"),
    ("springtide_partition_end_offset", "gauge"),
    ("springtide_partition_start_offset", "gauge"),
    ("springtide_partition_tail_age_seconds", "gauge"),
    ("springtide_partition_tail_bytes", "gauge"),
    ("springtide_partition_tail_rows", "gauge"),
    ("springtide_pin_window_cut_total", "counter"),
    ("springtide_stream_rows_total", "counter"),
    ("springtide_table_dead_letters", "gauge"),
    ("springtide_table_lag_seconds", "gauge"),
    ("springtide_table_state", "gauge"),
    ("springtide_table_trouble", "gauge"),
    ("springtide_tail_age_seconds", "gauge"),
    ("springtide_tail_disk_bytes", "gauge"),
    ("springtide_tail_memory_bytes", "gauge"),
    ("springtide_tail_rows", "gauge"),
    ("springtide_tail_segments", "gauge"),
];

#[tokio::test]
async fn each_metric_has_one_name_with_its_unit_last() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    house.get(&sql("SELECT 1 AS x")).await;
    let gauges = || async {
        let text = String::from_utf8(house.get("/metrics").await.body.to_vec()).unwrap();
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let families = families.filter_map(|line| line.split_once(' '));
        families.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect::<Vec<_>>()
    };
    let told = tokio::time::timeout(crate::house::PATIENCE, async {
        // The tables tell of their tails as they keep house.
        loop {
            let told = gauges().await;
            if told.iter().any(|(name, _)| name == "springtide_tail_rows") {
                return told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
    let told = told.await.unwrap();
    for (name, kind) in &told {
        assert!(FAMILIES.contains(&(name, kind)), "{name} ({kind}): is it another's twin?");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
    }
    for gauge in FAMILIES.iter().filter(|(_, kind)| *kind == "gauge") {
        let found = told.iter().filter(|(name, _)| name == gauge.0).count();
        assert_eq!(found, 1, "{}", gauge.0);
    }
}

#[tokio::test]
async fn a_tables_types_are_those_of_its_answers() {
    let house = House::new().await;
    house.flight(1, "2001-03-31", 5).await;
    let meta = house.get(&sql("SELECT * FROM flights ORDER BY id")).await.json()["meta"].clone();
    let table = house.get("/v1/tables/flights").await.json();
    let listed = house.get("/v1/tables").await.json();
    let types = |columns: &serde_json::Value| {
        let columns = columns.as_array().unwrap().iter();
        columns.map(|c| (c["name"].clone(), c["type"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(types(&table["columns"]), types(&meta));
    assert_eq!(types(&listed["tables"][0]["columns"]), types(&meta));
    assert_eq!(table["columns"][1]["type"], "TIMESTAMP");
}
