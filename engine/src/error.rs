//! What can go wrong with a statement, by what the caller should do about it.
//! It must never know HTTP: the origin maps these to problems. Sources are kept.

use std::time::Duration;

use springtide_protocol::TableName;

/// Any cause, kept whole.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Which limit an answer passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultLimit {
    /// So many rows.
    Rows(u64),
    /// So many encoded bytes.
    Bytes(u64),
}

/// Why a statement has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It does not parse or bind, or fails on its own values (a cast, a division).
    #[error("{detail}")]
    InvalidSql {
        /// What is wrong and what to change.
        detail: String,
        /// Where in the statement's text, in bytes from 0.
        position: Option<usize>,
    },
    /// It asks for what statements may not do.
    #[error("{what} is not allowed: {hint}")]
    Forbidden {
        /// The part of the statement that is refused.
        what: String,
        /// What to write instead.
        hint: String,
    },
    /// It names a table that is not here.
    #[error("there is no table `{name}`{}", nearest.as_ref().map_or_else(String::new, |n| format!("; did you mean `{n}`?")))]
    UnknownTable {
        /// As the statement spells it.
        name: String,
        /// The table that looks most like it.
        nearest: Option<String>,
    },
    /// The answer is over a limit; never a cut.
    #[error("{}", too_large(.limit))]
    ResultTooLarge {
        /// The limit.
        limit: ResultLimit,
    },
    /// The statement ran out of its time and was interrupted.
    #[error("the statement ran longer than {} ms: narrow it or ask for less", limit.as_millis())]
    Timeout {
        /// Its time.
        limit: Duration,
    },
    /// The statement needs more memory than the engine has.
    #[error("the statement needs more memory than there is: group or filter more, or ask for less")]
    OutOfMemory {
        /// DuckDB's words.
        source: Source,
    },
    /// Too many statements wait already.
    #[error("{waiting} statements wait already: try again shortly")]
    Overloaded {
        /// The length of the queue.
        waiting: usize,
    },
    /// Nobody waits for the answer any more, or the engine is closing.
    #[error("the statement was cancelled")]
    Cancelled,
    /// The table's columns are no longer those that the statement was prepared for:
    /// prepare it again.
    #[error("the columns of `{table}` have changed: prepare the statement again")]
    SchemaChanged {
        /// The table.
        table: TableName,
    },
    /// The settings cannot be used.
    #[error("engine settings: {detail}")]
    InvalidSettings {
        /// What to change.
        detail: String,
    },
    /// Our mistake, or the machine's.
    #[error("the engine failed to {what}")]
    Internal {
        /// What it was doing.
        what: &'static str,
        /// The cause.
        source: Source,
    },
}

impl EngineError {
    /// Whether a file that the plan names is no longer there: another plan, over a
    /// newer state, may have an answer.
    #[must_use]
    pub fn is_missing_file(&self) -> bool {
        let Self::Internal { source, .. } = self else { return false };
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**source);
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            let text = error.to_string();
            if io == Some(std::io::ErrorKind::NotFound)
                || text.contains("No files found that match")
                || text.contains("No such file or directory")
            {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Wraps a cause that is not the client's.
    pub fn internal(what: &'static str) -> impl FnOnce(Source) -> Self {
        move |source| Self::Internal { what, source }
    }
}

fn too_large(limit: &ResultLimit) -> String {
    match limit {
        ResultLimit::Rows(rows) => {
            format!("the answer has more than {rows} rows: add LIMIT, filter or aggregate")
        }
        ResultLimit::Bytes(bytes) => {
            format!("the answer is larger than {bytes} bytes: add LIMIT, filter or aggregate")
        }
    }
}
