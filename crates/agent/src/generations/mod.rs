//! Generations on disk: receipts, originals, and what a run that died left for the next. Reading them writes nothing;
//! it does not execute steps, and it takes no lock.

mod history;
mod merge;
mod prune;
mod replaced;
mod store;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::armed::is_armed_for;
use crate::journal::{self, JournalError};
use crate::layout::Layout;
use crate::originals;
use crate::own_files::{self, OwnFileError};
use crate::staging::{self, StageError};
use provision_core::model::{Digest, Outcome, Plan, Receipt, RunEvent, RunPhase};

pub(crate) use history::{history, past};
pub(crate) use merge::{Merge, applier, entry, merge};
pub(crate) use prune::{drop_plan, prune};
pub(crate) use replaced::note as note_replaced;
pub(crate) use store::{CONTENT_BYTES, keep, keep_applied, keep_brought, read as read_contents};

/// Why generations cannot be read or recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerationError {
    /// One of the agent's own files cannot be used.
    #[error("cannot use the records of what was applied")]
    Own(#[source] OwnFileError),
    /// The link to the newest generation leads elsewhere.
    #[error("{} leads to {target:?}, which is no generation", path.display())]
    Astray {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The journal of a run cannot be used.
    #[error("cannot read what a run did")]
    Journal(#[source] JournalError),
    /// The plan of a run that died cannot be read.
    #[error("cannot read the plan of the interrupted run {}", plan_id.short())]
    Plan {
        /// The plan.
        plan_id: Digest,
        #[source]
        source: StageError,
    },
}

/// How a host stands by its own records.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The newest receipt: the recorded one, or the one that the dead run will leave.
    pub(crate) receipt: Option<Receipt>,
    /// The plan of the run that died, where its generation is not recorded yet.
    pub(crate) dead: Option<Plan>,
}

/// Reads how the host stands. A run that died counts as the generation that the next runner will record for it,
/// so that a plan made from this reading fits. Nothing is written.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn load(layout: &Layout) -> Result<Standing, GenerationError> {
    let recorded = recorded(layout)?;
    for plan_id in runs(layout)? {
        // One that has its verdict no longer has its plan, and its journal need not be read.
        let over = !layout.run(&plan_id).plan().exists();
        if over || recorded.as_ref().is_some_and(|receipt| receipt.plan_id == plan_id) {
            continue;
        }
        let Some(events) = dead_events(layout, &plan_id)? else {
            continue;
        };
        let plan = staging::load(layout, &plan_id).map_err(|source| GenerationError::Plan { plan_id, source })?;
        let receipt = interrupted(layout, recorded.as_ref(), plan_id, &plan, &events)?;
        return Ok(Standing {
            receipt: Some(receipt),
            dead: Some(plan),
        });
    }
    Ok(Standing {
        receipt: recorded,
        dead: None,
    })
}

/// The receipt that a run leaves which died, and whose journal is open in this very process. It is the recorded one where
/// the run died right after recording it.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn receipt_of_own(layout: &Layout, plan_id: Digest, plan: &Plan) -> Result<Receipt, GenerationError> {
    let recorded = recorded(layout)?;
    match recorded {
        Some(receipt) if receipt.plan_id == plan_id => Ok(receipt),
        previous => {
            let events = journal::read(&layout.run(&plan_id).journal()).map_err(GenerationError::Journal)?;
            interrupted(layout, previous.as_ref(), plan_id, plan, &events)
        }
    }
}

fn interrupted(
    layout: &Layout,
    previous: Option<&Receipt>,
    plan_id: Digest,
    plan: &Plan,
    events: &[RunEvent],
) -> Result<Receipt, GenerationError> {
    let run = layout.run(&plan_id);
    let originals = originals::read(&run.originals()).map_err(GenerationError::Journal)?;
    let done = merge::done(events);
    Ok(merge(&Merge {
        previous,
        plan,
        plan_id,
        done: &done,
        begun: &merge::begun(&done, originals),
        complete: events.contains(&RunEvent::Phase(RunPhase::Switched)),
        outcome: Outcome::Interrupted,
        at: own_files::seconds(own_files::modification(&run.journal())),
    }))
}

/// The newest recorded receipt.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn recorded(layout: &Layout) -> Result<Option<Receipt>, GenerationError> {
    let link = layout.current();
    let target = match fs::read_link(&link) {
        Ok(target) => target,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(GenerationError::Own(OwnFileError::Read { path: link, source })),
    };
    let number = target
        .strip_prefix("generations")
        .ok()
        .and_then(|name| name.to_str()?.parse().ok());
    match number {
        Some(number) => own_files::read_json(&layout.receipt(number))
            .map(Some)
            .map_err(GenerationError::Own),
        None => Err(GenerationError::Astray { path: link, target }),
    }
}

/// The receipt that the run of that plan recorded, where it is still kept.
///
/// # Errors
/// [`GenerationError`] where a receipt cannot be read.
pub(crate) fn made_by(layout: &Layout, plan_id: &Digest) -> Result<Option<Receipt>, GenerationError> {
    for number in numbers(layout)? {
        let receipt: Receipt = own_files::read_json(&layout.receipt(number)).map_err(GenerationError::Own)?;
        if receipt.plan_id == *plan_id {
            return Ok(Some(receipt));
        }
    }
    Ok(None)
}

/// The events of a run that changed something, is not final, and that nobody carries on.
fn dead_events(layout: &Layout, plan_id: &Digest) -> Result<Option<Vec<RunEvent>>, GenerationError> {
    let path = layout.run(plan_id).journal();
    let alive = || journal::is_written(&path).map_err(GenerationError::Journal);
    if alive()? {
        return Ok(None);
    }
    let events = journal::read(&path).map_err(GenerationError::Journal)?;
    // Asked again: it might have been started between the first question and the reading.
    // One that the host undoes has somebody to do that.
    let dead = changed_something(&events) && !is_final(&events) && !is_armed_for(layout, plan_id) && !alive()?;
    Ok(dead.then_some(events))
}

/// Whether a run got as far as its first step.
pub(crate) fn changed_something(events: &[RunEvent]) -> bool {
    events.contains(&RunEvent::Phase(RunPhase::Switching))
}

/// Whether a run has its verdict.
pub(crate) fn is_final(events: &[RunEvent]) -> bool {
    journal::phase(events).is_some_and(RunPhase::is_final)
}

/// The phase that a recorded outcome ends a run with.
pub(crate) const fn final_phase(outcome: Outcome) -> RunPhase {
    match outcome {
        Outcome::Confirmed => RunPhase::Confirmed,
        Outcome::Failed => RunPhase::Failed,
        Outcome::Interrupted => RunPhase::Interrupted,
        Outcome::RolledBack => RunPhase::RolledBack,
    }
}

/// Every run on this host.
pub(crate) fn runs(layout: &Layout) -> Result<Vec<Digest>, GenerationError> {
    let names = own_files::names(&layout.runs()).map_err(GenerationError::Own)?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// The numbers of the recorded generations.
fn numbers(layout: &Layout) -> Result<Vec<u64>, GenerationError> {
    let names = own_files::names(&layout.generations()).map_err(GenerationError::Own)?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Records a receipt as the newest generation. When this returns, it is on the disk.
///
/// # Errors
/// [`GenerationError`]; the newest generation is then the one before, or this one, and never anything else.
pub(crate) fn record(layout: &Layout, receipt: &Receipt) -> Result<(), GenerationError> {
    let number = receipt.generation;
    own_files::make_directory(&layout.generations())
        .and_then(|()| own_files::make_directory(&layout.generation(number)))
        .map_err(GenerationError::Own)?;
    replaced::hand_over(layout, receipt)?;
    own_files::write_json(&layout.receipt(number), receipt)
        .and_then(|()| own_files::make_symlink(&layout.current(), &format!("generations/{number}")))
        .map_err(GenerationError::Own)
}
