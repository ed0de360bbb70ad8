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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    use provision_core::model::Mode;

    use super::*;
    use crate::testing::Scratch;

    const OWN: Attributes = Attributes {
        uid: 1234,
        gid: 4321,
        mode: Mode::from_bits(0o2750),
    };

    fn at(scratch: &Scratch, name: &str) -> AbsPath {
        AbsPath::new(scratch.path().join(name).to_str().unwrap()).unwrap()
    }

    fn attributes(path: &AbsPath) -> (u32, u32, u32) {
        let found = fs::symlink_metadata(path.as_str()).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o7777)
    }

    fn pipe(path: &AbsPath) {
        rustix::fs::mknodat(rustix::fs::CWD, path.as_str(), FileType::Fifo, 0o600.into(), 0).unwrap();
    }

    #[test]
    fn a_directory_is_made_once_and_then_given_its_attributes() {
        let scratch = Scratch::new();
        let path = at(&scratch, "dir");
        make_directory(&path, &OWN).unwrap();
        assert_eq!(attributes(&path), (1234, 4321, 0o2750));
        fs::write(format!("{path}/inside"), "").unwrap();
        let other = Attributes {
            mode: Mode::from_bits(0o700),
            ..OWN
        };
        make_directory(&path, &other).unwrap();
        assert_eq!(attributes(&path), (1234, 4321, 0o700));
        assert!(Path::new(&format!("{path}/inside")).exists());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_replaces_nothing() {
        let scratch = Scratch::new();
        fs::write(scratch.path().join("f"), "").unwrap();
        symlink("f", scratch.path().join("l")).unwrap();
        for (name, noun) in [("f", "a file"), ("l", "a symbolic link")] {
            let error = make_directory(&at(&scratch, name), &OWN).unwrap_err();
            assert!(
                matches!(error, ChangeError::Unfit { found, .. } if found == noun),
                "{error}"
            );
        }
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_replaces_a_link_and_nothing_else() {
        let scratch = Scratch::new();
        let path = at(&scratch, "link");
        for target in ["first", "/second"] {
            make_symlink(&path, target).unwrap();
            assert_eq!(fs::read_link(path.as_str()).unwrap(), Path::new(target));
        }
        fs::write(scratch.path().join("f"), "kept").unwrap();
        fs::create_dir(scratch.path().join("d")).unwrap();
        for name in ["f", "d"] {
            assert!(make_symlink(&at(&scratch, name), "x").is_err());
        }
        assert_eq!(fs::read(scratch.path().join("f")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 3);
    }

    #[test]
    fn attributes_are_set_on_files_and_directories_alone() {
        let scratch = Scratch::new();
        let (file, link, fifo) = (at(&scratch, "f"), at(&scratch, "l"), at(&scratch, "p"));
        fs::write(file.as_str(), "").unwrap();
        symlink("f", link.as_str()).unwrap();
        pipe(&fifo);
        assert!(matches!(set_attributes(&link, &OWN), Err(ChangeError::Unfit { .. })));
        assert!(matches!(set_attributes(&fifo, &OWN), Err(ChangeError::Unfit { .. })));
        assert!(matches!(
            set_attributes(&at(&scratch, "none"), &OWN),
            Err(ChangeError::Unfit { found: "not there", .. })
        ));
        assert_eq!(attributes(&file).0, 0);
        let setuid = Attributes {
            mode: Mode::from_bits(0o4755),
            ..OWN
        };
        set_attributes(&file, &setuid).unwrap();
        assert_eq!(attributes(&file), (1234, 4321, 0o4755));
    }

    #[test]
    fn a_file_that_another_may_have_linked_there_is_not_given_away() {
        let scratch = Scratch::new();
        let (shadow, loose) = (at(&scratch, "shadow"), scratch.path().join("loose"));
        fs::write(shadow.as_str(), "").unwrap();
        fs::create_dir(&loose).unwrap();
        let link = at(&scratch, "loose/link");
        fs::hard_link(shadow.as_str(), link.as_str()).unwrap();
        std::os::unix::fs::chown(&loose, Some(1000), None).unwrap();
        assert!(matches!(
            set_attributes(&link, &OWN),
            Err(ChangeError::Shared { links: 2, .. })
        ));
        assert_eq!(attributes(&shadow).0, 0);
        // Where root alone may link, a second name is the administrator's.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        set_attributes(&shadow, &OWN).unwrap();
    }

    #[test]
    fn removal_takes_only_what_it_is_for() {
        let scratch = Scratch::new();
        let (file, link, dir) = (at(&scratch, "f"), at(&scratch, "l"), at(&scratch, "d"));
        fs::write(file.as_str(), "").unwrap();
        symlink("f", link.as_str()).unwrap();
        fs::create_dir(dir.as_str()).unwrap();
        fs::write(format!("{dir}/inside"), "").unwrap();

        for (path, wrong) in [
            (&file, PathKind::Symlink),
            (&file, PathKind::Directory),
            (&link, PathKind::File),
            (&dir, PathKind::File),
        ] {
            assert!(
                matches!(remove(path, wrong), Err(ChangeError::Unfit { .. })),
                "{path} as {wrong:?}"
            );
        }
        assert_eq!(remove(&dir, PathKind::Directory).unwrap(), Removed::KeptNotEmpty);
        fs::remove_file(format!("{dir}/inside")).unwrap();
        for (path, kind) in [
            (&link, PathKind::Symlink),
            (&file, PathKind::File),
            (&dir, PathKind::Directory),
        ] {
            assert_eq!(remove(path, kind).unwrap(), Removed::Gone);
            assert_eq!(remove(path, kind).unwrap(), Removed::Gone, "it was gone already");
        }
        assert_eq!(
            remove(&at(&scratch, "d/inside"), PathKind::File).unwrap(),
            Removed::Gone
        );
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_swept_and_nothing_else() {
        let scratch = Scratch::new();
        let temp = |digit: char| format!(".provision-{}", digit.to_string().repeat(16));
        fs::write(scratch.path().join(temp('a')), "half").unwrap();
        symlink("x", scratch.path().join(temp('b'))).unwrap();
        fs::create_dir(scratch.path().join(temp('c'))).unwrap();
        fs::create_dir(scratch.path().join(temp('d'))).unwrap();
        fs::write(scratch.path().join(temp('d')).join("somebody's"), "").unwrap();
        fs::write(scratch.path().join(".provision-notes"), "").unwrap();
        assert_eq!(sweep_temps(&at(&scratch, "f")).unwrap(), 3);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
        assert_eq!(sweep_temps(&at(&scratch, "none/f")).unwrap(), 0);
    }
}
