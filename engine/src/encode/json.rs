//! JSON and NDJSON: rows as objects, members in the order of the columns.

use arrow::array::RecordBatch;

use super::Encoder;
use super::value::{Values, key, string};
use crate::error::EngineError;
use crate::statement::OutputColumn;

/// `{"meta":[{"name","type"}…],"data":[{…}…],"rows":n}`, one row a line.
pub(super) struct Json {
    rows: Rows,
    head: Option<Vec<u8>>,
}

/// One object a line.
pub(super) struct Ndjson {
    rows: Rows,
}

struct Rows {
    keys: Vec<Vec<u8>>,
    numbers_as_text: bool,
    written: u64,
}

impl Json {
    pub(super) fn new(columns: &[OutputColumn], names: &[String], numbers_as_text: bool) -> Self {
        let mut head = b"{\"meta\":[".to_vec();
        for (index, (column, name)) in columns.iter().zip(names).enumerate() {
            head.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
            string(name, &mut head);
            head.extend_from_slice(b",\"type\":");
            string(&column.sql_type, &mut head);
            head.push(b'}');
        }
        head.extend_from_slice(b"],\n\"data\":[");
        Self { rows: Rows::new(names, numbers_as_text), head: Some(head) }
    }
}

impl Encoder for Json {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EngineError> {
        out.extend(self.head.take().unwrap_or_default());
        self.rows.write(batch, out, |first, out| {
            out.extend_from_slice(if first { b"\n" } else { b",\n" });
        })
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EngineError> {
        out.extend(self.head.take().unwrap_or_default());
        out.extend_from_slice(format!("],\n\"rows\":{}}}\n", self.rows.written).as_bytes());
        Ok(())
    }
}

impl Ndjson {
    pub(super) fn new(names: &[String], numbers_as_text: bool) -> Self {
        Self { rows: Rows::new(names, numbers_as_text) }
    }
}

impl Encoder for Ndjson {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.rows.write(batch, out, |first, out| {
            if !first {
                out.push(b'\n');
            }
        })
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EngineError> {
        if self.rows.written > 0 {
            out.push(b'\n');
        }
        Ok(())
    }
}

impl Rows {
    fn new(names: &[String], numbers_as_text: bool) -> Self {
        Self { keys: names.iter().map(|n| key(n)).collect(), numbers_as_text, written: 0 }
    }

    fn write(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        before: impl Fn(bool, &mut Vec<u8>),
    ) -> Result<(), EngineError> {
        let values = batch.columns().iter().map(|c| Values::new(c.as_ref(), self.numbers_as_text));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            before(self.written == 0, out);
            self.written += 1;
            out.push(b'{');
            for (index, (key, column)) in self.keys.iter().zip(&values).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(key);
                column.write(row, out);
            }
            out.push(b'}');
        }
        Ok(())
    }
}
