//! Columns as the configuration names them, as Iceberg stores them and as
//! Arrow carries them.
//!
//! It must never know rows.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use iceberg::spec::{NestedField, PrimitiveType, Schema, Transform, Type, UnboundPartitionSpec};
use springtide_relation::partitioning;

use super::LakeError;
use crate::settings::{ColumnSettings, ColumnType, TableSettings};

/// The schema of a table that is made: field ids count from 1.
pub(super) fn schema(columns: &[ColumnSettings]) -> Result<Schema, LakeError> {
    let fields = columns.iter().zip(1..).map(|(column, id)| {
        let kind = Type::Primitive(primitive(column.kind));
        Arc::new(NestedField::new(id, &column.name, kind, column.required))
    });
    Schema::builder()
        .with_fields(fields)
        .build()
        .map_err(LakeError::catalog("the configured columns make no Iceberg schema"))
}

/// The partition spec of a table that is made.
pub(super) fn partition_spec(
    table: &TableSettings,
    schema: &Schema,
) -> Result<UnboundPartitionSpec, LakeError> {
    let mut builder = UnboundPartitionSpec::builder().with_spec_id(0);
    for partition in &table.partition_by {
        let refused = |source: iceberg::Error| LakeError::Partition {
            partition: partition.to_string(),
            source: Box::new(source),
        };
        let column = &partition.column;
        let field = schema.field_by_name_case_insensitive(column).ok_or_else(|| {
            let kind = iceberg::ErrorKind::DataInvalid;
            refused(iceberg::Error::new(kind, format!("there is no column `{column}`")))
        })?;
        let (transform, suffix) = transform(partition.transform);
        transform.result_type(&field.field_type).map_err(refused)?;
        let name = format!("{}{suffix}", field.name);
        builder = builder.add_partition_field(field.id, name, transform).map_err(refused)?;
    }
    Ok(builder.build())
}

/// The first difference between the columns that are configured and a table's; `None`: they agree.
/// Columns that the table has beyond them are no difference.
pub(super) fn difference(columns: &[ColumnSettings], schema: &Schema) -> Option<String> {
    columns.iter().find_map(|column| {
        let Some(field) = schema.field_by_name_case_insensitive(&column.name) else {
            return Some(format!("it has no column `{}`", column.name));
        };
        let wanted = Type::Primitive(primitive(column.kind));
        if *field.field_type != wanted {
            return Some(format!(
                "column `{}` is configured as {} and is {} in the lake",
                column.name, column.kind, field.field_type
            ));
        }
        (column.required && !field.required).then(|| {
            format!("column `{}` is configured as required and is optional in the lake", field.name)
        })
    })
}

/// The Arrow schema of an Iceberg schema, with `PARQUET:field_id` in the metadata of each field.
pub(super) fn arrow(schema: &Schema) -> Result<SchemaRef, LakeError> {
    iceberg::arrow::schema_to_arrow_schema(schema)
        .map(Arc::new)
        .map_err(LakeError::catalog("the table's schema has no Arrow form"))
}

/// The field id of each column; the metadata comes from [`arrow`].
pub(super) fn field_ids(schema: &ArrowSchema) -> Vec<i32> {
    let id = |field: &Arc<Field>| {
        field.metadata().get(parquet::arrow::PARQUET_FIELD_ID_META_KEY)?.parse().ok()
    };
    schema.fields().iter().map(|field| id(field).unwrap_or(NO_FIELD)).collect()
}

/// Stands for a column without an id; matches nothing (Iceberg's ids begin at 1).
const NO_FIELD: i32 = 0;

const fn primitive(kind: ColumnType) -> PrimitiveType {
    match kind {
        ColumnType::Boolean => PrimitiveType::Boolean,
        ColumnType::Int => PrimitiveType::Int,
        ColumnType::Long => PrimitiveType::Long,
        ColumnType::Float => PrimitiveType::Float,
        ColumnType::Double => PrimitiveType::Double,
        ColumnType::Decimal(precision, scale) => {
            PrimitiveType::Decimal { precision: precision as u32, scale: scale as u32 }
        }
        ColumnType::Date => PrimitiveType::Date,
        ColumnType::Time => PrimitiveType::Time,
        ColumnType::Timestamp => PrimitiveType::Timestamp,
        ColumnType::TimestampTz => PrimitiveType::Timestamptz,
        ColumnType::String => PrimitiveType::String,
        ColumnType::Uuid => PrimitiveType::Uuid,
        ColumnType::Binary => PrimitiveType::Binary,
    }
}

/// Iceberg's transform and its customary suffix to the partition field's name.
const fn transform(transform: partitioning::Transform) -> (Transform, &'static str) {
    match transform {
        partitioning::Transform::Identity => (Transform::Identity, ""),
        partitioning::Transform::Year => (Transform::Year, "_year"),
        partitioning::Transform::Month => (Transform::Month, "_month"),
        partitioning::Transform::Day => (Transform::Day, "_day"),
        partitioning::Transform::Hour => (Transform::Hour, "_hour"),
    }
}
