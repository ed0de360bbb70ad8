//! What the boot unit does: brings secrets back into memory, sealed ones and those that the host fetches, all of them or none.

use std::collections::BTreeMap;
use std::fs;

use provision_core::model::{AfterReboot, Fact, SecretSpec};
use provision_core::wire::SecretBytes;

use super::fetch::{FetchError, ToFetch, fetch};
use super::memory::Memory;
use super::seal::{Sealed, decrypt};
use super::set::{Piece, Set, file_of, look, publish, sweep};
use super::{SealError, SecretError};
use crate::accounts::{Accounts, NoSuchAccount};
use crate::layout::Layout;
use crate::observe;
use crate::own_files::OwnFileError;

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
    /// There is no record of what to fetch that can be read.
    #[error("cannot read the record of what to fetch")]
    ToFetch(#[source] OwnFileError),
    /// Not all can be fetched.
    #[error("cannot fetch this host's secrets, so none is put in place")]
    Fetch(#[source] FetchError),
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

/// Brings all secrets back that were sealed or are to be fetched, and says how many. Those that are in place already, as after an
/// apply, stay.
///
/// # Errors
/// [`BootError`]; none of the memory in question is changed then.
pub(crate) fn bring_back(layout: &Layout) -> Result<usize, BootError> {
    // Units come after the first try, whatever comes of it: what a later one brings, some of them may run without.
    let boot = observe::facts().boot_id;
    let late = fs::read_to_string(layout.late()).unwrap_or_default();
    let brought = bring(layout, late != boot.untrusted());
    if brought.is_err() {
        // Where that cannot be noted down, a unit may later not be restarted that began without a secret that it can do without.
        let _ = fs::write(layout.late(), boot.untrusted());
    }
    brought
}

fn bring(layout: &Layout, first: bool) -> Result<usize, BootError> {
    let mut specs = Sealed::load(layout).map_err(BootError::Record)?.secrets;
    specs.extend(ToFetch::load(layout).map_err(BootError::ToFetch)?.secrets);
    let accounts = Accounts::read().map_err(BootError::Accounts)?;
    let mut by_directory: BTreeMap<_, Vec<&SecretSpec>> = BTreeMap::new();
    for spec in specs.values() {
        by_directory.entry(&spec.directory).or_default().push(spec);
    }
    let mut count = 0;
    for (directory, specs) in by_directory {
        let put = |error| BootError::Put(SecretError::Memory(error));
        let memory = Memory::of(directory).map_err(put)?;
        if !look(&memory).map_err(BootError::Put)?.is_empty() {
            continue;
        }
        let was_there = memory.is_mounted().map_err(put)?;
        memory.mount().map_err(put)?;
        let set = set(layout, &memory, &specs, &accounts, first).inspect_err(|_| {
            // Whoever looks then sees that nothing is there, and why: the host has started anew.
            if !was_there {
                let _ = memory.unmount();
            }
        })?;
        count += set.len();
        publish(&memory, &set).map_err(BootError::Put)?;
        sweep(&memory).map_err(BootError::Put)?;
    }
    Ok(count)
}

/// All secrets of one directory.
fn set(
    layout: &Layout,
    memory: &Memory,
    specs: &[&SecretSpec],
    accounts: &Accounts,
    first: bool,
) -> Result<Set, BootError> {
    let (to_fetch, sealed): (Vec<&SecretSpec>, Vec<&SecretSpec>) = specs
        .iter()
        .copied()
        .partition(|spec| spec.after_reboot == AfterReboot::Fetch);
    let mut values = Vec::new();
    for spec in sealed {
        let value = decrypt(layout, memory, &spec.name).map_err(|source| BootError::Open {
            name: spec.name.clone(),
            source,
        })?;
        values.push((spec.clone(), value));
    }
    if !to_fetch.is_empty() {
        values.extend(fetch(&to_fetch).map_err(BootError::Fetch)?);
    }
    let mut set = Set::new();
    for (spec, value) in values {
        let piece = Piece {
            at_boot: first,
            ..piece(&spec, value, accounts)?
        };
        set.insert(spec.name, piece);
    }
    Ok(set)
}

fn piece(spec: &SecretSpec, value: SecretBytes, accounts: &Accounts) -> Result<Piece, BootError> {
    let owner = |source| BootError::Owner {
        name: spec.name.clone(),
        source,
    };
    Ok(Piece {
        file: file_of(spec),
        version: match &spec.version {
            Fact::Known(Some(version)) => version.to_string(),
            Fact::Known(None) | Fact::Unknown(_) => String::new(),
        },
        value,
        uid: accounts.resolve_owner(&spec.owner).map_err(owner)?,
        gid: accounts.resolve_group(&spec.group).map_err(owner)?,
        mode: spec.mode,
        at_boot: false,
    })
}
