//! `Cache-Control` (RFC 9111 §5.2) and its relatives (RFC 5861, RFC 8246) as
//! values: parsing that never fails, and printing. It must never know what a
//! directive leads to.

use std::fmt;

use http::header::{HeaderMap, HeaderName};

/// The largest delta-seconds that is told apart (RFC 9111 §1.2.2).
pub const MOST_SECONDS: u32 = 1 << 31;

/// Directives of a response (§5.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// §5.2.2.9.
    pub public: bool,
    /// §5.2.2.7; the qualified form counts as the whole.
    pub private: bool,
    /// §5.2.2.5.
    pub no_store: bool,
    /// §5.2.2.4; the qualified form counts as the whole.
    pub no_cache: bool,
    /// §5.2.2.2.
    pub must_revalidate: bool,
    /// §5.2.2.8.
    pub proxy_revalidate: bool,
    /// §5.2.2.3.
    pub must_understand: bool,
    /// §5.2.2.6.
    pub no_transform: bool,
    /// RFC 8246.
    pub immutable: bool,
    /// §5.2.2.1, seconds.
    pub max_age: Option<u32>,
    /// §5.2.2.10, seconds.
    pub s_maxage: Option<u32>,
    /// RFC 5861 §3, seconds.
    pub stale_while_revalidate: Option<u32>,
    /// RFC 5861 §4, seconds.
    pub stale_if_error: Option<u32>,
}

/// How stale an answer a client takes (§5.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// Without a value: any.
    Any,
    /// At most so many seconds past its lifetime.
    Seconds(u32),
}

/// Directives of a request (§5.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// §5.2.1.4.
    pub no_cache: bool,
    /// §5.2.1.5.
    pub no_store: bool,
    /// §5.2.1.7.
    pub only_if_cached: bool,
    /// §5.2.1.6.
    pub no_transform: bool,
    /// §5.2.1.1, seconds.
    pub max_age: Option<u32>,
    /// §5.2.1.3, seconds.
    pub min_fresh: Option<u32>,
    /// §5.2.1.2.
    pub max_stale: Option<MaxStale>,
    /// RFC 5861 §4, seconds.
    pub stale_if_error: Option<u32>,
}

impl ResponseDirectives {
    /// Reads a field's value. What is unknown is passed over; a time that does
    /// not parse counts as 0 (§4.2.1 encourages to take it as stale); of two
    /// times the lesser counts.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut all = Self::default();
        all.add(text);
        all
    }

    /// Reads all lines of a field; `None` where it is missing.
    #[must_use]
    pub fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut lines = headers.get_all(name).iter().peekable();
        lines.peek()?;
        let mut all = Self::default();
        lines.for_each(|line| all.add(&String::from_utf8_lossy(line.as_bytes())));
        Some(all)
    }

    fn add(&mut self, text: &str) {
        for (name, value) in directives(text) {
            match name.to_ascii_lowercase().as_str() {
                "public" => self.public = true,
                "private" => self.private = true,
                "no-store" => self.no_store = true,
                "no-cache" => self.no_cache = true,
                "must-revalidate" => self.must_revalidate = true,
                "proxy-revalidate" => self.proxy_revalidate = true,
                "must-understand" => self.must_understand = true,
                "no-transform" => self.no_transform = true,
                "immutable" => self.immutable = true,
                "max-age" => least(&mut self.max_age, value),
                "s-maxage" => least(&mut self.s_maxage, value),
                "stale-while-revalidate" => least(&mut self.stale_while_revalidate, value),
                "stale-if-error" => least(&mut self.stale_if_error, value),
                _ => {}
            }
        }
    }
}

impl RequestDirectives {
    /// Reads a field's value, as [`ResponseDirectives::parse`] does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut all = Self::default();
        all.add(text);
        all
    }

    /// Reads `Cache-Control`, and `Pragma: no-cache` where there is none (§5.4).
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        let mut named = false;
        for line in headers.get_all(http::header::CACHE_CONTROL) {
            named = true;
            all.add(&String::from_utf8_lossy(line.as_bytes()));
        }
        if !named && let Some(pragma) = headers.get(http::header::PRAGMA) {
            let text = String::from_utf8_lossy(pragma.as_bytes());
            all.no_cache = directives(&text).any(|(n, _)| n.eq_ignore_ascii_case("no-cache"));
        }
        all
    }

    fn add(&mut self, text: &str) {
        for (name, value) in directives(text) {
            match name.to_ascii_lowercase().as_str() {
                "no-cache" => self.no_cache = true,
                "no-store" => self.no_store = true,
                "only-if-cached" => self.only_if_cached = true,
                "no-transform" => self.no_transform = true,
                "max-age" => least(&mut self.max_age, value),
                "min-fresh" => {
                    self.min_fresh = Some(seconds(value).max(self.min_fresh.unwrap_or(0)));
                }
                "max-stale" if value.is_empty() => {
                    self.max_stale = self.max_stale.or(Some(MaxStale::Any));
                }
                "max-stale" => {
                    let named = seconds(value);
                    let least = match self.max_stale {
                        Some(MaxStale::Seconds(before)) => before.min(named),
                        _ => named,
                    };
                    self.max_stale = Some(MaxStale::Seconds(least));
                }
                "stale-if-error" => least(&mut self.stale_if_error, value),
                _ => {}
            }
        }
    }
}

/// Name and value (empty where there is none) of each directive; commas within
/// quotes do not divide.
fn directives(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let mut escaped = false;
        let end = rest.bytes().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return true,
                _ => {}
            }
            false
        });
        let (piece, after) = end.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
        rest = after;
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        Some((name.trim(), value.trim()))
    })
    .filter(|(name, _)| !name.is_empty())
}

/// Delta-seconds, bare or quoted; what does not parse is 0, what is too large
/// the largest.
fn seconds(value: &str) -> u32 {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let digits = inner.unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    digits.parse::<u32>().map_or(MOST_SECONDS, |n| n.min(MOST_SECONDS))
}

fn least(slot: &mut Option<u32>, value: &str) {
    let named = seconds(value);
    *slot = Some(slot.map_or(named, |before| before.min(named)));
}

/// Writes the directives that are set, divided by commas.
struct List<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    empty: bool,
}

impl List<'_, '_> {
    fn divide(&mut self) -> fmt::Result {
        if !std::mem::take(&mut self.empty) { self.f.write_str(", ") } else { Ok(()) }
    }

    fn flag(&mut self, name: &str, set: bool) -> fmt::Result {
        if !set {
            return Ok(());
        }
        self.divide()?;
        self.f.write_str(name)
    }

    fn time(&mut self, name: &str, seconds: Option<u32>) -> fmt::Result {
        let Some(seconds) = seconds else { return Ok(()) };
        self.divide()?;
        write!(self.f, "{name}={seconds}")
    }
}

impl fmt::Display for ResponseDirectives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = List { f, empty: true };
        list.flag("public", self.public)?;
        list.flag("private", self.private)?;
        list.flag("no-store", self.no_store)?;
        list.flag("no-cache", self.no_cache)?;
        list.flag("must-revalidate", self.must_revalidate)?;
        list.flag("proxy-revalidate", self.proxy_revalidate)?;
        list.flag("must-understand", self.must_understand)?;
        list.flag("no-transform", self.no_transform)?;
        list.flag("immutable", self.immutable)?;
        list.time("max-age", self.max_age)?;
        list.time("s-maxage", self.s_maxage)?;
        list.time("stale-while-revalidate", self.stale_while_revalidate)?;
        list.time("stale-if-error", self.stale_if_error)
    }
}

impl fmt::Display for RequestDirectives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = List { f, empty: true };
        list.flag("no-cache", self.no_cache)?;
        list.flag("no-store", self.no_store)?;
        list.flag("only-if-cached", self.only_if_cached)?;
        list.flag("no-transform", self.no_transform)?;
        list.time("max-age", self.max_age)?;
        list.time("min-fresh", self.min_fresh)?;
        match self.max_stale {
            Some(MaxStale::Any) => list.flag("max-stale", true)?,
            Some(MaxStale::Seconds(n)) => list.time("max-stale", Some(n))?,
            None => {}
        }
        list.time("stale-if-error", self.stale_if_error)
    }
}

#[cfg(test)]
mod tests;
