//! The receipt that a run leaves, from what it planned, what it did and what was there before. It reads and writes no file.

use std::collections::BTreeMap;

use provision_core::model::{
    Applier, Digest, Entry, HostText, Outcome, Plan, PlannedEntry, Receipt, ResourceId, RunEvent, State,
};

/// Who applies, in the receipt's form.
pub(crate) fn applier(by: &Applier) -> BTreeMap<String, HostText> {
    let mut fields = BTreeMap::from([
        ("who".to_owned(), HostText::new(&by.who)),
        ("version".to_owned(), HostText::new(&by.version)),
    ]);
    if let Some(commit) = &by.commit {
        fields.insert("commit".to_owned(), HostText::new(commit));
    }
    if let Some(to) = by.rollback_to {
        fields.insert("rollback_to".to_owned(), HostText::new(to.to_string()));
    }
    fields
}

/// What a run did, and what was there before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge<'a> {
    /// The receipt before it.
    pub(crate) previous: Option<&'a Receipt>,
    /// Its plan.
    pub(crate) plan: &'a Plan,
    /// Its plan's id.
    pub(crate) plan_id: Digest,
    /// The entries of the steps that were done; `None` for what left the receipt.
    pub(crate) done: &'a BTreeMap<ResourceId, Option<Entry>>,
    /// What was there before a step that changed it, or may have, and was not finished.
    pub(crate) begun: &'a BTreeMap<ResourceId, State>,
    /// Whether every step was done.
    pub(crate) complete: bool,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
}

/// The receipt that a run leaves.
pub(crate) fn merge(run: &Merge<'_>) -> Receipt {
    let Merge {
        previous, plan, done, ..
    } = run;
    let mut entries = previous.map(|receipt| receipt.entries.clone()).unwrap_or_default();
    for (id, state) in run.begun {
        match (entries.get_mut(id), plan.entries.get(id)) {
            // The step may have changed it or not; either way this is what was there before us.
            (Some(entry), _) => _ = entry.original.get_or_insert_with(|| state.clone()),
            (None, Some(planned)) => {
                let mut entry = entry(planned, Some(state.clone()));
                // Whatever it was started with is not known, so a restart is due.
                entry.trigger = None;
                entries.insert(id.clone(), entry);
            }
            (None, None) => {}
        }
    }
    for (id, change) in *done {
        match change {
            Some(entry) => entries.insert(id.clone(), entry.clone()),
            None => entries.remove(id),
        };
    }
    if run.complete {
        entries.retain(|id, _| plan.entries.contains_key(id));
        for (id, planned) in &plan.entries {
            if !done.contains_key(id) {
                let original = entries.get(id).and_then(|entry| entry.original.clone());
                entries.insert(id.clone(), entry(planned, original));
            }
        }
    }
    let mut pending = plan.pending.clone();
    if !run.complete {
        pending.extend(previous.iter().flat_map(|receipt| receipt.pending.iter().cloned()));
    }
    pending.retain(|id| !done.contains_key(id));
    Receipt {
        generation: previous.map_or(0, |receipt| receipt.generation) + 1,
        plan_id: run.plan_id,
        at: run.at,
        by: applier(&plan.by),
        outcome: run.outcome,
        entries,
        pending,
    }
}

/// The receipt's entry of a resource that is as it was planned.
pub(crate) fn entry(planned: &PlannedEntry, original: Option<State>) -> Entry {
    Entry {
        spec: planned.spec.clone(),
        depends: planned.depends.clone(),
        original,
        trigger: planned.trigger,
        on_removal: planned.on_removal,
    }
}

/// All entries that a journal's finished steps left.
pub(super) fn done(events: &[RunEvent]) -> BTreeMap<ResourceId, Option<Entry>> {
    let mut all = BTreeMap::new();
    for event in events {
        if let RunEvent::Done { entries, .. } = event {
            all.extend(entries.clone());
        }
    }
    all
}

/// The originals of what no finished step accounts for.
pub(super) fn begun(
    done: &BTreeMap<ResourceId, Option<Entry>>,
    originals: BTreeMap<ResourceId, State>,
) -> BTreeMap<ResourceId, State> {
    originals.into_iter().filter(|(id, _)| !done.contains_key(id)).collect()
}
