//! Which changes touch the way in: what could leave a host unreachable. It only marks them.

use crate::model::{Connection, Desired, Kind, ResourceId};

/// Paths, or their beginnings, that logging in depends on.
const PATHS: [&str; 16] = [
    "/etc/ssh/",
    "/etc/sudoers",
    "/etc/pam.d/",
    "/etc/nftables",
    "/etc/systemd/system/provision-firewall.service",
    "/etc/systemd/system/nftables.service.d",
    "/etc/iptables",
    "/etc/ufw/",
    "/etc/network/",
    "/etc/netplan/",
    "/etc/systemd/network/",
    "/etc/resolv.conf",
    "/etc/hosts.deny",
    "/etc/nsswitch.conf",
    "/etc/default/tailscaled",
    "/root/.ssh/",
];

/// Units, without their type, that logging in depends on.
const UNITS: [&str; 12] = [
    "ssh",
    "sshd",
    "networking",
    "systemd-networkd",
    "NetworkManager",
    "systemd-resolved",
    "nftables",
    "provision-firewall",
    "netfilter-persistent",
    "ufw",
    "firewalld",
    "tailscaled",
];

/// Packages that logging in depends on.
const PACKAGES: [&str; 7] = [
    "openssh-server",
    "sudo",
    "nftables",
    "iptables",
    "ufw",
    "netplan.io",
    "tailscale",
];

pub(super) fn touches(id: &ResourceId, desired: &Desired) -> bool {
    let name = id.name.as_str();
    match id.kind {
        Kind::File | Kind::Block | Kind::Directory | Kind::Symlink => {
            PATHS.iter().any(|path| name.starts_with(path)) || name.contains("/.ssh/")
        }
        Kind::Unit => name.rsplit_once('.').is_some_and(|(stem, _)| UNITS.contains(&stem)),
        Kind::Package => PACKAGES.contains(&name),
        Kind::Debconf => PACKAGES.contains(&name.split('/').next().unwrap_or_default()),
        Kind::User => name == "root" || Some(name) == login(&desired.connection),
        Kind::Sysctl => name.starts_with("net."),
        Kind::Firewall => true,
        Kind::Group
        | Kind::Swapfile
        | Kind::Archive
        | Kind::Npm
        | Kind::Git
        | Kind::Hold
        | Kind::Linger
        | Kind::KernelModule
        | Kind::Secret
        | Kind::Command
        | Kind::Probe => false,
    }
}

fn login(connection: &Connection) -> Option<&str> {
    match connection {
        Connection::Local => None,
        Connection::Ssh { user, .. } => user.as_deref(),
    }
}
