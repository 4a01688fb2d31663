//! Numbers, dates and times out of text, exactly or not at all. Pure functions
//! of their text; they know neither JSON nor columns.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A number that is whole and fits 64 bits, however it is written.
pub(super) fn whole(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| i64::try_from(unscaled(text, 0)?).ok())
}

/// A number as an unscaled decimal; `None` where digits would be lost.
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let value = unscaled(text, i32::from(scale))?;
    let bound = 10i128.checked_pow(u32::from(precision))?;
    (-bound < value && value < bound).then_some(value)
}

/// `text × 10^scale`, where that is whole.
///
/// The digits are gathered as one integer with the exponent that they lack, so
/// nothing is rounded on the way. Zeros at the end cost no digit.
fn unscaled(text: &str, scale: i32) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if whole.is_empty() || !digits().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kept = digits().collect::<Vec<_>>();
    let end = kept.iter().rposition(|b| *b != b'0').map_or(0, |last| last + 1);
    if end == 0 {
        return Some(0);
    }
    let dropped = i32::try_from(kept.len() - end).ok()?;
    let fraction = i32::try_from(fraction.len()).ok()?;
    let power = exponent.checked_add(scale)?.checked_sub(fraction)?.checked_add(dropped)?;
    let power = u32::try_from(power).ok()?;
    let value = kept[..end].iter().try_fold(0i128, |value, digit| {
        value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
    })?;
    let value = value.checked_mul(10i128.checked_pow(power)?)?;
    Some(if negative { -value } else { value })
}

/// What JSON has no number for.
pub(super) fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Days since 1970 of `YYYY-MM-DD`.
pub(super) fn date(text: &str) -> Option<i32> {
    civil(text).map(days)
}

/// Days since 1970 as a date, where its year has four digits.
pub(super) fn date_of_days(value: i64) -> Option<i32> {
    let value = i32::try_from(value).ok()?;
    let date = NaiveDate::from_ymd_opt(1970, 1, 1)?
        .checked_add_signed(chrono::TimeDelta::try_days(i64::from(value))?)?;
    in_years(date).then_some(value)
}

/// Microseconds since midnight of `HH:MM[:SS[.f]]`.
pub(super) fn time(text: &str) -> Option<i64> {
    clock(text).map(|time| micros_of_day(&time))
}

/// Microseconds since 1970 of a date, or a date and a time with `T` or a space
/// between, with or without a zone.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let date = civil(text.get(..10)?)?;
    let rest = &text[10..];
    if rest.is_empty() {
        return Some(NaiveDateTime::from(date).and_utc().timestamp_micros());
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, offset_seconds) = split_zone(rest)?;
    let local = date.and_time(clock(time)?).and_utc().timestamp_micros();
    let utc = local.checked_sub(offset_seconds * MICROS_PER_SECOND)?;
    in_years(DateTime::from_timestamp_micros(utc)?.date_naive()).then_some(utc)
}

/// Milliseconds since 1970 in microseconds, where the year has four digits.
pub(super) fn micros_of_millis(millis: i64) -> Option<i64> {
    let micros = millis.checked_mul(1_000)?;
    in_years(DateTime::from_timestamp_micros(micros)?.date_naive()).then_some(micros)
}

/// A time and the seconds that its zone is ahead of UTC.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, 0)) };
    let (time, zone) = text.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let zone = &zone[1..];
    let (hours, minutes) = match zone.len() {
        2 => (zone, "00"),
        4 => (zone.get(..2)?, zone.get(2..)?),
        5 => zone.split_once(':')?,
        _ => return None,
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours <= 23 && minutes <= 59)
        .then(|| (time.trim_end(), sign * i64::from(hours * 3600 + minutes * 60)))
}

/// `YYYY-MM-DD`, four digits of year, exactly.
fn civil(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = two_digits(text.get(..2)?)? * 100 + two_digits(text.get(2..4)?)?;
    let (month, day) = (two_digits(text.get(5..7)?)?, two_digits(text.get(8..)?)?);
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).filter(|d| in_years(*d))
}

/// `HH:MM[:SS[.f…]]`; digits beyond microseconds are cut off.
fn clock(text: &str) -> Option<NaiveTime> {
    let (hour, minute) = (two_digits(text.get(..2)?)?, two_digits(text.get(3..5)?)?);
    if text.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let rest = &text[5..];
    if rest.is_empty() {
        return NaiveTime::from_hms_opt(hour, minute, 0);
    }
    let rest = rest.strip_prefix(':')?;
    let second = two_digits(rest.get(..2)?)?;
    let micros = match &rest[2..] {
        "" => 0,
        fraction => micros_of_fraction(fraction.strip_prefix('.')?)?,
    };
    NaiveTime::from_hms_micro_opt(hour, minute, second, micros).filter(|_| second < 60)
}

fn micros_of_fraction(digits: &str) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kept = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(kept.fold(0, |micros, digit| micros * 10 + u32::from(digit - b'0')))
}

fn two_digits(text: &str) -> Option<u32> {
    match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Some(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
        }
        _ => None,
    }
}

fn days(date: NaiveDate) -> i32 {
    // Years are bounded, so the difference is far below 2^31.
    date.num_days_from_ce() - 719_163
}

fn micros_of_day(time: &NaiveTime) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * MICROS_PER_SECOND
        + i64::from(time.nanosecond() / 1_000)
}

fn in_years(date: NaiveDate) -> bool {
    (1..=9999).contains(&date.year())
}
