//! An answer as a table for reading: names above, numbers to the right.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Body {
    meta: Vec<Column>,
    data: Vec<serde_json::Map<String, Value>>,
    rows: u64,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Draws the JSON body of an answer.
pub(super) fn render(body: &[u8]) -> serde_json::Result<String> {
    let body: Body = serde_json::from_slice(body)?;
    let rows: Vec<Vec<String>> = body
        .data
        .iter()
        .map(|row| body.meta.iter().map(|c| cell(row.get(&c.name))).collect())
        .collect();
    let widths: Vec<usize> = (body.meta.iter().enumerate())
        .map(|(i, column)| {
            let cells = rows.iter().map(|row| row[i].chars().count());
            cells.chain([column.name.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    let names = body.meta.iter().map(|column| column.name.as_str());
    line(&mut text, names, &widths, &body.meta);
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(&mut text, rules.iter().map(String::as_str), &widths, &body.meta);
    for row in &rows {
        line(&mut text, row.iter().map(String::as_str), &widths, &body.meta);
    }
    let _ = writeln!(text, "({} row{})", body.rows, if body.rows == 1 { "" } else { "s" });
    Ok(text)
}

fn line<'a>(
    text: &mut String,
    cells: impl Iterator<Item = &'a str>,
    widths: &[usize],
    columns: &[Column],
) {
    let mut line = String::new();
    for ((cell, width), column) in cells.zip(widths).zip(columns) {
        let _ = if is_number(&column.kind) {
            write!(line, "{cell:>width$}  ")
        } else {
            write!(line, "{cell:<width$}  ")
        };
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn is_number(kind: &str) -> bool {
    kind.ends_with("INT")
        || kind.ends_with("INTEGER")
        || kind.starts_with("DECIMAL")
        || matches!(kind, "FLOAT" | "DOUBLE")
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "NULL".to_owned(),
        Some(Value::String(text)) => text.replace(['\n', '\r', '\t'], " "),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() {
        let body = br#"{"meta":[{"name":"origin","type":"VARCHAR"},{"name":"n","type":"BIGINT"}],
            "data":[{"origin":"ATL","n":1200},{"origin":null,"n":7}],"rows":2}"#;
        let drawn = render(body).unwrap();
        let wanted = "origin     n\n------  ----\nATL     1200\nNULL       7\n(2 rows)\n";
        assert_eq!(drawn, wanted);
    }

    #[test]
    fn a_body_that_is_cut_is_an_error() {
        assert!(render(br#"{"meta":[],"data":["#).is_err());
    }
}
