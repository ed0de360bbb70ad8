//! Users and groups that secrets, files and directories are given to and that a host has not: told before anything of the host
//! changes. Whether an account is there is looked up on the host; this makes none.

use std::collections::{BTreeMap, BTreeSet};

use super::order;
use crate::model::{
    Action, Change, Desired, Fact, GroupSpec, GroupState, HostText, Kind, Observed, ResourceId, Spec, State, UserSpec,
    UserState,
};

/// The accounts that planning asks a host for beyond its resources: the owners that the configuration does not declare. root
/// is on every host, and a number needs no name.
#[must_use]
pub fn accounts(desired: &Desired) -> BTreeMap<ResourceId, Spec> {
    let specs = desired.resources.values().map(|resource| &resource.spec);
    let asked = specs.flat_map(|spec| asked(spec, desired));
    asked.map(|id| (id.clone(), named(&id))).collect()
}

/// What is in the way of a resource that is to be put in place: its owner or its group is not there, and nothing of this plan
/// may make it.
pub(super) fn nobody(
    id: &ResourceId,
    spec: &Spec,
    desired: &Desired,
    observed: &Observed,
    changes: &BTreeMap<ResourceId, Change>,
) -> Option<(HostText, String)> {
    let accounts = asked(spec, desired);
    if accounts.is_empty() {
        return None;
    }
    let makers = makers(changes);
    // Who says what it comes after says where its owner is from.
    let is_from_elsewhere = !order::reach(std::iter::once(id.clone()), &makers, Some(desired)).is_empty();
    accounts.into_iter().find_map(|account| {
        let leaves = changes
            .get(&account)
            .is_some_and(|change| change.action == Action::Remove);
        let is_made = || is_from_elsewhere || makers.iter().any(|maker| alike(&account, maker, desired));
        if !(leaves || is_absent(&account, observed) && !is_made()) {
            return None;
        }
        let (kind, name) = (account.kind, &account.name);
        let what = if leaves {
            "this plan deletes"
        } else {
            "the host does not have"
        };
        let problem = format!("it is for the {kind} `{name}`, which {what}");
        let fix = format!(
            "declare [{}.{name}], or add the package that makes it to `after`; then plan again",
            kind.table()
        );
        Some((HostText::new(problem), fix))
    })
}

/// The owner and the group of what is given to somebody, without those that are on every host or declared.
fn asked(spec: &Spec, desired: &Desired) -> Vec<ResourceId> {
    let (owner, group) = match spec {
        Spec::Secret(secret) => (&secret.owner, &secret.group),
        Spec::File(file) => (&file.owner, &file.group),
        Spec::Directory(directory) => (&directory.owner, &directory.group),
        _ => return Vec::new(),
    };
    let accounts = [ResourceId::new(Kind::User, owner), ResourceId::new(Kind::Group, group)];
    accounts.into_iter().filter(|id| is_asked(id, desired)).collect()
}

fn is_asked(id: &ResourceId, desired: &Desired) -> bool {
    let is_literal = id.name == "root" || id.name.bytes().all(|b| b.is_ascii_digit());
    // A user brings a group of its own name.
    let of_user = ResourceId::new(Kind::User, &id.name);
    !(is_literal || desired.resources.contains_key(id) || desired.resources.contains_key(&of_user))
}

/// What a host is asked for: an account of that name, whatever else is true of it.
fn named(id: &ResourceId) -> Spec {
    let name = id.name.clone();
    if id.kind == Kind::Group {
        return Spec::Group(GroupSpec {
            name,
            gid: None,
            system: false,
        });
    }
    Spec::User(UserSpec {
        name,
        uid: None,
        group: None,
        groups: BTreeSet::new(),
        home: None,
        create_home: false,
        shell: None,
        comment: None,
        system: false,
    })
}

fn is_absent(id: &ResourceId, observed: &Observed) -> bool {
    matches!(
        observed.resources.get(id),
        Some(Fact::Known(
            State::User(UserState::Absent) | State::Group(GroupState::Absent)
        ))
    )
}

/// The changes that may make an account.
fn makers(changes: &BTreeMap<ResourceId, Change>) -> BTreeSet<ResourceId> {
    let makes = |change: &&Change| {
        let is_done = matches!(change.action, Action::Create | Action::Update | Action::Run);
        is_done && matches!(change.id.kind, Kind::Package | Kind::Command)
    };
    changes.values().filter(makes).map(|change| change.id.clone()).collect()
}

/// Whether a package is called like an account, as `redis-server` and `redis` are.
fn alike(account: &ResourceId, maker: &ResourceId, desired: &Desired) -> bool {
    match desired.resources.get(maker).map(|resource| &resource.spec) {
        Some(Spec::Package(package)) => package.may_make(&account.name),
        _ => false,
    }
}
