//! Which deletes apply to a data file: by sequence number, by partition and by
//! the file that a delete names. Pure. It must never open a file.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::{DeleteFile, Kind, PlannedFile, TablePartition};
use crate::lake::LakeError;

/// Delete files by what they may apply to.
pub(super) struct Index<'a> {
    /// One for a data file.
    vectors: HashMap<&'a Path, &'a Arc<DeleteFile>>,
    /// Position deletes of one data file.
    of_file: HashMap<&'a Path, Vec<&'a Arc<DeleteFile>>>,
    /// Position deletes of a partition's data files.
    positions: HashMap<&'a TablePartition, Vec<&'a Arc<DeleteFile>>>,
    equality: HashMap<&'a TablePartition, Vec<&'a Arc<DeleteFile>>>,
    /// Equality deletes of an unpartitioned spec.
    global: Vec<&'a Arc<DeleteFile>>,
}

impl<'a> Index<'a> {
    /// # Errors
    /// Where one data file has two deletion vectors.
    pub(super) fn new(deletes: &[&'a Arc<DeleteFile>]) -> Result<Self, LakeError> {
        let mut index = Self {
            vectors: HashMap::new(),
            of_file: HashMap::new(),
            positions: HashMap::new(),
            equality: HashMap::new(),
            global: Vec::new(),
        };
        for delete in deletes {
            let partition = &delete.scope.partition;
            match &delete.kind {
                Kind::Vector { of, .. } => {
                    if let Some(other) = index.vectors.insert(of, delete) {
                        let said = format!(
                            "{} has another deletion vector, in {}",
                            of.display(),
                            other.path.display()
                        );
                        return Err(delete.failed(said));
                    }
                }
                Kind::Positions { of: Some(of) } => {
                    index.of_file.entry(of).or_default().push(delete);
                }
                Kind::Positions { of: None } => {
                    index.positions.entry(partition).or_default().push(delete);
                }
                Kind::Equality { .. } if delete.scope.unpartitioned => index.global.push(delete),
                Kind::Equality { .. } => index.equality.entry(partition).or_default().push(delete),
            }
        }
        Ok(index)
    }

    /// The deletes that apply to `file`. A deletion vector takes the place of all position
    /// deletes.
    pub(super) fn applying(&self, file: &PlannedFile) -> Vec<Arc<DeleteFile>> {
        let (path, scope) = (file.file.path.as_path(), &file.scope);
        let not_older = |delete: &&&Arc<DeleteFile>| scope.sequence <= delete.scope.sequence;
        let younger = |delete: &&&Arc<DeleteFile>| scope.sequence < delete.scope.sequence;
        let equality = self.equality.get(&scope.partition).into_iter().flatten();
        let mut applying: Vec<Arc<DeleteFile>> =
            equality.chain(&self.global).filter(younger).map(|delete| Arc::clone(delete)).collect();
        if let Some(vector) = self.vectors.get(path).filter(not_older) {
            applying.push(Arc::clone(vector));
            return applying;
        }
        let of_partition = self.positions.get(&scope.partition).into_iter().flatten();
        let of_file = self.of_file.get(path).into_iter().flatten();
        let positions = of_partition.chain(of_file).filter(not_older);
        applying.extend(positions.map(|delete| Arc::clone(delete)));
        applying
    }
}
