//! Commands and probes: what their guard or their last try said. It runs neither.

use super::difference::{Difference, Edit, becomes};
use crate::model::{Action, CommandSpec, CommandState, Op, ProbeSpec, ProbeState, Reason};

pub(super) fn command(spec: &CommandSpec, state: &CommandState) -> Difference {
    if state.satisfied {
        return Difference::Same(format!("its guard holds: {}", state.detail.escaped()));
    }
    let fields = vec![becomes("run", spec.run.join(" "))];
    let reason = Reason::GuardOpen(state.detail.clone());
    Difference::Edit(Edit::new(Action::Run, reason, Op::Run(spec.clone())).with_fields(fields))
}

/// `changes` says whether the plan changes anything that the probe should stand after.
pub(super) fn probe(spec: &ProbeSpec, state: &ProbeState, changes: bool) -> Difference {
    let mut reasons = Vec::new();
    if !state.passing {
        reasons.push(Reason::ProbeFails(state.detail.clone()));
    }
    if changes {
        reasons.push(Reason::VerifiesChanges);
    }
    if reasons.is_empty() {
        return Difference::Same(format!("it passes: {}", state.detail.escaped()));
    }
    Difference::Edit(Edit {
        action: Action::Verify,
        fields: Vec::new(),
        text: None,
        reasons,
        ops: vec![Op::Probe(spec.clone())],
        settle: None,
    })
}
