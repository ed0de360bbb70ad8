//! Plans for these tests: files, directories, links and commands, planned in the plainest way that can be right.

use std::collections::{BTreeMap, BTreeSet};

use provision_core::model::{
    AbsPath, Applier, Blob, CommandSpec, Content, Digest, DirectorySpec, Fact, FileSpec, Guard, HostName, HostText,
    Millis, Mode, Observed, Op, PLAN_FORMAT, PathKind, PathState, Plan, PlannedEntry, Spec, State, Step, SymlinkSpec,
};

use crate::host::Host;

fn path(text: &str) -> AbsPath {
    AbsPath::new(text).unwrap()
}

pub(crate) fn file(at: &str, text: &str) -> Spec {
    Spec::File(FileSpec {
        path: path(at),
        content: Content::of(text.as_bytes()),
        owner: "root".to_owned(),
        group: "0".to_owned(),
        mode: "0640".parse().unwrap(),
        validate: None,
        sensitive: false,
        private: false,
        seed: false,
    })
}

pub(crate) fn validated(at: &str, text: &str, argv: &[&str]) -> Spec {
    let Spec::File(spec) = file(at, text) else {
        unreachable!()
    };
    Spec::File(FileSpec {
        validate: Some(argv.iter().map(|arg| (*arg).to_owned()).collect()),
        ..spec
    })
}

pub(crate) fn directory(at: &str) -> Spec {
    Spec::Directory(DirectorySpec {
        path: path(at),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: Mode::from_bits(0o755),
    })
}

pub(crate) fn symlink(at: &str, target: &str) -> Spec {
    Spec::Symlink(SymlinkSpec {
        path: path(at),
        target: target.to_owned(),
    })
}

/// A shell command that runs until `creates` is there.
pub(crate) fn command(name: &str, script: &str, creates: &str) -> Spec {
    Spec::Command(CommandSpec {
        name: name.to_owned(),
        run: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        guard: Guard::Creates(path(creates)),
        user: None,
        cwd: None,
        env: BTreeMap::new(),
        timeout: Millis::seconds(60),
    })
}

/// What a host should have: each with its text, where it has one.
pub(crate) type Wanted = Vec<(Spec, &'static str)>;

pub(crate) fn specs(wanted: &Wanted) -> Vec<Spec> {
    wanted.iter().map(|(spec, _)| spec.clone()).collect()
}

/// Plans what is wanted on a host, from one look at it.
pub(crate) fn plan(host: &Host, wanted: &Wanted) -> Plan {
    plan_from(&host.observe(&specs(wanted)), wanted)
}

pub(crate) fn plan_from(observed: &Observed, wanted: &Wanted) -> Plan {
    let receipt = observed.receipt.known().expect("the receipt can be read").as_ref();
    let mut plan = Plan {
        format: PLAN_FORMAT,
        host: HostName::new("test").unwrap(),
        machine_id: observed.facts.machine_id.clone(),
        base_generation: receipt.map_or(0, |receipt| receipt.generation),
        by: Applier {
            who: "tester@here".to_owned(),
            commit: None,
            version: "0".to_owned(),
            rollback_to: None,
        },
        changes: Vec::new(),
        unchanged: Vec::new(),
        blockers: Vec::new(),
        steps: Vec::new(),
        preconditions: BTreeMap::new(),
        entries: BTreeMap::new(),
        pending: BTreeSet::new(),
        blobs: BTreeMap::new(),
    };
    for (spec, text) in wanted {
        let id = spec.id();
        let Fact::Known(state) = &observed.resources[&id] else {
            panic!("{id} is unknown: {:?}", observed.resources[&id]);
        };
        let entry = PlannedEntry {
            spec: spec.clone(),
            depends: Vec::new(),
            trigger: None,
            on_removal: Default::default(),
        };
        plan.entries.insert(id.clone(), entry);
        if !is_as_wanted(spec, state) {
            plan.preconditions.insert(id.clone(), state.fingerprint());
            plan.blobs
                .insert(Digest::of(text.as_bytes()), Blob::from(text.as_bytes().to_vec()));
            plan.steps.push(step(op(spec), &[spec]));
        }
    }
    let left = receipt.into_iter().flat_map(|receipt| &receipt.entries);
    let mut left: Vec<_> = left.filter(|(id, _)| !plan.entries.contains_key(*id)).collect();
    // What lies in a directory goes before it.
    left.reverse();
    for (id, entry) in left {
        let Fact::Known(state) = &observed.resources[id] else {
            panic!("{id} is unknown");
        };
        plan.preconditions.insert(id.clone(), state.fingerprint());
        plan.steps
            .push(step(removal(&entry.spec, entry.original.as_ref()), &[&entry.spec]));
    }
    plan
}

pub(crate) fn step(op: Op, covers: &[&Spec]) -> Step {
    Step {
        op,
        covers: covers.iter().map(|spec| spec.id()).collect(),
    }
}

fn op(spec: &Spec) -> Op {
    match spec.clone() {
        Spec::File(spec) => Op::WriteFile(spec),
        Spec::Directory(spec) => Op::MakeDirectory(spec),
        Spec::Symlink(spec) => Op::MakeSymlink(spec),
        Spec::Command(spec) => Op::Run(spec),
        Spec::Probe(spec) => Op::Probe(spec),
        Spec::Sysctl(spec) => Op::SetSysctl(spec),
        other => panic!("{other:?}"),
    }
}

fn removal(spec: &Spec, original: Option<&State>) -> Op {
    let (path, what) = match spec {
        Spec::File(spec) => (spec.path.clone(), PathKind::File),
        Spec::Directory(spec) => (spec.path.clone(), PathKind::Directory),
        Spec::Symlink(spec) => (spec.path.clone(), PathKind::Symlink),
        _ => return Op::Record,
    };
    match original {
        Some(State::Path(PathState::File {
            content,
            owner,
            group,
            mode,
            ..
        })) => Op::RestoreFile {
            path,
            content: *content,
            owner: owner.id,
            group: group.id,
            mode: *mode,
        },
        _ => Op::RemovePath { path, what },
    }
}

fn is_as_wanted(spec: &Spec, state: &State) -> bool {
    match (spec, state) {
        (Spec::File(spec), State::Path(PathState::File { content, mode, .. })) => {
            spec.content == *content && spec.mode == *mode
        }
        (Spec::Directory(spec), State::Path(PathState::Directory { mode, .. })) => spec.mode == *mode,
        (Spec::Symlink(spec), State::Path(PathState::Symlink { target })) => *target == HostText::new(&*spec.target),
        (Spec::Command(_), State::Command(state)) => state.satisfied,
        (Spec::Probe(_), State::Probe(state)) => state.passing,
        _ => false,
    }
}
