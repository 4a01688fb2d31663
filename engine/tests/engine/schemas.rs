//! Files of older schemas, read by field id; files without ids, by name; paths
//! that look like partitions.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StructArray,
};
use arrow::datatypes::{DataType, Field, Schema};

use crate::model::{Row, batch, data_file, offsets, relation, write_parquet};
use crate::support::World;

fn old_file(columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn with_id(name: &str, data_type: DataType, id: i32) -> Field {
    let metadata = [("PARQUET:field_id".to_owned(), id.to_string())];
    Field::new(name, data_type, true).with_metadata(metadata.into())
}

const SQL: &str = "SELECT key, text, number FROM t ORDER BY key";

#[tokio::test]
async fn older_files_are_read_by_field_id_and_widened() {
    let world = World::new();
    let new = Row { partition: 0, offset: 0, key: 3, text: Some("new".into()), number: 0.5 };
    let new = data_file(&world.file("new.parquet"), &batch(&[new]));
    // `key` was an INT called `id`, `text` was called `key`, `number` was not there.
    let old = old_file(vec![
        (with_id("key", DataType::Utf8, 2), Arc::new(StringArray::from(vec!["one", "two"]))),
        (with_id("id", DataType::Int32, 1), Arc::new(Int32Array::from(vec![1, 2]))),
    ]);
    let old = data_file(&world.file("old.parquet"), &old);
    let relation = relation(offsets(&[]), offsets(&[]), vec![old, new], Vec::new());
    assert_eq!(
        world.ndjson(SQL, &[Arc::new(relation)]).await,
        "{\"key\":1,\"text\":\"one\",\"number\":null}\n\
         {\"key\":2,\"text\":\"two\",\"number\":null}\n\
         {\"key\":3,\"text\":\"new\",\"number\":0.5}\n"
    );
}

#[tokio::test]
async fn files_without_field_ids_are_read_by_name() {
    let world = World::new();
    let plain = old_file(vec![
        (Field::new("text", DataType::Utf8, true), Arc::new(StringArray::from(vec!["a"])) as _),
        (Field::new("key", DataType::Int64, true), Arc::new(Int64Array::from(vec![7])) as _),
    ]);
    let plain = data_file(&world.file("plain.parquet"), &plain);
    let relation = relation(offsets(&[]), offsets(&[]), vec![plain], Vec::new());
    assert_eq!(
        world.ndjson(SQL, &[Arc::new(relation)]).await,
        "{\"key\":7,\"text\":\"a\",\"number\":null}\n"
    );
}

#[tokio::test]
async fn a_path_never_lends_a_column_its_value() {
    let world = World::new();
    let row = Row { partition: 0, offset: 0, key: 1, text: Some("of the row".into()), number: 1.0 };
    let path = world.file("text=of the path/it's.parquet");
    write_parquet(&path, &batch(std::slice::from_ref(&row)));
    let file = data_file(&path, &batch(&[row]));
    let relation = relation(offsets(&[]), offsets(&[]), vec![file], Vec::new());
    assert_eq!(
        world.ndjson(SQL, &[Arc::new(relation)]).await,
        "{\"key\":1,\"text\":\"of the row\",\"number\":1.0}\n"
    );
}

#[tokio::test]
async fn nan_inside_a_struct_is_above_all_too() {
    let world = World::new();
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN), None]));
    let member = Arc::new(Field::new("f", DataType::Float64, true));
    let nulls = Some(vec![true, true, false].into());
    let nested: ArrayRef = Arc::new(StructArray::new(vec![member].into(), vec![numbers], nulls));
    let file = old_file(vec![(Field::new("s", nested.data_type().clone(), true), nested)]);
    let schema = file.schema();
    let file = data_file(&world.file("nested.parquet"), &file);
    let mut relation = relation(offsets(&[]), offsets(&[]), vec![file], Vec::new());
    relation.schema = schema;
    let relation = [Arc::new(relation)];
    for (filter, wanted) in [("s.f > 100", 1), ("s.f = 1", 1), ("s IS NULL", 1), ("s.f IS NULL", 1)]
    {
        let sql = format!("SELECT count(*) AS n FROM t WHERE {filter}");
        let found = world.ndjson(&sql, &relation).await;
        assert_eq!(found, format!("{{\"n\":{wanted}}}\n"), "{filter}");
    }
}
