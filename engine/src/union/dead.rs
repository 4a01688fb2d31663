//! The function that leaves deleted rows out of a scan, by file and position: a
//! look into bitmaps, which costs less than any join. A statement's bitmaps are
//! found by a random number and forgotten with the statement. It must never
//! know what deleted a row.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use duckdb::Connection;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::WritableVector;
use parking_lot::Mutex;
use springtide_relation::DeadRows;
use uuid::Uuid;

use super::footer::FileColumns;
use crate::error::EngineError;

/// Its name in SQL; no statement of a client may call it.
const FUNCTION: &str = "springtide_lives";
/// Which file of a scan's list a row is from, from 0: a virtual column of DuckDB's.
const FILE: &str = "file_index";
/// Where in its file a row is, from 0: another.
const POSITION: &str = "file_row_number";

/// By file of one scan.
type Scan = Arc<[Arc<DeadRows>]>;

/// The deleted rows that statements which run now leave out.
#[derive(Clone, Default)]
pub(super) struct DeadRegistry(Arc<Mutex<HashMap<u64, Scan>>>);

impl DeadRegistry {
    /// Makes the deleted rows of a scan known until the entry is dropped; in order of the
    /// scan's files.
    pub(super) fn enter(&self, files: Vec<Arc<DeadRows>>) -> DeadEntry {
        let (id, _) = Uuid::new_v4().as_u64_pair();
        self.0.lock().insert(id, files.into());
        DeadEntry { registry: self.clone(), id }
    }
}

/// The deleted rows of one scan.
pub(super) struct DeadEntry {
    registry: DeadRegistry,
    id: u64,
}

impl DeadEntry {
    /// The condition that keeps the scan's living rows.
    pub(super) fn filter(&self) -> String {
        format!("{FUNCTION}(CAST({} AS UBIGINT), CAST({FILE} AS UBIGINT), {POSITION})", self.id)
    }
}

impl Drop for DeadEntry {
    fn drop(&mut self) {
        self.registry.0.lock().remove(&self.id);
    }
}

/// A column of a file's own hides DuckDB's virtual one of that name.
///
/// # Errors
/// Where the file has one: its living rows cannot be told then.
pub(super) fn check(columns: &FileColumns) -> Result<(), EngineError> {
    let hides = |name: &str| [FILE, POSITION].iter().any(|own| own.eq_ignore_ascii_case(name));
    match columns.iter().find(|(_, name)| hides(name)) {
        None => Ok(()),
        Some((_, name)) => Err(EngineError::InvalidSql {
            detail: format!(
                "the table has deleted rows, which a column called `{name}` keeps from being \
                 left out; rename the column and rewrite the data files"
            ),
            position: None,
        }),
    }
}

/// Registers the function with an instance, before its sessions are cloned.
///
/// # Errors
/// DuckDB's own.
pub(super) fn register(connection: &Connection, registry: &DeadRegistry) -> duckdb::Result<()> {
    connection.register_scalar_function_with_state::<Lives>(FUNCTION, registry)
}

struct Lives;

impl VScalar for Lives {
    type State = DeadRegistry;

    #[expect(unsafe_code, reason = "DuckDB gives vectors of the signature's types, `len` long")]
    fn invoke(
        registry: &DeadRegistry,
        input: &mut DataChunkHandle,
        output: &mut dyn WritableVector,
    ) -> Result<(), Box<dyn Error>> {
        let len = input.len();
        let columns = [input.flat_vector(0), input.flat_vector(1), input.flat_vector(2)];
        let [ids, files, positions] = &columns;
        let (ids, files, positions) = unsafe {
            (
                ids.as_slice_with_len::<u64>(len),
                files.as_slice_with_len::<u64>(len),
                positions.as_slice_with_len::<i64>(len),
            )
        };
        let mut output = output.flat_vector();
        let lives = unsafe { output.as_mut_slice_with_len::<bool>(len) };
        let Some(id) = ids.first() else { return Ok(()) };
        let scan = registry.0.lock().get(id).cloned();
        let scan = scan.ok_or("these deleted rows belong to no statement")?;
        let mut from = 0;
        while from < len {
            // Rows come file by file.
            let rest = &files[from..];
            let same = rest.iter().position(|file| *file != rest[0]).unwrap_or(rest.len());
            let to = from + same;
            let dead = usize::try_from(rest[0]).ok().and_then(|file| scan.get(file));
            let dead = dead.ok_or("a row is of a file that the scan does not have")?;
            mark(dead, &positions[from..to], &mut lives[from..to])?;
            from = to;
        }
        Ok(())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        let parameters = [LogicalTypeId::UBigint, LogicalTypeId::UBigint, LogicalTypeId::Bigint];
        let boolean = LogicalTypeHandle::from(LogicalTypeId::Boolean);
        vec![ScalarFunctionSignature::exact(parameters.map(Into::into).into(), boolean)]
    }
}

/// Which of some rows of one file live.
fn mark(dead: &DeadRows, positions: &[i64], lives: &mut [bool]) -> Result<(), Box<dyn Error>> {
    let (Some(least), Some(most)) = (positions.iter().min(), positions.iter().max()) else {
        return Ok(());
    };
    let span = u64::try_from(*least)?..=u64::try_from(*most)?;
    if dead.positions().range_cardinality(span) == 0 {
        lives.fill(true);
        return Ok(());
    }
    for (position, lives) in positions.iter().zip(lives) {
        *lives = !dead.positions().contains(position.unsigned_abs());
    }
    Ok(())
}
