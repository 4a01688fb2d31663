//! Who leads, who waits, and that a leader that vanishes frees those who wait.

use springtide_protocol::etag::Coding;

use super::*;

fn key(target: &str) -> Key {
    Key { target: target.into(), coding: Coding::Identity }
}

fn lead(collapse: &Arc<Collapse>, sequence: u64) -> Lead {
    match collapse.join(&key("/a"), sequence, |_| false) {
        Role::Lead(lead) => lead,
        other => panic!("{other:?}"),
    }
}

fn waiter(collapse: &Arc<Collapse>) -> Waiter {
    match collapse.join(&key("/a"), 9, |_| true) {
        Role::Wait(waiter) => waiter,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_leader_that_vanishes_releases_those_who_wait() {
    let collapse = Collapse::new(10);
    let lead = lead(&collapse, 1);
    let waiter = waiter(&collapse);
    assert_eq!((collapse.len(), collapse.waiting()), (1, 1));
    drop(lead);
    assert!(matches!(waiter.end().await, FillEnd::Released));
    assert_eq!((collapse.len(), collapse.waiting()), (0, 0));
}

#[tokio::test]
async fn an_older_leader_leaves_the_place_of_a_newer_one_alone() {
    let collapse = Collapse::new(10);
    let older = lead(&collapse, 1);
    let of_older = waiter(&collapse);
    let newer = lead(&collapse, 2);
    let of_newer = waiter(&collapse);
    older.end(FillEnd::Failed(Arc::new(UpstreamError::TimedOut)));
    assert!(matches!(of_older.end().await, FillEnd::Failed(_)));
    assert_eq!(collapse.len(), 1);
    newer.end(FillEnd::Released);
    assert!(matches!(of_newer.end().await, FillEnd::Released));
    assert_eq!(collapse.len(), 0);
}

#[test]
fn who_may_join_is_told_when_the_fill_began() {
    let collapse = Collapse::new(1);
    let first = lead(&collapse, 7);
    let mut told = 0;
    let role = collapse.join(&key("/a"), 9, |begun| {
        told = begun;
        true
    });
    assert!(matches!(role, Role::Wait(_)));
    assert_eq!((told, first.begun()), (7, 7));
    assert!(matches!(collapse.join(&key("/a"), 9, |_| true), Role::Crowded));
    drop(role);
    assert!(matches!(collapse.join(&key("/a"), 9, |_| true), Role::Wait(_)));
    assert!(matches!(collapse.join(&key("/b"), 9, |_| true), Role::Lead(_)));
}
