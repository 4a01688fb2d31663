//! The bytes of every encoding, held fast (rule 3): where one of these files
//! changes, `SEMANTICS` must be raised, or old validators would answer for new
//! bytes. `UPDATE_GOLDEN=1` writes them anew.

use springtide_engine::{Encoding, SEMANTICS};
use springtide_protocol::Format;

use crate::support::{LIMITS, World, assert_golden, collect};

/// One column a type: an ordinary value, an extreme one, NULL.
const TYPES: &str = "
SELECT
  unnest([true, false, NULL]) AS boolean,
  unnest([1, -128, NULL]::TINYINT[]) AS tinyint,
  unnest([2, 32767, NULL]::SMALLINT[]) AS smallint,
  unnest([3, -2147483648, NULL]::INTEGER[]) AS integer,
  unnest([4, 9223372036854775807, NULL]::BIGINT[]) AS bigint,
  unnest([5, '-170141183460469231731687303715884105727', NULL]::HUGEINT[]) AS hugeint,
  unnest([6, 255, NULL]::UTINYINT[]) AS utinyint,
  unnest([7, 18446744073709551615, NULL]::UBIGINT[]) AS ubigint,
  unnest([1.5, -0.01, NULL]::DECIMAL(9,2)[]) AS decimal_9_2,
  unnest([0.1, '-9999999999.99999999', NULL]::DECIMAL(18,8)[]) AS decimal_18_8,
  unnest(['12345678901234567890.123456789012345678', '-0.000000000000000001', NULL]::DECIMAL(38,18)[]) AS decimal_38_18,
  unnest([0.1, 'NaN', NULL]::FLOAT[]) AS float,
  unnest([0.1, 'Infinity', NULL]::DOUBLE[]) AS double,
  unnest([1e300, '-Infinity', NULL]::DOUBLE[]) AS double_far,
  unnest([5e-324, '-0.0', NULL]::DOUBLE[]) AS double_small,
  unnest(['plain', '', NULL]) AS text,
  unnest(['quote \" comma , back \\ slash', E'line\\r\\nbreak \\t tab \u{1}', NULL]) AS text_escaped,
  unnest(['ünïcode 🌊', ' edge ', NULL]) AS text_wide,
  unnest(['\\x00\\xFFab', '', NULL]::BLOB[]) AS blob,
  unnest(['2001-03-31', '0001-01-01', NULL]::DATE[]) AS date,
  unnest(['infinity', '-infinity', NULL]::DATE[]) AS date_infinite,
  unnest(['0044-03-15 (BC)', '12345-06-07', NULL]::DATE[]) AS date_far,
  unnest(['23:59:00', '00:00:00.000001', NULL]::TIME[]) AS time,
  unnest(['2001-03-31 23:59:00', '1969-12-31 23:59:59.999999', NULL]::TIMESTAMP[]) AS timestamp,
  unnest(['2001-03-31 23:59:00.5', 'infinity', NULL]::TIMESTAMP[]) AS timestamp_half,
  unnest(['2001-03-31 23:59:00', '1969-12-31 23:59:59', NULL]::TIMESTAMP_S[]) AS timestamp_s,
  unnest(['2001-03-31 23:59:00.123', '1969-12-31 23:59:59', NULL]::TIMESTAMP_MS[]) AS timestamp_ms,
  unnest(['2001-03-31 23:59:00.123456789', '1969-12-31 23:59:59', NULL]::TIMESTAMP_NS[]) AS timestamp_ns,
  unnest(['2001-03-31 23:59:00+02', '1969-12-31 23:59:59Z', NULL]::TIMESTAMPTZ[]) AS timestamptz,
  unnest(['1 year 14 months 3 days 04:05:06.5', '-1 day -00:00:00.25', NULL]::INTERVAL[]) AS interval,
  unnest(['00112233-4455-6677-8899-aabbccddeeff', 'ffffffff-ffff-ffff-ffff-ffffffffffff', NULL]::UUID[]) AS uuid,
  unnest([[1, NULL, 3], [], NULL]::BIGINT[][]) AS list,
  unnest([['a', NULL], ['b', 'c'], NULL]::VARCHAR[2][]) AS array_2,
  unnest([{'a': 1, 'b \"': 'x'}, {'a': NULL, 'b \"': ''}, NULL]) AS struct,
  unnest([MAP {'k': 1.5, 'l': NULL}, MAP {}, NULL]::MAP(VARCHAR, DOUBLE)[]) AS map,
  unnest([MAP {1: ['x']}, MAP {}, NULL]::MAP(INTEGER, VARCHAR[])[]) AS map_by_number
";

async fn all_types(format: Format, numbers_as_text: bool) -> Vec<u8> {
    let encoding = Encoding { format, numbers_as_text };
    let world = World::new();
    collect(world.start(TYPES, &[], encoding, LIMITS).await.unwrap()).await.unwrap()
}

#[test]
fn the_library_and_the_number_belong_together() {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let version: String =
        connection.query_row("SELECT version()", [], |row| row.get(0)).unwrap();
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
    assert_eq!(value["data"][1]["bigint"], "9223372036854775807");
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
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes.clone(), 100);
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
async fn unwritable_columns_are_the_clients_to_cast() {
    let world = World::new();
    let sql = "SELECT [INTERVAL 1 DAY] AS nested";
    let parquet = world.bytes(sql, &[], Format::Parquet).await;
    assert!(matches!(parquet, Err(springtide_engine::EngineError::InvalidSql { .. })), "{parquet:?}");
    assert_eq!(world.ndjson(sql, &[]).await, "{\"nested\":[\"P1D\"]}\n");
}
