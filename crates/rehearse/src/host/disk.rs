//! Makes a throwaway host's disk over the base image, and puts on it what makes this host this host: names and keys.
//! It never removes anything: a slot is cleared as a whole.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{HostOptions, StartError};
use crate::base::BaseImage;
use crate::slots::Slot;
use crate::{mounts, network, program};

/// Makes the disk, and on it what makes this host this host. Returns the public host key.
pub(super) fn prepare(slot: Slot, base: &BaseImage, options: &HostOptions) -> Result<String, StartError> {
    let host = || options.name.clone();
    let root = slot.file("root");
    for (name, mode) in [
        // The host's `/` gets this mode.
        ("upper", 0o755),
        ("work", 0o700),
        ("root", 0o755),
        ("docker", 0o710),
    ] {
        let path = slot.file(name);
        fs::DirBuilder::new()
            .mode(mode)
            .create(&path)
            // Whatever the umask took away.
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(|source| StartError::Install {
                host: host(),
                path,
                source,
            })?;
    }
    mounts::overlay(base.root(), &slot.file("upper"), &slot.file("work"), &root)
        .map_err(|source| StartError::Disk { host: host(), source })?;

    let identity = new_key(slot, "identity", options)?;
    let host_key = new_key(slot, "host_key", options)?;
    let address = slot.network().address();
    let mut authorized = identity + "\n";
    for key in &options.authorized_keys {
        authorized += key;
        authorized.push('\n');
    }
    let private_host_key = read(&slot.file("host_key"), options)?;
    let name = &options.name;
    let files: [(PathBuf, u32, &str); 9] = [
        (root.join("etc/ssh/ssh_host_ed25519_key"), 0o600, &private_host_key),
        (
            root.join("etc/ssh/ssh_host_ed25519_key.pub"),
            0o644,
            &format!("{host_key}\n"),
        ),
        (root.join("root/.ssh/authorized_keys"), 0o600, &authorized),
        (root.join("etc/hostname"), 0o644, &format!("{name}\n")),
        (
            root.join("etc/hosts"),
            0o644,
            &format!("127.0.0.1 localhost\n::1 localhost ip6-localhost\n{address} {name}\n"),
        ),
        (root.join("etc/machine-id"), 0o444, &machine_id(options)?),
        (root.join("etc/resolv.conf"), 0o644, &network::resolv_conf()),
        (slot.file("known_hosts"), 0o600, &format!("{address} {host_key}\n")),
        (slot.file("console.log"), 0o600, ""),
    ];
    for (path, mode, content) in files {
        install(&path, mode, content).map_err(|source| StartError::Install {
            host: host(),
            path,
            source,
        })?;
    }
    Ok(host_key)
}

/// Writes a file that nobody reads yet.
fn install(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    if let Some(parent) = path.parent()
        && !parent.exists()
    {
        // Only `/root/.ssh` is not there yet.
        fs::DirBuilder::new().mode(0o700).create(parent)?;
    }
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Makes a pair of keys beside the disk, and returns the public line without its comment.
fn new_key(slot: Slot, name: &str, options: &HostOptions) -> Result<String, StartError> {
    let path = slot.file(name);
    let mut arguments: Vec<std::ffi::OsString> = ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]
        .map(Into::into)
        .to_vec();
    arguments.push(path.clone().into());
    program::run("ssh-keygen", &arguments).map_err(|source| StartError::Keys {
        host: options.name.clone(),
        source,
    })?;
    Ok(read(&path.with_extension("pub"), options)?.trim().to_owned())
}

fn read(path: &Path, options: &HostOptions) -> Result<String, StartError> {
    fs::read_to_string(path).map_err(|source| StartError::Install {
        host: options.name.clone(),
        path: path.to_owned(),
        source,
    })
}

/// A new machine id, in the form of machine-id(5). Without one, systemd would take the boot for the first of a new machine and switch every unit to its preset.
fn machine_id(options: &HostOptions) -> Result<String, StartError> {
    let uuid = read(Path::new("/proc/sys/kernel/random/uuid"), options)?;
    Ok(uuid.replace('-', ""))
}
