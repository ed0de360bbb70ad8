//! Switches: declared against found, and what turns one back. It turns none.

use super::difference::{Difference, Edit, changes};
use crate::model::{Action, Entry, Op, Reason, State, Switch, SwitchSpec, SwitchState};

pub(super) fn switch(spec: &SwitchSpec, state: SwitchState) -> Difference {
    if spec.on == state.on {
        return Difference::Same(format!("{}, as declared", spec.switch.word(state.on)));
    }
    Difference::Edit(turn(spec, Action::Update, Reason::Differs))
}

fn turn(spec: &SwitchSpec, action: Action, reason: Reason) -> Edit {
    let words = |on| spec.switch.word(on);
    let fields = vec![changes("now", words(!spec.on), words(spec.on))];
    Edit::new(action, reason, Op::Turn(spec.clone())).with_fields(fields)
}

/// Turns it back to how it was; `None` where it is.
pub(super) fn removal(spec: &SwitchSpec, entry: &Entry, state: SwitchState) -> Option<Edit> {
    let Some(State::Switch(original)) = &entry.original else {
        return None;
    };
    // What uses a module keeps it; it is no longer loaded at the next boot.
    if original.on == state.on || spec.switch == Switch::KernelModule {
        return None;
    }
    let back = SwitchSpec {
        on: original.on,
        ..spec.clone()
    };
    Some(turn(&back, Action::Restore, Reason::LeftConfiguration))
}
