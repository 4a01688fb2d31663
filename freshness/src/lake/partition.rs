//! Which table partition a row belongs to, by the table's Iceberg spec.
//!
//! It must never know files.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::cast::AsArray as _;
use arrow::array::types::TimestampMicrosecondType;
use arrow::array::{Array as _, ArrayRef, Date32Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::row::{RowConverter, SortField};
use iceberg::arrow::arrow_primitive_to_literal;
use iceberg::spec::{Literal, PartitionSpecRef, Schema, Struct, StructType, Transform};
use iceberg::transform::create_transform_function;

use super::LakeError;

/// Computes table partitions.
#[derive(Clone, Debug)]
pub(super) struct Partitioner {
    spec: PartitionSpecRef,
    types: StructType,
    /// The place of each partition field's source among the columns; `None` for a void field.
    sources: Vec<Option<usize>>,
}

/// The rows of a batch that belong to one table partition, in their order.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) values: Struct,
    /// `None`: all rows.
    pub(super) rows: Option<UInt32Array>,
}

impl Partitioner {
    pub(super) fn new(spec: PartitionSpecRef, schema: &Schema) -> Result<Self, LakeError> {
        let types = spec
            .partition_type(schema)
            .map_err(LakeError::catalog("the table's partition spec does not fit its schema"))?;
        let sources = spec.fields().iter().map(|field| {
            if field.transform == Transform::Void {
                return Ok(None);
            }
            position(schema, field.source_id).map(Some).ok_or_else(|| LakeError::Rows {
                what: format!("partition field `{}` is not of a top-level column", field.name),
            })
        });
        let sources = sources.collect::<Result<_, _>>()?;
        Ok(Self { spec, types, sources })
    }

    pub(super) fn spec_id(&self) -> i32 {
        self.spec.spec_id()
    }

    /// The parts of a batch, which has the table's columns in order.
    pub(super) fn split(&self, batch: &RecordBatch) -> Result<Vec<Part>, LakeError> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.sources.iter().all(Option::is_none) {
            let values = self.sources.iter().map(|_| None).collect();
            return Ok(vec![Part { values, rows: None }]);
        }
        let columns = self.values(batch)?;
        let groups = group(&columns)?;
        if let [_] = groups.as_slice() {
            let values = self.literals(&columns, 0)?;
            return Ok(vec![Part { values, rows: None }]);
        }
        let part = |rows: UInt32Array| {
            let values = self.literals(&columns, rows.value(0) as usize)?;
            Ok(Part { values, rows: Some(rows) })
        };
        groups.into_iter().map(part).collect()
    }

    /// A folder's name for a partition; a hint to people, never read back.
    pub(super) fn folder(&self, values: &Struct) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "=_.-".contains(c) { c } else { '_' };
        let names = self.spec.fields().iter().zip(self.types.fields()).zip(values.iter());
        let folder = |((field, kind), value): ((&_, &Arc<_>), Option<&Literal>)| {
            let field: &iceberg::spec::PartitionField = field;
            let kind: &iceberg::spec::NestedField = kind;
            let text = field.transform.to_human_string(&kind.field_type, value);
            format!("{}={text}", field.name).chars().map(plain).collect::<String>()
        };
        names.map(folder).collect::<Vec<_>>().join("/")
    }

    /// One array for each partition field that is not void.
    fn values(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, LakeError> {
        let fields = self.spec.fields().iter().zip(&self.sources);
        let value = |(field, source): (&iceberg::spec::PartitionField, &Option<usize>)| {
            source.map(|source| transform(&field.transform, batch.column(source)))
        };
        fields.filter_map(value).collect()
    }

    fn literals(&self, columns: &[ArrayRef], row: usize) -> Result<Struct, LakeError> {
        let mut columns = columns.iter();
        let fields = self.types.fields().iter().zip(&self.sources);
        let literal = |(field, source): (&Arc<iceberg::spec::NestedField>, &Option<usize>)| {
            let Some(column) = source.and_then(|_| columns.next()) else { return Ok(None) };
            let one = column.slice(row, 1);
            arrow_primitive_to_literal(&one, &field.field_type)
                .map(|literals| literals.into_iter().next().flatten())
                .map_err(LakeError::catalog("a partition value cannot be told"))
        };
        let literals = fields.map(literal).collect::<Result<Vec<_>, LakeError>>()?;
        Ok(literals.into_iter().collect())
    }
}

/// The position among the top-level columns of the field with this id.
fn position(schema: &Schema, id: i32) -> Option<usize> {
    schema.as_struct().fields().iter().position(|field| field.id == id)
}

fn transform(transform: &Transform, column: &ArrayRef) -> Result<ArrayRef, LakeError> {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    let micros = matches!(column.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _));
    // The library's day is one too late for fractions of a second before 1970.
    if *transform == Transform::Day && micros {
        let column = column.as_primitive::<TimestampMicrosecondType>();
        let days: Date32Array = column
            .try_unary(|micros| i32::try_from(micros.div_euclid(MICROS_PER_DAY)))
            .map_err(|_: std::num::TryFromIntError| LakeError::Rows {
                what: "a timestamp lies outside the days that can be counted".to_owned(),
            })?;
        return Ok(Arc::new(days));
    }
    create_transform_function(transform)
        .and_then(|function| function.transform(column.clone()))
        .map_err(LakeError::catalog("a partition value cannot be computed"))
}

/// Row numbers by equal values, in the order of first appearance.
fn group(columns: &[ArrayRef]) -> Result<Vec<UInt32Array>, LakeError> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let rows = converter.convert_columns(columns)?;
    let mut numbers: HashMap<arrow::row::Row<'_>, usize> = HashMap::new();
    let mut groups: Vec<Vec<u32>> = Vec::new();
    for (row, at) in rows.iter().zip(0u32..) {
        let number = *numbers.entry(row).or_insert(groups.len());
        if number == groups.len() {
            groups.push(Vec::new());
        }
        groups[number].push(at);
    }
    Ok(groups.into_iter().map(UInt32Array::from).collect())
}

/// The rows of a part.
pub(super) fn pick(batch: &RecordBatch, rows: &UInt32Array) -> Result<RecordBatch, LakeError> {
    let columns = batch.columns().iter().map(|column| take(column, rows, None));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
