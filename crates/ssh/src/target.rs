//! What a caller asks for (`Target`) and where that leads (`Endpoint`).
//! It does not read any configuration: `route` does.

use std::{fmt, path::PathBuf};

/// A host as the caller names it. Everything that is `None` or empty is looked up in ssh_config.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The name the user gave; ssh_config's `Host` patterns are matched against it.
    pub alias: String,
    /// Address or DNS name to connect to; stronger than `HostName`.
    pub address: Option<String>,
    /// TCP port; stronger than `Port`.
    pub port: Option<u16>,
    /// Remote user; stronger than `User`.
    pub user: Option<String>,
    /// Pinned host keys as OpenSSH public key lines, `ssh-ed25519 AAAA…`. If there is one, only
    /// these are trusted, whatever known_hosts says; a key that known_hosts revokes stays refused.
    pub host_keys: Vec<String>,
    /// Private keys to try; stronger than `IdentityFile`.
    pub identity_files: Vec<PathBuf>,
    /// Jump hosts, in the syntax of `ProxyJump`; stronger than it. `none` connects directly.
    pub jump: Option<String>,
}

impl Target {
    /// A target that is only a name: everything else comes from ssh_config and the defaults.
    pub fn named(alias: impl Into<String>) -> Self {
        Self {
            alias: alias.into(),
            ..Self::default()
        }
    }
}

/// Where a target leads, after ssh_config has been applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Remote user.
    pub user: String,
    /// DNS name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port } = self;
        if host.contains(':') {
            write!(f, "{user}@[{host}]:{port}")
        } else {
            write!(f, "{user}@{host}:{port}")
        }
    }
}
