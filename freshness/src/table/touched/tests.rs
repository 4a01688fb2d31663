//! Which partitions rows and files touch.

use std::slice::from_ref;
use std::sync::Arc;

use arrow::array::{Int32Array, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{Field, Schema};
use springtide_relation::{DeadRows, FileOrigin};

use super::*;

const DAY_MS: i64 = 86_400_000;

fn rows(days: &[Option<i64>], origins: &[&str]) -> RecordBatch {
    let millis = days.iter().map(|day| day.map(|d| d * DAY_MS + 5)).collect::<Vec<_>>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMillisecondArray::from(millis)),
        Arc::new(StringArray::from(origins.to_vec())),
        Arc::new(Int32Array::from_iter_values(0..i32::try_from(days.len()).unwrap())),
    ];
    let fields: Vec<Field> = ["Date", "origin", "n"]
        .into_iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn touched(rows: &RecordBatch, partition: &str) -> Option<Vec<String>> {
    match Touched::of_rows(rows, Some(&partition.parse().unwrap())) {
        Touched::Partitions(values) => Some(values.into_iter().collect()),
        Touched::Table => None,
    }
}

#[test]
fn rows_touch_their_partitions_until_these_are_too_many() {
    let few = rows(&[Some(0), Some(0), Some(40), None], &["ATL", "atl", "DFW", "ATL"]);
    assert_eq!(touched(&few, "day(date)").unwrap(), ["1970-01-01", "1970-02-10", "__null"]);
    assert_eq!(touched(&few, "month(date)").unwrap(), ["1970-01", "1970-02", "__null"]);
    assert_eq!(touched(&few, "origin").unwrap(), ["atl", "dfw"]);
    assert_eq!(touched(&few, "n").unwrap(), ["0", "1", "2", "3"]);
    assert_eq!(touched(&few, "missing"), None);
    assert_eq!(Touched::of_rows(&few, None), Touched::Table);
    let days: Vec<_> = (0..17).map(Some).collect();
    let many = rows(&days, &["ATL"; 17]);
    assert_eq!(touched(&many, "day(date)"), None);
    assert_eq!(touched(&many.slice(0, 16), "day(date)").unwrap().len(), 16);
}

#[test]
fn a_change_names_both_kinds_of_tag() {
    let table: TableName = "flights".parse().unwrap();
    let few = rows(&[Some(0)], &["ATL"]);
    let mut touched = Touched::of_rows(&few, Some(&"origin".parse().unwrap()));
    let text = Tag::list(&touched.tags(&table));
    assert_eq!(text, "t:flights,t:flights/atl");
    touched.join(Touched::Table);
    assert_eq!(Tag::list(&touched.tags(&table)), "t:flights");
}

#[test]
fn files_that_came_or_went_touch_what_their_bounds_span() {
    let file = |name: &str, days: std::ops::RangeInclusive<i64>, nulls: Option<u64>| {
        let bound = |day: &i64| Some(Scalar::Timestamp(day * DAY_MS * 1000));
        let date = ColumnStatistics {
            lower: bound(days.start()),
            upper: bound(days.end()),
            nulls,
            nans: None,
            rows: 9,
        };
        let (rows, bytes, path) = (9, 9, name.into());
        let origin = FileOrigin::Foreign(name.into());
        DataFile { path, origin, rows, bytes, columns: Arc::new([date]), dead: None }
    };
    let schema = rows(&[], &[]).schema();
    let day = "day(date)".parse().unwrap();
    let between = |before: &[DataFile], after: &[DataFile]| {
        Touched::of_files((before, after), &schema, Some(&day))
    };
    let values = |values: &[&str]| {
        Touched::Partitions(values.iter().map(|value| (*value).to_owned()).collect())
    };
    let (a, b) = (file("a", 0..=1, Some(0)), file("b", 5..=5, Some(2)));
    assert_eq!(between(from_ref(&a), from_ref(&a)), values(&[]));
    let both = values(&["1970-01-01", "1970-01-02", "1970-01-06", "__null"]);
    assert_eq!(between(from_ref(&a), &[b]), both);
    let dead = |delete: &str| {
        let positions = [1].into_iter().collect();
        let dead = DeadRows::new("a".into(), vec![delete.into()], positions);
        DataFile { dead: Some(Arc::new(dead)), ..a.clone() }
    };
    let days = values(&["1970-01-01", "1970-01-02"]);
    assert_eq!(between(from_ref(&a), &[dead("d")]), days, "rows were deleted");
    assert_eq!(between(&[dead("d")], &[dead("e")]), days);
    assert_eq!(between(&[dead("d")], from_ref(&a)), days, "a rollback");
    assert_eq!(between(&[dead("d")], &[dead("d")]), values(&[]));
    assert_eq!(between(&[], &[file("c", 0..=16, Some(0))]), Touched::Table);
    assert_eq!(between(&[], &[file("c", 0..=1, None)]), Touched::Table);
}
