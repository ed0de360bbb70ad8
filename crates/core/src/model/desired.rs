//! What one host should be: the value that resolving makes and planning reads. It says nothing of what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Digest, Machine, PortClaim, Resource, ResourceId};

/// A host's name: the name of its file in `hosts/` without `.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// A text that no host can be named.
#[derive(Debug, thiserror::Error)]
#[error("a host name is 1 to 63 of a-z, 0-9 and \"-\", and neither begins nor ends with \"-\"")]
pub struct InvalidHostName;

impl HostName {
    /// Checks and takes a name (a label of RFC 1123, in lower case).
    ///
    /// # Errors
    /// [`InvalidHostName`].
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidHostName> {
        let name = name.into();
        let label = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let ends = !name.starts_with('-') && !name.ends_with('-');
        if label && ends && (1..=63).contains(&name.len()) {
            Ok(Self(name))
        } else {
            Err(InvalidHostName)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for HostName {
    type Error = InvalidHostName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

/// How the controller reaches a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// The machine that `provision` runs on.
    Local,
    /// SSH. What is `None` comes from `~/.ssh/config`, or from SSH's own defaults.
    Ssh {
        /// Address or DNS name; `None` is the host's name.
        address: Option<String>,
        /// TCP port.
        port: Option<u16>,
        /// Login user. Users other than root need sudo without a password.
        user: Option<String>,
        /// Pinned host keys in OpenSSH's public key format.
        host_keys: Vec<String>,
        /// Private keys on the controller to log in with; empty leaves that to `~/.ssh/config` and ssh-agent.
        identity_files: Vec<String>,
        /// A jump host, as in ssh's `ProxyJump`.
        jump: Option<String>,
    },
}

/// Bytes that travel beside a plan, by digest. In JSON they are base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Blob(Arc<[u8]>);

impl Blob {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl TryFrom<String> for Blob {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self::from)
    }
}

impl From<Blob> for String {
    fn from(blob: Blob) -> Self {
        STANDARD.encode(&blob.0)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

/// What one host should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desired {
    /// The host.
    pub host: HostName,
    /// How it is reached.
    pub connection: Connection,
    /// Its tags, for selection.
    pub tags: BTreeSet<String>,
    /// The cloud server under it, where one is declared.
    pub machine: Option<Machine>,
    /// The ports that it says are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortClaim>,
    /// Everything it should have.
    pub resources: BTreeMap<ResourceId, Resource>,
    /// The content of its files, by digest.
    pub blobs: BTreeMap<Digest, Blob>,
}
