//! What fails at present around one table, in words, for status and readiness.

use std::error::Error;

/// Troubles by part; `None` where it works.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// The catalog or its storage.
    pub(crate) lake: Option<String>,
    /// Whether the lake's state can never be read as it is.
    pub(crate) is_unreadable: bool,
    /// The stream, as the last look at its topic found it. A reader alone cannot
    /// tell: without its broker it just hears nothing.
    pub(crate) stream: Option<String>,
    /// Taking rows in: the reader, or what is kept aside.
    pub(crate) intake: Option<String>,
    /// The tail is full, and for how long the stream has not been read on.
    pub(crate) full: Option<String>,
    /// Segment files.
    pub(crate) disk: Option<String>,
    /// The last commit.
    pub(crate) commit: Option<String>,
    /// Records kept aside.
    pub(crate) dead_letters: u64,
}

impl Health {
    /// What keeps rows of the stream from coming.
    pub(crate) fn stream_trouble(&self) -> Option<String> {
        self.stream.clone().or_else(|| self.intake.clone()).or_else(|| self.full.clone())
    }

    /// All troubles, as words for labels.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &'static str> {
        let parts = [
            (&self.lake, "lake"),
            (&self.stream, "stream"),
            (&self.intake, "intake"),
            (&self.full, "tail-full"),
            (&self.disk, "disk"),
            (&self.commit, "commit"),
        ];
        parts.into_iter().filter(|(trouble, _)| trouble.is_some()).map(|(_, cause)| cause)
    }

    /// The first trouble.
    pub(crate) fn trouble(&self) -> Option<String> {
        let parts = [&self.lake, &self.stream, &self.intake, &self.disk, &self.full, &self.commit];
        parts.into_iter().flatten().next().cloned()
    }
}

/// An error with its sources, for people.
pub(crate) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Transparent errors say the same twice.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
