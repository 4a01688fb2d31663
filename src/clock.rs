//! The system's clock: the only place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use springtide_protocol::clock::Clock;

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "the program reads the clock for all rooms")]
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        }
    }
}
