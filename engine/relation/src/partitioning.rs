//! The tag partition of a table (rule 11): a column and a transform, fixed in
//! configuration, whose values name the parts that answers depend on and
//! changes touch. Iceberg's current partition spec plays no part.

use std::fmt;
use std::str::FromStr;

use springtide_protocol::limits::PARTITION_TAGS;

use crate::calendar::{MICROS_PER_DAY, MICROS_PER_HOUR, civil};
use crate::scalar::Scalar;

/// How a column's value becomes a partition's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transform {
    /// As it is (text, integers, dates).
    Identity,
    /// `2001`.
    Year,
    /// `2001-03`.
    Month,
    /// `2001-03-31`.
    Day,
    /// `2001-03-31T23`.
    Hour,
}

/// A column and its transform: `day(date)`, `origin`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagPartition {
    /// The column's name.
    pub column: String,
    /// The transform.
    pub transform: Transform,
}

/// Why a text is no partition.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a partition: write a column, or one of year(c), month(c), day(c), hour(c)")]
pub struct InvalidPartition(pub String);

impl TagPartition {
    /// The text of a value's partition; `None` where the transform does not fit the type.
    /// NULL's partition is the caller's to name.
    #[must_use]
    pub fn value(&self, scalar: &Scalar) -> Option<String> {
        if self.transform == Transform::Identity {
            return identity(scalar);
        }
        self.step(scalar).map(|step| self.text(step))
    }

    /// All partitions between two bounds, both inclusive; `None` where they are
    /// more than 16 or the transform cannot be counted through.
    #[must_use]
    pub fn range(&self, lower: &Scalar, upper: &Scalar) -> Option<Vec<String>> {
        if self.transform == Transform::Identity {
            let (Scalar::Integer(from), Scalar::Integer(to)) = (lower, upper) else {
                let equal = lower.compare(upper)?.is_eq();
                return equal.then(|| identity(lower).map(|v| vec![v]))?;
            };
            let few = to.checked_sub(*from)? < PARTITION_TAGS as i128;
            return few.then(|| (*from..=*to).map(|n| n.to_string()).collect());
        }
        let (from, to) = (self.step(lower)?, self.step(upper)?);
        let few = to.checked_sub(from)? < PARTITION_TAGS as i64;
        few.then(|| (from..=to).map(|step| self.text(step)).collect())
    }

    /// The number of whole years, months, days or hours since 1970.
    fn step(&self, scalar: &Scalar) -> Option<i64> {
        let micros = match scalar {
            Scalar::Timestamp(micros) => *micros,
            Scalar::Date(days) => i64::from(*days) * MICROS_PER_DAY,
            _ => return None,
        };
        let days = micros.div_euclid(MICROS_PER_DAY);
        let (year, month, _) = civil(days);
        match self.transform {
            Transform::Identity => None,
            Transform::Year => Some(year - 1970),
            Transform::Month => Some((year - 1970) * 12 + month - 1),
            Transform::Day => Some(days),
            Transform::Hour => Some(micros.div_euclid(MICROS_PER_HOUR)),
        }
    }

    fn text(&self, step: i64) -> String {
        match self.transform {
            Transform::Identity | Transform::Year => format!("{:04}", step + 1970),
            Transform::Month => {
                format!("{:04}-{:02}", 1970 + step.div_euclid(12), step.rem_euclid(12) + 1)
            }
            Transform::Day => day_text(step),
            Transform::Hour => {
                format!("{}T{:02}", day_text(step.div_euclid(24)), step.rem_euclid(24))
            }
        }
    }
}

fn identity(scalar: &Scalar) -> Option<String> {
    match scalar {
        Scalar::Boolean(b) => Some(b.to_string()),
        Scalar::Integer(n) => Some(n.to_string()),
        Scalar::Date(days) => Some(day_text(i64::from(*days))),
        Scalar::Text(text) => Some(text.to_lowercase()),
        _ => None,
    }
}

fn day_text(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

impl FromStr for TagPartition {
    type Err = InvalidPartition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let call = text.strip_suffix(')').and_then(|t| t.split_once('('));
        let (transform, column) = match call {
            None => (Transform::Identity, text),
            Some(("year", column)) => (Transform::Year, column),
            Some(("month", column)) => (Transform::Month, column),
            Some(("day", column)) => (Transform::Day, column),
            Some(("hour", column)) => (Transform::Hour, column),
            Some(_) => return Err(InvalidPartition(text.to_owned())),
        };
        let column = column.trim();
        let plain = |c: char| c.is_alphanumeric() || c == '_';
        if column.is_empty() || !column.chars().all(plain) {
            return Err(InvalidPartition(text.to_owned()));
        }
        Ok(Self { column: column.to_owned(), transform })
    }
}

impl fmt::Display for TagPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.transform {
            Transform::Identity => return f.write_str(&self.column),
            Transform::Year => "year",
            Transform::Month => "month",
            Transform::Day => "day",
            Transform::Hour => "hour",
        };
        write!(f, "{name}({})", self.column)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day() -> TagPartition {
        "day(date)".parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_value_between_two_bounds_is_in_their_range(
            transform in prop_oneof![
                Just(Transform::Year), Just(Transform::Month),
                Just(Transform::Day), Just(Transform::Hour),
            ],
            from in -4_000_000_000_000_000i64..4_000_000_000_000_000,
            width in 0i64..100_000_000_000,
            at in 0.0f64..=1.0,
        ) {
            let tag = TagPartition { column: "c".into(), transform };
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
            let between = from + (width as f64 * at) as i64;
            let time = Scalar::Timestamp;
            if let Some(range) = tag.range(&time(from), &time(from + width)) {
                prop_assert!(range.contains(&tag.value(&time(between)).unwrap()));
                prop_assert!(range.len() <= PARTITION_TAGS);
            }
        }

        #[test]
        fn dates_and_their_midnights_agree(days in -1_000_000i32..1_000_000) {
            let micros = i64::from(days) * MICROS_PER_DAY;
            prop_assert_eq!(day().value(&Scalar::Date(days)), day().value(&Scalar::Timestamp(micros)));
        }
    }

    #[test]
    fn texts_are_definite() {
        let cases = [
            ("day(date)", Scalar::Timestamp(0), "1970-01-01"),
            ("day(date)", Scalar::Timestamp(-1), "1969-12-31"),
            ("day(date)", Scalar::Timestamp(986_083_140_000_000), "2001-03-31"),
            ("hour(date)", Scalar::Timestamp(986_083_140_000_000), "2001-03-31T23"),
            ("month(date)", Scalar::Date(11_412), "2001-03"),
            ("year(date)", Scalar::Date(11_412), "2001"),
            ("date", Scalar::Date(11_016), "2000-02-29"),
            ("origin", Scalar::Text("ATL".into()), "atl"),
        ];
        for (tag, value, wanted) in cases {
            let tag: TagPartition = tag.parse().unwrap();
            assert_eq!(tag.value(&value).as_deref(), Some(wanted), "{tag}");
        }
    }

    #[test]
    fn a_range_that_cannot_be_counted_is_none() {
        let text = |s: &str| Scalar::Text(s.into());
        let origin: TagPartition = "origin".parse().unwrap();
        assert_eq!(origin.range(&text("ATL"), &text("ATL")), Some(vec!["atl".to_owned()]));
        assert_eq!(origin.range(&text("ATL"), &text("BOS")), None);
        let number: TagPartition = "n".parse().unwrap();
        let integers = |a, b| number.range(&Scalar::Integer(a), &Scalar::Integer(b));
        assert_eq!(integers(1, 16).unwrap().len(), 16);
        assert_eq!(integers(1, 17), None);
        assert_eq!(integers(i128::MIN, i128::MAX), None);
        assert_eq!(day().range(&Scalar::Timestamp(0), &text("x")), None);
    }

    #[test]
    fn what_is_no_partition_is_refused() {
        for text in ["", "week(date)", "day()", "day(date", "bucket(16, id)"] {
            assert!(text.parse::<TagPartition>().is_err(), "{text}");
        }
        assert_eq!("hour( at )".parse::<TagPartition>().unwrap().to_string(), "hour(at)");
    }
}
