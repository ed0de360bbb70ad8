//! Secrets in the host's memory: which version is there, whether it is as delivered, and whose it is. What is in a file never
//! leaves this module, not even as a digest.

use std::collections::BTreeMap;

use provision_core::model::{HostText, SecretSpec, SecretState};

use super::reason;
use crate::accounts::Accounts;
use crate::layout::Layout;
use crate::secrets::{Found, Memory, SecretError, look, recorded, sealed_version};

/// What was found in one directory of secrets.
pub(super) enum Seen {
    /// Nothing is mounted for it.
    Nothing,
    /// These files.
    Files(BTreeMap<String, Found>),
    /// Something else is there.
    Other(String),
}

/// Looks at all secrets of a directory at once.
pub(super) fn see(directory: &provision_core::model::AbsPath) -> Result<Seen, String> {
    let memory = Memory::of(directory).map_err(|error| reason(&error))?;
    match look(&memory) {
        Err(SecretError::Taken { what, .. }) => return Ok(Seen::Other(format!("{what} at {directory}"))),
        Err(error) => return Err(reason(&error)),
        Ok(files) if !files.is_empty() => return Ok(Seen::Files(files)),
        Ok(_) => {}
    }
    match memory.is_mounted() {
        Ok(true) => Ok(Seen::Files(BTreeMap::new())),
        Ok(false) => Ok(Seen::Nothing),
        Err(error) => Err(reason(&error)),
    }
}

pub(super) fn observe(spec: &SecretSpec, seen: &Seen, accounts: &Accounts) -> Result<SecretState, String> {
    let files = match seen {
        Seen::Nothing => return Ok(SecretState::Absent { nothing_mounted: true }),
        Seen::Other(what) => return Ok(SecretState::Other { what: what.clone() }),
        Seen::Files(files) => files,
    };
    let Some(found) = files
        .get(&spec.name)
        .filter(|found| found.file == spec.path.file_name())
    else {
        return Ok(SecretState::Absent { nothing_mounted: false });
    };
    let sealed = sealed_version(&Layout::host(), &spec.name).map_err(|error| reason(&error))?;
    let fetch = recorded(&Layout::host(), spec).map_err(|error| reason(&error))?;
    Ok(SecretState::Delivered {
        version: HostText::new(found.version.as_str()),
        intact: found.value.is_some(),
        owner: accounts.owner(found.uid),
        group: accounts.owning_group(found.gid),
        mode: found.mode,
        sealed: sealed.map(HostText::new),
        fetch,
        at_boot: found.at_boot,
    })
}
