//! The other changes to paths: attributes, directories, symbolic links, removal, and sweeping up after a killed run.
//! It writes no content.

use std::io;

use provision_core::model::{AbsPath, PathKind};
use rustix::fs::{AtFlags, Dir, FileType, OFlags};

use super::resolve::{Parent, PathError, lstat, noun, open_parent};
use super::write::{Attributes, Special, Staged, is_temp_name, set_on, sync_directory};

/// Why a path was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// The directory cannot be reached.
    #[error("cannot reach the directory of {path}")]
    Parent {
        /// The path.
        path: AbsPath,
        /// Why.
        #[source]
        source: PathError,
    },
    /// What lies there is not what the change is for.
    #[error("{path} is {found}, not {wanted}")]
    Unfit {
        /// The path.
        path: AbsPath,
        /// What lies there.
        found: &'static str,
        /// What would fit.
        wanted: &'static str,
    },
    /// The file has other names, in a place where others could have made them: changing its attributes might give
    /// away a file from elsewhere.
    #[error("{path} has {links} hard links, and others than root may write its directory")]
    Shared {
        /// The path.
        path: AbsPath,
        /// How many names it has.
        links: u64,
    },
    /// The system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done, such as "make the directory".
        doing: &'static str,
        /// The path.
        path: AbsPath,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What a removal came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// Nothing lies there any more.
    Gone,
    /// The directory still holds something and was kept.
    KeptNotEmpty,
}

fn parent_of(path: &AbsPath) -> Result<Parent, ChangeError> {
    open_parent(path).map_err(|source| ChangeError::Parent {
        path: path.clone(),
        source,
    })
}

fn failed<E: Into<io::Error>>(doing: &'static str, path: &AbsPath) -> impl FnOnce(E) -> ChangeError {
    let path = path.clone();
    move |error| ChangeError::Io {
        doing,
        path,
        source: error.into(),
    }
}

fn found(parent: &Parent, path: &AbsPath) -> Result<Option<FileType>, ChangeError> {
    let stat = lstat(&parent.dir, &parent.name).map_err(failed("look at", path))?;
    Ok(stat.map(|stat| FileType::from_raw_mode(stat.st_mode)))
}

/// Sets owner, group and mode of a file or a directory that is there.
///
/// # Errors
/// [`ChangeError`].
pub(crate) fn set_attributes(path: &AbsPath, attributes: &Attributes) -> Result<(), ChangeError> {
    let wanted = "a file or a directory";
    let unfit = |found| ChangeError::Unfit {
        path: path.clone(),
        found,
        wanted,
    };
    let parent = parent_of(path)?;
    match found(&parent, path)? {
        Some(FileType::RegularFile | FileType::Directory) => {}
        other => return Err(unfit(other.map_or("not there", noun))),
    }
    // Were a pipe put there since, NONBLOCK keeps this from waiting for its other end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&parent.dir, &parent.name, flags, rustix::fs::Mode::empty())
        .map_err(failed("open", path))?;
    let stat = rustix::fs::fstat(&file).map_err(failed("look at", path))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {}
        FileType::RegularFile => {
            let holder = rustix::fs::fstat(&parent.dir).map_err(failed("look at the directory of", path))?;
            let others = holder.st_uid != 0 || holder.st_mode & 0o022 != 0;
            if stat.st_nlink > 1 && others {
                return Err(ChangeError::Shared {
                    path: path.clone(),
                    links: stat.st_nlink,
                });
            }
        }
        other => return Err(unfit(noun(other))),
    }
    set_on(&file, attributes, Special::With).map_err(failed("set owner and mode of", path))?;
    rustix::fs::fsync(&file).map_err(failed("make durable", path))
}

/// Makes a directory, or gives an existing one these attributes. A new one appears with its attributes.
///
/// # Errors
/// [`ChangeError`].
pub(crate) fn make_directory(path: &AbsPath, attributes: &Attributes) -> Result<(), ChangeError> {
    let parent = parent_of(path)?;
    match found(&parent, path)? {
        None => {}
        Some(FileType::Directory) => return set_attributes(path, attributes),
        Some(other) => {
            return Err(ChangeError::Unfit {
                path: path.clone(),
                found: noun(other),
                wanted: "a directory",
            });
        }
    }
    let private = rustix::fs::Mode::from_raw_mode(0o700);
    let (staged, ()) = Staged::make(&parent.dir, AtFlags::REMOVEDIR, |name| {
        rustix::fs::mkdirat(&parent.dir, name, private)
    })
    .map_err(failed("make the directory", path))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(&parent.dir, &staged.name, flags, rustix::fs::Mode::empty())
        .map_err(failed("open the new directory", path))?;
    set_on(&dir, attributes, Special::With).map_err(failed("set owner and mode of", path))?;
    rustix::fs::fsync(&dir).map_err(failed("make durable", path))?;
    staged
        .rename_to(&parent.name)
        .map_err(failed("make the directory", path))?;
    sync_directory(&parent.dir).map_err(failed("make durable the directory of", path))
}

/// Makes a symbolic link, atomically, over nothing or over another symbolic link.
///
/// # Errors
/// [`ChangeError`].
pub(crate) fn make_symlink(path: &AbsPath, target: &str) -> Result<(), ChangeError> {
    let parent = parent_of(path)?;
    match found(&parent, path)? {
        None | Some(FileType::Symlink) => {}
        Some(other) => {
            return Err(ChangeError::Unfit {
                path: path.clone(),
                found: noun(other),
                wanted: "a symbolic link",
            });
        }
    }
    let (staged, ()) = Staged::make(&parent.dir, AtFlags::empty(), |name| {
        rustix::fs::symlinkat(target, &parent.dir, name)
    })
    .map_err(failed("make the symbolic link", path))?;
    staged
        .rename_to(&parent.name)
        .map_err(failed("make the symbolic link", path))?;
    sync_directory(&parent.dir).map_err(failed("make durable the directory of", path))
}

/// Removes what lies at a path, if it is of that kind. That nothing lies there is success.
///
/// # Errors
/// [`ChangeError`].
pub(crate) fn remove(path: &AbsPath, what: PathKind) -> Result<Removed, ChangeError> {
    let (file_type, flags) = match what {
        PathKind::File => (FileType::RegularFile, AtFlags::empty()),
        PathKind::Symlink => (FileType::Symlink, AtFlags::empty()),
        PathKind::Directory => (FileType::Directory, AtFlags::REMOVEDIR),
    };
    let parent = match open_parent(path) {
        Err(PathError::Missing { .. }) => return Ok(Removed::Gone),
        Err(source) => {
            return Err(ChangeError::Parent {
                path: path.clone(),
                source,
            });
        }
        Ok(parent) => parent,
    };
    match found(&parent, path)? {
        None => return Ok(Removed::Gone),
        Some(found) if found == file_type => {}
        Some(other) => {
            return Err(ChangeError::Unfit {
                path: path.clone(),
                found: noun(other),
                wanted: noun(file_type),
            });
        }
    }
    match rustix::fs::unlinkat(&parent.dir, &parent.name, flags) {
        Ok(()) => {}
        Err(rustix::io::Errno::NOENT) => return Ok(Removed::Gone),
        // POSIX lets a system say either for a directory that is not empty.
        Err(rustix::io::Errno::NOTEMPTY | rustix::io::Errno::EXIST) => return Ok(Removed::KeptNotEmpty),
        Err(error) => return Err(failed("remove", path)(error)),
    }
    sync_directory(&parent.dir).map_err(failed("make durable the directory of", path))?;
    Ok(Removed::Gone)
}

/// Removes what a killed run left under temporary names beside `path`, and says how many. Only the run that holds the
/// host's lock may call this: it cannot tell another run's staged copies from left ones.
///
/// # Errors
/// [`ChangeError`]. A directory that does not exist holds nothing to sweep.
pub(crate) fn sweep_temps(path: &AbsPath) -> Result<usize, ChangeError> {
    let parent = match open_parent(path) {
        Err(PathError::Missing { .. }) => return Ok(0),
        Err(source) => {
            return Err(ChangeError::Parent {
                path: path.clone(),
                source,
            });
        }
        Ok(parent) => parent,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(&parent.dir, c".", flags, rustix::fs::Mode::empty())
        .map_err(failed("open the directory of", path))?;
    let mut left = Vec::new();
    for entry in Dir::new(readable).map_err(failed("read the directory of", path))? {
        let entry = entry.map_err(failed("read the directory of", path))?;
        if is_temp_name(entry.file_name().to_bytes()) {
            left.push(entry.file_name().to_owned());
        }
    }
    let mut swept = 0;
    for name in left {
        let removed = match rustix::fs::unlinkat(&parent.dir, &name, AtFlags::empty()) {
            Err(rustix::io::Errno::ISDIR) => rustix::fs::unlinkat(&parent.dir, &name, AtFlags::REMOVEDIR),
            other => other,
        };
        match removed {
            Ok(()) => swept += 1,
            // Gone meanwhile, or a directory of that name that somebody fills: not ours.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTEMPTY) => {}
            Err(error) => return Err(failed("sweep temporary files beside", path)(error)),
        }
    }
    Ok(swept)
}
