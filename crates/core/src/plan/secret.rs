//! Secrets: the version that a host's memory holds against the one that the store has. It knows no value.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Difference, Edit, becomes, changes};
use super::path::{attributes, new_attributes};
use crate::model::{
    Action, AfterReboot, Desired, Entry, Fact, FetchRecord, FieldChange, HostText, Observed, Op, Reason, Receipt,
    ResourceId, SecretSpec, SecretState, SecretVersion, Spec, State,
};

/// Why nothing can be planned for a secret; `None` where it can.
pub(super) fn unknown(spec: &SecretSpec) -> Option<(HostText, String)> {
    let Fact::Unknown(reason) = &spec.version else {
        return None;
    };
    let fix = "nothing is planned for a secret whose version is not known; `provision secrets check` looks at the stores alone";
    Some((reason.clone(), fix.to_owned()))
}

pub(super) fn secret(spec: &SecretSpec, state: &SecretState) -> Difference {
    let version = match &spec.version {
        Fact::Known(Some(version)) => version,
        Fact::Known(None) => return missing(spec, state),
        Fact::Unknown(reason) => {
            return Difference::Impossible {
                problem: reason.clone(),
                fix: "plan again once its store can be asked".into(),
            };
        }
    };
    match state {
        SecretState::Absent { .. } => {
            let mut fields = vec![becomes("version", version)];
            fields.extend(new_attributes(&spec.owner, &spec.group, spec.mode));
            Difference::Edit(Edit::new(Action::Create, Reason::Missing, deliver(spec)).with_fields(fields))
        }
        SecretState::Delivered {
            version: found,
            intact,
            owner,
            group,
            mode,
            sealed,
            fetch,
            at_boot: _,
        } => {
            let mut fields = Vec::new();
            if found.untrusted() != version.0 {
                fields.push(changes("version", found.clone(), version));
            }
            if !intact {
                fields.push(changes("content", "not as it was delivered", "as it is in the store"));
            }
            let is_old = !fields.is_empty();
            fields.extend(attributes(&spec.owner, &spec.group, spec.mode, owner, group, *mode));
            fields.extend(sealing(spec, version, sealed.as_ref()));
            fields.extend(fetching(spec, *fetch));
            if fields.is_empty() {
                return Difference::Same("version, owner, group and mode are as declared".into());
            }
            let op = if is_old { deliver(spec) } else { keep(spec) };
            Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(fields))
        }
        SecretState::Other { what } => in_the_way(spec, what),
    }
}

fn sealing(spec: &SecretSpec, version: &SecretVersion, sealed: Option<&HostText>) -> Option<FieldChange> {
    let wanted = (spec.after_reboot == AfterReboot::Sealed).then_some(version);
    if sealed.map(HostText::untrusted) == wanted.map(|version| version.0.as_str()) {
        return None;
    }
    Some(FieldChange {
        field: "sealed copy".into(),
        before: sealed.cloned(),
        after: wanted.map(ToString::to_string),
    })
}

/// What a host has on record of where to fetch it when it starts.
fn fetching(spec: &SecretSpec, record: FetchRecord) -> Option<FieldChange> {
    let before = match record {
        FetchRecord::None => None,
        FetchRecord::Current => Some("as declared"),
        FetchRecord::Outdated => Some("as declared before"),
    };
    let after = (spec.after_reboot == AfterReboot::Fetch).then_some("as declared");
    (before != after).then(|| FieldChange {
        field: "fetched at boot".into(),
        before: before.map(HostText::from),
        after: after.map(str::to_owned),
    })
}

/// The store has none, and it may be missing.
fn missing(spec: &SecretSpec, state: &SecretState) -> Difference {
    match state {
        SecretState::Absent { .. } => Difference::Same("its store has none, and it is not required".into()),
        SecretState::Delivered { version, .. } => {
            let field = FieldChange {
                field: "version".into(),
                before: Some(version.clone()),
                after: None,
            };
            Difference::Edit(Edit::new(Action::Remove, Reason::Differs, remove(spec)).with_fields(vec![field]))
        }
        SecretState::Other { what } => in_the_way(spec, what),
    }
}

fn in_the_way(spec: &SecretSpec, what: &str) -> Difference {
    Difference::Impossible {
        problem: HostText::new(format!("a secret is declared, and {what} is there")),
        fix: format!(
            "move it out of the way on the host: {} is for secrets in memory only",
            spec.directory
        ),
    }
}

/// What a unit that runs was last told of a resource, in the words of the last apply: a secret that the host has brought back itself
/// as it started, before any unit that uses it, counts as the version that there was at the last apply.
pub(super) fn started_with<'a>(
    id: &ResourceId,
    desired: &'a Desired,
    observed: &Observed,
    receipt: Option<&'a Receipt>,
) -> Option<&'a Spec> {
    let spec = &desired.resources.get(id)?.spec;
    let (
        Spec::Secret(wanted),
        Some(Spec::Secret(before)),
        Some(Fact::Known(State::Secret(SecretState::Delivered {
            version,
            intact: true,
            at_boot: true,
            ..
        }))),
    ) = (
        spec,
        receipt.and_then(|receipt| Some(&receipt.entries.get(id)?.spec)),
        observed.resources.get(id),
    )
    else {
        return Some(spec);
    };
    let is_wanted = matches!(&wanted.version, Fact::Known(Some(wanted)) if wanted.0 == version.untrusted());
    if is_wanted && wanted.unpinned() == before.unpinned() {
        receipt.and_then(|receipt| Some(&receipt.entries.get(id)?.spec))
    } else {
        Some(spec)
    }
}

/// One that was there and went with the host's memory says so.
pub(super) fn lost(found: Difference, entry: Option<&Entry>, state: &SecretState) -> Difference {
    match found {
        Difference::Edit(mut edit)
            if entry.is_some() && matches!(state, SecretState::Absent { nothing_mounted: true }) =>
        {
            edit.reasons = vec![Reason::LostSinceBoot];
            Difference::Edit(edit)
        }
        found => found,
    }
}

/// One that is now kept elsewhere is delivered anew: two places may call different values by one version.
pub(super) fn moved_elsewhere(found: Difference, spec: &SecretSpec, entry: Option<&Entry>) -> Difference {
    let Some(Spec::Secret(before)) = entry.map(|entry| &entry.spec) else {
        return found;
    };
    let places = |spec: &SecretSpec| -> Vec<String> {
        let values = spec.values().into_iter();
        values
            .map(|value| format!("{}, trimmed: {}", value.item, value.trim))
            .collect()
    };
    let is_known = matches!(spec.version, Fact::Known(Some(_)));
    match found {
        Difference::Same(_) if is_known && places(before) != places(spec) => {
            let field = changes("kept", places(before).join("; ").as_str(), places(spec).join("; "));
            Difference::Edit(Edit::new(Action::Update, Reason::Differs, deliver(spec)).with_fields(vec![field]))
        }
        found => found,
    }
}

/// One that leaves the configuration leaves the host's memory.
pub(super) fn removal(spec: &SecretSpec, state: &SecretState) -> Option<Edit> {
    let SecretState::Delivered { version, .. } = state else {
        return None;
    };
    let field = FieldChange {
        field: "version".into(),
        before: Some(version.clone()),
        after: None,
    };
    Some(Edit::new(Action::Remove, Reason::LeftConfiguration, remove(spec)).with_fields(vec![field]))
}

fn deliver(spec: &SecretSpec) -> Op {
    Op::Secrets {
        directory: spec.directory.clone(),
        deliver: BTreeMap::from([(spec.name.clone(), spec.clone())]),
        keep: BTreeMap::new(),
        remove: BTreeSet::new(),
    }
}

fn keep(spec: &SecretSpec) -> Op {
    Op::Secrets {
        directory: spec.directory.clone(),
        deliver: BTreeMap::new(),
        keep: BTreeMap::from([(spec.name.clone(), spec.clone())]),
        remove: BTreeSet::new(),
    }
}

fn remove(spec: &SecretSpec) -> Op {
    Op::Secrets {
        directory: spec.directory.clone(),
        deliver: BTreeMap::new(),
        keep: BTreeMap::new(),
        remove: BTreeSet::from([spec.name.clone()]),
    }
}
