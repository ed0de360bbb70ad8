//! Files, directories and symbolic links: [`crate::disk::inspect`] for the paths of resources. It opens nothing itself.

use provision_core::model::{AbsPath, FileSpec, PathState};

use super::reason;
use crate::accounts::Accounts;
use crate::disk;

/// What lies where a directory or a symbolic link should be.
pub(super) fn observe(path: &AbsPath, accounts: &Accounts) -> Result<PathState, String> {
    disk::inspect(path, accounts, None, false).map_err(|error| reason(&error))
}

/// What lies where a file should be, with its text where that is for the diff.
pub(super) fn observe_file(spec: &FileSpec, accounts: &Accounts) -> Result<PathState, String> {
    disk::inspect(&spec.path, accounts, Some(spec.content), spec.is_shown() && !spec.seed)
        .map_err(|error| reason(&error))
}
