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

/// What the paths of users' unit files have in common: those below a home directory, and those for all users.
const OF_USERS: [&str; 2] = ["/.config/systemd/user/", "/etc/systemd/user/"];

/// Who reads unit files: the system's manager, or that of a user.
type Reader = Option<String>;

/// The users whose managers read the files that their units wait for, by path: what is declared, and what leaves.
pub(super) fn readers<'a>(
    resources: impl Iterator<Item = (&'a ResourceId, &'a [Dependency])>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut readers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let user = |id: &ResourceId| {
        let unit = (id.kind == Kind::Unit).then(|| UnitName::new(&*id.name).ok());
        unit.flatten().and_then(|unit| unit.user().map(str::to_owned))
    };
    for (id, depends) in resources {
        for dependency in depends {
            // A unit waits for its file, and the link that masks it for the unit.
            for (unit, file) in [(id, &dependency.on), (&dependency.on, id)] {
                let is_file = matches!(file.kind, Kind::File | Kind::Symlink);
                let is_unit_file = is_file && OF_USERS.iter().any(|part| file.name.contains(part));
                if let Some(user) = user(unit).filter(|_| is_unit_file) {
                    readers.entry(file.name.clone()).or_default().insert(user);
                }
            }
        }
    }
    readers
}

/// Orders the work into steps.
pub(super) fn steps(work: Vec<Work>, desired: &Desired, readers: BTreeMap<String, BTreeSet<String>>) -> Vec<Step> {
    let (removals, rest): (Vec<_>, Vec<_>) = work.into_iter().partition(|work| work.removal);
    let mut removals = sorted(removals, None);
    removals.reverse();
    let mut steps = Steps {
        readers,
        ..Steps::default()
    };
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
pub(super) fn reach(
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
    /// Whose managers read a user's unit file, by its path.
    readers: BTreeMap<String, BTreeSet<String>>,
    /// For whom a unit file has changed since they last read theirs.
    stale: BTreeSet<Reader>,
    /// The step in which each last reads them.
    read_at: BTreeMap<Reader, usize>,
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
            Op::Answer { .. } | Op::TakeBackAnswer { .. } => return self.answer(op, covers),
            Op::Reconfigure { package } => {
                let again =
                    |step: &&mut Step| matches!(&step.op, Op::Reconfigure { package: other } if other == package);
                let from = self.before_reconfiguring();
                if let Some(step) = self.steps.iter_mut().skip(from).find(again) {
                    step.covers.extend(covers);
                    return;
                }
            }
            Op::AtBoot { enable, disable } => {
                if let Some(at) = self.at_boot() {
                    // Whoever reads after that step reads this, too.
                    let mut stale = self.stale_after(&op);
                    stale.retain(|reader| self.read_at.get(reader).is_none_or(|read_at| *read_at < at));
                    self.stale.extend(stale);
                    let step = self.steps.get_mut(at);
                    if let Some(Step {
                        op:
                            Op::AtBoot {
                                enable: with,
                                disable: without,
                            },
                        covers: all,
                    }) = step
                    {
                        with.extend(enable.clone());
                        without.extend(disable.clone());
                        all.extend(covers);
                    }
                    return;
                }
            }
            Op::Secrets { .. } => return self.secrets(op, covers),
            Op::DaemonReload => return self.read_unit_files(None, covers),
            Op::ReloadOfUser { user } => return self.read_unit_files(Some(user.clone()), covers),
            // A unit is stopped as it was started.
            Op::Unit { name, verb } if *verb != UnitVerb::Stop => {
                let reader = name.user().map(str::to_owned);
                if self.stale.contains(&reader) {
                    self.read_unit_files(reader, BTreeSet::new());
                }
            }
            _ => {}
        }
        let stale = self.stale_after(&op);
        self.stale.extend(stale);
        self.steps.push(Step { op, covers });
    }

    /// Where the reconfigurations at the end begin.
    fn before_reconfiguring(&self) -> usize {
        let last = self
            .steps
            .iter()
            .rposition(|step| !matches!(step.op, Op::Reconfigure { .. }));
        last.map_or(0, |last| last + 1)
    }

    /// Answers that are given one after another are given at once, and packages are reconfigured when all are there.
    fn answer(&mut self, op: Op, covers: BTreeSet<ResourceId>) {
        let at = self.before_reconfiguring();
        let before = at.checked_sub(1).and_then(|last| self.steps.get_mut(last));
        match (before, op) {
            (
                Some(Step {
                    op: Op::Answer { answers: with },
                    covers: all,
                }),
                Op::Answer { answers },
            ) => {
                with.extend(answers);
                all.extend(covers);
            }
            (_, op) => self.steps.insert(at, Step { op, covers }),
        }
    }

    /// The step that sets what starts at boot, where it may do so for one more unit: nothing that comes after it is anything
    /// that enabling could need.
    fn at_boot(&self) -> Option<usize> {
        let is_order = |op: &Op| matches!(op, Op::Unit { .. } | Op::DaemonReload | Op::ReloadOfUser { .. });
        let at = self.steps.iter().rposition(|step| !is_order(&step.op))?;
        let step = self.steps.get(at)?;
        matches!(step.op, Op::AtBoot { .. }).then_some(at)
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
            for read_at in self.read_at.values_mut() {
                *read_at -= usize::from(*read_at > at);
            }
            join_secrets(&mut op, removal.op);
            covers.extend(removal.covers);
            self.steps.push(Step { op, covers });
        } else if let Some(step) = self.steps.get_mut(at) {
            join_secrets(&mut step.op, op);
            step.covers.extend(covers);
        }
    }

    /// Lets a manager read its files, unless it has since they last changed.
    fn read_unit_files(&mut self, reader: Reader, covers: BTreeSet<ResourceId>) {
        let read_at = self.read_at.get(&reader).filter(|_| !self.stale.contains(&reader));
        match read_at.and_then(|at| self.steps.get_mut(*at)) {
            Some(step) => step.covers.extend(covers),
            None => {
                self.stale.remove(&reader);
                self.read_at.insert(reader.clone(), self.steps.len());
                let op = match reader {
                    None => Op::DaemonReload,
                    Some(user) => Op::ReloadOfUser { user },
                };
                self.steps.push(Step { op, covers });
            }
        }
    }

    /// Who has to read their files again after it, links that enable units among them.
    fn stale_after(&self, op: &Op) -> BTreeSet<Reader> {
        let path = match op {
            Op::AtBoot { enable, disable } => {
                let units = enable.union(disable);
                return units.map(|unit| unit.user().map(str::to_owned)).collect();
            }
            Op::WriteFile(spec) => &spec.path,
            Op::MakeSymlink(spec) => &spec.path,
            Op::RemovePath { path, .. } | Op::RestoreFile { path, .. } => path,
            _ => return BTreeSet::new(),
        };
        let is_systems = UNIT_DIRECTORIES
            .iter()
            .any(|directory| path.as_str().starts_with(directory));
        let users = self.readers.get(path.as_str()).into_iter().flatten().cloned().map(Some);
        users.chain(is_systems.then_some(None)).collect()
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
        for reader in std::mem::take(&mut self.stale) {
            self.read_at.remove(&reader);
            self.read_unit_files(reader, BTreeSet::new());
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
