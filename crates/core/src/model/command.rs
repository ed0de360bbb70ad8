//! The escape hatch: a command that runs while its guard says there is something to do. It starts no process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AbsPath, HostText, Millis};

/// A command and the guard that makes it idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// The name it has in the configuration.
    pub name: String,
    /// The argument vector; no shell reads it.
    pub run: Vec<String>,
    /// When there is nothing to do.
    pub guard: Guard,
    /// The user it runs as; `None` is root.
    pub user: Option<String>,
    /// The working directory; `None` is `/`.
    pub cwd: Option<AbsPath>,
    /// Variables added to a minimal environment (PATH, HOME, LANG).
    pub env: BTreeMap<String, String>,
    /// After this long it is killed with its children, and has failed.
    pub timeout: Millis,
}

/// When a command has nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// While this path exists.
    Creates(AbsPath),
    /// While this command exits 0. It runs during observation, as the same user, and must change nothing.
    Unless(Vec<String>),
}

/// What a command's guard said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandState {
    /// Whether the guard holds: there is nothing to do.
    pub satisfied: bool,
    /// What was seen, such as "/usr/bin/node is absent" or "exit status 1".
    pub detail: HostText,
}
