//! systemd units: declared against systemd's view, and against the rest of the plan, since a unit is restarted when
//! something it uses changes. One unit gets at most one start, restart or reload per plan.

use super::difference::{Difference, Edit, becomes, changes};
use std::collections::BTreeSet;

use crate::model::{
    Action, HostText, OnChange, Op, Reason, ResourceId, State, UnitName, UnitSpec, UnitState, UnitVerb,
};

/// What the rest of the plan, and the receipt, say about a unit.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// What it uses and what this plan changes.
    pub(super) changed: Vec<ResourceId>,
    /// It was last started with something else.
    pub(super) started_with_older: bool,
    /// An earlier apply ended before it could restart it.
    pub(super) unfinished: bool,
    /// Something in this plan may bring the unit, such as a package.
    pub(super) may_appear: bool,
}

impl Due {
    fn own_file_changes(&self, spec: &UnitSpec) -> bool {
        self.changed.iter().any(|id| is_file_of(spec, id))
    }

    fn reasons(&self) -> Vec<Reason> {
        let mut reasons: Vec<_> = self
            .changed
            .iter()
            .map(|by| Reason::Triggered { by: by.clone() })
            .collect();
        if reasons.is_empty() && self.started_with_older {
            reasons.push(Reason::StartedWithOlder);
        }
        if reasons.is_empty() && self.unfinished {
            reasons.push(Reason::Unfinished);
        }
        reasons
    }
}

/// Whether a resource is the unit's own file, or that of the template it is an instance of.
fn is_file_of(spec: &UnitSpec, id: &ResourceId) -> bool {
    id.name
        .rsplit_once('/')
        .is_some_and(|(_, name)| name == spec.name.unit() || spec.name.template().as_deref() == Some(name))
}

/// Whether systemd has the unit otherwise than it was left.
pub(super) fn host_moved(left: &UnitSpec, state: &State) -> bool {
    let State::Unit(state) = state else { return true };
    state.needs_reload || active_verb(left, state).is_some() || at_boot(left, state).is_some()
}

pub(super) fn difference(spec: &UnitSpec, state: &UnitState, due: &Due) -> Difference {
    let known = state.load.untrusted() != "not-found";
    let appears = due.own_file_changes(spec) || due.may_appear;
    if let Some(problem) = impossible(spec, state, due, known, appears) {
        return problem;
    }
    let mut fields = Vec::new();
    let mut at_boot = at_boot(spec, state);
    if let Some(enabled) = at_boot {
        let after = if enabled { "enabled" } else { "disabled" };
        fields.push(field("at boot", &state.enabled, known, after));
    } else if spec.enabled == Some(true) && due.own_file_changes(spec) {
        // Its [Install] section may have changed, and with it the links that enabling makes.
        at_boot = Some(true);
    }
    let mut now = None;
    let mut reasons = Vec::new();
    if let Some(verb) = active_verb(spec, state) {
        fields.push(field(
            "now",
            &state.active,
            known,
            if verb == UnitVerb::Start { "active" } else { "inactive" },
        ));
        // One that is on its way may have arrived before the order does, and then runs with what it was started with.
        let late = verb == UnitVerb::Start && state.is_up() && spec.on_change != OnChange::Nothing;
        if late {
            reasons = due.reasons();
        }
        now = Some(if reasons.is_empty() { verb } else { UnitVerb::Restart });
    } else if running(state) && spec.active != Some(false) {
        reasons = due.reasons();
        match spec.on_change {
            OnChange::Restart if !reasons.is_empty() => now = Some(UnitVerb::Restart),
            OnChange::Reload if !reasons.is_empty() => now = Some(UnitVerb::Reload),
            OnChange::Restart | OnChange::Reload | OnChange::Nothing => reasons.clear(),
        }
    }
    if !fields.is_empty() {
        reasons.insert(0, if known { Reason::Differs } else { Reason::Missing });
    }
    // The order to read unit files again is given by the plan's order wherever a unit's file changes.
    let stale = state.needs_reload && !due.own_file_changes(spec);
    if stale {
        reasons.push(Reason::NeedsDaemonReload);
    }
    if reasons.is_empty() {
        return Difference::Same(same(spec, state));
    }
    let mut ops: Vec<_> = at_boot
        .map(|enabled| at_boot_op(&spec.name, enabled))
        .into_iter()
        .collect();
    if stale {
        ops.push(match spec.name.user() {
            None => Op::DaemonReload,
            Some(user) => Op::ReloadOfUser { user: user.to_owned() },
        });
    }
    ops.extend(now.map(|verb| unit_op(&spec.name, verb)));
    let action = match (known, fields.is_empty()) {
        (false, _) => Action::Create,
        (true, false) => Action::Update,
        (true, true) => Action::Restart,
    };
    let settle = now
        .filter(|verb| *verb != UnitVerb::Stop)
        .map(|_| (spec.name.clone(), spec.settle));
    Difference::Edit(Edit {
        action,
        fields,
        text: None,
        reasons,
        ops,
        settle,
    })
}

fn impossible(spec: &UnitSpec, state: &UnitState, due: &Due, known: bool, appears: bool) -> Option<Difference> {
    let wants = spec.enabled == Some(true) || spec.active == Some(true);
    let no = |problem: &str, fix: String| {
        Some(Difference::Impossible {
            problem: HostText::from(problem),
            fix,
        })
    };
    if !known && wants && !appears {
        return no(
            "systemd knows no unit of this name",
            format!(
                "declare the package that brings it, or give [units.\"{}\"] its text",
                spec.name
            ),
        );
    }
    let masked = state.load.untrusted() == "masked" || state.enabled.untrusted().starts_with("masked");
    if masked && wants {
        return no("the unit is masked", format!("run: {}", spec.name.command("unmask")));
    }
    let fixed = matches!(state.enabled.untrusted(), "static" | "generated" | "transient");
    if spec.enabled == Some(true) && fixed && !due.own_file_changes(spec) && !due.may_appear {
        return no(
            "the unit has no [Install] section, so it cannot be enabled",
            "remove enabled = true, or give its text an [Install] section".into(),
        );
    }
    None
}

fn at_boot_op(name: &UnitName, enabled: bool) -> Op {
    let units = |wanted| if wanted { [name.clone()].into() } else { BTreeSet::new() };
    Op::AtBoot {
        enable: units(enabled),
        disable: units(!enabled),
    }
}

fn unit_op(name: &UnitName, verb: UnitVerb) -> Op {
    let name = name.clone();
    Op::Unit { name, verb }
}

/// Whether it has to be enabled or disabled, where it is not as declared.
fn at_boot(spec: &UnitSpec, state: &UnitState) -> Option<bool> {
    let found = state.enabled.untrusted();
    spec.enabled.filter(|enabled| match enabled {
        true => !matches!(found, "enabled" | "alias" | "indirect"),
        false => matches!(found, "enabled" | "enabled-runtime"),
    })
}

fn active_verb(spec: &UnitSpec, state: &UnitState) -> Option<UnitVerb> {
    match spec.active? {
        true => (!running(state)).then_some(UnitVerb::Start),
        false => (!matches!(state.active.untrusted(), "inactive" | "failed")).then_some(UnitVerb::Stop),
    }
}

fn running(state: &UnitState) -> bool {
    matches!(state.active.untrusted(), "active" | "reloading" | "refreshing")
}

fn field(name: &str, found: &HostText, known: bool, after: &str) -> crate::model::FieldChange {
    if known && !found.untrusted().is_empty() {
        changes(name, found.clone(), after)
    } else {
        becomes(name, after)
    }
}

fn same(spec: &UnitSpec, state: &UnitState) -> String {
    let mut parts = Vec::new();
    if spec.enabled.is_some() {
        parts.push(state.enabled.escaped());
    }
    if spec.active.is_some() {
        parts.push(state.active.escaped());
    }
    match parts.as_slice() {
        [] => "nothing is declared of its state".into(),
        _ => format!("{}, as declared", parts.join(" and ")),
    }
}

/// What puts a unit back to how it was before `provision` came.
pub(super) fn restore(left: &UnitSpec, original: &UnitState, state: &UnitState) -> Vec<Op> {
    let was = UnitSpec {
        enabled: left
            .enabled
            .map(|_| matches!(original.enabled.untrusted(), "enabled" | "enabled-runtime")),
        active: left.active.map(|_| running(original)),
        ..left.clone()
    };
    if state.load.untrusted() == "not-found" {
        return Vec::new();
    }
    let boot = at_boot(&was, state).map(|enabled| at_boot_op(&was.name, enabled));
    let now = active_verb(&was, state).map(|verb| unit_op(&was.name, verb));
    boot.into_iter().chain(now).collect()
}
