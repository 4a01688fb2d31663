//! The rule of what is taken, by examples of each type; offsets under poison
//! by property.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use proptest::prelude::*;
use springtide_protocol::{Offset, PartitionId};

use super::{Decoded, Decoder, InvalidBody, InvalidRow, validate_ndjson};
use crate::settings::UnknownColumns::Collect;
use crate::stream::Record;

mod body;
mod unknown;

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

fn record(offset: i64, value: &[u8]) -> Record {
    Record {
        partition: PartitionId(0),
        offset: Offset(offset),
        timestamp_ms: Some(1),
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
    }
}

fn decode(schema: &SchemaRef, value: &str) -> Decoded {
    Decoder::new(Arc::clone(schema), Collect).unwrap().decode(&[record(5, value.as_bytes())])
}

fn only(schema: &SchemaRef, value: &str) -> RecordBatch {
    let mut decoded = decode(schema, value);
    assert!(decoded.rejected.is_empty(), "{value}: {:?}", decoded.rejected);
    decoded.batches.remove(0).rows
}

fn reason(schema: &SchemaRef, value: &str) -> InvalidRow {
    let mut decoded = decode(schema, value);
    assert!(decoded.batches.is_empty(), "{value} was taken");
    decoded.rejected.remove(0).reason
}

/// JSON values of one column that are taken, each with how it reads then.
fn taken(data_type: &DataType, examples: &[(&str, &str)]) {
    let schema = schema(vec![Field::new("c", data_type.clone(), true)]);
    for (json, expected) in examples {
        let rows = only(&schema, &format!("{{\"c\": {json} }}"));
        assert_eq!(rows.num_rows(), 1);
        let shown = array_value_to_string(rows.column(0), 0).unwrap();
        assert_eq!(&shown, expected, "{json} as {data_type}");
    }
    assert_eq!(only(&schema, r#"{"c":null}"#).column(0).null_count(), 1);
}

/// JSON values of one column that are refused by name of the column.
fn refused(data_type: &DataType, examples: &[&str]) {
    let schema = schema(vec![Field::new("c", data_type.clone(), true)]);
    for json in examples {
        let reason = reason(&schema, &format!("{{\"c\":{json}}}"));
        assert!(matches!(&reason, InvalidRow::Value { column, .. } if column == "c"), "{json}");
        assert!(reason.detail().starts_with("column `c`: expected "), "{reason}");
    }
}

#[test]
fn booleans() {
    taken(&DataType::Boolean, &[("true", "true"), ("false", "false")]);
    refused(&DataType::Boolean, &["1", "\"true\"", "[]", "{}"]);
}

#[test]
fn whole_numbers_are_never_wrapped_cut_or_parsed_out_of_text() {
    let long = [
        ("0", "0"),
        ("-0", "0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740993.0", "9007199254740993"),
        ("5.00", "5"),
        ("1e3", "1000"),
        ("1200e-2", "12"),
        ("0e9999", "0"),
    ];
    taken(&DataType::Int64, &long);
    let never = ["9223372036854775808", "1.5", "1e-1", "1e19", "1e999999", "\"1\"", "true", "[1]"];
    refused(&DataType::Int64, &never);
    taken(&DataType::Int32, &[("2147483647", "2147483647"), ("-2147483648", "-2147483648")]);
    refused(&DataType::Int32, &["2147483648", "-2147483649", "1.25"]);
}

#[test]
fn floats() {
    let double = [("1", "1.0"), ("-2.5", "-2.5"), ("1e300", "1e300"), ("\"NaN\"", "NaN")];
    taken(&DataType::Float64, &double);
    taken(&DataType::Float64, &[("\"Infinity\"", "inf"), ("\"-Infinity\"", "-inf")]);
    taken(&DataType::Float32, &[("0.1", "0.1"), ("-0.0", "-0.0")]);
    refused(&DataType::Float64, &["1e400", "\"1.5\"", "\"inf\"", "true"]);
    refused(&DataType::Float32, &["1e39", "\"nan\""]);
}

#[test]
fn decimals_fit_exactly_or_not_at_all() {
    let decimal = DataType::Decimal128(10, 2);
    let fits = [
        ("1", "1.00"),
        ("-1.5", "-1.50"),
        ("99999999.99", "99999999.99"),
        ("\"12.30\"", "12.30"),
        ("1.100", "1.10"),
        ("1.5e2", "150.00"),
    ];
    taken(&decimal, &fits);
    refused(&decimal, &["100000000", "0.001", "\"1,5\"", "\"\"", "\"NaN\"", "1e50", "true"]);
    let widest = "12345678901234567890123456789012345678";
    taken(&DataType::Decimal128(38, 0), &[(widest, widest)]);
}

#[test]
fn dates_and_times() {
    let dates = [("\"2001-03-31\"", "2001-03-31"), ("11412", "2001-03-31"), ("-1", "1969-12-31")];
    taken(&DataType::Date32, &dates);
    let never = ["\"2001-02-29\"", "\"2001-3-31\"", "\"2001-03-31T00:00\"", "1.5", "99999999"];
    refused(&DataType::Date32, &never);
    let time = DataType::Time64(TimeUnit::Microsecond);
    taken(&time, &[("\"23:59\"", "23:59:00"), ("\"01:02:03.000004\"", "01:02:03.000004")]);
    refused(&time, &["\"24:00\"", "\"23:59:60\"", "3600", "\"1:02:03\""]);
}

#[test]
fn timestamps_in_their_many_spellings() {
    let plain = DataType::Timestamp(TimeUnit::Microsecond, None);
    let same = "2001-03-31T23:59:00";
    let spellings = [
        ("\"2001-03-31T23:59:00\"", same),
        ("\"2001-03-31 23:59:00\"", same),
        ("\"2001-03-31T23:59\"", same),
        ("\"2001-03-31T23:59:00Z\"", same),
        ("\"2001-03-31T23:59:00.000Z\"", same),
        ("\"2001-04-01T01:59:00+02:00\"", same),
        ("\"2001-03-31T18:59:00-0500\"", same),
        ("\"2001-04-01 01:59:00 +02\"", same),
        ("986083140000", same),
        ("\"2001-03-31T23:59:00.123456\"", "2001-03-31T23:59:00.123456"),
        ("\"2001-03-31T23:59:00.123456789\"", "2001-03-31T23:59:00.123456"),
        ("\"2001-03-31\"", "2001-03-31T00:00:00"),
        ("-1", "1969-12-31T23:59:59.999"),
    ];
    taken(&plain, &spellings);
    let never = [
        "\"yesterday\"",
        "\"2001-03-31T25:00:00\"",
        "\"2001-03-31T23:59:00+25:00\"",
        "\"2001-03-31T23:59:00.\"",
        "\"2001-03-31X23:59:00\"",
        "\"ä001-03-31T23:59:00\"",
        "\"2001-03-31T23:5ä\"",
        "986083140000000",
        "1.5",
        "true",
    ];
    refused(&plain, &never);
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    taken(&zoned, &[("\"2001-04-01T01:59:00+02:00\"", "2001-03-31T23:59:00Z")]);
}

#[test]
fn text_and_bytes() {
    let text = [("\"a\"", "a"), ("\"\"", ""), (r#""\u00e4\n\ud83d\ude00""#, "ä\n😀")];
    taken(&DataType::Utf8, &text);
    taken(&DataType::LargeUtf8, &text);
    refused(&DataType::Utf8, &["1", "true", "{}", r#""\ud83d""#]);
    taken(&DataType::LargeBinary, &[("\"AQL/\"", "0102ff")]);
    taken(&DataType::Binary, &[("\"\"", "")]);
    refused(&DataType::LargeBinary, &["\"AQL\"", "\"!\"", "1"]);
    taken(&DataType::FixedSizeBinary(3), &[("\"AQL/\"", "0102ff")]);
    refused(&DataType::FixedSizeBinary(3), &["\"AQI=\""]);
    let uuid = "f79c3e09677c4bbda4793f349cb785e7";
    taken(
        &DataType::FixedSizeBinary(16),
        &[("\"f79c3e09-677c-4bbd-a479-3f349cb785e7\"", uuid), (&format!("\"{uuid}\""), uuid)],
    );
    refused(&DataType::FixedSizeBinary(16), &["\"f79c\"", "7"]);
}

#[test]
fn nested_values() {
    let element = Arc::new(Field::new("element", DataType::Int32, true));
    let list = DataType::List(element);
    taken(&list, &[("[1, null, 3]", "[1, , 3]"), ("[]", "[]")]);
    refused(&list, &["{}", "1"]);
    let members = Fields::from(vec![
        Field::new("a", DataType::Int64, false),
        Field::new("tags", list.clone(), true),
    ]);
    let structure = DataType::Struct(members);
    taken(&structure, &[(r#"{"tags":[1],"a":2,"x":{}}"#, "{a: 2, tags: [1]}")]);
    let nested = schema(vec![Field::new("s", structure, true)]);
    assert_eq!(reason(&nested, r#"{"s":{}}"#).column(), Some("s.a"));
    assert_eq!(reason(&nested, r#"{"s":{"a":1,"tags":["x"]}}"#).column(), Some("s.tags.element"));
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Int64, true),
    ]);
    let entries = Arc::new(Field::new("key_value", DataType::Struct(entries), false));
    let map = DataType::Map(entries, false);
    taken(&map, &[(r#"{"x":1,"y":null}"#, "{x: 1, y: }")]);
    let maps = schema(vec![Field::new("m", map, true)]);
    assert!(matches!(reason(&maps, r#"{"m":{"x":1,"x":2}}"#), InvalidRow::Repeated { .. }));
}

#[test]
fn rows_are_strict_json_objects() {
    let flights = schema(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("origin", DataType::Utf8, true),
    ]);
    let row = only(&flights, " {\"origin\":\"ATL\",\"id\":7}\n");
    assert_eq!(row.column(0).as_primitive::<Int64Type>().value(0), 7);
    let not_json =
        ["", " ", "7", "[]", "{\"id\":1}{\"id\":2}", "{\"id\":1,}", "{id:1}", "{\"id\":1"];
    for text in not_json {
        assert!(matches!(reason(&flights, text), InvalidRow::NotJson(_)), "{text}");
    }
    let leading = reason(&flights, "{\"id\":01}");
    assert!(matches!(leading, InvalidRow::NotJson(_)));
    let missing = reason(&flights, "{\"origin\":\"ATL\"}");
    assert!(matches!(missing, InvalidRow::Missing { column } if column == "id"));
    let null = reason(&flights, "{\"id\":null}");
    assert!(matches!(null, InvalidRow::Missing { column } if column == "id"));
    let twice = reason(&flights, "{\"id\":1,\"id\":1}");
    assert!(matches!(twice, InvalidRow::Repeated { column } if column == "id"));

    let mut decoder = Decoder::new(flights, Collect).unwrap();
    let tombstone = Record { value: None, ..record(0, b"") };
    let decoded = decoder.decode(&[tombstone, record(1, b"{\"id\":\xff}")]);
    assert!(matches!(decoded.rejected[0].reason, InvalidRow::Tombstone));
    assert!(matches!(decoded.rejected[1].reason, InvalidRow::NotUtf8(_)));
}

#[test]
fn a_type_that_json_cannot_carry_is_named() {
    let odd = schema(vec![Field::new("d", DataType::Duration(TimeUnit::Second), true)]);
    let unsupported = Decoder::new(odd, Collect).unwrap_err();
    assert_eq!(unsupported.column, "d");
}

#[derive(Clone, Debug)]
enum Message {
    Good,
    Poison(&'static str),
    Tombstone,
}

fn messages() -> impl Strategy<Value = Vec<(i32, i64, Message)>> {
    let poison =
        prop::sample::select(vec!["", "{", "{}", "[{\"id\":1}]", "{\"id\":\"1\"}", "{\"id\":1.5}"]);
    let message = prop_oneof![
        6 => Just(Message::Good),
        2 => poison.prop_map(Message::Poison),
        1 => Just(Message::Tombstone),
    ];
    prop::collection::vec((0..3i32, 1..4i64, message), 0..200)
}

proptest! {
    /// Offsets have gaps, partitions interleave, poison is anywhere: every good
    /// record is a row at its own offset, every other is rejected at its own.
    #[test]
    fn a_poison_record_never_shifts_an_offset(messages in messages()) {
        let mut next = [0i64; 3];
        let mut records = Vec::new();
        let mut expected: Vec<Vec<i64>> = vec![vec![]; 3];
        let mut bad = Vec::new();
        for (partition, step, message) in messages {
            let slot = usize::try_from(partition).unwrap();
            next[slot] += step;
            let offset = next[slot];
            // The row tells its own offset, so that a shift shows.
            let value = match &message {
                Message::Good => Some(format!("{{\"id\":{}}}", offset * 10 + i64::from(partition))),
                Message::Poison(text) => Some((*text).to_owned()),
                Message::Tombstone => None,
            };
            match message {
                Message::Good => expected[slot].push(offset),
                _ => bad.push((partition, offset)),
            }
            records.push(Record {
                partition: PartitionId(partition),
                value: value.map(Bytes::from),
                ..record(offset, b"")
            });
        }
        let schema = schema(vec![Field::new("id", DataType::Int64, false)]);
        let decoded = Decoder::new(schema, Collect).unwrap().decode(&records);
        let rejected: Vec<_> =
            decoded.rejected.iter().map(|r| (r.partition.0, r.offset.0)).collect();
        prop_assert_eq!(rejected, bad);
        prop_assert!(decoded.batches.iter().all(|batch| !batch.is_empty()));
        for partition in 0..3i32 {
            let mut of_partition = decoded.batches.iter().filter(|b| b.partition.0 == partition);
            let batch = of_partition.next();
            prop_assert!(of_partition.next().is_none(), "one batch a partition");
            let offsets = batch.map_or(vec![], |b| b.offsets.values().to_vec());
            prop_assert_eq!(&offsets, &expected[usize::try_from(partition).unwrap()]);
            let ids = batch.map_or(vec![], |b| {
                b.rows.column(0).as_primitive::<Int64Type>().values().to_vec()
            });
            let told: Vec<_> = offsets.iter().map(|o| o * 10 + i64::from(partition)).collect();
            prop_assert_eq!(ids, told);
        }
    }

    /// What a body's check takes, decoding takes, and the other way round.
    #[test]
    fn the_check_of_a_body_and_decoding_agree(value in "[-0-9.eE\"tfnul{}:,\\[\\] a]{0,12}") {
        let schema = schema(vec![
            Field::new("d", DataType::Decimal128(6, 2), true),
            Field::new("i", DataType::Int32, true),
        ]);
        for column in ["d", "i"] {
            let line = format!("{{\"{column}\":{value}}}");
            let checked = validate_ndjson(&schema, Collect, &Bytes::from(line.clone()));
            prop_assert_eq!(checked.is_ok(), decode(&schema, &line).rejected.is_empty());
        }
    }

    /// Against the standard library's own parser.
    #[test]
    fn whole_numbers_agree_with_the_exact_value(n: i64, zeros in 0usize..5) {
        let schema = schema(vec![Field::new("n", DataType::Int64, true)]);
        for text in [format!("{n}"), format!("{n}.{}", "0".repeat(zeros + 1)), format!("{n}e0")] {
            let rows = only(&schema, &format!("{{\"n\":{text}}}"));
            prop_assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(0), n);
        }
    }
}

/// Prints rows per second; to see it alone: `cargo test -p springtide-freshness
/// --lib decode_throughput -- --nocapture`.
#[test]
fn decode_throughput() {
    let flights = schema(vec![
        Field::new("flight_id", DataType::Int64, true),
        Field::new("date", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("delay", DataType::Int64, true),
        Field::new("distance", DataType::Int64, true),
        Field::new("origin", DataType::Utf8, true),
        Field::new("destination", DataType::Utf8, true),
    ]);
    let row = |n: i64| {
        let text = format!(
            "{{\"flight_id\":{n},\"date\":\"2001-03-31T23:{:02}:00\",\"delay\":{},\"distance\":580,\"origin\":\"ATL\",\"destination\":\"DFW\"}}",
            n % 60,
            n % 90 - 20
        );
        record(n, text.as_bytes())
    };
    let records: Vec<_> = (0..200_000).map(row).collect();
    let mut decoder = Decoder::new(flights, Collect).unwrap();
    let begin = std::time::Instant::now();
    let decoded = decoder.decode(&records);
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(decoded.batches[0].len(), records.len());
    println!("decoded {:.0} rows/s", 200_000.0 / seconds);
}
