//! What driving hosts tells the report: one stream of typed events, read by people's terminals and by JSON alike.
//! It holds no words and prints nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use provision_core::model::{Digest, Holder, HostName, HostText, LogEntry, ResourceId, RunEvent, RunPhase, StepError};

use crate::reach::ReachError;

/// One event of work on hosts that ends with a `T` per host. Each host has any number of [`Event::Progress`] and then
/// exactly one [`Event::Finished`], whatever happens to it.
#[derive(Debug)]
pub enum Event<T> {
    /// Something happened on the way.
    Progress {
        /// The host.
        host: HostName,
        /// What happened.
        progress: Progress,
    },
    /// The host is done with; no event of it follows.
    Finished {
        /// The host.
        host: HostName,
        /// How it ended.
        result: T,
    },
}

/// What can happen between the start and the end of work on one host.
#[derive(Debug)]
pub enum Progress {
    /// Its turn has come: a connection is being opened.
    Connecting,
    /// The connection stands and the user is authenticated.
    Connected {
        /// How long it took, in milliseconds.
        millis: u64,
    },
    /// The host has no agent of this version yet.
    UploadingAgent {
        /// The agent's length in bytes.
        bytes: u64,
    },
    /// The agent answered with what it saw.
    Observed {
        /// How many resources.
        resources: usize,
        /// How long it took from the request, in milliseconds.
        millis: u64,
    },
    /// One event of the run, in the journal's order, none twice.
    Run {
        /// Its number in the journal, from 0.
        number: u64,
        /// The event.
        event: RunEvent,
    },
    /// The connection is gone; the run on the host goes on.
    ConnectionLost {
        /// Why, as a fragment.
        problem: String,
    },
    /// A new connection is being opened to follow the run again.
    Reattaching {
        /// Which try, from 1.
        attempt: u32,
    },
    /// The steps are over and touched the way in: a new connection is being opened to confirm them.
    Confirming,
    /// That did not succeed, and is tried again for as long as the host waits.
    NotConfirmed {
        /// Why, as a fragment.
        problem: String,
    },
    /// Entries of a unit's journal, in their order.
    Logged(Vec<LogEntry>),
    /// A tunnel is open.
    TunnelOpen {
        /// Where it begins, on this machine.
        local: SocketAddr,
    },
    /// A connection through a tunnel came to nothing.
    TunnelFailed {
        /// Why, as a fragment.
        problem: String,
    },
    /// A line that a command of `exec` printed.
    Output {
        /// Where it printed it.
        stream: OutputStream,
        /// The line without its end, cut to a bounded length.
        line: HostText,
    },
}

/// One of the two streams that a command prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How an apply ended on one host.
#[derive(Debug)]
pub enum HostOutcome {
    /// There was nothing to do, and nothing was done.
    Nothing,
    /// Every step was done, and the host durably recorded it.
    Changed {
        /// The generation that the host recorded.
        generation: u64,
        /// How many steps were done.
        steps: usize,
        /// From the first to the last event of the run, in milliseconds.
        millis: u64,
    },
    /// A step failed; the steps before it are in force and recorded, those after it were not reached.
    Failed {
        /// The step, counted from 0; `None` where the run failed outside of any step.
        step: Option<usize>,
        /// Why.
        error: StepError,
        /// How many steps were done before.
        done: usize,
        /// The generation that the host recorded, where it could.
        generation: Option<u64>,
        /// From the first to the last event of the run, in milliseconds.
        millis: u64,
    },
    /// It touched the way in and was not confirmed: the host has undone it by itself, and recorded that.
    RolledBack {
        /// The step that failed, counted from 0, and why, where one did.
        failed: Option<(usize, StepError)>,
        /// Why no new connection could confirm it, where one was tried.
        unconfirmed: Option<ReachError>,
        /// What could not be undone, each with why.
        not_undone: BTreeMap<ResourceId, HostText>,
        /// How many steps were done, and then undone.
        done: usize,
        /// The generation that the host recorded.
        generation: Option<u64>,
        /// From the first to the last event of the run, in milliseconds.
        millis: u64,
    },
    /// Nothing was changed.
    Refused(Refused),
    /// Nothing was changed: somebody else applies to this host.
    Locked(Holder),
    /// Nothing was changed: the host could not be reached, or its agent not be started.
    Unreachable(ReachError),
    /// The connection was lost and did not come back. The run goes on, or has ended, on the host.
    Unknown {
        /// The run's plan: what to re-attach to.
        plan_id: Digest,
        /// Why the connection is gone.
        error: ReachError,
    },
    /// The user stopped watching. The run goes on on the host.
    Detached {
        /// The run's plan: what to re-attach to.
        plan_id: Digest,
    },
    /// The user stopped before this host's turn came. Nothing was changed.
    NotStarted,
}

/// Why a host did not take up a plan. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The plan has blockers.
    Blocked {
        /// How many.
        blockers: usize,
    },
    /// These resources are no longer as the plan saw them, each with what was found.
    Moved(BTreeMap<ResourceId, HostText>),
    /// Another generation has been applied since the plan was made.
    StaleGeneration {
        /// The generation that the plan was made on.
        planned: u64,
        /// The one that the host has.
        found: u64,
    },
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
    /// There is no run of that plan on this host.
    NoSuchRun,
    /// The host says why it cannot.
    Host(HostText),
}

/// How a command of `exec` ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecEnd {
    /// It exited with this status.
    Exited(u32),
    /// A signal ended it; its name without `SIG`.
    Killed(HostText),
}
