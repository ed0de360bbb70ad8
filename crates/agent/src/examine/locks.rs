//! The locks of dpkg and apt, and who holds them. It takes none of them.

use provision_core::model::HeldLock;

use super::LookError;
use super::processes::Walk;
use crate::execute::dpkg_lock;

/// Those that somebody holds.
pub(super) fn packages(walk: &Walk) -> Result<Vec<HeldLock>, LookError> {
    let mut held = Vec::new();
    for path in dpkg_lock::LOCKS {
        let error = |source| LookError::Read {
            path: path.to_owned(),
            source,
        };
        let Some(holder) = dpkg_lock::holder(path).map_err(error)? else {
            continue;
        };
        let seen = holder.and_then(|pid| walk.processes.get(&pid));
        held.push(HeldLock {
            path: path.into(),
            holder: seen.map(|seen| seen.process.clone()),
            age: seen.map(|seen| seen.age),
        });
    }
    Ok(held)
}
