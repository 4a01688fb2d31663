//! The set of truth values that a predicate may take over some rows, under
//! SQL's three-valued logic. It must never know predicates.

use std::ops::{BitAnd, BitOr, Not};

/// Which of true, false and NULL are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome(u8);

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const NULL: u8 = 4;

impl Outcome {
    pub(crate) const ANY: Self = Self(TRUE | FALSE | NULL);
    pub(crate) const NEVER: Self = Self(FALSE);
    pub(crate) const NULL: Self = Self(NULL);

    pub(crate) const fn of(may_be_true: bool, may_be_false: bool, may_be_null: bool) -> Self {
        Self(
            (if may_be_true { TRUE } else { 0 })
                | (if may_be_false { FALSE } else { 0 })
                | (if may_be_null { NULL } else { 0 }),
        )
    }

    pub(crate) const fn exactly(truth: bool) -> Self {
        Self::of(truth, !truth, false)
    }

    pub(crate) const fn may_be_true(self) -> bool {
        self.0 & TRUE != 0
    }

    const fn may_be_false(self) -> bool {
        self.0 & FALSE != 0
    }

    const fn may_be_null(self) -> bool {
        self.0 & NULL != 0
    }
}

/// Each value of one side meets each of the other: sides may vary freely.
impl BitAnd for Outcome {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        let both = |f: fn(Self) -> bool| f(self) && f(other);
        let not_false = |o: Self| o.may_be_true() || o.may_be_null();
        Self::of(
            both(Self::may_be_true),
            self.may_be_false() || other.may_be_false(),
            (self.may_be_null() && not_false(other)) || (other.may_be_null() && not_false(self)),
        )
    }
}

impl BitOr for Outcome {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        !(!self & !other)
    }
}

impl Not for Outcome {
    type Output = Self;

    fn not(self) -> Self {
        Self::of(self.may_be_false(), self.may_be_true(), self.may_be_null())
    }
}
