//! Bounds hold, and the bounds of a whole are the union of those of its parts.

use arrow::array::{BinaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use proptest::prelude::*;

use super::*;

/// One row of each kind of column.
type Row = (Option<i64>, Option<f64>, Option<String>, Option<Vec<u8>>, Option<i64>);

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0f64,
        1 => Just(f64::NAN),
        1 => Just(-0.0),
        1 => Just(0.0),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-c]{0,3}",
        1 => "[yz\u{d7ff}\u{10ffff}é]{0,4}",
        1 => (0..4usize, "[ab\u{10ffff}]{0,2}")
            .prop_map(|(at, end)| format!("{}{end}", "\u{10ffff}".repeat(BOUND_LENGTH - 2 + at))),
        1 => ("[ab]{2}", "[ab]{0,2}").prop_map(|(a, b)| a + &"é".repeat(BOUND_LENGTH - 3) + &b),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..4),
        (0..4usize).prop_map(|n| vec![0xFF; BOUND_LENGTH - 1 + n]),
    ];
    (
        proptest::option::of(any::<i64>()),
        proptest::option::weighted(0.8, float()),
        proptest::option::weighted(0.8, text()),
        proptest::option::of(bytes),
        proptest::option::of(any::<i64>()),
    )
}

fn batch(rows: &[Row]) -> RecordBatch {
    let texts: StringArray = rows.iter().map(|r| r.2.as_deref()).collect();
    let bytes: BinaryArray = rows.iter().map(|r| r.3.as_deref()).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.1).collect::<Float64Array>()),
        Arc::new(texts),
        Arc::new(bytes),
        Arc::new(rows.iter().map(|r| r.4).collect::<TimestampMicrosecondArray>()),
    ];
    let field = |(n, c): (usize, &ArrayRef)| Field::new(n.to_string(), c.data_type().clone(), true);
    let fields: Vec<Field> = columns.iter().enumerate().map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn scalars(row: &Row) -> [Option<Scalar>; 5] {
    [
        row.0.map(|v| Scalar::Integer(v.into())),
        row.1.map(Scalar::Float),
        row.2.as_deref().map(|v| Scalar::Text(v.into())),
        row.3.as_deref().map(|v| Scalar::Binary(v.into())),
        row.4.map(Scalar::Timestamp),
    ]
}

fn is_nan(scalar: &Scalar) -> bool {
    matches!(scalar, Scalar::Float(v) if v.is_nan())
}

proptest! {
    #[test]
    fn bounds_hold_for_every_value(rows in proptest::collection::vec(row(), 1..20)) {
        let statistics = column_statistics(&batch(&rows));
        for (at, column) in statistics.iter().enumerate() {
            let values: Vec<_> = rows.iter().map(|row| scalars(row)[at].clone()).collect();
            let nulls = values.iter().filter(|v| v.is_none()).count() as u64;
            let nans = values.iter().flatten().filter(|v| is_nan(v)).count() as u64;
            prop_assert_eq!(column.nulls, Some(nulls));
            prop_assert_eq!(column.rows, rows.len() as u64);
            prop_assert_eq!(column.nans, (at == 1).then_some(nans));
            for value in values.iter().flatten().filter(|v| !is_nan(v)) {
                let lower = column.lower.as_ref().expect("there is a value");
                prop_assert!(lower.compare(value).unwrap().is_le());
                if let Some(upper) = &column.upper {
                    prop_assert!(upper.compare(value).unwrap().is_ge());
                }
            }
        }
    }

    #[test]
    fn the_union_of_parts_is_the_whole(
        rows in proptest::collection::vec(row(), 2..20),
        cut in any::<proptest::sample::Index>(),
    ) {
        let cut = 1 + cut.index(rows.len() - 1);
        let whole = column_statistics(&batch(&rows));
        let parts = union(
            &column_statistics(&batch(&rows[..cut])),
            &column_statistics(&batch(&rows[cut..])),
        );
        prop_assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
    }
}

#[test]
fn bounds_are_values_where_texts_are_short() {
    let row = |text: &str| (None, None, Some(text.to_owned()), None, None);
    let statistics = column_statistics(&batch(&[row("beta"), row("alpha")]));
    assert_eq!(format!("{:?}", statistics[2].lower), "Some(Text(\"alpha\"))");
    assert_eq!(format!("{:?}", statistics[2].upper), "Some(Text(\"beta\"))");
}

#[test]
fn the_character_before_the_surrogates_has_a_next_one() {
    assert_eq!(upper_text("\u{d7ff}x", 1).as_deref(), Some("\u{e000}"));
    assert_eq!(upper_text("a\u{10ffff}x", 2).as_deref(), Some("b"));
    assert_eq!(upper_text("\u{10ffff}x", 1), None);
}
