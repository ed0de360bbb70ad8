//! What the boot unit does: brings sealed secrets back into memory, all of them or none.

use std::collections::BTreeMap;

use provision_core::model::{Fact, SecretSpec};

use super::memory::Memory;
use super::seal::{Sealed, decrypt};
use super::set::{Piece, Set, file_of, look, publish, sweep};
use super::{SealError, SecretError};
use crate::accounts::{Accounts, NoSuchAccount};
use crate::layout::Layout;

/// Why secrets are not back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    /// There is no record of sealed copies, or it cannot be read.
    #[error("cannot read the record of sealed copies")]
    Record(#[source] SealError),
    /// A copy cannot be opened.
    #[error("cannot open the sealed copy of `{name}`")]
    Open {
        /// The secret.
        name: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// Its owner is not on this host.
    #[error("`{name}` cannot be given to its owner")]
    Owner {
        /// The secret.
        name: String,
        /// Why.
        #[source]
        source: NoSuchAccount,
    },
    /// The accounts cannot be read.
    #[error("cannot tell whose the secrets are")]
    Accounts(#[source] crate::accounts::AccountsError),
    /// They cannot be put in place.
    #[error("cannot put the secrets in place")]
    Put(#[source] SecretError),
}

/// Brings all sealed secrets back, and says how many. Those that are in place already, as after an apply, stay.
///
/// # Errors
/// [`BootError`]; none of the memory in question is changed then.
pub(crate) fn unseal(layout: &Layout) -> Result<usize, BootError> {
    let sealed = Sealed::load(layout).map_err(BootError::Record)?;
    let accounts = Accounts::read().map_err(BootError::Accounts)?;
    let mut by_directory: BTreeMap<_, Vec<&SecretSpec>> = BTreeMap::new();
    for spec in sealed.secrets.values() {
        by_directory.entry(&spec.directory).or_default().push(spec);
    }
    let mut count = 0;
    for (directory, specs) in by_directory {
        let put = |error| BootError::Put(SecretError::Memory(error));
        let memory = Memory::of(directory).map_err(put)?;
        if !look(&memory).map_err(BootError::Put)?.is_empty() {
            continue;
        }
        memory.mount().map_err(put)?;
        let mut set = Set::new();
        for spec in specs {
            let piece = piece(layout, &memory, spec, &accounts)?;
            set.insert(spec.name.clone(), piece);
        }
        count += set.len();
        publish(&memory, &set).map_err(BootError::Put)?;
        sweep(&memory).map_err(BootError::Put)?;
    }
    Ok(count)
}

fn piece(layout: &Layout, memory: &Memory, spec: &SecretSpec, accounts: &Accounts) -> Result<Piece, BootError> {
    let name = || spec.name.clone();
    let owner = |source| BootError::Owner { name: name(), source };
    Ok(Piece {
        file: file_of(spec),
        version: match &spec.version {
            Fact::Known(Some(version)) => version.to_string(),
            Fact::Known(None) | Fact::Unknown(_) => String::new(),
        },
        value: decrypt(layout, memory, &spec.name).map_err(|source| BootError::Open { name: name(), source })?,
        uid: accounts.resolve_owner(&spec.owner).map_err(owner)?,
        gid: accounts.resolve_group(&spec.group).map_err(owner)?,
        mode: spec.mode,
    })
}
