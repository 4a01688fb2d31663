//! One stored answer: its bytes, the fields it goes out with, and what tells
//! whether it may still be used. Immutable but for what is derived from the
//! last heartbeat.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use springtide_protocol::headers;
use springtide_protocol::version::{AtLeast, MinVersion, PartialTableVersion};
use springtide_protocol::{Tag, Version};

use crate::feed::{Beat, Feed, micros_of};
use crate::policy::Now;
use crate::policy::decision::{Mark, Stored};
use crate::policy::freshness::{Lifetimes, SPRINGTIDE_CACHE_CONTROL};
use crate::tags::TagState;
use crate::upstream::remove_hop_by_hop;

/// Bytes that an entry costs beside its body and fields.
const OVERHEAD_BYTES: u64 = 1024;
/// Bytes that one field costs beside its text.
const FIELD_BYTES: u64 = 104;

/// A stored answer.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The status.
    pub status: StatusCode,
    /// The fields, ready to go out; those that differ from hit to hit have a place kept.
    pub head: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What its fields allow.
    pub lifetimes: Lifetimes,
    /// What it read, where it says so.
    pub version: Option<Version>,
    /// Its as-of, microseconds since 1970.
    pub as_of: Option<i64>,
    /// The states of its tags.
    pub tags: Box<[Arc<TagState>]>,
    /// The feed's sequence when it was asked for.
    pub begun: u64,
    /// The feed's sequence at which it was found current.
    pub sequence: u64,
    /// When its age was 0, monotonic microseconds.
    pub validated: i64,
    /// It was not current even when it came (rule 12).
    pub stale: bool,
    raised: ArcSwapOption<Raised>,
}

/// Fields as the last heartbeat makes them.
#[derive(Debug)]
struct Raised {
    beat: u64,
    head: HeaderMap,
    as_of: Option<i64>,
}

/// An answer from upstream, about to be stored.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The status.
    pub status: StatusCode,
    /// All fields, as they came or as a 304 brought them up to date.
    pub fields: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What its fields allow.
    pub lifetimes: Lifetimes,
    /// The feed's sequence when it was asked for.
    pub begun: u64,
    /// When its age was 0, monotonic microseconds.
    pub validated: i64,
}

/// An entry as it stands now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// For the decision.
    pub stored: Stored,
    /// Whether the last heartbeat validated it.
    pub raised: bool,
}

impl Entry {
    /// Makes the entry of an arrival; whether it is current is told by the feed.
    #[must_use]
    pub(crate) fn new(arrival: Arrival, feed: &Feed) -> Self {
        let Arrival { status, fields, body, lifetimes, begun, validated } = arrival;
        let text = |name: &str| fields.get(name).and_then(|v| v.to_str().ok());
        let version: Option<Version> = text(headers::VERSION).and_then(parse_version);
        let as_of = text(headers::AS_OF).and_then(micros_of);
        let names = text(headers::CACHE_TAG).map(Tag::parse_list).and_then(Result::ok);
        let names = names.unwrap_or_default();
        let tags = feed.tags().states(&names);
        // The sequence before the clocks: a change in between marks it again, at worst in vain.
        let sequence = feed.sequence();
        let stale = !feed.is_current(version.as_ref(), &tags, begun);
        let mut entry = Self {
            status,
            head: outward(fields, &body),
            body,
            lifetimes,
            version,
            as_of,
            tags,
            begun,
            sequence,
            validated,
            stale,
            raised: ArcSwapOption::empty(),
        };
        if !entry.can_be_held() {
            entry.lifetimes.hold = None;
        }
        entry
    }

    /// A hold needs to be told of changes: tags, a version, and no frozen clock (rule 8).
    fn can_be_held(&self) -> bool {
        let version = self.version.as_ref();
        !self.tags.is_empty() && version.is_some_and(|v| v.time_micros.is_none())
    }

    /// Whether a drop named it after it was asked for.
    #[must_use]
    pub(crate) fn is_dropped(&self) -> bool {
        self.tags.iter().any(|tag| tag.dropped() > self.begun)
    }

    /// How it stands. `beat` was taken before.
    #[must_use]
    pub(crate) fn standing(&self, feed: &Feed, beat: &Beat, now: Now) -> Standing {
        let mark = self.mark(feed);
        let held = self.lifetimes.hold.is_some() && mark == Mark::None;
        // A heartbeat counts as validation of what it did not name (rule 13).
        let raised = held && beat.number > 0 && beat.mono >= self.validated;
        let validated = if raised { beat.mono } else { self.validated };
        let held = held && feed.is_live(now);
        let stored = Stored { lifetimes: self.lifetimes, validated, mark, held };
        Standing { stored, raised }
    }

    fn mark(&self, feed: &Feed) -> Mark {
        let mut changed = false;
        for tag in &self.tags {
            if tag.dropped() > self.begun {
                return Mark::Dropped;
            }
            changed |= tag.changed() > self.sequence;
        }
        if self.lifetimes.immutable {
            return Mark::None;
        }
        if self.stale {
            return Mark::Stale { since: Some(self.validated) };
        }
        let reset = feed.reset() > self.sequence;
        if !changed && !reset {
            return Mark::None;
        }
        let mut first = None;
        if reset {
            match feed.first_reset_after(self.sequence) {
                Some(at) => first = Some(at),
                None => return Mark::Stale { since: None },
            }
        }
        for tag in self.tags.iter().filter(|tag| tag.changed() > self.sequence) {
            match tag.first_change_after(self.sequence) {
                Some(at) => first = Some(first.map_or(at, |f: i64| f.min(at))),
                None => return Mark::Stale { since: None },
            }
        }
        Mark::Stale { since: first }
    }

    /// Whether a change of its tags, or a reset, came after `begun`.
    #[must_use]
    pub(crate) fn changed_after(&self, begun: u64, feed: &Feed) -> bool {
        feed.reset() > begun || self.tags.iter().any(|tag| tag.changed() > begun)
    }

    /// The clocks of its tags, as the minimum for a refill (rule 12).
    #[must_use]
    pub(crate) fn clocks(&self) -> MinVersion {
        let mut minimum = MinVersion::default();
        self.tags.iter().for_each(|tag| tag.add_clock(&mut minimum));
        minimum
    }

    /// Whether it has what `minimum` names, raised by the heartbeat where that validated it.
    #[must_use]
    pub(crate) fn reaches(&self, minimum: &MinVersion, raised: Option<&Beat>) -> bool {
        let Some(version) = &self.version else { return false };
        minimum.tables.iter().all(|(name, least)| {
            let Some(own) = version.tables.get(name) else { return true };
            if least.reached_by(own) == AtLeast::Reached {
                return true;
            }
            let current = raised.and_then(|beat| beat.version.tables.get(name));
            current.is_some_and(|current| {
                // Only what follows its own version can raise it.
                PartialTableVersion::from(own).reached_by(current) == AtLeast::Reached
                    && least.reached_by(current) == AtLeast::Reached
            })
        })
    }

    /// The fields to go out and the as-of, brought up to the heartbeat where
    /// that validated the entry.
    #[must_use]
    pub(crate) fn fields(&self, raised: Option<&Beat>) -> (HeaderMap, Option<i64>) {
        let Some(beat) = raised else { return (self.head.clone(), self.as_of) };
        let known = self.raised.load();
        if let Some(known) = known.as_ref().filter(|r| r.beat == beat.number) {
            return (known.head.clone(), known.as_of);
        }
        let made = self.raise(beat);
        let out = (made.head.clone(), made.as_of);
        self.raised.store(Some(Arc::new(made)));
        out
    }

    fn raise(&self, beat: &Beat) -> Raised {
        let mut head = self.head.clone();
        if let Some(date) = &beat.date {
            head.insert(header::DATE, date.clone());
        }
        let tables = self.version.iter().flat_map(|v| v.tables.keys());
        let known = tables.map(|table| beat.as_of.get(table).copied());
        // The least of its tables; where one is not told of, its own stays.
        let least = known.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
        let as_of = least.max(self.as_of);
        let text = as_of.and_then(chrono::DateTime::from_timestamp_micros);
        let text = text.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        if let Some(value) = text.and_then(|t| HeaderValue::try_from(t).ok()) {
            head.insert(headers::AS_OF, value);
        }
        Raised { beat: beat.number, head, as_of }
    }

    /// Bytes that it weighs in the store under a target of this length.
    #[must_use]
    pub(crate) fn weight_bytes(&self, target: usize) -> u64 {
        let field = |(name, value): (&http::HeaderName, &HeaderValue)| {
            FIELD_BYTES + (name.as_str().len() + value.len()) as u64
        };
        // Twice: the fields as a heartbeat raises them are kept too.
        let fields: u64 = self.head.iter().map(field).sum::<u64>() * 2;
        self.body.len() as u64 + fields + target as u64 + OVERHEAD_BYTES
    }
}

/// The version in a `Springtide-Version` header; its signature is the origin's affair.
fn parse_version(signed: &str) -> Option<Version> {
    signed.rsplit_once("~S").map_or(signed, |(unsigned, _)| unsigned).parse().ok()
}

/// Fields as they go out: without those of the connection and of our own edges; with places for those that each hit sets.
fn outward(mut fields: HeaderMap, body: &Bytes) -> HeaderMap {
    remove_hop_by_hop(&mut fields);
    fields.remove(SPRINGTIDE_CACHE_CONTROL);
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    fields.insert(header::AGE, HeaderValue::from_static("0"));
    fields.insert(headers::CACHE_STATUS, HeaderValue::from_static("springtide-edge"));
    if fields.contains_key(headers::AS_OF) {
        fields.insert(headers::LAG_MS, HeaderValue::from_static("0"));
    }
    fields
}
