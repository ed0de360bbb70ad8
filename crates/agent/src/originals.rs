//! What was there before each step that is the first to change something, noted before the step begins, so that a run
//! that dies in the middle of one forgets no original. It keeps no file's content; [`crate::generations::keep`] does.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use provision_core::model::{ResourceId, State};

use crate::journal::{self, JournalError};

/// The notes of one run, open for more.
#[derive(Debug)]
pub(crate) struct Originals {
    path: PathBuf,
    file: File,
}

impl Originals {
    /// Begins the notes of a run anew.
    ///
    /// # Errors
    /// [`JournalError::File`].
    pub(crate) fn create(path: &Path) -> Result<Self, JournalError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .and_then(|file| {
                if let Some(directory) = path.parent() {
                    File::open(directory)?.sync_all()?;
                }
                Ok(file)
            })
            .map_err(|source| failed(path, source))?;
        Ok(Self {
            path: path.into(),
            file,
        })
    }

    /// Notes what a step is about to change. When this returns, it is on the disk.
    ///
    /// # Errors
    /// [`JournalError::File`].
    pub(crate) fn note(&mut self, found: &BTreeMap<ResourceId, State>) -> Result<(), JournalError> {
        if found.is_empty() {
            return Ok(());
        }
        serde_json::to_vec(found)
            .map_err(io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                self.file.write_all(&line)?;
                self.file.sync_data()
            })
            .map_err(|source| failed(&self.path, source))
    }
}

/// All that was noted; nothing where there are no notes.
///
/// # Errors
/// [`JournalError`].
pub(crate) fn read(path: &Path) -> Result<BTreeMap<ResourceId, State>, JournalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(failed(path, source)),
    };
    let (lines, _) = journal::parse::<BTreeMap<ResourceId, State>>(path, &bytes)?;
    Ok(lines.into_iter().flatten().collect())
}

fn failed(path: &Path, source: io::Error) -> JournalError {
    JournalError::File {
        path: path.into(),
        source,
    }
}
