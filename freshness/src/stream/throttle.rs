//! Log lines that come again and again: one for each distinct message in a
//! while, with how many were left out since. [`Throttle`] is pure: the time is
//! handed in; the process has one, since it has one log. Nothing is written here.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often the same message is told.
const EVERY: Duration = Duration::from_secs(30);

/// Distinct messages that are remembered; beyond them the one told longest ago goes.
const MESSAGES: usize = 256;

static PROCESS: LazyLock<Mutex<Throttle>> = LazyLock::new(|| Mutex::new(Throttle::new(EVERY)));

/// Whether the log is to have `message` now: then how many like it were left
/// out since it had it last, `None` within for none.
pub(crate) fn pass(message: &str) -> Option<Option<u64>> {
    let left_out = PROCESS.lock().pass(message, Instant::now())?;
    Some((left_out > 0).then_some(left_out))
}

/// What was told lately.
#[derive(Debug)]
struct Throttle {
    every: Duration,
    told: HashMap<Box<str>, Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    left_out: u64,
}

impl Throttle {
    /// One that lets each message through once in `every`.
    fn new(every: Duration) -> Self {
        Self { every, told: HashMap::new() }
    }

    /// Whether `message` is to be told now: then how many like it were left out
    /// since it was told last.
    fn pass(&mut self, message: &str, now: Instant) -> Option<u64> {
        let text = distinct(message);
        if let Some(told) = self.told.get_mut(text) {
            if now.saturating_duration_since(told.at) < self.every {
                told.left_out += 1;
                return None;
            }
            told.at = now;
            return Some(std::mem::take(&mut told.left_out));
        }
        if self.told.len() >= MESSAGES {
            self.forget_oldest();
        }
        self.told.insert(text.into(), Told { at: now, left_out: 0 });
        Some(0)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.told.iter().min_by_key(|(_, told)| told.at);
        if let Some(text) = oldest.map(|(text, _)| text.clone()) {
            self.told.remove(&text);
        }
    }
}

/// What makes a message another: librdkafka ends those of a connection with how
/// long it had been in which state, which differs each time.
fn distinct(message: &str) -> &str {
    message.rsplit_once(" (after ").map_or(message, |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_once_in_a_while_with_the_count_of_those_left_out() {
        let (mut throttle, start) = (Throttle::new(EVERY), Instant::now());
        let refused = |ms: u32| {
            format!("broker:9092: Connect failed: refused (after {ms}ms in state CONNECT)")
        };
        assert_eq!(throttle.pass(&refused(0), start), Some(0));
        for seconds in 1..30 {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(throttle.pass(&refused(7), now), None, "{seconds}");
        }
        assert_eq!(throttle.pass("another broker", start), Some(0), "another is told at once");
        assert_eq!(throttle.pass(&refused(1), start + EVERY), Some(29));
        assert_eq!(throttle.pass(&refused(1), start + EVERY * 2), Some(0));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let (mut throttle, start) = (Throttle::new(EVERY), Instant::now());
        for number in 0..1000_u32 {
            let now = start + Duration::from_millis(u64::from(number));
            assert_eq!(throttle.pass(&format!("message {number}"), now), Some(0));
        }
        assert_eq!(throttle.told.len(), MESSAGES);
        assert_eq!(throttle.pass("message 999", start + Duration::from_secs(1)), None);
    }
}
