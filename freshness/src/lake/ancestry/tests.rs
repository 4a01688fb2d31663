//! Boundaries over ancestries as writers leave them.

use springtide_protocol::{Offset, PartitionId};

use super::*;

/// What a snapshot of a synthetic chain is; the first is the newest.
#[derive(Clone, Copy)]
enum Kind {
    /// From the stream, up to this offset.
    Ours(i64),
    /// A bulk load, with the map carried along or without one.
    Load(Option<i64>),
    /// By others.
    Other(By),
    /// By others, with our key copied along.
    CherryPicked(i64),
    /// From the stream, by a version that is not known.
    Newer,
}

#[derive(Clone, Copy)]
enum By {
    Append,
    Replace,
    Overwrite,
    Delete,
}

use By::{Append, Delete, Overwrite, Replace};
use Kind::{CherryPicked, Load, Newer, Other, Ours};

fn map(next: i64) -> OffsetMap {
    [(PartitionId(0), Offset(next))].into_iter().collect()
}

fn marker(next: i64) -> String {
    let marker = Marker::new("c".into(), "t".into(), Uuid::from_u128(7), map(next));
    serde_json::to_string(&marker).unwrap()
}

/// A chain whose sequence numbers count down to 1; `broken`: the oldest has a parent that is gone.
fn chain(kinds: &[Kind], broken: bool) -> Vec<Ancestor> {
    let length = kinds.len() as i64;
    let ancestor = |(at, kind): (usize, &Kind)| {
        let sequence = length - at as i64;
        let mut summary = HashMap::new();
        let mut put = |key: &str, value: String| summary.insert(key.to_owned(), value);
        let mut operation = Operation::Append;
        match kind {
            Ours(next) => {
                put(OFFSETS, marker(*next));
                put(COMMIT_ID, Uuid::from_u128(sequence as u128).to_string());
            }
            Newer => {
                put(OFFSETS, marker(1).replace("\"v\":1", "\"v\":2"));
            }
            Load(next) => {
                put(LOAD, "true".into());
                put(COMMIT_ID, Uuid::from_u128(sequence as u128).to_string());
                if let Some(next) = next {
                    put(OFFSETS, marker(*next));
                }
            }
            CherryPicked(next) => {
                put(OFFSETS, marker(*next));
                put(COMMIT_ID, Uuid::nil().to_string());
                put(CHERRY_PICKED, "5".into());
            }
            Other(Append) => {}
            Other(Replace) => operation = Operation::Replace,
            Other(Overwrite) => operation = Operation::Overwrite,
            Other(Delete) => operation = Operation::Delete,
        }
        let first = !broken && sequence == 1;
        Ancestor { id: sequence, sequence, operation, summary, first }
    };
    kinds.iter().enumerate().map(ancestor).collect()
}

fn known(kinds: &[Kind], broken: bool, foreign: bool) -> Option<OffsetMap> {
    let (boundary, _) = resolve(chain(kinds, broken).into_iter(), foreign);
    boundary.known().cloned()
}

#[test]
fn the_nearest_marker_decides() {
    let empty = Some(OffsetMap::new());
    // (newest first, broken chain, foreign commits allowed, boundary)
    let cases: [(&[Kind], bool, bool, Option<OffsetMap>); 20] = [
        (&[], false, false, empty.clone()),
        (&[Ours(5)], false, false, Some(map(5))),
        (&[Ours(9), Ours(5)], false, false, Some(map(9))),
        (&[Ours(9)], true, false, Some(map(9))),
        (&[Other(Replace), Ours(5)], false, false, Some(map(5))),
        (&[Other(Replace), Other(Replace), Ours(5)], true, false, Some(map(5))),
        (&[Other(Append), Ours(5)], false, false, None),
        (&[Other(Append), Ours(5)], false, true, Some(map(5))),
        (&[Other(Overwrite), Ours(5)], false, false, None),
        (&[Other(Overwrite), Ours(5)], false, true, Some(map(5))),
        (&[Other(Delete), Ours(5)], false, false, None),
        (&[Ours(9), Other(Append)], false, false, Some(map(9))),
        (&[Load(None)], false, false, empty.clone()),
        (&[Load(Some(5)), Ours(5)], false, false, Some(map(5))),
        (&[Load(None), Load(None)], true, false, None),
        (&[Other(Append)], false, true, empty),
        (&[Other(Append)], true, true, None),
        (&[Other(Replace)], true, false, None),
        (&[CherryPicked(9), Ours(5)], false, true, None),
        (&[Newer, Ours(5)], false, true, None),
    ];
    for (number, (kinds, broken, foreign, expected)) in cases.into_iter().enumerate() {
        assert_eq!(known(kinds, broken, foreign), expected, "case {number}");
    }
}

#[test]
fn the_marker_tells_the_topic() {
    let (_, marker) = resolve(chain(&[Other(Replace), Ours(5)], false).into_iter(), false);
    assert_eq!(marker.unwrap().topic_id, Uuid::from_u128(7));
}

#[test]
fn foreign_commits_are_those_that_are_neither_ours_nor_replace() {
    let cases: [(&[Kind], i64); 9] = [
        (&[], 0),
        (&[Ours(5)], 0),
        (&[Ours(9), Ours(5)], 0),
        (&[Ours(9), Load(None)], 1),
        (&[Load(Some(5)), Ours(5)], 2),
        (&[Other(Replace), Ours(9), Other(Append), Ours(5)], 2),
        (&[Other(Replace)], 0),
        (&[Other(Delete), Ours(9)], 2),
        (&[CherryPicked(1), Ours(9)], 2),
    ];
    for (number, (kinds, expected)) in cases.into_iter().enumerate() {
        assert_eq!(foreign_sequence(chain(kinds, false).into_iter()), expected, "case {number}");
    }
}

#[test]
fn an_expired_foreign_commit_still_counts() {
    let mut chain = chain(&[Other(Replace), Ours(9)], true);
    chain[1].summary.insert(FOREIGN.to_owned(), "41".to_owned());
    assert_eq!(foreign_sequence(chain.into_iter()), 41);
}

#[test]
fn a_commit_is_found_by_its_id_wherever_it_lies() {
    let chain = chain(&[Other(Replace), Ours(9), Load(None), Ours(5)], false);
    let has = |id: u128| has_commit(chain.clone().into_iter(), Uuid::from_u128(id));
    assert!(has(1) && has(2) && has(3));
    assert!(!has(4) && !has(9));
}

#[test]
fn versions_of_snapshots_whose_chain_broke_off_are_told_apart() {
    let told = |kinds: &[Kind], broken| {
        let chain = chain(kinds, broken);
        let (boundary, _) = resolve(chain.iter().cloned(), true);
        (boundary.known().cloned(), content_sequence(&boundary, chain.into_iter()))
    };
    // A table without a commit, and one whose commits have all expired behind a compaction.
    assert_eq!(told(&[], false), (Some(OffsetMap::new()), 0));
    assert_eq!(told(&[Other(Replace)], true), (None, 1));
    assert_eq!(told(&[Other(Replace), Ours(5)], false), (Some(map(5)), 0));
}
