//! Entity tags (RFC 9110 §8.8.3): the validator made from the scan set, its
//! weak form for unstable answers (rule 9) and its suffix by coding (rule 15).

use std::fmt;

/// A content coding that an answer may travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// `gzip`.
    Gzip,
    /// `br`.
    Brotli,
}

impl Coding {
    /// The token of `Content-Encoding`; `None` for identity.
    #[must_use]
    pub const fn token(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gz",
            Self::Brotli => "-br",
        }
    }
}

/// A validator: an opaque text and whether it is weak.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag {
    opaque: String,
    weak: bool,
}

impl ETag {
    /// A strong validator. `opaque` is base64url text.
    #[must_use]
    pub const fn strong(opaque: String) -> Self {
        Self { opaque, weak: false }
    }

    /// A weak validator: bytes may differ between two runs of one version.
    #[must_use]
    pub const fn weak(opaque: String) -> Self {
        Self { opaque, weak: true }
    }

    /// Whether it is weak.
    #[must_use]
    pub const fn is_weak(&self) -> bool {
        self.weak
    }

    /// The text without quotes, mark or suffix.
    #[must_use]
    pub fn opaque(&self) -> &str {
        &self.opaque
    }

    /// The header's value for a coding.
    #[must_use]
    pub fn header(&self, coding: Coding) -> String {
        let mark = if self.weak { "W/" } else { "" };
        format!("{mark}\"{}{}\"", self.opaque, coding.suffix())
    }

    /// Whether an `If-None-Match` names this validator in any coding (weak comparison;
    /// `W/` and the coding's suffix are stripped). `*` matches.
    #[must_use]
    pub fn matches(&self, if_none_match: &str) -> bool {
        if if_none_match.trim() == "*" {
            return true;
        }
        opaque_tags(if_none_match).any(|tag| {
            let codings = [Coding::Gzip, Coding::Brotli];
            let stripped = codings.iter().find_map(|c| tag.strip_suffix(c.suffix()));
            tag == self.opaque || stripped == Some(&self.opaque)
        })
    }
}

/// The opaque parts of a list of entity tags; what is malformed is passed over.
fn opaque_tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('"')?;
        let (tag, after) = after.split_once('"')?;
        rest = after;
        Some(tag)
    })
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header(Coding::Identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match_is_compared_weakly_and_in_any_coding() {
        let tag = ETag::strong("abc_-9".to_owned());
        for header in [
            "\"abc_-9\"",
            "W/\"abc_-9\"",
            "\"abc_-9-br\"",
            "\"x\", W/\"abc_-9-gz\"",
            "*",
            " * ",
            "\"x,y\",\"abc_-9\"",
        ] {
            assert!(tag.matches(header), "{header}");
        }
        for header in ["", "abc_-9", "\"abc_-9", "\"abc\"", "\"abc_-9-br-br\"", "\"abc_-9-zstd\""] {
            assert!(!tag.matches(header), "{header}");
        }
    }

    #[test]
    fn each_coding_has_its_own() {
        let tag = ETag::weak("abc".to_owned());
        assert_eq!(tag.header(Coding::Brotli), "W/\"abc-br\"");
        assert_eq!(tag.to_string(), "W/\"abc\"");
    }
}
