//! A host that does exactly what a plan's steps say, for the property that a plan leaves nothing to plan.

use std::collections::BTreeSet;

use crate::model::{
    ActiveSwap, BlockSpec, BlockState, CommandState, DebconfAnswer, DebconfEarlier, DebconfState, Entry, Fact,
    FirewallState, GitSpec, GitState, GitUpdate, GroupState, HostText, Observed, Op, Outcome, Owner, PackageState,
    PathKind, PathState, Plan, ProbeState, Receipt, ResourceId, Revision, SecretState, Spec, Standing, State,
    SwapfileFound, SwapfileState, SwitchState, SysctlState, TreeState, UnitState, UnitVerb, UserState,
};

/// What an observation finds after the plan's steps.
pub(super) fn simulate(plan: &Plan, before: &Observed) -> Observed {
    let mut host = before.clone();
    for step in &plan.steps {
        apply(&step.op, &mut host);
    }
    let old = before.receipt.known().cloned().flatten();
    let entries = plan.entries.iter().map(|(id, planned)| {
        let earlier = old.as_ref().and_then(|receipt| receipt.entries.get(id));
        let changed = plan.changes.iter().any(|change| change.id == *id);
        let found = || before.resources.get(id).and_then(Fact::known).cloned();
        let original = earlier
            .and_then(|entry| entry.original.clone())
            .or_else(|| changed.then(found).flatten());
        let entry = Entry {
            spec: planned.spec.clone(),
            depends: planned.depends.clone(),
            original,
            trigger: planned.trigger,
            on_removal: planned.on_removal,
        };
        (id.clone(), entry)
    });
    host.receipt = Fact::Known(Some(Receipt {
        generation: plan.base_generation + 1,
        plan_id: plan.id(),
        at: 0,
        by: [].into(),
        outcome: Outcome::Confirmed,
        entries: entries.collect(),
        pending: BTreeSet::new(),
    }));
    host
}

fn owner(name: &str) -> Owner {
    Owner {
        id: name.parse().unwrap_or(1),
        name: name.parse::<u32>().is_err().then(|| HostText::from(name)),
    }
}

fn set(host: &mut Observed, spec: &Spec, state: State) {
    host.resources.insert(spec.id(), Fact::Known(state));
}

fn apply(op: &Op, host: &mut Observed) {
    match op {
        Op::WriteFile(spec) => {
            let state = PathState::File {
                content: spec.content,
                owner: owner(&spec.owner),
                group: owner(&spec.group),
                mode: spec.mode,
                text: None,
            };
            set(host, &Spec::File(spec.clone()), State::Path(state));
        }
        Op::SetAttributes {
            path,
            owner: user,
            group: team,
            mode: bits,
        } => {
            for fact in at_path(host, path.as_str()) {
                if let Fact::Known(State::Path(
                    PathState::File {
                        owner: o,
                        group: g,
                        mode: m,
                        ..
                    }
                    | PathState::Directory {
                        owner: o,
                        group: g,
                        mode: m,
                    },
                )) = fact
                {
                    (*o, *g, *m) = (owner(user), owner(team), *bits);
                }
            }
        }
        Op::MakeDirectory(spec) => {
            let state = PathState::Directory {
                owner: owner(&spec.owner),
                group: owner(&spec.group),
                mode: spec.mode,
            };
            set(host, &Spec::Directory(spec.clone()), State::Path(state));
        }
        Op::MakeSymlink(spec) => {
            let state = PathState::Symlink {
                target: HostText::from(spec.target.as_str()),
            };
            set(host, &Spec::Symlink(spec.clone()), State::Path(state));
        }
        Op::MakeTree(spec) => {
            let state = TreeState::Version {
                directory: HostText::new(spec.directory()),
                intact: true,
            };
            set(host, &Spec::Tree(spec.clone()), State::Tree(state));
        }
        Op::RemoveTree { path } => {
            for (id, fact) in &mut host.resources {
                if matches!(fact, Fact::Known(State::Tree(_))) && id.name == path.as_str() {
                    *fact = Fact::Known(State::Tree(TreeState::Absent));
                }
            }
        }
        Op::CloneGit(spec) => {
            let commit = match &spec.revision {
                Revision::Commit(commit) => commit.clone(),
                Revision::Branch(_) => "0".repeat(40),
            };
            set(host, &Spec::Git(spec.clone()), State::Git(checkout(spec, commit)));
        }
        Op::MirrorGit { spec, commit } => {
            set(
                host,
                &Spec::Git(spec.clone()),
                State::Git(checkout(spec, commit.clone())),
            );
        }
        Op::RemoveGit(spec) => {
            let state = GitState::Absent { git: true };
            set(host, &Spec::Git(spec.clone()), State::Git(state));
        }
        Op::Turn(spec) => {
            let state = SwitchState { on: spec.on };
            set(host, &Spec::Switch(spec.clone()), State::Switch(state));
        }
        Op::PutBlock(spec) => {
            let state = BlockState::File {
                lines: Some(HostText::new(spec.lines())),
                ragged: false,
                owner: owner(spec.owner.as_deref().unwrap_or("root")),
                group: owner(spec.group.as_deref().unwrap_or("root")),
                mode: spec.mode.unwrap_or(BlockSpec::NEW_FILE),
            };
            set(host, &Spec::Block(spec.clone()), State::Block(state));
        }
        Op::RemoveBlock { path, name, .. } => {
            let id = ResourceId::new(crate::model::Kind::Block, format!("{path}#{name}"));
            if let Some(Fact::Known(State::Block(BlockState::File { lines, .. }))) = host.resources.get_mut(&id) {
                *lines = None;
            }
        }
        Op::RemovePath {
            path,
            what: PathKind::File | PathKind::Symlink | PathKind::Directory,
        } => {
            for fact in at_path(host, path.as_str()) {
                *fact = Fact::Known(State::Path(PathState::Absent));
            }
        }
        Op::RestoreFile {
            path,
            content,
            owner: user,
            group: team,
            mode,
        } => {
            for fact in at_path(host, path.as_str()) {
                let state = PathState::File {
                    content: *content,
                    owner: Owner { id: *user, name: None },
                    group: Owner { id: *team, name: None },
                    mode: *mode,
                    text: None,
                };
                *fact = Fact::Known(State::Path(state));
            }
        }
        Op::Answer { answers } => {
            for spec in answers.values() {
                let answer = DebconfAnswer::Known {
                    value: Some(HostText::from(spec.value.as_str())),
                    seen: true,
                };
                answered(host, &spec.question, answer);
            }
        }
        Op::TakeBackAnswer { question, to, .. } => {
            let answer = match to {
                DebconfEarlier::Value { value, seen } => DebconfAnswer::Known {
                    value: Some(HostText::from(value.as_str())),
                    seen: *seen,
                },
                DebconfEarlier::Default => DebconfAnswer::Known {
                    value: None,
                    seen: false,
                },
                DebconfEarlier::Nothing => DebconfAnswer::None,
            };
            answered(host, question, answer);
        }
        Op::Packages { install, remove, .. } => {
            for (id, fact) in &mut host.resources {
                if let Some(version) = install.get(&id.name).filter(|_| is(id, "package")) {
                    let version = HostText::from(version.as_deref().unwrap_or("1"));
                    *fact = Fact::Known(State::Package(PackageState::Installed { version }));
                }
                if is(id, "package") && remove.contains(&id.name) {
                    *fact = Fact::Known(State::Package(PackageState::Absent));
                }
            }
        }
        Op::SetSysctl(spec) => {
            let live = SysctlState::Live(HostText::from(spec.value.as_str()));
            set(host, &Spec::Sysctl(spec.clone()), State::Sysctl(live));
        }
        Op::PutSwapfile { spec, .. } => {
            let found = SwapfileFound {
                size: spec.size,
                formatted: Some(spec.size),
                owner: 0,
                mode: crate::model::Mode::from_bits(0o600),
                active: spec.active.then(|| ActiveSwap {
                    priority: spec.priority.map_or(-2, i32::from),
                    used: 0,
                }),
                room: None,
                memory: 0,
            };
            set(
                host,
                &Spec::Swapfile(spec.clone()),
                State::Swapfile(SwapfileState::File(found)),
            );
        }
        Op::RemoveSwapfile { path } => {
            let id = ResourceId::new(crate::model::Kind::Swapfile, path.as_str());
            let state = State::Swapfile(SwapfileState::Absent { room: None });
            host.resources.insert(id, Fact::Known(state));
        }
        Op::LoadFirewall(spec) => {
            let state = FirewallState::Table {
                comment: spec.comment.as_deref().map(HostText::from),
                rules: HostText::from(spec.rules.as_str()),
                as_wanted: true,
            };
            set(host, &Spec::Firewall(spec.clone()), State::Firewall(state));
        }
        Op::RemoveFirewall => {
            for fact in host.resources.values_mut() {
                if matches!(fact, Fact::Known(State::Firewall(_))) {
                    *fact = Fact::Known(State::Firewall(FirewallState::Absent));
                }
            }
        }
        Op::Secrets {
            deliver, keep, remove, ..
        } => {
            for spec in deliver.values().chain(keep.values()) {
                let version = match &spec.version {
                    Fact::Known(Some(version)) => version.to_string(),
                    Fact::Known(None) | Fact::Unknown(_) => "none".to_owned(),
                };
                let sealed = spec.after_reboot == crate::model::AfterReboot::Sealed;
                let state = SecretState::Delivered {
                    version: HostText::new(version.clone()),
                    intact: true,
                    owner: owner(&spec.owner),
                    group: owner(&spec.group),
                    mode: spec.mode,
                    sealed: sealed.then(|| HostText::new(version)),
                    fetch: match spec.after_reboot {
                        crate::model::AfterReboot::Fetch => crate::model::FetchRecord::Current,
                        _ => crate::model::FetchRecord::None,
                    },
                    at_boot: false,
                };
                set(host, &Spec::Secret(spec.clone()), State::Secret(state));
            }
            for name in remove {
                let id = ResourceId::new(crate::model::Kind::Secret, name);
                let state = SecretState::Absent { nothing_mounted: false };
                host.resources.insert(id, Fact::Known(State::Secret(state)));
            }
        }
        Op::DaemonReload | Op::ReloadOfUser { .. } => {
            let reader = match op {
                Op::ReloadOfUser { user } => Some(user.as_str()),
                _ => None,
            };
            for (id, fact) in &mut host.resources {
                let of = id.name.split_once('/').map(|(user, _)| user);
                if let Fact::Known(State::Unit(state)) = fact
                    && of == reader
                {
                    state.needs_reload = false;
                    if state.load.untrusted() == "not-found" {
                        *state = loaded();
                    }
                }
            }
        }
        Op::AtBoot { enable, disable } => {
            for (id, fact) in &mut host.resources {
                if let Fact::Known(State::Unit(state)) = fact {
                    for (units, enabled) in [(enable, "enabled"), (disable, "disabled")] {
                        if units.iter().any(|name| name.as_str() == id.name) {
                            state.enabled = enabled.into();
                            state.needs_reload = true;
                        }
                    }
                }
            }
        }
        Op::Unit { name, verb } => {
            for (id, fact) in &mut host.resources {
                let Fact::Known(State::Unit(state)) = fact else {
                    continue;
                };
                if id.name != name.as_str() {
                    continue;
                }
                if state.load.untrusted() == "not-found" {
                    *state = loaded();
                }
                match verb {
                    UnitVerb::Stop => state.active = "inactive".into(),
                    UnitVerb::Start | UnitVerb::Restart | UnitVerb::Reload => state.active = "active".into(),
                }
            }
        }
        Op::Reconfigure { .. } | Op::Settle(_) | Op::Record => {}
        Op::CreateGroup(spec) => {
            let state = GroupState::Present {
                gid: spec.gid.unwrap_or(900),
            };
            set(host, &Spec::Group(spec.clone()), State::Group(state));
        }
        Op::SetGroupId { name, gid } => {
            let id = ResourceId::new(crate::model::Kind::Group, name);
            host.resources
                .insert(id, Fact::Known(State::Group(GroupState::Present { gid: *gid })));
        }
        Op::DeleteGroup { name } => {
            let id = ResourceId::new(crate::model::Kind::Group, name);
            host.resources.insert(id, Fact::Known(State::Group(GroupState::Absent)));
        }
        Op::CreateUser(spec) => {
            let text = |value: String| HostText::new(value);
            let state = UserState::Present {
                uid: spec.uid.unwrap_or(1000),
                group: owner(spec.group.as_deref().unwrap_or(&spec.name)),
                groups: spec.groups.iter().map(|name| HostText::from(name.as_str())).collect(),
                home: text(
                    spec.home
                        .as_ref()
                        .map_or_else(|| format!("/home/{}", spec.name), ToString::to_string),
                ),
                shell: text(
                    spec.shell
                        .as_ref()
                        .map_or_else(|| "/bin/sh".to_owned(), ToString::to_string),
                ),
                comment: text(spec.comment.clone().unwrap_or_default()),
            };
            set(host, &Spec::User(spec.clone()), State::User(state));
        }
        Op::ModifyUser { change, leave } => {
            let id = ResourceId::new(crate::model::Kind::User, &change.name);
            let Some(Fact::Known(State::User(UserState::Present {
                uid,
                group,
                groups,
                home,
                shell,
                comment,
            }))) = host.resources.get_mut(&id)
            else {
                return;
            };
            *uid = change.uid.unwrap_or(*uid);
            if let Some(name) = &change.group {
                *group = owner(name);
            }
            groups.extend(change.groups.iter().map(|name| HostText::from(name.as_str())));
            groups.retain(|name| !leave.contains(name.untrusted()));
            for (field, value) in [
                (home, change.home.as_ref().map(ToString::to_string)),
                (shell, change.shell.as_ref().map(ToString::to_string)),
                (comment, change.comment.clone()),
            ] {
                if let Some(value) = value {
                    *field = HostText::new(value);
                }
            }
        }
        Op::DeleteUser { name, keep_group } => {
            let id = ResourceId::new(crate::model::Kind::User, name);
            host.resources.insert(id, Fact::Known(State::User(UserState::Absent)));
            // As userdel does (USERGROUPS_ENAB of login.defs).
            let group = ResourceId::new(crate::model::Kind::Group, name);
            if let Some(group) = host.resources.get_mut(&group).filter(|_| !keep_group) {
                *group = Fact::Known(State::Group(GroupState::Absent));
            }
        }
        Op::Run(spec) => {
            let state = CommandState {
                satisfied: true,
                detail: "ran".into(),
            };
            set(host, &Spec::Command(spec.clone()), State::Command(state));
        }
        Op::Probe(spec) => {
            let state = ProbeState {
                passing: true,
                detail: "passes".into(),
            };
            set(host, &Spec::Probe(spec.clone()), State::Probe(state));
        }
    }
}

fn answered(host: &mut Observed, question: &str, answer: DebconfAnswer) {
    let id = ResourceId::new(crate::model::Kind::Debconf, question);
    let installed = matches!(
        host.resources.get(&id),
        Some(Fact::Known(State::Debconf(DebconfState { installed: true, .. })))
    );
    let state = DebconfState { answer, installed };
    host.resources.insert(id, Fact::Known(State::Debconf(state)));
}

fn is(id: &ResourceId, kind: &str) -> bool {
    id.kind.name() == kind
}

fn at_path<'a>(host: &'a mut Observed, path: &'a str) -> impl Iterator<Item = &'a mut Fact<State>> {
    host.resources
        .iter_mut()
        .filter(move |(id, _)| id.kind.lies_at_path() && id.name == path)
        .map(|(_, fact)| fact)
}

fn loaded() -> UnitState {
    UnitState {
        load: "loaded".into(),
        enabled: "disabled".into(),
        active: "inactive".into(),
        needs_reload: false,
    }
}

/// A checkout that is as it should be.
fn checkout(spec: &GitSpec, commit: String) -> GitState {
    let tip = matches!(spec.revision, Revision::Branch(_)).then(|| Fact::Known(commit.clone()));
    let standing = Standing {
        commit: Some(commit),
        changed: 0,
        tip,
    };
    GitState::Checkout {
        url: HostText::new(spec.url.as_str()),
        mirror: (spec.update == GitUpdate::Mirror).then_some(standing),
    }
}
