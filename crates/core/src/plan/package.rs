//! Packages: declared against dpkg's status. It knows no repository, so it cannot say whether a version exists.

use super::difference::{Difference, Edit, becomes, changes};
use crate::model::{
    Action, Fact, Kind, Observed, Op, PackageSpec, PackageState, PackageWant, Reason, ResourceId, State, Switch,
    SwitchSpec, SwitchState,
};

pub(super) fn package(spec: &PackageSpec, state: &PackageState) -> Difference {
    let wanted = match &spec.want {
        PackageWant::Present => None,
        PackageWant::Version(version) => Some(version),
        PackageWant::Absent => return unwanted(spec, state),
    };
    let edit = |action, reason| {
        let install = [(spec.name.clone(), wanted.cloned())].into();
        Edit::new(
            action,
            reason,
            Op::Packages {
                install,
                bare: (!spec.recommends).then(|| spec.name.clone()).into_iter().collect(),
                remove: [].into(),
            },
        )
    };
    match (state, wanted) {
        (PackageState::Absent, wanted) => {
            let fields = wanted.iter().map(|version| becomes("version", version)).collect();
            Difference::Edit(edit(Action::Create, Reason::Missing).with_fields(fields))
        }
        (PackageState::Installed { version }, Some(wanted)) if version.untrusted() != wanted => {
            let fields = vec![changes("version", version.clone(), wanted)];
            Difference::Edit(edit(Action::Update, Reason::Differs).with_fields(fields))
        }
        (PackageState::Installed { version }, _) => {
            Difference::Same(format!("installed, version {}", version.escaped()))
        }
        (PackageState::Broken { status }, _) => {
            let fields = vec![changes("status", status.clone(), "installed")];
            Difference::Edit(edit(Action::Update, Reason::HalfInstalled(status.clone())).with_fields(fields))
        }
    }
}

/// apt changes no package that is on hold: one that is to change is freed for as long as that takes.
pub(super) fn unheld(found: Difference, id: &ResourceId, observed: &Observed) -> Difference {
    let hold = ResourceId::new(Kind::Hold, id.name.as_str());
    let held = matches!(
        observed.resources.get(&hold),
        Some(Fact::Known(State::Switch(SwitchState { on: true })))
    );
    match found {
        Difference::Edit(mut edit) if held && id.kind == Kind::Package => {
            let turn = |on| {
                Op::Turn(SwitchSpec {
                    switch: Switch::Hold,
                    name: id.name.clone(),
                    on,
                })
            };
            edit.ops.insert(0, turn(false));
            if edit.action != Action::Remove {
                edit.ops.push(turn(true));
            }
            Difference::Edit(edit)
        }
        found => found,
    }
}

fn unwanted(spec: &PackageSpec, state: &PackageState) -> Difference {
    let found = match state {
        PackageState::Absent => return Difference::Same("not installed, as declared".into()),
        PackageState::Installed { version } => version,
        PackageState::Broken { status } => status,
    };
    let op = Op::Packages {
        install: [].into(),
        bare: [].into(),
        remove: [spec.name.clone()].into(),
    };
    let field = crate::model::FieldChange {
        field: "version".into(),
        before: Some(found.clone()),
        after: None,
    };
    Difference::Edit(Edit::new(Action::Remove, Reason::Differs, op).with_fields(vec![field]))
}
