//! Swap files on a disk: looked at through one open file, and made beside what is there, without holes, before they take its
//! place. It asks the kernel whether it uses one, and never tells it to.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use provision_core::model::{AbsPath, Mode, Room};
use rustix::fs::{AtFlags, FallocateFlags, FileType, IFlags, OFlags, RenameFlags};
use rustix::io::Errno;

use super::resolve::{Parent, PathError, lstat, noun, open_parent};
use super::write::{Attributes, Special, Staged, set_on, sync_directory};

/// Whoever may read it reads the memory of every program.
pub(crate) const ATTRIBUTES: Attributes = Attributes {
    uid: 0,
    gid: 0,
    mode: Mode::from_bits(0o600),
};

/// What lies at the path of a swap file.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing; `None` where its directory is not there either.
    Nothing(Option<Room>),
    /// Something that is no regular file.
    Other(&'static str),
    /// A regular file.
    File(Look),
}

/// A regular file, looked at.
#[derive(Debug)]
pub(crate) struct Look {
    /// Its length, in bytes.
    pub(crate) size: u64,
    /// The owner's numeric id.
    pub(crate) owner: u32,
    /// Permissions.
    pub(crate) mode: Mode,
    /// What its first page says, where that is the header of swap space.
    pub(crate) header: Option<Header>,
    /// Whether the kernel uses this very file, whatever else is called like it.
    pub(crate) active: bool,
    /// What this process sees the open file as; `/proc/swaps` names it likewise.
    pub(crate) seen_as: PathBuf,
    /// What the file system below has.
    pub(crate) room: Room,
}

/// The header of swap space (`union swap_header`, include/linux/swap.h of Linux).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// How many bytes are swap space, the header's page among them.
    pub(crate) bytes: u64,
    /// By which others may name it.
    pub(crate) uuid: [u8; 16],
    /// Likewise, up to the first zero.
    pub(crate) label: Vec<u8>,
}

/// Why a swap file could not be looked at or made. What lay at its path lies there still.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SwapfileError {
    /// The directory cannot be reached.
    #[error("cannot reach the directory of {path}")]
    Parent {
        /// The file.
        path: AbsPath,
        /// Why.
        #[source]
        source: PathError,
    },
    /// The system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: AbsPath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel gave no usable answer.
    #[error("cannot tell whether the kernel swaps to {path}")]
    Active {
        /// The file.
        path: AbsPath,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// Somebody other than root could put another file in its place.
    #[error("{above} is not root's alone, so that others could put their own file in the place of {path}")]
    Exposed {
        /// The file.
        path: AbsPath,
        /// The directory.
        above: PathBuf,
    },
    /// The file system keeps no room for what it was asked to.
    #[error(
        "the file system below {path} gave it {got} of {size} bytes: it would have holes, and the kernel swaps to none such"
    )]
    Holes {
        /// The file.
        path: AbsPath,
        /// The length, in bytes.
        size: u64,
        /// What it takes of the disk, in bytes.
        got: u64,
    },
}

fn failed<E: Into<io::Error>>(doing: &'static str, path: &AbsPath) -> impl FnOnce(E) -> SwapfileError {
    let path = path.clone();
    move |error| SwapfileError::Io {
        doing,
        path,
        source: error.into(),
    }
}

/// Looks at a path. Nothing is changed, though the file is opened for writing: else the kernel would not say whether it is
/// in use.
///
/// # Errors
/// [`SwapfileError`].
pub(crate) fn look(path: &AbsPath) -> Result<Found, SwapfileError> {
    let parent = match open_parent(path) {
        Ok(parent) => parent,
        Err(PathError::Missing { .. }) => return Ok(Found::Nothing(None)),
        Err(source) => {
            return Err(SwapfileError::Parent {
                path: path.clone(),
                source,
            });
        }
    };
    let room = room(&parent.dir).map_err(failed("ask for the free space below", path))?;
    let Some(stat) = lstat(&parent.dir, &parent.name).map_err(failed("look at", path))? else {
        return Ok(Found::Nothing(Some(room)));
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        other => return Ok(Found::Other(noun(other))),
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&parent.dir, &parent.name, flags, rustix::fs::Mode::empty());
    let mut file = File::from(file.map_err(failed("open", path))?);
    let found = file.metadata().map_err(failed("look at", path))?;
    if !found.is_file() {
        return Ok(Found::Other("no file any more"));
    }
    let active = is_active(&file).map_err(|error| SwapfileError::Active {
        path: path.clone(),
        source: error.into(),
    })?;
    Ok(Found::File(Look {
        size: found.len(),
        owner: found.uid(),
        mode: Mode::from_bits(found.mode()),
        header: header(&mut file).map_err(failed("read", path))?,
        active,
        seen_as: fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(failed("look at", path))?,
        room,
    }))
}

/// Whether the kernel swaps to this file. It refuses to copy from or to such a file before it looks at how much is to be copied
/// (`generic_copy_file_checks`, fs/remap_range.c and fs/read_write.c, since Linux 5.3); nothing is. Names tell nothing:
/// `/proc/swaps` also has those of other containers, which may be the same.
fn is_active(file: &File) -> Result<bool, Errno> {
    match rustix::fs::copy_file_range(file, Some(&mut 0), file, Some(&mut 0), 0) {
        Ok(_) => Ok(false),
        Err(Errno::TXTBSY) => Ok(true),
        Err(error) => Err(error),
    }
}

fn header(file: &mut File) -> io::Result<Option<Header>> {
    let page = rustix::param::page_size();
    let mut first = vec![0; page];
    match file.read_exact(&mut first) {
        Ok(()) => Ok(parse(&first)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The header that a first page is.
fn parse(page: &[u8]) -> Option<Header> {
    let word = |at: usize| Some(u32::from_ne_bytes(page.get(at..at + 4)?.try_into().ok()?));
    if !page.ends_with(b"SWAPSPACE2") || word(1024)? != 1 {
        return None;
    }
    let pages = u64::from(word(1028)?) + 1;
    let label = page.get(1052..1068)?;
    Some(Header {
        bytes: pages * page.len() as u64,
        uuid: page.get(1036..1052)?.try_into().ok()?,
        label: label.iter().copied().take_while(|&byte| byte != 0).collect(),
    })
}

/// File systems that the kernel does not swap to (statfs(2)), with what they are called.
const UNFIT: [(u64, &str); 11] = [
    (0x0102_1994, "tmpfs, which is in memory itself"),
    (0x8584_58f6, "ramfs, which is in memory itself"),
    (0x794c_7630, "overlayfs, as containers have"),
    (0x2fc1_2fc1, "zfs, which writes each block anew"),
    (0xca45_1a4e, "bcachefs"),
    (0x7371_7368, "squashfs, which is read-only"),
    (0x0000_6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
];
/// What needs to be told not to write blocks anew.
const BTRFS: u64 = 0x9123_683e;

fn magic(on: impl AsFd) -> io::Result<u64> {
    #[expect(
        clippy::cast_sign_loss,
        reason = "the kernel's number is 32 bits, whatever type holds it"
    )]
    Ok(rustix::fs::fstatfs(on)?.f_type as u64 & 0xffff_ffff)
}

fn room(dir: impl AsFd) -> io::Result<Room> {
    let space = rustix::fs::fstatvfs(&dir)?;
    let magic = magic(&dir)?;
    let unfit = UNFIT.iter().find(|(number, _)| *number == magic);
    Ok(Room {
        free: space.f_bavail.saturating_mul(space.f_frsize),
        total: space.f_blocks.saturating_mul(space.f_frsize),
        unfit: unfit.map(|(_, name)| format!("no swap file can lie there: the file system is {name}")),
    })
}

/// A new swap file beside the one that is there, which may still come back once it is in its place. What lies under the temporary
/// name goes with this value.
#[derive(Debug)]
pub(crate) struct NewSwapfile {
    path: AbsPath,
    parent: Parent,
    /// The temporary name, as long as something lies there: the new file, and then the old one.
    beside: Option<OsString>,
}

impl NewSwapfile {
    /// Makes it under a temporary name: root's alone, and with all its blocks.
    ///
    /// # Errors
    /// [`SwapfileError`]; nothing is left of it then.
    pub(crate) fn make(path: &AbsPath, size: u64) -> Result<Self, SwapfileError> {
        let parent = open_parent(path).map_err(|source| SwapfileError::Parent {
            path: path.clone(),
            source,
        })?;
        roots_alone(path)?;
        let (staged, file) = Staged::file(&parent).map_err(failed("stage", path))?;
        set_on(&file, &ATTRIBUTES, Special::With).map_err(failed("set owner and mode of", path))?;
        allocate(&file, path, size)?;
        let beside = Some(staged.leave());
        Ok(Self {
            path: path.clone(),
            parent,
            beside,
        })
    }

    /// Where what is under the temporary name lies.
    pub(crate) fn beside(&self) -> PathBuf {
        let path = Path::new(self.path.as_str());
        path.with_file_name(self.beside.as_ref().unwrap_or(&self.parent.name))
    }

    /// Makes it durable, and swaps it with what is there.
    ///
    /// # Errors
    /// [`SwapfileError`]; what was there is there still.
    pub(crate) fn put_in_place(&mut self) -> Result<(), SwapfileError> {
        let path = &self.path;
        let Parent { dir, name } = &self.parent;
        let Some(beside) = &self.beside else { return Ok(()) };
        let file = rustix::fs::openat(
            dir,
            beside,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        );
        rustix::fs::fsync(file.map_err(failed("open the new", path))?).map_err(failed("make durable", path))?;
        let there = lstat(dir, name).map_err(failed("look at", path))?;
        let how = if there.is_some() {
            RenameFlags::EXCHANGE
        } else {
            RenameFlags::NOREPLACE
        };
        rustix::fs::renameat_with(dir, beside, dir, name, how)
            .map_err(failed("move the new file into place as", path))?;
        if there.is_none() {
            self.beside = None;
        }
        sync_directory(dir).map_err(failed("make durable the directory of", path))
    }

    /// The old one, or nothing, is there again, and the new one gone.
    ///
    /// # Errors
    /// [`SwapfileError`]: the new one is there still.
    pub(crate) fn take_back(self) -> Result<(), SwapfileError> {
        let Parent { dir, name } = &self.parent;
        match &self.beside {
            Some(old) => rustix::fs::renameat_with(dir, old, dir, name, RenameFlags::EXCHANGE)
                .map_err(failed("put back the old", &self.path))?,
            None => rustix::fs::unlinkat(dir, name, AtFlags::empty()).map_err(failed("remove the new", &self.path))?,
        }
        self.clear()
    }

    /// Removes what lies under the temporary name.
    ///
    /// # Errors
    /// [`SwapfileError`]: it is there still.
    pub(crate) fn clear(mut self) -> Result<(), SwapfileError> {
        if let Some(beside) = self.beside.take() {
            rustix::fs::unlinkat(&self.parent.dir, beside, AtFlags::empty())
                .map_err(failed("remove what is left beside", &self.path))?;
        }
        sync_directory(&self.parent.dir).map_err(failed("make durable the directory of", &self.path))
    }
}

impl Drop for NewSwapfile {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // Nothing to tell: the error that leads here is the one that counts, and the next run sweeps.
            let _ = rustix::fs::unlinkat(&self.parent.dir, beside, AtFlags::empty());
        }
    }
}

/// Only root may move what is in the directories above: the tools that format and use the file are given its name.
fn roots_alone(path: &AbsPath) -> Result<(), SwapfileError> {
    for above in Path::new(path.as_str()).ancestors().skip(1) {
        let found = fs::metadata(above).map_err(failed("look at the directories above", path))?;
        let sticky = found.mode() & 0o1000 != 0;
        if found.uid() != 0 || (found.mode() & 0o022 != 0 && !sticky) {
            return Err(SwapfileError::Exposed {
                path: path.clone(),
                above: above.to_owned(),
            });
        }
    }
    Ok(())
}

/// Gives a file all its blocks.
fn allocate(mut file: &File, path: &AbsPath, size: u64) -> Result<(), SwapfileError> {
    if magic(file).map_err(failed("look at the file system of", path))? == BTRFS {
        let flags = rustix::fs::ioctl_getflags(file).map_err(failed("read the flags of", path))?;
        rustix::fs::ioctl_setflags(file, flags | IFlags::NOCOW)
            .map_err(failed("have btrfs not write each block anew (nodatacow) of", path))?;
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            let piece = vec![0; 1 << 20];
            let mut left = size;
            while left > 0 {
                let part = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
                file.write_all(&piece[..part]).map_err(failed("write", path))?;
                left -= part as u64;
            }
        }
        Err(error) => return Err(failed("find room for", path)(error)),
    }
    file.sync_all().map_err(failed("make durable", path))?;
    // In units of 512 bytes, whatever the file system's own are (stat(2)).
    let got = file.metadata().map_err(failed("look at", path))?.blocks() * 512;
    if got < size {
        let path = path.clone();
        return Err(SwapfileError::Holes { path, size, got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(size: usize, last: u32) -> Vec<u8> {
        let mut page = vec![0; size];
        page[1024..1028].copy_from_slice(&1_u32.to_ne_bytes());
        page[1028..1032].copy_from_slice(&last.to_ne_bytes());
        page[1036..1052].copy_from_slice(b"0123456789abcdef");
        page[1052..1056].copy_from_slice(b"swap");
        page[size - 10..].copy_from_slice(b"SWAPSPACE2");
        page
    }

    #[test]
    fn the_header_of_swap_space_says_how_much_there_is_on_pages_of_each_size() {
        for size in [4096, 16384, 65536] {
            let header = parse(&page(size, 255)).unwrap();
            assert_eq!(header.bytes, 256 * size as u64);
            assert_eq!(
                (&header.uuid, header.label.as_slice()),
                (b"0123456789abcdef", &b"swap"[..])
            );
        }
    }

    #[test]
    fn what_only_looks_like_a_header_is_none() {
        let mut old = page(4096, 255);
        old[4086..].copy_from_slice(b"SWAP-SPACE");
        let mut version = page(4096, 255);
        version[1024] = 2;
        // Of a machine with larger pages.
        let mut early = page(8192, 255);
        early[4086..4096].copy_from_slice(b"SWAPSPACE2");
        early[8182..].fill(0);
        for none in [&old[..], &version, &early, &[0; 4096], b""] {
            assert_eq!(parse(none), None);
        }
    }
}
