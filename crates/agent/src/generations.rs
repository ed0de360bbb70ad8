//! Generations on disk: receipts, originals, and what a run that died left for the next. Reading them writes nothing;
//! it does not execute steps, and it takes no lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::disk;
use crate::journal::{self, JournalError};
use crate::layout::Layout;
use crate::originals;
use crate::own_files::{self, OwnFileError};
use crate::staging::{self, StageError};
use provision_core::model::{
    Applier, Digest, Entry, HostText, Outcome, PathState, Plan, PlannedEntry, Receipt, ResourceId, RunEvent, RunPhase,
    State,
};

/// How many generations and runs are kept. Every one of them can be shown; the newest two can be rolled back between.
const KEPT: usize = 20;

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
        if recorded.as_ref().is_some_and(|receipt| receipt.plan_id == plan_id) {
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
    let done = done(events);
    Ok(merge(&Merge {
        previous,
        plan,
        plan_id,
        done: &done,
        begun: &begun(&done, originals),
        complete: journal::phase(events) == Some(RunPhase::Switched),
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
    for name in own_files::names(&layout.generations()).map_err(GenerationError::Own)? {
        let Ok(number) = name.parse() else { continue };
        let receipt: Receipt = own_files::read_json(&layout.receipt(number)).map_err(GenerationError::Own)?;
        if receipt.plan_id == *plan_id {
            return Ok(Some(receipt));
        }
    }
    Ok(None)
}

/// Who applies, in the receipt's form.
pub(crate) fn applier(by: &Applier) -> BTreeMap<String, HostText> {
    let mut fields = BTreeMap::from([
        ("who".to_owned(), HostText::new(&by.who)),
        ("version".to_owned(), HostText::new(&by.version)),
    ]);
    if let Some(commit) = &by.commit {
        fields.insert("commit".to_owned(), HostText::new(commit));
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
fn done(events: &[RunEvent]) -> BTreeMap<ResourceId, Option<Entry>> {
    let mut all = BTreeMap::new();
    for event in events {
        if let RunEvent::Done { entries, .. } = event {
            all.extend(entries.clone());
        }
    }
    all
}

/// The originals of what no finished step accounts for.
fn begun(
    done: &BTreeMap<ResourceId, Option<Entry>>,
    originals: BTreeMap<ResourceId, State>,
) -> BTreeMap<ResourceId, State> {
    originals.into_iter().filter(|(id, _)| !done.contains_key(id)).collect()
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
    let dead = changed_something(&events) && !is_final(&events) && !alive()?;
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
    }
}

/// Every run on this host.
pub(crate) fn runs(layout: &Layout) -> Result<Vec<Digest>, GenerationError> {
    let names = own_files::names(&layout.runs()).map_err(GenerationError::Own)?;
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
        .and_then(|()| own_files::write_json(&layout.receipt(number), receipt))
        .and_then(|()| own_files::make_symlink(&layout.current(), &format!("generations/{number}")))
        .map_err(GenerationError::Own)
}

/// Keeps the bytes of a file that is about to be replaced.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn store(layout: &Layout, content: &Digest, bytes: &[u8]) -> Result<(), GenerationError> {
    let path = layout.stored(content);
    // It got its name when it was whole.
    if path.exists() {
        return Ok(());
    }
    own_files::make_directory(&layout.store())
        .and_then(|()| disk::write_state(&path, bytes).map_err(OwnFileError::Write))
        .map_err(GenerationError::Own)
}

/// Removes generations, runs and stored originals that nothing needs any more. The newest generation, the one before
/// it, and runs that are not final stay in any case.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn prune(layout: &Layout, newest: &Receipt) -> Result<(), GenerationError> {
    let kept = prune_generations(layout, newest).map_err(GenerationError::Own)?;
    prune_store(layout, &kept).map_err(GenerationError::Own)?;

    let mut runs: Vec<(SystemTime, Digest)> = runs(layout)?
        .into_iter()
        .map(|plan| (own_files::modification(&layout.run(&plan).about()), plan))
        .collect();
    runs.sort_unstable_by(|a, b| b.cmp(a));
    for (_, plan) in runs.into_iter().skip(KEPT) {
        let journal = layout.run(&plan).journal();
        let events = journal::read(&journal).map_err(GenerationError::Journal)?;
        let written = journal::is_written(&journal).map_err(GenerationError::Journal)?;
        let needed = kept.iter().take(2).any(|receipt| receipt.plan_id == plan);
        let unfinished = changed_something(&events) && !is_final(&events);
        if !written && !needed && !unfinished {
            own_files::remove_tree(layout.run(&plan).root()).map_err(GenerationError::Own)?;
        }
    }
    Ok(())
}

/// The receipts that are kept, newest first.
fn prune_generations(layout: &Layout, newest: &Receipt) -> Result<Vec<Receipt>, OwnFileError> {
    let mut numbers: Vec<u64> = own_files::names(&layout.generations())?
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|number| *number <= newest.generation)
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let (kept, old) = numbers.split_at(numbers.len().min(KEPT));
    for number in old {
        own_files::remove_tree(&layout.generation(*number))?;
    }
    kept.iter()
        .map(|number| own_files::read_json(&layout.receipt(*number)))
        .collect()
}

fn prune_store(layout: &Layout, kept: &[Receipt]) -> Result<(), OwnFileError> {
    let entries = kept.iter().flat_map(|receipt| receipt.entries.values());
    let originals: BTreeSet<Digest> = entries.filter_map(original_content).collect();
    for name in own_files::names(&layout.store())? {
        if name.parse().is_ok_and(|digest: Digest| !originals.contains(&digest)) {
            own_files::remove_file(&layout.store().join(name))?;
        }
    }
    Ok(())
}

fn original_content(entry: &Entry) -> Option<Digest> {
    match &entry.original {
        Some(State::Path(PathState::File { content, .. })) => Some(content.sha256),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use provision_core::model::{
        Blob, Content, HostName, Millis, Mode, OnChange, Op, Owner, PLAN_FORMAT, Spec, Step, SysctlSpec, SysctlState,
        UnitName, UnitSpec,
    };

    use super::*;
    use crate::journal::Journal;
    use crate::testing::Scratch;

    fn unit(name: &str) -> Spec {
        Spec::Unit(UnitSpec {
            name: UnitName::new(name).unwrap(),
            enabled: None,
            active: Some(true),
            on_change: OnChange::Restart,
            settle: Millis(0),
        })
    }

    fn sysctl(key: &str, value: &str) -> Spec {
        Spec::Sysctl(SysctlSpec {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }

    fn live(value: &str) -> State {
        State::Sysctl(SysctlState::Live(value.into()))
    }

    fn planned(spec: Spec, trigger: Option<&str>) -> (ResourceId, PlannedEntry) {
        let entry = PlannedEntry {
            depends: Vec::new(),
            trigger: trigger.map(|text| Digest::of(text.as_bytes())),
            spec,
            on_removal: Default::default(),
        };
        (entry.spec.id(), entry)
    }

    fn plan(entries: impl IntoIterator<Item = (ResourceId, PlannedEntry)>, pending: &[&Spec]) -> Plan {
        let entries: BTreeMap<_, _> = entries.into_iter().collect();
        Plan {
            format: PLAN_FORMAT,
            host: HostName::new("test").unwrap(),
            machine_id: "m".into(),
            base_generation: 0,
            by: Applier {
                who: "a@b".to_owned(),
                commit: Some("abc".to_owned()),
                version: "1".to_owned(),
                rollback_to: None,
            },
            changes: Vec::new(),
            unchanged: Vec::new(),
            blockers: Vec::new(),
            steps: entries
                .keys()
                .map(|id| Step {
                    op: Op::Record,
                    covers: BTreeSet::from([id.clone()]),
                })
                .collect(),
            preconditions: BTreeMap::new(),
            pending: pending.iter().map(|spec| spec.id()).collect(),
            entries,
            blobs: BTreeMap::from([(Digest::of(b"x"), Blob::from(b"x".to_vec()))]),
        }
    }

    fn merged(
        previous: Option<&Receipt>,
        plan: &Plan,
        done: &[(ResourceId, Option<Entry>)],
        begun: &[(ResourceId, State)],
        outcome: Outcome,
    ) -> Receipt {
        merge(&Merge {
            previous,
            plan,
            plan_id: plan.id(),
            done: &done.iter().cloned().collect(),
            begun: &begun.iter().cloned().collect(),
            complete: outcome == Outcome::Confirmed,
            outcome,
            at: 1,
        })
    }

    #[test]
    fn a_complete_run_records_what_it_changed_and_what_it_left_as_it_was() {
        let (a, a_entry) = planned(sysctl("a", "1"), None);
        let (b, b_entry) = planned(sysctl("b", "2"), None);
        let plan = plan([(a.clone(), a_entry.clone()), (b.clone(), b_entry.clone())], &[]);
        let done = [(a.clone(), Some(entry(&a_entry, Some(live("0")))))];
        let first = merged(None, &plan, &done, &[], Outcome::Confirmed);
        assert_eq!(first.generation, 1);
        assert_eq!(first.by["commit"], HostText::from("abc"));
        assert_eq!(first.entries[&a].original, Some(live("0")));
        assert_eq!(first.entries[&b].original, None, "it was already as wanted");

        // What was there before us stays known through later generations.
        let second = merged(Some(&first), &plan, &[], &[], Outcome::Confirmed);
        assert_eq!(second.generation, 2);
        assert_eq!(second.entries, first.entries);
    }

    #[test]
    fn a_removed_resource_leaves_the_receipt_only_when_its_step_is_done() {
        let (a, a_entry) = planned(sysctl("a", "1"), None);
        let first = merged(None, &plan([(a.clone(), a_entry)], &[]), &[], &[], Outcome::Confirmed);
        let nothing = plan([], &[]);
        assert!(
            merged(Some(&first), &nothing, &[], &[], Outcome::Failed)
                .entries
                .contains_key(&a)
        );
        let gone = merged(Some(&first), &nothing, &[(a.clone(), None)], &[], Outcome::Failed);
        assert!(!gone.entries.contains_key(&a));
    }

    #[test]
    fn restarts_that_were_not_reached_stay_pending_over_failures() {
        let (one, two) = (unit("one.service"), unit("two.service"));
        let entries = || [planned(one.clone(), Some("new")), planned(two.clone(), Some("new"))];
        let plan = plan(entries(), &[&one, &two]);
        let (one_id, one_entry) = planned(one.clone(), Some("new"));
        let done = [(one_id, Some(entry(&one_entry, None)))];
        let failed = merged(None, &plan, &done, &[], Outcome::Failed);
        assert_eq!(failed.pending, BTreeSet::from([two.id()]));

        // The next plan knows of it or not; until it is restarted, it is not forgotten.
        let other = self::plan(entries(), &[]);
        let failed_again = merged(Some(&failed), &other, &[], &[], Outcome::Failed);
        assert_eq!(failed_again.pending, BTreeSet::from([two.id()]));
        let (two_id, two_entry) = planned(two.clone(), Some("new"));
        let done = [(two_id, Some(entry(&two_entry, None)))];
        assert!(
            merged(Some(&failed_again), &other, &done, &[], Outcome::Failed)
                .pending
                .is_empty()
        );
        assert!(
            merged(Some(&failed_again), &other, &[], &[], Outcome::Confirmed)
                .pending
                .is_empty()
        );
    }

    #[test]
    fn of_an_unfinished_step_the_original_is_kept_and_a_restart_stays_due() {
        let (id, _) = planned(unit("one.service"), Some("new"));
        let plan = plan([planned(unit("one.service"), Some("new"))], &[]);
        let begun = [(id.clone(), live("before"))];
        let first = merged(None, &plan, &[], &begun, Outcome::Interrupted);
        assert_eq!(first.entries[&id].original, Some(live("before")));
        assert_eq!(first.entries[&id].trigger, None);
        // A later look does not replace what was there at first.
        let begun = [(id.clone(), live("ours"))];
        let second = merged(Some(&first), &plan, &[], &begun, Outcome::Interrupted);
        assert_eq!(second.entries[&id].original, Some(live("before")));
    }

    /// A run as it lies on the disk, with this journal.
    fn staged(layout: &Layout, plan: &Plan, events: &[RunEvent]) -> Digest {
        let id = plan.id();
        fs::create_dir_all(layout.run(&id).root()).unwrap();
        staging::stage(layout, &id, plan).unwrap();
        let (mut journal, _) = Journal::open(&layout.run(&id).journal()).unwrap().unwrap();
        events.iter().for_each(|event| journal.write(event).unwrap());
        id
    }

    #[test]
    fn a_dead_run_counts_as_a_generation_once_it_had_begun_to_change_things() {
        let scratch = Scratch::new();
        let layout = Layout::below(scratch.path());
        let (a, a_entry) = planned(sysctl("a", "1"), None);
        let plan = plan([(a.clone(), a_entry.clone())], &[]);
        let mut events = vec![RunEvent::Phase(RunPhase::Staged), RunEvent::Phase(RunPhase::Armed)];
        staged(&layout, &plan, &events);
        assert!(load(&layout).unwrap().receipt.is_none(), "nothing was changed");

        events = vec![
            RunEvent::Phase(RunPhase::Switching),
            RunEvent::Done {
                step: 0,
                millis: 1,
                note: None,
                entries: BTreeMap::from([(a.clone(), Some(entry(&a_entry, Some(live("0")))))]),
            },
        ];
        let id = staged(&layout, &plan, &events);
        let standing = load(&layout).unwrap();
        let receipt = standing.receipt.unwrap();
        assert_eq!((receipt.generation, receipt.outcome), (1, Outcome::Interrupted));
        assert_eq!(receipt.entries[&a].original, Some(live("0")));
        assert_eq!(standing.dead, Some(plan));
        assert_eq!(recorded(&layout).unwrap(), None, "reading records nothing");

        // While it is being written, it is not dead.
        let journal = Journal::open(&layout.run(&id).journal()).unwrap().unwrap();
        assert!(load(&layout).unwrap().receipt.is_none());
        drop(journal);

        // Recorded, it is what it was read as, and is not merged again.
        record(&layout, &receipt).unwrap();
        let again = load(&layout).unwrap();
        assert_eq!(again.receipt, Some(receipt));
        assert!(again.dead.is_none());
    }

    #[test]
    fn a_record_that_cannot_be_trusted_is_an_error_and_not_an_empty_host() {
        let scratch = Scratch::new();
        let layout = Layout::below(scratch.path());
        std::os::unix::fs::symlink("elsewhere/7", layout.current()).unwrap();
        assert!(matches!(load(&layout), Err(GenerationError::Astray { .. })));
        fs::remove_file(layout.current()).unwrap();
        std::os::unix::fs::symlink("generations/7", layout.current()).unwrap();
        assert!(matches!(load(&layout), Err(GenerationError::Own(_))));
        fs::create_dir_all(layout.generation(7)).unwrap();
        fs::write(layout.receipt(7), "{}").unwrap();
        assert!(matches!(
            load(&layout),
            Err(GenerationError::Own(OwnFileError::Damaged { .. }))
        ));
    }

    #[test]
    fn old_generations_runs_and_originals_go_and_what_is_needed_stays() {
        let scratch = Scratch::new();
        let layout = Layout::below(scratch.path());
        let file = |text: &[u8]| {
            let owner = || Owner { id: 0, name: None };
            State::Path(PathState::File {
                content: Content::of(text),
                owner: owner(),
                group: owner(),
                mode: Mode::from_bits(0o644),
                text: None,
            })
        };
        let mut previous = None;
        let mut ids = Vec::new();
        for number in 0..KEPT as u64 + 5 {
            let text = format!("original {number}");
            store(&layout, &Digest::of(text.as_bytes()), text.as_bytes()).unwrap();
            let (a, a_entry) = planned(sysctl("a", &number.to_string()), None);
            let plan = plan([(a.clone(), a_entry.clone())], &[]);
            let events = [
                RunEvent::Phase(RunPhase::Switching),
                RunEvent::Phase(RunPhase::Confirmed),
            ];
            ids.push(staged(&layout, &plan, &events));
            let done = [(a, Some(entry(&a_entry, Some(file(text.as_bytes())))))];
            let receipt = merged(previous.as_ref(), &plan, &done, &[], Outcome::Confirmed);
            record(&layout, &receipt).unwrap();
            previous = Some(receipt);
        }
        // The oldest run of all died and was never carried on.
        let dead = plan([planned(sysctl("dead", "1"), None)], &[]);
        let dead = staged(&layout, &dead, &[RunEvent::Phase(RunPhase::Switching)]);
        let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        for id in [dead, ids[ids.len() - 2]] {
            let about = fs::File::options().write(true).open(layout.run(&id).about()).unwrap();
            about.set_modified(old).unwrap();
        }

        let newest = previous.unwrap();
        prune(&layout, &newest).unwrap();
        let mut generations: Vec<u64> = own_files::names(&layout.generations())
            .unwrap()
            .iter()
            .map(|name| name.parse().unwrap())
            .collect();
        generations.sort_unstable();
        assert_eq!(generations, (6..=25).collect::<Vec<_>>());
        let stored = own_files::names(&layout.store()).unwrap();
        assert_eq!(stored.len(), KEPT);
        assert!(stored.contains(&Digest::of(b"original 5").to_string()));
        let runs = runs(&layout).unwrap();
        assert!(runs.contains(&dead), "a dead run is not yet recorded");
        assert!(runs.contains(&ids[ids.len() - 1]) && runs.contains(&ids[ids.len() - 2]));
        assert!(!runs.contains(&ids[0]));
        assert_eq!(recorded(&layout).unwrap(), Some(newest));
    }
}
