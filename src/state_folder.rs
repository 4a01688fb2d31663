//! The folder of all local state: made, locked for one program at a time, and
//! holding the key that signs versions. It must never know what the rooms keep
//! inside.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use springtide_protocol::signing::VersionKey;
use uuid::Uuid;

/// The lock on the folder; it ends with the program, however that ends.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateFolderError {
    /// It cannot be made or written.
    #[error("cannot use the folder {}; give another with --dir or make it writable", path.display())]
    Unusable {
        /// The folder or a file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another program has it.
    #[error(
        "{} is in use by another springtide ({holder}); ask that one, stop it, or give another --dir",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// What that program says of itself.
        holder: String,
    },
}

impl StateFolder {
    /// Makes the folder where it is missing and locks it.
    ///
    /// # Errors
    /// Where it cannot be made, or another program has it.
    pub(crate) fn open(path: &Path) -> Result<Self, StateFolderError> {
        let unusable = |at: &Path| {
            let at = at.to_owned();
            move |source| StateFolderError::Unusable { path: at, source }
        };
        std::fs::create_dir_all(path).map_err(unusable(path))?;
        let file = path.join("lock");
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&file);
        let mut lock = opened.map_err(unusable(&file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(unusable(&file)(source)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder).map_err(unusable(&file))?;
                let holder = holder.trim().to_owned();
                return Err(StateFolderError::InUse { path: path.to_owned(), holder });
            }
        }
        let mut folder = Self { path: path.to_owned(), lock };
        folder.tell("starting")?;
        Ok(folder)
    }

    /// Leaves a word for those who find the folder locked.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn tell(&mut self, what: &str) -> Result<(), StateFolderError> {
        let text = format!("process {}: {what}\n", std::process::id());
        let written = self
            .lock
            .set_len(0)
            .and_then(|()| self.lock.rewind())
            .and_then(|()| self.lock.write_all(text.as_bytes()));
        written.map_err(|source| StateFolderError::Unusable { path: self.path.clone(), source })
    }

    /// The key that signs versions; made once.
    ///
    /// # Errors
    /// Where it can neither be read nor written.
    pub(crate) fn version_key(&self) -> Result<VersionKey, StateFolderError> {
        let path = self.path.join("version.key");
        let unusable = |source| StateFolderError::Unusable { path: path.clone(), source };
        match std::fs::read(&path) {
            Ok(secret) if !secret.is_empty() => return Ok(VersionKey::new(&secret)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(error)),
        }
        let mut secret = [0; 32];
        secret[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        secret[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        let partial = self.path.join("version.key.partial");
        write_private(&partial, &secret)
            .and_then(|()| std::fs::rename(&partial, &path))
            .map_err(unusable)?;
        Ok(VersionKey::new(&secret))
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
