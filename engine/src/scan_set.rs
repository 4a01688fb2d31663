//! The scan set (rules 4 and 5): what identifies the rows that can change an
//! answer. Equal scan sets of one statement mean equal answers; a row that
//! cannot match, or one that only moves from tail to lake, changes nothing here.
//!
//! The header leaves the foreign sequence number out: a foreign file is named by
//! its path, deleted rows by what deleted them, and a foreign commit that removes
//! rows of the stream changes the number of rows of their chunks, which the atoms
//! carry. Only an open chunk that
//! lost rows, or whose rows cannot be counted, names the foreign commit itself.

use std::sync::Arc;

use springtide_protocol::{Offset, TableName, TableVersion};
use springtide_relation::{ChunkId, DataFile, FileOrigin, OpenChunk, Relation};

use crate::prune::{Predicate, last_match};

/// One thing that may hold a matching row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A foreign data file, by its path in the lake.
    File(Arc<str>),
    /// A sealed chunk and how many rows it has; `None`: unknown.
    Sealed(ChunkId, Option<u64>),
    /// The open chunk's rows up to the last one that matches.
    OpenThrough(ChunkId, Offset),
    /// An open chunk whose rows are not all at hand, up to its end.
    OpenUntil(ChunkId, Offset),
    /// Beside an open chunk that a foreign commit took rows of, or may have: the last
    /// foreign commit.
    Thinned(ChunkId, i64),
    /// A data file, by its path in the lake, and a delete file or deletion vector that
    /// deleted rows of it.
    Deleted(Arc<str>, Arc<str>),
}

/// One table's part: what does not change while rows come and go, and atoms in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableAtoms {
    /// The table.
    pub table: TableName,
    /// Its version; of it only uuid, topic, schema and decode epoch count.
    pub version: TableVersion,
    /// Sorted, none twice.
    pub atoms: Vec<Atom>,
}

/// All tables of a statement, in order of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanSet {
    /// One entry a table.
    pub tables: Vec<TableAtoms>,
}

impl TableAtoms {
    /// What of `relation` may hold rows that match.
    #[must_use]
    pub fn new(relation: &Relation, predicate: &Predicate) -> Self {
        let read = |file: &&DataFile| file.live_rows() > 0 && predicate.may_match(&file.columns);
        let files = relation.files.iter().filter(read).flat_map(file_atoms);
        let sealed = relation.sealed.iter().flat_map(|chunks| chunks.iter());
        let sealed = sealed
            .filter(|chunk| predicate.may_match(&chunk.columns))
            .map(|chunk| Atom::Sealed(chunk.id, chunk.rows));
        let foreign = relation.version.foreign_sequence;
        let open = relation.open.iter().flat_map(|chunk| open_atoms(chunk, foreign, predicate));
        let mut atoms: Vec<_> = files.chain(sealed).chain(open).collect();
        atoms.sort_unstable();
        atoms.dedup();
        Self { table: relation.table.clone(), version: relation.version.clone(), atoms }
    }
}

/// A foreign file's path; and what deleted rows of a file, whoever wrote it. A file of which
/// every row is deleted has none.
fn file_atoms(file: &DataFile) -> impl Iterator<Item = Atom> + '_ {
    let path = match &file.origin {
        FileOrigin::Foreign(path) => Some(Atom::File(path.clone())),
        FileOrigin::Stream(_) => None,
    };
    let deleted = file.dead.iter().flat_map(|dead| {
        dead.deletes().iter().map(|delete| Atom::Deleted(dead.file().clone(), delete.clone()))
    });
    path.into_iter().chain(deleted)
}

/// The rows at hand, up to the last that matches; and what removed others of them.
fn open_atoms(chunk: &OpenChunk, foreign: i64, predicate: &Predicate) -> Vec<Atom> {
    if matches!(predicate, Predicate::False) {
        return Vec::new();
    }
    let thinned = Atom::Thinned(chunk.id, foreign);
    if !chunk.complete {
        return vec![Atom::OpenUntil(chunk.id, chunk.end), thinned];
    }
    let Some(last) = last_match(predicate, chunk) else { return Vec::new() };
    let mut atoms = vec![Atom::OpenThrough(chunk.id, last)];
    atoms.extend((chunk.lost > 0).then_some(thinned));
    atoms
}
