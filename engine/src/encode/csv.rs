//! CSV of RFC 4180: a header line, CRLF, quotes where they are needed. NULL is
//! an empty field, an empty text is `""`.

use arrow::array::RecordBatch;

use super::Encoder;
use super::value::Values;
use crate::error::EngineError;

/// Rows as lines.
pub(super) struct Csv {
    header: Option<Vec<u8>>,
}

impl Csv {
    pub(super) fn new(names: &[String]) -> Self {
        let mut header = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                header.push(b',');
            }
            header.extend_from_slice(name.as_bytes());
            quote(header.len() - name.len(), &mut header);
        }
        header.extend_from_slice(b"\r\n");
        Self { header: Some(header) }
    }
}

impl Encoder for Csv {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EngineError> {
        out.extend(self.header.take().unwrap_or_default());
        let values = batch.columns().iter().map(|c| Values::new(c.as_ref(), false));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            for (index, column) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if !column.is_null(row) {
                    let start = out.len();
                    column.write_text(row, out);
                    quote(start, out);
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EngineError> {
        out.extend(self.header.take().unwrap_or_default());
        Ok(())
    }
}

/// Puts quotes around what was written from `start` on, where it needs them.
fn quote(start: usize, out: &mut Vec<u8>) {
    let field = &out[start..];
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| *b == b' ' || *b == b'\t');
    let plain = !field.is_empty()
        && !edge(field.first())
        && !edge(field.last())
        && !field.iter().any(|b| matches!(b, b',' | b'"' | b'\r' | b'\n'));
    if plain {
        return;
    }
    let field = out.split_off(start);
    out.push(b'"');
    for byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
