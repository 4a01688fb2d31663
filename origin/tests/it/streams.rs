//! The change feed and live queries, as a client of server-sent events sees them.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use crate::house::{House, Lines, PATIENCE};

/// A stream of events.
pub(crate) struct Events {
    body: Incoming,
    text: String,
}

/// One event: its kind, id and data.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Events {
    pub(crate) async fn open(house: &House, target: &str, lines: Lines<'_>) -> Self {
        let response = house.send(Method::GET, target, lines, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next event; `None` at the stream's end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|text| text.trim().to_owned())
                };
                let event = field("event:").map(|kind| Event {
                    kind,
                    id: field("id:").unwrap_or_default(),
                    data: serde_json::from_str(&field("data:").unwrap()).unwrap(),
                });
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("an event comes")?;
            let data = frame.ok()?.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    pub(crate) async fn next_of(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.kind == kind {
                return event;
            }
        }
    }
}

#[tokio::test]
async fn the_feed_names_what_changed() {
    let house = House::new().await;
    let mut feed = Events::open(&house, "/v1/changes", &[]).await;
    feed.next_of("heartbeat").await;
    house.flight(1, "2001-03-31", 5).await;
    let change = feed.next_of("change").await;
    assert_eq!(change.data["table"], "flights");
    let tags = change.data["tags"].as_array().unwrap();
    assert!(tags.contains(&"t:flights/2001-03-31".into()), "{change:?}");
    assert!(tags.contains(&"t:flights".into()), "a change names both kinds: {change:?}");
    house.flight(2, "2001-03-31", 5).await;

    let mut resumed = Events::open(&house, "/v1/changes", &[("last-event-id", &change.id)]).await;
    let missed = resumed.next_of("change").await;
    let version = missed.data["version"].as_str().unwrap();
    assert!(version.ends_with(".o0-2"), "what came since is told, once: {missed:?}");
    let mut lost = Events::open(&house, "/v1/changes", &[("last-event-id", "1f-7")]).await;
    assert_eq!(lost.next().await.unwrap().kind, "reset", "another life's id");
    let refused = house.get_with("/v1/changes", &[("last-event-id", "x")]).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_query_file_that_changes_is_announced() {
    let house = House::with_token().await;
    let mut feed = Events::open(&house, "/v1/changes", &[]).await;
    house.publish("top", "/* */ SELECT 1 AS n").await;
    let change = feed.next_of("change").await;
    assert_eq!(change.data["tags"], serde_json::json!(["q:top"]));
    // Pinned answers of the old text are never asked about again: they must go.
    assert_eq!(change.data["drop"], true);
    house.publish("top", "/* */ SELECT 2 AS n").await;
    let change = feed.next_of("change").await;
    assert_eq!((&change.data["tags"][0], &change.data["drop"]), (&"q:top".into(), &true.into()));
    let _ = house.post("/v1/admin/purge", &[], r#"{"tags":["t:flights"],"drop":true}"#).await;
    let purge = feed.next_of("change").await;
    assert_eq!((&purge.data["tags"][0], &purge.data["drop"]), (&"t:flights".into(), &true.into()));
}

#[tokio::test]
async fn a_live_query_tells_when_its_etag_changes_and_only_then() {
    let house = House::new().await;
    let text = "/* */ SELECT count(*) AS n FROM flights \
                WHERE date >= '2001-03-31' AND date < '2001-04-01'";
    house.publish("one_day", text).await;
    let mut live = Events::open(&house, "/v1/live/one_day", &[]).await;
    let first = live.next_of("etag").await;
    let answer = house.get("/v1/q/one_day").await;
    assert_eq!(first.data["etag"], answer.etag(), "it is the validator of the answer");

    let again = house.get("/v1/live/one_day?x=1").await;
    assert_eq!(again.status, 400, "unknown parameters are refused");

    house.flight(1, "2001-03-30", 5).await;
    let quiet = timeout(Duration::from_millis(700), live.next()).await;
    assert!(quiet.is_err(), "a row that cannot match: {quiet:?}");
    house.flight(2, "2001-03-31", 5).await;
    let second = live.next_of("etag").await;
    assert_ne!(second.data["etag"], first.data["etag"]);

    let held = [("last-event-id", second.id.as_str())];
    let mut resumed = Events::open(&house, "/v1/live/one_day", &held).await;
    house.flight(3, "2001-03-31", 5).await;
    let third = resumed.next_of("etag").await;
    assert_ne!(third.id, second.id, "what the client holds is not sent again");
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_server() {
    let mut house = House::with(|settings| settings.bounds.event_streams = 1).await;
    let mut feed = Events::open(&house, "/v1/changes", &[]).await;
    feed.next_of("heartbeat").await;
    let refused = house.get("/v1/changes").await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (503, "overloaded"));
    house.stop.cancel();
    while feed.next().await.is_some() {}
    timeout(PATIENCE, &mut house.serving).await.expect("it stops").unwrap().unwrap();
}
