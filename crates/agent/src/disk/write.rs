//! The one function that puts bytes on a host's disk: whole, owned and protected before they are there, durable after.
//! It knows nothing of what the bytes are for, and never writes into an existing file.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use provision_core::model::{AbsPath, Digest, HostText, Mode};
use rustix::fs::{AtFlags, FileType, OFlags};

use super::resolve::{Parent, PathError, lstat, noun, open_parent, open_parent_of};

/// What every temporary name begins with; 16 hexadecimal digits follow. The leading dot keeps `sudoers.d`, `cron.d`,
/// `sources.list.d` and their like from reading one.
const TEMP_PREFIX: &str = ".provision-";

/// Owner, group and permissions of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// The owner's numeric id.
    pub(crate) uid: u32,
    /// The group's numeric id.
    pub(crate) gid: u32,
    /// Permissions.
    pub(crate) mode: Mode,
}

/// A staged copy that its validation refused.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct ValidateError {
    /// What is wrong, as a fragment.
    pub(crate) problem: String,
    /// The validation's last lines.
    pub(crate) output: Vec<HostText>,
}

/// Why a file was not written. The path is as it was before, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The directory cannot be reached.
    #[error("cannot reach the directory of {path}")]
    Parent {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PathError,
    },
    /// Something that is no regular file lies there; it is never replaced.
    #[error("{path} is {found}, which is not replaced by a file")]
    Occupied {
        /// The file.
        path: PathBuf,
        /// What lies there.
        found: &'static str,
    },
    /// The system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done, such as "write the staged copy of".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The staged copy is not what was written: the disk lies, or something changed it.
    #[error("the staged copy of {path} does not read back as it was written")]
    ReadBack {
        /// The file.
        path: PathBuf,
    },
    /// The validation refused the staged copy.
    #[error("the new content of {path} is refused by its validation")]
    Validate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ValidateError,
    },
    /// The new file is in place, but it is not certain that it would be after a power cut.
    #[error("{path} is written, but its directory cannot be made durable")]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A check of the staged copy, given its path, before it replaces the old file.
pub(crate) type Validate<'a> = &'a mut dyn FnMut(&Path) -> Result<(), ValidateError>;

/// Writes a file, atomically, over nothing or over a regular file: a reader sees the old content or the new one, and
/// the new one never with other attributes than its own. Attributes beyond owner, group and mode (hard links, ACLs,
/// extended attributes) of an old file do not carry over: the new one is what was declared.
///
/// # Errors
/// [`WriteError`]; the staged copy is gone then.
pub(crate) fn write_file(
    path: &AbsPath,
    bytes: &[u8],
    attributes: &Attributes,
    validate: Option<Validate<'_>>,
) -> Result<(), WriteError> {
    let shown = Path::new(path.as_str());
    let parent = open_parent(path).map_err(|source| WriteError::Parent {
        path: shown.to_owned(),
        source,
    })?;
    replace(&parent, shown, bytes, attributes, validate)
}

/// Writes one of the agent's own files, with the same guarantees, owned by whom the agent runs as, with mode 0600.
///
/// # Errors
/// [`WriteError`].
pub(crate) fn write_state(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let parent = open_parent_of(path).map_err(|source| WriteError::Parent {
        path: path.to_owned(),
        source,
    })?;
    let own = Attributes {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mode: Mode::from_bits(0o600),
    };
    replace(&parent, path, bytes, &own, None)
}

fn replace(
    parent: &Parent,
    path: &Path,
    bytes: &[u8],
    attributes: &Attributes,
    validate: Option<Validate<'_>>,
) -> Result<(), WriteError> {
    let failed = |doing| {
        move |source: io::Error| WriteError::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    };
    // Before the work, so that nothing is staged or validated in vain; again right before the rename.
    refuse_all_but_a_file(parent, path)?;
    let (staged, mut file) = Staged::file(parent).map_err(failed("stage a copy of"))?;
    set_on(&file, attributes, Special::Without).map_err(failed("set owner and mode of the staged copy of"))?;
    file.write_all(bytes).map_err(failed("write the staged copy of"))?;
    set_on(&file, attributes, Special::With).map_err(failed("set owner and mode of the staged copy of"))?;
    file.sync_all().map_err(failed("make durable the staged copy of"))?;
    if let Some(validate) = validate {
        validate(&path.with_file_name(&staged.name)).map_err(|source| WriteError::Validate {
            path: path.to_owned(),
            source,
        })?;
    }
    // After the validation, which is a stranger's program and might have touched what it was to look at.
    if !reads_back(&mut file, bytes).map_err(failed("read back the staged copy of"))?
        || !staged.is(&file).map_err(failed("look at the staged copy of"))?
    {
        return Err(WriteError::ReadBack { path: path.to_owned() });
    }
    refuse_all_but_a_file(parent, path)?;
    staged
        .rename_to(&parent.name)
        .map_err(failed("move the staged copy into place as"))?;
    sync_directory(&parent.dir).map_err(|source| WriteError::NotDurable {
        path: path.to_owned(),
        source,
    })
}

fn refuse_all_but_a_file(parent: &Parent, path: &Path) -> Result<(), WriteError> {
    let found = lstat(&parent.dir, &parent.name).map_err(|error| WriteError::Io {
        doing: "look at",
        path: path.to_owned(),
        source: error.into(),
    })?;
    match found.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        None | Some(FileType::RegularFile) => Ok(()),
        Some(other) => Err(WriteError::Occupied {
            path: path.to_owned(),
            found: noun(other),
        }),
    }
}

/// Whether the special bits (setuid, setgid, sticky) are set too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Without,
    With,
}

/// Sets owner and mode through an open file. The owner comes first: changing it clears setuid and setgid.
pub(super) fn set_on(file: impl AsFd, attributes: &Attributes, special: Special) -> io::Result<()> {
    let owner = rustix::fs::Uid::from_raw(attributes.uid);
    let group = rustix::fs::Gid::from_raw(attributes.gid);
    let bits = match special {
        Special::Without => attributes.mode.bits() & 0o777,
        Special::With => attributes.mode.bits(),
    };
    rustix::fs::fchown(&file, Some(owner), Some(group))?;
    Ok(rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(bits))?)
}

fn reads_back(file: &mut File, bytes: &[u8]) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Digest::hasher();
    let mut length = 0_usize;
    let mut piece = [0; 64 << 10];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(length == bytes.len() && hasher.finish() == Digest::of(bytes));
        }
        length += read;
        // Something appends as fast as this reads.
        if length > bytes.len() {
            return Ok(false);
        }
        hasher.update(&piece[..read]);
    }
}

/// Makes a directory's entries durable. The one that is held was opened with `O_PATH` and cannot be synced itself.
pub(super) fn sync_directory(dir: &OwnedFd) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(dir, c".", flags, rustix::fs::Mode::empty())?;
    Ok(rustix::fs::fsync(&readable)?)
}

/// Something under a temporary name. It is removed again unless it is moved to its own name.
pub(super) struct Staged<'a> {
    dir: &'a OwnedFd,
    pub(super) name: OsString,
    flags: AtFlags,
    moved: bool,
}

impl<'a> Staged<'a> {
    /// An empty file that only its maker may open.
    fn file(parent: &'a Parent) -> io::Result<(Self, File)> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::make(&parent.dir, AtFlags::empty(), |name| {
            rustix::fs::openat(&parent.dir, name, flags, rustix::fs::Mode::from_raw_mode(0o600))
        })
        .map(|(staged, fd)| (staged, File::from(fd)))
    }

    /// Whatever `create` makes under the name it is given, and fails to make where the name is taken.
    pub(super) fn make<T>(
        dir: &'a OwnedFd,
        flags: AtFlags,
        mut create: impl FnMut(&OsString) -> rustix::io::Result<T>,
    ) -> io::Result<(Self, T)> {
        // Names are random: that one is taken means somebody guesses, and nobody guesses this often.
        for _ in 0..16 {
            let name = temp_name()?;
            match create(&name) {
                Ok(made) => {
                    let moved = false;
                    return Ok((
                        Self {
                            dir,
                            name,
                            flags,
                            moved,
                        },
                        made,
                    ));
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(rustix::io::Errno::EXIST.into())
    }

    /// Whether the name still leads to this open file.
    fn is(&self, file: &File) -> io::Result<bool> {
        let own = rustix::fs::fstat(file)?;
        let found = lstat(self.dir, &self.name)?;
        Ok(found.is_some_and(|found| (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)))
    }

    /// Moves it to its own name, over what lies there if the kernel allows that.
    pub(super) fn rename_to(mut self, name: &OsString) -> io::Result<()> {
        rustix::fs::renameat(self.dir, &self.name, self.dir, name)?;
        self.moved = true;
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if !self.moved {
            // Nothing to tell: the error that leads here is the one that counts, and the next run sweeps.
            let _ = rustix::fs::unlinkat(self.dir, &self.name, self.flags);
        }
    }
}

fn temp_name() -> io::Result<OsString> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("{TEMP_PREFIX}{:016x}", u64::from_ne_bytes(random)).into())
}

/// Whether a name is one that [`temp_name`] makes.
pub(super) fn is_temp_name(name: &[u8]) -> bool {
    name.strip_prefix(TEMP_PREFIX.as_bytes())
        .is_some_and(|digits| digits.len() == 16 && digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}
