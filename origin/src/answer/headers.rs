//! The headers of an answer, as the public contract has them. Pure: facts in,
//! header lines out.

use chrono::{DateTime, SecondsFormat, Utc};
use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use springtide_protocol::etag::Coding;
use springtide_protocol::{Tag, headers};

use crate::lifetimes::CacheHeaders;

/// Everything that an answer's headers say.
pub(crate) struct Facts<'a> {
    /// `ETag`, coding's suffix included.
    pub(crate) etag: String,
    /// The coding of the body.
    pub(crate) coding: Coding,
    /// The media type; `None` for a 304.
    pub(crate) content_type: Option<&'static str>,
    /// How long it lives.
    pub(crate) cache: CacheHeaders,
    /// What it depends on.
    pub(crate) tags: &'a [Tag],
    /// Signed.
    pub(crate) version: String,
    /// Since when the data is complete.
    pub(crate) as_of_micros: Option<i64>,
    /// The clock.
    pub(crate) now_micros: i64,
    /// Whether it read anything restricted.
    pub(crate) restricted: bool,
    /// Whether the tail is missing.
    pub(crate) snapshot_only: bool,
    /// `Server-Timing`.
    pub(crate) timing: String,
}

/// CloudFront's bound of all headers together is 20 KB; a list that nears it
/// gives way to the table's tags alone.
const TAG_LIST_BYTES: usize = 4096;

impl Facts<'_> {
    /// Writes them.
    pub(crate) fn write(&self, to: &mut HeaderMap) -> Result<(), InvalidHeaderValue> {
        let mut set = |name: HeaderName, value: &str| {
            to.insert(name, HeaderValue::from_str(value)?);
            Ok(())
        };
        let own = HeaderName::from_static;
        set(header::ETAG, &self.etag)?;
        if let Some(content_type) = self.content_type {
            set(header::CONTENT_TYPE, content_type)?;
            if let Some(token) = self.coding.token() {
                set(header::CONTENT_ENCODING, token)?;
            }
        }
        set(header::CACHE_CONTROL, &self.cache.cache_control)?;
        if let Some(cdn) = &self.cache.cdn {
            set(own(headers::CDN_CACHE_CONTROL), cdn)?;
        }
        if let Some(ours) = &self.cache.springtide {
            set(own(headers::SPRINGTIDE_CACHE_CONTROL), ours)?;
        }
        if !self.tags.is_empty() {
            set(own(headers::CACHE_TAG), &tag_list(self.tags))?;
        }
        set(own(headers::VERSION), &self.version)?;
        if let Some(as_of) = self.as_of_micros {
            let lag_ms = self.now_micros.saturating_sub(as_of).max(0) / 1000;
            set(own(headers::AS_OF), &rfc3339(as_of))?;
            set(own(headers::LAG_MS), &lag_ms.to_string())?;
        }
        if self.snapshot_only {
            set(own(headers::COVERAGE), "snapshot-only")?;
        }
        let vary =
            if self.restricted { "Accept-Encoding, Authorization" } else { "Accept-Encoding" };
        set(header::VARY, vary)?;
        set(own(headers::SERVER_TIMING), &self.timing)
    }
}

/// The list of tags; a table's own tag in the place of its partitions where the list is too long.
fn tag_list(tags: &[Tag]) -> String {
    let list = Tag::list(tags);
    if list.len() <= TAG_LIST_BYTES {
        return list;
    }
    let coarse: Vec<Tag> = tags
        .iter()
        .map(|tag| match tag {
            Tag::Partition(table, _) => Tag::Table(table.clone()),
            other => other.clone(),
        })
        .collect();
    Tag::list(&coarse)
}

/// Sets `Content-Length`.
pub(crate) fn content_length(to: &mut HeaderMap, bytes: u64) {
    to.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
}

/// RFC 3339 in UTC, with milliseconds.
pub(crate) fn rfc3339(micros: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lifetimes::{Lifetimes, Standing};

    fn facts(standing: Standing, tags: &[Tag]) -> Facts<'_> {
        Facts {
            etag: "\"abc-br\"".into(),
            coding: Coding::Brotli,
            content_type: Some("application/json"),
            cache: Lifetimes::default().headers(standing, 0),
            tags,
            version: "flights.o0-1~Sxyz".into(),
            as_of_micros: Some(986_082_238_500_000),
            now_micros: 986_082_240_000_999,
            restricted: matches!(standing, Standing::Restricted { .. }),
            snapshot_only: standing == Standing::SnapshotOnly,
            timing: "pin;dur=0.10".into(),
        }
    }

    fn written(facts: &Facts<'_>) -> HeaderMap {
        let mut map = HeaderMap::new();
        facts.write(&mut map).unwrap();
        map
    }

    #[test]
    fn an_open_answer_has_the_headers_of_the_contract() {
        let tags = ["t:flights/2001-03-31".parse().unwrap(), "q:top".parse().unwrap()];
        let map = written(&facts(Standing::Newest, &tags));
        let expected = [
            ("etag", "\"abc-br\""),
            ("content-encoding", "br"),
            ("cache-control", "public, max-age=0, s-maxage=1, stale-if-error=60"),
            ("cdn-cache-control", "public, max-age=0, s-maxage=1, stale-if-error=60"),
            ("springtide-cache-control", "max-age=3600, stale-if-error=60"),
            ("cache-tag", "q:top,t:flights/2001-03-31"),
            ("springtide-version", "flights.o0-1~Sxyz"),
            ("springtide-as-of", "2001-03-31T23:43:58.500Z"),
            ("springtide-lag-ms", "1500"),
            ("vary", "Accept-Encoding"),
            ("server-timing", "pin;dur=0.10"),
        ];
        for (name, value) in expected {
            assert_eq!(map.get(name).map(|v| v.to_str().unwrap()), Some(value), "{name}");
        }
        assert!(!map.contains_key("springtide-coverage"));
    }

    #[test]
    fn a_restricted_answer_is_private() {
        let map = written(&facts(Standing::Restricted { snapshot_only: false }, &[]));
        assert_eq!(map["cache-control"], "private, no-cache");
        assert_eq!(map["vary"], "Accept-Encoding, Authorization");
        for name in ["cdn-cache-control", "springtide-cache-control", "cache-tag"] {
            assert!(!map.contains_key(name), "{name}");
        }
    }

    #[test]
    fn an_answer_without_the_tail_says_so() {
        let map = written(&facts(Standing::SnapshotOnly, &[]));
        assert_eq!(map["springtide-coverage"], "snapshot-only");
        assert_eq!(map["cache-control"], "no-store");
        let mut not_modified = facts(Standing::Newest, &[]);
        not_modified.content_type = None;
        let map = written(&not_modified);
        assert!(!map.contains_key("content-type") && !map.contains_key("content-encoding"));
        assert!(map.contains_key("springtide-version") && map.contains_key("springtide-lag-ms"));
    }

    #[test]
    fn a_long_list_of_tags_gives_way_to_the_table() {
        let table = "flights".parse().unwrap();
        let tags: Vec<Tag> =
            (0..40).map(|i| Tag::partition(&table, &format!("{i:0>200}"))).collect();
        assert_eq!(tag_list(&tags), "t:flights");
    }
}
