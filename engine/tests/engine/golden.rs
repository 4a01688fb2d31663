//! The bytes of every encoding, held fast (rule 3): where one of these files
//! changes, `SEMANTICS` must be raised, or old validators would answer for new
//! bytes. `UPDATE_GOLDEN=1` writes them anew.

use springtide_engine::{Encoding, SEMANTICS};
use springtide_protocol::Format;

use crate::support::{LIMITS, World, assert_golden, collect, golden};

async fn all_types(format: Format, numbers_as_text: bool) -> Vec<u8> {
    let encoding = Encoding { format, numbers_as_text };
    let world = World::new();
    let sql = std::fs::read_to_string(golden("types.sql")).unwrap();
    collect(world.start(&sql, &[], encoding, LIMITS).await.unwrap()).await.unwrap()
}

#[test]
fn the_library_and_the_number_belong_together() {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let version: String = connection.query_row("SELECT version()", [], |row| row.get(0)).unwrap();
    let text = format!("semantics {SEMANTICS}\nDuckDB {version}\n");
    assert_golden("semantics.txt", text.as_bytes());
}

#[tokio::test]
async fn json() {
    let bytes = all_types(Format::Json, false).await;
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(value["rows"], 3);
    assert_golden("types.json", &bytes);
}

#[tokio::test]
async fn json_with_wide_numbers_as_text() {
    let bytes = all_types(Format::Json, true).await;
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(value["data"][0]["bigint"], "9223372036854775807");
    assert_golden("types-numbers-as-text.json", &bytes);
}

#[tokio::test]
async fn ndjson() {
    let bytes = all_types(Format::Ndjson, false).await;
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    assert!(lines.clone().all(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok()));
    assert_eq!(lines.count(), 3);
    assert_golden("types.ndjson", &bytes);
}

#[tokio::test]
async fn csv() {
    assert_golden("types.csv", &all_types(Format::Csv, false).await);
}

#[tokio::test]
async fn arrow() {
    let bytes = all_types(Format::Arrow, false).await;
    let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3);
    assert_golden("types.arrow", &bytes);
}

#[tokio::test]
async fn parquet() {
    let bytes = bytes::Bytes::from(all_types(Format::Parquet, false).await);
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes.clone(), 100);
    assert_eq!(reader.unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3);
    assert_golden("types.parquet", &bytes);
}

#[tokio::test]
async fn names_that_repeat_are_told_apart() {
    let world = World::new();
    let sql = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a";
    assert_eq!(world.ndjson(sql, &[]).await, "{\"a\":1,\"a_2\":2,\"a_1\":3,\"a_3\":4}\n");
    let csv = world.bytes(sql, &[], Format::Csv).await.unwrap();
    assert_eq!(csv, b"a,a_2,a_1,a_3\r\n1,2,3,4\r\n");
}

#[tokio::test]
async fn answers_without_rows_are_whole() {
    let world = World::new();
    let sql = "SELECT x FROM range(0) a(x) ORDER BY x";
    let text = |format| async move {
        let world = World::new();
        String::from_utf8(world.bytes(sql, &[], format).await.unwrap()).unwrap()
    };
    let json = "{\"meta\":[{\"name\":\"x\",\"type\":\"BIGINT\"}],\n\"data\":[],\n\"rows\":0}\n";
    assert_eq!(text(Format::Json).await, json);
    assert_eq!(text(Format::Ndjson).await, "");
    assert_eq!(text(Format::Csv).await, "x\r\n");
    for format in [Format::Arrow, Format::Parquet] {
        assert!(!world.bytes(sql, &[], format).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn bytes_do_not_depend_on_duckdbs_chunks() {
    let world = World::new();
    // The same rows in order: from one scan, and through a union of many small ones.
    let whole = "SELECT x, x % 10 AS d FROM range(30000) a(x) ORDER BY x";
    let parts = "SELECT x, x % 10 AS d FROM (SELECT * FROM range(1000) a(x) UNION ALL \
                 SELECT x + 1000 FROM range(29000) a(x)) ORDER BY x";
    for format in Format::ALL {
        let (a, b) = (world.bytes(whole, &[], format).await, world.bytes(parts, &[], format).await);
        assert!(a.unwrap() == b.unwrap(), "{format:?}");
    }
}

#[tokio::test]
async fn types_that_would_lose_digits_are_refused() {
    let world = World::new();
    for value in ["5::UHUGEINT", "['12:00:00+02'::TIMETZ]", "'0101'::BIT"] {
        let refused = world.bytes(&format!("SELECT {value} AS x"), &[], Format::Json).await;
        let Err(springtide_engine::EngineError::InvalidSql { detail, .. }) = refused else {
            panic!("{value}: {refused:?}")
        };
        assert!(detail.contains("cast it to VARCHAR"), "{detail}");
    }
    let allowed = "SELECT {'BIT': 1, 'TIME WITH': TIMESTAMPTZ '2001-01-01 00:00:00Z'} AS x";
    let expected = "{\"x\":{\"BIT\":1,\"TIME WITH\":\"2001-01-01T00:00:00Z\"}}\n";
    assert_eq!(world.ndjson(allowed, &[]).await, expected);
}

#[tokio::test]
async fn unwritable_columns_are_the_clients_to_cast() {
    let world = World::new();
    let sql = "SELECT [INTERVAL 1 DAY] AS nested";
    let parquet = world.bytes(sql, &[], Format::Parquet).await;
    assert!(
        matches!(parquet, Err(springtide_engine::EngineError::InvalidSql { .. })),
        "{parquet:?}"
    );
    assert_eq!(world.ndjson(sql, &[]).await, "{\"nested\":[\"P1D\"]}\n");
}
