//! Secrets on a host: files in memory that is never written to a disk, a new set for each change and one link to the newest.
//! Nothing of a value ever leaves that memory, but for copies that only this host can open.

mod boot;
mod fetch;
mod incoming;
mod mask;
mod memory;
mod seal;
mod set;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use provision_core::model::AbsPath;

use crate::own_files::OwnFileError;

pub(crate) use boot::bring_back;
pub(crate) use fetch::{record, recorded};
pub(crate) use incoming::{drop_all, stage, take};
pub(crate) use mask::Mask;
pub(crate) use memory::{Memory, MemoryError};
pub(crate) use seal::{SealError, seal, sealed_version};
pub(crate) use set::{Found, Piece, Set, look, publish, sweep};

/// Why secrets cannot be kept, put in place or looked at. No text here has any of a value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// There is no memory for them.
    #[error("cannot keep secrets in memory")]
    Memory(#[source] MemoryError),
    /// The system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The record of what was delivered cannot be read.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Something of somebody else's is where the link to the secrets belongs.
    #[error("{directory} is {what}, and not the link to the secrets that provision keeps")]
    Taken {
        /// The directory.
        directory: AbsPath,
        /// What it is.
        what: &'static str,
    },
    /// Values were not delivered with the plan, or are gone from memory.
    #[error("the value of `{name}` is not in this host's memory any more")]
    NotThere {
        /// The secret.
        name: String,
    },
    /// A secret that was to stay is no longer as it was delivered.
    #[error("`{name}` is no longer as it was delivered")]
    Changed {
        /// The secret.
        name: String,
    },
    /// A copy for the next boot cannot be made or opened.
    #[error("cannot keep a sealed copy")]
    Seal(#[source] SealError),
    /// What the host is to fetch when it starts cannot be recorded.
    #[error("cannot record what to fetch at boot")]
    Record(#[source] OwnFileError),
}

/// An error of the system about a path.
fn failed(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> SecretError {
    let path = path.into();
    move |source| SecretError::Io { doing, path, source }
}
