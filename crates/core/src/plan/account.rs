//! Users and groups: declared against `/etc/passwd` and `/etc/group`. Passwords are not looked at.

use std::collections::BTreeSet;

use super::difference::{Difference, Edit, becomes, changes};
use crate::model::{
    Action, Entry, FieldChange, GroupSpec, GroupState, HostText, Op, Reason, Spec, State, UserSpec, UserState,
};

pub(super) fn group(spec: &GroupSpec, state: &GroupState) -> Difference {
    match (state, spec.gid) {
        (GroupState::Absent, gid) => {
            let fields = gid.iter().map(|gid| becomes("gid", gid)).collect();
            let op = Op::CreateGroup(spec.clone());
            Difference::Edit(Edit::new(Action::Create, Reason::Missing, op).with_fields(fields))
        }
        (GroupState::Present { gid: found }, Some(gid)) if *found != gid => {
            let fields = vec![changes("gid", found.to_string().as_str(), gid)];
            let op = Op::SetGroupId {
                name: spec.name.clone(),
                gid,
            };
            Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(fields))
        }
        (GroupState::Present { gid }, _) => Difference::Same(format!("present, gid {gid}")),
    }
}

pub(super) fn user(spec: &UserSpec, state: &UserState) -> Difference {
    let UserState::Present {
        uid,
        group,
        groups,
        home,
        shell,
        comment,
    } = state
    else {
        let op = Op::CreateUser(spec.clone());
        return Difference::Edit(Edit::new(Action::Create, Reason::Missing, op).with_fields(new_user(spec)));
    };
    let mut fields = Vec::new();
    let mut change = unchanged_user(spec);
    if let Some(wanted) = spec.uid.filter(|wanted| wanted != uid) {
        fields.push(changes("uid", uid.to_string().as_str(), wanted));
        change.uid = Some(wanted);
    }
    if let Some(wanted) = spec.group.as_ref().filter(|wanted| !group.is(wanted)) {
        fields.push(changes("group", group.label(), wanted));
        change.group = Some(wanted.clone());
    }
    if let Some(wanted) = spec.home.as_ref().filter(|wanted| home.untrusted() != wanted.as_str()) {
        fields.push(changes("home", home.clone(), wanted));
        change.home = Some(wanted.clone());
    }
    if let Some(wanted) = spec
        .shell
        .as_ref()
        .filter(|wanted| shell.untrusted() != wanted.as_str())
    {
        fields.push(changes("shell", shell.clone(), wanted));
        change.shell = Some(wanted.clone());
    }
    if let Some(wanted) = spec
        .comment
        .as_ref()
        .filter(|wanted| comment.untrusted() != wanted.as_str())
    {
        fields.push(changes("comment", comment.clone(), wanted));
        change.comment = Some(wanted.clone());
    }
    // The primary group counts as membership.
    let member = |wanted: &&String| groups.contains(&HostText::from(wanted.as_str())) || group.is(wanted);
    change.groups = spec.groups.iter().filter(|wanted| !member(wanted)).cloned().collect();
    if !change.groups.is_empty() {
        let joined: Vec<&str> = groups.iter().map(HostText::untrusted).collect();
        let after: BTreeSet<&str> = joined
            .iter()
            .copied()
            .chain(change.groups.iter().map(String::as_str))
            .collect();
        let after = after.into_iter().collect::<Vec<_>>().join(", ");
        fields.push(changes("groups", joined.join(", ").as_str(), after));
    }
    if fields.is_empty() {
        return Difference::Same("present, every declared attribute as declared".into());
    }
    let op = Op::ModifyUser {
        change,
        leave: BTreeSet::new(),
    };
    Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(fields))
}

/// Takes a user out of the groups that an earlier apply put it in and that are no longer declared. Groups that
/// `provision` did not add are left alone, and one that this plan deletes takes its members along.
pub(super) fn leave_groups(
    found: Difference,
    spec: &Spec,
    entry: Option<&Entry>,
    state: &State,
    deleted: impl Fn(&str) -> bool,
) -> Difference {
    let (Spec::User(spec), Some(Spec::User(before)), State::User(UserState::Present { groups, .. })) =
        (spec, entry.map(|entry| &entry.spec), state)
    else {
        return found;
    };
    let had: BTreeSet<&str> = match entry.and_then(|entry| entry.original.as_ref()) {
        Some(State::User(UserState::Present { groups, .. })) => groups.iter().map(HostText::untrusted).collect(),
        // It was as declared from the first: nobody put it into any of them for us.
        None => return found,
        Some(_) => BTreeSet::new(),
    };
    let leave: BTreeSet<String> = before
        .groups
        .difference(&spec.groups)
        .filter(|name| groups.contains(&HostText::from(name.as_str())) && !had.contains(name.as_str()))
        .filter(|name| !deleted(name))
        .cloned()
        .collect();
    if leave.is_empty() {
        return found;
    }
    let names = leave.iter().cloned().collect::<Vec<_>>().join(", ");
    let field = FieldChange {
        field: "leaves groups".into(),
        before: Some(HostText::new(names)),
        after: None,
    };
    match found {
        Difference::Same(_) => {
            let op = Op::ModifyUser {
                change: unchanged_user(spec),
                leave,
            };
            Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(vec![field]))
        }
        Difference::Edit(mut edit) => {
            for op in &mut edit.ops {
                if let Op::ModifyUser { leave: already, .. } = op {
                    already.extend(leave.iter().cloned());
                }
            }
            edit.fields.push(field);
            Difference::Edit(edit)
        }
        Difference::Impossible { .. } => found,
    }
}

/// A modification that changes nothing yet.
pub(super) fn unchanged_user(spec: &UserSpec) -> UserSpec {
    UserSpec {
        name: spec.name.clone(),
        uid: None,
        group: None,
        groups: BTreeSet::new(),
        home: None,
        create_home: spec.create_home,
        shell: None,
        comment: None,
        system: spec.system,
    }
}

fn new_user(spec: &UserSpec) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    fields.extend(spec.uid.map(|uid| becomes("uid", uid)));
    fields.extend(spec.group.iter().map(|group| becomes("group", group)));
    if !spec.groups.is_empty() {
        fields.push(becomes(
            "groups",
            spec.groups.iter().cloned().collect::<Vec<_>>().join(", "),
        ));
    }
    fields.extend(spec.home.iter().map(|home| becomes("home", home)));
    fields.extend(spec.shell.iter().map(|shell| becomes("shell", shell)));
    fields.extend(spec.comment.iter().map(|comment| becomes("comment", comment)));
    fields
}
