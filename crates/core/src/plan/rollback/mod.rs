//! Going back to a generation: what the host was to be then, made anew from the host's own records, and planned as every
//! configuration is. It reads no record and fetches no content.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::{git, plan};
use crate::model::{
    AbsPath, Applier, Blob, Connection, Desired, Digest, Entry, Fact, GroupState, HostName, HostText, Kind, Observed,
    Op, Origin, PackageState, PackageWant, Past, PathState, Pins, Plan, Receipt, Resource, ResourceId, Revision, Spec,
    State, UserState, pin,
};

/// Something that going back does not bring back, though it was otherwise then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remains {
    /// A command has run since; what it did stays.
    Ran,
    /// The content of a sensitive file is not kept on hosts; the file keeps the content that it has.
    Sensitive,
    /// The content is not kept: it was too large, or was changed by hand before it could be.
    NotKept,
    /// The package had this version, which was not declared; it keeps the one that it has.
    Version(HostText),
    /// The package was there in this version; whether the archive still has it shows when it is installed.
    OldVersion(String),
    /// What the package has written since stays as it is.
    Data,
}

/// A way back.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// The plan.
    pub plan: Plan,
    /// What it does not bring back, each once, in order.
    pub remains: Vec<(ResourceId, Remains)>,
    /// Contents that it needs and that are not among those given.
    pub wanted: BTreeSet<Digest>,
}

/// Plans the way back to a generation. `observed` is of its resources and of those of the newest; `contents` are those that
/// the host keeps, as far as they were fetched, and `pins` the versions that stores have now. A file whose content is not among them keeps the one that it has.
#[must_use]
pub fn rollback(
    (host, connection): (&HostName, &Connection),
    past: &Past,
    observed: &Observed,
    by: &Applier,
    contents: &BTreeMap<Digest, Blob>,
    pins: &Pins,
) -> Rollback {
    let newest = observed.receipt.known().and_then(Option::as_ref);
    let mut desired = Desired {
        host: host.clone(),
        connection: connection.clone(),
        tags: BTreeSet::new(),
        machine: None,
        ports: Vec::new(),
        resources: resources(past, newest, observed),
        blobs: contents.clone(),
    };
    // What was secret then may be known to others now: the newest version stays.
    pin(&mut desired, pins);
    let by = Applier {
        rollback_to: Some(past.number),
        ..by.clone()
    };
    let first = plan(&desired, observed, &by);
    let mut remains = remains(past, observed);
    let mut wanted = BTreeSet::new();
    for step in &first.steps {
        if let Op::MakeTree(spec) = &step.op {
            let missing: Vec<_> = spec
                .source
                .contents()
                .into_iter()
                .map(|content| content.sha256)
                .collect();
            let missing: Vec<_> = missing
                .into_iter()
                .filter(|digest| !contents.contains_key(digest))
                .collect();
            if !missing.is_empty() {
                wanted.extend(missing);
                let id = ResourceId::new(spec.kind(), spec.path.as_str());
                keep_tree(&mut desired, newest, &id);
                remains.push((id, Remains::NotKept));
            }
        }
        let Op::WriteFile(spec) = &step.op else { continue };
        if !contents.contains_key(&spec.content.sha256) {
            wanted.insert(spec.content.sha256);
            let why = if spec.sensitive {
                Remains::Sensitive
            } else {
                Remains::NotKept
            };
            let id = ResourceId::new(Kind::File, spec.path.as_str());
            keep_content(&mut desired, observed, &id);
            remains.push((id, why));
        }
    }
    let plan = if wanted.is_empty() {
        first
    } else {
        plan(&desired, observed, &by)
    };
    let mut plan = plan;
    // No file of the project declares any of it.
    plan.changes.iter_mut().for_each(|change| change.origin = None);
    plan.blockers.iter_mut().for_each(|blocker| blocker.origin = None);
    remains.sort_by(|(a, _), (b, _)| a.cmp(b));
    Rollback { plan, remains, wanted }
}

/// What the generation left, as something to be desired again.
fn resources(past: &Past, newest: Option<&Receipt>, observed: &Observed) -> BTreeMap<ResourceId, Resource> {
    let origin = Origin {
        file: format!("generation {}", past.number),
        line: 1,
        column: 1,
    };
    let entries = past.receipt.iter().flat_map(|receipt| &receipt.entries);
    entries
        .map(|(id, entry)| {
            let since = newest.and_then(|newest| newest.entries.get(id));
            let resource = Resource {
                spec: completed(entry, since, past.since.get(id), observed.resources.get(id)),
                origin: origin.clone(),
                depends: entry.depends.clone(),
                on_removal: entry.on_removal,
            };
            (id.clone(), resource)
        })
        .collect()
}

/// What an entry left open is as it was then, where a later one decided it, or where all of it has to be made again: files on
/// the disk belong to a user's number, not to the name.
fn completed(entry: &Entry, later: Option<&Entry>, then: Option<&State>, now: Option<&Fact<State>>) -> Spec {
    let gone = now.and_then(Fact::known).is_some_and(State::is_absent);
    let mut spec = entry.spec.clone();
    match (&mut spec, then) {
        (
            Spec::User(spec),
            Some(State::User(UserState::Present {
                uid,
                group,
                groups: _,
                home,
                shell,
                comment,
            })),
        ) => {
            let later = match later.map(|later| &later.spec) {
                Some(Spec::User(later)) => Some(later),
                _ => None,
            };
            let path = |text: &HostText| AbsPath::new(text.untrusted()).ok();
            let comment = || Some(comment.untrusted().to_owned()).filter(|comment| !comment.is_empty() || !gone);
            complete(
                &mut spec.uid,
                gone || later.is_some_and(|later| later.uid.is_some()),
                || Some(*uid),
            );
            let name = || Some(group.label().untrusted().to_owned());
            complete(&mut spec.group, later.is_some_and(|later| later.group.is_some()), name);
            complete(
                &mut spec.home,
                gone || later.is_some_and(|later| later.home.is_some()),
                || path(home),
            );
            complete(
                &mut spec.shell,
                gone || later.is_some_and(|later| later.shell.is_some()),
                || path(shell),
            );
            complete(
                &mut spec.comment,
                gone || later.is_some_and(|later| later.comment.is_some()),
                comment,
            );
        }
        (Spec::Group(spec), Some(State::Group(GroupState::Present { gid }))) => {
            let declared = matches!(later.map(|later| &later.spec), Some(Spec::Group(later)) if later.gid.is_some());
            complete(&mut spec.gid, gone || declared, || Some(*gid));
        }
        // The branch has moved on; where it was is known from when the checkout was moved.
        (Spec::Git(spec), Some(State::Git(then))) => {
            let pinned = matches!(spec.revision, Revision::Branch(_)).then(|| git::as_it_was(spec, then));
            if let Some(pinned) = pinned.flatten() {
                *spec = pinned;
            }
        }
        (Spec::Unit(spec), Some(State::Unit(unit))) => {
            let Some(Spec::Unit(later)) = later.map(|later| &later.spec) else {
                return Spec::Unit(spec.clone());
            };
            let enabled = || match unit.enabled.untrusted() {
                "enabled" | "enabled-runtime" => Some(true),
                "disabled" => Some(false),
                // Whether such a one starts at boot is not for anybody to say.
                _ => None,
            };
            complete(&mut spec.enabled, later.enabled.is_some(), enabled);
            complete(&mut spec.active, later.active.is_some(), || Some(unit.is_up()));
        }
        _ => {}
    }
    spec
}

fn complete<T>(field: &mut Option<T>, decided: bool, then: impl FnOnce() -> Option<T>) {
    if field.is_none() && decided {
        *field = then();
    }
}

/// Lets a file have the content that it has; one that is not there stays so.
fn keep_content(desired: &mut Desired, observed: &Observed, id: &ResourceId) {
    match observed.resources.get(id) {
        Some(Fact::Known(State::Path(PathState::File { content, .. }))) => {
            if let Some(Resource {
                spec: Spec::File(spec), ..
            }) = desired.resources.get_mut(id)
            {
                spec.content = *content;
            }
        }
        _ => _ = desired.resources.remove(id),
    }
}

/// A tree that cannot be made anew stays the version that the newest generation left.
fn keep_tree(desired: &mut Desired, newest: Option<&Receipt>, id: &ResourceId) {
    let left = newest.and_then(|receipt| receipt.entries.get(id));
    match (left, desired.resources.get_mut(id)) {
        (Some(left), Some(resource)) => resource.spec = left.spec.clone(),
        _ => _ = desired.resources.remove(id),
    }
}

/// What no plan brings back, of what has changed since.
fn remains(past: &Past, observed: &Observed) -> Vec<(ResourceId, Remains)> {
    let mut remains = Vec::new();
    for (id, then) in &past.since {
        let left = past.receipt.as_ref().and_then(|receipt| receipt.entries.get(id));
        let now = observed.resources.get(id).and_then(Fact::known);
        match (then, now) {
            (State::Command(_), _) => remains.push((id.clone(), Remains::Ran)),
            (State::Package(PackageState::Installed { version }), Some(State::Package(now))) => {
                let same = matches!(now, PackageState::Installed { version: found } if found == version);
                let wanted = match left.map(|entry| &entry.spec) {
                    Some(Spec::Package(spec)) => Some(&spec.want),
                    _ => None,
                };
                match wanted {
                    _ if same => {}
                    Some(PackageWant::Version(wanted)) => {
                        remains.push((id.clone(), Remains::OldVersion(wanted.clone())));
                        remains.push((id.clone(), Remains::Data));
                    }
                    Some(PackageWant::Present | PackageWant::Absent) | None => {
                        remains.push((id.clone(), Remains::Version(version.clone())));
                    }
                }
            }
            _ => {}
        }
    }
    remains
}
