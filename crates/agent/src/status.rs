//! Runs as `status` tells them, from their journals. It reads no plan, and it writes nothing.

use provision_core::model::{Digest, HostText, Receipt, RunEvent, RunPhase, RunSummary, StepError};

use crate::armed::is_armed_for;
use crate::generations::{self, GenerationError};
use crate::journal;
use crate::layout::Layout;
use crate::own_files;
use crate::staging;

/// The newest run; `receipt` is the newest, with what a dead run left merged into it.
///
/// # Errors
/// [`GenerationError`] where a run cannot be read.
pub(crate) fn last_run(layout: &Layout, receipt: Option<&Receipt>) -> Result<Option<RunSummary>, GenerationError> {
    let newest = generations::runs(layout)?
        .into_iter()
        .max_by_key(|plan| own_files::modification(&layout.run(plan).about()));
    newest.map(|plan| summary(layout, plan, receipt)).transpose()
}

/// One run, with the generation that it made, though others may have been made since; `None` where there is no such run.
///
/// # Errors
/// [`GenerationError`] where it cannot be read.
pub(crate) fn run(
    layout: &Layout,
    plan_id: Digest,
    newest: Option<Receipt>,
) -> Result<Option<RunSummary>, GenerationError> {
    if !layout.run(&plan_id).root().is_dir() {
        return Ok(None);
    }
    let made = match newest.filter(|receipt| receipt.plan_id == plan_id) {
        Some(receipt) => Some(receipt),
        None => generations::made_by(layout, &plan_id)?,
    };
    summary(layout, plan_id, made.as_ref()).map(Some)
}

fn summary(layout: &Layout, plan_id: Digest, receipt: Option<&Receipt>) -> Result<RunSummary, GenerationError> {
    let run = layout.run(&plan_id);
    // A run that was staged only in part has no such file.
    let about = staging::about(layout, &plan_id);
    let (by, started) = about.map_or_else(Default::default, |about| (about.by, about.started));
    let written = journal::is_written(&run.journal()).map_err(GenerationError::Journal)?;
    let events = journal::read(&run.journal()).map_err(GenerationError::Journal)?;
    let made = receipt.filter(|receipt| receipt.plan_id == plan_id);
    let phase = match (journal::phase(&events), made) {
        (Some(phase), _) if phase.is_final() || written || is_armed_for(layout, &plan_id) => phase,
        (None, _) if written => RunPhase::Staged,
        (_, Some(receipt)) => generations::final_phase(receipt.outcome),
        (_, None) => RunPhase::Interrupted,
    };
    Ok(RunSummary {
        plan_id,
        by,
        started,
        phase,
        generation: made.map(|receipt| receipt.generation),
        outcome: made.map(|receipt| receipt.outcome),
        error: events.iter().rev().find_map(error),
    })
}

fn error(event: &RunEvent) -> Option<StepError> {
    let problem = match event {
        RunEvent::StepFailed { error, .. } => return Some(error.clone()),
        RunEvent::Error(problem) => problem.clone(),
        RunEvent::Moved(moved) => {
            let ids: Vec<_> = moved.keys().map(ToString::to_string).collect();
            HostText::new(format!("no longer as the plan saw them: {}", ids.join(", ")))
        }
        RunEvent::StaleGeneration { planned, found } => HostText::new(format!(
            "the plan was made on generation {planned}, and the host has {found}"
        )),
        RunEvent::Locked(holder) => HostText::new(format!("{} was applying", holder.who.untrusted())),
        RunEvent::Phase(_)
        | RunEvent::Waiting { .. }
        | RunEvent::Started { .. }
        | RunEvent::Output { .. }
        | RunEvent::NotUndone(_)
        | RunEvent::Done { .. } => return None,
    };
    Some(StepError {
        problem,
        output: Vec::new(),
        fix: None,
    })
}
