//! What throwaway hosts change on the machine around them although it is not theirs, and putting it back: kernel settings.
//! Most settings below `/proc/sys` exist once for the whole machine, so a host that writes `fs.inotify.*`, `kernel.*` or `vm.*` writes the machine's. It does not prevent that.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::network;
use crate::owner::boot_id;

/// The parts of `/proc/sys` that are shared with every host. `net` is not: each host has its own, but for the switches in [`network::forwarding_of`].
const SHARED: [&str; 6] = ["abi", "debug", "dev", "fs", "kernel", "vm"];

/// Values that move by themselves, belong to a namespace, or do something when written.
const NOT_SETTINGS: [&str; 7] = [
    "kernel/ns_last_pid",
    "kernel/hostname",
    "kernel/domainname",
    "kernel/random",
    "kernel/spl",
    "fs/binfmt_misc",
    "vm/stat_refresh",
];

/// The machine's kernel settings at one moment.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Settings do not outlive a boot, and an older boot's must not be put back.
    boot_id: String,
    values: BTreeMap<PathBuf, String>,
}

impl Settings {
    /// Reads all of them: about a thousand small files, some milliseconds.
    pub(crate) fn read() -> io::Result<Self> {
        let mut values = BTreeMap::new();
        let root = Path::new("/proc/sys");
        for part in SHARED {
            read_below(root, &root.join(part), &mut values);
        }
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        for link in network::routed_links(&routes) {
            let path = network::forwarding_of(&link);
            if let Ok(value) = fs::read_to_string(&path) {
                values.insert(path, value);
            }
        }
        Ok(Self {
            boot_id: boot_id()?,
            values,
        })
    }

    /// Writes back every value that is another one now, and returns the settings that refused.
    pub(crate) fn restore(&self) -> io::Result<Vec<PathBuf>> {
        if self.boot_id != boot_id()? {
            return Ok(Vec::new());
        }
        // Whoever turned forwarding on for the whole machine meanwhile (a Docker daemon does) needs it.
        let forwarding_wanted =
            fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|value| value.trim() == "1");
        let mut refused = Vec::new();
        for (path, value) in &self.values {
            if forwarding_wanted && path.starts_with("/proc/sys/net") {
                continue;
            }
            let moved = fs::read_to_string(path).is_ok_and(|now| now != *value);
            if moved && fs::write(path, value).is_err() {
                refused.push(path.clone());
            }
        }
        Ok(refused)
    }
}

fn read_below(root: &Path, directory: &Path, values: &mut BTreeMap<PathBuf, String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let relative = path.strip_prefix(root).unwrap_or(&path);
        if NOT_SETTINGS.iter().any(|not| relative.starts_with(not)) {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => read_below(root, &path, values),
            Ok(metadata) if metadata.permissions().mode() & 0o600 == 0o600 => {
                if let Ok(value) = fs::read_to_string(&path) {
                    values.insert(path, value);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_limits_are_among_the_settings_and_moving_counters_are_not() {
        let settings = Settings::read().unwrap();
        let has = |path: &str| settings.values.contains_key(Path::new(path));
        assert!(has("/proc/sys/fs/inotify/max_user_watches"));
        assert!(has("/proc/sys/kernel/pid_max"));
        assert!(!has("/proc/sys/kernel/ns_last_pid"));
        assert!(!has("/proc/sys/fs/file-nr"), "read-only");
    }

    #[test]
    fn settings_of_another_boot_are_not_put_back() {
        let settings = Settings {
            boot_id: "another".to_owned(),
            values: [("/proc/sys/kernel/pid_max".into(), "not a number".into())].into(),
        };
        assert_eq!(settings.restore().unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn only_what_was_changed_is_put_back() {
        let directory = std::env::temp_dir().join(format!("rehearse-settings-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (changed, same) = (directory.join("changed"), directory.join("same"));
        fs::write(&changed, "2\n").unwrap();
        fs::write(&same, "1\n").unwrap();
        let written = fs::metadata(&same).unwrap().modified().unwrap();
        let settings = Settings {
            boot_id: boot_id().unwrap(),
            values: [(changed.clone(), "1\n".into()), (same.clone(), "1\n".into())].into(),
        };
        assert_eq!(settings.restore().unwrap(), Vec::<PathBuf>::new());
        assert_eq!(fs::read_to_string(&changed).unwrap(), "1\n");
        assert_eq!(fs::metadata(&same).unwrap().modified().unwrap(), written);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_setting_that_refuses_is_named() {
        let path = PathBuf::from("/proc/sys/kernel/osrelease");
        let settings = Settings {
            boot_id: boot_id().unwrap(),
            values: [(path.clone(), "1.0\n".into())].into(),
        };
        assert_eq!(settings.restore().unwrap(), [path]);
    }
}
