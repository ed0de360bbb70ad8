//! The memory that secrets lie in: a file system that the kernel never writes to swap. Where the kernel has none, secrets are
//! refused; there is no second best.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use provision_core::model::AbsPath;
use rustix::mount::{MountFlags, UnmountFlags};

/// Why there is no memory for secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemoryError {
    /// Secrets lie in a directory of their own in /run.
    #[error("{directory} is not a name in /run")]
    Place {
        /// The directory.
        directory: AbsPath,
    },
    /// Neither sort of memory can be mounted.
    #[error("neither ramfs nor a tmpfs without swap can be mounted at {} (ramfs: {ramfs}; tmpfs: {tmpfs})", path.display())]
    Mount {
        /// Where.
        path: PathBuf,
        /// Why not the first.
        ramfs: io::Error,
        /// Why not the second.
        tmpfs: io::Error,
    },
    /// What is mounted there could be written to swap.
    #[error("{} is a {kind} that may be written to swap", path.display())]
    Swappable {
        /// Where.
        path: PathBuf,
        /// The file system.
        kind: String,
    },
    /// The system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Where the secrets of one directory are.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// The link that programs know.
    pub(super) link: AbsPath,
    /// The mounted memory, with a directory for each set.
    pub(super) root: PathBuf,
}

impl Memory {
    /// The memory of a directory. Nothing is made or looked at.
    pub(crate) fn of(directory: &AbsPath) -> Result<Self, MemoryError> {
        let name = directory.as_str().strip_prefix("/run/").unwrap_or("");
        if name.is_empty() || name.contains('/') {
            return Err(MemoryError::Place {
                directory: directory.clone(),
            });
        }
        Ok(Self {
            link: directory.clone(),
            root: format!("{directory}.d").into(),
        })
    }

    /// Whether it is there. Memory that may be written to swap is an error.
    pub(crate) fn is_mounted(&self) -> Result<bool, MemoryError> {
        let path = Path::new("/proc/self/mountinfo");
        let table = fs::read_to_string(path).map_err(self.io("read", path))?;
        let root = self.root.to_string_lossy();
        match table.lines().filter_map(mount).rfind(|mount| mount.at == root) {
            None => Ok(false),
            Some(mount) if mount.is_unswappable() => Ok(true),
            Some(mount) => Err(MemoryError::Swappable {
                path: self.root.clone(),
                kind: mount.kind.to_owned(),
            }),
        }
    }

    /// Makes it, unless it is there.
    pub(crate) fn mount(&self) -> Result<(), MemoryError> {
        if self.is_mounted()? {
            return Ok(());
        }
        match DirBuilder::new().mode(0o700).create(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(self.io("make", &self.root)(error));
            }
            _ => {}
        }
        let flags = MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        // Entered by everybody, listed by nobody: whoever knows the name of a file that it owns can open it.
        let Err(ramfs) = rustix::mount::mount("ramfs", &self.root, "ramfs", flags, c"mode=0751") else {
            return Ok(());
        };
        // Linux 6.3 and later.
        let tmpfs = c"noswap,mode=0751,size=64m,nr_inodes=4096";
        let Err(tmpfs) = rustix::mount::mount("tmpfs", &self.root, "tmpfs", flags, tmpfs) else {
            return Ok(());
        };
        let _ = fs::remove_dir(&self.root);
        Err(MemoryError::Mount {
            path: self.root.clone(),
            ramfs: ramfs.into(),
            tmpfs: tmpfs.into(),
        })
    }

    /// Gives it back to the system, with all that is in it.
    pub(crate) fn unmount(&self) -> Result<(), MemoryError> {
        if self.is_mounted()? {
            // A program that reads a file at this moment keeps it until it is done.
            rustix::mount::unmount(&self.root, UnmountFlags::DETACH)
                .map_err(|error| self.io("unmount", &self.root)(error.into()))?;
        }
        match fs::remove_dir(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io("remove", &self.root)(error)),
            _ => Ok(()),
        }
    }

    fn io(&self, doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MemoryError + use<> {
        let path = path.to_owned();
        move |source| MemoryError::Io { doing, path, source }
    }
}

/// A line of proc_pid_mountinfo(5).
struct Mount<'a> {
    at: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl Mount<'_> {
    fn is_unswappable(&self) -> bool {
        match self.kind {
            "ramfs" => true,
            "tmpfs" => self.options.split(',').any(|option| option == "noswap"),
            _ => false,
        }
    }
}

fn mount(line: &str) -> Option<Mount<'_>> {
    let (mounted, system) = line.split_once(" - ")?;
    let at = mounted.split(' ').nth(4)?;
    let mut system = system.splitn(3, ' ');
    Some(Mount {
        at,
        kind: system.next()?,
        options: system.nth(1).unwrap_or(""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_that_cannot_be_swapped_counts() {
        for (line, unswappable) in [
            (
                "61 30 0:50 / /run/a.d rw,nosuid shared:5 - ramfs ramfs rw,mode=751",
                true,
            ),
            ("61 30 0:50 / /run/a.d rw,nosuid - tmpfs tmpfs rw,noswap,mode=751", true),
            (
                "61 30 0:50 / /run/a.d rw,nosuid shared:5 master:1 - tmpfs tmpfs rw,size=1k",
                false,
            ),
            ("61 30 8:1 / /run/a.d rw - ext4 /dev/sda1 rw", false),
        ] {
            let mount = mount(line).unwrap();
            assert_eq!((mount.at, mount.is_unswappable()), ("/run/a.d", unswappable), "{line}");
        }
        assert!(mount("nonsense").is_none());
    }

    #[test]
    fn secrets_lie_in_a_name_of_their_own_in_run() {
        for (directory, is_fit) in [
            ("/run/agenix", true),
            ("/run", false),
            ("/etc/secrets", false),
            ("/run/user/0", false),
        ] {
            let directory = AbsPath::new(directory).unwrap();
            assert_eq!(Memory::of(&directory).is_ok(), is_fit, "{directory}");
        }
    }
}
