//! What goes wrong at the edge, and how it is told to a client.

use http::StatusCode;
use springtide_protocol::problem::ProblemKind;

use crate::outcome::Outcome;

/// Why an edge does not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Not `http://host:port`.
    #[error("the upstream `{0}` must be of the form http://HOST:PORT")]
    Upstream(http::Uri),
    /// The store could not hold even one of the largest bodies.
    #[error(
        "edge memory of {memory_bytes} bytes is too small; it must be at least {least_bytes}, four of the largest bodies"
    )]
    Memory {
        /// What was set.
        memory_bytes: u64,
        /// What is needed.
        least_bytes: u64,
    },
}

/// Why upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// Not reached, or broken off before the answer's head.
    #[error("the origin cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// No head in time.
    #[error("the origin did not answer in time")]
    TimedOut,
    /// Broken off within the body.
    #[error("the origin broke off in the middle of its answer")]
    BrokenOff(#[source] hyper::Error),
    /// The body stalled.
    #[error("the origin stalled in the middle of its answer")]
    Stalled,
    /// The request's body is larger than what is passed on.
    #[error("the body is over {0} bytes; send it in parts")]
    TooLarge(u64),
    /// The request could not be written for it.
    #[error("the request cannot be passed on")]
    Request(#[source] http::Error),
}

impl UpstreamError {
    /// The status for the client, the kind of problem, and the outcome.
    #[must_use]
    pub(crate) const fn facts(&self) -> (StatusCode, ProblemKind, Outcome) {
        match self {
            Self::Unreachable(_) | Self::BrokenOff(_) => {
                (StatusCode::BAD_GATEWAY, ProblemKind::Unavailable, Outcome::Unreachable)
            }
            Self::TimedOut | Self::Stalled => {
                (StatusCode::GATEWAY_TIMEOUT, ProblemKind::Unavailable, Outcome::TimedOut)
            }
            Self::TooLarge(_) => {
                (StatusCode::PAYLOAD_TOO_LARGE, ProblemKind::TooLarge, Outcome::Pass)
            }
            Self::Request(_) => {
                (StatusCode::BAD_REQUEST, ProblemKind::InvalidRequest, Outcome::Unreachable)
            }
        }
    }
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The other side's connection failed.
    #[error("the connection failed within a body")]
    Connection(#[from] hyper::Error),
    /// A request's body passes the bound.
    #[error("the body is over {0} bytes")]
    TooLarge(u64),
}
