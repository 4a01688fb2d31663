//! Members that are no column, and rows without any.

use super::*;
use crate::settings::UnknownColumns;

fn flights() -> SchemaRef {
    schema(vec![
        Field::new("origin", DataType::Utf8, true),
        Field::new("delay", DataType::Int64, true),
    ])
}

fn decoded(unknown: UnknownColumns, value: &str) -> Decoded {
    Decoder::new(flights(), unknown).unwrap().decode(&[record(5, value.as_bytes())])
}

#[test]
fn a_member_that_is_no_column_makes_it_no_row_unless_ignored() {
    let value = r#"{"origin":"ATL","delya":{"x":[1]},"delay":7}"#;
    for unknown in [UnknownColumns::Collect, UnknownColumns::Error] {
        let decoded = decoded(unknown, value);
        assert!(decoded.batches.is_empty());
        let reason = &decoded.rejected[0].reason;
        assert_eq!(reason.detail(), "there is no column `delya`; did you mean `delay`?");
        assert_eq!(reason.column(), Some("delya"));
        let stops = Decoder::new(flights(), unknown).unwrap().stops_at(reason);
        assert_eq!(stops, unknown == UnknownColumns::Error);
    }
    let ignored = decoded(UnknownColumns::Ignore, value);
    assert_eq!(ignored.batches[0].rows.num_rows(), 1);
    // Nothing is near: no guess.
    let far = reason(&flights(), r#"{"origin":"ATL","carrier":"DL"}"#);
    assert_eq!(far.detail(), "there is no column `carrier`");
    let upper = reason(&flights(), r#"{"ORIGIN":"ATL"}"#);
    assert_eq!(upper.detail(), "there is no column `ORIGIN`; did you mean `origin`?");
}

#[test]
fn a_row_without_any_column_is_none() {
    for unknown in [UnknownColumns::Collect, UnknownColumns::Error, UnknownColumns::Ignore] {
        let decoded = decoded(unknown, "{}");
        assert!(matches!(decoded.rejected[0].reason, InvalidRow::NoColumn), "{unknown:?}");
    }
    let decoded = decoded(UnknownColumns::Ignore, r#"{"x":1}"#);
    assert!(matches!(decoded.rejected[0].reason, InvalidRow::NoColumn));
}

#[test]
fn an_ingest_names_line_and_column() {
    let body = Bytes::from_static(b"{\"delay\":1}\n{\"delays\":2}\n");
    for unknown in [UnknownColumns::Collect, UnknownColumns::Error] {
        let invalid = validate_ndjson(&flights(), unknown, &body).unwrap_err();
        let text = invalid.to_string();
        assert_eq!(text, "line 2: there is no column `delays`; did you mean `delay`?");
        assert!(
            matches!(invalid, InvalidBody::Row { line: 2, column: Some(c), .. } if c == "delays")
        );
    }
    let body = Bytes::from_static(b"{\"delay\":1}\n{}\n");
    let invalid = validate_ndjson(&flights(), UnknownColumns::Ignore, &body).unwrap_err();
    assert_eq!(invalid.to_string(), "line 2: no member is a column of the table");
}
