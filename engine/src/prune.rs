//! Predicates and whether rows may match them (rule 10): over bounds, and row
//! by row. Three-valued, and always erring towards "may match". It must never
//! know where a predicate came from.

use std::collections::BTreeSet;

use springtide_relation::{ColumnStatistics, Scalar};

mod bounds;
mod outcome;
mod range;
mod rows;

pub use range::{Interval, intervals};
pub use rows::last_match;

pub(crate) use outcome::Outcome;

/// How a column's value is taken. Each keeps the order of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cast {
    /// As it is; also where a cast changes no value.
    None,
    /// As a DOUBLE.
    Double,
    /// A timestamp's day.
    Date,
}

/// A column of the table, by its index in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// The index.
    pub index: usize,
    /// How its value is taken.
    pub cast: Cast,
}

/// A comparison of a column with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `IS DISTINCT FROM`
    Distinct,
    /// `IS NOT DISTINCT FROM`
    NotDistinct,
}

/// What rows must be like to matter.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// Not understood: any row may match, or be NULL, or not.
    Unknown,
    /// No row matches.
    False,
    /// All of them.
    And(Vec<Self>),
    /// Any of them.
    Or(Vec<Self>),
    /// Not.
    Not(Box<Self>),
    /// A column against a constant of a type that compares with it.
    Compare(Column, Comparison, Scalar),
    /// `IS NULL`.
    IsNull(Column),
    /// A BOOLEAN column.
    Holds(Column),
    /// A text column that begins so.
    StartsWith(Column, String),
    /// A text column that ends so.
    EndsWith(Column, String),
    /// A text column that contains it.
    Contains(Column, String),
}

impl Comparison {
    /// The same with its sides changed.
    #[must_use]
    pub const fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

impl Predicate {
    /// All of `parts`. What is unknown stays, once: below a NOT it counts.
    #[must_use]
    pub fn and(parts: Vec<Self>) -> Self {
        let mut known = Vec::with_capacity(parts.len());
        let mut unknown = parts.is_empty();
        for part in parts {
            match part {
                Self::False => return Self::False,
                Self::Unknown => unknown = true,
                Self::And(inner) => known.extend(inner),
                other => known.push(other),
            }
        }
        if unknown {
            known.push(Self::Unknown);
        }
        if known.len() == 1 { known.remove(0) } else { Self::And(known) }
    }

    /// The same for the question whether it holds: what is unknown and stands beside
    /// other conditions says nothing.
    #[must_use]
    pub fn relaxed(self) -> Self {
        let Self::And(mut parts) = self else { return self };
        parts.retain(|part| !matches!(part, Self::Unknown));
        Self::and(parts)
    }

    /// Any of `parts`; none of nothing.
    #[must_use]
    pub fn or(parts: Vec<Self>) -> Self {
        let mut known = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Unknown => return Self::Unknown,
                Self::False => {}
                Self::Or(inner) => known.extend(inner),
                other => known.push(other),
            }
        }
        match known.len() {
            0 => Self::False,
            1 => known.remove(0),
            _ => Self::Or(known),
        }
    }

    /// Not `part`.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "a constructor beside `and` and `or`")]
    pub fn not(part: Self) -> Self {
        match part {
            Self::Unknown | Self::False => Self::Unknown,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Whether a row within these bounds may match; columns without bounds are unknown.
    #[must_use]
    pub fn may_match(&self, columns: &[ColumnStatistics]) -> bool {
        bounds::outcome(self, columns).may_be_true()
    }

    /// Adds the columns that it names.
    pub fn columns(&self, columns: &mut BTreeSet<usize>) {
        match self {
            Self::Unknown | Self::False => {}
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|p| p.columns(columns)),
            Self::Not(part) => part.columns(columns),
            Self::Compare(column, ..)
            | Self::IsNull(column)
            | Self::Holds(column)
            | Self::StartsWith(column, _)
            | Self::EndsWith(column, _)
            | Self::Contains(column, _) => {
                columns.insert(column.index);
            }
        }
    }
}

#[cfg(test)]
mod tests;
