//! What a predicate may come to over rows within bounds.

use std::cmp::Ordering;

use springtide_relation::calendar::MICROS_PER_DAY;
use springtide_relation::{ColumnStatistics, Scalar};

use super::{Cast, Column, Comparison, Outcome, Predicate};

/// The truth values that `predicate` may take over rows within these bounds.
pub(super) fn outcome(predicate: &Predicate, columns: &[ColumnStatistics]) -> Outcome {
    match predicate {
        Predicate::Unknown => Outcome::ANY,
        Predicate::False => Outcome::NEVER,
        Predicate::And(parts) => {
            let mut all = Outcome::exactly(true);
            for part in parts {
                all = all & outcome(part, columns);
                if all == Outcome::NEVER {
                    break;
                }
            }
            all
        }
        Predicate::Or(parts) => {
            parts.iter().fold(Outcome::NEVER, |any, part| any | outcome(part, columns))
        }
        Predicate::Not(part) => !outcome(part, columns),
        Predicate::Compare(column, op, value) => match columns.get(column.index) {
            Some(statistics) => compare(&Domain::new(*column, statistics), *op, value),
            None => Outcome::ANY,
        },
        Predicate::IsNull(column) => match columns.get(column.index) {
            Some(s) => Outcome::of(may_be_null(s), may_be_value(s), false),
            None => Outcome::of(true, true, false),
        },
        Predicate::Holds(column) => match columns.get(column.index) {
            Some(statistics) => {
                let domain = Domain::new(*column, statistics);
                compare(&domain, Comparison::Equal, &Scalar::Boolean(true))
            }
            None => Outcome::ANY,
        },
        Predicate::StartsWith(column, prefix) => match columns.get(column.index) {
            Some(statistics) => starts_with(&Domain::new(*column, statistics), prefix),
            None => Outcome::ANY,
        },
        Predicate::EndsWith(column, _) | Predicate::Contains(column, _) => {
            match columns.get(column.index) {
                Some(s) => Outcome::of(may_be_value(s), may_be_value(s), may_be_null(s)),
                None => Outcome::ANY,
            }
        }
    }
}

fn may_be_null(statistics: &ColumnStatistics) -> bool {
    statistics.nulls != Some(0)
}

/// Statistics that count no rows are of someone who did not count.
fn may_be_value(statistics: &ColumnStatistics) -> bool {
    statistics.rows == 0 || statistics.nulls != Some(statistics.rows)
}

/// The values of a column under its cast; an absent bound is unknown.
struct Domain {
    lower: Option<Scalar>,
    upper: Option<Scalar>,
    nan: bool,
    null: bool,
    value: bool,
}

impl Domain {
    fn new(column: Column, statistics: &ColumnStatistics) -> Self {
        let bound = |bound: &Option<Scalar>| cast(bound.as_ref()?, column.cast);
        let float = |bound: &Option<Scalar>| matches!(bound, Some(Scalar::Float(_)));
        let is_float = float(&statistics.lower) || float(&statistics.upper);
        Self {
            lower: bound(&statistics.lower),
            upper: bound(&statistics.upper),
            // Counted only for floats; elsewhere the count is absent and means nothing.
            nan: is_float && statistics.nans != Some(0),
            null: may_be_null(statistics),
            value: may_be_value(statistics),
        }
    }

    /// Whether some value may stand so to `value`; unknown bounds allow everything.
    fn may_be(&self, value: &Scalar, accept: fn(Ordering) -> bool) -> bool {
        let lower = self.lower.as_ref().and_then(|lower| lower.compare(value));
        let upper = self.upper.as_ref().and_then(|upper| upper.compare(value));
        // NaN is above every other value and not within the bounds.
        let upper = if self.nan { None } else { upper };
        let possible = |order: Ordering| match order {
            Ordering::Less => lower.is_none_or(Ordering::is_lt),
            Ordering::Equal => {
                lower.is_none_or(Ordering::is_le) && upper.is_none_or(Ordering::is_ge)
            }
            Ordering::Greater => upper.is_none_or(Ordering::is_gt),
        };
        let orders = [Ordering::Less, Ordering::Equal, Ordering::Greater];
        self.value && orders.into_iter().any(|order| accept(order) && possible(order))
    }
}

/// A bound under a cast that keeps order; `None`: unknown.
pub(super) fn cast(value: &Scalar, cast: Cast) -> Option<Scalar> {
    match (cast, value) {
        (Cast::None, value) => Some(value.clone()),
        (Cast::Double, Scalar::Float(f)) => Some(Scalar::Float(*f)),
        #[expect(clippy::cast_precision_loss, reason = "rounds to the nearest, as DuckDB does")]
        (Cast::Double, Scalar::Integer(n)) => {
            i64::try_from(*n).ok().map(|n| Scalar::Float(n as f64))
        }
        (Cast::Date, Scalar::Timestamp(micros)) => {
            i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok().map(Scalar::Date)
        }
        _ => None,
    }
}

fn compare(domain: &Domain, op: Comparison, value: &Scalar) -> Outcome {
    let may = |accept| domain.may_be(value, accept);
    let not_equal: fn(Ordering) -> bool = Ordering::is_ne;
    let (yes, no) = match op {
        Comparison::Equal => (may(Ordering::is_eq), may(not_equal)),
        Comparison::NotEqual => (may(not_equal), may(Ordering::is_eq)),
        Comparison::Less => (may(Ordering::is_lt), may(Ordering::is_ge)),
        Comparison::LessOrEqual => (may(Ordering::is_le), may(Ordering::is_gt)),
        Comparison::Greater => (may(Ordering::is_gt), may(Ordering::is_le)),
        Comparison::GreaterOrEqual => (may(Ordering::is_ge), may(Ordering::is_lt)),
        Comparison::Distinct => (may(not_equal) || domain.null, may(Ordering::is_eq)),
        Comparison::NotDistinct => (may(Ordering::is_eq), may(not_equal) || domain.null),
    };
    let nullable = !matches!(op, Comparison::Distinct | Comparison::NotDistinct);
    Outcome::of(yes, no, nullable && domain.null)
}

/// Bounds may be cut off, so they are compared over the prefix's length only.
fn starts_with(domain: &Domain, prefix: &str) -> Outcome {
    let prefix = prefix.as_bytes();
    let above = match &domain.lower {
        Some(Scalar::Text(lower)) => {
            let lower = lower.as_bytes();
            &lower[..lower.len().min(prefix.len())] > prefix
        }
        _ => false,
    };
    let below = match &domain.upper {
        Some(Scalar::Text(upper)) => upper.as_bytes() < prefix,
        _ => false,
    };
    Outcome::of(domain.value && !above && !below, domain.value, domain.null)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMN: Column = Column { index: 0, cast: Cast::None };

    fn text(lower: &str, upper: &str, nulls: Option<u64>, rows: u64) -> ColumnStatistics {
        let bound = |text: &str| (!text.is_empty()).then(|| Scalar::Text(text.into()));
        ColumnStatistics { lower: bound(lower), upper: bound(upper), nulls, nans: None, rows }
    }

    fn may(predicate: &Predicate, column: &ColumnStatistics) -> bool {
        outcome(predicate, std::slice::from_ref(column)).may_be_true()
    }

    #[test]
    fn texts_between_longer_bounds_may_begin_with_a_prefix() {
        let prefix = |text: &str| Predicate::StartsWith(COLUMN, text.to_owned());
        let bounds = text("abc", "abq", Some(0), 3);
        for within in ["", "a", "ab", "abc", "abcd", "abp", "abq"] {
            assert!(may(&prefix(within), &bounds), "{within}");
        }
        for outside in ["abb", "aa", "b", "abr", "abqa"] {
            assert!(!may(&prefix(outside), &bounds), "{outside}");
        }
    }

    #[test]
    fn nulls_are_distinct_from_every_value() {
        let is = |op| Predicate::Compare(COLUMN, op, Scalar::Text("a".into()));
        let same = |nulls| text("a", "a", nulls, 2);
        assert!(may(&is(Comparison::Distinct), &same(Some(1))));
        assert!(may(&is(Comparison::Distinct), &same(None)));
        assert!(!may(&is(Comparison::Distinct), &same(Some(0))));
        assert!(!may(&is(Comparison::NotEqual), &same(Some(1))));
        assert!(!may(&Predicate::not(is(Comparison::NotDistinct)), &same(Some(0))));
        assert!(may(&Predicate::not(is(Comparison::NotDistinct)), &same(Some(1))));
    }

    #[test]
    fn who_counts_no_rows_has_not_counted() {
        let equal = Predicate::Compare(COLUMN, Comparison::Equal, Scalar::Text("a".into()));
        assert!(may(&equal, &text("a", "b", Some(0), 0)));
        assert!(!may(&equal, &text("", "", Some(2), 2)));
        assert!(may(&equal, &text("", "", Some(1), 2)));
    }
}
