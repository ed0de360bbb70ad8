//! Generations as they are told: all of them in short, and one of them with what has changed since. It reads and decides
//! nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use provision_core::model::{DiskUse, Generation, GenerationCounts, History, Past, Receipt, ResourceId, State};

use super::{GenerationError, load, numbers, replaced};
use crate::layout::Layout;
use crate::own_files;

/// All generations, the newest first, and what they take on the disk.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn history(layout: &Layout) -> Result<History, GenerationError> {
    let mut generations = Vec::new();
    for receipt in receipts(layout)? {
        let replaced = replaced::of(layout, &receipt)?;
        generations.push(Generation {
            number: receipt.generation,
            at: receipt.at,
            counts: counts(&receipt, &replaced),
            resources: receipt.entries.len(),
            plan_id: receipt.plan_id,
            outcome: receipt.outcome,
            by: receipt.by,
        });
    }
    Ok(History {
        generations,
        disk: DiskUse {
            generations: size(&layout.generations()),
            contents: size(&layout.store()),
            runs: size(&layout.runs()),
        },
    })
}

/// One generation: that number, or by default the one before the newest. `None` where it is not kept. Generation 0 is the host
/// before the first one.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn past(layout: &Layout, number: Option<u64>) -> Result<Option<Past>, GenerationError> {
    let all = receipts(layout)?;
    let Some(newest) = all.first().map(|receipt| receipt.generation) else {
        return Ok(None);
    };
    let number = number.unwrap_or(newest.saturating_sub(1));
    let mut since = BTreeMap::new();
    let mut receipt = None;
    for found in all {
        if found.generation == number {
            receipt = Some(found);
        } else if found.generation > number {
            // From the newest to the oldest: what was replaced first is what was there then.
            since.extend(replaced::of(layout, &found)?);
        }
    }
    if receipt.is_none() && number != 0 {
        return Ok(None);
    }
    Ok(Some(Past { number, receipt, since }))
}

/// The recorded receipts, and that which the dead run will leave, the newest first.
fn receipts(layout: &Layout) -> Result<Vec<Receipt>, GenerationError> {
    let Some(newest) = load(layout)?.receipt else {
        return Ok(Vec::new());
    };
    let mut numbers = numbers(layout)?;
    numbers.retain(|number| *number < newest.generation);
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let mut receipts = vec![newest];
    for number in numbers {
        receipts.push(own_files::read_json(&layout.receipt(number)).map_err(GenerationError::Own)?);
    }
    Ok(receipts)
}

fn counts(receipt: &Receipt, replaced: &BTreeMap<ResourceId, State>) -> GenerationCounts {
    let mut counts = GenerationCounts::default();
    for (id, before) in replaced {
        let count = match (before.is_absent(), receipt.entries.contains_key(id)) {
            (true, true) => &mut counts.created,
            (false, true) => &mut counts.changed,
            (_, false) => &mut counts.removed,
        };
        *count += 1;
    }
    counts
}

/// What lies below a directory, in bytes as the disk counts them. What goes away meanwhile counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let own = meta.blocks() * 512;
    let Ok(entries) = fs::read_dir(path) else { return own };
    let below = entries.flatten().map(|entry| size(&entry.path()));
    own + below.sum::<u64>()
}
