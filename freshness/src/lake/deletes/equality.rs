//! Equality deletes: the keys of a delete file, and the rows of a data file
//! that have one of them. NULL equals NULL; columns that a data file lacks have
//! their initial default, or are NULL. It must never know whom they apply to.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int32Array, Int64Array, StringArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use iceberg::spec::{
    Literal, NestedField, NestedFieldRef, PrimitiveLiteral, Schema, TableMetadata,
};
use parquet::errors::ParquetError;
use roaring::RoaringTreemap;

use super::kept::Bytes;
use super::rows::{self, Wanted};
use super::{DeleteFile, Kind, Source};
use crate::lake::{LakeError, columns};

/// What a key costs beside its bytes.
const KEY_BYTES: u64 = 32;

/// The columns that equality deletes compare, by field id.
pub(super) struct KeyColumns(HashMap<i32, Wanted>);

/// The keys of one delete file.
#[derive(Debug)]
pub(super) struct Keys {
    keys: HashSet<Box<[u8]>>,
    bytes: u64,
}

impl Bytes for Keys {
    fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl KeyColumns {
    /// # Errors
    /// Where a delete names a column that no schema of the table has, or a nested one.
    pub(super) fn new(
        metadata: &TableMetadata,
        deletes: &[&Arc<DeleteFile>],
    ) -> Result<Self, LakeError> {
        let mut columns = HashMap::new();
        for delete in deletes {
            let Kind::Equality { ids } = &delete.kind else { continue };
            for id in ids.iter() {
                if !columns.contains_key(id) {
                    let field = field(metadata, *id).ok_or_else(|| {
                        delete.failed(format!(
                            "it compares field {id}, which is not a top-level column of the table"
                        ))
                    })?;
                    columns.insert(*id, wanted(&field).map_err(|source| delete.failed(source))?);
                }
            }
        }
        Ok(Self(columns))
    }

    /// Those of `ids`, in that order.
    pub(super) fn of(&self, ids: &[i32]) -> Vec<Wanted> {
        ids.iter().filter_map(|id| self.0.get(id).cloned()).collect()
    }
}

impl Keys {
    /// Blocks.
    pub(super) fn read(delete: &DeleteFile, columns: &[Wanted]) -> Result<Self, LakeError> {
        let present = |column: &Wanted| Wanted { absent: None, ..column.clone() };
        let columns: Vec<Wanted> = columns.iter().map(present).collect();
        let mut keys: HashSet<Box<[u8]>> = HashSet::new();
        let read = each_key(&delete.path, &columns, |_, key| {
            keys.insert(key.into());
        });
        read.map_err(|source| delete.failed(source))?;
        let bytes = keys.iter().map(|key| key.len() as u64 + KEY_BYTES).sum();
        Ok(Self { keys, bytes })
    }
}

/// The columns' types, as text.
pub(super) fn types(columns: &[Wanted]) -> String {
    columns.iter().map(|column| format!("{:?};", column.kind)).collect()
}

/// The rows of the data file at `path` that have a key of each set. Blocks.
pub(super) fn matches(
    path: &Path,
    columns: &[Wanted],
    sets: &[Arc<Keys>],
) -> Result<Vec<RoaringTreemap>, LakeError> {
    let mut found = vec![RoaringTreemap::new(); sets.len()];
    let read = each_key(path, columns, |position, key| {
        for (set, found) in sets.iter().zip(&mut found) {
            if set.keys.contains(key) {
                found.insert(position);
            }
        }
    });
    read.map_err(|source| LakeError::Parquet {
        path: path.display().to_string(),
        source: ParquetError::External(source),
    })?;
    Ok(found)
}

/// Each row's position and its values in a form that is equal where they are.
fn each_key(
    path: &Path,
    columns: &[Wanted],
    mut each: impl FnMut(u64, &[u8]),
) -> Result<(), Source> {
    let fields = columns.iter().map(|column| SortField::new(column.kind.clone())).collect();
    let converter = RowConverter::new(fields)?;
    rows::read(path, columns, |start, _, arrays| {
        for (position, key) in (start..).zip(&converter.convert_columns(arrays)?) {
            each(position, key.as_ref());
        }
        Ok(())
    })
}

/// The column in the newest schema that has it.
fn field(metadata: &TableMetadata, id: i32) -> Option<NestedFieldRef> {
    let mut older: Vec<_> = metadata.schemas_iter().collect();
    older.sort_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
    let schemas = std::iter::once(metadata.current_schema()).chain(older);
    let mut fields = schemas.flat_map(|schema| schema.as_struct().fields());
    fields.find(|field| field.id == id && field.field_type.is_primitive()).cloned()
}

fn wanted(field: &NestedFieldRef) -> Result<Wanted, Source> {
    let alone = NestedField::optional(field.id, &field.name, (*field.field_type).clone());
    let schema = Schema::builder().with_fields([Arc::new(alone)]).build()?;
    let kind = columns::arrow(&schema)?.field(0).data_type().clone();
    let absent = match &field.initial_default {
        None => new_null_array(&kind, 1),
        Some(value) => one(value, &kind)?,
    };
    Ok(Wanted { id: field.id, name: field.name.clone(), kind, absent: Some(absent) })
}

/// An array of one value.
fn one(value: &Literal, kind: &DataType) -> Result<ArrayRef, Source> {
    use PrimitiveLiteral as L;
    let Literal::Primitive(value) = value else { return Err("a default is not plain".into()) };
    let array: ArrayRef = match value {
        L::Boolean(value) => Arc::new(BooleanArray::from(vec![*value])),
        L::Int(value) => Arc::new(Int32Array::from(vec![*value])),
        L::Long(value) => Arc::new(Int64Array::from(vec![*value])),
        L::Float(value) => Arc::new(Float32Array::from(vec![value.0])),
        L::Double(value) => Arc::new(Float64Array::from(vec![value.0])),
        L::String(value) => Arc::new(StringArray::from(vec![value.as_str()])),
        L::Binary(value) => Arc::new(BinaryArray::from_vec(vec![value.as_slice()])),
        L::Int128(value) => {
            let DataType::Decimal128(precision, scale) = kind else {
                return Err("a default is not of its column's type".into());
            };
            let array = Decimal128Array::from(vec![*value]);
            Arc::new(array.with_precision_and_scale(*precision, *scale)?)
        }
        L::UInt128(value) => {
            let bytes = value.to_be_bytes();
            Arc::new(FixedSizeBinaryArray::try_from_iter(std::iter::once(bytes))?)
        }
        L::AboveMax | L::BelowMin => return Err("a default is out of range".into()),
    };
    Ok(if array.data_type() == kind { array } else { cast(&array, kind)? })
}
