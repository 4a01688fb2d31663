//! Cache keys: the canonical URL (sorted parameters, `min` and `v` included)
//! and the coding that the client takes. Request targets that were seen before
//! find their canonical text without being parsed again.

use std::sync::Arc;

use http::HeaderValue;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use springtide_protocol::canonical::{CanonicalUrl, InvalidUrl};
use springtide_protocol::etag::Coding;

/// Bytes of request targets whose canonical form is remembered.
const REMEMBERED_TARGETS_BYTES: u64 = 16 * 1024 * 1024;
/// Their number that room is made for.
const REMEMBERED_TARGETS: usize = 32 * 1024;

/// What an answer is stored under. Only GET's answers are stored, and they
/// answer HEAD too, so the method is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Canonical path and query; also what is asked upstream, so that nothing
    /// outside the key can shape the answer.
    pub target: Arc<str>,
    /// The coding asked for.
    pub coding: Coding,
}

/// How targets become keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// Our own URLs: canonical.
    Canonical,
    /// Another origin's: as they are, since order and emptiness may mean something there.
    Verbatim,
}

/// Request targets and their keys.
#[derive(Debug)]
pub(crate) struct Keys {
    form: KeyForm,
    seen: Cache<Box<str>, Arc<str>, TextBytes>,
}

#[derive(Clone, Debug)]
struct TextBytes;

impl Weighter<Box<str>, Arc<str>> for TextBytes {
    fn weight(&self, raw: &Box<str>, canonical: &Arc<str>) -> u64 {
        (raw.len() + canonical.len() + 96) as u64
    }
}

impl Keys {
    /// Keys of this form; none seen yet.
    #[must_use]
    pub(crate) fn new(form: KeyForm) -> Self {
        let seen = Cache::with_weighter(REMEMBERED_TARGETS, REMEMBERED_TARGETS_BYTES, TextBytes);
        Self { form, seen }
    }

    /// The key of a request target and its `Accept-Encoding`.
    ///
    /// # Errors
    /// Where the target has no canonical form; the origin then says what is wrong.
    pub(crate) fn key(
        &self,
        target: &str,
        accept: Option<&HeaderValue>,
    ) -> Result<Key, InvalidUrl> {
        let coding = accept.map_or(Coding::Identity, accepted);
        if let Some(target) = self.seen.get(target) {
            return Ok(Key { target, coding });
        }
        let canonical: Arc<str> = match self.form {
            KeyForm::Canonical => CanonicalUrl::parse(target)?.to_string().into(),
            KeyForm::Verbatim => target.into(),
        };
        self.seen.insert(target.into(), canonical.clone());
        Ok(Key { target: canonical, coding })
    }
}

/// The best coding that the client takes: brotli, gzip, or none (RFC 9110 §12.5.3).
#[must_use]
pub(crate) fn accepted(accept: &HeaderValue) -> Coding {
    let Ok(text) = accept.to_str() else { return Coding::Identity };
    let mut best = Coding::Identity;
    for item in text.split(',') {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let refused = parameters.split(';').any(|p| {
            let quality = p.trim().strip_prefix(['q', 'Q']).and_then(|p| p.strip_prefix('='));
            quality.is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0))
        });
        if refused {
            continue;
        }
        let name = name.trim();
        if name.eq_ignore_ascii_case("br") {
            return Coding::Brotli;
        }
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            best = Coding::Gzip;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(target: &str) -> Key {
        Keys::new(KeyForm::Canonical).key(target, None).unwrap()
    }

    #[test]
    fn parameters_are_sorted_and_min_is_part_of_the_key() {
        assert_eq!(key("/v1/q/a?b=2&a=1&c="), key("/v1/q/a?a=1&b=2"));
        assert_ne!(key("/v1/q/a?min=t.o0-5"), key("/v1/q/a"));
        assert_ne!(key("/v1/q/a?min=t.o0-5"), key("/v1/q/a?min=t.o0-6"));
    }

    #[test]
    fn a_target_seen_before_has_the_same_key() {
        let keys = Keys::new(KeyForm::Canonical);
        let first = keys.key("/v1/q/a?b=2&a=1", None).unwrap();
        let again = keys.key("/v1/q/a?b=2&a=1", None).unwrap();
        assert!(Arc::ptr_eq(&first.target, &again.target));
        assert!(keys.key("/a/../b", None).is_err());
    }

    #[test]
    fn anothers_targets_stay_as_they_are() {
        let keys = Keys::new(KeyForm::Verbatim);
        assert_eq!(&*keys.key("/a/?b&a", None).unwrap().target, "/a/?b&a");
    }

    #[test]
    fn codings() {
        for (text, coding) in [
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("gzip;q=1.0, identity;q=0.5", Coding::Gzip),
            ("br;q=0, GZIP", Coding::Gzip),
            ("br; q=0.000", Coding::Identity),
            ("", Coding::Identity),
            ("identity, *;q=0", Coding::Identity),
        ] {
            assert_eq!(accepted(&HeaderValue::from_static(text)), coding, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_accept_encoding_is_read(text in "[ -~]{0,60}") {
            let _ = accepted(&HeaderValue::from_str(&text).unwrap());
        }
    }
}
