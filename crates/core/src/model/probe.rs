//! Health checks: a gate after an apply, and a finding in drift. They change nothing.

use serde::{Deserialize, Serialize};

use super::{HostText, Millis, UnitName};

/// A health check. It passes after `threshold` successes in a row, tried every `interval`, before `timeout` is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// The name it has in the configuration.
    pub name: String,
    /// What is checked, from the host itself.
    pub check: Check,
    /// How long the gate waits in all.
    pub timeout: Millis,
    /// The pause between two tries.
    pub interval: Millis,
    /// How many successes in a row it takes, at least 1.
    pub threshold: u32,
}

/// What a probe checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Check {
    /// A plain HTTP GET answers with this status, and with this text in its body.
    Http {
        /// An `http://` URL.
        url: String,
        /// The expected status code.
        status: u16,
        /// Text that the first 64 KiB of the body must contain.
        body: Option<String>,
    },
    /// A TCP connection is accepted.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// A unit is active.
    Unit {
        /// The unit.
        unit: UnitName,
    },
}

/// What one try of a probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeState {
    /// Whether it passed.
    pub passing: bool,
    /// What was seen, such as "200" or "connection refused".
    pub detail: HostText,
}
