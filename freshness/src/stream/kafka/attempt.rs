//! One produce as its caller sees it: until when it is waited for, and how far
//! it has come, so that a wait that is given up says whether rows may have been
//! added. It must never know a client.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::stream::StreamError;

/// A produce under way; shared between its caller and the thread that works on it.
#[derive(Debug)]
pub(super) struct Attempt {
    wait: Duration,
    until: Instant,
    phase: Mutex<Phase>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Another request with the same key is waited for: that one may add the rows.
    Joining,
    /// The end of the transaction was not asked for.
    Open,
    /// It was asked for: rows may be there.
    Ending,
    /// The caller went away before; nothing may be added any more.
    GivenUp,
}

/// The caller went away.
#[derive(Debug)]
pub(super) struct GivenUp;

/// No answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer of the broker within {}", humantime::format_duration(*.0))]
struct Late(Duration);

impl Attempt {
    /// One that is waited for as long as `wait`; `joins` where it has a key.
    pub(super) fn new(wait: Duration, joins: bool) -> Self {
        let phase = Mutex::new(if joins { Phase::Joining } else { Phase::Open });
        Self { wait, until: Instant::now() + wait, phase }
    }

    /// When the wait ends.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// No other request adds these rows.
    pub(super) fn joined(&self) -> Result<(), GivenUp> {
        self.pass(Phase::Joining, Phase::Open)
    }

    /// To be called before the end of the transaction is asked for.
    pub(super) fn ending(&self) -> Result<(), GivenUp> {
        self.pass(Phase::Open, Phase::Ending)
    }

    /// Whether nobody waits any more, so that the transaction is best aborted.
    pub(super) fn is_given_up(&self) -> bool {
        *self.phase.lock() == Phase::GivenUp
    }

    /// The wait is over; what the caller is told.
    pub(super) fn give_up(&self) -> StreamError {
        let mut phase = self.phase.lock();
        let source = Late(self.wait).into();
        match *phase {
            Phase::Ending => StreamError::UnknownOutcome { source },
            Phase::Joining => {
                *phase = Phase::GivenUp;
                StreamError::UnknownOutcome { source }
            }
            Phase::Open | Phase::GivenUp => {
                *phase = Phase::GivenUp;
                StreamError::Unreachable { source }
            }
        }
    }

    fn pass(&self, from: Phase, to: Phase) -> Result<(), GivenUp> {
        let mut phase = self.phase.lock();
        if *phase == Phase::GivenUp {
            return Err(GivenUp);
        }
        debug_assert!(*phase == from || *phase == to, "{phase:?} cannot become {to:?}");
        *phase = to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(3);

    #[test]
    fn given_up_before_its_end_it_adds_nothing() {
        let attempt = Attempt::new(WAIT, false);
        let told = attempt.give_up();
        assert!(matches!(&told, StreamError::Unreachable { .. }), "{told:?}");
        let source = std::error::Error::source(&told).unwrap().to_string();
        assert_eq!(source, "no answer of the broker within 3s");
        assert!(attempt.is_given_up());
        assert!(attempt.ending().is_err(), "the end must not be asked for any more");
    }

    #[test]
    fn given_up_at_its_end_the_outcome_is_unknown() {
        let attempt = Attempt::new(WAIT, false);
        attempt.ending().unwrap();
        assert!(matches!(attempt.give_up(), StreamError::UnknownOutcome { .. }));
        assert!(!attempt.is_given_up(), "what was asked for goes on to its end");
    }

    #[test]
    fn who_waits_for_another_with_the_same_key_cannot_tell() {
        let attempt = Attempt::new(WAIT, true);
        assert!(matches!(attempt.give_up(), StreamError::UnknownOutcome { .. }));
        assert!(attempt.joined().is_err(), "it must not add the rows after all");

        let attempt = Attempt::new(WAIT, true);
        attempt.joined().unwrap();
        assert!(matches!(attempt.give_up(), StreamError::Unreachable { .. }));
    }
}
