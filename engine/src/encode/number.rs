//! Numbers as text: every digit of integers and decimals, the shortest text of
//! floats that reads back the same.

use std::io::Write as _;

/// Most digits that 53 bits hold whatever they are.
pub(super) const EXACT_DIGITS: u8 = 15;

/// `12.50` of 1250 and scale 2; a negative scale adds zeros.
pub(super) fn decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let Ok(scale) = usize::try_from(scale) else {
        integer(unscaled, out);
        if unscaled != 0 {
            out.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
        }
        return;
    };
    if unscaled < 0 {
        out.push(b'-');
    }
    let digits = unscaled.unsigned_abs().to_string();
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
        return;
    }
    let whole = digits.len().saturating_sub(scale);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits.as_bytes()[..whole] });
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', scale.saturating_sub(digits.len())));
    out.extend_from_slice(&digits.as_bytes()[whole..]);
}

/// Any integer.
pub(super) fn integer(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// The name of a float that is no number.
pub(super) fn not_finite(number: f64) -> Option<&'static str> {
    match number {
        n if n.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

/// A finite float: `0.1`, `1.0`, `1e300`.
pub(super) fn float<T: serde::Serialize>(number: T, out: &mut Vec<u8>) {
    // Neither serializing a float nor writing to a Vec can fail.
    let _ = serde_json::to_writer(out, &number);
}
