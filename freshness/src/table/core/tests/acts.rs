//! What may happen to a table, in any order.

use super::*;

#[derive(Clone, Debug)]
pub(super) enum Act {
    Produce { partition: u8, rows: u8, gap: bool },
    Poll { most: u8 },
    BeginCommit,
    EndCommit { lands: bool, is_told: bool },
    OtherCommitter { share: u8 },
    Foreign,
    Rollback,
    Retention { behind_lake: bool },
    Refresh,
    Wait { seconds: u8 },
    Restart,
    Pin { which: u8 },
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..2u8, 1..6u8, any::<bool>())
            .prop_map(|(partition, rows, gap)| Act::Produce { partition, rows, gap }),
        6 => (1..9u8).prop_map(|most| Act::Poll { most }),
        3 => Just(Act::BeginCommit),
        3 => any::<(bool, bool)>()
            .prop_map(|(lands, is_told)| Act::EndCommit { lands, is_told }),
        1 => any::<u8>().prop_map(|share| Act::OtherCommitter { share }),
        1 => Just(Act::Foreign),
        1 => Just(Act::Rollback),
        1 => any::<bool>().prop_map(|behind_lake| Act::Retention { behind_lake }),
        2 => Just(Act::Refresh),
        2 => (1..90u8).prop_map(|seconds| Act::Wait { seconds }),
        1 => Just(Act::Restart),
        3 => any::<u8>().prop_map(|which| Act::Pin { which }),
    ]
}
