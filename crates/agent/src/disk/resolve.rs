//! Paths to open directories, without trusting anybody but root. It follows no last component and changes nothing.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use provision_core::model::AbsPath;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};

/// How many symbolic links one path may lead through: the kernel's own limit (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// An open directory, and the name in it that a path ends with.
#[derive(Debug)]
pub(crate) struct Parent {
    /// The directory, opened with `O_PATH`.
    pub(crate) dir: OwnedFd,
    /// The last component. It may be anything, or nothing.
    pub(crate) name: OsString,
}

/// Why the directory that holds a path could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    /// A directory on the way is not there.
    #[error("{component} does not exist")]
    Missing {
        /// The path up to and with it.
        component: String,
    },
    /// Something on the way is no directory.
    #[error("{component} is not a directory")]
    NotADirectory {
        /// The path up to and with it.
        component: String,
    },
    /// A symbolic link on the way could have been put there by somebody other than root.
    #[error("{component} is a symbolic link that is not safe to follow: {why}")]
    UnsafeLink {
        /// The path up to and with it.
        component: String,
        /// Which condition it breaks.
        why: &'static str,
    },
    /// More links than the kernel would follow.
    #[error("{component} is symbolic link number {MAX_LINKS} on the way, which is too many")]
    TooManyLinks {
        /// The path up to and with the last of them.
        component: String,
    },
    /// The system refused.
    #[error("cannot open {component}")]
    Io {
        /// The path up to and with it.
        component: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Opens the directory that holds `path`. Every component is opened by itself and none is followed by the kernel. A
/// symbolic link is followed here, by its text, only where root alone can have made it: its directory is owned by root
/// and writable by nobody else, and the link is owned by root. So `/var/run` and `/lib` work and an attacker's link
/// never does. `openat2` would do this in one call but refuses every link, and kernels before 5.6 lack it.
///
/// # Errors
/// [`PathError`], naming the component.
pub(crate) fn open_parent(path: &AbsPath) -> Result<Parent, PathError> {
    open_parent_of(Path::new(path.as_str()))
}

/// As [`open_parent`], for the agent's own files.
pub(super) fn open_parent_of(path: &Path) -> Result<Parent, PathError> {
    let bad = |what| PathError::Io {
        component: path.display().to_string(),
        source: io::Error::new(io::ErrorKind::InvalidInput, what),
    };
    let text = path.as_os_str().as_bytes();
    let Some(rest) = text.strip_prefix(b"/") else {
        return Err(bad("the path is not absolute"));
    };
    let mut components = split(rest);
    let name = components
        .pop()
        .ok_or_else(|| bad("the root directory lies in no directory"))?;
    if name == ".." {
        return Err(bad("the path ends in \"..\""));
    }
    Ok(Parent {
        dir: walk(components)?,
        name,
    })
}

/// Where the walk stands: an open directory, and the path that led there, for messages.
struct Place {
    dir: OwnedFd,
    shown: Vec<u8>,
}

impl Place {
    fn root() -> Result<Self, PathError> {
        let dir = rustix::fs::openat(CWD, c"/", DIRECTORY, Mode::empty());
        dir.map(|dir| Self { dir, shown: Vec::new() })
            .map_err(|error| PathError::Io {
                component: "/".to_owned(),
                source: error.into(),
            })
    }

    fn shown_with(&self, name: &OsStr) -> Vec<u8> {
        [&self.shown, b"/".as_slice(), name.as_bytes()].concat()
    }
}

const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::NOFOLLOW)
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
const ANYTHING: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn walk(components: Vec<OsString>) -> Result<OwnedFd, PathError> {
    let mut place = Place::root()?;
    let mut ahead: Vec<OsString> = components.into_iter().rev().collect();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        let shown = place.shown_with(&name);
        let component = || String::from_utf8_lossy(&shown).into_owned();
        let failed = |error: rustix::io::Errno| match error {
            rustix::io::Errno::NOENT => PathError::Missing { component: component() },
            rustix::io::Errno::NOTDIR => PathError::NotADirectory { component: component() },
            error => PathError::Io {
                component: component(),
                source: error.into(),
            },
        };
        // The last flag lets the kernel mount what is mounted on demand, and spares a stat of what is a directory.
        match rustix::fs::openat(&place.dir, &*name, DIRECTORY, Mode::empty()) {
            Ok(dir) => {
                place = Place { dir, shown };
                continue;
            }
            Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {}
            Err(error) => return Err(failed(error)),
        }
        let found = rustix::fs::openat(&place.dir, &*name, ANYTHING, Mode::empty()).map_err(failed)?;
        let stat = rustix::fs::fstat(&found).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Err(PathError::NotADirectory { component: component() });
        }
        let holder = rustix::fs::fstat(&place.dir).map_err(failed)?;
        if let Some(why) = unsafe_link(&holder, &stat) {
            return Err(PathError::UnsafeLink {
                component: component(),
                why,
            });
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(PathError::TooManyLinks { component: component() });
        }
        // Read through the open link, so that what was checked is what is read.
        let target: CString = rustix::fs::readlinkat(&found, c"", Vec::new()).map_err(failed)?;
        let target = target.into_bytes();
        if target.starts_with(b"/") {
            place = Place::root()?;
        }
        ahead.extend(split(&target).into_iter().rev());
    }
    Ok(place.dir)
}

/// Which condition of [`open_parent`] a link breaks.
fn unsafe_link(holder: &Stat, link: &Stat) -> Option<&'static str> {
    if holder.st_uid != 0 {
        Some("its directory is not owned by root")
    } else if holder.st_mode & 0o022 != 0 {
        Some("its directory is writable by others than root")
    } else if link.st_uid != 0 {
        Some("it is not owned by root")
    } else {
        None
    }
}

fn split(path: &[u8]) -> Vec<OsString> {
    path.split(|&b| b == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(|part| OsString::from_vec(part.to_vec()))
        .collect()
}

/// What lies under a name, not followed; `None` is nothing.
pub(super) fn lstat(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a file type is called, with its article.
pub(super) fn noun(file_type: FileType) -> &'static str {
    match file_type {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Unknown => "something of an unknown type",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::testing::Scratch;

    /// A directory tree as only root could have made it, whatever the temporary directory above it is like: the
    /// rules look at the directory that holds a link and at nothing above.
    fn trusted() -> Scratch {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests give files to others, so they need root"
        );
        let scratch = Scratch::new();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(scratch.path().join("real/deep")).unwrap();
        scratch
    }

    fn opened(path: &Path) -> Result<u64, PathError> {
        let parent = open_parent_of(path)?;
        assert_eq!(parent.name, path.file_name().unwrap());
        Ok(rustix::fs::fstat(&parent.dir).unwrap().st_ino)
    }

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn links_that_root_alone_can_have_made_are_followed() {
        let scratch = trusted();
        let (root, deep) = (scratch.path(), scratch.path().join("real/deep"));
        symlink("real", root.join("relative")).unwrap();
        symlink(&deep, root.join("absolute")).unwrap();
        symlink("../relative/./deep/", root.join("real/roundabout")).unwrap();
        for path in ["real/deep/f", "relative/deep/f", "absolute/f", "real/roundabout/f"] {
            assert_eq!(opened(&root.join(path)).unwrap(), inode(&deep), "{path}");
        }
    }

    #[test]
    fn the_last_component_is_never_followed() {
        let scratch = trusted();
        symlink("real", scratch.path().join("last")).unwrap();
        assert_eq!(opened(&scratch.path().join("last")).unwrap(), inode(scratch.path()));
    }

    #[test]
    fn links_that_somebody_else_can_have_made_are_refused_by_name() {
        let why = |scratch: &Scratch| {
            let link = scratch.path().join("link");
            match opened(&link.join("f")).unwrap_err() {
                PathError::UnsafeLink { component, why } => {
                    assert_eq!(Path::new(&component), link);
                    why
                }
                other => panic!("{other}"),
            }
        };
        let with_link = || {
            let scratch = trusted();
            symlink("real", scratch.path().join("link")).unwrap();
            scratch
        };

        let scratch = with_link();
        std::os::unix::fs::lchown(scratch.path().join("link"), Some(1000), None).unwrap();
        assert_eq!(why(&scratch), "it is not owned by root");

        for mode in [0o1777, 0o775] {
            let scratch = with_link();
            fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(why(&scratch), "its directory is writable by others than root");
        }

        let scratch = with_link();
        std::os::unix::fs::chown(scratch.path(), Some(1000), None).unwrap();
        assert_eq!(why(&scratch), "its directory is not owned by root");
    }

    #[test]
    fn a_safe_link_does_not_excuse_an_unsafe_one_behind_it() {
        let scratch = trusted();
        let (root, loose) = (scratch.path(), scratch.path().join("loose"));
        fs::create_dir(&loose).unwrap();
        fs::set_permissions(&loose, fs::Permissions::from_mode(0o777)).unwrap();
        symlink("../real", loose.join("inner")).unwrap();
        symlink("loose/inner", root.join("outer")).unwrap();
        let error = opened(&root.join("outer/f")).unwrap_err();
        assert!(
            matches!(&error, PathError::UnsafeLink { component, .. } if component.ends_with("/loose/inner")),
            "{error}"
        );
    }

    #[test]
    fn what_is_missing_or_no_directory_is_named() {
        let scratch = trusted();
        let root = scratch.path();
        fs::write(root.join("file"), "").unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        let shown = |path: &str| opened(&root.join(path)).unwrap_err().to_string();
        let at = |name: &str| root.join(name).display().to_string();
        assert_eq!(shown("no/such/f"), format!("{} does not exist", at("no")));
        assert_eq!(shown("dangling/f"), format!("{} does not exist", at("nowhere")));
        assert_eq!(shown("file/f"), format!("{} is not a directory", at("file")));
    }

    #[test]
    fn a_circle_of_links_ends() {
        let scratch = trusted();
        symlink("b", scratch.path().join("a")).unwrap();
        symlink("a", scratch.path().join("b")).unwrap();
        let error = opened(&scratch.path().join("a/f")).unwrap_err();
        assert!(matches!(error, PathError::TooManyLinks { .. }), "{error}");
    }

    #[test]
    fn the_root_and_relative_paths_have_no_parent() {
        for path in ["/", "relative", "", "/etc/.."] {
            assert!(open_parent_of(Path::new(path)).is_err(), "{path:?}");
        }
    }
}
