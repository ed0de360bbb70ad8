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
    /// Something lies where something new was to be made.
    #[error("{path} has appeared meanwhile, and is not replaced")]
    Taken {
        /// The file.
        path: PathBuf,
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
    write_over(Over::File, path, bytes, attributes, validate)
}

/// As [`write_file`], and over nothing at all: what has appeared there meanwhile stays.
///
/// # Errors
/// [`WriteError`]; the staged copy is gone then.
pub(crate) fn create_file(
    path: &AbsPath,
    bytes: &[u8],
    attributes: &Attributes,
    validate: Option<Validate<'_>>,
) -> Result<(), WriteError> {
    write_over(Over::Nothing, path, bytes, attributes, validate)
}

fn write_over(
    over: Over,
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
    replace(&parent, shown, bytes, attributes, validate, over)
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
    replace(&parent, path, bytes, &own, None, Over::File)
}

/// What a written file may replace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// A regular file, or nothing.
    File,
    Nothing,
}

fn replace(
    parent: &Parent,
    path: &Path,
    bytes: &[u8],
    attributes: &Attributes,
    validate: Option<Validate<'_>>,
    over: Over,
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
    match over {
        Over::File => staged.rename_to(&parent.name),
        Over::Nothing => match staged.rename_to_new(&parent.name) {
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {
                return Err(WriteError::Taken { path: path.to_owned() });
            }
            renamed => renamed,
        },
    }
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
    pub(super) fn file(parent: &'a Parent) -> io::Result<(Self, File)> {
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

impl Staged<'_> {
    /// Leaves it under its temporary name, for whoever removes or moves it.
    pub(super) fn leave(mut self) -> OsString {
        self.moved = true;
        self.name.clone()
    }

    /// Moves it to a name that nothing has yet.
    fn rename_to_new(mut self, name: &OsString) -> io::Result<()> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(self.dir, &self.name, self.dir, name, flags)?;
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
pub(crate) fn is_temp_name(name: &[u8]) -> bool {
    name.strip_prefix(TEMP_PREFIX.as_bytes())
        .is_some_and(|digits| digits.len() == 16 && digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::testing::Scratch;

    const SECRET: Attributes = Attributes {
        uid: 1234,
        gid: 4321,
        mode: Mode::from_bits(0o640),
    };

    fn at(scratch: &Scratch, name: &str) -> AbsPath {
        AbsPath::new(scratch.path().join(name).to_str().unwrap()).unwrap()
    }

    fn names(scratch: &Scratch) -> Vec<String> {
        let entries = fs::read_dir(scratch.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn attributes(path: impl AsRef<Path>) -> (u32, u32, u32) {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o7777)
    }

    #[test]
    fn what_is_only_made_replaces_nothing_and_leaves_nothing_behind() {
        let scratch = Scratch::new();
        let path = AbsPath::new(scratch.path().join("f").to_str().unwrap()).unwrap();
        let own = Attributes {
            uid: 0,
            gid: 0,
            mode: Mode::from_bits(0o640),
        };
        create_file(&path, b"first", &own, None).unwrap();
        let error = create_file(&path, b"second", &own, None).unwrap_err();
        assert!(matches!(error, WriteError::Taken { .. }), "{error}");
        // One that appears while the copy is being checked is somebody's, too.
        let other = AbsPath::new(scratch.path().join("g").to_str().unwrap()).unwrap();
        let mut appears = |_: &Path| {
            fs::write(other.as_str(), "somebody's").unwrap();
            Ok(())
        };
        let error = create_file(&other, b"ours", &own, Some(&mut appears)).unwrap_err();
        assert!(matches!(error, WriteError::Taken { .. }), "{error}");
        assert_eq!(fs::read(path.as_str()).unwrap(), b"first");
        assert_eq!(fs::read(other.as_str()).unwrap(), b"somebody's");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_is_there_whole_with_its_attributes_and_nothing_beside_it() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        for content in [&b"first"[..], b"", &[0xff; 300_000]] {
            write_file(&path, content, &SECRET, None).unwrap();
            assert_eq!(fs::read(path.as_str()).unwrap(), content);
            assert_eq!(attributes(path.as_str()), (1234, 4321, 0o640));
            assert_eq!(names(&scratch), ["f"]);
        }
    }

    #[test]
    fn special_bits_survive_the_change_of_owner() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        let setuid = Attributes {
            mode: Mode::from_bits(0o6755),
            ..SECRET
        };
        write_file(&path, b"x", &setuid, None).unwrap();
        assert_eq!(attributes(path.as_str()), (1234, 4321, 0o6755));
    }

    #[test]
    fn the_validation_sees_the_staged_copy_as_it_will_be_while_the_old_file_stands() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        fs::write(path.as_str(), "old").unwrap();
        let mut seen = None;
        let mut validate = |staged: &Path| {
            assert!(is_temp_name(staged.file_name().unwrap().as_encoded_bytes()));
            assert_eq!(fs::read(path.as_str()).unwrap(), b"old");
            seen = Some((fs::read(staged).unwrap(), attributes(staged)));
            Ok(())
        };
        write_file(&path, b"new", &SECRET, Some(&mut validate)).unwrap();
        assert_eq!(seen.unwrap(), (b"new".to_vec(), (1234, 4321, 0o640)));
        assert_eq!(fs::read(path.as_str()).unwrap(), b"new");
    }

    #[test]
    fn a_refused_copy_leaves_the_old_file_and_no_trace() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        fs::write(path.as_str(), "old").unwrap();
        let mut validate = |_: &Path| {
            Err(ValidateError {
                problem: "line 3 is wrong".to_owned(),
                output: Vec::new(),
            })
        };
        let error = write_file(&path, b"new", &SECRET, Some(&mut validate)).unwrap_err();
        assert!(matches!(error, WriteError::Validate { .. }), "{error}");
        assert_eq!(fs::read(path.as_str()).unwrap(), b"old");
        assert_eq!(names(&scratch), ["f"]);
    }

    #[test]
    fn a_copy_that_changes_while_it_is_validated_is_not_installed() {
        let appended = |staged: &Path| fs::write(staged, "new and more").unwrap();
        let altered = |staged: &Path| fs::write(staged, "not").unwrap();
        let swapped = |staged: &Path| {
            fs::remove_file(staged).unwrap();
            fs::write(staged, "new").unwrap();
        };
        for meddle in [&appended as &dyn Fn(&Path), &altered, &swapped] {
            let scratch = Scratch::new();
            let path = at(&scratch, "f");
            let mut validate = |staged: &Path| {
                meddle(staged);
                Ok(())
            };
            let error = write_file(&path, b"new", &SECRET, Some(&mut validate)).unwrap_err();
            assert!(matches!(error, WriteError::ReadBack { .. }), "{error}");
            assert!(names(&scratch).is_empty());
        }
    }

    #[test]
    fn only_files_are_replaced() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path().join("dir")).unwrap();
        fs::write(scratch.path().join("aim"), "old").unwrap();
        symlink("aim", scratch.path().join("link")).unwrap();
        let fifo = scratch.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, 0o600.into(), 0).unwrap();
        for (name, noun) in [("dir", "a directory"), ("link", "a symbolic link"), ("pipe", "a pipe")] {
            let error = write_file(&at(&scratch, name), b"new", &SECRET, None).unwrap_err();
            assert!(
                matches!(error, WriteError::Occupied { found, .. } if found == noun),
                "{error}"
            );
        }
        assert_eq!(names(&scratch), ["aim", "dir", "link", "pipe"]);
        assert_eq!(fs::read(scratch.path().join("aim")).unwrap(), b"old");
    }

    #[test]
    fn a_link_put_there_during_validation_is_not_written_through() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        fs::write(scratch.path().join("aim"), "old").unwrap();
        let mut validate = |_: &Path| {
            symlink("aim", path.as_str()).unwrap();
            Ok(())
        };
        let error = write_file(&path, b"new", &SECRET, Some(&mut validate)).unwrap_err();
        assert!(matches!(error, WriteError::Occupied { .. }), "{error}");
        assert_eq!(fs::read(scratch.path().join("aim")).unwrap(), b"old");
        assert_eq!(names(&scratch), ["aim", "f"]);
    }

    #[test]
    fn a_hard_link_elsewhere_keeps_the_old_content() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        fs::write(path.as_str(), "old").unwrap();
        fs::hard_link(path.as_str(), scratch.path().join("elsewhere")).unwrap();
        write_file(&path, b"new", &SECRET, None).unwrap();
        assert_eq!(fs::read(scratch.path().join("elsewhere")).unwrap(), b"old");
    }

    #[test]
    fn a_reader_sees_one_content_or_the_other_with_its_own_mode() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        let open = Attributes {
            uid: 0,
            gid: 0,
            mode: Mode::from_bits(0o644),
        };
        let (old, new) = (vec![b'o'; 100_000], vec![b'n'; 50_000]);
        write_file(&path, &old, &open, None).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = [0_u32; 2];
                while !done.load(Ordering::Relaxed) || seen == [0, 0] {
                    let mut file = File::open(path.as_str()).unwrap();
                    let mode = file.metadata().unwrap().mode() & 0o7777;
                    let mut content = Vec::new();
                    file.read_to_end(&mut content).unwrap();
                    match (content == old, content == new, mode) {
                        (true, false, 0o644) => seen[0] += 1,
                        (false, true, 0o640) => seen[1] += 1,
                        _ => panic!("{} bytes, mode {mode:o}", content.len()),
                    }
                }
                seen
            });
            for _ in 0..100 {
                write_file(&path, &new, &SECRET, None).unwrap();
                write_file(&path, &old, &open, None).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
    }

    #[test]
    fn a_staged_copy_is_owned_and_protected_before_it_holds_anything() {
        use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

        let scratch = Scratch::new();
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, scratch.path(), WatchFlags::ALL_EVENTS).unwrap();
        write_file(&at(&scratch, "f"), b"new", &SECRET, None).unwrap();

        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&watch, &mut buffer);
        let told =
            ReadFlags::CREATE | ReadFlags::ATTRIB | ReadFlags::MODIFY | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO;
        let mut order = Vec::new();
        while let Ok(event) = events.next() {
            let what = event.events() & told;
            let name = event
                .file_name()
                .map(|name| name.to_bytes().to_vec())
                .unwrap_or_default();
            if !what.is_empty() && order.last().is_none_or(|(last, _)| *last != what) {
                order.push((what, is_temp_name(&name)));
            }
        }
        let expected = [
            (ReadFlags::CREATE, true),
            (ReadFlags::ATTRIB, true),
            (ReadFlags::MODIFY, true),
            (ReadFlags::ATTRIB, true),
            (ReadFlags::MOVED_FROM, true),
            (ReadFlags::MOVED_TO, false),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let scratch = Scratch::new();
        let error = write_file(&at(&scratch, "no/f"), b"new", &SECRET, None).unwrap_err();
        let WriteError::Parent { source, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(source.to_string(), format!("{} does not exist", at(&scratch, "no")));
    }

    #[test]
    fn state_is_private() {
        let scratch = Scratch::new();
        let path = scratch.path().join("receipt.json");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_state(&path, b"{}").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert_eq!(attributes(&path).2, 0o600);
    }

    #[test]
    fn temporary_names_are_known_again_and_no_others() {
        let name = temp_name().unwrap();
        assert!(is_temp_name(name.as_encoded_bytes()));
        assert_ne!(name, temp_name().unwrap());
        for other in [
            ".provision-",
            ".provision-0123456789abcde",
            ".provision-0123456789abcdeg",
            "provision-0123456789abcdef",
        ] {
            assert!(!is_temp_name(other.as_bytes()), "{other}");
        }
    }
}
