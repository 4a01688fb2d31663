//! HTTP caching policy, pure: RFC 9111 (storage, freshness, validation), RFC
//! 5861 (stale answers), RFC 9213 (targeted fields) and the rules of purge.
//!
//! It takes `now` and facts and gives decisions. It must never read a clock, do
//! I/O, or know how entries are kept.

pub mod cache_control;
pub mod decision;
pub mod freshness;
pub mod storage;
pub mod validate;

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// One moment, told by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Microseconds since the edge started; never steps back. Ages and
    /// lifetimes are measured by it, so that a step of the wall clock is harmless.
    pub mono: i64,
    /// Microseconds since 1970, UTC: for dates and lag only.
    pub wall: i64,
}
