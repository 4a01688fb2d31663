//! Bounds of one column over some rows: what pruning may rely on. Absent means
//! unknown, never "none".

use serde::{Deserialize, Serialize};

use crate::scalar::Scalar;

/// Bounds and counts of one column in a file or a chunk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// No value is below; may be a truncated bound rather than a value.
    pub lower: Option<Scalar>,
    /// No value is above, NaN apart; may be a truncated bound rather than a value.
    pub upper: Option<Scalar>,
    /// How many NULLs; `None`: unknown.
    pub nulls: Option<u64>,
    /// How many NaNs; `None`: unknown (floats only).
    pub nans: Option<u64>,
    /// How many rows, NULLs included.
    pub rows: u64,
}

impl ColumnStatistics {
    /// The bounds over both sets of rows: unknown where either is unknown.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        // NULL and NaN are outside the bounds.
        let no_value = |s: &Self| s.nulls.map(|n| n + s.nans.unwrap_or(0)) == Some(s.rows);
        let pick = |a: &Option<Scalar>, b: &Option<Scalar>, wanted| match (a, b) {
            (Some(a), Some(b)) => match a.compare(b) {
                Some(order) if order == wanted => Some(a.clone()),
                Some(_) => Some(b.clone()),
                None => None,
            },
            // A side without any value has no bound to add.
            (Some(a), None) if no_value(other) => Some(a.clone()),
            (None, Some(b)) if no_value(self) => Some(b.clone()),
            _ => None,
        };
        let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        Self {
            lower: pick(&self.lower, &other.lower, std::cmp::Ordering::Less),
            upper: pick(&self.upper, &other.upper, std::cmp::Ordering::Greater),
            nulls: sum(self.nulls, other.nulls),
            nans: sum(self.nans, other.nans),
            rows: self.rows + other.rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[Option<i128>]) -> ColumnStatistics {
        let known = || values.iter().flatten();
        ColumnStatistics {
            lower: known().min().map(|n| Scalar::Integer(*n)),
            upper: known().max().map(|n| Scalar::Integer(*n)),
            nulls: Some(values.iter().filter(|v| v.is_none()).count() as u64),
            nans: None,
            rows: values.len() as u64,
        }
    }

    #[test]
    fn a_union_is_the_bounds_of_all_rows() {
        let sets = [&[][..], &[None], &[Some(1)], &[Some(3), None], &[Some(-2), Some(9)]];
        for a in sets {
            for b in sets {
                let both: Vec<_> = a.iter().chain(b).copied().collect();
                let (joined, wanted) = (of(a).union(&of(b)), of(&both));
                assert_eq!(format!("{joined:?}"), format!("{wanted:?}"));
            }
        }
    }

    #[test]
    fn unknown_bounds_stay_unknown() {
        let unknown = ColumnStatistics { rows: 1, ..ColumnStatistics::default() };
        let joined = of(&[Some(1)]).union(&unknown);
        assert!(joined.lower.is_none() && joined.upper.is_none() && joined.nulls.is_none());
    }
}
