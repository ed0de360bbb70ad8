//! Looking at a path: what lies there, whose it is, and the digest of its content, streamed. It follows no link in the
//! last place, waits for no pipe, opens no device, and changes nothing.

use std::fs::File;
use std::io::{self, Read};

use provision_core::model::{AbsPath, Content, Digest, HostText, Mode, PathState};
use provision_core::wire::limits::DIFF_TEXT_BYTES;
use rustix::fs::{FileType, OFlags};

use super::resolve::{Parent, PathError, lstat, noun, open_parent};
use crate::accounts::Accounts;

/// The longest file whose content is hashed, in bytes. What is managed is far shorter; what lies in its place may be a
/// sparse file that would take days.
const HASHED_BYTES: u64 = 1 << 30;

/// Why a path could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// The directory cannot be reached.
    #[error("cannot reach the directory of {path}")]
    Parent {
        /// The path.
        path: AbsPath,
        /// Why.
        #[source]
        source: PathError,
    },
    /// The system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done, such as "read".
        doing: &'static str,
        /// The path.
        path: AbsPath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More content than is read.
    #[error("{path} is longer than {limit} bytes, the most that is read")]
    TooLong {
        /// The path.
        path: AbsPath,
        /// The limit, in bytes.
        limit: u64,
    },
    /// It is no regular file.
    #[error("{path} is {found}, not a file")]
    NotAFile {
        /// The path.
        path: AbsPath,
        /// What lies there.
        found: &'static str,
    },
}

fn failed<E: Into<io::Error>>(doing: &'static str, path: &AbsPath) -> impl FnOnce(E) -> InspectError {
    let path = path.clone();
    move |error| InspectError::Io {
        doing,
        path,
        source: error.into(),
    }
}

/// What lies at a path. The text of a file is taken along where `want_text`, its content is not what is expected, it
/// is UTF-8, everybody may read it, and it is short enough for a diff.
///
/// # Errors
/// [`InspectError`]. A missing directory on the way is no error: nothing lies there.
pub(crate) fn inspect(
    path: &AbsPath,
    accounts: &Accounts,
    expect: Option<Content>,
    want_text: bool,
) -> Result<PathState, InspectError> {
    let parent = match open_parent(path) {
        Ok(parent) => parent,
        Err(PathError::Missing { .. }) => return Ok(PathState::Absent),
        Err(source) => {
            return Err(InspectError::Parent {
                path: path.clone(),
                source,
            });
        }
    };
    let Some(stat) = lstat(&parent.dir, &parent.name).map_err(failed("look at", path))? else {
        return Ok(PathState::Absent);
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => file(&parent, path, accounts, expect, want_text),
        FileType::Directory => Ok(PathState::Directory {
            owner: accounts.owner(stat.st_uid),
            group: accounts.owning_group(stat.st_gid),
            mode: Mode::from_bits(stat.st_mode),
        }),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(&parent.dir, &parent.name, Vec::new())
                .map_err(failed("read the symbolic link", path))?;
            Ok(PathState::Symlink {
                target: HostText::new(target.to_string_lossy()),
            })
        }
        other => Ok(PathState::Other {
            what: noun(other).to_owned(),
        }),
    }
}

/// Opens a regular file for reading without following or waiting for anything. `None` is nothing there.
fn open_file(parent: &Parent, path: &AbsPath) -> Result<Option<(File, rustix::fs::Stat)>, InspectError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&parent.dir, &parent.name, flags, rustix::fs::Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let stat = rustix::fs::fstat(&file).map_err(failed("look at", path))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Some((File::from(file), stat))),
        other => Err(InspectError::NotAFile {
            path: path.clone(),
            found: noun(other),
        }),
    }
}

fn file(
    parent: &Parent,
    path: &AbsPath,
    accounts: &Accounts,
    expect: Option<Content>,
    want_text: bool,
) -> Result<PathState, InspectError> {
    let Some((mut file, stat)) = open_file(parent, path)? else {
        return Ok(PathState::Absent);
    };
    let too_long = || InspectError::TooLong {
        path: path.clone(),
        limit: HASHED_BYTES,
    };
    if u64::try_from(stat.st_size).is_ok_and(|size| size > HASHED_BYTES) {
        return Err(too_long());
    }
    let mode = Mode::from_bits(stat.st_mode);
    let keep = want_text && mode.others_read();
    let mut kept = Vec::new();
    let mut hasher = Digest::hasher();
    let mut size = 0;
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed("read", path)(error)),
        };
        size += read as u64;
        // It grows, or is one of the kernel's, whose size says nothing.
        if size > HASHED_BYTES {
            return Err(too_long());
        }
        hasher.update(&piece[..read]);
        if keep && size <= DIFF_TEXT_BYTES {
            kept.extend_from_slice(&piece[..read]);
        }
    }
    let content = Content {
        sha256: hasher.finish(),
        size,
    };
    let text = (keep && size <= DIFF_TEXT_BYTES && expect != Some(content))
        .then(|| String::from_utf8(kept).ok())
        .flatten()
        .map(HostText::new);
    Ok(PathState::File {
        content,
        owner: accounts.owner(stat.st_uid),
        group: accounts.owning_group(stat.st_gid),
        mode,
        text,
    })
}

/// The bytes of a regular file, or `None` where nothing lies at the path.
///
/// # Errors
/// [`InspectError`], also where there are more than `limit` bytes.
pub(crate) fn read_file(path: &AbsPath, limit: u64) -> Result<Option<Vec<u8>>, InspectError> {
    let parent = match open_parent(path) {
        Ok(parent) => parent,
        Err(PathError::Missing { .. }) => return Ok(None),
        Err(source) => {
            return Err(InspectError::Parent {
                path: path.clone(),
                source,
            });
        }
    };
    let Some((file, _)) = open_file(&parent, path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(InspectError::TooLong {
            path: path.clone(),
            limit,
        });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::testing::Scratch;

    fn at(scratch: &Scratch, name: &str) -> AbsPath {
        AbsPath::new(scratch.path().join(name).to_str().unwrap()).unwrap()
    }

    fn look(path: &AbsPath, expect: Option<Content>, want_text: bool) -> PathState {
        let accounts = Accounts::parse(b"bot:x:1234:4321::/:\n", b"bots:x:4321:\n");
        inspect(path, &accounts, expect, want_text).unwrap()
    }

    fn text(state: PathState) -> Option<HostText> {
        match state {
            PathState::File { text, .. } => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_is_told_with_its_owner_and_digest() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        let bytes = vec![7; 200_000];
        fs::write(path.as_str(), &bytes).unwrap();
        std::os::unix::fs::chown(path.as_str(), Some(1234), Some(99)).unwrap();
        fs::set_permissions(path.as_str(), fs::Permissions::from_mode(0o4711)).unwrap();
        let PathState::File {
            content,
            owner,
            group,
            mode,
            text: None,
        } = look(&path, None, true)
        else {
            panic!("it is a file without text");
        };
        assert_eq!(content, Content::of(&bytes));
        assert!(owner.is("bot") && owner.is("1234"));
        assert_eq!((group.id, group.name), (99, None));
        assert_eq!(mode, Mode::from_bits(0o4711));
    }

    #[test]
    fn text_comes_only_where_it_is_for_a_diff_that_everybody_may_read() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        let write = |bytes: &[u8], mode| {
            fs::write(path.as_str(), bytes).unwrap();
            fs::set_permissions(path.as_str(), fs::Permissions::from_mode(mode)).unwrap();
        };
        let other = Some(Content::of(b"other"));
        write("naïve\u{1b}".as_bytes(), 0o644);
        assert_eq!(text(look(&path, other, true)).unwrap().untrusted(), "naïve\u{1b}");
        assert_eq!(text(look(&path, other, false)), None, "not wanted");
        assert_eq!(
            text(look(&path, Some(Content::of("naïve\u{1b}".as_bytes())), true)),
            None,
            "same"
        );
        write(b"secret", 0o640);
        assert_eq!(text(look(&path, other, true)), None, "not for everybody");
        write(b"\xff\xfe", 0o644);
        assert_eq!(text(look(&path, other, true)), None, "not text");
        let limit = usize::try_from(DIFF_TEXT_BYTES).unwrap();
        write(&vec![b'a'; limit], 0o644);
        assert_eq!(text(look(&path, other, true)).unwrap().untrusted().len(), limit);
        write(&vec![b'a'; limit + 1], 0o644);
        assert_eq!(text(look(&path, other, true)), None, "too long");
    }

    #[test]
    fn what_is_no_file_is_told_and_not_opened() {
        let scratch = Scratch::new();
        let (fifo, socket, link) = (at(&scratch, "p"), at(&scratch, "s"), at(&scratch, "l"));
        rustix::fs::mknodat(rustix::fs::CWD, fifo.as_str(), FileType::Fifo, 0o600.into(), 0).unwrap();
        let _listener = UnixListener::bind(socket.as_str()).unwrap();
        symlink("p", link.as_str()).unwrap();
        let what = |path| look(path, None, true).noun().to_owned();
        assert_eq!(what(&fifo), "a pipe");
        assert_eq!(what(&socket), "a socket");
        assert_eq!(what(&AbsPath::new("/dev/null").unwrap()), "a character device");
        assert_eq!(
            look(&link, None, true),
            PathState::Symlink {
                target: HostText::from("p")
            }
        );
        assert!(matches!(
            read_file(&fifo, 10),
            Err(InspectError::NotAFile { found: "a pipe", .. })
        ));
        let own = AbsPath::new(scratch.path().to_str().unwrap()).unwrap();
        assert!(matches!(look(&own, None, true), PathState::Directory { .. }));
    }

    #[test]
    fn nothing_is_absent_and_an_attackers_link_is_unknown() {
        let scratch = Scratch::new();
        assert_eq!(look(&at(&scratch, "f"), None, true), PathState::Absent);
        assert_eq!(look(&at(&scratch, "no/such/f"), None, true), PathState::Absent);
        symlink("/etc", scratch.path().join("evil")).unwrap();
        std::os::unix::fs::lchown(scratch.path().join("evil"), Some(1000), None).unwrap();
        let error = inspect(&at(&scratch, "evil/passwd"), &Accounts::default(), None, true).unwrap_err();
        assert!(matches!(error, InspectError::Parent { .. }), "{error}");
    }

    #[test]
    fn the_hosts_own_links_among_the_parents_are_followed() {
        let path = AbsPath::new("/var/run/definitely-not-there").unwrap();
        assert_eq!(look(&path, None, true), PathState::Absent);
        let real = fs::canonicalize("/lib/os-release").unwrap_or_default();
        if real.is_file() {
            let path = AbsPath::new("/lib/os-release").unwrap();
            assert!(matches!(look(&path, None, false), PathState::File { .. }));
        }
    }

    #[test]
    fn a_sparse_giant_is_not_read_for_ever() {
        let scratch = Scratch::new();
        let path = at(&scratch, "giant");
        let file = fs::File::create(path.as_str()).unwrap();
        file.set_len(1 << 42).unwrap();
        let error = read_file(&path, 1000).unwrap_err();
        assert!(matches!(error, InspectError::TooLong { limit: 1000, .. }), "{error}");
        let error = inspect(&path, &Accounts::default(), None, true).unwrap_err();
        assert!(
            matches!(
                error,
                InspectError::TooLong {
                    limit: HASHED_BYTES,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn bytes_come_whole_or_not_at_all() {
        let scratch = Scratch::new();
        let path = at(&scratch, "f");
        assert_eq!(read_file(&path, 4).unwrap(), None);
        fs::write(path.as_str(), "four").unwrap();
        assert_eq!(read_file(&path, 4).unwrap().unwrap(), b"four");
        assert!(matches!(read_file(&path, 3), Err(InspectError::TooLong { .. })));
    }
}
