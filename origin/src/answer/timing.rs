//! Phases of a request and how long each took, for `Server-Timing` and the log.

use tokio::time::Instant;

/// The phases so far.
#[derive(Debug)]
pub(crate) struct Timing {
    last: Instant,
    phases: Vec<(&'static str, f64)>,
}

impl Timing {
    /// Starts with the first phase.
    pub(crate) fn start() -> Self {
        Self { last: Instant::now(), phases: Vec::with_capacity(5) }
    }

    /// Ends a phase.
    pub(crate) fn mark(&mut self, phase: &'static str) {
        let now = Instant::now();
        self.phases.push((phase, (now - self.last).as_secs_f64() * 1000.0));
        self.last = now;
    }

    /// The header's value, in milliseconds.
    pub(crate) fn header(&self) -> String {
        let phases = self.phases.iter().map(|(name, ms)| format!("{name};dur={ms:.2}"));
        phases.collect::<Vec<_>>().join(", ")
    }
}
