//! Golden validators: whoever changes what goes into them, or DuckDB, must
//! raise `SEMANTICS` and write these anew.

use std::sync::Arc;

use duckdb::Connection;
use springtide_protocol::{Format, Offset, OffsetMap, PartitionId, TableVersion};
use springtide_relation::ChunkId;

use super::*;
use crate::scan_set::TableAtoms;
use crate::statement::fixture::{name, prepare};

fn digest(scan_set: &ScanSet) -> String {
    let mut hash = Fields(Sha256::new());
    hash.scan_set(scan_set);
    URL_SAFE_NO_PAD.encode(&hash.0.finalize()[..ETAG_BYTES])
}

fn scan_set(atoms: Vec<Atom>) -> ScanSet {
    let version = TableVersion {
        table_uuid: uuid::Uuid::from_u128(1),
        topic_id: Some(uuid::Uuid::from_u128(2)),
        schema_id: 3,
        decode_epoch: 4,
        foreign_sequence: 5,
        offsets: OffsetMap::new(),
    };
    ScanSet { tables: vec![TableAtoms { table: name("flights"), version, atoms }] }
}

const fn chunk(partition: i32, index: i64) -> ChunkId {
    ChunkId { partition: PartitionId(partition), index }
}

#[test]
fn scan_sets_hash_as_they_always_did() {
    let atoms = vec![
        Atom::File("s3://lake/a.parquet".into()),
        Atom::Sealed(chunk(0, 1), Some(1_024)),
        Atom::Sealed(chunk(0, 2), None),
        Atom::OpenThrough(chunk(0, 3), Offset(3_100)),
        Atom::OpenUntil(chunk(1, 0), Offset(7)),
    ];
    assert_eq!(digest(&scan_set(Vec::new())), include_str!("golden/empty.txt").trim());
    assert_eq!(digest(&scan_set(atoms)), include_str!("golden/atoms.txt").trim());
}

#[test]
fn statements_resolve_as_they_always_did() {
    let golden = include_str!("golden/statements.txt");
    let written: String = include_str!("golden/statements.sql")
        .lines()
        .filter(|line| !line.is_empty())
        .map(|sql| format!("{sql}\n  {}\n", prepare(sql).unwrap().text))
        .collect();
    assert_eq!(written, golden, "SEMANTICS is {}", crate::SEMANTICS);
}

#[test]
fn duckdb_is_the_one_that_the_number_stands_for() {
    let connection = Connection::open_in_memory().unwrap();
    let version: String = connection.query_row("SELECT version()", [], |row| row.get(0)).unwrap();
    assert_eq!((crate::SEMANTICS, version.as_str()), (2, "v1.5.6"));
}

#[test]
fn every_atom_is_told_apart() {
    let each = [
        vec![],
        vec![Atom::File("a".into())],
        vec![Atom::File("b".into())],
        vec![Atom::Sealed(chunk(0, 1), Some(1))],
        vec![Atom::Sealed(chunk(0, 1), Some(0))],
        vec![Atom::Sealed(chunk(0, 1), None)],
        vec![Atom::Sealed(chunk(1, 0), Some(1))],
        vec![Atom::OpenThrough(chunk(0, 1), Offset(1))],
        vec![Atom::OpenUntil(chunk(0, 1), Offset(1))],
        vec![Atom::OpenUntil(chunk(0, 1), Offset(2))],
        vec![Atom::Thinned(chunk(0, 1), 2)],
        vec![Atom::Thinned(chunk(0, 1), 3)],
        vec![Atom::Deleted("a".into(), "bc".into())],
        vec![Atom::Deleted("ab".into(), "c".into())],
        vec![Atom::Deleted("a".into(), "b".into())],
    ];
    let digests: std::collections::BTreeSet<_> =
        each.iter().map(|atoms| digest(&scan_set(atoms.clone()))).collect();
    assert_eq!(digests.len(), each.len());
}

#[test]
fn a_validator_is_short_text() {
    let statement = Arc::new(prepare("SELECT 1").unwrap());
    let plan = crate::plan::Plan::new(statement, Vec::new()).unwrap();
    let tag = etag(&plan, Encoding { format: Format::Json, numbers_as_text: false }, &[]);
    assert_eq!(tag.opaque().len(), 24);
}
