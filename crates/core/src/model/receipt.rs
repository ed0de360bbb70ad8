//! The receipt: what the newest generation left on a host. It is kept on the host and is what makes drift three-way.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Dependency, Digest, HostText, OnRemoval, Spec, State};

/// Who applied, from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applier {
    /// The user on the controller, as `user@machine`.
    pub who: String,
    /// The configuration's commit with `+dirty` where the checkout had changes; `None` outside a checkout.
    pub commit: Option<String>,
    /// The version of `provision`.
    pub version: String,
    /// The generation that it goes back to, where it is a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<u64>,
}

/// How a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step was done.
    Confirmed,
    /// A step failed; the steps before it are in force.
    Failed,
    /// The run was killed or lost power; the steps it had journaled are in force.
    Interrupted,
    /// It touched the way in and nobody confirmed it: the host undid it, and is as it was before.
    RolledBack,
}

/// One resource as it was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What was applied.
    pub spec: Spec,
    /// What it depended on, for the order of a later removal.
    pub depends: Vec<Dependency>,
    /// What was there before `provision` first changed it; `None` where it has not changed it yet (it was already as wanted).
    pub original: Option<State>,
    /// For units: the digest of what it was last started with (see the planner). Another digest means a restart is due.
    pub trigger: Option<Digest>,
    /// What happens to it when it leaves the configuration, as its last declaration said.
    #[serde(default, skip_serializing_if = "OnRemoval::is_default")]
    pub on_removal: OnRemoval,
}

/// What the newest generation left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The generation's number, from 1.
    pub generation: u64,
    /// The plan that made it.
    pub plan_id: Digest,
    /// When, in seconds since 1970 by the host's clock.
    pub at: u64,
    /// Who applied it. Read back from a host, so as untrusted as all else.
    pub by: BTreeMap<String, HostText>,
    /// How it ended.
    pub outcome: Outcome,
    /// Every managed resource.
    pub entries: BTreeMap<super::ResourceId, Entry>,
    /// Units whose restart was planned and not yet done when the run ended.
    pub pending: BTreeSet<super::ResourceId>,
}
