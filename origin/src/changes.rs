//! `/v1/changes`: the change feed as server-sent events, without what belongs
//! to tables that the one who asks may not read (rule 16).

use http::{HeaderMap, Response};
use springtide_freshness::FeedReader;
use springtide_protocol::canonical::CanonicalUrl;
use springtide_protocol::change::{Change, Heartbeat};
use springtide_protocol::{ChangeId, FeedEvent, MinVersion, TableName, Tag};
use tokio_util::sync::CancellationToken;

use crate::access::{Identity, View};
use crate::body::Body;
use crate::error::RequestError;
use crate::event_stream::{self, Events, Place};
use crate::origin::Origin;

/// What one reader of the feed may see.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    /// The restricted tables that it may not.
    hidden: Vec<TableName>,
}

/// Follows the feed.
pub(crate) fn changes(
    origin: &Origin,
    head: &HeaderMap,
    url: &CanonicalUrl,
    identity: &Identity,
    stop: &CancellationToken,
) -> Result<Response<Body>, RequestError> {
    crate::request::Reserved::read(url, &[], &[])?;
    let after = last_event_id(head)?;
    let place = Place::take(origin, identity, stop)?;
    let sight = if origin.writers.is_writer(head)? {
        Sight { hidden: Vec::new() }
    } else {
        Sight::new(origin, &origin.policy.view(identity))
    };
    let feed = Following { reader: origin.freshness.feed(after), sight };
    Ok(event_stream::respond(feed, place))
}

/// One client's way along the feed.
struct Following {
    reader: FeedReader,
    sight: Sight,
}

impl Events for Following {
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(event) = self.sight.seen(self.reader.next().await) {
                return Some(event.to_sse());
            }
        }
    }
}

impl Sight {
    fn new(origin: &Origin, view: &View) -> Self {
        let declared = origin.freshness.declared().into_iter();
        let hidden = |table: &TableName| origin.policy.restricts(table) && !view.opens(table);
        Self { hidden: declared.filter(hidden).collect() }
    }

    fn hides(&self, table: &TableName) -> bool {
        self.hidden.contains(table)
    }

    /// The part of an event that may be seen.
    fn seen(&self, event: FeedEvent) -> Option<FeedEvent> {
        if self.hidden.is_empty() {
            return Some(event);
        }
        match event {
            FeedEvent::Change(id, change) => self.change(id, change),
            FeedEvent::Heartbeat(id, beat) => Some(FeedEvent::Heartbeat(id, self.heartbeat(beat))),
            FeedEvent::Reset(id) => Some(FeedEvent::Reset(id)),
        }
    }

    fn change(&self, id: ChangeId, mut change: Change) -> Option<FeedEvent> {
        if change.table.as_ref().is_some_and(|table| self.hides(table)) {
            return None;
        }
        change.tags.retain(|tag| match tag {
            Tag::Table(table) | Tag::Partition(table, _) => !self.hides(table),
            Tag::Query(_) => true,
        });
        change.version = self.version(&change.version);
        (!change.tags.is_empty()).then_some(FeedEvent::Change(id, change))
    }

    fn heartbeat(&self, mut beat: Heartbeat) -> Heartbeat {
        beat.as_of_by_table.retain(|table, _| !self.hides(table));
        // RFC 3339 in UTC with one width: text order is time's order.
        if let Some(least) = beat.as_of_by_table.values().min() {
            beat.as_of.clone_from(least);
        }
        beat.version = self.version(&beat.version);
        beat
    }

    fn version(&self, text: &str) -> String {
        let mut version = text.parse::<MinVersion>().unwrap_or_default();
        version.tables.retain(|table, _| !self.hides(table));
        version.to_string()
    }
}

fn last_event_id(head: &HeaderMap) -> Result<Option<ChangeId>, RequestError> {
    let Some(value) = head.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or(RequestError::EventId)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sight() -> Sight {
        Sight { hidden: vec!["payroll".parse().unwrap()] }
    }

    fn change(table: Option<&str>, tags: &[&str]) -> FeedEvent {
        let change = Change {
            table: table.map(|t| t.parse().unwrap()),
            version: "flights.o0-1~payroll.o0-9".into(),
            tags: tags.iter().map(|t| t.parse().unwrap()).collect(),
            at: "2001-01-01T00:00:00.000Z".into(),
            drop: false,
        };
        FeedEvent::Change(ChangeId { epoch: 1, sequence: 2 }, change)
    }

    #[test]
    fn changes_of_hidden_tables_are_not_seen() {
        assert_eq!(sight().seen(change(Some("payroll"), &["t:payroll"])), None);
        assert_eq!(sight().seen(change(None, &["t:payroll/a"])), None);
        let mixed = sight().seen(change(None, &["t:payroll", "t:flights"])).unwrap();
        assert!(!mixed.to_sse().contains("payroll"), "{}", mixed.to_sse());
        assert!(mixed.to_sse().contains("flights.o0-1"));
        let all = Sight { hidden: vec![] };
        assert!(all.seen(change(Some("payroll"), &["t:payroll"])).is_some());
    }

    #[test]
    fn heartbeats_tell_nothing_of_hidden_tables() {
        let as_of = |text: &str| format!("2001-01-01T00:00:{text}.000Z");
        let beat = Heartbeat {
            version: "flights.o0-1~payroll.o0-9".into(),
            as_of: as_of("01"),
            as_of_by_table: [
                ("flights".parse().unwrap(), as_of("05")),
                ("payroll".parse().unwrap(), as_of("01")),
            ]
            .into(),
            at: as_of("06"),
        };
        let seen = sight().heartbeat(beat);
        assert_eq!(seen.version, "flights.o0-1");
        assert_eq!(seen.as_of, as_of("05"));
        assert_eq!(seen.as_of_by_table.len(), 1);
    }
}
