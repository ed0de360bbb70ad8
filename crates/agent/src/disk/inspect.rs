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
        if size > HASHED_BYTES {
            return Err(InspectError::TooLong {
                path: path.clone(),
                limit: HASHED_BYTES,
            });
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
