//! The runner: executes one staged plan under the host's lock, and journals every step before the next begins. It talks to
//! no controller and decides nothing that the plan does not say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread;
use std::time::{Instant, SystemTime};

use provision_core::model::{
    AbsPath, Decision, Digest, Fact, Holder, HostText, Millis, Op, Outcome, Plan, Receipt, ResourceId, RunEvent,
    RunPhase, Spec, State,
};

use crate::armed::is_armed_for;
use crate::before::{self, Ground};
use crate::execute::{self, Along, Orders, Progress, Work};
use crate::generations::{self, GenerationError, Merge, Standing};
use crate::guard::{self, When};
use crate::journal::{Journal, JournalError};
use crate::layout::Layout;
use crate::lock::{self, Attempt, Lock};
use crate::originals::Originals;
use crate::secrets::{self, Memory};
use crate::staging::{self, StageError};
use crate::words::{chain, found};
use crate::{disk, observe, own_files};

/// Why a run ended without a verdict in its journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The journal cannot be used.
    #[error("cannot keep the journal of run {}", plan_id.short())]
    Journal {
        /// The run's plan.
        plan_id: Digest,
        #[source]
        source: JournalError,
    },
}

/// How long a run waits for its confirmation where whoever began it did not say.
const CONFIRM_WITHIN: Millis = Millis::seconds(60);

/// Why a run was refused, as its journal tells it.
type Refused = RunEvent;

/// Executes the staged plan of that id, unless that was done before or is being done. The journal has the verdict.
///
/// # Errors
/// [`RunError`]; what was journaled until then is in force.
pub(crate) fn run(layout: &Layout, plan_id: Digest) -> Result<(), RunError> {
    run_journaled(layout, plan_id).map_err(|source| RunError::Journal { plan_id, source })
}

fn run_journaled(layout: &Layout, plan_id: Digest) -> Result<(), JournalError> {
    let path = layout.run(&plan_id).journal();
    let Some((mut journal, before)) = Journal::open(&path)? else {
        // Another runner of this plan is at work.
        return Ok(());
    };
    let over = if generations::changed_something(&before) {
        if generations::is_final(&before) {
            return Ok(());
        }
        true
    } else {
        journal.clear()?;
        false
    };
    match prepare(layout, plan_id, &mut journal, over) {
        Ok(Some(ready)) => switch(layout, plan_id, &mut journal, ready),
        Ok(None) => Ok(()),
        Err(Stop::Journal(error)) => Err(error),
        // Its verdict will be that it was interrupted, once it can be recorded.
        Err(Stop::Refused(event)) if over => {
            log(&format!("cannot record the interrupted run: {event:?}"));
            Ok(())
        }
        Err(Stop::Refused(event)) => {
            if let Ok(plan) = staging::load(layout, &plan_id) {
                secrets::drop_all(&plan, Some(&plan_id));
            }
            journal.write(&event)?;
            journal.write(&RunEvent::Phase(RunPhase::Refused))
        }
    }
}

/// Why a run goes no further before its first change.
enum Stop {
    Refused(Refused),
    Journal(JournalError),
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

fn refused(error: &dyn std::error::Error) -> Stop {
    Stop::Refused(RunEvent::Error(chain(error)))
}

/// A run that may begin to change the host.
struct Ready {
    plan: Plan,
    previous: Option<Receipt>,
    found: BTreeMap<ResourceId, State>,
    lock: Lock,
    /// Whether the host undoes it unless it is confirmed.
    guarded: bool,
}

/// Everything before the first change. `over` is a run that died: its end is recorded, and it is not executed again.
fn prepare(layout: &Layout, plan_id: Digest, journal: &mut Journal, over: bool) -> Result<Option<Ready>, Stop> {
    let plan = staging::load(layout, &plan_id).map_err(|error: StageError| refused(&error))?;
    if !over {
        journal.write(&RunEvent::Phase(RunPhase::Staged))?;
    }
    let ours = Holder {
        who: HostText::new(&plan.by.who),
        since: own_files::seconds(SystemTime::now()),
        plan_id,
        pid: std::process::id(),
    };
    let lock = match lock::take(&layout.lock(), &ours).map_err(|error| refused(&error))? {
        Attempt::Taken(lock) => lock,
        Attempt::Held(holder) => return Err(Stop::Refused(RunEvent::Locked(*holder))),
    };
    sweep(layout, &plan);
    if !guard::settle_earlier(layout, &plan_id).map_err(|error| refused(&error))? {
        let problem = "an earlier apply waits for its confirmation, or is being undone; try again when that is over";
        return Err(Stop::Refused(RunEvent::Error(HostText::from(problem))));
    }
    if over && is_armed_for(layout, &plan_id) {
        guard::resume(layout, plan_id, journal).map_err(|error| refused(&error))?;
        return Ok(None);
    }
    if over {
        bury_own(layout, plan_id, &plan, journal)?;
        return Ok(None);
    }
    let standing = generations::load(layout).map_err(|error| refused(&error))?;
    let previous = bury(layout, standing).map_err(|error| refused(&error))?;

    let machine = observe::facts().machine_id;
    if machine != plan.machine_id {
        let problem = format!(
            "the plan was made for machine {}, and this is {}",
            plan.machine_id.untrusted(),
            machine.untrusted()
        );
        return Err(Stop::Refused(RunEvent::Error(HostText::new(problem))));
    }
    let generation = previous.as_ref().map_or(0, |receipt| receipt.generation);
    if generation != plan.base_generation {
        return Err(Stop::Refused(RunEvent::StaleGeneration {
            planned: plan.base_generation,
            found: generation,
        }));
    }
    let found = check_preconditions(&plan, previous.as_ref())?;
    generations::note_replaced(layout, &plan_id, &found).map_err(|error| refused(&error))?;
    let guarded = plan.touches_access();
    if guarded && let Err(error) = guard::arm(layout, &plan_id, &plan, &found) {
        if let Err(error) = guard::disarm(layout, &plan_id) {
            log(&format!(
                "cannot take back what arming made: {}",
                chain(&error).untrusted()
            ));
        }
        return Err(refused(&error));
    }
    journal.write(&RunEvent::Phase(RunPhase::Armed))?;
    Ok(Some(Ready {
        plan,
        previous,
        found,
        lock,
        guarded,
    }))
}

/// Looks again at all that the plan changes. What it found is returned, for what was there before.
fn check_preconditions(plan: &Plan, previous: Option<&Receipt>) -> Result<BTreeMap<ResourceId, State>, Stop> {
    let mut specs = Vec::new();
    let mut moved = BTreeMap::new();
    for id in plan.preconditions.keys() {
        match spec_of(id, plan, previous) {
            Some(spec) => specs.push(spec.clone()),
            None => {
                _ = moved.insert(
                    id.clone(),
                    HostText::from("it is neither in the plan nor in the receipt"),
                )
            }
        }
    }
    let mut states = BTreeMap::new();
    for (id, fact) in observe::observe(&specs) {
        match fact {
            Fact::Known(state) if plan.preconditions.get(&id) == Some(&state.fingerprint()) => {
                states.insert(id, state);
            }
            Fact::Known(state) => _ = moved.insert(id, found(&state)),
            Fact::Unknown(reason) => {
                let words = format!("it cannot be seen: {}", reason.untrusted());
                moved.insert(id, HostText::new(words));
            }
        }
    }
    if moved.is_empty() {
        Ok(states)
    } else {
        Err(Stop::Refused(RunEvent::Moved(moved)))
    }
}

fn spec_of<'a>(id: &ResourceId, plan: &'a Plan, previous: Option<&'a Receipt>) -> Option<&'a Spec> {
    let planned = plan.entries.get(id).map(|entry| &entry.spec);
    planned.or_else(|| previous?.entries.get(id).map(|entry| &entry.spec))
}

/// Executes the steps and records what came of them.
fn switch(layout: &Layout, plan_id: Digest, journal: &mut Journal, ready: Ready) -> Result<(), JournalError> {
    let Ready {
        plan,
        previous,
        found,
        lock,
        guarded,
    } = ready;
    journal.mask_secrets();
    let mut originals = Originals::create(&layout.run(&plan_id).originals())?;
    journal.write(&RunEvent::Phase(RunPhase::Switching))?;
    let ground = Ground {
        layout,
        plan: &plan,
        previous: previous.as_ref(),
        found: &found,
    };
    let mut done = BTreeMap::new();
    let mut before = BTreeMap::new();
    let mut complete = true;
    let mut along = Along::default();
    for (number, step) in plan.steps.iter().enumerate() {
        let began = Instant::now();
        journal.write(&RunEvent::Started { step: number })?;
        let executed = before::look(&ground, step, &before).and_then(|states| {
            originals.note(&states).map_err(|error| execute::failure(&error))?;
            before.extend(states);
            let work = Work {
                layout,
                blobs: &plan.blobs,
                plan_id: &plan_id,
                entries: &plan.entries,
                kept: None,
                orders: Orders::Planned,
            };
            let mut progress = Progress::new(journal, number);
            match &*along.left(step, &plan.steps[number + 1..]) {
                // Nothing else is to be done meanwhile, and what is kept now need not be kept afterwards.
                op @ Op::Settle(_) => thread::scope(|scope| {
                    let _ = scope.spawn(|| generations::keep_brought(layout, &plan));
                    execute::execute(op, &work, &mut progress)
                }),
                op => execute::execute(op, &work, &mut progress),
            }
        });
        match executed {
            Ok(note) => {
                let entries = before::entries(&ground, step, &mut before);
                done.extend(entries.clone());
                let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                journal.write(&RunEvent::Done {
                    step: number,
                    millis,
                    note,
                    entries,
                })?;
            }
            Err(error) => {
                journal.write(&RunEvent::StepFailed { step: number, error })?;
                complete = false;
                break;
            }
        }
    }
    // Of a whole run, what is left was inherited by something that needed no step.
    let begun = if complete {
        before
    } else {
        before::changed(&ground, before)
    };
    if complete {
        journal.write(&RunEvent::Phase(RunPhase::Switched))?;
    }
    if guarded && !confirmed(layout, plan_id, &plan, journal)? {
        // The lock goes after the last word here: whoever reads it may have to wait for a moment.
        drop(lock);
        return Ok(());
    }
    let outcome = if complete { Outcome::Confirmed } else { Outcome::Failed };
    let receipt = generations::merge(&Merge {
        previous: previous.as_ref(),
        plan: &plan,
        plan_id,
        done: &done,
        begun: &begun,
        complete,
        outcome,
        at: own_files::seconds(SystemTime::now()),
    });
    keep_contents(layout, &receipt, &plan);
    forget_values(&plan);
    if let Err(error) = generations::record(layout, &receipt) {
        // No verdict: the journal is not final, and the next run records what was done.
        return journal.write(&RunEvent::Error(chain(&error)));
    }
    if let Err(error) = generations::prune(layout, &receipt, SystemTime::now()) {
        log(&format!("cannot remove old generations: {}", chain(&error).untrusted()));
    }
    if guarded && let Err(error) = guard::disarm(layout, &plan_id) {
        // What watches this run tries again as soon as it has ended.
        log(&format!("cannot disarm: {}", chain(&error).untrusted()));
    }
    // All is recorded. The lock goes before the last word, so that whoever reads it may apply again at once.
    drop(lock);
    journal.write(&RunEvent::Phase(generations::final_phase(outcome)))?;
    if let Err(error) = generations::drop_plan(layout, &plan_id) {
        log(&format!("cannot remove the plan: {}", chain(&error).untrusted()));
    }
    Ok(())
}

/// Waits for the confirmation of a run that touched the way in. `false` says that there was none, and that it is undone.
fn confirmed(layout: &Layout, plan_id: Digest, plan: &Plan, journal: &mut Journal) -> Result<bool, JournalError> {
    journal.write(&RunEvent::Phase(RunPhase::Unconfirmed))?;
    let within = staging::about(layout, &plan_id).map_or(CONFIRM_WITHIN, |about| about.confirm_within);
    let ended = match guard::wait(layout, &plan_id, within.duration()) {
        Ok(Decision::Confirmed) => return Ok(true),
        Ok(Decision::Undone) => guard::roll_back(layout, plan_id, plan, journal, When::Running).map(|_| ()),
        Err(error) => Err(guard::GuardError::Decision(error)),
    };
    if let Err(error) = ended {
        // No verdict: what watches this run goes on with it.
        journal.write(&RunEvent::Error(chain(&error)))?;
    }
    Ok(false)
}

/// Keeps what a later rollback to this generation needs. That it cannot be kept undoes nothing that was applied; the plan of
/// such a rollback then says what is missing.
fn keep_contents(layout: &Layout, receipt: &Receipt, plan: &Plan) {
    if let Err(error) = generations::keep_applied(layout, receipt, &plan.blobs) {
        log(&format!(
            "cannot keep the content of files for a rollback: {}",
            chain(&error).untrusted()
        ));
    }
}

/// Removes old sets of secrets and values that no step took. What cannot be removed is in memory that only root reads.
pub(crate) fn forget_values(plan: &Plan) {
    for step in &plan.steps {
        if let Op::Secrets { directory, .. } = &step.op
            && let Ok(memory) = Memory::of(directory)
            && let Err(error) = secrets::sweep(&memory)
        {
            log(&format!("cannot remove old secrets: {}", chain(&error).untrusted()));
        }
    }
    secrets::drop_all(plan, None);
}

/// Records the generation of a run that died, and gives it its verdict.
fn bury(layout: &Layout, standing: Standing) -> Result<Option<Receipt>, GenerationError> {
    let Standing { receipt, dead } = standing;
    if let (Some(dead), Some(receipt)) = (&dead, &receipt) {
        sweep(layout, dead);
        secrets::drop_all(dead, Some(&dead.id()));
        keep_contents(layout, receipt, dead);
        generations::record(layout, receipt)?;
    }
    // Of a run that died after its generation was recorded, only the last word is missing.
    if let Some(receipt) = &receipt {
        let path = layout.run(&receipt.plan_id).journal();
        if path.exists()
            && let Some((mut journal, events)) = Journal::open(&path).map_err(GenerationError::Journal)?
            && !generations::is_final(&events)
        {
            let phase = RunEvent::Phase(generations::final_phase(receipt.outcome));
            journal.write(&phase).map_err(GenerationError::Journal)?;
        }
    }
    Ok(receipt)
}

/// The same for a run whose journal this process has open: it was started again after it died.
fn bury_own(layout: &Layout, plan_id: Digest, plan: &Plan, journal: &mut Journal) -> Result<(), Stop> {
    let receipt = generations::receipt_of_own(layout, plan_id, plan).map_err(|error| refused(&error))?;
    if generations::recorded(layout).map_err(|error| refused(&error))?.as_ref() != Some(&receipt) {
        keep_contents(layout, &receipt, plan);
        generations::record(layout, &receipt).map_err(|error| refused(&error))?;
    }
    journal.write(&RunEvent::Phase(generations::final_phase(receipt.outcome)))?;
    Ok(())
}

/// Removes the temporary files that a killed run may have left, beside everything that the plan touches and beside the
/// agent's own files. What cannot be swept is in nobody's way.
fn sweep(layout: &Layout, plan: &Plan) {
    let staged = layout.run(&plan.id()).plan();
    let own = [
        layout.lock(),
        // Where it would have recorded itself.
        layout.receipt(plan.base_generation.saturating_add(1)),
        layout.stored(&Digest::of(b"")),
        staged,
    ];
    let own = own.iter().filter_map(|path| AbsPath::new(path.to_string_lossy()).ok());
    let touched = plan.steps.iter().filter_map(|step| match &step.op {
        Op::WriteFile(spec) => Some(spec.path.clone()),
        Op::MakeDirectory(spec) => Some(spec.path.clone()),
        Op::MakeSymlink(spec) => Some(spec.path.clone()),
        Op::RestoreFile { path, .. } | Op::RemoveBlock { path, .. } => Some(path.clone()),
        Op::PutBlock(spec) => Some(spec.path.clone()),
        Op::PutSwapfile { spec, .. } => Some(spec.path.clone()),
        Op::SetAttributes { .. }
        | Op::RemovePath { .. }
        | Op::Answer { .. }
        | Op::TakeBackAnswer { .. }
        | Op::Reconfigure { .. }
        | Op::Packages { .. }
        | Op::MakeTree(_)
        | Op::RemoveTree { .. }
        | Op::CloneGit(_)
        | Op::MirrorGit { .. }
        | Op::RemoveGit(_)
        | Op::RemoveSwapfile { .. }
        | Op::Turn(_)
        | Op::SetSysctl(_)
        | Op::LoadFirewall(_)
        | Op::RemoveFirewall
        | Op::Secrets { .. }
        | Op::DaemonReload
        | Op::ReloadOfUser { .. }
        | Op::AtBoot { .. }
        | Op::Unit { .. }
        | Op::Settle(_)
        | Op::CreateGroup(_)
        | Op::SetGroupId { .. }
        | Op::DeleteGroup { .. }
        | Op::CreateUser(_)
        | Op::ModifyUser { .. }
        | Op::DeleteUser { .. }
        | Op::Run(_)
        | Op::Probe(_)
        | Op::Record => None,
    });
    let mut seen = BTreeSet::new();
    for path in own.chain(touched) {
        if seen.insert(path.parent())
            && let Err(error) = disk::sweep_temps(&path)
        {
            log(chain(&error).untrusted());
        }
    }
}

/// Detaches this process from whoever started it, with its own log for output, and the umask that maintainer scripts expect.
/// The standard library has already made it ignore SIGPIPE. What of this fails is no reason not to run.
pub(crate) fn detach(layout: &Layout, plan_id: &Digest) {
    // Under systemd it leads a session already, and this fails.
    let _ = rustix::process::setsid();
    // Children create files too. Our own are created with explicit modes.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(layout.run(plan_id).log());
    if let (Ok(log), Ok(null)) = (log, fs::File::open("/dev/null")) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&log);
        let _ = rustix::stdio::dup2_stderr(&log);
    }
}

/// A line in the runner's own log. That it cannot be written stops nothing.
pub(crate) fn log(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
