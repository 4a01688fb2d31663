//! Server-sent events in pieces, with what else may stand between them.

use proptest::prelude::*;
use springtide_protocol::ChangeId;

use super::*;

fn all(events: &mut Events) -> Vec<FeedEvent> {
    std::iter::from_fn(|| events.next().unwrap()).collect()
}

#[test]
fn comments_and_carriage_returns() {
    let text = ": hello\r\n\r\nretry: 5\r\nevent: reset\r\nid: 7-3\r\ndata: {}\r\n\r\n";
    let mut events = Events::default();
    events.push(text.as_bytes()).unwrap();
    let id = ChangeId { epoch: 7, sequence: 3 };
    assert_eq!(all(&mut events), [FeedEvent::Reset(id)]);
}

#[test]
fn what_has_no_end_is_refused() {
    let mut events = Events::default();
    let piece = vec![b'x'; EVENT_BYTES / 2];
    events.push(&piece).unwrap();
    events.push(&piece).unwrap();
    assert!(matches!(events.push(b"xx"), Err(FollowError::TooLarge)));
    let mut events = Events::default();
    let line = [b"data: ", &piece[..], b"\n"].concat();
    let read = |events: &mut Events| events.push(&line).and_then(|()| events.next().map(|_| ()));
    read(&mut events).unwrap();
    assert!(read(&mut events).is_err());
}

proptest! {
    #[test]
    fn pieces_make_no_difference(cuts in proptest::collection::vec(1..30usize, 1..40)) {
        let sent: Vec<_> = (1..5).map(|n| FeedEvent::Reset(ChangeId { epoch: n, sequence: n })).collect();
        let text: String = sent.iter().map(FeedEvent::to_sse).collect();
        let mut rest = text.as_bytes();
        let mut events = Events::default();
        let mut read = Vec::new();
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            events.push(piece).unwrap();
            read.extend(all(&mut events));
        }
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut events = Events::default();
        events.push(&bytes).unwrap();
        while let Ok(Some(_)) = events.next() {}
    }
}
