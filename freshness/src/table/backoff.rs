//! Waiting between attempts: longer each time, up to a bound.

use std::time::Duration;

/// The first wait.
const LEAST: Duration = Duration::from_millis(100);
/// The longest wait.
const MOST: Duration = Duration::from_secs(5);

/// How long to wait next.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: LEAST }
    }
}

impl Backoff {
    /// It worked: the next wait is short again.
    pub(super) fn reset(&mut self) {
        self.next = LEAST;
    }

    /// The next wait.
    pub(super) fn step(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(MOST);
        wait
    }

    /// Waits.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.step()).await;
    }
}
