//! Units whose state is somebody's choice: of the machine's own, enabled beyond what their packages enable, disabled though
//! they do. What runs because it was started by hand, and only now, is nobody's choice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use provision_core::model::{FoundUnit, UnitName};

use crate::systemd::{self, SystemdError};

const SYSTEM: &str = "/etc/systemd/system";

/// What Debian's packages enable, as their scripts have written it down: links as those in [`SYSTEM`], whatever became of these.
const ENABLED: &str = "/var/lib/systemd/deb-systemd-helper-enabled";

/// Units that Debian's own packages enable by means of their own, or that are made at boot.
const BASE: [&str; 7] = [
    "getty@",
    "serial-getty@",
    "systemd-",
    "remote-fs.target",
    "e2scrub",
    "fstrim.",
    "apt-daily",
];

/// Finds them. `local` are the paths of files that no package owns.
pub(super) fn find(owned: &BTreeSet<String>, local: &BTreeSet<String>) -> Result<Vec<FoundUnit>, SystemdError> {
    let own: BTreeSet<_> = local.iter().filter_map(|path| unit(Path::new(path))).collect();
    let by_package = links(Path::new(ENABLED), &BTreeSet::new());
    let mut names: BTreeSet<UnitName> = own.clone();
    names.extend(
        links(Path::new(SYSTEM), owned)
            .into_iter()
            .filter(|name| !by_package.contains(name)),
    );
    names.retain(|name| !BASE.iter().any(|base| name.as_str().starts_with(base)) || own.contains(name));
    let asked: Vec<_> = names
        .union(&by_package)
        .filter(|name| !name.is_template())
        .cloned()
        .collect();
    let states = systemd::show_files(&asked)?;
    let mut found = Vec::new();
    for (name, state) in states {
        let enabled = match state.file.as_str() {
            "enabled" => Some(true),
            "disabled" => Some(false),
            _ => None,
        };
        if state.load != "loaded" {
            continue;
        }
        if names.contains(&name) {
            let stays = state.active == "active" && state.service_type != "oneshot";
            found.push(FoundUnit {
                name,
                enabled,
                active: stays.then_some(true),
            });
        } else if enabled == Some(false) {
            // Its package enables it, and somebody disabled it.
            found.push(FoundUnit {
                name,
                enabled,
                active: None,
            });
        }
    }
    Ok(found)
}

/// The unit that a file of `/etc/systemd/system` is of.
fn unit(path: &Path) -> Option<UnitName> {
    let inside = path.parent() == Some(Path::new(SYSTEM));
    let is_file = fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
    let name = path.file_name()?.to_str()?;
    (inside && is_file).then(|| UnitName::new(name).ok()).flatten()
}

/// Units that links in `*.wants` and `*.requires` of a directory start at boot, but for those that packages own.
fn links(at: &Path, owned: &BTreeSet<String>) -> BTreeSet<UnitName> {
    let directories = fs::read_dir(at)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let wants = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("wants" | "requires"))
    };
    let links = directories
        .filter(wants)
        .flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
    let links: BTreeMap<_, _> = links
        .filter(|link| !owned.contains(&*link.path().to_string_lossy()))
        .filter_map(|link| Some((link.file_name().into_string().ok()?, link.path())))
        .collect();
    links
        .keys()
        .filter_map(|name| UnitName::new(name.as_str()).ok())
        .collect()
}
