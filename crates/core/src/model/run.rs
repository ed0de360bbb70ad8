//! A run: one apply on one host, as its journal tells it. The journal is the verdict; nothing else is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, Entry, HostText, Outcome, ResourceId};

/// Who holds the host's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Who started that run, as `user@machine`.
    pub who: HostText,
    /// When, in seconds since 1970 by the host's clock.
    pub since: u64,
    /// The plan it applies.
    pub plan_id: Digest,
    /// The process that holds the lock.
    pub pid: u32,
}

/// Where a run stands. It only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunPhase {
    /// Plan and content are on the host's disk, verified.
    Staged,
    /// The lock is held and every precondition still holds; where the plan touches the way in, the host is ready to undo it
    /// by itself. Nothing is changed yet.
    Armed,
    /// Steps are being executed.
    Switching,
    /// Every step is done; the generation is being recorded.
    Switched,
    /// The steps are over, and they touched the way in: the host undoes them unless somebody confirms over a new connection.
    Unconfirmed,
    /// Nobody confirmed, or the run died: the host undoes what it did.
    RollingBack,
    /// The generation is recorded.
    Confirmed,
    /// Nothing was changed: a precondition no longer held, or the lock was taken.
    Refused,
    /// A step failed; what was done before it is recorded as a generation.
    Failed,
    /// The run was killed; what it had journaled is recorded as a generation.
    Interrupted,
    /// The host has undone what the run did, and recorded that as a generation.
    RolledBack,
}

impl RunPhase {
    /// Whether nothing more will come.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Confirmed | Self::Refused | Self::Failed | Self::Interrupted | Self::RolledBack => true,
            Self::Staged | Self::Armed | Self::Switching | Self::Switched | Self::Unconfirmed | Self::RollingBack => {
                false
            }
        }
    }
}

/// What becomes of a run that touched the way in. The host decides once: whoever comes first, the one who confirms or the
/// deadline, and everybody else reads that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Somebody came in over a new connection: it stays.
    Confirmed,
    /// Nobody did in time, or the run died: it is undone.
    Undone,
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepError {
    /// What went wrong, such as "no space left on device while writing /etc/motd".
    pub problem: HostText,
    /// The last lines of output: apt's, a command's, the unit's journal.
    pub output: Vec<HostText>,
    /// What to do about it, where that is known.
    pub fix: Option<String>,
}

/// One line of a run's journal, and one event of its progress. Step numbers count from 0 in the plan's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEvent {
    /// The run reached a phase.
    Phase(RunPhase),
    /// The run did not start: these resources are no longer as the plan saw them, each with what was found.
    Moved(BTreeMap<ResourceId, HostText>),
    /// The run did not start: another generation has been applied since the plan was made.
    StaleGeneration {
        /// The generation that the plan was made on.
        planned: u64,
        /// The one that the host has.
        found: u64,
    },
    /// The run did not start: another one holds the lock.
    Locked(Holder),
    /// The run did not start, or its end could not be recorded.
    Error(HostText),
    /// It waits for something that is not ours, such as dpkg's lock, with its holder.
    Waiting {
        /// The step.
        step: usize,
        /// For what.
        on: HostText,
    },
    /// A step begins.
    Started {
        /// The step.
        step: usize,
    },
    /// A line of a step's output.
    Output {
        /// The step.
        step: usize,
        /// The line, cut to a bounded length.
        line: HostText,
    },
    /// A step is done, and these are its resources' entries in the receipt; `None` for one that left it.
    Done {
        /// The step.
        step: usize,
        /// How long it took, in milliseconds.
        millis: u64,
        /// Something worth saying, such as "kept: the directory is not empty".
        note: Option<HostText>,
        /// The receipt's entries.
        entries: BTreeMap<ResourceId, Option<Entry>>,
    },
    /// A step failed. The steps after it are not reached.
    StepFailed {
        /// The step.
        step: usize,
        /// Why.
        error: StepError,
    },
    /// The host has undone what it could, but not this; each with why.
    NotUndone(BTreeMap<ResourceId, HostText>),
}

/// A run as `status` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSummary {
    /// The plan.
    pub plan_id: Digest,
    /// Who applied it.
    pub by: BTreeMap<String, HostText>,
    /// When it started, in seconds since 1970 by the host's clock.
    pub started: u64,
    /// The phase its journal ends with; one that is not final and whose process is gone reads `Interrupted`.
    pub phase: RunPhase,
    /// The generation it made, once it is final and changed something.
    pub generation: Option<u64>,
    /// How that generation ended.
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub error: Option<StepError>,
}
