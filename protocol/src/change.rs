//! The change feed's events (rule 12): what changed, to which version, under
//! which tags. Server-sent events; the JSON of `data` is the contract.

use serde::{Deserialize, Serialize};

use crate::ids::TableName;
use crate::tag::Tag;

/// A change's number in its origin's feed; a feed resumes after one.
/// `epoch` differs for each life of the origin, so that a restart is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangeId {
    /// The life of the origin that numbers.
    pub epoch: u64,
    /// Grows by one with each change.
    pub sequence: u64,
}

/// One change, announced once it can be pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The table that changed; `None` where a query's file or a policy did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub table: Option<TableName>,
    /// The version from which the change can be seen (unsigned text; may be partial).
    pub version: String,
    /// The tags it touches: the table partitions and the table.
    /// Where the table is named and none of its partitions, any part of it may have changed:
    /// answers under each of its partitions are touched too.
    pub tags: Vec<Tag>,
    /// When it was announced, RFC 3339, UTC.
    pub at: String,
    /// Whether answers must be dropped rather than marked stale (policy changes, removed tables).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop: bool,
}

/// The versions that are current, each second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// All tables, as an (unsigned) version's text.
    pub version: String,
    /// As-of of the table that is most behind, RFC 3339.
    pub as_of: String,
    /// As-of by table, RFC 3339.
    pub as_of_by_table: std::collections::BTreeMap<TableName, String>,
    /// When it was sent, RFC 3339.
    pub at: String,
}

/// One event of `/v1/changes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// Something changed.
    Change(ChangeId, Change),
    /// Nothing but what was named has changed up to here.
    Heartbeat(ChangeId, Heartbeat),
    /// What was missed cannot be told: mark all stale.
    Reset(ChangeId),
}

impl std::fmt::Display for ChangeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.sequence)
    }
}

impl std::str::FromStr for ChangeId {
    type Err = InvalidEvent;

    fn from_str(text: &str) -> Result<Self, InvalidEvent> {
        let invalid = || InvalidEvent::Id(text.chars().take(40).collect());
        let (epoch, sequence) = text.split_once('-').ok_or_else(invalid)?;
        Ok(Self {
            epoch: u64::from_str_radix(epoch, 16).map_err(|_| invalid())?,
            sequence: sequence.parse().map_err(|_| invalid())?,
        })
    }
}

/// Why an event was not understood.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEvent {
    /// The id is not `{hex}-{decimal}`.
    #[error("`{0}` is not the id of a change")]
    Id(String),
    /// Not one of `change`, `heartbeat`, `reset`.
    #[error("unknown event `{0}` in the change feed")]
    Kind(String),
    /// The data is not the event's JSON.
    #[error("the data of a change feed's event is not its JSON")]
    Data(#[from] serde_json::Error),
}

impl FeedEvent {
    /// The event as the lines that travel, blank line included.
    #[must_use]
    pub fn to_sse(&self) -> String {
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        let (kind, id, data) = match self {
            Self::Change(id, change) => ("change", id, json(serde_json::to_string(change))),
            Self::Heartbeat(id, beat) => ("heartbeat", id, json(serde_json::to_string(beat))),
            Self::Reset(id) => ("reset", id, "{}".to_owned()),
        };
        format!("event: {kind}\nid: {id}\ndata: {data}\n\n")
    }

    /// Reads an event from its three fields.
    ///
    /// # Errors
    /// Where a field is not of the form.
    pub fn from_fields(kind: &str, id: &str, data: &str) -> Result<Self, InvalidEvent> {
        let id = id.parse()?;
        match kind {
            "change" => Ok(Self::Change(id, serde_json::from_str(data)?)),
            "heartbeat" => Ok(Self::Heartbeat(id, serde_json::from_str(data)?)),
            "reset" => Ok(Self::Reset(id)),
            other => Err(InvalidEvent::Kind(other.chars().take(40).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_travel_as_three_fields() {
        let id = ChangeId { epoch: 0xfeed, sequence: 12 };
        let change = Change {
            table: Some("flights".parse().unwrap()),
            version: "flights.o0-9".to_owned(),
            tags: Tag::parse_list("t:flights,t:flights/2001-03-31").unwrap(),
            at: "2001-03-31T23:59:00.000Z".to_owned(),
            drop: false,
        };
        let event = FeedEvent::Change(id, change);
        let text = event.to_sse();
        assert!(text.ends_with("\n\n"));
        let field = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap().to_owned()
        };
        let (kind, id, data) = (field("event"), field("id"), field("data"));
        assert_eq!((kind.as_str(), id.as_str()), ("change", "feed-12"));
        assert_eq!(FeedEvent::from_fields(&kind, &id, &data).unwrap(), event);
        assert!(FeedEvent::from_fields("other", &id, &data).is_err());
        assert!(FeedEvent::from_fields("change", "x", &data).is_err());
        assert!(FeedEvent::from_fields("change", &id, "{").is_err());
    }
}
