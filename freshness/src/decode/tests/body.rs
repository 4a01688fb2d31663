//! Bodies of an ingest: taken whole or not at all.

use super::*;

#[test]
fn a_body_is_taken_whole_or_not_at_all() {
    let flights = schema(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("delay", DataType::Int64, true),
    ]);
    let body = Bytes::from_static(b"{\"id\":1}\r\n\n  {\"id\":2,\"delay\":5}  \n");
    let records = validate_ndjson(&flights, Collect, &body).unwrap();
    let values: Vec<_> = records.iter().map(|r| &r.value[..]).collect();
    assert_eq!(values, [&b"{\"id\":1}"[..], b"{\"id\":2,\"delay\":5}"]);

    let body = Bytes::from_static(b"{\"id\":1}\n\n{\"id\":2,\"delay\":\"late\"}\n{\"id\":3}");
    let invalid = validate_ndjson(&flights, Collect, &body).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "line 3: column `delay`: expected a whole number of 64 bits, found \"late\""
    );
    let InvalidBody::Row { line: 3, column: Some(column), .. } = invalid else { panic!() };
    assert_eq!(column, "delay");
    let body = Bytes::from_static(b"{\"id\":1}\n{\"id\":");
    let broken = validate_ndjson(&flights, Collect, &body).unwrap_err();
    assert!(matches!(broken, InvalidBody::Row { line: 2, column: None, .. }));
    for empty in ["", "\n \r\n"] {
        let body = Bytes::from_static(empty.as_bytes());
        let told = validate_ndjson(&flights, Collect, &body);
        assert!(matches!(told, Err(InvalidBody::Empty)));
    }
}
