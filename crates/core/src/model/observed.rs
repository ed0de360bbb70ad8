//! What one look at a host found. Every part is known, or unknown with the reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Fact, Holder, HostText, Receipt, ResourceId, RunSummary, State};

/// Facts about the host itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    /// `/etc/machine-id`: which installation this is, whatever its address.
    pub machine_id: HostText,
    /// Which boot this is.
    pub boot_id: HostText,
    /// The kernel's host name.
    pub hostname: HostText,
    /// `ID` of os-release, such as `debian`.
    pub os: HostText,
    /// `VERSION_ID` of os-release, such as `12`.
    pub os_version: HostText,
    /// The machine's hardware name, such as `x86_64`.
    pub arch: HostText,
    /// The kernel's release.
    pub kernel: HostText,
}

/// What one look at a host found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// The host itself.
    pub facts: HostFacts,
    /// What was last applied; `Known(None)` on a host that `provision` has not changed yet.
    pub receipt: Fact<Option<Receipt>>,
    /// The newest run, finished or not.
    pub last_run: Option<RunSummary>,
    /// Who holds the host's lock at this moment.
    pub lock: Option<Holder>,
    /// Every resource asked for, and every one that the receipt holds.
    pub resources: BTreeMap<ResourceId, Fact<State>>,
}
