//! The order of a plan's steps: removals first and in reverse, then what is declared, each after what it depends on.
//! Packages that can go together do; systemd reads its files once before it is told anything. It changes no decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Dependency, Desired, Kind, Millis, Op, ResourceId, Step, UnitName, UnitVerb};

/// The operations of one change.
pub(super) struct Work {
    pub(super) id: ResourceId,
    pub(super) removal: bool,
    pub(super) depends: Vec<Dependency>,
    pub(super) ops: Vec<Op>,
    pub(super) settle: Option<(UnitName, Millis)>,
}

/// Where systemd looks for unit files (systemd.unit(5), the system manager's load path).
const UNIT_DIRECTORIES: [&str; 4] = [
    "/etc/systemd/system/",
    "/run/systemd/system/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
];

/// Orders the work into steps.
pub(super) fn steps(work: Vec<Work>, desired: &Desired) -> Vec<Step> {
    let (removals, rest): (Vec<_>, Vec<_>) = work.into_iter().partition(|work| work.removal);
    let mut removals = sorted(removals, None);
    removals.reverse();
    let mut steps = Steps::default();
    for work in removals.into_iter().chain(sorted(rest, Some(desired))) {
        steps.add(work);
    }
    steps.finish()
}

/// A topological order; ties go by kind, then by name. With `desired`, dependencies count through resources that
/// do not change. What a cycle leaves over (resolving refuses cycles) comes last, so that nothing is lost.
fn sorted(work: Vec<Work>, desired: Option<&Desired>) -> Vec<Work> {
    let ids: BTreeSet<ResourceId> = work.iter().map(|work| work.id.clone()).collect();
    let mut waits: BTreeMap<ResourceId, BTreeSet<ResourceId>> = BTreeMap::new();
    for item in &work {
        let direct = item.depends.iter().map(|dependency| dependency.on.clone());
        waits.insert(item.id.clone(), reach(direct, &ids, desired));
    }
    let mut work: BTreeMap<ResourceId, Work> = work.into_iter().map(|work| (work.id.clone(), work)).collect();
    let mut ordered = Vec::with_capacity(work.len());
    while !work.is_empty() {
        // ResourceId orders by kind first, and Kind's order is the order of preference.
        let next = work
            .keys()
            .find(|id| waits[*id].is_empty())
            .or_else(|| work.keys().next())
            .cloned();
        let Some(item) = next.and_then(|id| work.remove(&id)) else {
            break;
        };
        waits.remove(&item.id);
        for on in waits.values_mut() {
            on.remove(&item.id);
        }
        ordered.push(item);
    }
    ordered
}

/// The changing resources that are reached over any number of unchanged ones.
fn reach(
    from: impl Iterator<Item = ResourceId>,
    changing: &BTreeSet<ResourceId>,
    desired: Option<&Desired>,
) -> BTreeSet<ResourceId> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut queue: Vec<_> = from.collect();
    while let Some(id) = queue.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        if changing.contains(&id) {
            found.insert(id);
        } else if let Some(resource) = desired.and_then(|desired| desired.resources.get(&id)) {
            queue.extend(resource.depends.iter().map(|dependency| dependency.on.clone()));
        }
    }
    found
}

#[derive(Default)]
struct Steps {
    steps: Vec<Step>,
    /// A unit file has changed since systemd last read them.
    stale: bool,
    /// The step in which it last reads them.
    read_at: Option<usize>,
    /// Started units that have not been watched yet, and what that will cover.
    settling: BTreeMap<UnitName, Millis>,
    settling_covers: BTreeSet<ResourceId>,
}

impl Steps {
    fn add(&mut self, work: Work) {
        if work.id.kind == Kind::Probe {
            self.settle();
        }
        let last = work.ops.len().saturating_sub(1);
        for (number, op) in work.ops.into_iter().enumerate() {
            let settles = work.settle.is_some();
            let covers = if number == last && !settles {
                [work.id.clone()].into()
            } else {
                BTreeSet::new()
            };
            self.push(op, covers);
        }
        if let Some((unit, settle)) = work.settle {
            self.settling.insert(unit, settle);
            self.settling_covers.insert(work.id);
        }
    }

    fn push(&mut self, op: Op, covers: BTreeSet<ResourceId>) {
        match &op {
            Op::Packages { install, bare, remove } => {
                if let Some(Step {
                    op:
                        Op::Packages {
                            install: with,
                            bare: barely,
                            remove: without,
                        },
                    covers: all,
                }) = self.steps.last_mut()
                {
                    with.extend(install.clone());
                    barely.extend(bare.clone());
                    without.extend(remove.clone());
                    all.extend(covers);
                    return;
                }
            }
            Op::AtBoot { enable, disable } => {
                if let Some((with, without, all)) = self.at_boot() {
                    with.extend(enable.clone());
                    without.extend(disable.clone());
                    all.extend(covers);
                    return;
                }
            }
            Op::Secrets { .. } => return self.secrets(op, covers),
            Op::DaemonReload => return self.read_unit_files(covers),
            // A unit is stopped as it was started.
            Op::Unit { verb, .. } if self.stale && *verb != UnitVerb::Stop => self.read_unit_files(BTreeSet::new()),
            _ => {}
        }
        self.stale |= changes_unit_file(&op);
        self.steps.push(Step { op, covers });
    }

    /// The step that sets what starts at boot, where it may do so for one more unit: nothing that comes after it is anything
    /// that enabling could need.
    fn at_boot(
        &mut self,
    ) -> Option<(
        &mut BTreeSet<UnitName>,
        &mut BTreeSet<UnitName>,
        &mut BTreeSet<ResourceId>,
    )> {
        let Step { op, covers } = self
            .steps
            .iter_mut()
            .rev()
            .find(|step| !matches!(step.op, Op::Unit { .. } | Op::DaemonReload))?;
        match op {
            Op::AtBoot { enable, disable } => Some((enable, disable, covers)),
            _ => None,
        }
    }

    /// All secrets of a directory are one step, so that they change at once: where one is delivered first, or, where all of them
    /// go, where the first one goes. They wait for users and groups only, which come before all else.
    fn secrets(&mut self, mut op: Op, mut covers: BTreeSet<ResourceId>) {
        let before = self.steps.iter().position(|step| is_of_same_directory(&step.op, &op));
        let Some(at) = before else {
            self.steps.push(Step { op, covers });
            return;
        };
        let only_removes =
            |op: &Op| matches!(op, Op::Secrets { deliver, keep, .. } if deliver.is_empty() && keep.is_empty());
        if self.steps.get(at).is_some_and(|step| only_removes(&step.op)) && !only_removes(&op) {
            let removal = self.steps.remove(at);
            self.read_at = self.read_at.map(|read_at| read_at - usize::from(read_at > at));
            join_secrets(&mut op, removal.op);
            covers.extend(removal.covers);
            self.steps.push(Step { op, covers });
        } else if let Some(step) = self.steps.get_mut(at) {
            join_secrets(&mut step.op, op);
            step.covers.extend(covers);
        }
    }

    /// Lets systemd read its files, unless it has since they last changed.
    fn read_unit_files(&mut self, covers: BTreeSet<ResourceId>) {
        let read = self
            .read_at
            .filter(|_| !self.stale)
            .and_then(|at| self.steps.get_mut(at));
        match read {
            Some(step) => step.covers.extend(covers),
            None => {
                self.read_at = Some(self.steps.len());
                self.stale = false;
                let op = Op::DaemonReload;
                self.steps.push(Step { op, covers });
            }
        }
    }

    fn settle(&mut self) {
        if !self.settling.is_empty() {
            let op = Op::Settle(std::mem::take(&mut self.settling));
            self.steps.push(Step {
                op,
                covers: std::mem::take(&mut self.settling_covers),
            });
        }
    }

    fn finish(mut self) -> Vec<Step> {
        if self.stale {
            self.read_unit_files(BTreeSet::new());
        }
        self.settle();
        self.steps
    }
}

fn is_of_same_directory(one: &Op, other: &Op) -> bool {
    matches!(
        (one, other),
        (Op::Secrets { directory: one, .. }, Op::Secrets { directory: other, .. }) if one == other
    )
}

fn join_secrets(into: &mut Op, from: Op) {
    if let (
        Op::Secrets {
            deliver, keep, remove, ..
        },
        Op::Secrets {
            deliver: more_delivered,
            keep: more_kept,
            remove: more_removed,
            ..
        },
    ) = (into, from)
    {
        deliver.extend(more_delivered);
        keep.extend(more_kept);
        remove.extend(more_removed);
    }
}

/// Whether systemd has to read its files again after it, links that enable units among them.
fn changes_unit_file(op: &Op) -> bool {
    let path = match op {
        Op::AtBoot { .. } => return true,
        Op::WriteFile(spec) => &spec.path,
        Op::MakeSymlink(spec) => &spec.path,
        Op::RemovePath { path, .. } | Op::RestoreFile { path, .. } => path,
        _ => return false,
    };
    UNIT_DIRECTORIES
        .iter()
        .any(|directory| path.as_str().starts_with(directory))
}
