//! Deleted rows of every kind, as other writers leave them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use iceberg::spec::{
    DataFile as Entry, FormatVersion, NestedField, PrimitiveType, Schema, Type,
    UnboundPartitionSpec,
};
use springtide_protocol::PartitionId;
use springtide_relation::ChunkId;

use super::*;
use crate::lake::LakeSnapshot;
use crate::lake::testing::others::{Day, Other, blob, field};
use crate::lake::testing::{DAY, MICROS_PER_DAY, Place, Row, ids, living, map, range, request};

mod bad;
mod independent;
mod model;

/// Rows with these ids on one day; every third has no city.
fn on(day: i64, ids: std::ops::Range<i64>) -> Vec<Row> {
    let row = |id: i64| Row {
        id,
        at: Some(DAY + day * MICROS_PER_DAY),
        price: Some(1.0),
        city: (id % 3 != 0).then(|| format!("city-{id}")),
    };
    ids.map(row).collect()
}

async fn living_in(other: &Other) -> Vec<i64> {
    living(&other.table.refresh().await.unwrap())
}

/// What deleted rows of each file, by the end of the names.
async fn names(other: &Other) -> Vec<Vec<String>> {
    let snapshot = other.table.refresh().await.unwrap();
    let mut files: Vec<_> = snapshot.files.iter().collect();
    files.sort_by_key(|file| file.path.clone());
    let last = |name: &Arc<str>| name.rsplit('/').next().unwrap_or_default().to_owned();
    let of = |file: &&springtide_relation::DataFile| {
        file.dead.iter().flat_map(|dead| dead.deletes().iter().map(last)).collect()
    };
    files.iter().map(of).collect()
}

async fn upgrade(other: &Other) {
    other.edit(|builder| builder.upgrade_format_version(FormatVersion::V3).unwrap()).await;
}

#[tokio::test]
async fn position_deletes_take_rows_of_their_partition() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let a = other.file("a.parquet", Some(0), &on(0, 0..5)).await;
    let b = other.file("b.parquet", Some(0), &on(0, 5..10)).await;
    let c = other.file("c.parquet", Some(1), &on(1, 10..15)).await;
    let paths = [a.file_path().to_owned(), b.file_path().to_owned(), c.file_path().to_owned()];
    // Of the same snapshot: position deletes apply to it already.
    let rows = [(&*paths[0], 1), (&*paths[0], 4), (&*paths[1], 0), (&*paths[2], 0), ("/none", 0)];
    let first = other.positions("d1.parquet", Some(0), &rows).await;
    other.commit(vec![a, b, c], vec![first]).await;
    assert_eq!(living_in(&other).await, [0, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(names(&other).await, [vec!["d1.parquet"], vec!["d1.parquet"], vec![]]);
    let again = other.positions("d2.parquet", Some(0), &[(&paths[0], 1), (&paths[0], 0)]).await;
    other.commit(vec![], vec![again]).await;
    assert_eq!(living_in(&other).await[..3], [2, 3, 6]);
    assert_eq!(names(&other).await[0], ["d1.parquet", "d2.parquet"]);
    // Another connection finds the same.
    assert_eq!(living(&place.shared_table().await.refresh().await.unwrap())[..3], [2, 3, 6]);
}

#[tokio::test]
async fn files_that_come_after_a_delete_are_whole() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let city = |name| other.cities(name, Some(0), &[Some("city-1"), None]);
    let a = other.file("a.parquet", Some(0), &on(0, 0..3)).await;
    // An equality delete spares what came with it.
    other.commit(vec![a], vec![city("d1.parquet").await]).await;
    assert_eq!(living_in(&other).await, [0, 1, 2]);
    other.commit(vec![], vec![city("d2.parquet").await]).await;
    assert_eq!(living_in(&other).await, [2], "NULL is equal to NULL");
    let b = other.file("b.parquet", Some(0), &on(0, 0..3)).await;
    let path = b.file_path().to_owned();
    let early = other.positions("d3.parquet", Some(0), &[(&path, 2)]).await;
    other.commit(vec![], vec![early]).await;
    other.commit(vec![b], vec![]).await;
    assert_eq!(living_in(&other).await, [0, 1, 2, 2], "neither delete is of its time");
}

#[tokio::test]
async fn an_equality_delete_stays_in_its_partition_unless_it_has_none() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let a = other.file("a.parquet", Some(0), &on(0, 0..4)).await;
    let b = other.file("b.parquet", Some(1), &on(1, 0..4)).await;
    other.commit(vec![a, b], vec![]).await;
    let one = other.cities("d1.parquet", Some(1), &[Some("city-1")]).await;
    other.commit(vec![], vec![one]).await;
    assert_eq!(living_in(&other).await, [0, 0, 1, 2, 2, 3, 3]);
    let unpartitioned = UnboundPartitionSpec::builder().with_spec_id(1).build();
    other.edit(|builder| builder.add_partition_spec(unpartitioned).unwrap()).await;
    let all = other.cities("d2.parquet", None, &[Some("city-2")]).await;
    other.commit_under(1, vec![], vec![all]).await;
    assert_eq!(living_in(&other).await, [0, 0, 1, 3, 3]);
    // A position delete without partition has no file here.
    let path = other.location("a.parquet").await;
    let position = other.positions("d3.parquet", None, &[(&path, 0)]).await;
    other.commit_under(1, vec![], vec![position]).await;
    assert_eq!(living_in(&other).await, [0, 0, 1, 3, 3]);
}

/// The table's schema with one more column, which has this id and type.
fn with_column(
    other: &Schema,
    name: &str,
    kind: PrimitiveType,
    default: Option<Literal>,
) -> Schema {
    let mut fields: Vec<_> =
        other.as_struct().fields().iter().filter(|field| field.id != 5).cloned().collect();
    let mut field = NestedField::optional(5, name, Type::Primitive(kind));
    if let Some(default) = default {
        field = field.with_initial_default(default);
    }
    fields.push(Arc::new(field));
    Schema::builder().with_fields(fields).build().unwrap()
}

async fn add(other: &Other, name: &str, kind: PrimitiveType, default: Option<Literal>) {
    let base = other.table.base().await.unwrap();
    let schema = with_column(base.metadata().current_schema(), name, kind, default);
    other.edit(|builder| builder.add_current_schema(schema).unwrap()).await;
}

/// A file of rows (id, level) alone.
async fn levels(other: &Other, name: &str, ids: &[i64], levels: ArrayRef) -> Entry {
    let fields = [field("id", DataType::Int64, 1), field("x", levels.data_type().clone(), 5)];
    let schema = Arc::new(arrow::datatypes::Schema::new(fields.to_vec()));
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids.to_vec())), levels];
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    other.batch(name, Some(0), &batch).await
}

async fn levels_gone(other: &Other, name: &str, of: Day, levels: ArrayRef) -> Entry {
    let column = field("y", levels.data_type().clone(), 5);
    other.equal(name, of, vec![(column, levels)]).await
}

fn ints(values: &[Option<i32>]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

#[tokio::test]
async fn files_that_lack_the_column_have_null_or_its_default_there() {
    for (default, gone) in [(None, None), (Some(Literal::int(7)), Some(7))] {
        let place = Place::new();
        let other = Other::new(&place).await;
        upgrade(&other).await;
        let old = other.file("old.parquet", Some(0), &on(0, 0..3)).await;
        other.commit(vec![old], vec![]).await;
        add(&other, "level", PrimitiveType::Int, default).await;
        let new = ints(&[Some(7), None, Some(8)]);
        let new = levels(&other, "new.parquet", &[10, 11, 12], new).await;
        other.commit(vec![new], vec![]).await;
        let miss = levels_gone(&other, "d1.parquet", Some(0), ints(&[Some(1)])).await;
        other.commit(vec![], vec![miss]).await;
        assert_eq!(living_in(&other).await, [0, 1, 2, 10, 11, 12]);
        let delete = levels_gone(&other, "d2.parquet", Some(0), ints(&[gone])).await;
        other.commit(vec![], vec![delete]).await;
        let kept = if gone.is_some() { [11, 12] } else { [10, 12] };
        assert_eq!(living_in(&other).await, kept);
    }
}

#[tokio::test]
async fn keys_are_compared_in_the_type_that_the_column_has_now() {
    let place = Place::new();
    let other = Other::new(&place).await;
    add(&other, "level", PrimitiveType::Int, None).await;
    let a = levels(&other, "a.parquet", &[1, 2], ints(&[Some(1), Some(2)])).await;
    other.commit(vec![a], vec![]).await;
    let delete = levels_gone(&other, "d1.parquet", Some(0), ints(&[Some(2)])).await;
    other.commit(vec![], vec![delete]).await;
    assert_eq!(living_in(&other).await, [1]);
    add(&other, "level", PrimitiveType::Long, None).await;
    let long: ArrayRef = Arc::new(Int64Array::from(vec![Some(1)]));
    let delete = levels_gone(&other, "d2.parquet", Some(0), long).await;
    other.commit(vec![], vec![delete]).await;
    assert_eq!(living_in(&other).await, [0_i64; 0]);
    // The first delete's keys were read as INT; they meet a file that is compared as LONG.
    let c = levels(&other, "c.parquet", &[5, 6], ints(&[Some(2), Some(3)])).await;
    other.commit_as_of(1, c).await;
    assert_eq!(living_in(&other).await, [6]);
    assert_eq!(living(&place.shared_table().await.refresh().await.unwrap()), [6]);
}

#[tokio::test]
async fn keys_of_several_columns_are_equal_as_a_whole() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let rows = on(0, 0..6);
    let a = other.file("a.parquet", Some(0), &rows).await;
    other.commit(vec![a], vec![]).await;
    // In another order than the table's, and one row that matches in one column only.
    let cities = StringArray::from(vec![Some("city-1"), None, Some("city-4"), None]);
    let numbers = Int64Array::from(vec![Some(1), Some(3), Some(5), None]);
    let columns: Vec<(_, ArrayRef)> = vec![
        (field("city", DataType::Utf8, 4), Arc::new(cities)),
        (field("id", DataType::Int64, 1), Arc::new(numbers)),
    ];
    let delete = other.equal("d.parquet", Some(0), columns).await;
    other.commit(vec![], vec![delete]).await;
    assert_eq!(living_in(&other).await, [0, 2, 4, 5]);
}

#[tokio::test]
async fn a_deletion_vector_takes_the_place_of_position_deletes() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let a = other.file("a.parquet", Some(0), &on(0, 0..6)).await;
    let b = other.file("b.parquet", Some(0), &on(0, 6..9)).await;
    let rows = [(&*a.file_path().to_owned(), 0), (&*b.file_path().to_owned(), 0)];
    let old = other.positions("d1.parquet", Some(0), &rows).await;
    other.commit(vec![a.clone(), b], vec![old]).await;
    upgrade(&other).await;
    let vector = other.vector("v.puffin", &a, &blob(&[1, 5]), 2).await;
    other.commit(vec![], vec![vector]).await;
    assert_eq!(living_in(&other).await, [0, 2, 3, 4, 7, 8], "the position delete of a is over");
    assert_eq!(names(&other).await, [vec!["v.puffin#4"], vec!["d1.parquet"]]);
    let city = other.cities("d2.parquet", Some(0), &[Some("city-2")]).await;
    other.commit(vec![], vec![city]).await;
    assert_eq!(living_in(&other).await, [0, 3, 4, 7, 8], "equality deletes apply besides");
}

#[test]
fn bitmaps_beyond_32_bits_come_back() {
    let positions = [0, 70_000, u64::from(u32::MAX) + 5, 1 << 40];
    let decoded = vector::decode(&blob(&positions)).unwrap();
    assert_eq!(decoded.iter().collect::<Vec<_>>(), positions);
    assert!(vector::decode(&blob(&[])).unwrap().is_empty());
}

/// Rows of each chunk of the lake.
fn chunk_rows(snapshot: &LakeSnapshot) -> Vec<(i64, u64)> {
    snapshot.chunks.iter().map(|(id, columns)| (id.index, columns[0].rows)).collect()
}

#[tokio::test]
async fn chunks_of_the_stream_lose_the_rows_that_others_delete() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let schema = other.table.refresh().await.unwrap().schema.clone();
    let request_of = |from, next| request(from, next, vec![range(&schema, from, next)]);
    let before = other.table.commit(request_of(0, 3_000)).await.unwrap();
    assert_eq!(chunk_rows(&before), [(0, 1_024), (1, 1_024), (2, 952)]);
    // row(id) is on day id % 3: of day 0 the whole second chunk, and one row of the first.
    let file = before.files.iter().find(|f| living_of(f).contains(&0)).unwrap();
    let local = format!("file://{}", file.path.display());
    let held = living_of(file);
    let gone: Vec<(&str, i64)> = (0..)
        .zip(&held)
        .filter(|(_, id)| **id == 3 || (1_024..2_048).contains(*id))
        .map(|(position, _)| (local.as_str(), position))
        .collect();
    let deleted = gone.len() as u64;
    let delete = other.positions("d.parquet", Some(0), &gone).await;
    other.commit(vec![], vec![delete]).await;
    let after = other.table.refresh().await.unwrap();
    assert_eq!(chunk_rows(&after), [(0, 1_023), (1, 1_024 - (deleted - 1)), (2, 952)]);
    let id = ChunkId { partition: PartitionId(0), index: 0 };
    assert_eq!(after.chunks[&id][0].nulls, Some(0), "there was none");
    assert_eq!((after.rows(), after.foreign_sequence), (3_000 - deleted, 2));
    let expected: Vec<i64> =
        (0..3_000).filter(|id| *id != 3 && (id % 3 != 0 || !(1_024..2_048).contains(id))).collect();
    assert_eq!(living(&after), expected);
    // Our own commits carry the deletes on, and move nothing else.
    let last = other.table.commit(request_of(3_000, 3_010)).await.unwrap();
    assert_eq!(living(&last), expected.into_iter().chain(3_000..3_010).collect::<Vec<_>>());
    assert_eq!((last.boundary.known(), last.foreign_sequence), (Some(&map(3_010)), 2));
    assert_eq!(ids(&last).len(), 3_010);
}

#[tokio::test]
async fn a_chunk_of_which_no_row_is_left_is_gone() {
    let place = Place::new();
    let other = Other::new(&place).await;
    let schema = other.table.refresh().await.unwrap().schema.clone();
    let rows: Vec<(i64, Row)> = (0..1_024).zip(on(0, 0..1_024)).collect();
    let mut batches = vec![crate::lake::testing::tail(&schema, 0, &rows)];
    batches.push(range(&schema, 1_024, 1_030));
    let before = other.table.commit(request(0, 1_030, batches)).await.unwrap();
    let file = before.files.iter().find(|f| f.rows > 1_000).unwrap();
    let local = format!("file://{}", file.path.display());
    let gone: Vec<(&str, i64)> = (0..1_024).map(|position| (local.as_str(), position)).collect();
    let delete = other.positions("d.parquet", Some(0), &gone).await;
    other.commit(vec![], vec![delete]).await;
    let after = other.table.refresh().await.unwrap();
    assert_eq!(chunk_rows(&after), [(1, 6)]);
    assert_eq!(living(&after), (1_024..1_030).collect::<Vec<_>>());
}

fn living_of(file: &springtide_relation::DataFile) -> Vec<i64> {
    use arrow::array::AsArray as _;
    use arrow::datatypes::Int64Type;
    let batches = crate::lake::testing::read(file);
    batches.iter().flat_map(|b| b["id"].as_primitive::<Int64Type>().values().to_vec()).collect()
}
