//! What lies under NULLs, settled: the children of a NULL struct are NULL too
//! (DuckDB reads a member without looking at the struct), and values under
//! NULLs are zero (DuckDB leaves them undefined, and Arrow writes them).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, FixedSizeListArray, GenericListArray, MapArray,
    OffsetSizeTrait, PrimitiveArray, StructArray, UnionArray, downcast_primitive_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::nullif;
use arrow::datatypes::{ArrowPrimitiveType, DataType};
use arrow::error::ArrowError;

/// The same values with everything under NULLs settled.
///
/// # Errors
/// Arrow's own, for arrays that are not sound.
pub(crate) fn settle(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let plain = array.as_ref();
    Ok(downcast_primitive_array! {
        plain => zeroed(plain),
        DataType::Boolean => flags(plain.as_boolean()),
        DataType::Struct(_) => Arc::new(structs(plain.as_struct())?),
        DataType::List(_) => lists(plain.as_list::<i32>())?,
        DataType::LargeList(_) => lists(plain.as_list::<i64>())?,
        DataType::FixedSizeList(..) => fixed(plain.as_fixed_size_list())?,
        DataType::Map(..) => maps(plain.as_map())?,
        DataType::Union(..) => unions(plain.as_union())?,
        _ => Arc::clone(array),
    })
}

fn zeroed<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> ArrayRef {
    let values: Vec<T::Native> = array.iter().map(Option::unwrap_or_default).collect();
    let settled = PrimitiveArray::<T>::new(values.into(), array.nulls().cloned());
    Arc::new(settled.with_data_type(array.data_type().clone()))
}

fn flags(array: &BooleanArray) -> ArrayRef {
    let values = array.iter().map(Option::unwrap_or_default).collect();
    Arc::new(BooleanArray::new(values, array.nulls().cloned()))
}

fn structs(array: &StructArray) -> Result<StructArray, ArrowError> {
    let children = array.columns().iter().map(|child| settle(&masked(child, array.nulls())?));
    let children = children.collect::<Result<Vec<_>, _>>()?;
    if children.is_empty() {
        return Ok(array.clone());
    }
    StructArray::try_new(array.fields().clone(), children, array.nulls().cloned())
}

fn lists<O: OffsetSizeTrait>(array: &GenericListArray<O>) -> Result<ArrayRef, ArrowError> {
    let (field, offsets, values, nulls) = array.clone().into_parts();
    Ok(Arc::new(GenericListArray::try_new(field, offsets, settle(&values)?, nulls)?))
}

fn fixed(array: &FixedSizeListArray) -> Result<ArrayRef, ArrowError> {
    let (field, length, values, nulls) = array.clone().into_parts();
    let expanded = nulls.as_ref().map(|n| n.expand(usize::try_from(length).unwrap_or_default()));
    let values = settle(&masked(&values, expanded.as_ref())?)?;
    Ok(Arc::new(FixedSizeListArray::try_new(field, length, values, nulls)?))
}

fn maps(array: &MapArray) -> Result<ArrayRef, ArrowError> {
    let (field, offsets, entries, nulls, ordered) = array.clone().into_parts();
    Ok(Arc::new(MapArray::try_new(field, offsets, structs(&entries)?, nulls, ordered)?))
}

fn unions(array: &UnionArray) -> Result<ArrayRef, ArrowError> {
    let (fields, ids, offsets, children) = array.clone().into_parts();
    let children = children.iter().map(settle).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(UnionArray::try_new(fields, ids, offsets, children)?))
}

/// The child with NULLs where its parent has them; unions have none of their own.
fn masked(child: &ArrayRef, parent: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    match parent.filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) if !matches!(child.data_type(), DataType::Union(..) | DataType::Null) => {
            nullif(child, &BooleanArray::new(!nulls.inner(), None))
        }
        _ => Ok(Arc::clone(child)),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, ListArray};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    #[test]
    fn a_null_structs_members_are_null_and_zero() {
        let member = Int64Array::from(vec![7, 8, 9]);
        let fields = vec![Field::new("n", DataType::Int64, true)];
        let nulls = NullBuffer::from(vec![true, false, true]);
        let array: ArrayRef =
            Arc::new(StructArray::new(fields.into(), vec![Arc::new(member)], Some(nulls)));
        let settled = settle(&array).unwrap();
        assert_eq!(&settled, &array);
        let member = settled.as_struct().column(0).as_primitive::<Int64Type>();
        assert_eq!(member, &Int64Array::from(vec![Some(7), None, Some(9)]));
        assert_eq!(member.values().as_ref(), [7, 0, 9]);
    }

    #[test]
    fn values_under_nulls_are_zero_at_every_depth() {
        let garbage = |values: Vec<i64>, valid: Vec<bool>| {
            Int64Array::new(values.into(), Some(NullBuffer::from(valid)))
        };
        let plain: ArrayRef = Arc::new(garbage(vec![1, 99, 3], vec![true, false, true]));
        let settled = settle(&plain).unwrap();
        assert_eq!(settled.as_primitive::<Int64Type>().values().as_ref(), [1, 0, 3]);
        let field = Arc::new(Field::new_list_field(DataType::Int64, true));
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([2, 0, 1]);
        let list: ArrayRef = Arc::new(ListArray::new(field, offsets, plain, None));
        let settled = settle(&list).unwrap();
        let values = settled.as_list::<i32>().values().as_primitive::<Int64Type>();
        assert_eq!(values.values().as_ref(), [1, 0, 3]);
        assert_eq!(&settled, &list);
    }
}
