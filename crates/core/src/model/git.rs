//! Git checkouts: a working tree of somebody's, made once or kept at a commit. It runs no git.

use serde::{Deserialize, Serialize};

use super::{AbsPath, Fact, HostText};

/// What a checkout is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revision {
    /// A commit, by its whole name: 40 or 64 hexadecimal digits.
    Commit(String),
    /// A branch of the remote repository.
    Branch(String),
}

/// What happens to a checkout that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GitUpdate {
    /// Nothing: it is cloned where it is missing, and belongs to whoever works in it.
    Clone,
    /// It is kept at the revision, and changes of its files are put back.
    Mirror,
}

/// A checkout as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitSpec {
    /// Where it lies.
    pub path: AbsPath,
    /// Where it comes from, as git takes it; there is no password in it.
    pub url: String,
    /// What of it.
    pub revision: Revision,
    /// The user whose it is, and as whom git runs.
    pub owner: String,
    /// What happens to one that is there.
    pub update: GitUpdate,
    /// The private key that `ssh` uses, on the host.
    pub key: Option<AbsPath>,
    /// The file of host keys that `ssh` trusts, on the host; `None` is what the owner's `ssh` knows.
    pub known_hosts: Option<AbsPath>,
}

impl GitSpec {
    /// Whether git fetches it by `ssh`.
    #[must_use]
    pub fn is_over_ssh(&self) -> bool {
        self.url.starts_with("ssh://") || (!self.url.contains("://") && !self.url.starts_with('/'))
    }
}

/// A checkout as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum GitState {
    /// Nothing is at its path.
    Absent {
        /// Whether the host has git.
        git: bool,
    },
    /// A checkout of the owner's.
    Checkout {
        /// Where it comes from, without a password that may stand in it.
        url: HostText,
        /// How a mirror stands; `None` for what is only cloned, which is not looked into.
        mirror: Option<Standing>,
    },
    /// Something else is at its path.
    Other {
        /// Such as "a directory that is no checkout".
        what: HostText,
    },
}

/// How a mirror stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The commit that is checked out; `None` where there is none yet.
    pub commit: Option<String>,
    /// How many files that git keeps differ from that commit.
    pub changed: u32,
    /// The commit that the branch is at where it comes from; `None` where a commit is declared.
    pub tip: Option<Fact<String>>,
}
