//! The dead-man's switch of runs that touch the way in: what such a run did is undone by the host alone, unless somebody confirms
//! over a new connection, whatever becomes of the runner, the controller or the power. It executes no plan.

mod arm;
mod decision;
mod undo;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use provision_core::model::{Decision, Digest, Holder, HostText, Outcome, Plan, Receipt, RunEvent, RunPhase};
use provision_core::plan::Undo;

use crate::armed::armed;
use crate::generations::{self, GenerationError};
use crate::journal::{self, Journal, JournalError};
use crate::layout::Layout;
use crate::lock::{self, Attempt, Lock, LockError};
use crate::own_files::{self, OwnFileError};
use crate::run::{forget_values, log};
use crate::staging::{self, StageError};
use crate::start::{self, StartError};
use crate::words::chain;

pub(crate) use arm::{arm, disarm};
pub(crate) use decision::{DecisionError, decide, read as decided};

/// How often the one who waits looks whether somebody has decided.
const PAUSE: Duration = Duration::from_millis(20);

/// When something is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// While the host runs.
    Running,
    /// While it boots: units come up later, by themselves, and nothing may wait for them.
    Boot,
}

/// Why a run could not be brought to its end. The next boot, or the next run, tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuardError {
    /// The journal cannot be used.
    #[error("cannot keep the journal")]
    Journal(#[source] JournalError),
    /// The records cannot be used.
    #[error("cannot use the host's records")]
    Generations(#[source] GenerationError),
    /// The staged plan cannot be read.
    #[error("cannot read the plan of the run")]
    Plan(#[source] StageError),
    /// The agent's own files cannot be used.
    #[error("cannot use the agent's own files")]
    Own(#[source] OwnFileError),
    /// It cannot be decided.
    #[error("cannot decide")]
    Decision(#[source] DecisionError),
    /// The lock cannot be used.
    #[error("cannot take the host's lock")]
    Lock(#[source] LockError),
    /// The runner cannot be waited for.
    #[error("cannot wait for the runner")]
    Wait(#[source] io::Error),
    /// What packages' own programs do cannot be put off.
    #[error("cannot start what goes on after boot")]
    Later(#[source] StartError),
}

/// Waits for the decision, and decides at the deadline.
///
/// # Errors
/// [`DecisionError`].
pub(crate) fn wait(layout: &Layout, plan_id: &Digest, within: Duration) -> Result<Decision, DecisionError> {
    let until = Instant::now() + within;
    loop {
        if let Some(decision) = decided(layout, plan_id)? {
            return Ok(decision);
        }
        if Instant::now() >= until {
            return decide(layout, plan_id, Decision::Undone);
        }
        thread::sleep(PAUSE);
    }
}

/// Waits until a run's process is gone, and brings to an end what it left.
///
/// # Errors
/// [`GuardError`].
pub(crate) fn watch(layout: &Layout, plan_id: Digest) -> Result<(), GuardError> {
    loop {
        wait_for_writer(layout, &plan_id).map_err(GuardError::Wait)?;
        let opened = Journal::open(&layout.run(&plan_id).journal()).map_err(GuardError::Journal)?;
        let Some((mut journal, events)) = opened else { continue };
        let _lock = take_lock(layout, plan_id)?;
        if !generations::is_final(&events) {
            start::end_remains(&plan_id);
        }
        return resolve(layout, plan_id, &mut journal, &events, When::Running);
    }
}

/// Undoes, while the host boots, the run that it is armed for.
///
/// # Errors
/// [`GuardError`].
pub(crate) fn recover(layout: &Layout) -> Result<(), GuardError> {
    let Some(plan_id) = armed(layout).map_err(GuardError::Own)? else {
        return Ok(());
    };
    let opened = Journal::open(&layout.run(&plan_id).journal()).map_err(GuardError::Journal)?;
    let Some((mut journal, events)) = opened else {
        return Ok(());
    };
    let _lock = take_lock(layout, plan_id)?;
    resolve(layout, plan_id, &mut journal, &events, When::Boot)
}

/// Brings an earlier run that nobody has decided about to its end, before another one begins under the lock that the caller
/// holds. `false` says that somebody else is at it.
///
/// # Errors
/// [`GuardError`].
pub(crate) fn settle_earlier(layout: &Layout, ours: &Digest) -> Result<bool, GuardError> {
    let Some(plan_id) = armed(layout)
        .map_err(GuardError::Own)?
        .filter(|plan_id| plan_id != ours)
    else {
        return Ok(true);
    };
    match Journal::open(&layout.run(&plan_id).journal()).map_err(GuardError::Journal)? {
        Some((mut journal, events)) => resolve(layout, plan_id, &mut journal, &events, When::Running).map(|()| true),
        None => Ok(false),
    }
}

/// Goes on with a run of this very plan that died, under the lock that the caller holds.
///
/// # Errors
/// [`GuardError`].
pub(crate) fn resume(layout: &Layout, plan_id: Digest, journal: &mut Journal) -> Result<(), GuardError> {
    let events = journal::read(&layout.run(&plan_id).journal()).map_err(GuardError::Journal)?;
    resolve(layout, plan_id, journal, &events, When::Running)
}

fn wait_for_writer(layout: &Layout, plan_id: &Digest) -> io::Result<()> {
    match File::open(layout.run(plan_id).journal()) {
        Ok(file) => loop {
            match rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        },
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The host's lock, however long somebody glances at it: no other run begins as long as the host is armed.
fn take_lock(layout: &Layout, plan_id: Digest) -> Result<Lock, GuardError> {
    let about = staging::about(layout, &plan_id);
    let who = about.and_then(|about| about.by.get("who").cloned());
    let ours = Holder {
        who: who.unwrap_or_else(|| HostText::from("the host itself")),
        since: own_files::seconds(SystemTime::now()),
        plan_id,
        pid: std::process::id(),
    };
    loop {
        match lock::take(&layout.lock(), &ours).map_err(GuardError::Lock)? {
            Attempt::Taken(lock) => return Ok(lock),
            Attempt::Held(_) => thread::sleep(PAUSE),
        }
    }
}

/// Brings a run whose process is gone to its end: what was confirmed stays, all else is undone.
fn resolve(
    layout: &Layout,
    plan_id: Digest,
    journal: &mut Journal,
    events: &[RunEvent],
    when: When,
) -> Result<(), GuardError> {
    if generations::changed_something(events) && !generations::is_final(events) {
        let plan = staging::load(layout, &plan_id).map_err(GuardError::Plan)?;
        let decision = decide(layout, &plan_id, Decision::Undone).map_err(GuardError::Decision)?;
        let ended = match decision {
            Decision::Confirmed => keep(layout, plan_id, &plan, journal, events)?,
            Decision::Undone => roll_back(layout, plan_id, &plan, journal, when)?,
        };
        if !ended {
            // The rest is for when the host is up; until then it stays armed.
            let program = std::fs::read_link("/proc/self/exe").map_err(GuardError::Wait)?;
            return start::watch_later(&plan_id, program).map_err(GuardError::Later);
        }
    }
    disarm(layout, &plan_id).map_err(GuardError::Own)
}

/// Records a run that was confirmed and died before it could do that itself.
fn keep(
    layout: &Layout,
    plan_id: Digest,
    plan: &Plan,
    journal: &mut Journal,
    events: &[RunEvent],
) -> Result<bool, GuardError> {
    let mut receipt = generations::receipt_of_own(layout, plan_id, plan).map_err(GuardError::Generations)?;
    if events.contains(&RunEvent::Phase(RunPhase::Switched)) {
        receipt.outcome = Outcome::Confirmed;
    } else if events.iter().any(|event| matches!(event, RunEvent::StepFailed { .. })) {
        receipt.outcome = Outcome::Failed;
    }
    finish(layout, plan, &receipt, journal)
}

/// Undoes a run and records that; `false` where something is left for when the host is up.
pub(crate) fn roll_back(
    layout: &Layout,
    plan_id: Digest,
    plan: &Plan,
    journal: &mut Journal,
    when: When,
) -> Result<bool, GuardError> {
    let recorded = generations::recorded(layout).map_err(GuardError::Generations)?;
    if let Some(receipt) = recorded.filter(|receipt| receipt.plan_id == plan_id) {
        // It died right after recording it.
        return finish(layout, plan, &receipt, journal);
    }
    journal
        .write(&RunEvent::Phase(RunPhase::RollingBack))
        .map_err(GuardError::Journal)?;
    let left = generations::receipt_of_own(layout, plan_id, plan).map_err(GuardError::Generations)?;
    let base = generations::recorded(layout).map_err(GuardError::Generations)?;
    let found = own_files::read_json(&layout.run(&plan_id).replaced()).map_err(GuardError::Own)?;
    let run = Undo {
        run: plan,
        base: base.as_ref(),
        found: &found,
    };
    let (not_undone, later) = undo::undo(layout, &run, when);
    if later {
        return Ok(false);
    }
    let mut receipt = Receipt {
        outcome: Outcome::RolledBack,
        entries: base.as_ref().map(|base| base.entries.clone()).unwrap_or_default(),
        pending: base.map(|base| base.pending).unwrap_or_default(),
        ..left.clone()
    };
    for id in not_undone.keys() {
        if let Some(entry) = left.entries.get(id) {
            receipt.entries.insert(id.clone(), entry.clone());
        }
    }
    if !not_undone.is_empty() {
        journal
            .write(&RunEvent::NotUndone(not_undone))
            .map_err(GuardError::Journal)?;
    }
    finish(layout, plan, &receipt, journal)
}

/// Records the generation and gives the run its verdict.
fn finish(layout: &Layout, plan: &Plan, receipt: &Receipt, journal: &mut Journal) -> Result<bool, GuardError> {
    let recorded = generations::recorded(layout).map_err(GuardError::Generations)?;
    forget_values(plan);
    if recorded
        .as_ref()
        .is_none_or(|recorded| recorded.plan_id != receipt.plan_id)
    {
        if let Err(error) = generations::keep_applied(layout, receipt, &plan.blobs) {
            log(&format!("cannot keep contents: {}", chain(&error).untrusted()));
        }
        generations::record(layout, receipt).map_err(GuardError::Generations)?;
    }
    disarm(layout, &receipt.plan_id).map_err(GuardError::Own)?;
    let phase = RunEvent::Phase(generations::final_phase(receipt.outcome));
    journal.write(&phase).map_err(GuardError::Journal)?;
    if let Err(error) = generations::drop_plan(layout, &receipt.plan_id) {
        log(&format!("cannot remove the plan: {}", chain(&error).untrusted()));
    }
    Ok(true)
}

/// Whether a run waits for a confirmation at this moment, or has been decided about already.
///
/// # Errors
/// [`JournalError`].
pub(crate) fn is_waiting(layout: &Layout, plan_id: &Digest) -> Result<bool, JournalError> {
    let events = journal::read(&layout.run(plan_id).journal())?;
    Ok(events.contains(&RunEvent::Phase(RunPhase::Unconfirmed)))
}
