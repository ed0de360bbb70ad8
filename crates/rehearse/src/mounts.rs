//! Mounts and unmounts what a throwaway host needs, and removes directory trees that may have had mounts in them.
//! It deliberately refuses to delete below a mount point: a bind of the machine's own `/dev` must never be emptied.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

/// A mount of this process's mount namespace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    pub(crate) kind: String,
    /// The file system's own options: `rw,name=systemd`.
    pub(crate) options: String,
}

/// A mount, an unmount, or a removal that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// The table of mounts could not be read.
    #[error("cannot read /proc/self/mountinfo")]
    Table(#[source] io::Error),
    /// The host's disk could not be put together.
    #[error("cannot mount an overlay at {}", point.display())]
    Overlay {
        /// Where.
        point: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A path holds a character that has a meaning in mount options.
    #[error("the path {} contains `,`, `:` or `\\`, which overlay mounts cannot take: choose another directory", .0.display())]
    Unsuitable(PathBuf),
    /// Something stayed mounted.
    #[error("cannot unmount {}", point.display())]
    Unmount {
        /// What.
        point: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A directory could not be removed.
    #[error("cannot remove {}", path.display())]
    Remove {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Every mount that this process sees, in the order they were made.
pub(crate) fn table() -> Result<Vec<Mount>, MountError> {
    let text = fs::read("/proc/self/mountinfo").map_err(MountError::Table)?;
    Ok(parse_table(&text))
}

/// The format of proc_pid_mountinfo(5). Lines that do not fit it are skipped.
fn parse_table(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
            let dash = fields.iter().position(|field| *field == b"-")?;
            Some(Mount {
                point: unescape(fields.get(4)?),
                kind: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(),
                options: String::from_utf8_lossy(fields.get(dash + 3)?).into_owned(),
            })
        })
        .collect()
}

/// Undoes the kernel's `\040` for space, tab, newline and backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

/// Mounts `upper` over the read-only `lower` at `point`; all directories exist.
pub(crate) fn overlay(lower: &Path, upper: &Path, work: &Path, point: &Path) -> Result<(), MountError> {
    for path in [lower, upper, work] {
        let bytes = path.as_os_str().as_bytes();
        if bytes.iter().any(|byte| b",:\\".contains(byte)) {
            return Err(MountError::Unsuitable(path.to_owned()));
        }
    }
    let mut options = b"lowerdir=".to_vec();
    options.extend_from_slice(lower.as_os_str().as_bytes());
    options.extend_from_slice(b",upperdir=");
    options.extend_from_slice(upper.as_os_str().as_bytes());
    options.extend_from_slice(b",workdir=");
    options.extend_from_slice(work.as_os_str().as_bytes());
    let failed = |source| MountError::Overlay {
        point: point.to_owned(),
        source,
    };
    let options =
        std::ffi::CString::new(options).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    rustix::mount::mount(
        "provision-rehearse",
        point,
        "overlay",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )
    .map_err(|error| failed(error.into()))
}

/// Unmounts everything at or below `directory`, the last made first. One that is busy is detached: it goes when its last user does.
pub(crate) fn unmount_below(directory: &Path) -> Result<(), MountError> {
    for mount in table()?.iter().rev() {
        if !mount.point.starts_with(directory) {
            continue;
        }
        let flags = UnmountFlags::NOFOLLOW;
        rustix::mount::unmount(&mount.point, flags)
            .or_else(|_| rustix::mount::unmount(&mount.point, flags | UnmountFlags::DETACH))
            .map_err(|error| MountError::Unmount {
                point: mount.point.clone(),
                source: error.into(),
            })?;
    }
    Ok(())
}

/// Removes a directory and all below it, after unmounting what is mounted there. One that does not exist is removed already.
pub(crate) fn remove_tree(directory: &Path) -> Result<(), MountError> {
    unmount_below(directory)?;
    let failed = |source| MountError::Remove {
        path: directory.to_owned(),
        source,
    };
    if let Some(left) = table()?.iter().find(|mount| mount.point.starts_with(directory)) {
        let message = format!("{} is still mounted", left.point.display());
        return Err(failed(io::Error::new(io::ErrorKind::ResourceBusy, message)));
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_with_optional_fields_and_escapes() {
        let text = b"45 27 254:0 / /run/a\\040b rw,relatime shared:1 master:2 - overlay none rw,lowerdir=/x\n\
            46 27 0:9 / /plain rw - cgroup2 cgroup2 rw\n";
        let table = parse_table(text);
        assert_eq!(
            table,
            [
                Mount {
                    point: "/run/a b".into(),
                    kind: "overlay".into(),
                    options: "rw,lowerdir=/x".into()
                },
                Mount {
                    point: "/plain".into(),
                    kind: "cgroup2".into(),
                    options: "rw".into()
                },
            ]
        );
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        assert_eq!(unescape(b"a\\9\\134"), PathBuf::from("a\\9\\"));
    }

    #[test]
    fn a_path_with_a_comma_is_refused_before_the_kernel_misreads_it() {
        let error = overlay(
            Path::new("/a,upperdir=/etc"),
            Path::new("/u"),
            Path::new("/w"),
            Path::new("/p"),
        )
        .unwrap_err();
        assert!(matches!(error, MountError::Unsuitable(_)), "{error}");
    }

    #[test]
    fn removing_what_is_not_there_is_done() {
        remove_tree(Path::new("/no/such/place")).unwrap();
    }
}
