//! One control group per throwaway host: it keeps the hosts' systemds from seeing each other's units, and lets everything of one host be killed at once.
//! It sets no limits.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::mounts;

/// How long the kernel may take to bury killed processes. It takes some milliseconds; a process in uninterruptible sleep takes longer.
pub(crate) const BURIAL: Duration = Duration::from_secs(10);

/// How long systemd-nspawn may take to follow its PID 1. It takes some milliseconds; then it is killed too.
const GRACE: Duration = Duration::from_secs(1);

/// A control group could not be made, emptied or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// The table of mounts could not be read.
    #[error("cannot look for the control group file system")]
    Table(#[source] crate::MountError),
    /// No version 2 hierarchy is mounted.
    #[error("no cgroup2 file system is mounted: mount one with `mount -t cgroup2 cgroup2 /sys/fs/cgroup`")]
    NoUnified,
    /// A group's file or directory refused.
    #[error("cannot {verb} the control group {}", path.display())]
    Refused {
        /// create, kill, remove.
        verb: &'static str,
        /// The group.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Killed processes did not go away.
    #[error("processes of the control group {} are still there {} s after they were killed", .0.display(), BURIAL.as_secs())]
    Immortal(PathBuf),
}

/// Where the version 2 hierarchy is mounted.
pub(crate) fn unified_root() -> Result<PathBuf, CgroupError> {
    mounts::table()
        .map_err(CgroupError::Table)?
        .into_iter()
        .find(|mount| mount.kind == "cgroup2")
        .map(|mount| mount.point)
        .ok_or(CgroupError::NoUnified)
}

/// Makes the group `name` at the top of the hierarchy, where no session of the caller reaches it. One that exists is taken as it is.
pub(crate) fn create(name: &str) -> Result<PathBuf, CgroupError> {
    let path = unified_root()?.join(name);
    match fs::create_dir(&path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(CgroupError::Refused {
            verb: "create",
            path,
            source,
        }),
        _ => Ok(path),
    }
}

/// Kills every process of the group `name` and of those below it, and returns when none is left.
pub(crate) fn kill(name: &str) -> Result<(), CgroupError> {
    let path = unified_root()?.join(name);
    // First what nspawn runs, so that nspawn sees the end of its PID 1, and ends. Killed together, they would leave PID 1 to whoever adopts orphans.
    let payload = path.join("payload");
    if is_populated(&payload) {
        kill_all(&payload)?;
        wait_until_empty(&path, GRACE);
    }
    if !path.exists() {
        return Ok(());
    }
    kill_all(&path)?;
    if wait_until_empty(&path, BURIAL) {
        Ok(())
    } else {
        Err(CgroupError::Immortal(path))
    }
}

fn kill_all(path: &Path) -> Result<(), CgroupError> {
    match fs::write(path.join("cgroup.kill"), "1") {
        // nspawn may have removed it just now.
        Err(source) if path.exists() => Err(CgroupError::Refused {
            verb: "kill",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn wait_until_empty(path: &Path, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while is_populated(path) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Whether a process is in the group `name` or below it.
pub(crate) fn has_processes(name: &str) -> bool {
    unified_root().is_ok_and(|root| is_populated(&root.join(name)))
}

fn is_populated(path: &Path) -> bool {
    fs::read_to_string(path.join("cgroup.events")).is_ok_and(|text| text.lines().any(|line| line == "populated 1"))
}

/// Kills and removes the group `name`, also from the version 1 hierarchies into which systemd-nspawn copies it.
pub(crate) fn remove(name: &str) -> Result<(), CgroupError> {
    kill(name)?;
    for mount in mounts::table().map_err(CgroupError::Table)? {
        let path = mount.point.join(name);
        if mount.kind.starts_with("cgroup") && path.exists() {
            remove_groups(&path).map_err(|source| CgroupError::Refused {
                verb: "remove",
                path,
                source,
            })?;
        }
    }
    Ok(())
}

/// Groups can be removed only when empty, and their files cannot be removed at all.
fn remove_groups(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_groups(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
