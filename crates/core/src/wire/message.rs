//! The messages. The agent answers each request in turn; a stream closes with an end frame on both sides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::SecretBytes;
use crate::model::{
    Blob, Decision, Digest, Examination, Examine, Fact, History, Holder, HostFacts, HostText, Inventory, Listener,
    LogEntry, Logs, Millis, Observed, Past, Plan, RunEvent, RunPhase, RunSummary, Spec, UnitName,
};

/// What the controller asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The first message of every stream. The agent answers with the same nonce, which shows that the answer
    /// belongs to this stream and is not a login shell's noise.
    Hello {
        /// Random.
        nonce: u64,
    },
    /// Look at these resources, and at those of the receipt. Answered by [`Response::Observed`].
    Observe {
        /// What to look at.
        specs: Vec<Spec>,
    },
    /// Apply a plan. The agent stages it, starts a run that outlives the connection, and follows its journal:
    /// answered by [`Response::Event`]s up to a final phase, or by [`Response::Refused`].
    Apply {
        /// The plan.
        plan: Box<Plan>,
        /// The content of the secrets that it delivers, by name. It goes to the host's memory and nowhere else.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        secrets: BTreeMap<String, SecretBytes>,
        /// Where it touches the way in: how long after its steps the host waits for [`Request::Confirm`].
        confirm_within: Millis,
    },
    /// Confirm a run that touched the way in. It counts only on another stream than the one that began the run: that there is
    /// one is what is confirmed. Answered by [`Response::Decided`] with what the host decided, which may be otherwise.
    Confirm {
        /// The run's plan.
        plan_id: Digest,
    },
    /// Follow a run that was started before, from this event on. Answered as [`Request::Apply`].
    Attach {
        /// The run's plan.
        plan_id: Digest,
        /// How many of its events were already seen.
        from: u64,
    },
    /// Tell of a run, failed units and the lock. Answered by [`Response::Status`].
    Status {
        /// Units to tell of even when they have not failed.
        units: BTreeSet<UnitName>,
        /// The run to tell of, by its plan; `None` is the newest one.
        run: Option<Digest>,
    },
    /// Look for what is wrong with the host, beyond its resources. Answered by [`Response::Examined`].
    Examine(Examine),
    /// Tell what a unit wrote. Answered by [`Response::Entries`], as often as there are some, and then by
    /// [`Response::Logged`]; or by [`Refusal::NoSuchUnit`] or [`Refusal::NoSuchUser`].
    Logs(Logs),
    /// Tell what the machine has that its installation did not bring. Answered by [`Response::Inventory`].
    Inventory,
    /// Tell who listens on which ports. Answered by [`Response::Listening`].
    Listening,
    /// Tell of the generations that are kept. Answered by [`Response::History`].
    History,
    /// Tell of one generation. Answered by [`Response::Past`], or by [`Refusal::NoSuchGeneration`].
    Past {
        /// Its number; `None` is the one before the newest.
        generation: Option<u64>,
    },
    /// Tell of one generation, and look at its resources and at those of the newest: what going back takes. Answered by
    /// [`Response::Past`] and then [`Response::Observed`], or by [`Refusal::NoSuchGeneration`].
    Return {
        /// Its number; `None` is the one before the newest.
        generation: Option<u64>,
    },
    /// Send contents of files that generations left. Answered by [`Response::Contents`].
    Contents {
        /// Which.
        digests: BTreeSet<Digest>,
    },
    /// Drop everything that `provision` keeps on the host for itself. Answered by [`Response::Forgotten`], or by
    /// [`Response::Refused`].
    Forget {
        /// Who asks, as `user@machine`.
        who: String,
        /// The newest generation that they know of; 0 where there is none.
        generation: u64,
    },
}

/// Why a request was not taken up; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Another run holds the lock.
    Locked(Holder),
    /// There is no run of that plan on this host.
    NoSuchRun,
    /// The run does not wait for a confirmation, or not for one on this stream.
    NotWaiting,
    /// The plan was made for another installation.
    OtherMachine {
        /// The machine id found.
        found: HostText,
    },
    /// The plan was applied before, and its run has ended.
    Over {
        /// How it ended.
        phase: RunPhase,
    },
    /// There is no such generation, or it is kept no longer.
    NoSuchGeneration {
        /// The generations that are kept.
        kept: BTreeSet<u64>,
    },
    /// Another generation has been applied meanwhile.
    StaleGeneration {
        /// The newest.
        found: u64,
    },
    /// There is no such unit.
    NoSuchUnit {
        /// Those that there are.
        units: BTreeSet<String>,
        /// Users whose managers have one of that name.
        users: BTreeSet<String>,
    },
    /// There is no such user.
    NoSuchUser,
    /// The plan cannot be staged; the text says why.
    Stage(HostText),
}

/// One unit in a status report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitReport {
    /// `ActiveState`.
    pub active: HostText,
    /// `SubState`.
    pub sub: HostText,
    /// `Result`, such as `exit-code`.
    pub result: HostText,
    /// How often systemd restarted it by itself.
    pub restarts: u32,
}

/// How a host stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusReport {
    /// The host itself.
    pub facts: HostFacts,
    /// Seconds since boot.
    pub uptime: u64,
    /// The run that was asked for, by default the newest; `None` where there is none.
    pub last_run: Option<RunSummary>,
    /// Who holds the lock.
    pub lock: Option<Holder>,
    /// Units in state failed, and those asked for; `Err` says why systemd could not be asked.
    pub units: Result<BTreeMap<String, UnitReport>, HostText>,
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// To [`Request::Hello`].
    Hello {
        /// The request's nonce.
        nonce: u64,
        /// The agent's version.
        version: String,
    },
    /// To [`Request::Observe`].
    Observed(Box<Observed>),
    /// One event of a run, with its number from 0.
    Event {
        /// The number.
        number: u64,
        /// The event.
        event: RunEvent,
    },
    /// To [`Request::Confirm`].
    Decided(Decision),
    /// While a run is followed and has nothing new to tell, every [`limits::BEAT`](super::limits::BEAT): it goes on, and
    /// so does the connection. Not numbered, and no event.
    Beat,
    /// To [`Request::Status`].
    Status(Box<StatusReport>),
    /// To [`Request::Examine`].
    Examined(Box<Examination>),
    /// To [`Request::Inventory`].
    Inventory(Box<Inventory>),
    /// To [`Request::Logs`]: some entries, in their order.
    Entries(Vec<LogEntry>),
    /// To [`Request::Logs`]: there are no more.
    Logged,
    /// To [`Request::Listening`].
    Listening(Fact<Vec<Listener>>),
    /// To [`Request::History`].
    History(Box<History>),
    /// To [`Request::Past`] and [`Request::Return`].
    Past(Box<Past>),
    /// To [`Request::Contents`]: those that are kept and whole, as far as they fit in one message.
    Contents(BTreeMap<Digest, Blob>),
    /// To [`Request::Forget`]: it is gone.
    Forgotten,
    /// The request was not taken up; nothing was changed.
    Refused(Refusal),
    /// The agent could not answer.
    Error(HostText),
}
