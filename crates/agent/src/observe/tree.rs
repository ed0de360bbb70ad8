//! Trees: which version the link leads to, and whether anything in it was changed since. The content is not read.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use provision_core::model::{AbsPath, HostText, PathState, TreeSpec, TreeState, version_prefix};

use super::reason;
use crate::accounts::Accounts;
use crate::disk;

/// The tree of that path.
pub(super) fn observe(spec: &TreeSpec, accounts: &Accounts) -> Result<TreeState, String> {
    let found = disk::inspect(&spec.path, accounts, None, false).map_err(|error| reason(&error))?;
    let target = match &found {
        PathState::Absent => return Ok(TreeState::Absent),
        PathState::Symlink { target } => target.untrusted(),
        PathState::File { .. } | PathState::Directory { .. } | PathState::Other { .. } => "",
    };
    if !is_version(&spec.path, target) {
        let what = found.noun().to_owned();
        return Ok(TreeState::Other { what });
    }
    let directory = Path::new(spec.path.as_str()).with_file_name(target);
    Ok(TreeState::Version {
        directory: HostText::new(target),
        intact: is_intact(&directory)?,
    })
}

/// Whether a name is that of a version of this tree.
pub(crate) fn is_version(path: &AbsPath, name: &str) -> bool {
    let digest = name.strip_prefix(&version_prefix(path)).unwrap_or_default();
    digest.len() == 16 && digest.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Where the digest of a version is kept: beside it, so that it is no part of it.
pub(crate) fn seal_path(directory: &Path) -> PathBuf {
    let mut name = directory.as_os_str().to_owned();
    name.push(".seal");
    PathBuf::from(name)
}

/// Whether a version is there, whole, and as it was unpacked.
pub(crate) fn is_intact(directory: &Path) -> Result<bool, String> {
    let seal = seal_path(directory);
    let wanted = match fs::read_to_string(&seal) {
        Ok(wanted) => wanted,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(format!("cannot read {}: {error}", seal.display())),
    };
    match disk::seal_of(directory) {
        Ok(found) => Ok(found.to_string() == wanted.trim()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("cannot look at all of {}: {error}", directory.display())),
    }
}
