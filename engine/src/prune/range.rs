//! Which values of one column a predicate lets through, as intervals: what
//! bounds the table partitions that an answer depends on (rule 11).

use std::cmp::Ordering;

use springtide_relation::Scalar;
use springtide_relation::calendar::MICROS_PER_DAY;

use super::{Cast, Comparison, Predicate};

/// Intervals that one predicate may have before it counts as unbounded.
const INTERVALS: usize = 64;

/// Values between two bounds, both inclusive; `None`: unbounded.
#[derive(Clone, Debug)]
pub struct Interval {
    /// The least value.
    pub lower: Option<Scalar>,
    /// The greatest value.
    pub upper: Option<Scalar>,
}

/// The values of `column` that rows which match may have, NULL excluded; `None`:
/// any, NULL included.
#[must_use]
pub fn intervals(predicate: &Predicate, column: usize) -> Option<Vec<Interval>> {
    match predicate {
        Predicate::False => Some(Vec::new()),
        Predicate::And(parts) => {
            let bounded = parts.iter().filter_map(|part| intervals(part, column));
            bounded.reduce(|all, part| intersect(&all, &part))
        }
        Predicate::Or(parts) => {
            let all: Option<Vec<_>> = parts.iter().map(|part| intervals(part, column)).collect();
            Some(all?.concat()).filter(|all| all.len() <= INTERVALS)
        }
        Predicate::Compare(own, op, value) if own.index == column => match own.cast {
            Cast::None => compare(*op, value),
            Cast::Date => day(*op, value),
            Cast::Double => None,
        },
        Predicate::Holds(own) if own.index == column => Some(vec![Interval {
            lower: Some(Scalar::Boolean(true)),
            upper: Some(Scalar::Boolean(true)),
        }]),
        _ => None,
    }
}

fn intersect(a: &[Interval], b: &[Interval]) -> Vec<Interval> {
    let pick = |x: &Option<Scalar>, y: &Option<Scalar>, wanted| match (x, y) {
        (Some(a), Some(b)) if a.compare(b) == Some(wanted) => x.clone(),
        (Some(_), None) => x.clone(),
        _ => y.clone(),
    };
    let mut both = Vec::new();
    for x in a {
        for y in b {
            let lower = pick(&x.lower, &y.lower, Ordering::Greater);
            let upper = pick(&x.upper, &y.upper, Ordering::Less);
            let empty = match (&lower, &upper) {
                (Some(lower), Some(upper)) => lower.compare(upper) == Some(Ordering::Greater),
                _ => false,
            };
            if !empty {
                both.push(Interval { lower, upper });
            }
        }
    }
    both
}

fn compare(op: Comparison, value: &Scalar) -> Option<Vec<Interval>> {
    let (lower, upper) = match op {
        Comparison::Equal | Comparison::NotDistinct => (Some(value.clone()), Some(value.clone())),
        Comparison::Less => (None, Some(before(value))),
        Comparison::LessOrEqual => (None, Some(value.clone())),
        Comparison::Greater => (Some(after(value)), None),
        Comparison::GreaterOrEqual => (Some(value.clone()), None),
        Comparison::NotEqual | Comparison::Distinct => return None,
    };
    Some(vec![Interval { lower, upper }])
}

/// A comparison of a timestamp's day, as one of the timestamp.
fn day(op: Comparison, value: &Scalar) -> Option<Vec<Interval>> {
    let Scalar::Date(days) = value else { return None };
    let first = i64::from(*days).checked_mul(MICROS_PER_DAY)?;
    let last = first.checked_add(MICROS_PER_DAY - 1)?;
    let (first, last) = (Scalar::Timestamp(first), Scalar::Timestamp(last));
    let (lower, upper) = match op {
        Comparison::Equal | Comparison::NotDistinct => (Some(first), Some(last)),
        Comparison::Less => (None, Some(before(&first))),
        Comparison::LessOrEqual => (None, Some(last)),
        Comparison::Greater => (Some(after(&last)), None),
        Comparison::GreaterOrEqual => (Some(first), None),
        Comparison::NotEqual | Comparison::Distinct => return None,
    };
    Some(vec![Interval { lower, upper }])
}

/// The greatest value below, where values are counted; else the value itself.
fn before(value: &Scalar) -> Scalar {
    step(value, -1)
}

/// The least value above, where values are counted; else the value itself.
fn after(value: &Scalar) -> Scalar {
    step(value, 1)
}

fn step(value: &Scalar, by: i8) -> Scalar {
    match value {
        Scalar::Integer(n) => Scalar::Integer(n.saturating_add(i128::from(by))),
        Scalar::Timestamp(micros) => Scalar::Timestamp(micros.saturating_add(i64::from(by))),
        other => other.clone(),
    }
}
