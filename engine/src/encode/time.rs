//! Dates, times and intervals in ISO 8601, over the whole range of DuckDB's types.

use std::io::Write as _;

use springtide_relation::calendar::civil;

const SECONDS_PER_DAY: i64 = 86_400;

/// `2001-03-31`; `infinity` at the ends of the range.
pub(super) fn date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MAX => out.extend_from_slice(b"infinity"),
        days if days == -i32::MAX => out.extend_from_slice(b"-infinity"),
        days => civil_date(i64::from(days), out),
    }
}

/// `2001-03-31T23:59:00`; `ticks` of `per_second` since 1970.
pub(super) fn timestamp(ticks: i64, per_second: i64, zoned: bool, out: &mut Vec<u8>) {
    match ticks {
        i64::MAX => return out.extend_from_slice(b"infinity"),
        ticks if ticks == -i64::MAX => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let (seconds, fraction) = (ticks.div_euclid(per_second), ticks.rem_euclid(per_second));
    civil_date(seconds.div_euclid(SECONDS_PER_DAY), out);
    out.push(b'T');
    clock(seconds.rem_euclid(SECONDS_PER_DAY), fraction, per_second, out);
    if zoned {
        out.push(b'Z');
    }
}

/// `23:59:00`; `ticks` of `per_second` since midnight.
pub(super) fn time(ticks: i64, per_second: i64, out: &mut Vec<u8>) {
    clock(ticks.div_euclid(per_second), ticks.rem_euclid(per_second), per_second, out);
}

/// `P1Y2M3DT4H5M6.5S`; `PT0S` for none.
pub(super) fn interval(months: i32, days: i32, nanos: i64, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'P');
    part(i64::from(months / 12), b'Y', out);
    part(i64::from(months % 12), b'M', out);
    part(i64::from(days), b'D', out);
    if nanos != 0 || out.len() == start + 1 {
        out.push(b'T');
        let seconds = nanos / 1_000_000_000;
        part(seconds / 3600, b'H', out);
        part(seconds / 60 % 60, b'M', out);
        let (whole, fraction) = (seconds % 60, nanos % 1_000_000_000);
        if whole != 0 || fraction != 0 || nanos == 0 {
            if nanos < 0 {
                out.push(b'-');
            }
            let _ = write!(out, "{}", whole.abs());
            fraction_digits(fraction.abs(), 1_000_000_000, out);
            out.push(b'S');
        }
    }
}

fn part(number: i64, unit: u8, out: &mut Vec<u8>) {
    if number != 0 {
        let _ = write!(out, "{number}");
        out.push(unit);
    }
}

fn clock(seconds: i64, fraction: i64, per_second: i64, out: &mut Vec<u8>) {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    two(hours, out);
    out.push(b':');
    two(minutes, out);
    out.push(b':');
    two(seconds % 60, out);
    fraction_digits(fraction, per_second, out);
}

/// `.500`: 3, 6 or 9 digits, nothing where it is zero.
fn fraction_digits(fraction: i64, per_second: i64, out: &mut Vec<u8>) {
    let nanos = fraction * (1_000_000_000 / per_second);
    let _ = match nanos {
        0 => Ok(()),
        n if n % 1_000_000 == 0 => write!(out, ".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => write!(out, ".{:06}", n / 1_000),
        n => write!(out, ".{n:09}"),
    };
}

fn two(number: i64, out: &mut Vec<u8>) {
    if number < 100 {
        // Two decimal digits.
        out.extend([b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
    } else {
        let _ = write!(out, "{number}");
    }
}

/// The date of a day since 1970.
fn civil_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    let _ = if (0..=9999).contains(&year) {
        write!(out, "{year:04}")
    } else {
        write!(out, "{year:+07}")
    };
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}
