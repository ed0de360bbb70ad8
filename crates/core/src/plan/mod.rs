//! Desired state, observed state and receipt to a plan. It decides everything and executes nothing: a synchronous
//! function of values, without clock, randomness, disk or network.

mod access;
mod account;
mod belongs;
mod block;
mod check;
mod compare;
mod debconf;
mod difference;
mod firewall;
mod forbidden;
mod git;
mod order;
mod package;
mod path;
mod removal;
mod rollback;
mod secret;
#[cfg(test)]
mod simulate;
mod swapfile;
mod switch;
mod sysctl;
#[cfg(test)]
mod tests;
mod tree;
mod undo;
mod unit;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Action, Applier, Blocker, Change, Dependency, Desired, Digest, Entry, Fact, HostText, Kind, Moved, Observed, Op,
    PLAN_FORMAT, PathState, Plan, PlannedEntry, Reason, Receipt, Refusal, Resource, ResourceId, Spec, State, Step,
    Unchanged,
};
use difference::{Difference, Edit};
use order::Work;

pub use belongs::accounts;
pub use compare::{Comparison, Differs, compare, contents};
pub use rollback::{Remains, Rollback, rollback};
pub use undo::Undo;

/// The plan that takes a host from what was observed to what is desired.
///
/// Resources that could not be observed become blockers: an unknown is never "no change" and never a removal.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, by: &Applier) -> Plan {
    let mut draft = Draft::new(desired, observed);
    draft.removals();
    draft.resources();
    draft.owners();
    draft.units();
    draft.probes();
    draft.finish(by)
}

/// The digest of what a unit is started with: the specs of everything it uses. A unit last started with another one
/// is due for a restart, even when an interrupted apply has already made the files equal.
#[must_use]
pub fn trigger(desired: &Desired, resource: &Resource) -> Digest {
    trigger_of(resource, |id| Some(&desired.resources.get(id)?.spec))
}

fn trigger_of<'s>(resource: &'s Resource, spec: impl Fn(&'s ResourceId) -> Option<&'s Spec>) -> Digest {
    let used: BTreeMap<&ResourceId, &Spec> = resource
        .depends
        .iter()
        .filter(|dependency| dependency.reason.triggers())
        .filter_map(|dependency| Some((&dependency.on, spec(&dependency.on)?)))
        // What a seed says is for a host that has no such file; on this one it starts nothing.
        .filter(|(_, spec)| !matches!(spec, Spec::File(file) if file.seed))
        .collect();
    Digest::of_json(&used)
}

/// A plan in the making.
struct Draft<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    receipt: Option<&'a Receipt>,
    changes: BTreeMap<ResourceId, Change>,
    work: Vec<Work>,
    unchanged: Vec<Unchanged>,
    blockers: Vec<Blocker>,
    /// Paths that a removal in this plan makes free for another kind.
    freed: BTreeSet<String>,
}

impl<'a> Draft<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        let mut blockers = Vec::new();
        let receipt = match &observed.receipt {
            Fact::Known(receipt) => receipt.as_ref(),
            Fact::Unknown(reason) => {
                blockers.push(Blocker {
                    id: ResourceId::new(Kind::File, "/var/lib/provision/current"),
                    unknown: true,
                    problem: reason.clone(),
                    fix: "the record of what was applied cannot be read; look at it on the host before applying".into(),
                    origin: None,
                });
                None
            }
        };
        Self {
            desired,
            observed,
            receipt,
            changes: BTreeMap::new(),
            work: Vec::new(),
            unchanged: Vec::new(),
            blockers,
            freed: BTreeSet::new(),
        }
    }

    fn entry(&self, id: &ResourceId) -> Option<&'a Entry> {
        self.receipt?.entries.get(id)
    }

    /// The observed state, or a blocker.
    fn state(&mut self, id: &ResourceId) -> Option<&'a State> {
        let problem = match self.observed.resources.get(id) {
            Some(Fact::Known(state)) => return Some(state),
            Some(Fact::Unknown(reason)) => reason.clone(),
            None => HostText::from("the agent did not report it"),
        };
        self.blockers.push(Blocker {
            id: id.clone(),
            unknown: true,
            problem,
            fix: "nothing is planned for what cannot be seen; remove the cause, then plan again".into(),
            origin: self.desired.resources.get(id).map(|resource| resource.origin.clone()),
        });
        None
    }

    /// The state without its package, where that goes in this plan.
    fn as_left(&self, spec: &Spec, state: &'a State) -> Cow<'a, State> {
        let left = match spec {
            Spec::Debconf(answer) if self.leaves(&ResourceId::new(Kind::Package, answer.package.as_str())) => {
                debconf::without_package(state)
            }
            _ => None,
        };
        left.map_or(Cow::Borrowed(state), Cow::Owned)
    }

    /// Whether a package goes since it left the configuration.
    fn leaves(&self, package: &ResourceId) -> bool {
        let entry = self
            .entry(package)
            .filter(|_| !self.desired.resources.contains_key(package));
        let (Some(entry), Some(state)) = (entry, self.observed.resources.get(package).and_then(Fact::known)) else {
            return false;
        };
        removal::removal(entry, state, false).edit.action == Action::Remove
    }

    /// What the receipt holds and the configuration no longer does.
    fn removals(&mut self) {
        let Some(receipt) = self.receipt else { return };
        for (id, entry) in &receipt.entries {
            if self.desired.resources.contains_key(id) {
                continue;
            }
            let Some(state) = self.state(id) else { continue };
            if let Some(Refusal { problem, fix }) = swapfile::stuck(entry, state) {
                self.blockers.push(Blocker {
                    id: id.clone(),
                    unknown: false,
                    problem: HostText::new(problem),
                    fix,
                    origin: None,
                });
                continue;
            }
            let successor = id
                .others_at_path()
                .find(|other| self.desired.resources.contains_key(other));
            let state = &*self.as_left(&entry.spec, state);
            let removal::Removal { edit, frees } = removal::removal(entry, state, successor.is_some());
            if frees {
                self.freed.insert(id.name.clone());
            }
            let moved = match difference::difference(&entry.spec, state, None) {
                Difference::Same(_) => Moved::Configuration,
                Difference::Edit(_) | Difference::Impossible { .. } => Moved::Both,
            };
            self.push(id, edit, moved, None, entry.depends.clone());
        }
    }

    /// Every kind but those that look at the rest of the plan first.
    fn resources(&mut self) {
        for (id, resource) in &self.desired.resources {
            if matches!(id.kind, Kind::Unit | Kind::Probe) {
                continue;
            }
            if let Spec::Secret(spec) = &resource.spec
                && let Some((problem, fix)) = secret::unknown(spec)
            {
                self.blockers.push(Blocker {
                    id: id.clone(),
                    unknown: true,
                    problem,
                    fix,
                    origin: Some(resource.origin.clone()),
                });
                continue;
            }
            let Some(state) = self.state(id) else { continue };
            let left = self.as_left(&resource.spec, state);
            let mut state = &*left;
            let absent = State::Path(PathState::Absent);
            if id.kind.lies_at_path() && self.freed.contains(&id.name) {
                state = &absent;
            }
            let installed = |on: &Dependency| on.on == ResourceId::new(Kind::Package, "git");
            let found = match state {
                State::Git(state) => git::without_program(state, resource.depends.iter().any(installed)),
                _ => None,
            };
            let found =
                found.unwrap_or_else(|| difference::difference(&resource.spec, state, Some(&self.desired.blobs)));
            let found = match state {
                State::Secret(state) => {
                    let found = secret::lost(found, self.entry(id), state);
                    match &resource.spec {
                        Spec::Secret(spec) => secret::moved_elsewhere(found, spec, self.entry(id)),
                        _ => found,
                    }
                }
                _ => found,
            };
            let is_pending = self.receipt.is_some_and(|receipt| receipt.pending.contains(id));
            let found = debconf::unfinished(found, &resource.spec, state, is_pending);
            let found = package::unheld(found, id, self.observed);
            let found = account::leave_groups(found, &resource.spec, self.entry(id), state, |group| {
                let deleted = self.changes.get(&ResourceId::new(Kind::Group, group));
                deleted.is_some_and(|change| change.action == Action::Remove)
            });
            self.take(id, resource, found, state);
        }
    }

    /// What would be put in place for somebody who is not there: nothing of the host is changed for it.
    fn owners(&mut self) {
        for (id, resource) in &self.desired.resources {
            let is_put = self
                .changes
                .get(id)
                .is_some_and(|change| matches!(change.action, Action::Create | Action::Update));
            if !is_put {
                continue;
            }
            let nobody = belongs::nobody(id, &resource.spec, self.desired, self.observed, &self.changes);
            if let Some((problem, fix)) = nobody {
                self.changes.remove(id);
                self.work.retain(|work| work.id != *id);
                self.blockers.push(Blocker {
                    id: id.clone(),
                    unknown: false,
                    problem,
                    fix,
                    origin: Some(resource.origin.clone()),
                });
            }
        }
    }

    fn units(&mut self) {
        let changed: BTreeSet<ResourceId> = self
            .changes
            .values()
            .filter(|change| matches!(change.action, Action::Create | Action::Update | Action::Run))
            .map(|change| change.id.clone())
            .collect();
        // A unit may come with a package, or be made by a command: then systemd cannot know it yet.
        let may_appear = changed
            .iter()
            .any(|id| matches!(id.kind, Kind::Package | Kind::Command));
        for (id, resource) in &self.desired.resources {
            let Spec::Unit(spec) = &resource.spec else { continue };
            let Some(state) = self.state(id) else { continue };
            let State::Unit(unit_state) = state else {
                self.mismatch(id, resource);
                continue;
            };
            let entry = self.entry(id);
            let due = unit::Due {
                changed: resource
                    .depends
                    .iter()
                    .filter(|dependency| dependency.reason.triggers() && changed.contains(&dependency.on))
                    .map(|dependency| dependency.on.clone())
                    // One that it uses and is told to restart on is one.
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
                started_with_older: entry.and_then(|entry| entry.trigger).is_some_and(|before| {
                    before != trigger(self.desired, resource)
                        && before
                            != trigger_of(resource, |id| {
                                secret::started_with(id, self.desired, self.observed, self.receipt)
                            })
                }),
                unfinished: self.receipt.is_some_and(|receipt| receipt.pending.contains(id)),
                may_appear,
            };
            let found = unit::difference(spec, unit_state, &due);
            self.take(id, resource, found, state);
        }
    }

    fn probes(&mut self) {
        let changes = self
            .changes
            .values()
            .any(|change| !matches!(change.action, Action::Forget | Action::Record));
        for (id, resource) in &self.desired.resources {
            let Spec::Probe(spec) = &resource.spec else { continue };
            let Some(state) = self.state(id) else { continue };
            let State::Probe(probe_state) = state else {
                self.mismatch(id, resource);
                continue;
            };
            let found = check::probe(spec, probe_state, changes);
            self.take(id, resource, found, state);
        }
    }

    /// The agent answered with the state of another kind; nothing can be said of the resource.
    fn mismatch(&mut self, id: &ResourceId, resource: &Resource) {
        self.blockers.push(Blocker {
            id: id.clone(),
            unknown: true,
            problem: HostText::from("the agent reported a state of another kind"),
            fix: "plan again; if it stays, the host's agent is not the one that was sent".into(),
            origin: Some(resource.origin.clone()),
        });
    }

    fn take(&mut self, id: &ResourceId, resource: &Resource, found: Difference, state: &State) {
        match found {
            Difference::Same(because) => match self.entry(id) {
                Some(entry) if entry.on_removal != resource.on_removal => {
                    let field = difference::changes("on_removal", entry.on_removal.word(), resource.on_removal);
                    let edit = Edit::new(Action::Record, Reason::OnRemovalDiffers, Op::Record).with_fields(vec![field]);
                    self.push(id, edit, Moved::Configuration, Some(resource), resource.depends.clone());
                }
                Some(_) | None => self.unchanged.push(Unchanged {
                    id: id.clone(),
                    because,
                }),
            },
            Difference::Impossible { problem, fix } => self.blockers.push(Blocker {
                id: id.clone(),
                unknown: false,
                problem,
                fix,
                origin: Some(resource.origin.clone()),
            }),
            Difference::Edit(edit) => {
                let moved = self.moved(id, &resource.spec, state);
                self.push(id, edit, moved, Some(resource), resource.depends.clone());
            }
        }
    }

    /// Who moved: the specification since the last apply, the host since the last apply, or both.
    fn moved(&self, id: &ResourceId, spec: &Spec, state: &State) -> Moved {
        let Some(entry) = self.entry(id) else { return Moved::New };
        let configuration = entry.spec != *spec;
        let host = match &entry.spec {
            Spec::Unit(spec) => unit::host_moved(spec, state),
            Spec::Firewall(before) => firewall::host_moved(before, configuration, state),
            Spec::Probe(_) => matches!(state, State::Probe(probe) if !probe.passing),
            Spec::Group(_)
            | Spec::User(_)
            | Spec::Debconf(_)
            | Spec::Package(_)
            | Spec::Directory(_)
            | Spec::File(_)
            | Spec::Block(_)
            | Spec::Swapfile(_)
            | Spec::Tree(_)
            | Spec::Git(_)
            | Spec::Switch(_)
            | Spec::Symlink(_)
            | Spec::Sysctl(_)
            | Spec::Secret(_)
            | Spec::Command(_) => !matches!(difference::difference(&entry.spec, state, None), Difference::Same(_)),
        };
        match (configuration, host) {
            (true, true) => Moved::Both,
            (true, false) => Moved::Configuration,
            (false, true) => Moved::Host,
            (false, false) => Moved::Neither,
        }
    }

    fn push(
        &mut self,
        id: &ResourceId,
        edit: Edit,
        moved: Moved,
        resource: Option<&Resource>,
        depends: Vec<crate::model::Dependency>,
    ) {
        self.changes.insert(
            id.clone(),
            Change {
                id: id.clone(),
                action: edit.action,
                fields: edit.fields,
                text: edit.text.map(|text| forbidden::hide(text, self.desired)),
                reasons: edit.reasons,
                moved,
                origin: resource.map(|resource| resource.origin.clone()),
                access: access::touches(id, self.desired),
            },
        );
        self.work.push(Work {
            id: id.clone(),
            removal: resource.is_none(),
            depends,
            ops: edit.ops,
            settle: edit.settle,
        });
    }

    fn finish(mut self, by: &Applier) -> Plan {
        let declared = self.desired.resources.iter();
        let declared = declared.map(|(id, resource)| (id, resource.depends.as_slice()));
        let left = self.receipt.into_iter().flat_map(|receipt| &receipt.entries);
        let left = left.map(|(id, entry)| (id, entry.depends.as_slice()));
        let readers = order::readers(declared.chain(left));
        let steps = order::steps(std::mem::take(&mut self.work), self.desired, readers);
        let preconditions = self
            .changes
            .keys()
            .filter(|id| id.kind != Kind::Probe)
            .filter_map(|id| Some((id.clone(), self.observed.resources.get(id)?.known()?.fingerprint())))
            .collect();
        let entries = self.desired.resources.iter().map(|(id, resource)| {
            let entry = PlannedEntry {
                spec: resource.spec.clone(),
                depends: resource.depends.clone(),
                trigger: (id.kind == Kind::Unit).then(|| trigger(self.desired, resource)),
                on_removal: resource.on_removal,
            };
            (id.clone(), entry)
        });
        let pending = self
            .changes
            .values()
            .filter(|change| change.action != Action::Record)
            .filter(|change| self.desired.resources.get(&change.id).is_some_and(has_consequence));
        Plan {
            format: PLAN_FORMAT,
            host: self.desired.host.clone(),
            machine_id: self.observed.facts.machine_id.clone(),
            base_generation: self.receipt.map_or(0, |receipt| receipt.generation),
            by: by.clone(),
            preconditions,
            entries: entries.collect(),
            pending: pending.map(|change| change.id.clone()).collect(),
            blobs: blobs(&steps, self.desired),
            changes: in_step_order(self.changes, &steps),
            unchanged: self.unchanged,
            blockers: self.blockers,
            steps,
        }
    }
}

/// Whether a change of it is followed by something that cannot be seen to be due once it is made: a restart, a reconfiguration.
const fn has_consequence(resource: &Resource) -> bool {
    match &resource.spec {
        Spec::Unit(_) => true,
        Spec::Debconf(answer) => answer.reconfigure,
        _ => false,
    }
}

/// The content that the steps write.
fn blobs(steps: &[Step], desired: &Desired) -> BTreeMap<Digest, crate::model::Blob> {
    let contents = steps.iter().flat_map(|step| match &step.op {
        Op::WriteFile(spec) => vec![spec.content],
        Op::MakeTree(spec) => spec.source.contents(),
        _ => Vec::new(),
    });
    contents
        .filter_map(|content| Some((content.sha256, desired.blobs.get(&content.sha256)?.clone())))
        .collect()
}

/// The changes as they will happen.
fn in_step_order(mut changes: BTreeMap<ResourceId, Change>, steps: &[Step]) -> Vec<Change> {
    let mut ordered: Vec<Change> = steps
        .iter()
        .flat_map(|step| &step.covers)
        .filter_map(|id| changes.remove(id))
        .collect();
    ordered.extend(changes.into_values());
    ordered
}

/// Whether a change is planned only because something else is: used to tell apart cause and consequence in reports.
#[must_use]
pub fn is_consequence(change: &Change) -> bool {
    change
        .reasons
        .iter()
        .all(|reason| matches!(reason, Reason::Triggered { .. } | Reason::VerifiesChanges))
}
