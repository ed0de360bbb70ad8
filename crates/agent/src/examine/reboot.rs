//! What waits for a restart: packages that ask for one, kernels beside the running one, code that was replaced under
//! processes. It compares no versions.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use provision_core::model::{Fact, HostText, Outdated};

use super::processes::Walk;
use super::{LookError, text};
use crate::words::chain;

/// Packages that ask for a reboot, as Debian's and Ubuntu's write it down.
pub(super) fn required() -> Result<Option<Vec<HostText>>, LookError> {
    let mark = Path::new("/run/reboot-required");
    match fs::symlink_metadata(mark) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(LookError::Read {
                path: mark.display().to_string(),
                source,
            });
        }
    }
    // The list need not be there.
    let packages = text(Path::new("/run/reboot-required.pkgs")).unwrap_or_default();
    let mut packages: Vec<_> = packages.lines().filter(|line| !line.is_empty()).collect();
    packages.sort_unstable();
    packages.dedup();
    Ok(Some(packages.into_iter().map(HostText::from).collect()))
}

/// Releases of the kernels in `/boot`; none where there is no such directory.
pub(super) fn kernels() -> Result<Vec<HostText>, LookError> {
    let boot = Path::new("/boot");
    let entries = match fs::read_dir(boot) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(LookError::Read {
                path: boot.display().to_string(),
                source,
            });
        }
    };
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut releases: Vec<_> = names
        .filter_map(|name| name.strip_prefix("vmlinuz-").map(HostText::from))
        .collect();
    releases.sort();
    Ok(releases)
}

/// What processes still run of what was replaced, by unit; by name where a process belongs to none.
pub(super) fn outdated(walk: &Walk) -> Fact<BTreeMap<String, Outdated>> {
    if let Err(error) = walk.sound() {
        return Fact::Unknown(chain(&error));
    }
    let mut units: BTreeMap<String, Outdated> = BTreeMap::new();
    for seen in walk.processes.values().filter(|seen| !seen.outdated.is_empty()) {
        let of = seen.process.unit.as_ref().unwrap_or(&seen.process.name);
        let outdated = units.entry(of.untrusted().to_owned()).or_default();
        outdated.processes += 1;
        outdated.files.extend(seen.outdated.iter().cloned());
    }
    Fact::Known(units)
}
