//! Cells to Arrow arrays, row by row. Appending cannot fail: every cell was
//! read for the column that it is appended to.
//!
//! It must never judge a value.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    LargeBinaryBuilder, LargeStringBuilder, ListArray, MapArray, RecordBatch, RecordBatchOptions,
    StringBuilder, StructArray, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef};

use super::cell::Cell;
use super::kind::Kind;

/// Rows of a schema being gathered.
pub(super) struct RowBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

impl RowBuilder {
    pub(super) fn new<'k>(schema: SchemaRef, kinds: impl Iterator<Item = &'k Kind>) -> Self {
        let fields = schema.fields().iter();
        let columns = fields.zip(kinds).map(|(f, kind)| Column::new(f.data_type(), kind)).collect();
        Self { schema, columns, rows: 0 }
    }

    pub(super) fn append(&mut self, cells: &[Cell<'_>]) {
        self.rows += 1;
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.append(cell);
        }
    }

    #[expect(clippy::expect_used, reason = "cells were read for these very columns")]
    pub(super) fn finish(self) -> RecordBatch {
        let arrays = self.columns.into_iter().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(self.schema, arrays, &options)
            .expect("as many rows in every column, each of its field's type")
    }
}

enum Column {
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    LargeText(LargeStringBuilder),
    Fixed(FixedSizeBinaryBuilder),
    Binary(BinaryBuilder),
    LargeBinary(LargeBinaryBuilder),
    Struct(StructColumn),
    List(ListColumn),
    Map(MapColumn),
}

struct StructColumn {
    fields: Fields,
    members: Vec<Column>,
    valid: Vec<bool>,
}

struct ListColumn {
    field: FieldRef,
    elements: Box<Column>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

struct MapColumn {
    entries: FieldRef,
    sorted: bool,
    keys: StringBuilder,
    values: Box<Column>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Column {
    fn new(data_type: &DataType, kind: &Kind) -> Self {
        match (kind, data_type) {
            (Kind::Boolean, _) => Self::Boolean(BooleanBuilder::new()),
            (Kind::Int, _) => Self::Int(Int32Builder::new()),
            (Kind::Long, _) => Self::Long(Int64Builder::new()),
            (Kind::Float, _) => Self::Float(Float32Builder::new()),
            (Kind::Double, _) => Self::Double(Float64Builder::new()),
            (Kind::Decimal { .. }, own) => {
                Self::Decimal(Decimal128Builder::new().with_data_type(own.clone()))
            }
            (Kind::Date, _) => Self::Date(Date32Builder::new()),
            (Kind::Time, _) => Self::Time(Time64MicrosecondBuilder::new()),
            (Kind::Timestamp { .. }, own) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(own.clone()))
            }
            (Kind::Text { large: false }, _) => Self::Text(StringBuilder::new()),
            (Kind::Text { large: true }, _) => Self::LargeText(LargeStringBuilder::new()),
            (Kind::Uuid, _) => Self::Fixed(FixedSizeBinaryBuilder::new(16)),
            (Kind::Fixed(size), _) => Self::Fixed(FixedSizeBinaryBuilder::new(*size)),
            (Kind::Binary { large: false }, _) => Self::Binary(BinaryBuilder::new()),
            (Kind::Binary { large: true }, _) => Self::LargeBinary(LargeBinaryBuilder::new()),
            (Kind::Struct(members), DataType::Struct(fields)) => Self::Struct(StructColumn {
                fields: fields.clone(),
                members: fields
                    .iter()
                    .zip(members)
                    .map(|(field, member)| Self::new(field.data_type(), &member.kind))
                    .collect(),
                valid: Vec::new(),
            }),
            (Kind::List(element), DataType::List(field)) => Self::List(ListColumn {
                field: Arc::clone(field),
                elements: Box::new(Self::new(field.data_type(), &element.kind)),
                lengths: Vec::new(),
                valid: Vec::new(),
            }),
            (Kind::Map(value), DataType::Map(entries, sorted)) => {
                Self::map(Arc::clone(entries), *sorted, &value.kind)
            }
            (kind, own) => unreachable!("{kind:?} was derived from {own}"),
        }
    }

    fn map(entries: FieldRef, sorted: bool, value: &Kind) -> Self {
        let DataType::Struct(fields) = entries.data_type() else {
            unreachable!("the kind was derived from a struct of two")
        };
        let values = Box::new(Self::new(fields[1].data_type(), value));
        let keys = StringBuilder::new();
        Self::Map(MapColumn { entries, sorted, keys, values, lengths: vec![], valid: vec![] })
    }

    fn append(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(b), Cell::Boolean(v)) => b.append_value(*v),
            (Self::Int(b), Cell::Int(v)) => b.append_value(*v),
            (Self::Long(b), Cell::Long(v)) => b.append_value(*v),
            (Self::Float(b), Cell::Float(v)) => b.append_value(*v),
            (Self::Double(b), Cell::Double(v)) => b.append_value(*v),
            (Self::Decimal(b), Cell::Decimal(v)) => b.append_value(*v),
            (Self::Date(b), Cell::Date(v)) => b.append_value(*v),
            (Self::Time(b), Cell::Micros(v)) => b.append_value(*v),
            (Self::Timestamp(b), Cell::Micros(v)) => b.append_value(*v),
            (Self::Text(b), Cell::Text(v)) => b.append_value(v),
            (Self::LargeText(b), Cell::Text(v)) => b.append_value(v),
            (Self::Fixed(b), Cell::Bytes(v)) => append_fixed(b, v),
            (Self::Binary(b), Cell::Bytes(v)) => b.append_value(v),
            (Self::LargeBinary(b), Cell::Bytes(v)) => b.append_value(v),
            (Self::Struct(column), Cell::Struct(cells)) => column.append(Some(cells)),
            (Self::List(column), Cell::List(cells)) => column.append(Some(cells)),
            (Self::Map(column), Cell::Map(entries)) => column.append(Some(entries)),
            (column, Cell::Null) => column.append_null(),
            (_, other) => unreachable!("{other:?} was read for another column"),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(b) => b.append_null(),
            Self::Int(b) => b.append_null(),
            Self::Long(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Decimal(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Time(b) => b.append_null(),
            Self::Timestamp(b) => b.append_null(),
            Self::Text(b) => b.append_null(),
            Self::LargeText(b) => b.append_null(),
            Self::Fixed(b) => b.append_null(),
            Self::Binary(b) => b.append_null(),
            Self::LargeBinary(b) => b.append_null(),
            Self::Struct(column) => column.append(None),
            Self::List(column) => column.append(None),
            Self::Map(column) => column.append(None),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Boolean(mut b) => Arc::new(b.finish()),
            Self::Int(mut b) => Arc::new(b.finish()),
            Self::Long(mut b) => Arc::new(b.finish()),
            Self::Float(mut b) => Arc::new(b.finish()),
            Self::Double(mut b) => Arc::new(b.finish()),
            Self::Decimal(mut b) => Arc::new(b.finish()),
            Self::Date(mut b) => Arc::new(b.finish()),
            Self::Time(mut b) => Arc::new(b.finish()),
            Self::Timestamp(mut b) => Arc::new(b.finish()),
            Self::Text(mut b) => Arc::new(b.finish()),
            Self::LargeText(mut b) => Arc::new(b.finish()),
            Self::Fixed(mut b) => Arc::new(b.finish()),
            Self::Binary(mut b) => Arc::new(b.finish()),
            Self::LargeBinary(mut b) => Arc::new(b.finish()),
            Self::Struct(column) => column.finish(),
            Self::List(column) => column.finish(),
            Self::Map(column) => column.finish(),
        }
    }
}

impl StructColumn {
    fn append(&mut self, cells: Option<&Vec<Cell<'_>>>) {
        self.valid.push(cells.is_some());
        for (index, member) in self.members.iter_mut().enumerate() {
            match cells {
                Some(cells) => member.append(&cells[index]),
                None => member.append_null(),
            }
        }
    }

    fn finish(self) -> ArrayRef {
        let rows = self.valid.len();
        let arrays = self.members.into_iter().map(Column::finish).collect();
        let nulls = nulls(self.valid);
        // NULLs of required members lie under NULLs of the struct itself.
        let array = StructArray::try_new_with_length(self.fields, arrays, nulls, rows);
        Arc::new(built(array))
    }
}

impl ListColumn {
    fn append(&mut self, cells: Option<&Vec<Cell<'_>>>) {
        self.valid.push(cells.is_some());
        self.lengths.push(cells.map_or(0, Vec::len));
        for cell in cells.into_iter().flatten() {
            self.elements.append(cell);
        }
    }

    fn finish(self) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        let elements = self.elements.finish();
        Arc::new(built(ListArray::try_new(self.field, offsets, elements, nulls(self.valid))))
    }
}

impl MapColumn {
    fn append(&mut self, entries: Option<&Vec<(std::borrow::Cow<'_, str>, Cell<'_>)>>) {
        self.valid.push(entries.is_some());
        self.lengths.push(entries.map_or(0, Vec::len));
        for (key, value) in entries.into_iter().flatten() {
            self.keys.append_value(key);
            self.values.append(value);
        }
    }

    fn finish(mut self) -> ArrayRef {
        let DataType::Struct(fields) = self.entries.data_type() else {
            unreachable!("the kind was derived from a struct of two")
        };
        let keys: ArrayRef = Arc::new(self.keys.finish());
        let values = self.values.finish();
        let entries = built(StructArray::try_new(fields.clone(), vec![keys, values], None));
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        let nulls = nulls(self.valid);
        Arc::new(built(MapArray::try_new(self.entries, offsets, entries, nulls, self.sorted)))
    }
}

#[expect(clippy::expect_used, reason = "cells were read for these very columns")]
fn built<A>(array: Result<A, arrow::error::ArrowError>) -> A {
    array.expect("children of the fields' types and lengths")
}

#[expect(clippy::expect_used, reason = "the size was checked when the cell was read")]
fn append_fixed(builder: &mut FixedSizeBinaryBuilder, value: &[u8]) {
    builder.append_value(value).expect("as many bytes as the column has");
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0)
}
