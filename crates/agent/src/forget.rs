//! Forgetting: drops all that the agent keeps on this host for itself. Of what was applied it changes nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use provision_core::model::{Digest, Holder, HostText};

use crate::generations::{self, GenerationError};
use crate::guard::{self, GuardError};
use crate::layout::Layout;
use crate::lock::{self, Attempt, LockError};
use crate::own_files;

/// How an attempt to forget ended.
#[derive(Debug)]
pub(crate) enum Forgotten {
    /// All is gone.
    Gone,
    /// Nothing was touched: a run is at work.
    Locked(Box<Holder>),
    /// Nothing was touched: another generation is the newest.
    Stale {
        /// Which.
        found: u64,
    },
}

/// Why not all could be forgotten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForgetError {
    /// It is not known whether a run is at work.
    #[error("cannot tell who applies to this host")]
    Lock(#[source] LockError),
    /// The records cannot be read.
    #[error("cannot tell which generation is the newest")]
    Generations(#[source] GenerationError),
    /// An earlier run that nobody has decided about cannot be brought to its end.
    #[error("cannot undo the apply that was not confirmed")]
    Guard(#[source] GuardError),
    /// Something cannot be removed. Asking again goes on from there.
    #[error("cannot remove {}", path.display())]
    Remove {
        /// What.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Drops everything below the agent's directory, and the directory. What is half gone after a power cut is no record any more:
/// the link to the newest generation goes first.
///
/// # Errors
/// [`ForgetError`].
pub(crate) fn forget(layout: &Layout, who: &str, generation: u64) -> Result<Forgotten, ForgetError> {
    if !layout.root().exists() {
        return Ok(Forgotten::Gone);
    }
    let ours = Holder {
        who: HostText::new(who),
        since: own_files::seconds(SystemTime::now()),
        // There is no plan; whoever meets the lock is told by whom and since when.
        plan_id: Digest::of(b"forget"),
        pid: std::process::id(),
    };
    let lock = match lock::take(&layout.lock(), &ours).map_err(ForgetError::Lock)? {
        Attempt::Taken(lock) => lock,
        Attempt::Held(holder) => return Ok(Forgotten::Locked(holder)),
    };
    if !guard::settle_earlier(layout, &ours.plan_id).map_err(ForgetError::Guard)? {
        return Ok(Forgotten::Locked(Box::new(Holder {
            who: HostText::from("an apply that waits for its confirmation, or is being undone"),
            ..ours
        })));
    }
    let newest = generations::load(layout).map_err(ForgetError::Generations)?.receipt;
    let found = newest.map_or(0, |receipt| receipt.generation);
    if found != generation {
        return Ok(Forgotten::Stale { found });
    }
    remove(&layout.current(), |path| fs::remove_file(path))?;
    for directory in [layout.runs(), layout.generations(), layout.store()] {
        remove(&directory, |path| fs::remove_dir_all(path))?;
    }
    remove(layout.root(), |path| fs::remove_dir_all(path))?;
    drop(lock);
    Ok(Forgotten::Gone)
}

fn remove(path: &Path, how: impl Fn(&Path) -> io::Result<()>) -> Result<(), ForgetError> {
    match how(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(ForgetError::Remove {
            path: path.into(),
            source: error,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn all_of_it_goes_unless_somebody_is_at_work_or_the_host_has_moved_on() {
        let scratch = Scratch::new();
        let root = scratch.path().join("state");
        let layout = Layout::below(&root);
        assert!(matches!(forget(&layout, "a@b", 0).unwrap(), Forgotten::Gone));
        for directory in [
            layout.runs(),
            layout.generation(1),
            layout.store(),
            root.join("agents/1"),
        ] {
            fs::create_dir_all(directory).unwrap();
        }
        assert!(matches!(
            forget(&layout, "a@b", 7).unwrap(),
            Forgotten::Stale { found: 0 }
        ));

        let ours = Holder {
            who: "c@d".into(),
            since: 1,
            plan_id: Digest::of(b""),
            pid: 1,
        };
        let Attempt::Taken(lock) = lock::take(&layout.lock(), &ours).unwrap() else {
            panic!("the lock is free");
        };
        assert!(matches!(forget(&layout, "a@b", 0).unwrap(), Forgotten::Locked(holder) if *holder == ours));
        assert!(layout.generation(1).exists());
        drop(lock);

        assert!(matches!(forget(&layout, "a@b", 0).unwrap(), Forgotten::Gone));
        assert!(!root.exists());
    }
}
