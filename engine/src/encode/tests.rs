//! Numbers, times and names as text, where DuckDB's own values do not reach.

use super::{distinct, number, time};

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn decimals_keep_their_scale() {
    let cases = [
        (0, 0, "0"),
        (0, 2, "0.00"),
        (5, 2, "0.05"),
        (-5, 2, "-0.05"),
        (150, 2, "1.50"),
        (-12345, 3, "-12.345"),
        (7, -2, "700"),
        (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        (i128::MAX, 38, "1.70141183460469231731687303715884105727"),
    ];
    for (unscaled, scale, expected) in cases {
        assert_eq!(text(|out| number::decimal(unscaled, scale, out)), expected);
    }
}

#[test]
fn dates_beyond_four_digits_are_signed() {
    let cases = [
        (0, "1970-01-01"),
        (-719_528, "0000-01-01"),
        (-719_529, "-000001-12-31"),
        (2_932_896, "9999-12-31"),
        (2_932_897, "+010000-01-01"),
        (i32::MAX, "infinity"),
        (-i32::MAX, "-infinity"),
    ];
    for (days, expected) in cases {
        assert_eq!(text(|out| time::date(days, out)), expected);
    }
}

#[test]
fn fractions_have_three_six_or_nine_digits_or_none() {
    let cases = [
        (0, 1_000_000, "1970-01-01T00:00:00"),
        (-1, 1_000_000, "1969-12-31T23:59:59.999999"),
        (1_500, 1_000, "1970-01-01T00:00:01.500"),
        (1_500_000, 1_000_000, "1970-01-01T00:00:01.500"),
        (1_500_001, 1_000_000, "1970-01-01T00:00:01.500001"),
        (1, 1_000_000_000, "1970-01-01T00:00:00.000000001"),
        (i64::MAX - 1, 1_000_000, "+294247-01-10T04:00:54.775806"),
        (i64::MAX, 1_000_000, "infinity"),
    ];
    for (ticks, per_second, expected) in cases {
        assert_eq!(text(|out| time::timestamp(ticks, per_second, false, out)), expected);
    }
    assert_eq!(text(|out| time::timestamp(0, 1, true, out)), "1970-01-01T00:00:00Z");
    assert_eq!(text(|out| time::time(86_400_000_000, 1_000_000, out)), "24:00:00");
}

#[test]
fn intervals_are_iso_8601_durations() {
    let cases = [
        ((0, 0, 0), "PT0S"),
        ((14, 0, 0), "P1Y2M"),
        ((0, -3, 0), "P-3D"),
        ((0, 0, 3_661_500_000_000), "PT1H1M1.500S"),
        ((0, 0, -500_000_000), "PT-0.500S"),
        ((0, 0, -3_600_000_000_000), "PT-1H"),
        ((-1, 2, 60_000_000_000), "P-1M2DT1M"),
    ];
    for ((months, days, nanos), expected) in cases {
        assert_eq!(text(|out| time::interval(months, days, nanos, out)), expected);
    }
}

#[test]
fn a_repeated_name_takes_the_first_free_number() {
    let names = ["a", "a", "a_1", "a", "b", "a_1"];
    assert_eq!(distinct(names.into_iter()), ["a", "a_2", "a_1", "a_3", "b", "a_1_1"]);
}
