//! The wall clock as an argument. Only programs read the real one.

/// Tells the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Microseconds since 1970, UTC.
    fn now_micros(&self) -> i64;
}
