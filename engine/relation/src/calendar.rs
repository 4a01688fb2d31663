//! The proleptic Gregorian calendar over the whole range of DuckDB's dates and
//! timestamps, which is wider than any calendar crate's. It must never know how
//! a date is written.

/// Microseconds of an hour.
pub const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

/// Year, month (from 1) and day (from 1) of a day since 1970: by the 400-year cycle,
/// counted from 1 March of year 0.
#[must_use]
pub const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn days_follow_each_other(days in -3_000_000_000i64..3_000_000_000) {
            let ((y, m, d), next) = (civil(days), civil(days + 1));
            prop_assert!((1..=12).contains(&m) && (1..=31).contains(&d));
            let (new_year, new_month) = ((y + 1, 1, 1), (y, m + 1, 1));
            prop_assert!(next == (y, m, d + 1) || (d >= 28 && next == new_month)
                || ((m, d) == (12, 31) && next == new_year), "{:?} {next:?}", (y, m, d));
        }
    }

    #[test]
    fn known_days_have_their_dates() {
        let known = [
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_412, (2001, 3, 31)),
            (-25_509, (1900, 2, 28)),
            (-25_508, (1900, 3, 1)),
            (-719_162, (1, 1, 1)),
            (-719_528, (0, 1, 1)),
        ];
        for (days, date) in known {
            assert_eq!(civil(days), date, "{days}");
        }
    }
}
