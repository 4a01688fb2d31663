//! Cache tags: what an answer depends on and what a change touches (rule 11).
//! Text: `t:{table}`, `t:{table}/{table partition}`, `q:{query}`; values are
//! lower-cased and percent-encoded, at most 256 bytes each.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::ids::TableName;
use crate::limits::TAG_BYTES;

/// What stays readable in a tag's values.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// One cache tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Tag {
    /// Any part of the table.
    Table(TableName),
    /// One table partition: the value of the table's tag partition, as text.
    Partition(TableName, String),
    /// A published query's file.
    Query(String),
}

/// Why a text is not a tag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a cache tag: write `t:table`, `t:table/partition` or `q:query`, at most {TAG_BYTES} bytes"
)]
pub struct InvalidTag(pub String);

impl Tag {
    /// A partition's tag; the table's where the text would pass 256 bytes.
    #[must_use]
    pub fn partition(table: &TableName, value: &str) -> Self {
        let tag = Self::Partition(table.clone(), value.to_lowercase());
        if tag.to_string().len() <= TAG_BYTES { tag } else { Self::Table(table.clone()) }
    }

    /// A published query's tag.
    #[must_use]
    pub fn query(name: &str) -> Self {
        Self::Query(name.to_lowercase())
    }

    /// The comma list of the `Cache-Tag` header, sorted and without repeats.
    #[must_use]
    pub fn list(tags: &[Self]) -> String {
        let mut texts: Vec<String> = tags.iter().map(Self::to_string).collect();
        texts.sort_unstable();
        texts.dedup();
        texts.join(",")
    }

    /// Parses a `Cache-Tag` header.
    ///
    /// # Errors
    /// The first text that is not a tag.
    pub fn parse_list(header: &str) -> Result<Vec<Self>, InvalidTag> {
        let texts = header.split(',').map(str::trim).filter(|t| !t.is_empty());
        texts.map(str::parse).collect()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => write!(f, "t:{table}"),
            Self::Partition(table, value) => {
                write!(f, "t:{table}/{}", utf8_percent_encode(value, PLAIN))
            }
            Self::Query(name) => write!(f, "q:{}", utf8_percent_encode(name, PLAIN)),
        }
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidTag(text.to_owned());
        let decode = |part: &str| {
            let decoded = percent_decode_str(part).decode_utf8().ok()?;
            (!decoded.is_empty()).then(|| decoded.to_lowercase())
        };
        if text.len() > TAG_BYTES {
            return Err(invalid());
        }
        if let Some(name) = text.strip_prefix("q:") {
            return decode(name).map(Self::Query).ok_or_else(invalid);
        }
        let rest = text.strip_prefix("t:").ok_or_else(invalid)?;
        match rest.split_once('/') {
            None => rest.parse().map(Self::Table).map_err(|_| invalid()),
            Some((table, value)) => {
                let table = table.parse().map_err(|_| invalid())?;
                let value = decode(value).ok_or_else(invalid)?;
                Ok(Self::Partition(table, value))
            }
        }
    }
}

impl TryFrom<String> for Tag {
    type Error = InvalidTag;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tag_round_trips(value in "\\PC{1,300}") {
            let table: TableName = "flights".parse().unwrap();
            for tag in [Tag::partition(&table, &value), Tag::Table(table.clone())] {
                let text = tag.to_string();
                prop_assert!(text.len() <= TAG_BYTES);
                prop_assert!(text.bytes().all(|b| (33..=126).contains(&b) && b != b','));
                prop_assert_eq!(text.parse::<Tag>().unwrap(), tag);
            }
        }
    }

    #[test]
    fn lists_are_sorted_and_without_repeats() {
        let tags = Tag::parse_list("t:b/2001-03-31, t:a ,q:top%20ten,t:a").unwrap();
        assert_eq!(Tag::list(&tags), "q:top%20ten,t:a,t:b/2001-03-31");
        assert!(Tag::parse_list("t:a,x:b").is_err());
    }
}
