//! Every type that a table may have, through each part of the union: the same
//! rows from a data file, from memory, and from both with windows in between.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array, Int64Array, Int64Builder,
    ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Schema};
use springtide_protocol::PartitionId;
use springtide_relation::{SegmentData, TailBatch};

use crate::model::{data_file, offsets, relation, segment};
use crate::support::World;

const ROWS: i64 = 5_000;

/// NULL at every seventh row.
fn some<T>(row: i64, value: T) -> Option<T> {
    (row % 7 != 3).then_some(value)
}

fn lists() -> ArrayRef {
    let mut lists = ListBuilder::new(Int64Builder::new());
    for row in 0..ROWS {
        (0..row % 4).for_each(|item| lists.values().append_option(some(row + item, item)));
        lists.append(row % 7 != 3);
    }
    Arc::new(lists.finish())
}

fn maps() -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..ROWS {
        for key in 0..row % 3 {
            maps.keys().append_value(format!("k{key}"));
            maps.values().append_option(some(row, row * key));
        }
        maps.append(row % 7 != 3).unwrap();
    }
    Arc::new(maps.finish())
}

fn structs() -> ArrayRef {
    let numbers: ArrayRef = Arc::new((0..ROWS).map(|r| some(r, r)).collect::<Int64Array>());
    let texts: ArrayRef =
        Arc::new((0..ROWS).map(|r| Some(format!("text of row {r}"))).collect::<StringArray>());
    let fields = vec![
        Arc::new(Field::new("number", numbers.data_type().clone(), true)),
        Arc::new(Field::new("text", texts.data_type().clone(), true)),
    ];
    let nulls = (0..ROWS).map(|r| r % 5 != 0).collect();
    Arc::new(StructArray::new(fields.into(), vec![numbers, texts], Some(nulls)))
}

fn uuids() -> (Field, ArrayRef) {
    let values = (0..ROWS).map(|r| some(r, uuid::Uuid::from_u128(r as u128 * 7_919).into_bytes()));
    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, 16).unwrap();
    let metadata = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())];
    let field = Field::new("id", array.data_type().clone(), true);
    (field.with_metadata(metadata.into()), Arc::new(array))
}

/// A column a type, after the key.
fn batch() -> RecordBatch {
    fn rows<T, A: FromIterator<Option<T>>>(value: impl Fn(i64) -> T) -> A {
        (0..ROWS).map(|row| some(row, value(row))).collect()
    }
    let decimals = rows::<_, Decimal128Array>(|r| i128::from(r) * 10_i128.pow(20));
    let zoned = TimestampMicrosecondArray::from_iter((0..ROWS).map(|r| some(r, r * 1_000_001)));
    let instants = TimestampMicrosecondArray::from_iter((0..ROWS).map(|r| some(r, -r * 999)));
    let nanos = TimestampNanosecondArray::from_iter((0..ROWS).map(|r| some(r, r * 1_001)));
    let times = Time64MicrosecondArray::from_iter((0..ROWS).map(|r| some(r, r * 1_000_003)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("key", Arc::new((0..ROWS).collect::<Int64Array>())),
        ("yes", Arc::new((0..ROWS).map(|r| some(r, r % 2 == 0)).collect::<BooleanArray>())),
        ("small", Arc::new(rows::<_, Int32Array>(|r| r as i32 - 100))),
        ("float", Arc::new(rows::<_, Float32Array>(|r| r as f32 / 8.0))),
        (
            "double",
            Arc::new(rows::<_, Float64Array>(|r| if r % 9 == 0 { f64::NAN } else { r as f64 })),
        ),
        ("decimal", Arc::new(decimals.with_precision_and_scale(38, 10).unwrap())),
        ("day", Arc::new(rows::<_, Date32Array>(|r| r as i32))),
        ("clock", Arc::new(times)),
        ("instant", Arc::new(instants)),
        ("nano", Arc::new(nanos)),
        ("zoned", Arc::new(zoned.with_timezone("UTC"))),
        (
            "text",
            Arc::new(
                (0..ROWS)
                    .map(|r| some(r, format!("a text of some length {r}")))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "bytes",
            Arc::new((0..ROWS).map(|r| some(r, r.to_le_bytes().to_vec())).collect::<BinaryArray>()),
        ),
        ("list", lists()),
        ("map", maps()),
        ("struct", structs()),
    ];
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = columns
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array))
        .unzip();
    let (field, array) = uuids();
    fields.push(field);
    arrays.push(array);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

#[tokio::test]
async fn every_type_is_the_same_from_every_part() {
    let world = World::new();
    let all = batch();
    let tail = |from: i64, to: i64| {
        let rows = all.slice(from as usize, (to - from) as usize);
        let offsets = (from..to).collect::<Int64Array>();
        let batch = TailBatch { partition: PartitionId(0), offsets, rows };
        segment(0, from, to, (to - from) as usize, SegmentData::Memory(vec![batch]))
    };
    let with = |boundary: i64, files, segments| {
        let mut relation =
            relation(offsets(&[(0, boundary)]), offsets(&[(0, ROWS)]), files, segments);
        relation.schema = all.schema();
        [Arc::new(relation)]
    };
    let file = |name: &str, rows: &RecordBatch| data_file(&world.file(name), rows);
    let from_file = with(ROWS, vec![file("all.parquet", &all)], Vec::new());
    let from_memory = with(0, Vec::new(), vec![tail(0, ROWS)]);
    let part = file("part.parquet", &all.slice(0, 1_777));
    let from_both = with(1_777, vec![part], vec![tail(1_000, 3_333), tail(3_333, ROWS)]);
    let sql = "SELECT * FROM t ORDER BY key";
    let expected = world.ndjson(sql, &from_file).await;
    assert_eq!(expected.lines().count(), ROWS as usize);
    assert!(expected.contains("\"id\":\"00000000-0000-0000-0000-000000001eef\""));
    for (name, relation) in [("memory", &from_memory), ("both", &from_both)] {
        let answer = world.ndjson(sql, relation).await;
        let differs = answer.lines().zip(expected.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{name}");
        assert_eq!(answer.len(), expected.len());
        let few =
            "SELECT text, list, struct.text AS s FROM t WHERE small > 4000 ORDER BY key LIMIT 9";
        assert_eq!(world.ndjson(few, relation).await, world.ndjson(few, &from_file).await);
    }
}
