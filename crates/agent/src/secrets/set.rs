//! Sets of secrets: a directory each, made whole before one link is turned to it, so that a reader sees all old or all new.
//! What was delivered is recorded beside it, in the same memory.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use provision_core::model::{Digest, Mode, SecretSpec};
use provision_core::wire::SecretBytes;
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::{SecretError, failed};
use crate::disk;

/// The longest file of a secret that is read back, in bytes: a text with some secrets of 64 KiB in it.
const MAX_BYTES: u64 = 16 << 20;

/// One file of a set.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Its file's name.
    pub(crate) file: String,
    /// The version that it is.
    pub(crate) version: String,
    /// What is in it.
    pub(crate) value: SecretBytes,
    /// The owner's numeric id.
    pub(crate) uid: u32,
    /// The group's numeric id.
    pub(crate) gid: u32,
    /// Permissions.
    pub(crate) mode: Mode,
    /// Whether the host brings it back itself as it starts, before any unit that uses it is started.
    pub(crate) at_boot: bool,
}

/// All files of a set, by the secrets' names.
pub(crate) type Set = BTreeMap<String, Piece>;

/// What was delivered of one secret. It is kept in the same memory as the secret: a digest tells something of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivered {
    file: String,
    version: String,
    sha256: Digest,
    at_boot: bool,
}

type Index = BTreeMap<String, Delivered>;

/// A secret's file as it is there.
#[derive(Debug)]
pub(crate) struct Found {
    /// The version that was delivered.
    pub(crate) version: String,
    /// The file's name.
    pub(crate) file: String,
    /// What is in it; `None` where that is not what was delivered.
    pub(crate) value: Option<SecretBytes>,
    /// The owner's numeric id.
    pub(crate) uid: u32,
    /// The group's numeric id.
    pub(crate) gid: u32,
    /// Permissions.
    pub(crate) mode: Mode,
    /// Whether the host brought it back itself when it started.
    pub(crate) at_boot: bool,
}

/// The secrets that are in place, by name; none where there is no link.
///
/// # Errors
/// [`SecretError`], also where something else is in the link's place.
pub(crate) fn look(memory: &Memory) -> Result<BTreeMap<String, Found>, SecretError> {
    let Some(number) = current(memory)? else {
        return Ok(BTreeMap::new());
    };
    memory.is_mounted().map_err(SecretError::Memory)?;
    let mut found = BTreeMap::new();
    for (name, delivered) in index(memory, number)? {
        let path = memory.root.join(number.to_string()).join(&delivered.file);
        if let Some(file) = read(&path, &delivered)? {
            found.insert(name, file);
        }
    }
    Ok(found)
}

/// `None` where the file is gone. What is no regular file, or has a second name, is not what was delivered.
fn read(path: &Path, delivered: &Delivered) -> Result<Option<Found>, SecretError> {
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(failed("look at", path))?,
    };
    let is_plain = meta.is_file() && meta.nlink() == 1 && meta.len() <= MAX_BYTES;
    let value = if is_plain { Some(bytes(path)?) } else { None };
    Ok(Some(Found {
        version: delivered.version.clone(),
        file: delivered.file.clone(),
        value: value.filter(|value| Digest::of(value.expose()) == delivered.sha256),
        uid: meta.uid(),
        gid: meta.gid(),
        mode: Mode::from_bits(meta.mode() & 0o7777),
        at_boot: delivered.at_boot,
    }))
}

fn bytes(path: &Path) -> Result<SecretBytes, SecretError> {
    let mut bytes = Vec::new();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
        .open(path);
    opened
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(failed("read", path))?;
    Ok(SecretBytes::new(bytes))
}

/// Puts a set in place of the one that is there; an empty one leaves nothing, not even the memory.
///
/// # Errors
/// [`SecretError`]; the old set is in place then.
pub(crate) fn publish(memory: &Memory, set: &Set) -> Result<(), SecretError> {
    let old = current(memory)?;
    if set.is_empty() {
        if old.is_some() {
            fs::remove_file(memory.link.as_str()).map_err(failed("remove", memory.link.as_str()))?;
        }
        return memory.unmount().map_err(SecretError::Memory);
    }
    memory.mount().map_err(SecretError::Memory)?;
    let number = numbers(memory)?.into_iter().max().map_or(1, |last| last + 1);
    let directory = memory.root.join(number.to_string());
    DirBuilder::new()
        .mode(0o700)
        .create(&directory)
        .map_err(failed("make", &directory))?;
    let mut index = Index::new();
    for (name, piece) in set {
        let path = directory.join(&piece.file);
        write(&path, piece).map_err(failed("write", &path))?;
        let delivered = Delivered {
            file: piece.file.clone(),
            version: piece.version.clone(),
            sha256: Digest::of(piece.value.expose()),
            at_boot: piece.at_boot,
        };
        index.insert(name.clone(), delivered);
    }
    write_index(memory, number, &index)?;
    // From here on others may enter, and open what is theirs.
    fs::set_permissions(&directory, Permissions::from_mode(0o751)).map_err(failed("open", &directory))?;
    disk::make_symlink(&memory.link, &directory.to_string_lossy()).map_err(|error| SecretError::Io {
        doing: "turn the link",
        path: memory.link.as_str().into(),
        source: io::Error::other(error.to_string()),
    })
}

/// Removes all sets but the one in place. A program that has entered an old one may go on reading until then.
///
/// # Errors
/// [`SecretError`].
pub(crate) fn sweep(memory: &Memory) -> Result<(), SecretError> {
    if !memory.is_mounted().map_err(SecretError::Memory)? {
        return Ok(());
    }
    let current = current(memory)?;
    for number in numbers(memory)?.into_iter().filter(|number| Some(*number) != current) {
        let directory = memory.root.join(number.to_string());
        fs::remove_dir_all(&directory).map_err(failed("remove", &directory))?;
        let index = index_path(memory, number);
        match fs::remove_file(&index) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &index)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Owner and permissions before content: at no moment can anybody else read it.
fn write(path: &Path, piece: &Piece) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::os::unix::fs::fchown(&file, Some(piece.uid), Some(piece.gid))?;
    file.set_permissions(Permissions::from_mode(piece.mode.bits()))?;
    file.write_all(piece.value.expose())
}

/// The number of the set that the link leads to.
fn current(memory: &Memory) -> Result<Option<u64>, SecretError> {
    let link = Path::new(memory.link.as_str());
    let taken = |what| SecretError::Taken {
        directory: memory.link.clone(),
        what,
    };
    match fs::symlink_metadata(link) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("look at", link)(error)),
        Ok(meta) if meta.is_dir() => return Err(taken("a directory")),
        Ok(meta) if !meta.is_symlink() => return Err(taken("a file")),
        Ok(_) => {}
    }
    let target = fs::read_link(link).map_err(failed("read", link))?;
    let number = target.strip_prefix(&memory.root).ok().and_then(Path::to_str);
    let number = number.and_then(|number| number.parse().ok());
    // After a reboot nothing of it is left; a link of ours that leads nowhere was cut off from its memory.
    let Some(number) = number else {
        return Err(taken("a link to somewhere else"));
    };
    Ok(target.is_dir().then_some(number))
}

fn numbers(memory: &Memory) -> Result<Vec<u64>, SecretError> {
    let entries = fs::read_dir(&memory.root).map_err(failed("list", &memory.root))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let names = names
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed("list", &memory.root))?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

fn index_path(memory: &Memory, number: u64) -> PathBuf {
    memory.root.join(format!("{number}.json"))
}

fn index(memory: &Memory, number: u64) -> Result<Index, SecretError> {
    let path = index_path(memory, number);
    let bytes = fs::read(&path).map_err(failed("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|source| SecretError::Damaged { path, source })
}

fn write_index(memory: &Memory, number: u64, index: &Index) -> Result<(), SecretError> {
    let path = index_path(memory, number);
    let bytes = serde_json::to_vec(index).map_err(|source| SecretError::Damaged {
        path: path.clone(),
        source,
    })?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(failed("write", &path))
}

/// The file's name of a secret.
pub(super) fn file_of(spec: &SecretSpec) -> String {
    spec.path.file_name().to_owned()
}
