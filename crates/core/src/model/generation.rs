//! Generations as a host tells of them: in short, for a list, and in full, to compare them or to go back to one. All of it was
//! read on the host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, HostText, Outcome, Receipt, ResourceId, State};

/// How many resources a generation changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationCounts {
    /// They were not there before.
    pub created: u64,
    /// They were there, or, like commands, ran.
    pub changed: u64,
    /// They left the configuration.
    pub removed: u64,
}

/// One generation, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// The plan that made it.
    pub plan_id: Digest,
    /// When, in seconds since 1970 by the host's clock.
    pub at: u64,
    /// Who applied it, from which commit, and, of a rollback, to which generation.
    pub by: BTreeMap<String, HostText>,
    /// How it ended.
    pub outcome: Outcome,
    /// How many resources it manages.
    pub resources: usize,
    /// How many it set out to change.
    pub counts: GenerationCounts,
}

/// What the records of a host take on its disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskUse {
    /// The generations' own records.
    pub generations: u64,
    /// Contents of files, each once.
    pub contents: u64,
    /// The newest runs: their journals and output.
    pub runs: u64,
}

/// All generations that a host keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The newest, which is in force, first.
    pub generations: Vec<Generation>,
    /// What they take.
    pub disk: DiskUse,
}

/// One generation, in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// Its number.
    pub number: u64,
    /// What it left; `None` of generation 0, the host before `provision` first changed it.
    pub receipt: Option<Receipt>,
    /// What has been changed since, each as it was then.
    pub since: BTreeMap<ResourceId, State>,
}
