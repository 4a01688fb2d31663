//! How a request was answered: one name for each outcome, which is at once
//! the `detail` of `Cache-Status` (RFC 9211) and the label of the counter.
//!
//! | for people | `detail` | `Cache-Status` |
//! |---|---|---|
//! | hit | `hit` | `hit; ttl=…` |
//! | hit, stale | `stale-while-revalidate`, `max-stale` | `hit; ttl=-…` |
//! | revalidated | `revalidated` | `fwd=stale; fwd-status=304` |
//! | collapsed | `collapsed` | `fwd=…; collapsed` |
//! | miss | `miss`, `refilled`, `not-stored`, `pass`, … | `fwd=…; fwd-status=…; stored` |
//! | origin dead | `stale-if-error` | `fwd=stale; fwd-status=…; ttl=-…` |

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, StatusCode};

/// Every way in which a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// From the store, fresh.
    Hit,
    /// From the store, stale, validated behind the answer (RFC 5861 §3).
    StaleWhileRevalidate,
    /// From the store, stale, as the client allowed (RFC 9111 §5.2.1.2).
    MaxStale,
    /// From the store, stale, because upstream could not answer (RFC 5861 §4).
    StaleIfError,
    /// Upstream said 304 to the stored validator.
    Revalidated,
    /// Upstream had a newer answer in the place of the stored one.
    Refilled,
    /// Waited for the fill of an equal request.
    Collapsed,
    /// Fetched and stored.
    Miss,
    /// Fetched and not stored.
    NotStored,
    /// A request that no stored answer can serve: another method, a part, a
    /// stream of events, a condition for the origin.
    Pass,
    /// The client wanted only what is stored (RFC 9111 §5.2.1.7).
    OnlyIfCached,
    /// Upstream could not be reached, or broke off.
    Unreachable,
    /// Upstream took too long.
    TimedOut,
    /// Too many requests wait for one fill.
    Crowded,
    /// The edge's own pages.
    Own,
}

/// Why a request went upstream (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Nothing was stored under the key.
    UriMiss,
    /// What was stored is stale.
    Stale,
    /// The request's directives or minimum version asked for it.
    Request,
    /// The method is not cached.
    Method,
    /// The request is of a kind that goes past the cache.
    Bypass,
}

/// The edge's member of `Cache-Status`.
#[derive(Clone, Copy, Debug)]
pub struct CacheStatus {
    /// The outcome; decides between `hit` and `fwd`.
    pub outcome: Outcome,
    /// Why it went upstream, where it did.
    pub forwarded: Forwarded,
    /// What upstream said.
    pub status: Option<StatusCode>,
    /// Whether the answer was stored.
    pub stored: bool,
    /// What is left of the lifetime, in whole seconds.
    pub ttl: Option<i64>,
    /// In the place of the outcome's label as `detail`.
    pub detail: Option<&'static str>,
}

/// Counters by outcome.
#[derive(Debug, Default)]
pub struct Outcomes([AtomicU64; Outcome::ALL.len()]);

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Hit,
        Self::StaleWhileRevalidate,
        Self::MaxStale,
        Self::StaleIfError,
        Self::Revalidated,
        Self::Refilled,
        Self::Collapsed,
        Self::Miss,
        Self::NotStored,
        Self::Pass,
        Self::OnlyIfCached,
        Self::Unreachable,
        Self::TimedOut,
        Self::Crowded,
        Self::Own,
    ];

    /// The label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::StaleWhileRevalidate => "stale-while-revalidate",
            Self::MaxStale => "max-stale",
            Self::StaleIfError => "stale-if-error",
            Self::Revalidated => "revalidated",
            Self::Refilled => "refilled",
            Self::Collapsed => "collapsed",
            Self::Miss => "miss",
            Self::NotStored => "not-stored",
            Self::Pass => "pass",
            Self::OnlyIfCached => "only-if-cached",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Crowded => "crowded",
            Self::Own => "own",
        }
    }

    /// Whether upstream was not asked (RFC 9211 §2.1).
    pub(crate) const fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::StaleWhileRevalidate | Self::MaxStale)
    }
}

impl Forwarded {
    const fn token(self) -> &'static str {
        match self {
            Self::UriMiss => "uri-miss",
            Self::Stale => "stale",
            Self::Request => "request",
            Self::Method => "method",
            Self::Bypass => "bypass",
        }
    }
}

impl CacheStatus {
    /// A status of which only outcome and reason are known.
    #[must_use]
    pub const fn new(outcome: Outcome, forwarded: Forwarded) -> Self {
        Self { outcome, forwarded, status: None, stored: false, ttl: None, detail: None }
    }

    /// The field's value, without what caches behind us said.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let mut text = String::with_capacity(72);
        text.push_str("springtide-edge");
        if self.outcome.is_hit() {
            text.push_str("; hit");
        } else if !matches!(self.outcome, Outcome::OnlyIfCached | Outcome::Own) {
            let _ = write!(text, "; fwd={}", self.forwarded.token());
        }
        if let Some(status) = self.status {
            let _ = write!(text, "; fwd-status={}", status.as_u16());
        }
        if self.stored {
            text.push_str("; stored");
        }
        if self.outcome == Outcome::Collapsed {
            text.push_str("; collapsed");
        }
        if let Some(ttl) = self.ttl {
            let _ = write!(text, "; ttl={ttl}");
        }
        let _ = write!(text, "; detail={}", self.detail.unwrap_or(self.outcome.label()));
        // Tokens and numbers only: always a valid value.
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
            .unwrap_or(HeaderValue::from_static("springtide-edge"))
    }
}

impl Outcomes {
    /// Counts one.
    pub fn count(&self, outcome: Outcome) {
        self.0[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many ended so.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_as_rfc_9211_writes_it() {
        let new = CacheStatus::new;
        let cases = [
            (
                CacheStatus { ttl: Some(30), ..new(Outcome::Hit, Forwarded::UriMiss) },
                "springtide-edge; hit; ttl=30; detail=hit",
            ),
            (
                CacheStatus {
                    status: Some(StatusCode::OK),
                    stored: true,
                    ..new(Outcome::Miss, Forwarded::UriMiss)
                },
                "springtide-edge; fwd=uri-miss; fwd-status=200; stored; detail=miss",
            ),
            (
                CacheStatus {
                    status: Some(StatusCode::NOT_MODIFIED),
                    stored: true,
                    ..new(Outcome::Revalidated, Forwarded::Stale)
                },
                "springtide-edge; fwd=stale; fwd-status=304; stored; detail=revalidated",
            ),
            (
                new(Outcome::Collapsed, Forwarded::UriMiss),
                "springtide-edge; fwd=uri-miss; collapsed; detail=collapsed",
            ),
            (
                CacheStatus { ttl: Some(-3), ..new(Outcome::StaleIfError, Forwarded::Stale) },
                "springtide-edge; fwd=stale; ttl=-3; detail=stale-if-error",
            ),
            (
                new(Outcome::OnlyIfCached, Forwarded::UriMiss),
                "springtide-edge; detail=only-if-cached",
            ),
        ];
        for (status, text) in cases {
            assert_eq!(status.header(), text);
        }
    }

    #[test]
    fn each_outcome_has_its_own_number_and_label() {
        let outcomes = Outcomes::default();
        let mut labels = std::collections::BTreeSet::new();
        for (number, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, number);
            assert!(labels.insert(outcome.label()));
            outcomes.count(outcome);
            assert_eq!(outcomes.of(outcome), 1);
        }
    }
}
