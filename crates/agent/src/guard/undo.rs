//! Undoing a run: the way back is planned from what is there, and as much of it done as can be. A step that fails keeps no
//! other one from being done, and what logging in depends on comes before all else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use provision_core::model::{
    Fact, FirewallState, HostText, Kind, Observed, Op, Plan, ResourceId, State, Step, StepError,
};
use provision_core::plan::Undo;

use super::When;
use crate::execute::{self, Orders, Progress, Work};
use crate::layout::Layout;
use crate::observe;
use crate::words::found;

/// What was not undone, each with why.
pub(super) type NotUndone = BTreeMap<ResourceId, HostText>;

/// Undoes a run. At boot, what packages' own programs do is left for later: `true` says that there is such a thing.
pub(super) fn undo(layout: &Layout, run: &Undo<'_>, when: When) -> (NotUndone, bool) {
    let plan_id = run.run.id();
    let kept = layout.run(&plan_id).kept();
    let access = run.access();
    let mut failed = NotUndone::new();
    let mut later = false;
    let mut put_off = BTreeSet::new();
    // What logging in depends on, and only then the rest: it may take long, or wait for ever.
    for only_access in [true, false] {
        let again = std::mem::take(&mut failed);
        let back = plan(run, |id| {
            access.contains(id) == only_access || again.contains_key(id) || put_off.contains(id)
        });
        for step in &back.steps {
            if matches!(step.op, Op::Packages { .. }) && (only_access || when == When::Boot) {
                later |= !only_access;
                put_off.extend(meant(step));
                continue;
            }
            let work = Work {
                layout,
                blobs: &run.run.blobs,
                plan_id: &plan_id,
                entries: &run.run.entries,
                kept: Some(&kept),
                orders: match when {
                    When::Running => Orders::Undoing,
                    When::Boot => Orders::Booting,
                },
            };
            if let Err(error) = execute::execute(&step.op, &work, &mut Progress::unheard()) {
                failed.extend(meant(step).into_iter().map(|id| (id, words(&error))));
            } else if let Op::CreateUser(spec) = &step.op
                && let Err(error) = password_back(layout, run, &spec.name)
            {
                failed.insert(ResourceId::new(Kind::User, &*spec.name), words(&error));
            }
        }
    }
    if later {
        return (failed, true);
    }
    (not_undone(run, failed, when), false)
}

/// What a step is about: what it covers, and the unit that it gives an order.
fn meant(step: &Step) -> BTreeSet<ResourceId> {
    let mut ids = step.covers.clone();
    if let Op::Unit { name, .. } = &step.op {
        ids.insert(ResourceId::new(Kind::Unit, name.as_str()));
    }
    ids
}

/// The way back of these resources, from what is there now.
fn plan(run: &Undo<'_>, of: impl Fn(&ResourceId) -> bool) -> Plan {
    let observed = Observed {
        facts: observe::facts(),
        receipt: Fact::Known(None),
        last_run: None,
        lock: None,
        resources: observe::observe(&run.specs()),
    };
    let mut back = run.plan(&observed, of);
    let (packages, others): (Vec<Step>, Vec<Step>) = back
        .steps
        .into_iter()
        .partition(|step| matches!(step.op, Op::Packages { .. }));
    back.steps = others.into_iter().chain(packages).collect();
    back
}

/// What is not as it was, whatever the steps said.
fn not_undone(run: &Undo<'_>, failed: NotUndone, when: When) -> NotUndone {
    let now = observe::observe(&run.specs());
    let mut left = NotUndone::new();
    for (id, was) in run.found {
        let why = match now.get(id) {
            Some(Fact::Known(now)) if is_back(was, now, when) => continue,
            Some(Fact::Known(_)) | None if id.kind == Kind::Command => {
                HostText::from("what a command does cannot be undone")
            }
            Some(Fact::Known(_)) if id.kind == Kind::Secret => {
                HostText::from("a secret stays as it was delivered; an old one is never brought back")
            }
            Some(Fact::Known(now)) => HostText::new(format!(
                "it is not as it was before the run: {}",
                found(now).untrusted()
            )),
            Some(Fact::Unknown(reason)) => reason.clone(),
            None => HostText::from("it cannot be seen"),
        };
        // Why is worth more than that.
        left.insert(id.clone(), failed.get(id).cloned().unwrap_or(why));
    }
    left
}

/// Units come up by themselves while the host boots; whether they were up before is not to be seen yet.
fn is_back(was: &State, now: &State, when: When) -> bool {
    match (was, now) {
        (State::Unit(was), State::Unit(now)) => {
            let missing = was.load.untrusted() == "not-found" && now.load.untrusted() == "not-found";
            let same = was.enabled == now.enabled && (when == When::Boot || was.is_up() == now.is_up());
            missing || same
        }
        // Without `nft` nobody can ask; with it, there is no table.
        (State::Firewall(FirewallState::NoTool), State::Firewall(FirewallState::Absent)) => true,
        _ => was.fingerprint() == now.fingerprint(),
    }
}

/// Gives a user who was deleted the password of before.
fn password_back(layout: &Layout, run: &Undo<'_>, name: &str) -> Result<(), StepError> {
    let path = layout.run(&run.run.id()).kept_passwords();
    let Ok(bytes) = fs::read(&path) else { return Ok(()) };
    let kept: BTreeMap<String, String> = serde_json::from_slice(&bytes).map_err(|error| execute::failure(&error))?;
    match kept.get(name) {
        Some(password) => execute::set_password(name, password),
        None => Ok(()),
    }
}

fn words(error: &StepError) -> HostText {
    let last = error.output.last().map(|line| format!(": {}", line.untrusted()));
    HostText::new(format!("{}{}", error.problem.untrusted(), last.unwrap_or_default()))
}
