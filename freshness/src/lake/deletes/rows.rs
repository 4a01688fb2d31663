//! A few columns of a Parquet file, by field id, in the types that the table
//! has now. It must never know what they are read for.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray as _, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::util::display::FormatOptions;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::schema::types::TypePtr;

use super::Source;

const EXACT: CastOptions<'_> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) kind: DataType,
    /// One value, for files that lack the column; without it they are an error.
    pub(super) absent: Option<ArrayRef>,
}

impl Wanted {
    /// A column that must be there.
    pub(super) fn present(id: i32, name: &str, kind: DataType) -> Self {
        Self { id, name: name.to_owned(), kind, absent: None }
    }

    /// Its place among a file's columns: by field id, or by name where the file has no ids.
    fn place(&self, fields: &[TypePtr]) -> Option<usize> {
        let has_ids = fields.iter().any(|field| field.get_basic_info().has_id());
        fields.iter().position(|field| {
            let info = field.get_basic_info();
            if has_ids { info.has_id() && info.id() == self.id } else { info.name() == self.name }
        })
    }
}

/// Reads the columns in pieces, each with the position of its first row and how many it has.
/// Blocks.
pub(super) fn read(
    path: &Path,
    wanted: &[Wanted],
    mut each: impl FnMut(u64, usize, &[ArrayRef]) -> Result<(), Source>,
) -> Result<(), Source> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path)?, options)?;
    let schema = builder.parquet_schema();
    let fields = schema.root_schema().get_fields();
    let places: Vec<Option<usize>> = wanted.iter().map(|column| column.place(fields)).collect();
    let lacking = wanted.iter().zip(&places);
    if let Some((column, _)) = lacking.clone().find(|(c, p)| p.is_none() && c.absent.is_none()) {
        return Err(format!("it has no column `{}` (field id {})", column.name, column.id).into());
    }
    let mut read: Vec<usize> = places.iter().flatten().copied().collect();
    read.sort_unstable();
    let mask = ProjectionMask::roots(schema, read.iter().copied());
    let mut start = 0;
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let column = |(wanted, place): (&Wanted, &Option<usize>)| -> Result<ArrayRef, Source> {
            match (place.and_then(|place| read.binary_search(&place).ok()), &wanted.absent) {
                (Some(at), _) => typed(batch.column(at), &wanted.kind),
                (None, Some(value)) => {
                    let first = UInt64Array::from(vec![0; batch.num_rows()]);
                    Ok(take(value, &first, None)?)
                }
                (None, None) => Err(format!("it has no column `{}`", wanted.name).into()),
            }
        };
        let columns = lacking.clone().map(column).collect::<Result<Vec<_>, _>>()?;
        each(start, batch.num_rows(), &columns)?;
        start += batch.num_rows() as u64;
    }
    Ok(())
}

/// In the type of the table, and NaN in one spelling.
fn typed(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef, Source> {
    let array = match array.data_type() == kind {
        true => array.clone(),
        false => cast_with_options(array, kind, &EXACT)?,
    };
    Ok(match kind {
        DataType::Float32 => {
            let one = |value: f32| if value.is_nan() { f32::NAN } else { value };
            std::sync::Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        DataType::Float64 => {
            let one = |value: f64| if value.is_nan() { f64::NAN } else { value };
            std::sync::Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        _ => array,
    })
}
