//! The kinds of resource, and the one table of their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of resource. The order is the order in which kinds are brought about where no dependency says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A group of users.
    Group,
    /// A user.
    User,
    /// An answer to a question that a package asks.
    Debconf,
    /// A distribution package.
    Package,
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Lines of ours in a file that others own.
    Block,
    /// A symbolic link.
    Symlink,
    /// A file that the kernel swaps to. Before what may take much memory to install.
    Swapfile,
    /// An archive, unpacked.
    Archive,
    /// A set of npm packages.
    Npm,
    /// A git checkout.
    Git,
    /// A package that is kept at its version.
    Hold,
    /// A user whose own services run without a login.
    Linger,
    /// A module of the kernel.
    KernelModule,
    /// A kernel parameter's live value.
    Sysctl,
    /// The firewall.
    Firewall,
    /// A secret, as a file in memory.
    Secret,
    /// A command with a guard.
    Command,
    /// A systemd unit's state.
    Unit,
    /// A health check.
    Probe,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::Group,
        Self::User,
        Self::Debconf,
        Self::Package,
        Self::Directory,
        Self::File,
        Self::Block,
        Self::Symlink,
        Self::Swapfile,
        Self::Archive,
        Self::Npm,
        Self::Git,
        Self::Hold,
        Self::Linger,
        Self::KernelModule,
        Self::Sysctl,
        Self::Firewall,
        Self::Secret,
        Self::Command,
        Self::Unit,
        Self::Probe,
    ];

    /// The kind's name in resource ids and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// The name of the TOML table that declares resources of this kind.
    #[must_use]
    pub const fn table(self) -> &'static str {
        self.names().1
    }

    /// Whether resources of this kind lie at the path that they are named by, so that two of them cannot share a name.
    #[must_use]
    pub const fn lies_at_path(self) -> bool {
        match self {
            Self::Directory | Self::File | Self::Symlink => true,
            Self::Group
            | Self::User
            | Self::Debconf
            | Self::Package
            | Self::Block
            | Self::Swapfile
            | Self::Archive
            | Self::Npm
            | Self::Git
            | Self::Hold
            | Self::Linger
            | Self::KernelModule
            | Self::Sysctl
            | Self::Firewall
            | Self::Secret
            | Self::Command
            | Self::Unit
            | Self::Probe => false,
        }
    }

    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Group => ("group", "groups"),
            Self::User => ("user", "users"),
            Self::Debconf => ("debconf", "debconf"),
            Self::Package => ("package", "packages"),
            Self::Directory => ("directory", "directories"),
            Self::File => ("file", "files"),
            Self::Block => ("block", "blocks"),
            Self::Symlink => ("symlink", "symlinks"),
            Self::Swapfile => ("swapfile", "swapfiles"),
            Self::Archive => ("archive", "archives"),
            Self::Npm => ("npm", "npm"),
            Self::Git => ("git", "git"),
            Self::Hold => ("hold", "holds"),
            Self::Linger => ("linger", "linger"),
            Self::KernelModule => ("kernel-module", "kernel_modules"),
            Self::Sysctl => ("sysctl", "sysctl"),
            Self::Firewall => ("firewall", "firewall"),
            Self::Secret => ("secret", "secrets"),
            Self::Command => ("command", "commands"),
            Self::Unit => ("unit", "units"),
            Self::Probe => ("probe", "probes"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}
