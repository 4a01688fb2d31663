//! One spelling for floats that SQL counts as equal: −0.0 becomes 0.0 and every
//! NaN the same NaN. They tie in ORDER BY, and GROUP BY or max() may give any of
//! them, so without this equal data could give unequal bytes (rule 9).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, FixedSizeListArray, ListArray, MapArray, PrimitiveArray,
    RecordBatch, StructArray,
};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};

/// The batch with its floats, nested ones too, in one spelling.
pub(crate) fn settle(batch: RecordBatch) -> RecordBatch {
    let columns: Option<Vec<_>> = {
        let settled: Vec<_> = batch.columns().iter().map(settled).collect();
        settled.iter().any(Option::is_some).then(|| {
            let pairs = batch.columns().iter().zip(settled);
            pairs.map(|(old, new)| new.unwrap_or_else(|| Arc::clone(old))).collect()
        })
    };
    let Some(columns) = columns else { return batch };
    // Types and lengths are as before.
    RecordBatch::try_new(batch.schema(), columns).unwrap_or(batch)
}

/// The array in one spelling; `None` where it is so already.
fn settled(array: &ArrayRef) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::Float32 => floats::<Float32Type>(
            array,
            |v| f64::from(v).to_bits(),
            |v| {
                if v.is_nan() { f32::NAN } else { v + 0.0 }
            },
        ),
        DataType::Float64 => {
            floats::<Float64Type>(
                array,
                f64::to_bits,
                |v| {
                    if v.is_nan() { f64::NAN } else { v + 0.0 }
                },
            )
        }
        DataType::List(field) => {
            let list: &ListArray = array.as_list();
            let values = settled(list.values())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Some(Arc::new(ListArray::new(Arc::clone(field), offsets, values, nulls)))
        }
        DataType::FixedSizeList(field, length) => {
            let list = array.as_fixed_size_list();
            let values = settled(list.values())?;
            let nulls = list.nulls().cloned();
            Some(Arc::new(FixedSizeListArray::new(Arc::clone(field), *length, values, nulls)))
        }
        DataType::Struct(_) => structs(array.as_struct()).map(|s| Arc::new(s) as ArrayRef),
        DataType::Map(field, sorted) => {
            let map = array.as_map();
            let entries = structs(map.entries())?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Some(Arc::new(MapArray::new(Arc::clone(field), offsets, entries, nulls, *sorted)))
        }
        _ => None,
    }
}

fn structs(array: &StructArray) -> Option<StructArray> {
    let settled: Vec<_> = array.columns().iter().map(settled).collect();
    if settled.iter().all(Option::is_none) {
        return None;
    }
    let pairs = array.columns().iter().zip(settled);
    let columns = pairs.map(|(old, new)| new.unwrap_or_else(|| Arc::clone(old))).collect();
    Some(StructArray::new(array.fields().clone(), columns, array.nulls().cloned()))
}

fn floats<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    bits: impl Fn(T::Native) -> u64,
    settle: impl Fn(T::Native) -> T::Native,
) -> Option<ArrayRef> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    let differs = |value: &T::Native| bits(*value) != bits(settle(*value));
    if !array.values().iter().any(differs) {
        return None;
    }
    Some(Arc::new(array.unary::<_, T>(settle)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Float32Array, Float64Array, Int64Array};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    fn bits(array: &ArrayRef) -> Vec<u64> {
        array.as_primitive::<Float64Type>().values().iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn equal_floats_are_spelled_alike() {
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let column: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(-0.0),
            Some(0.0),
            None,
            Some(other_nan),
            Some(-1.5),
            Some(5e-324),
        ]));
        let single: ArrayRef = Arc::new(Float32Array::from(vec![-0.0_f32; 6]));
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![7; 6]));
        let batch =
            RecordBatch::try_from_iter([("f", column), ("r", single), ("n", whole)]).unwrap();
        let settled = settle(batch.clone());
        assert_eq!(settled.schema().fields().len(), 3);
        let found = bits(settled.column(0));
        assert_eq!((found[0], found[1], found[3]), (0, 0, f64::NAN.to_bits()));
        assert_eq!((found[4], found[5]), ((-1.5_f64).to_bits(), 1));
        assert!(settled.column(0).is_null(2));
        let single = settled.column(1).as_primitive::<Float32Type>();
        assert!(single.values().iter().all(|v| v.to_bits() == 0));
        assert!(Arc::ptr_eq(settled.column(2), batch.column(2)));
    }

    #[test]
    fn floats_inside_lists_and_structs_count_too() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, 1.0]));
        let field = Arc::new(Field::new("item", DataType::Float64, true));
        let list: ArrayRef =
            Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([2]), values, None));
        let inner = Arc::new(Field::new("l", list.data_type().clone(), true));
        let nested: ArrayRef = Arc::new(StructArray::from(vec![(inner, list)]));
        let settled = settle(RecordBatch::try_from_iter([("s", nested)]).unwrap());
        let list = settled.column(0).as_struct().column(0).as_list::<i32>();
        assert_eq!(bits(list.values()), [0, 1.0_f64.to_bits()]);
    }

    #[test]
    fn what_is_settled_is_not_copied() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 0.0]));
        let batch = RecordBatch::try_from_iter([("f", column)]).unwrap();
        assert!(Arc::ptr_eq(settle(batch.clone()).column(0), batch.column(0)));
    }
}
