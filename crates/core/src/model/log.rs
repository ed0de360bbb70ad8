//! What a unit wrote to its host's journal, and what of it is asked for.

use serde::{Deserialize, Serialize};

use super::{HostText, UnitName};

/// What of a unit's journal is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// The unit.
    pub unit: UnitName,
    /// Whose manager it belongs to; `None` is the system's.
    pub user: Option<String>,
    /// How many of the newest entries.
    pub lines: u32,
    /// From when on; `None` is from the beginning.
    pub since: Option<Since>,
    /// Whether what comes later is told, too, until the connection ends.
    pub follow: bool,
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Since {
    /// Seconds before now, by the host's clock.
    Ago(u64),
    /// Seconds since 1970.
    At(u64),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// When, in milliseconds since 1970, by the host's clock.
    pub at: u64,
    /// Who wrote it, as they call themselves.
    pub from: HostText,
    /// Their process.
    pub pid: Option<u32>,
    /// From 0 (emergency) to 7 (debug), as syslog has it.
    pub priority: Option<u8>,
    /// What they wrote, maybe of several lines; cut where it is very long.
    pub message: HostText,
}
