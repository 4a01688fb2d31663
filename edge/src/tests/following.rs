//! The follower against an origin that speaks the feed: begins, resumes, and
//! holds nothing while it is cut off.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use parking_lot::Mutex;
use springtide_protocol::FeedEvent;
use springtide_protocol::change::Heartbeat;
use tokio::sync::mpsc;

use super::world::{Body, START_MICROS, World, answer, id, rfc3339, version};

type Line = mpsc::UnboundedSender<String>;

/// An origin with a feed; `lines` are its open connections.
async fn with_feed(silence: Duration) -> (World, Arc<Mutex<Vec<Line>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let script = lines.clone();
    let world = World::with(
        move |request| {
            let lines: Arc<Mutex<Vec<Line>>> = script.clone();
            async move {
                if request.uri().path() != "/v1/changes" {
                    return answer(5, "t:flights", "rows");
                }
                let (sender, mut receiver) = mpsc::unbounded_channel::<String>();
                lines.lock().push(sender);
                let frames = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
                let frames = futures::StreamExt::map(frames, |text| {
                    Ok::<_, Infallible>(Frame::data(Bytes::from(text)))
                });
                let body: Body = StreamBody::new(frames).boxed();
                Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
            }
        },
        |settings| settings.feed_silence = silence,
    )
    .await;
    (world, lines)
}

fn beat(sequence: u64) -> String {
    let at = rfc3339(START_MICROS);
    let as_of_by_table = [("flights".parse().unwrap(), at.clone())].into();
    let beat = Heartbeat { version: version(5), as_of: at.clone(), as_of_by_table, at };
    FeedEvent::Heartbeat(id(sequence), beat).to_sse()
}

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it happens in time");
}

fn live(world: &World) -> bool {
    world.edge.status().feed.unwrap().live
}

#[tokio::test]
async fn it_begins_with_a_reset_and_resumes_after_the_last_event() {
    let (world, lines) = with_feed(Duration::from_secs(60)).await;
    until(|| lines.lock().len() == 1).await;
    assert!(!world.seen()[0].fields.contains_key("last-event-id"));
    world.get("/v1/q/a").await;
    // Events may come in pieces.
    let text = FeedEvent::Reset(id(3)).to_sse() + &beat(3);
    for piece in text.as_bytes().chunks(7) {
        lines.lock()[0].send(String::from_utf8(piece.to_vec()).unwrap()).unwrap();
    }
    until(|| live(&world)).await;
    // What was stored before is not known to be current.
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
    world.pass(Duration::from_secs(30)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
    // Cut off: the hold counts no longer.
    lines.lock().clear();
    until(|| !live(&world)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "refilled");
    until(|| lines.lock().len() == 1).await;
    let again = world.seen().into_iter().rfind(|s| s.target == "/v1/changes").unwrap();
    assert_eq!(again.fields["last-event-id"], "7-3");
    // Nothing was missed, so what is stored is held again.
    lines.lock()[0].send(beat(3)).unwrap();
    until(|| live(&world)).await;
    world.pass(Duration::from_secs(30)).await;
    assert_eq!(world.get("/v1/q/a").await.detail(), "hit");
}

#[tokio::test]
async fn a_silent_feed_is_given_up_and_tried_again() {
    let (world, lines) = with_feed(Duration::from_millis(100)).await;
    until(|| lines.lock().len() >= 2).await;
    assert!(!live(&world));
}

#[tokio::test]
async fn what_is_no_event_breaks_off_and_does_no_harm() {
    let (world, lines) = with_feed(Duration::from_secs(60)).await;
    until(|| lines.lock().len() == 1).await;
    lines.lock()[0].send("event: change\nid: 7-1\ndata: {]\n\n".to_owned()).unwrap();
    until(|| lines.lock().len() == 2).await;
    lines.lock()[1].send(FeedEvent::Reset(id(1)).to_sse() + &beat(1)).unwrap();
    until(|| live(&world)).await;
}
