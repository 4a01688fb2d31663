//! Conditional requests: does the client hold this answer already (rules 3 and
//! 15), and under which entity tag? Pure.

use springtide_protocol::ETag;
use springtide_protocol::etag::Coding;

/// Where the client holds the answer: the entity tag to confirm, in the coding
/// that it holds, else in the one it would get now.
pub(crate) fn held(etag: &ETag, coding: Coding, if_none_match: Option<&str>) -> Option<String> {
    let list = if_none_match?;
    if !etag.matches(list) {
        return None;
    }
    let codings = [coding, Coding::Identity, Coding::Brotli, Coding::Gzip];
    let strong = ETag::strong(etag.opaque().to_owned());
    let named = codings.into_iter().find(|c| list.contains(&strong.header(*c)));
    Some(etag.header(named.unwrap_or(coding)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_that_is_held_is_confirmed() {
        let etag = ETag::strong("abc".to_owned());
        let held = |list| held(&etag, Coding::Brotli, Some(list));
        assert_eq!(held("\"abc-br\"").as_deref(), Some("\"abc-br\""));
        assert_eq!(held("W/\"x\", W/\"abc\"").as_deref(), Some("\"abc\""));
        assert_eq!(held("\"abc-gz\"").as_deref(), Some("\"abc-gz\""));
        assert_eq!(held("*").as_deref(), Some("\"abc-br\""));
        assert_eq!(held("\"ab\", \"abcd\""), None);
    }

    #[test]
    fn a_weak_tag_stays_weak() {
        let etag = ETag::weak("abc".to_owned());
        let confirmed = held(&etag, Coding::Identity, Some("W/\"abc-br\""));
        assert_eq!(confirmed.as_deref(), Some("W/\"abc-br\""));
        assert_eq!(held(&etag, Coding::Identity, None), None);
    }
}
