//! The way back to how things were right before a run, whatever of it was done: what was found then becomes what is desired.
//! It needs no earlier generation and no content: what files had is put back from what the host keeps.

use std::collections::{BTreeMap, BTreeSet};

use super::{git, plan};
use crate::model::{
    AbsPath, BlockSpec, BlockState, Connection, Desired, DirectorySpec, Entry, Fact, FileSpec, FirewallSpec,
    FirewallState, GroupSpec, GroupState, HostText, Kind, Observed, OnRemoval, Op, Origin, Outcome, PackageSpec,
    PackageState, PackageWant, PathState, Plan, Receipt, Resource, ResourceId, Spec, State, SwitchSpec, SymlinkSpec,
    SysctlSpec, SysctlState, TreeState, UnitSpec, UserSpec, UserState,
};

/// A run that is to be undone.
#[derive(Clone, Copy, Debug)]
pub struct Undo<'a> {
    /// Its plan.
    pub run: &'a Plan,
    /// The receipt that the plan was made on.
    pub base: Option<&'a Receipt>,
    /// What the run was to change, as it was right before it.
    pub found: &'a BTreeMap<ResourceId, State>,
}

impl Undo<'_> {
    /// The specification that the run applied, or that was in force where the resource left the configuration.
    fn spec(&self, id: &ResourceId) -> Option<&Spec> {
        let planned = self.run.entries.get(id).map(|entry| &entry.spec);
        planned.or_else(|| self.before(id).map(|entry| &entry.spec))
    }

    fn before(&self, id: &ResourceId) -> Option<&Entry> {
        self.base?.entries.get(id)
    }

    /// What to look at before the way back is planned.
    #[must_use]
    pub fn specs(&self) -> Vec<Spec> {
        self.found.keys().filter_map(|id| self.spec(id).cloned()).collect()
    }

    /// What of the run touches the way in; nothing of it does where this is empty.
    #[must_use]
    pub fn access(&self) -> BTreeSet<ResourceId> {
        let changes = self.run.changes.iter().filter(|change| change.access);
        changes.map(|change| change.id.clone()).collect()
    }

    /// The way back of these resources, as steps. A file's content is [`Op::RestoreFile`]'s, so no step brings any.
    #[must_use]
    pub fn plan(&self, observed: &Observed, of: impl Fn(&ResourceId) -> bool) -> Plan {
        let mut resources = BTreeMap::new();
        let mut entries = BTreeMap::new();
        for (id, was) in self.found.iter().filter(|(id, _)| of(id)) {
            let Some(spec) = self.spec(id) else { continue };
            let planned = self.run.entries.get(id);
            let depends = planned.map(|entry| &entry.depends);
            let depends = depends.or_else(|| self.before(id).map(|entry| &entry.depends));
            let depends = depends.cloned().unwrap_or_default();
            let gone = observed
                .resources
                .get(id)
                .and_then(Fact::known)
                .is_some_and(State::is_absent);
            match as_it_was(spec, self.before(id).map(|entry| &entry.spec), was, gone) {
                Was::Present(spec) => {
                    let resource = Resource {
                        spec: *spec,
                        origin: origin(),
                        depends: depends.clone(),
                        on_removal: OnRemoval::Restore,
                    };
                    resources.insert(id.clone(), resource);
                }
                Was::Absent => {}
                Was::Left => continue,
            }
            let entry = Entry {
                spec: spec.clone(),
                depends,
                original: Some(was.clone()),
                trigger: None,
                on_removal: OnRemoval::Restore,
            };
            entries.insert(id.clone(), entry);
        }
        // Whatever was restarted runs with what is taken back now, though no file that it uses need be there any more.
        let pending = entries.keys().filter(|id| id.kind == Kind::Unit).cloned().collect();
        let receipt = Receipt {
            generation: self.run.base_generation,
            plan_id: self.run.id(),
            at: 0,
            by: BTreeMap::new(),
            outcome: Outcome::Interrupted,
            entries,
            pending,
        };
        let desired = Desired {
            host: self.run.host.clone(),
            connection: Connection::Local,
            tags: BTreeSet::new(),
            machine: None,
            resources,
            ports: Vec::new(),
            blobs: BTreeMap::new(),
        };
        let observed = Observed {
            receipt: Fact::Known(Some(receipt)),
            ..observed.clone()
        };
        let mut back = plan(&desired, &observed, &self.run.by);
        back.steps
            .retain(|step| !matches!(step.op, Op::Settle(_) | Op::Probe(_) | Op::Record));
        for step in &mut back.steps {
            if let Op::WriteFile(spec) = &step.op
                && let (Ok(owner), Ok(group)) = (spec.owner.parse(), spec.group.parse())
            {
                step.op = Op::RestoreFile {
                    path: spec.path.clone(),
                    content: spec.content,
                    owner,
                    group,
                    mode: spec.mode,
                };
            }
        }
        back
    }
}

/// How something was before the run.
enum Was {
    /// There, like this.
    Present(Box<Spec>),
    /// Not there.
    Absent,
    /// So that nothing can or need be done about it.
    Left,
}

/// `gone` says that it is not there now.
fn as_it_was(spec: &Spec, before: Option<&Spec>, was: &State, gone: bool) -> Was {
    if was.is_absent() {
        return Was::Absent;
    }
    let there = match (spec, was) {
        (Spec::File(FileSpec { path, .. }), State::Path(was)) => file(path, was),
        (Spec::Directory(DirectorySpec { path, .. }), State::Path(was)) => directory(path, was),
        (Spec::Symlink(SymlinkSpec { path, .. }), State::Path(PathState::Symlink { target })) => {
            Some(Spec::Symlink(SymlinkSpec {
                path: path.clone(),
                target: target.untrusted().to_owned(),
            }))
        }
        (Spec::Block(spec), State::Block(was)) => return block(spec, was),
        (Spec::User(spec), State::User(was)) => user(spec, was, gone),
        (Spec::Group(spec), State::Group(GroupState::Present { gid })) => Some(Spec::Group(GroupSpec {
            gid: Some(*gid),
            ..spec.clone()
        })),
        // What was not shown to anybody, or not kept, no configuration could say; taking it back can.
        (Spec::Debconf(_), State::Debconf(_)) => return Was::Absent,
        // In which version is not for a host without its controller to say: the archive need not have it.
        (Spec::Package(spec), State::Package(PackageState::Installed { .. })) => Some(Spec::Package(PackageSpec {
            want: PackageWant::Present,
            ..spec.clone()
        })),
        (Spec::Swapfile(spec), State::Swapfile(was)) => super::swapfile::as_it_was(spec, was).map(Spec::Swapfile),
        (Spec::Tree(_), State::Tree(TreeState::Version { directory, .. })) => match before {
            Some(Spec::Tree(before)) if before.directory() == directory.untrusted() => Some(Spec::Tree(before.clone())),
            _ => None,
        },
        (Spec::Git(spec), State::Git(was)) => git::as_it_was(spec, was).map(Spec::Git),
        (Spec::Switch(spec), State::Switch(was)) => Some(Spec::Switch(SwitchSpec {
            on: was.on,
            ..spec.clone()
        })),
        (Spec::Sysctl(spec), State::Sysctl(SysctlState::Live(value))) => Some(Spec::Sysctl(SysctlSpec {
            key: spec.key.clone(),
            value: value.untrusted().to_owned(),
        })),
        (Spec::Firewall(_), State::Firewall(FirewallState::Table { comment, rules, .. })) => {
            Some(Spec::Firewall(FirewallSpec {
                comment: comment.as_ref().map(|comment| comment.untrusted().to_owned()),
                rules: rules.untrusted().to_owned(),
            }))
        }
        // Without `nft`, there is none that anybody could have seen; what this run loaded goes.
        (Spec::Firewall(_), State::Firewall(FirewallState::NoTool)) => return Was::Absent,
        (Spec::Unit(spec), State::Unit(was)) => {
            if was.load.untrusted() == "not-found" {
                return Was::Absent;
            }
            Some(Spec::Unit(UnitSpec {
                enabled: match was.enabled.untrusted() {
                    "enabled" | "enabled-runtime" => Some(true),
                    "disabled" => Some(false),
                    _ => None,
                },
                active: Some(was.is_up()),
                ..spec.clone()
            }))
        }
        _ => None,
    };
    there.map_or(Was::Left, |spec| Was::Present(Box::new(spec)))
}

fn file(path: &AbsPath, was: &PathState) -> Option<Spec> {
    let PathState::File {
        content,
        owner,
        group,
        mode,
        ..
    } = was
    else {
        return None;
    };
    Some(Spec::File(FileSpec {
        path: path.clone(),
        content: *content,
        owner: owner.id.to_string(),
        group: group.id.to_string(),
        mode: *mode,
        validate: None,
        sensitive: true,
        private: false,
        seed: false,
    }))
}

fn directory(path: &AbsPath, was: &PathState) -> Option<Spec> {
    let PathState::Directory { owner, group, mode } = was else {
        return None;
    };
    Some(Spec::Directory(DirectorySpec {
        path: path.clone(),
        owner: owner.id.to_string(),
        group: group.id.to_string(),
        mode: *mode,
    }))
}

/// A block with the lines and the attributes that it had; a file that had none of it loses it again.
fn block(spec: &BlockSpec, was: &BlockState) -> Was {
    let BlockState::File {
        lines: Some(lines),
        owner,
        group,
        mode,
        ..
    } = was
    else {
        return match was {
            BlockState::NoFile | BlockState::File { .. } => Was::Absent,
            BlockState::Broken { .. } | BlockState::Other { .. } => Was::Left,
        };
    };
    let lines = lines.untrusted();
    let body = lines
        .split_once('\n')
        .map(|(begin, rest)| (begin, rest.trim_end_matches('\n')));
    let Some((begin, rest)) = body else { return Was::Left };
    let text = rest
        .rsplit_once('\n')
        .map_or(String::new(), |(text, _)| format!("{text}\n"));
    let comment = begin.split_once(" begin provision ").map(|(comment, _)| comment);
    Was::Present(Box::new(Spec::Block(BlockSpec {
        text,
        comment: comment.unwrap_or(&spec.comment).to_owned(),
        owner: Some(owner.id.to_string()),
        group: Some(group.id.to_string()),
        mode: Some(*mode),
        ..spec.clone()
    })))
}

fn user(spec: &UserSpec, was: &UserState, gone: bool) -> Option<Spec> {
    let UserState::Present {
        uid,
        group,
        groups,
        home,
        shell,
        comment,
    } = was
    else {
        return None;
    };
    let path = |text: &HostText| AbsPath::new(text.untrusted()).ok();
    Some(Spec::User(UserSpec {
        name: spec.name.clone(),
        uid: Some(*uid),
        // A group of its own name went with the user, and comes back with it.
        group: Some(group.label().untrusted().to_owned()).filter(|group| !gone || *group != spec.name),
        groups: groups.iter().map(|group| group.untrusted().to_owned()).collect(),
        home: path(home),
        // Its home stays where a user goes, and one that was never there is not made now.
        create_home: false,
        shell: path(shell),
        comment: Some(comment.untrusted().to_owned()).filter(|comment| !comment.is_empty()),
        system: spec.system,
    }))
}

fn origin() -> Origin {
    Origin {
        file: "the host before the run".to_owned(),
        line: 1,
        column: 1,
    }
}
