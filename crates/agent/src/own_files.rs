//! The agent's own files and directories: JSON that only root reads, written by [`crate::disk`]. It knows nothing of what
//! they are for.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use provision_core::model::{AbsPath, InvalidPath};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::{self, ChangeError, WriteError};

/// Why one of the agent's own files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnFileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be made.
    #[error("cannot make {}", path.display())]
    Make {
        /// The path.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It cannot be removed.
    #[error("cannot remove {}", path.display())]
    Remove {
        /// The path.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It has a name that is never written to.
    #[error("cannot write to {}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        #[source]
        source: InvalidPath,
    },
    /// It cannot be written.
    #[error("cannot keep the agent's own files")]
    Write(#[source] WriteError),
    /// A directory or a link cannot be made.
    #[error("cannot keep the agent's own files")]
    Change(#[source] ChangeError),
}

/// Reads a value.
///
/// # Errors
/// [`OwnFileError::Read`], [`OwnFileError::Damaged`].
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, OwnFileError> {
    let bytes = fs::read(path).map_err(|source| OwnFileError::Read {
        path: path.into(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| OwnFileError::Damaged {
        path: path.into(),
        source,
    })
}

/// Writes a value, durably, over nothing or over an older one.
///
/// # Errors
/// [`OwnFileError`].
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), OwnFileError> {
    let bytes = serde_json::to_vec(value).map_err(|source| OwnFileError::Damaged {
        path: path.into(),
        source,
    })?;
    disk::write_state(path, &bytes).map_err(OwnFileError::Write)
}

/// Makes a directory for root alone, unless it is there.
///
/// # Errors
/// [`OwnFileError`].
pub(crate) fn make_directory(path: &Path) -> Result<(), OwnFileError> {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) {
        return Ok(());
    }
    // Under its own name at once, unlike a managed one: nobody else can look into it, and a power cut leaves no other name.
    let made = DirBuilder::new()
        .mode(0o700)
        .create(path)
        .and_then(|()| match path.parent() {
            Some(parent) => fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        });
    match made {
        // Another connection was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(|source| OwnFileError::Make {
            path: path.into(),
            source,
        }),
    }
}

/// Makes a symbolic link, or turns an old one, in one step and durably.
///
/// # Errors
/// [`OwnFileError`].
pub(crate) fn make_symlink(path: &Path, target: &str) -> Result<(), OwnFileError> {
    disk::make_symlink(&abs(path)?, target).map_err(OwnFileError::Change)
}

/// Removes a file.
///
/// # Errors
/// [`OwnFileError::Remove`].
pub(crate) fn remove_file(path: &Path) -> Result<(), OwnFileError> {
    fs::remove_file(path).map_err(|source| OwnFileError::Remove {
        path: path.into(),
        source,
    })
}

/// Removes a directory with all that is in it.
///
/// # Errors
/// [`OwnFileError::Remove`].
pub(crate) fn remove_tree(path: &Path) -> Result<(), OwnFileError> {
    fs::remove_dir_all(path).map_err(|source| OwnFileError::Remove {
        path: path.into(),
        source,
    })
}

/// The names in a directory; none where it does not exist.
///
/// # Errors
/// [`OwnFileError::Read`].
pub(crate) fn names(path: &Path) -> Result<Vec<String>, OwnFileError> {
    let error = |source| OwnFileError::Read {
        path: path.into(),
        source,
    };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(error(source)),
    };
    entries
        .map(|entry| Ok(entry.map_err(error)?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// When a file was last written; the epoch where it does not exist.
pub(crate) fn modification(path: &Path) -> SystemTime {
    fs::metadata(path)
        .and_then(|meta| meta.modified())
        .unwrap_or(UNIX_EPOCH)
}

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn abs(path: &Path) -> Result<AbsPath, OwnFileError> {
    AbsPath::new(path.to_string_lossy()).map_err(|source| OwnFileError::Path {
        path: path.into(),
        source,
    })
}
