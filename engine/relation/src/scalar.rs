//! Typed values of bounds and predicates, with DuckDB's total order within a
//! type: NaN is above all numbers (rule 10).

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::calendar::MICROS_PER_DAY;

/// One value. Integers of every width share one variant, as do timestamps of
/// every unit (in microseconds).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Scalar {
    /// BOOLEAN.
    Boolean(bool),
    /// Any integer.
    Integer(i128),
    /// FLOAT or DOUBLE.
    Float(f64),
    /// DECIMAL: unscaled value and scale.
    Decimal(i128, i8),
    /// Days since 1970.
    Date(i32),
    /// TIME: microseconds since midnight.
    Time(i64),
    /// TIMESTAMP, or TIMESTAMPTZ in UTC: microseconds since 1970.
    Timestamp(i64),
    /// VARCHAR.
    Text(Arc<str>),
    /// BLOB, UUID bytes.
    Binary(Arc<[u8]>),
}

impl Scalar {
    /// The order of two values of one type; `None` across types.
    ///
    /// Numbers of different kinds (integer, decimal, float) are comparable
    /// where that is exact, else `None`: unknown means "may match".
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => Some(float_order(*a, *b)),
            (Self::Integer(a), Self::Float(b)) => integer_float_order(*a, *b),
            (Self::Float(a), Self::Integer(b)) => {
                integer_float_order(*b, *a).map(Ordering::reverse)
            }
            (Self::Decimal(a, s), Self::Decimal(b, t)) => decimal_order((*a, *s), (*b, *t)),
            (Self::Integer(a), Self::Decimal(b, t)) => decimal_order((*a, 0), (*b, *t)),
            (Self::Decimal(a, s), Self::Integer(b)) => decimal_order((*a, *s), (*b, 0)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Timestamp(b)) => Some(midnight(*a).cmp(&i128::from(*b))),
            (Self::Timestamp(a), Self::Date(b)) => Some(i128::from(*a).cmp(&midnight(*b))),
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Binary(a), Self::Binary(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// NaN equals NaN and is above all; −0.0 equals 0.0.
fn float_order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn integer_float_order(a: i128, b: f64) -> Option<Ordering> {
    const EXACT: i128 = 1 << 53;
    if b.is_nan() {
        return Some(Ordering::Less);
    }
    #[expect(clippy::cast_precision_loss, reason = "bounded by 2^53, so exact")]
    (a.abs() <= EXACT).then(|| float_order(a as f64, b))
}

fn decimal_order(a: (i128, i8), b: (i128, i8)) -> Option<Ordering> {
    let scale = a.1.max(b.1);
    let scaled = |(value, own): (i128, i8)| {
        let power = u32::try_from(scale - own).ok()?;
        value.checked_mul(10i128.checked_pow(power)?)
    };
    Some(scaled(a)?.cmp(&scaled(b)?))
}

fn midnight(days: i32) -> i128 {
    i128::from(days) * i128::from(MICROS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_follows_duckdb_within_a_kind_and_is_unknown_across() {
        use Ordering::{Equal, Greater, Less};
        let text = |s: &str| Scalar::Text(s.into());
        let cases = [
            (Scalar::Float(f64::NAN), Scalar::Float(f64::INFINITY), Some(Greater)),
            (Scalar::Float(f64::NAN), Scalar::Float(f64::NAN), Some(Equal)),
            (Scalar::Float(-0.0), Scalar::Float(0.0), Some(Equal)),
            (Scalar::Integer(3), Scalar::Float(3.5), Some(Less)),
            (Scalar::Integer(1 << 60), Scalar::Float(1.0), None),
            (Scalar::Integer(i128::from(i64::MAX)), Scalar::Float(f64::NAN), Some(Less)),
            (Scalar::Decimal(150, 2), Scalar::Decimal(15, 1), Some(Equal)),
            (Scalar::Decimal(-151, 2), Scalar::Integer(-1), Some(Less)),
            (Scalar::Decimal(i128::MAX, 0), Scalar::Decimal(1, 2), None),
            (Scalar::Date(-1), Scalar::Timestamp(-86_400_000_000), Some(Equal)),
            (text("a"), text("ä"), Some(Less)),
            (text("1"), Scalar::Integer(1), None),
        ];
        for (a, b, wanted) in cases {
            assert_eq!(a.compare(&b), wanted, "{a:?} {b:?}");
            assert_eq!(b.compare(&a), wanted.map(Ordering::reverse), "{b:?} {a:?}");
        }
    }
}
