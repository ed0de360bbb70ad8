//! A directory in memory for a secret that is being edited, wiped and removed when it is no longer needed. It starts no editor.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use provision_secrets::SecretValue;

/// The file systems that are memory: tmpfs and ramfs, as statfs(2) names them.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Why there is no such directory.
#[derive(Debug, thiserror::Error)]
pub(super) enum MemoryError {
    /// Nothing is in memory where one could be.
    #[error("there is no file system in memory to edit a secret in: neither XDG_RUNTIME_DIR nor /dev/shm is one")]
    NoMemory,
    /// It cannot be made.
    #[error("cannot make a directory in {}", path.display())]
    Make {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file in it cannot be written or read.
    #[error("cannot use {}", path.display())]
    Use {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A file in a directory of its own, which only we can read. An editor's own copies land in that directory as well, and go with it.
pub(super) struct InMemory {
    directory: PathBuf,
    file: PathBuf,
}

impl InMemory {
    /// Writes a value into memory, to be edited under that name.
    pub(super) fn new(name: &str, value: &[u8]) -> Result<Self, MemoryError> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let places = runtime.into_iter().chain([PathBuf::from("/dev/shm")]);
        let place = places
            .into_iter()
            .find(|place| is_memory(place))
            .ok_or(MemoryError::NoMemory)?;
        Self::in_place(&place, name, value)
    }

    fn in_place(place: &Path, name: &str, value: &[u8]) -> Result<Self, MemoryError> {
        let mut random = [0; 16];
        // Where the system has none left the name can be guessed, and making it then fails.
        let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
        let suffix: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let directory = place.join(format!("provision-{suffix}"));
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(|source| MemoryError::Make {
                path: place.to_owned(),
                source,
            })?;
        // The end of the name is what editors choose colours by.
        let file = directory.join(name.rsplit('/').next().unwrap_or(name));
        let memory = Self { directory, file };
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&memory.file);
        written
            .and_then(|mut file| file.write_all(value))
            .map_err(|source| memory.unusable(source))?;
        Ok(memory)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// What is in it now.
    pub(super) fn value(&self) -> Result<SecretValue, MemoryError> {
        let file = File::open(&self.file);
        file.and_then(SecretValue::read).map_err(|source| self.unusable(source))
    }

    fn unusable(&self, source: io::Error) -> MemoryError {
        MemoryError::Use {
            path: self.file.clone(),
            source,
        }
    }
}

fn is_memory(path: &Path) -> bool {
    let kind = rustix::fs::statfs(path).map(|found| u64::try_from(found.f_type).unwrap_or(0));
    kind.is_ok_and(|kind| IN_MEMORY.contains(&kind))
}

impl Drop for InMemory {
    /// Also when a panic unwinds.
    fn drop(&mut self) {
        wipe(&self.directory);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Overwrites every file below a directory. What fails is left to the removal that follows.
fn wipe(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => wipe(&entry.path()),
            Ok(kind) if kind.is_file() => {
                let _ = overwrite(&entry.path());
            }
            _ => {}
        }
    }
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    file.rewind()?;
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn nothing_is_left_even_by_a_panic() {
        let place = tempfile::tempdir().unwrap();
        let held = std::sync::Mutex::new(None);
        let panicked = std::panic::catch_unwind(|| {
            let memory = InMemory::in_place(place.path(), "tls/web.key", b"canary").unwrap();
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(
                (mode(memory.path()), mode(memory.path().parent().unwrap())),
                (0o600, 0o700)
            );
            assert!(memory.path().ends_with("web.key"));
            assert_eq!(memory.value().unwrap().expose(), b"canary");
            // What an editor leaves beside it.
            let copy = memory.path().with_extension("swp");
            fs::write(&copy, "canary").unwrap();
            *held.lock().unwrap() = Some(File::open(copy).unwrap());
            panic!("as an editor may make us");
        });
        assert!(panicked.is_err());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        let removed = held.into_inner().unwrap().unwrap();
        assert_eq!(removed.metadata().unwrap().nlink(), 0);
        assert_eq!(
            SecretValue::read(removed).unwrap().expose(),
            [0; 6],
            "removed, and not overwritten"
        );
    }

    #[test]
    fn a_disk_is_no_memory() {
        assert!(is_memory(Path::new("/dev/shm")));
        assert!(!is_memory(Path::new("/proc")) && !is_memory(Path::new("/nonexistent")));
    }
}
