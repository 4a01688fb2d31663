//! What happens to the table, in any order.

use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ingest { rows: u64 },
    Commit,
    Restart,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        // Enough to pass chunks of 1,024 offsets and segments of 300 rows.
        4 => (1..900_u64).prop_map(|rows| Step::Ingest { rows }),
        2 => Just(Step::Commit),
        1 => Just(Step::Restart),
    ]
}
