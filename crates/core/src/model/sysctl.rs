//! Kernel parameters: the live value. The file that keeps it over a reboot is a file resource like any other.

use serde::{Deserialize, Serialize};

use super::HostText;

/// A kernel parameter as it should be, live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysctlSpec {
    /// The key with dots, such as `fs.inotify.max_user_watches`.
    pub key: String,
    /// The value; runs of white space count as one blank.
    pub value: String,
}

/// A kernel parameter as the running kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SysctlState {
    /// This kernel has no such key (a module may be missing).
    NoSuchKey,
    /// The live value, white space folded.
    Live(HostText),
}
