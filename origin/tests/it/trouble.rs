//! What is told of parts that fail: a stream that is down, a file that is gone,
//! records that are no rows.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use springtide_freshness::stream::{Journal, NewRecord, StreamSource as _};

use crate::house::{House, sql};

const ROW: &str = r#"{"id":1,"date":"2001-03-31T08:00:00","delay":5,"origin":"SFO"}"#;
const DEAD_KAFKA: &str = r#"
[stream]
type = "kafka"
bootstrap_servers = "127.0.0.1:1"
produce_wait = "300ms"
"#;

#[tokio::test]
async fn a_dead_broker_shows_in_readyz_and_refuses_rows_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::over_stream(folder, DEAD_KAFKA, |_| {}).await;
    house
        .until_status("flights", |status| status.snapshot_rows == 0 && status.reason.is_some())
        .await;
    assert_eq!(house.get("/healthz").await.status, 200);
    let ready = house.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["ready"]), (503, &false.into()));
    let parts = ready.json()["parts"].as_array().unwrap().clone();
    let part = |name: &str| parts.iter().find(|part| part["part"] == name).unwrap().clone();
    assert_eq!(part("catalog")["ready"], true, "{parts:?}");
    assert_eq!(part("stream")["ready"], false, "{parts:?}");
    assert!(part("stream")["reason"].is_string());
    assert_eq!(part("table:flights")["ready"], false);

    let begin = Instant::now();
    let refused = house.post("/v1/ingest/flights", &[], ROW).await;
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["rows_stored"], "no", "{}", refused.detail());
}

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let own = files.into_iter().filter(|f| f.extension().is_some_and(|e| e == "parquet"));
    own.chain(folders.iter().flat_map(|folder| parquet_files(folder))).collect()
}

#[tokio::test]
async fn a_data_file_that_is_gone_is_looked_for_once_more_and_then_told() {
    let house = House::with_token().await;
    house.flight(1, "2001-03-31", 5).await;
    assert_eq!(house.post("/v1/admin/commit/flights", &[], "").await.status, 200);
    let count = sql("SELECT sum(delay) AS n FROM flights");
    assert_eq!(house.get(&count).await.value(), 5);
    let warehouse = house.folder().join("state/warehouse");
    let files = parquet_files(&warehouse);
    assert_eq!(files.len(), 1, "{files:?}");
    std::fs::remove_file(&files[0]).unwrap();
    let before = house.origin.executions();
    let gone = house.get(&sql("SELECT max(delay) AS n FROM flights")).await;
    assert_eq!((gone.status.as_u16(), gone.problem().as_str()), (503, "unavailable"));
    assert_eq!(gone.header("retry-after"), "1");
    assert!(gone.detail().contains("a data file of the lake is not there"), "{}", gone.detail());
    assert_eq!(house.origin.executions() - before, 2, "pinned and planned again once");
}

#[tokio::test]
async fn dead_letters_are_shown_and_discarded() {
    let house = House::with_token().await;
    let path = house.folder().join("state/journal.sqlite");
    let journal = Journal::open(&path, house.clock.clone()).await.unwrap();
    let topic = journal.topic("flights", 1).await.unwrap();
    let record = |value: &'static str| NewRecord {
        partition: None,
        key: Some(Bytes::from_static(b"k")),
        value: Bytes::from_static(value.as_bytes()),
    };
    topic.produce(vec![record("{}"), record("no row"), record(ROW)], None).await.unwrap();
    house.until_status("flights", |status| status.dead_letters == 2).await;

    let url = "/v1/admin/dead-letters/flights";
    assert_eq!(house.get(url).await.status, 401, "letters are not for everybody");
    let bearer = format!("Bearer {}", crate::house::TOKEN);
    let get = async |target: String| {
        house.get_with(&target, &[("authorization", bearer.as_str())]).await.json()
    };
    let first = get(format!("{url}?limit=1")).await;
    let newest = &first["letters"][0];
    assert_eq!((&newest["topic"], &newest["partition"]), (&json!("flights"), &json!(0)));
    assert_eq!(newest["offset"], 1);
    assert_eq!(newest["value_base64"], "bm8gcm93");
    assert_eq!(newest["key_base64"], "aw==");
    assert!(newest["reason"].as_str().unwrap().starts_with("not one JSON object"), "{newest}");
    let second = get(format!("{url}?limit=1&before={}", first["next_before"])).await;
    assert_eq!(second["letters"][0]["reason"], "no member is a column of the table");
    assert_eq!(second["next_before"], json!(null));
    let unknown = house.get_with(&format!("{url}?limt=1"), &[("authorization", &bearer)]).await;
    assert!(unknown.detail().contains("did you mean `limit`?"), "{}", unknown.detail());

    let discard = format!("{url}/discard");
    let up_to = &second["letters"][0]["number"];
    let gone = house.post(&discard, &[], &json!({ "up_to": up_to }).to_string()).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(gone.json()["rows"], 1);
    let bytes = 3 + "no member is a column of the table".len();
    assert_eq!(gone.json()["bytes"], bytes);
    assert_eq!(get(url.to_owned()).await["letters"].as_array().unwrap().len(), 1);
    assert_eq!(house.get("/v1/tables/flights").await.json()["dead_letters"], 1);
    for bad in ["", "{}", r#"{"up_to":"all"}"#, r#"{"up_to":1,"x":1}"#] {
        assert_eq!(house.post(&discard, &[], bad).await.status, 400, "{bad}");
    }
    assert_eq!(house.post("/v1/admin/dead-letters/other/discard", &[], "{}").await.status, 404);
}

#[tokio::test]
async fn who_sends_a_body_that_is_refused_comes_to_read_why() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let house = House::with_token().await;
    let mut stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
    let head = "POST /v1/ingest/flights HTTP/1.1\r\nhost: 127.0.0.1\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Refused for want of a token, before the body; all of it is sent all the same.
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(vec![b' '; 0x10000]);
    chunk.extend(b"\r\n");
    for _ in 0..160 {
        stream.write_all(&chunk).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 401");
}
