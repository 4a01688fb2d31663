//! Positions by data file, as position deletes and deletion vectors name them.
//! It must never know whom they apply to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::{DataType, Int64Type};
use roaring::RoaringTreemap;

use super::kept::Bytes;
use super::rows::{self, Wanted};
use super::{DeleteFile, Kind, Source, vector};
use crate::lake::LakeError;
use crate::lake::manifests::local_path;

/// The field ids that the format reserves.
const PATH_ID: i32 = 2_147_483_546;
const POSITION_ID: i32 = 2_147_483_545;

/// The positions that one delete file names.
#[derive(Debug, Default)]
pub(super) struct Positions {
    files: HashMap<PathBuf, RoaringTreemap>,
}

impl Bytes for Positions {
    fn bytes(&self) -> u64 {
        let one = |(path, positions): (&PathBuf, &RoaringTreemap)| {
            path.as_os_str().len() as u64 + positions.bytes()
        };
        self.files.iter().map(one).sum()
    }
}

impl Positions {
    /// Blocks.
    pub(super) fn read(delete: &DeleteFile) -> Result<Self, LakeError> {
        let positions = match &delete.kind {
            Kind::Vector { of, start, bytes, rows } => {
                let positions = vector::read(&delete.path, (*start, *bytes), *rows);
                positions.map(|positions| Self { files: HashMap::from([(of.clone(), positions)]) })
            }
            Kind::Positions { .. } => listed(&delete.path),
            Kind::Equality { .. } => Err("it names no positions".into()),
        };
        positions.map_err(|source| delete.failed(source))
    }

    /// Those in the data file at `path`.
    pub(super) fn of(&self, path: &Path) -> Option<&RoaringTreemap> {
        self.files.get(path)
    }
}

/// The rows of a position delete file.
fn listed(path: &Path) -> Result<Positions, Source> {
    let wanted = [
        Wanted::present(PATH_ID, "file_path", DataType::Utf8),
        Wanted::present(POSITION_ID, "pos", DataType::Int64),
    ];
    let mut positions = Positions::default();
    rows::read(path, &wanted, |_, _, columns| {
        let (paths, places) =
            (columns[0].as_string::<i32>(), columns[1].as_primitive::<Int64Type>());
        if paths.null_count() + places.null_count() > 0 {
            return Err("a row has no path or no position".into());
        }
        // Sorted by path: each is looked up once a batch.
        let mut from = 0;
        while from < places.len() {
            let path = paths.value(from);
            let mut to = from + 1;
            while to < places.len() && paths.value(to) == path {
                to += 1;
            }
            let local = local_path(path).unwrap_or_else(|_| path.into());
            let known = positions.files.entry(local).or_default();
            for place in &places.values()[from..to] {
                known.insert(u64::try_from(*place)?);
            }
            from = to;
        }
        Ok(())
    })?;
    Ok(positions)
}
