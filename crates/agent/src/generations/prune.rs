//! What is kept of old generations and runs, and for how long. The newest generation and the one before it are never touched.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use provision_core::model::{Digest, Receipt};

use super::{GenerationError, changed_something, is_final, runs, store};
use crate::journal;
use crate::layout::Layout;
use crate::own_files;

/// How many generations are kept: a year of weekly applies.
pub(crate) const GENERATIONS: usize = 50;

/// How old a generation may become.
const AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How many bytes of files' contents are kept, in all.
pub(crate) const CONTENTS_BYTES: u64 = 256 << 20;

/// How many runs are kept, for whoever attaches late.
const RUNS: usize = 20;

/// These are kept whatever their age and size: the newest generation, and the one that a rollback leads to.
const ALWAYS: usize = 2;

/// Removes generations, runs and contents that nothing needs any more. `now` is the host's clock.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn prune(layout: &Layout, newest: &Receipt, now: SystemTime) -> Result<(), GenerationError> {
    let kept = prune_generations(layout, newest, now)?;
    let needed = kept.iter().flat_map(store::contents).map(|content| content.sha256);
    store::sweep(layout, &needed.collect())?;
    prune_runs(layout, &kept)
}

/// The receipts that are kept, newest first.
fn prune_generations(layout: &Layout, newest: &Receipt, now: SystemTime) -> Result<Vec<Receipt>, GenerationError> {
    let mut numbers: Vec<u64> = super::numbers(layout)?;
    numbers.retain(|number| *number <= newest.generation);
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let oldest = own_files::seconds(now).saturating_sub(AGE.as_secs());
    let mut kept: Vec<Receipt> = Vec::new();
    let mut contents: BTreeSet<Digest> = BTreeSet::new();
    let mut bytes: u64 = 0;
    let mut numbers = numbers.into_iter();
    // Once one goes, all older ones go: what a generation was can only be told from those after it.
    let first_gone = numbers.by_ref().find_map(|number| {
        let receipt: Receipt = match own_files::read_json(&layout.receipt(number)) {
            Ok(receipt) => receipt,
            Err(error) => return Some(Err(GenerationError::Own(error))),
        };
        for content in store::contents(&receipt) {
            if contents.insert(content.sha256) {
                bytes = bytes.saturating_add(content.size);
            }
        }
        let fits = kept.len() < GENERATIONS && receipt.at >= oldest && bytes <= CONTENTS_BYTES;
        if kept.len() >= ALWAYS && !fits {
            return Some(Ok(number));
        }
        kept.push(receipt);
        None
    });
    for number in first_gone.transpose()?.into_iter().chain(numbers) {
        own_files::remove_tree(&layout.generation(number)).map_err(GenerationError::Own)?;
    }
    Ok(kept)
}

fn prune_runs(layout: &Layout, kept: &[Receipt]) -> Result<(), GenerationError> {
    let mut runs: Vec<(SystemTime, Digest)> = runs(layout)?
        .into_iter()
        .map(|plan| (own_files::modification(&layout.run(&plan).about()), plan))
        .collect();
    runs.sort_unstable_by(|a, b| b.cmp(a));
    for (place, (_, plan)) in runs.into_iter().enumerate() {
        let run = layout.run(&plan);
        let has_plan = run.plan().exists();
        if place < RUNS && !has_plan {
            continue;
        }
        let events = journal::read(&run.journal()).map_err(GenerationError::Journal)?;
        let written = journal::is_written(&run.journal()).map_err(GenerationError::Journal)?;
        let needed = kept.iter().take(ALWAYS).any(|receipt| receipt.plan_id == plan);
        let unfinished = changed_something(&events) && !is_final(&events);
        if written || unfinished {
            continue;
        }
        if place >= RUNS && !needed {
            own_files::remove_tree(run.root()).map_err(GenerationError::Own)?;
        } else if has_plan && is_final(&events) {
            drop_plan(layout, &plan)?;
        }
    }
    Ok(())
}

/// Removes the plan of a run that has its verdict: nobody executes it again, and it holds the content of files.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn drop_plan(layout: &Layout, plan_id: &Digest) -> Result<(), GenerationError> {
    own_files::remove_file(&layout.run(plan_id).plan()).map_err(GenerationError::Own)
}
