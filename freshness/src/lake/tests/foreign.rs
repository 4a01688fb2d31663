//! What other writers leave: many files, other formats, and the texts of our
//! own records.

use std::collections::HashMap;

use iceberg::spec::{
    DataContentType, DataFile as Entry, DataFileBuilder, DataFileFormat, Datum, Literal,
    PrimitiveType, Struct,
};
use iceberg::transaction::{ApplyTransactionAction as _, Transaction};
use springtide_protocol::{Offset, PartitionId};
use springtide_relation::{ChunkId, ColumnStatistics, FileOrigin, Scalar};

use super::super::bounds::{End, datum, scalar};
use super::super::record::{Piece, decode, encode};
use super::super::testing::{Place, ids, map, range, request};
use super::super::{LakeBoundary, LakeError, LakeTable};

fn entry(table: &iceberg::table::Table, number: i64, format: DataFileFormat) -> Entry {
    let path = format!("{}/data/elsewhere-{number}.parquet", table.metadata().location());
    let day = Literal::date(i32::try_from(number % 90).unwrap());
    let bound = |value: i64| HashMap::from([(1, Datum::long(value)), (4, Datum::string("Aachen"))]);
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(path)
        .file_format(format)
        .partition(Struct::from_iter([Some(day)]))
        .partition_spec_id(table.metadata().default_partition_spec_id())
        .record_count(10)
        .file_size_in_bytes(1000)
        .lower_bounds(bound(number))
        .upper_bounds(bound(number + 9))
        .null_value_counts(HashMap::from([(1, 0)]))
        .build()
        .unwrap()
}

/// Entries of files that are never opened.
pub(super) async fn entries(table: &LakeTable, from: i64, count: i64) -> Vec<Entry> {
    let base = table.base().await.unwrap();
    (from..from + count).map(|number| entry(&base, number, DataFileFormat::Parquet)).collect()
}

/// An append as others make it.
pub(super) async fn append(table: &LakeTable, entries: Vec<Entry>) {
    let base = table.base().await.unwrap();
    let transaction = Transaction::new(&base);
    let append = transaction.fast_append().with_check_duplicate(false).add_data_files(entries);
    append.apply(transaction).unwrap().commit(table.catalog()).await.unwrap();
}

#[tokio::test]
async fn files_of_others_are_planned_and_make_the_boundary_unknown_unless_allowed() {
    let place = Place::new();
    let strict = place.table().await;
    append(&strict, entries(&strict, 0, 3).await).await;
    let snapshot = strict.refresh().await.unwrap();
    assert!(matches!(snapshot.boundary, LakeBoundary::Unknown { .. }));
    assert_eq!((snapshot.files.len(), snapshot.foreign_sequence), (3, 1));
    let file = snapshot.files.iter().find(|f| f.path.ends_with("elsewhere-2.parquet")).unwrap();
    assert!(matches!(&file.origin, FileOrigin::Foreign(path) if path.starts_with("file:///")));
    assert_eq!(file.columns[0].nulls, Some(0));
    assert!(matches!(file.columns[0].upper, Some(Scalar::Integer(11))));
    assert!(file.columns[1].lower.is_none() && file.columns[2].nans.is_none());
    let shared = place.shared_table().await.refresh().await.unwrap();
    assert!(shared.boundary.known().is_some_and(springtide_protocol::OffsetMap::is_empty));
}

#[tokio::test]
async fn other_formats_are_refused_by_name() {
    let place = Place::new();
    let table = place.table().await;
    let base = table.base().await.unwrap();
    append(&table, vec![entry(&base, 1, DataFileFormat::Orc)]).await;
    let error = table.refresh().await.unwrap_err();
    assert!(matches!(&error, LakeError::NotParquet { .. }), "{error}");
}

#[test]
fn bounds_go_into_a_manifest_and_come_back_as_bounds() {
    let long = "Frankfurt am Main, Flughafen";
    let cases = [
        (PrimitiveType::Boolean, Scalar::Boolean(true)),
        (PrimitiveType::Int, Scalar::Integer(-5)),
        (PrimitiveType::Long, Scalar::Integer(i64::MIN.into())),
        (PrimitiveType::Float, Scalar::Float(0.5)),
        (PrimitiveType::Double, Scalar::Float(f64::INFINITY)),
        (PrimitiveType::Double, Scalar::Float(0.0)),
        (PrimitiveType::Decimal { precision: 38, scale: 2 }, Scalar::Decimal(-12_345, 2)),
        (PrimitiveType::Date, Scalar::Date(-1)),
        (PrimitiveType::Time, Scalar::Time(86_399_999_999)),
        (PrimitiveType::Timestamp, Scalar::Timestamp(-1)),
        (PrimitiveType::Timestamptz, Scalar::Timestamp(1)),
        (PrimitiveType::String, Scalar::Text("Aachen".into())),
        (PrimitiveType::Uuid, Scalar::Binary([7; 16].as_slice().into())),
    ];
    for (kind, value) in cases {
        for end in [End::Lower, End::Upper] {
            let back = datum(&value, &kind, end).and_then(|datum| {
                // As the manifest stores it.
                let bytes = datum.to_bytes().unwrap();
                scalar(&Datum::try_from_bytes(&bytes, kind.clone()).unwrap(), end)
            });
            assert_eq!(back.unwrap().compare(&value), Some(std::cmp::Ordering::Equal), "{kind}");
        }
    }
    let text = Scalar::Text(long.into());
    let bound = |end| scalar(&datum(&text, &PrimitiveType::String, end).unwrap(), end).unwrap();
    assert!(bound(End::Lower).compare(&text).unwrap().is_lt());
    assert!(bound(End::Upper).compare(&text).unwrap().is_gt());
    assert!(scalar(&Datum::double(f64::NAN), End::Upper).is_none());
    let nanos = |end| scalar(&Datum::timestamp_nanos(-1_500), end).unwrap();
    assert_eq!(nanos(End::Lower).compare(&Scalar::Timestamp(-2)), Some(std::cmp::Ordering::Equal));
    assert_eq!(nanos(End::Upper).compare(&Scalar::Timestamp(-1)), Some(std::cmp::Ordering::Equal));
}

#[test]
fn the_record_of_chunks_comes_back_exactly() {
    let values = [
        Scalar::Boolean(false),
        Scalar::Integer(i128::MIN),
        Scalar::Float(f64::NEG_INFINITY),
        Scalar::Float(0.1 + 0.2),
        Scalar::Decimal(-5, 3),
        Scalar::Date(-9),
        Scalar::Time(9),
        Scalar::Timestamp(i64::MAX),
        Scalar::Text("a:\"b\"\u{10ffff}".into()),
        Scalar::Binary([0, 255, 16].as_slice().into()),
    ];
    let column = |value: &Scalar| ColumnStatistics {
        lower: Some(value.clone()),
        upper: None,
        nulls: Some(3),
        nans: None,
        rows: 9,
    };
    let piece = Piece {
        chunk: ChunkId { partition: PartitionId(2), index: 5 },
        first: Offset(5120),
        last: Offset(5200),
        rows: 9,
        columns: values.iter().map(column).zip(1..).map(|(c, id)| (id, c)).collect(),
    };
    let text = encode(std::slice::from_ref(&piece));
    assert_eq!(format!("{:?}", decode(&text).unwrap()), format!("{:?}", [piece]));
    assert!(decode(&text.replace("\"v\":1", "\"v\":2")).is_none());
    assert!(decode(&text.replace("ts:", "moment:")).is_none());
}

#[tokio::test]
async fn the_ancestor_that_earlier_versions_need_is_found() {
    let place = Place::new();
    let table = place.shared_table().await;
    let schema = table.refresh().await.unwrap().schema.clone();
    let commit = async |from: i64, next: i64| {
        table.commit(request(from, next, vec![range(&schema, from, next)])).await.unwrap()
    };
    let former = async |since: i64, most: i64| {
        let found = table.former(since, most).await.unwrap();
        found.map(|snapshot| (ids(&snapshot).len(), snapshot.boundary.known().cloned()))
    };
    assert_eq!(former(0, i64::MAX).await, None, "a table without a snapshot");
    commit(0, 10).await;
    assert_eq!(former(0, i64::MAX).await, None, "the first one has no ancestor");
    commit(10, 30).await;
    commit(30, 35).await;
    assert_eq!(former(0, i64::MAX).await, Some((10, Some(map(10)))));
    assert_eq!(former(0, 25).await, Some((10, Some(map(10)))));
    assert_eq!(former(0, 24).await, Some((30, Some(map(30)))), "farther than is read again");
    assert_eq!(former(i64::MAX, i64::MAX).await, None, "superseded before the window");
    append(&table, entries(&table, 0, 1).await).await;
    assert_eq!(former(0, i64::MAX).await, None, "rows of others came between");
    commit(35, 40).await;
    let found = table.former(0, i64::MAX).await.unwrap().unwrap();
    assert_eq!(found.boundary.known(), Some(&map(35)));
    assert_eq!(found.foreign_sequence, table.refresh().await.unwrap().foreign_sequence);
}
