//! What happens to a resource that leaves the configuration: by default what `provision` made goes, what was there before
//! comes back, and what it never changed stays; `on_removal` may choose otherwise. It looks at no other resource.

use std::collections::BTreeSet;

use super::account::{self, unchanged_user};
use super::block;
use super::difference::{Difference, Edit, changes};
use super::{debconf, firewall, git, secret, swapfile, switch, tree, unit};
use crate::model::{
    AbsPath, Action, BlockState, DebconfAnswer, DebconfState, DirectorySpec, Entry, FieldChange, FirewallState,
    GitState, GroupSpec, GroupState, HostText, OnRemoval, Op, PackageSpec, PackageState, PackageWant, PathKind,
    PathState, Reason, Spec, State, SwapfileState, Switch, SymlinkSpec, SysctlSpec, SysctlState, TreeState, UnitState,
    UserSpec, UserState,
};

/// A removal.
pub(super) struct Removal {
    pub(super) edit: Edit,
    /// Whether it makes room for what is declared at the same path.
    pub(super) frees: bool,
}

/// `replaced` says that another kind is declared at the same path, so that restoring would only be in its way.
pub(super) fn removal(entry: &Entry, state: &State, replaced: bool) -> Removal {
    let edit = match entry.on_removal {
        OnRemoval::Restore => undo(entry, state, replaced),
        OnRemoval::Remove => remove(entry, state),
        OnRemoval::Keep => {
            let edit = forget(entry, state, Reason::Kept);
            return Removal { edit, frees: false };
        }
    };
    Removal { edit, frees: replaced }
}

/// What was there before comes back.
fn undo(entry: &Entry, state: &State, replaced: bool) -> Edit {
    let edit = match (&entry.spec, state) {
        (Spec::File(spec), State::Path(PathState::File { content, .. }))
            if spec.seed && *content != spec.content && entry.on_removal != OnRemoval::Remove =>
        {
            Some(forget(entry, state, Reason::ChangedSince))
        }
        (Spec::File(spec), State::Path(state)) => path(&spec.path, PathKind::File, entry, state, replaced),
        (Spec::Symlink(spec), State::Path(state)) => path(&spec.path, PathKind::Symlink, entry, state, replaced),
        (Spec::Directory(spec), State::Path(state)) => path(&spec.path, PathKind::Directory, entry, state, replaced),
        (Spec::Block(spec), State::Block(state)) => block::removal(spec, entry, state),
        (Spec::Debconf(spec), State::Debconf(state)) => debconf::removal(spec, entry, state),
        (Spec::Package(spec), State::Package(state)) => package(spec, entry, state),
        (Spec::Swapfile(spec), State::Swapfile(state)) => swapfile::removal(spec, entry, state),
        (Spec::Tree(spec), State::Tree(state)) => tree::removal(spec, entry, state),
        (Spec::Git(spec), State::Git(state)) => git::removal(spec, entry, state),
        (Spec::Switch(spec), State::Switch(state)) => switch::removal(spec, entry, *state),
        (Spec::Sysctl(spec), State::Sysctl(state)) => sysctl(spec, entry, state),
        (Spec::Firewall(_), State::Firewall(state)) => firewall::removal(entry, state),
        (Spec::Secret(spec), State::Secret(state)) => secret::removal(spec, state),
        (Spec::Group(spec), State::Group(state)) => group(spec, entry, state),
        (Spec::User(spec), State::User(state)) => user(spec, entry, state),
        (Spec::Unit(spec), State::Unit(state)) => match &entry.original {
            Some(State::Unit(original)) => {
                let ops = unit::restore(spec, original, state);
                let action = if original.load.untrusted() == "not-found" {
                    Action::Remove
                } else {
                    Action::Restore
                };
                (!ops.is_empty()).then(|| Edit {
                    ops,
                    ..Edit::new(action, Reason::LeftConfiguration, Op::Record)
                })
            }
            _ => None,
        },
        _ => None,
    };
    edit.unwrap_or_else(|| forget(entry, state, Reason::WasThereBefore))
}

/// It goes as what `provision` made goes, whatever was there before.
fn remove(entry: &Entry, state: &State) -> Edit {
    let original = match state {
        State::Group(_) => State::Group(GroupState::Absent),
        State::User(_) => State::User(UserState::Absent),
        State::Debconf(state) => State::Debconf(DebconfState {
            answer: DebconfAnswer::None,
            installed: state.installed,
        }),
        State::Package(_) => State::Package(PackageState::Absent),
        State::Path(_) => State::Path(PathState::Absent),
        // Others' lines stay, and so does their file.
        State::Block(_) => State::Block(BlockState::NoFile),
        State::Swapfile(_) => State::Swapfile(SwapfileState::Absent { room: None }),
        State::Tree(_) => State::Tree(TreeState::Absent),
        State::Git(_) => State::Git(GitState::Absent { git: true }),
        State::Firewall(_) => State::Firewall(FirewallState::Absent),
        State::Unit(_) => State::Unit(UnitState {
            load: HostText::from("not-found"),
            enabled: HostText::from(""),
            active: HostText::from("inactive"),
            needs_reload: false,
        }),
        // Of these there is nothing to remove.
        State::Switch(_) | State::Sysctl(_) | State::Secret(_) | State::Command(_) | State::Probe(_) => {
            return undo(entry, state, false);
        }
    };
    let mut made = Entry {
        original: Some(original),
        ..entry.clone()
    };
    if let Spec::Unit(spec) = &mut made.spec {
        // It is stopped and disabled, whichever of the two was declared.
        // But for swap space: it is given up where its file goes, which looks at the memory first.
        let swap = spec.name.unit().ends_with(".swap");
        (spec.enabled, spec.active) = (Some(true), spec.active.or((!swap).then_some(true)));
    }
    let mut edit = undo(&made, state, false);
    if edit.action == Action::Remove && entry.original.as_ref().is_none_or(|original| !original.is_absent()) {
        edit.reasons.push(Reason::RemovedThoughThereBefore);
    }
    edit
}

/// Whether it was not there before `provision` made it.
fn was_absent(entry: &Entry) -> bool {
    entry.original.as_ref().is_some_and(State::is_absent)
}

/// It stays as it is, and why.
fn forget(entry: &Entry, state: &State, stays: Reason) -> Edit {
    let reason = match &entry.spec {
        Spec::Command(_) => Reason::CannotUndo,
        Spec::Probe(_) => Reason::NothingToUndo,
        Spec::Switch(spec) if spec.switch == Switch::KernelModule => Reason::CannotUndo,
        _ if state.is_absent() => Reason::AlreadyGone,
        _ => stays,
    };
    let mut edit = Edit::new(Action::Forget, Reason::LeftConfiguration, Op::Record);
    edit.reasons.push(reason);
    edit
}

fn path(path: &AbsPath, kind: PathKind, entry: &Entry, state: &PathState, replaced: bool) -> Option<Edit> {
    let remove = || Op::RemovePath {
        path: path.clone(),
        what: kind,
    };
    let original = match entry.original.as_ref() {
        Some(State::Path(original)) => Some(original),
        _ => None,
    };
    if kind_of(state) != Some(kind) {
        // What took another kind's place and is gone was taken away to put that one back, and this is what is left to do.
        let another = original.filter(|original| kind_of(original).is_some_and(|other| other != kind));
        return match (state, another) {
            (PathState::Absent, Some(original)) if !replaced => put_back(path, original, state),
            _ => None,
        };
    }
    if replaced {
        return Some(Edit::new(Action::Remove, Reason::LeftConfiguration, remove()));
    }
    match original? {
        PathState::Absent => Some(Edit::new(Action::Remove, Reason::LeftConfiguration, remove())),
        original if same_path(original, state) => None,
        original if kind_of(original) == Some(kind) => put_back(path, original, state),
        original => {
            let mut edit = put_back(path, original, &PathState::Absent)?;
            edit.ops.insert(0, remove());
            edit.fields.insert(0, changes("kind", state.noun(), original.noun()));
            Some(edit)
        }
    }
}

const fn kind_of(state: &PathState) -> Option<PathKind> {
    match state {
        PathState::File { .. } => Some(PathKind::File),
        PathState::Directory { .. } => Some(PathKind::Directory),
        PathState::Symlink { .. } => Some(PathKind::Symlink),
        PathState::Absent | PathState::Other { .. } => None,
    }
}

/// Puts back what was at a path, where its like or nothing is now.
fn put_back(path: &AbsPath, original: &PathState, state: &PathState) -> Option<Edit> {
    let restore = |op| Edit::new(Action::Restore, Reason::LeftConfiguration, op);
    match original {
        PathState::Absent | PathState::Other { .. } => None,
        PathState::File {
            content,
            owner,
            group,
            mode,
            ..
        } => Some(restore(Op::RestoreFile {
            path: path.clone(),
            content: *content,
            owner: owner.id,
            group: group.id,
            mode: *mode,
        })),
        PathState::Directory { owner, group, mode } => {
            let spec = DirectorySpec {
                path: path.clone(),
                owner: owner.id.to_string(),
                group: group.id.to_string(),
                mode: *mode,
            };
            match super::path::directory(&spec, state) {
                Difference::Edit(edit) => Some(Edit {
                    ops: edit.ops,
                    fields: edit.fields,
                    ..restore(Op::Record)
                }),
                Difference::Same(_) | Difference::Impossible { .. } => None,
            }
        }
        PathState::Symlink { target } => Some(restore(Op::MakeSymlink(SymlinkSpec {
            path: path.clone(),
            target: target.untrusted().to_owned(),
        }))),
    }
}

/// Equal but for the text that travels only for a diff.
fn same_path(left: &PathState, right: &PathState) -> bool {
    State::Path(left.clone()).fingerprint() == State::Path(right.clone()).fingerprint()
}

fn package(spec: &PackageSpec, entry: &Entry, state: &PackageState) -> Option<Edit> {
    let found = match state {
        PackageState::Absent => return reinstalled(spec, entry),
        PackageState::Installed { version } => version,
        PackageState::Broken { status } => status,
    };
    if !was_absent(entry) {
        return None;
    }
    let op = Op::Packages {
        install: [].into(),
        bare: [].into(),
        remove: [spec.name.clone()].into(),
    };
    let field = FieldChange {
        field: "version".into(),
        before: Some(found.clone()),
        after: None,
    };
    let mut edit = Edit::new(Action::Remove, Reason::LeftConfiguration, op).with_fields(vec![field]);
    edit.reasons.push(Reason::DataStays);
    Some(edit)
}

/// A package that was there until it was declared absent. Its version of then may be gone from the archive.
fn reinstalled(spec: &PackageSpec, entry: &Entry) -> Option<Edit> {
    let was_there = matches!(&entry.original, Some(State::Package(PackageState::Installed { .. })));
    if spec.want != PackageWant::Absent || !was_there {
        return None;
    }
    let op = Op::Packages {
        install: [(spec.name.clone(), None)].into(),
        bare: [].into(),
        remove: [].into(),
    };
    Some(Edit::new(Action::Restore, Reason::LeftConfiguration, op))
}

fn sysctl(spec: &SysctlSpec, entry: &Entry, state: &SysctlState) -> Option<Edit> {
    let (Some(State::Sysctl(SysctlState::Live(original))), SysctlState::Live(live)) = (&entry.original, state) else {
        return None;
    };
    if original == live {
        return None;
    }
    let value = original.untrusted().to_owned();
    let fields = vec![changes("live value", live.clone(), original.escaped())];
    let op = Op::SetSysctl(SysctlSpec {
        key: spec.key.clone(),
        value,
    });
    Some(Edit::new(Action::Restore, Reason::LeftConfiguration, op).with_fields(fields))
}

fn group(spec: &GroupSpec, entry: &Entry, state: &GroupState) -> Option<Edit> {
    let GroupState::Present { gid } = state else {
        return None;
    };
    if was_absent(entry) {
        let op = Op::DeleteGroup {
            name: spec.name.clone(),
        };
        return Some(Edit::new(Action::Remove, Reason::LeftConfiguration, op));
    }
    let Some(State::Group(GroupState::Present { gid: original })) = &entry.original else {
        return None;
    };
    if spec.gid.is_none() || original == gid {
        return None;
    }
    let fields = vec![changes("gid", gid.to_string().as_str(), original)];
    let op = Op::SetGroupId {
        name: spec.name.clone(),
        gid: *original,
    };
    Some(Edit::new(Action::Restore, Reason::LeftConfiguration, op).with_fields(fields))
}

fn user(spec: &UserSpec, entry: &Entry, state: &UserState) -> Option<Edit> {
    let UserState::Present { groups, .. } = state else {
        return None;
    };
    if was_absent(entry) {
        let op = Op::DeleteUser {
            name: spec.name.clone(),
            // Without a declared one, the group was made with the user.
            keep_group: spec.group.as_ref() == Some(&spec.name),
        };
        return Some(Edit::new(Action::Remove, Reason::LeftConfiguration, op));
    }
    let Some(State::User(was)) = &entry.original else {
        return None;
    };
    let UserState::Present { groups: original, .. } = was else {
        return None;
    };
    let (mut change, mut fields) = (unchanged_user(spec), Vec::new());
    if let Difference::Edit(edit) = account::user(&as_before(spec, was), state) {
        fields = edit.fields;
        for op in edit.ops {
            if let Op::ModifyUser { change: found, .. } = op {
                change = found;
            }
        }
    }
    let leave: BTreeSet<String> = spec
        .groups
        .iter()
        .filter(|name| {
            let name = HostText::from(name.as_str());
            groups.contains(&name) && !original.contains(&name)
        })
        .cloned()
        .collect();
    if !leave.is_empty() {
        let names = leave.iter().cloned().collect::<Vec<_>>().join(", ");
        fields.push(FieldChange {
            field: "leaves groups".into(),
            before: Some(HostText::new(names)),
            after: None,
        });
    }
    if fields.is_empty() {
        return None;
    }
    let op = Op::ModifyUser { change, leave };
    Some(Edit::new(Action::Restore, Reason::LeftConfiguration, op).with_fields(fields))
}

/// The attributes that were declared, as they were before. What no configuration could say (an empty shell) stays.
fn as_before(spec: &UserSpec, was: &UserState) -> UserSpec {
    let mut before = unchanged_user(spec);
    if let UserState::Present {
        uid,
        group,
        groups: _,
        home,
        shell,
        comment,
    } = was
    {
        let path = |text: &HostText| AbsPath::new(text.untrusted()).ok();
        before.uid = spec.uid.map(|_| *uid);
        before.group = spec.group.as_ref().map(|_| group.label().untrusted().to_owned());
        before.home = spec.home.as_ref().and_then(|_| path(home));
        before.shell = spec.shell.as_ref().and_then(|_| path(shell));
        before.comment = spec.comment.as_ref().map(|_| comment.untrusted().to_owned());
    }
    before
}
