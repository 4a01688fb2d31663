//! Iceberg's bounds as scalars of the engine's order, and back.
//!
//! It must never know which file they are of.

use iceberg::spec::{Datum, PrimitiveLiteral, PrimitiveType};
use springtide_relation::Scalar;

use crate::statistics::{lower_text, upper_text};

/// Iceberg's customary length of text bounds in manifests, in characters.
const MANIFEST_TEXT: usize = 16;

/// Which end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Lower,
    Upper,
}

/// A bound of a manifest; `None` where it bounds nothing (NaN, or a type that has no order here).
pub(super) fn scalar(datum: &Datum, end: End) -> Option<Scalar> {
    use PrimitiveLiteral as L;
    use PrimitiveType as T;
    Some(match (datum.data_type(), datum.literal()) {
        (T::Boolean, L::Boolean(value)) => Scalar::Boolean(*value),
        (T::Int, L::Int(value)) => Scalar::Integer((*value).into()),
        (T::Long, L::Long(value)) => Scalar::Integer((*value).into()),
        (T::Float, L::Float(value)) => float(f64::from(value.0))?,
        (T::Double, L::Double(value)) => float(value.0)?,
        (T::Decimal { scale, .. }, L::Int128(value)) => {
            Scalar::Decimal(*value, i8::try_from(*scale).ok()?)
        }
        (T::Date, L::Int(days)) => Scalar::Date(*days),
        (T::Time, L::Long(micros)) => Scalar::Time(*micros),
        (T::Timestamp | T::Timestamptz, L::Long(micros)) => Scalar::Timestamp(*micros),
        (T::TimestampNs | T::TimestamptzNs, L::Long(nanos)) => {
            let down = nanos.div_euclid(1_000);
            let inexact = nanos.rem_euclid(1_000) != 0;
            Scalar::Timestamp(down + i64::from(inexact && end == End::Upper))
        }
        (T::String, L::String(text)) => Scalar::Text(text.as_str().into()),
        (T::Uuid, L::UInt128(value)) => Scalar::Binary(value.to_be_bytes().as_slice().into()),
        (T::Fixed(_) | T::Binary, L::Binary(bytes)) => Scalar::Binary(bytes.as_slice().into()),
        _ => return None,
    })
}

/// A bound for a manifest; `None` where the type's bound cannot be told.
pub(super) fn datum(scalar: &Scalar, kind: &PrimitiveType, end: End) -> Option<Datum> {
    use PrimitiveType as T;
    Some(match (kind, scalar) {
        (T::Boolean, Scalar::Boolean(value)) => Datum::bool(*value),
        (T::Int, Scalar::Integer(value)) => Datum::int(i32::try_from(*value).ok()?),
        (T::Long, Scalar::Integer(value)) => Datum::long(i64::try_from(*value).ok()?),
        #[expect(clippy::cast_possible_truncation, reason = "it was widened from f32")]
        (T::Float, Scalar::Float(value)) => Datum::float(signed_zero(*value, end) as f32),
        (T::Double, Scalar::Float(value)) => Datum::double(signed_zero(*value, end)),
        (T::Date, Scalar::Date(days)) => Datum::date(*days),
        (T::Time, Scalar::Time(micros)) => Datum::time_micros(*micros).ok()?,
        (T::Timestamp, Scalar::Timestamp(micros)) => Datum::timestamp_micros(*micros),
        (T::Timestamptz, Scalar::Timestamp(micros)) => Datum::timestamptz_micros(*micros),
        (T::String, Scalar::Text(text)) => match end {
            End::Lower => Datum::string(lower_text(text, MANIFEST_TEXT)),
            End::Upper => Datum::string(upper_text(text, MANIFEST_TEXT)?),
        },
        (T::Uuid, Scalar::Binary(bytes)) => Datum::uuid(uuid::Uuid::from_slice(bytes).ok()?),
        // The bytes of a manifest's decimal are its unscaled value, big-endian.
        (T::Decimal { .. }, Scalar::Decimal(value, _)) => {
            Datum::try_from_bytes(&value.to_be_bytes(), kind.clone()).ok()?
        }
        _ => return None,
    })
}

fn float(value: f64) -> Option<Scalar> {
    (!value.is_nan()).then_some(Scalar::Float(value + 0.0))
}

/// Iceberg orders −0.0 below 0.0: a lower bound of zero must admit both.
fn signed_zero(value: f64, end: End) -> f64 {
    if value == 0.0 && end == End::Lower { -0.0 } else { value }
}
