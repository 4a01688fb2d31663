//! Which files are read together, and what is remembered of them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;

use super::footer::Naming;
use super::*;

fn write(path: &Path, column: &str) {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([(column, values)]).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn names(columns: &[(Option<i32>, String)]) -> Vec<&str> {
    columns.iter().map(|(_, name)| name.as_str()).collect()
}

#[test]
fn equal_lists_of_columns_are_shared() {
    let folder = tempfile::TempDir::new().unwrap();
    let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    write(&a, "x");
    write(&b, "x");
    let footers = Footers::new();
    let columns = |path| footers.columns(path, Naming::Unique).unwrap();
    assert!(Arc::ptr_eq(&columns(&a), &columns(&b)));
    std::fs::remove_file(&a).unwrap();
    assert_eq!(names(&columns(&a)), ["x"], "a lake's file is looked at once");
}

#[test]
fn a_segments_name_may_be_used_again() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("000000000001.parquet");
    let footers = Footers::new();
    let columns = || footers.columns(&path, Naming::Reused);
    write(&path, "x");
    assert_eq!(names(&columns().unwrap()), ["x"]);
    std::fs::remove_file(&path).unwrap();
    assert!(columns().is_err());
    write(&path, "another");
    assert_eq!(names(&columns().unwrap()), ["another"]);
}
