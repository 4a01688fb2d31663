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
        let all_null = |s: &Self| s.nulls == Some(s.rows);
        let pick = |a: &Option<Scalar>, b: &Option<Scalar>, wanted| match (a, b) {
            (Some(a), Some(b)) => match a.compare(b) {
                Some(order) if order == wanted => Some(a.clone()),
                Some(_) => Some(b.clone()),
                None => None,
            },
            // A side without any value has no bound to add.
            (Some(a), None) if all_null(other) => Some(a.clone()),
            (None, Some(b)) if all_null(self) => Some(b.clone()),
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
