//! Kernel parameters, live, from `/proc/sys`. It sets none, and knows nothing of the files that keep them.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use provision_core::model::{HostText, SysctlState};

use super::reason;

/// The longest value that is read, in bytes; the kernel's own are within a page.
const VALUE_BYTES: u64 = 64 << 10;

/// A key that can name no parameter.
#[derive(Debug, thiserror::Error)]
#[error("{key:?} is no kernel parameter's name: it has an empty, \".\" or \"..\" part, or a control character")]
pub(crate) struct BadKey {
    /// The key.
    pub(crate) key: String,
}

/// The file of a parameter. As for sysctl(8), whichever of "." and "/" comes first in the key separates its parts, and
/// the other stands for a dot within a part: `net.ipv4.conf.eth0/1.forwarding` is that of the interface `eth0.1`.
///
/// # Errors
/// [`BadKey`] where the file would lie elsewhere than below `/proc/sys`.
pub(crate) fn proc_path(key: &str) -> Result<PathBuf, BadKey> {
    let dots = key.find(['.', '/']).is_none_or(|at| key[at..].starts_with('.'));
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    let path: String = if dots {
        key.chars().map(swap).collect()
    } else {
        key.to_owned()
    };
    let bad = path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.chars().any(char::is_control);
    if bad {
        Err(BadKey { key: key.to_owned() })
    } else {
        Ok(PathBuf::from("/proc/sys").join(path))
    }
}

/// A value with each run of white space as one blank, which is how values compare.
pub(crate) fn folded(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The live value of a parameter.
pub(super) fn observe(key: &str) -> Result<SysctlState, String> {
    let path = proc_path(key).map_err(|error| reason(&error))?;
    let mut value = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(VALUE_BYTES + 1).read_to_end(&mut value));
    match read {
        Ok(_) if value.len() as u64 > VALUE_BYTES => {
            Err(format!("{} is longer than {VALUE_BYTES} bytes", path.display()))
        }
        Ok(_) => Ok(SysctlState::Live(HostText::new(folded(&String::from_utf8_lossy(
            &value,
        ))))),
        // A part of the key that names a parameter where a group of them is needed names none either.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(SysctlState::NoSuchKey)
        }
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_where_sysctl_would_go() {
        for (key, path) in [
            ("vm.swappiness", "vm/swappiness"),
            ("vm/swappiness", "vm/swappiness"),
            ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("single", "single"),
        ] {
            assert_eq!(proc_path(key).unwrap(), PathBuf::from("/proc/sys").join(path), "{key}");
        }
    }

    #[test]
    fn no_key_leads_elsewhere() {
        for key in [
            "",
            ".",
            "/etc/passwd",
            "../../etc/passwd",
            "a/../b",
            "a.//.b",
            "a..b",
            "a.",
            ".a",
            "a\nb",
        ] {
            assert!(proc_path(key).is_err(), "{key:?} leads to {:?}", proc_path(key));
        }
    }

    #[test]
    fn values_are_the_kernels_with_white_space_folded() {
        let live = |key: &str| observe(key).unwrap();
        let version = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(
            live("kernel.osrelease"),
            SysctlState::Live(HostText::new(version.trim()))
        );
        let SysctlState::Live(range) = live("net.ipv4.ip_local_port_range") else {
            panic!("every kernel has it");
        };
        assert!(
            range.untrusted().split(' ').all(|word| word.parse::<u16>().is_ok()),
            "{range:?}"
        );
        assert_eq!(live("kernel.no_such_key"), SysctlState::NoSuchKey);
        assert_eq!(live("kernel.osrelease.more"), SysctlState::NoSuchKey);
        assert_eq!(folded(" 4096\t131072 \n 1 "), "4096 131072 1");
    }

    #[test]
    fn what_cannot_be_read_is_unknown_with_the_file() {
        for key in ["net.ipv4", "net.ipv4.route.flush"] {
            let error = observe(key).unwrap_err();
            assert!(error.starts_with("cannot read /proc/sys/net/ipv4"), "{error}");
        }
    }
}
