//! Which queries are published now: the folder, read again when a file
//! changes. A file that does not hold keeps its name and says what is wrong; it
//! never answers with what it was before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::file::{FILE_BYTES, PublishedQuery, QueryFileError};

/// The most files that are read.
const FILES: usize = 1000;

/// One file's state.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The query, or what is wrong with its file.
    pub(crate) query: Result<Arc<PublishedQuery>, Arc<QueryFileError>>,
    stamp: Stamp,
}

/// What tells that a file was written again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// The published queries.
#[derive(Debug)]
pub(crate) struct Catalog {
    folder: PathBuf,
    entries: ArcSwap<BTreeMap<String, Entry>>,
}

impl Catalog {
    /// Reads the folder; one that is missing publishes nothing.
    pub(crate) fn open(folder: PathBuf) -> std::io::Result<Self> {
        let catalog = Self { folder, entries: ArcSwap::default() };
        catalog.reload()?;
        Ok(catalog)
    }

    /// What is published, by name.
    pub(crate) fn entries(&self) -> Arc<BTreeMap<String, Entry>> {
        self.entries.load_full()
    }

    /// Reads again what changed; the names of files that were added, changed or
    /// removed. Blocking.
    pub(crate) fn reload(&self) -> std::io::Result<Vec<String>> {
        let before = self.entries.load_full();
        let mut after = BTreeMap::new();
        let mut changed = Vec::new();
        for (name, path) in files(&self.folder)? {
            let stamp = stamp(&path);
            let same = before.get(&name).filter(|entry| Some(&entry.stamp) == stamp.as_ref());
            if let Some(entry) = same {
                after.insert(name, entry.clone());
            } else if let Some(stamp) = stamp {
                let query = read(&name, &path, &stamp).map(Arc::new).map_err(Arc::new);
                if let Err(error) = &query {
                    tracing::warn!(query = name, error = %error, "a published query does not hold");
                }
                let content_changed = before
                    .get(&name)
                    .is_none_or(|old| old.query.as_ref().ok() != query.as_ref().ok());
                if content_changed {
                    changed.push(name.clone());
                }
                after.insert(name, Entry { query, stamp });
            }
        }
        changed.extend(before.keys().filter(|name| !after.contains_key(*name)).cloned());
        self.entries.store(Arc::new(after));
        Ok(changed)
    }
}

/// The `.sql` files of a folder, by name.
fn files(folder: &Path) -> std::io::Result<BTreeMap<String, PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let is_sql = path.extension().is_some_and(|e| e == "sql");
        let stem = path.file_stem().and_then(|s| s.to_str()).filter(|s| !s.starts_with('.'));
        if let (true, Some(stem)) = (is_sql, stem) {
            found.insert(stem.to_owned(), path.clone());
        }
        if found.len() > FILES {
            tracing::warn!(folder = %folder.display(), "more than {FILES} query files; the rest is not read");
            break;
        }
    }
    Ok(found)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len() })
}

fn read(name: &str, path: &Path, stamp: &Stamp) -> Result<PublishedQuery, QueryFileError> {
    if stamp.bytes > FILE_BYTES {
        return Err(QueryFileError::TooLong(stamp.bytes));
    }
    let text = std::fs::read_to_string(path).map_err(QueryFileError::Read)?;
    PublishedQuery::parse(name, &text)
}

/// Reads every file of a folder, for a check from outside.
pub(crate) fn read_folder(
    folder: &Path,
) -> std::io::Result<BTreeMap<String, Result<PublishedQuery, QueryFileError>>> {
    let read = files(folder)?.into_iter().filter_map(|(name, path)| {
        let query = read(&name, &path, &stamp(&path)?);
        Some((name, query))
    });
    Ok(read.collect())
}
