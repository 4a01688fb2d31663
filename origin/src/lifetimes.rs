//! How long an answer lives, outward and at our own edges (rules 13, 7, 8, 16,
//! 20), as the values of three headers. Pure; it must never know what was asked.

use std::time::Duration;

use serde::Serialize;

/// The hold of an answer that is pinned to its version.
const PINNED_SECONDS: u64 = 31_536_000;

/// How long ordinary answers live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lifetimes {
    /// In browsers.
    #[serde(serialize_with = "seconds")]
    pub max_age: Duration,
    /// In shared caches that do not follow the change feed.
    #[serde(serialize_with = "seconds")]
    pub s_maxage: Duration,
    /// How long a cache may answer from what it has while the origin fails.
    #[serde(serialize_with = "seconds")]
    pub stale_if_error: Duration,
    /// At our own edges, under a live change feed.
    #[serde(serialize_with = "seconds")]
    pub hold: Duration,
}

fn seconds<S: serde::Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(value.as_secs())
}

/// What kind of answer it is, by what bounds its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The newest state of open tables.
    Newest,
    /// The same, and it read the clock: it ends with the quantum.
    UntilMicros(i64),
    /// `?v=`: it can never change.
    Pinned,
    /// The stream's tail is missing (rule 20).
    SnapshotOnly,
    /// It read something restricted (rule 16).
    Restricted {
        /// Whether the tail is missing as well.
        snapshot_only: bool,
    },
}

/// The values of the cache headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheHeaders {
    /// `Cache-Control`.
    pub(crate) cache_control: String,
    /// `CDN-Cache-Control`.
    pub(crate) cdn: Option<String>,
    /// `Springtide-Cache-Control`.
    pub(crate) springtide: Option<String>,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            max_age: Duration::ZERO,
            s_maxage: Duration::from_secs(1),
            stale_if_error: Duration::from_secs(60),
            hold: Duration::from_secs(3600),
        }
    }
}

impl Lifetimes {
    /// The headers of an answer given at `now_micros`.
    pub(crate) fn headers(&self, standing: Standing, now_micros: i64) -> CacheHeaders {
        match standing {
            Standing::Newest => self.shared(u64::MAX),
            Standing::UntilMicros(end) => {
                let left = end.saturating_sub(now_micros).max(0) / 1_000_000;
                self.shared(left.unsigned_abs())
            }
            Standing::Pinned => {
                let value = format!("public, max-age={PINNED_SECONDS}, immutable");
                CacheHeaders {
                    cdn: Some(value.clone()),
                    springtide: Some(format!("max-age={PINNED_SECONDS}, immutable")),
                    cache_control: value,
                }
            }
            Standing::SnapshotOnly => CacheHeaders::only("no-store"),
            Standing::Restricted { snapshot_only: false } => {
                CacheHeaders::only("private, no-cache")
            }
            Standing::Restricted { snapshot_only: true } => {
                CacheHeaders::only("private, no-cache, no-store")
            }
        }
    }

    /// Ordinary answers, of which nothing may outlive `most` seconds.
    fn shared(&self, most: u64) -> CacheHeaders {
        let bounded = |life: Duration| life.as_secs().min(most);
        let value = format!(
            "public, max-age={}, s-maxage={}, stale-if-error={}",
            bounded(self.max_age),
            bounded(self.s_maxage),
            self.stale_if_error.as_secs(),
        );
        let springtide = format!(
            "max-age={}, stale-if-error={}",
            bounded(self.hold),
            self.stale_if_error.as_secs()
        );
        CacheHeaders {
            cdn: Some(value.clone()),
            cache_control: value,
            springtide: Some(springtide),
        }
    }
}

impl CacheHeaders {
    /// Nothing but `Cache-Control`.
    fn only(value: &str) -> Self {
        Self { cache_control: value.to_owned(), cdn: None, springtide: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_answers_have_the_lifetimes_of_the_contract() {
        let headers = Lifetimes::default().headers(Standing::Newest, 0);
        let outward = "public, max-age=0, s-maxage=1, stale-if-error=60";
        assert_eq!(headers.cache_control, outward);
        assert_eq!(headers.cdn.as_deref(), Some(outward));
        assert_eq!(headers.springtide.as_deref(), Some("max-age=3600, stale-if-error=60"));
    }

    #[test]
    fn an_answer_with_the_clock_ends_with_its_quantum() {
        let lifetimes = Lifetimes { s_maxage: Duration::from_secs(300), ..Lifetimes::default() };
        let until = Standing::UntilMicros(60_000_000);
        let headers = lifetimes.headers(until, 12_500_000);
        assert!(headers.cache_control.contains("s-maxage=47"), "{headers:?}");
        assert!(headers.springtide.is_some_and(|s| s.starts_with("max-age=47")));
        let late = lifetimes.headers(until, 60_000_001);
        assert!(late.springtide.is_some_and(|s| s.starts_with("max-age=0")));
    }

    #[test]
    fn restricted_and_partial_answers_are_kept_from_caches() {
        let lifetimes = Lifetimes::default();
        let restricted = lifetimes.headers(Standing::Restricted { snapshot_only: false }, 0);
        assert_eq!(restricted, CacheHeaders::only("private, no-cache"));
        let partial = lifetimes.headers(Standing::SnapshotOnly, 0);
        assert_eq!(partial, CacheHeaders::only("no-store"));
        let both = lifetimes.headers(Standing::Restricted { snapshot_only: true }, 0);
        assert!(both.cache_control.contains("no-store") && both.cdn.is_none());
    }

    #[test]
    fn a_pinned_answer_is_immutable() {
        let headers = Lifetimes::default().headers(Standing::Pinned, 0);
        assert!(headers.cache_control.ends_with("immutable"));
    }
}
