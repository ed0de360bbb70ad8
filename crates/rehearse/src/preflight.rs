//! Says, before anything is touched, what this machine lacks for throwaway hosts and what to do about it; installs what apt can install.
//! It changes nothing unless [`install_missing`] is called.

use std::fmt;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::base::Progress;
use crate::cgroup;
use crate::program::{self, ProgramError};
use crate::slots::STATE_DIR;

/// Programs needed on the machine, and Debian's package of each.
const PROGRAMS: [(&str, &str); 8] = [
    ("systemd-nspawn", "systemd-container"),
    ("mmdebstrap", "mmdebstrap"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("nsenter", "util-linux"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("apt-get", "apt"),
];

/// The keys that Debian's archive is verified by, and their package; Ubuntu does not have them by itself.
const KEYRING: (&str, &str) = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "debian-archive-keyring",
);

/// Something that throwaway hosts need and this machine has not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The process is not root's.
    Root,
    /// A program or file of a Debian package.
    Package {
        /// What is not there.
        what: String,
        /// The package that brings it.
        package: String,
    },
    /// Something that the kernel, or whoever runs this machine, must allow.
    Kernel {
        /// What is not there.
        what: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => {
                f.write_str("root: throwaway hosts need mounts, namespaces and network links; run this with sudo")
            }
            Self::Package { what, package } => {
                write!(f, "{what}: run `apt-get install --no-install-recommends {package}`")
            }
            Self::Kernel { what, remedy } => write!(f, "{what}: {remedy}"),
        }
    }
}

/// What is missing could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Not everything that is missing comes from a package.
    #[error("cannot be installed: {}", join(.0))]
    NotInstallable(Vec<Missing>),
    /// apt-get could not be started.
    #[error("cannot install {packages}")]
    Start {
        /// Which.
        packages: String,
        /// Why not.
        #[source]
        source: ProgramError,
    },
    /// apt-get failed.
    #[error("apt-get could not install {packages}: {said}")]
    Apt {
        /// Which.
        packages: String,
        /// Its last lines.
        said: String,
    },
    /// Everything was installed, and still something is missing.
    #[error("still missing after the installation: {}", join(.0))]
    Still(Vec<Missing>),
}

fn join(missing: &[Missing]) -> String {
    let texts: Vec<_> = missing.iter().map(Missing::to_string).collect();
    texts.join("; ")
}

/// Looks for everything that throwaway hosts need.
///
/// # Errors
/// All that is missing, each with what to do.
pub fn preflight() -> Result<(), Vec<Missing>> {
    let mut missing = Vec::new();
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        missing.push(Missing::Root);
    }
    for (program, package) in PROGRAMS {
        if program::find(program).is_none() {
            missing.push(Missing::Package {
                what: format!("the program {program}"),
                package: package.to_owned(),
            });
        }
    }
    if !Path::new(KEYRING.0).exists() {
        missing.push(Missing::Package {
            what: "the keys of Debian's archive".to_owned(),
            package: KEYRING.1.to_owned(),
        });
    }
    missing.extend(kernel(is_root));
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

fn kernel(is_root: bool) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut lacks = |what, remedy| missing.push(Missing::Kernel { what, remedy });
    if !has_overlay(is_root) {
        lacks(
            "the kernel's overlay file system",
            "load it with `modprobe overlay`, or boot a kernel that has it",
        );
    }
    for namespace in ["mnt", "pid", "net", "uts", "ipc", "cgroup"] {
        if !Path::new("/proc/self/ns").join(namespace).exists() {
            lacks(
                "a kind of namespace in the kernel",
                "boot a distribution kernel; this one was built without containers",
            );
        }
    }
    match cgroup::unified_root() {
        Err(_) => lacks(
            "the unified control group hierarchy",
            "mount it with `mount -t cgroup2 cgroup2 /sys/fs/cgroup`",
        ),
        Ok(root) if is_root => {
            if !can_group(&root) {
                lacks(
                    "control groups that may be made and killed",
                    "needs Linux 5.14 or later and a writable cgroup2; inside a container, run it with --privileged --cgroupns=host",
                );
            }
        }
        Ok(_) => {}
    }
    if is_on_overlay(Path::new(STATE_DIR)) {
        lacks(
            "a disk below /var/lib that is not itself an overlay",
            "inside a container, mount a volume at /var/lib/provision-rehearse",
        );
    }
    missing
}

fn has_overlay(is_root: bool) -> bool {
    let is_known = || {
        fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.lines().any(|line| line.ends_with("\toverlay")))
    };
    // As a module it is loaded by the first mount, which only root may do.
    is_known()
        || if is_root {
            program::run("modprobe", &["overlay"]).is_ok() && is_known()
        } else {
            program::run("modprobe", &["-n", "overlay"]).is_ok()
        }
}

fn can_group(root: &Path) -> bool {
    let trial = root.join(format!("rehearse-preflight-{}", std::process::id()));
    let made = fs::create_dir(&trial).is_ok();
    let can_kill = trial.join("cgroup.kill").exists();
    made && can_kill & fs::remove_dir(&trial).is_ok()
}

/// Whether the nearest existing directory is on an overlay: a disk over a disk over a disk is one too many for the kernel.
fn is_on_overlay(path: &Path) -> bool {
    /// OVERLAYFS_SUPER_MAGIC of linux/magic.h.
    const OVERLAY: u64 = 0x794c_7630;
    path.ancestors()
        .find_map(|existing| rustix::fs::statfs(existing).ok())
        .is_some_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == OVERLAY))
}

/// Installs the packages that [`preflight`] misses, with apt-get. Does nothing when nothing is missing.
///
/// # Errors
/// When something is missing that is not in a package, when apt-get fails, or when its packages did not help.
pub fn install_missing(progress: &mut dyn FnMut(Progress)) -> Result<(), InstallError> {
    let Err(missing) = preflight() else {
        return Ok(());
    };
    let packages = installable(missing)?;
    progress(Progress::Installing(packages.clone()));
    apt_get(&["update"], &packages, progress)?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages.iter().map(String::as_str));
    apt_get(&arguments, &packages, progress)?;
    preflight().map_err(InstallError::Still)
}

/// The packages that bring all that is missing.
fn installable(missing: Vec<Missing>) -> Result<Vec<String>, InstallError> {
    let mut packages = Vec::new();
    let mut others = Vec::new();
    for one in missing {
        match one {
            // Without apt-get, nothing installs apt.
            Missing::Package { ref package, .. } if package != "apt" => {
                packages.push(package.clone());
            }
            other => others.push(other),
        }
    }
    if !others.is_empty() {
        return Err(InstallError::NotInstallable(others));
    }
    packages.sort();
    packages.dedup();
    Ok(packages)
}

fn apt_get(arguments: &[&str], packages: &[String], progress: &mut dyn FnMut(Progress)) -> Result<(), InstallError> {
    let packages = packages.join(" ");
    let start = |source: io::Error| InstallError::Start {
        packages: packages.clone(),
        source: ProgramError::Start {
            program: "apt-get".to_owned(),
            source,
        },
    };
    // Both streams into one pipe: they are read in the order they were written, and neither can fill up unread.
    let (reader, writer) = io::pipe().map_err(start)?;
    let mut command = program::command("apt-get");
    command
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(start)?)
        .stderr(writer);
    let mut child = command.spawn().map_err(start)?;
    // It holds the pipe's writing ends, and without them the reading ends.
    drop(command);
    let mut last_lines: Vec<String> = Vec::new();
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        last_lines.push(line.clone());
        if last_lines.len() > 5 {
            last_lines.remove(0);
        }
        progress(Progress::Line(line));
    }
    if child.wait().map_err(start)?.success() {
        return Ok(());
    }
    Err(InstallError::Apt {
        packages,
        said: last_lines.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(what: &str, package: &str) -> Missing {
        Missing::Package {
            what: what.to_owned(),
            package: package.to_owned(),
        }
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let text = package("the program ip", "iproute2").to_string();
        assert_eq!(
            text,
            "the program ip: run `apt-get install --no-install-recommends iproute2`"
        );
        assert!(Missing::Root.to_string().contains("sudo"));
    }

    #[test]
    fn each_package_is_installed_once() {
        let missing = vec![
            package("the program ssh", "openssh-client"),
            package("the program ssh-keygen", "openssh-client"),
            package("the program ip", "iproute2"),
        ];
        assert_eq!(installable(missing).unwrap(), ["iproute2", "openssh-client"]);
    }

    #[test]
    fn nothing_is_installed_when_that_would_not_be_enough() {
        let missing = vec![package("the program ip", "iproute2"), Missing::Root];
        let error = installable(missing).unwrap_err();
        assert!(
            matches!(&error, InstallError::NotInstallable(others) if *others == [Missing::Root]),
            "{error}"
        );
    }

    #[test]
    fn a_directory_that_is_not_there_counts_as_its_parent() {
        assert_eq!(
            is_on_overlay(Path::new("/no/such/place")),
            is_on_overlay(Path::new("/"))
        );
    }
}
