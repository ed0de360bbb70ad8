//! One apply per host: an advisory lock that dies with its process. It waits for nobody longer than a glance at the lock takes.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use provision_core::model::Holder;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// How long a runner tries: longer than a look at the lock, which holds it for some microseconds, and than an ended
/// runner takes to go; shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// The lock, for as long as this value lives. No child inherits it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// What an attempt to take the lock gave.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// It is ours.
    Taken(Lock),
    /// Another run has it.
    Held(Box<Holder>),
}

/// Why it is not known who has the lock.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// The file cannot be opened, locked, read or written.
    #[error("cannot use the lock file {}", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It is locked, and does not say by whom.
    #[error("{} is locked, and does not say by whom", path.display())]
    Nameless {
        /// The lock file.
        path: PathBuf,
    },
}

/// Takes the lock and writes our name into it, or tells who has it.
///
/// # Errors
/// [`LockError`]; nothing is locked then.
pub(crate) fn take(path: &Path, ours: &Holder) -> Result<Attempt, LockError> {
    let error = |source| LockError::File {
        path: path.into(),
        source,
    };
    // The standard library opens every file with O_CLOEXEC.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(error)?;
    if !exclusive(&file).map_err(error)? {
        return match holder(path)? {
            Some(holder) => Ok(Attempt::Held(Box::new(holder))),
            // It was let go of while we looked.
            None => take(path, ours),
        };
    }
    // In place: a rename would leave the lock on a file that nobody finds. Readers take a file that does not parse for unfinished.
    let text = serde_json::to_vec(ours).map_err(|source| error(source.into()))?;
    file.set_len(0).map_err(error)?;
    file.write_all_at(&text, 0).map_err(error)?;
    Ok(Attempt::Taken(Lock { _file: file }))
}

/// Who holds the lock; `None` where nobody does. It writes nothing, not even a missing lock file.
///
/// # Errors
/// [`LockError`].
pub(crate) fn holder(path: &Path) -> Result<Option<Holder>, LockError> {
    let error = |source| LockError::File {
        path: path.into(),
        source,
    };
    let until = Instant::now() + PATIENCE;
    loop {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(error(source)),
        };
        if !is_locked(&file).map_err(error)? {
            return Ok(None);
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(error)?;
        if let Ok(holder) = serde_json::from_str(&text) {
            return Ok(Some(holder));
        }
        if Instant::now() >= until {
            return Err(LockError::Nameless { path: path.into() });
        }
        std::thread::sleep(PAUSE);
    }
}

/// Locks a file exclusively, until it is closed; `false` where somebody else keeps it locked.
pub(crate) fn exclusive(file: &File) -> io::Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if Instant::now() >= until => return Ok(false),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether somebody holds an exclusive lock on a file.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            flock(file, FlockOperation::Unlock)?;
            Ok(false)
        }
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use provision_core::model::{Digest, HostText};

    use super::*;
    use crate::testing::Scratch;

    fn ours(who: &str) -> Holder {
        Holder {
            who: HostText::from(who),
            since: 1,
            plan_id: Digest::of(who.as_bytes()),
            pid: 7,
        }
    }

    #[test]
    fn the_second_learns_who_was_first_and_a_closed_lock_is_free() {
        let scratch = Scratch::new();
        let path = scratch.path().join("lock");
        assert_eq!(holder(&path).unwrap(), None);
        assert!(!path.exists(), "looking must not write");

        let first = take(&path, &ours("the first, with a long name")).unwrap();
        assert!(matches!(first, Attempt::Taken(_)));
        assert_eq!(holder(&path).unwrap(), Some(ours("the first, with a long name")));
        match take(&path, &ours("second")).unwrap() {
            Attempt::Held(holder) => assert_eq!(*holder, ours("the first, with a long name")),
            Attempt::Taken(_) => panic!("two have the lock"),
        }

        drop(first);
        assert_eq!(holder(&path).unwrap(), None, "a stale name is nobody");
        assert!(matches!(take(&path, &ours("second")).unwrap(), Attempt::Taken(_)));
    }

    #[test]
    fn a_locked_file_without_a_name_is_not_taken_for_free() {
        let scratch = Scratch::new();
        let path = scratch.path().join("lock");
        let file = File::create(&path).unwrap();
        assert!(exclusive(&file).unwrap());
        assert!(matches!(holder(&path), Err(LockError::Nameless { .. })));
    }
}
