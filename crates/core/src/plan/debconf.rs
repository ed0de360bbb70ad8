//! Answers to packages' questions: declared against what debconf's database has, and what takes one back. It knows neither
//! what a package makes of an answer nor what it would let choose from.

use super::difference::{Difference, Edit};
use crate::model::{
    Action, DebconfAnswer, DebconfEarlier, DebconfSpec, DebconfState, Entry, FieldChange, HostText, Op, Reason, Spec,
    State,
};

/// What is shown where no answer is kept, and the package's own counts.
const DEFAULT: &str = "the package's default";

pub(super) fn answer(spec: &DebconfSpec, state: &DebconfState) -> Difference {
    let (action, reason, field) = match &state.answer {
        DebconfAnswer::Password => {
            return Difference::Impossible {
                problem: HostText::from("it asks for a password, which debconf would keep on the disk in clear"),
                fix: "leave the question out, and give the program its password as a file: [secrets.NAME]".into(),
            };
        }
        DebconfAnswer::None => (Action::Create, Reason::Missing, answers(None, &spec.value)),
        DebconfAnswer::Known { value, seen } => {
            if value.as_ref().map_or("", HostText::untrusted) != spec.value {
                let before = value.clone().unwrap_or_else(|| HostText::from(DEFAULT));
                (Action::Update, Reason::Differs, answers(Some(before), &spec.value))
            } else if *seen {
                return Difference::Same("answered as declared".into());
            } else {
                let field = super::difference::changes("seen", "false", true);
                (Action::Update, Reason::Differs, field)
            }
        }
    };
    let op = Op::Answer {
        answers: [(spec.question.clone(), spec.clone())].into(),
    };
    let mut edit = Edit::new(action, reason, op).with_fields(vec![field]);
    follow(&mut edit, spec, state);
    Difference::Edit(edit)
}

fn answers(before: Option<HostText>, after: &str) -> FieldChange {
    FieldChange {
        field: "answer".into(),
        before,
        after: Some(after.to_owned()),
    }
}

/// What an installed package does about it: nothing by itself.
fn follow(edit: &mut Edit, spec: &DebconfSpec, state: &DebconfState) {
    if !state.installed {
        return;
    }
    let package = spec.package.clone();
    if spec.reconfigure {
        edit.ops.push(Op::Reconfigure {
            package: package.clone(),
        });
        edit.reasons.push(Reason::Reconfigured { package });
    } else {
        edit.reasons.push(Reason::NotReconfigured { package });
    }
}

/// The package is to be reconfigured still: an earlier run ended between the answer and that.
pub(super) fn unfinished(found: Difference, spec: &Spec, state: &State, is_pending: bool) -> Difference {
    match (found, spec, state) {
        (Difference::Same(_), Spec::Debconf(spec), State::Debconf(state))
            if is_pending && spec.reconfigure && state.installed =>
        {
            let package = spec.package.clone();
            let op = Op::Reconfigure {
                package: package.clone(),
            };
            let mut edit = Edit::new(Action::Update, Reason::Unfinished, op);
            edit.reasons.push(Reason::Reconfigured { package });
            Difference::Edit(edit)
        }
        (found, _, _) => found,
    }
}

/// The same where the package goes in this plan: then there is nothing to reconfigure, and nobody who asks any more.
pub(super) fn without_package(state: &State) -> Option<State> {
    match state {
        State::Debconf(DebconfState {
            answer,
            installed: true,
        }) => Some(State::Debconf(DebconfState {
            answer: answer.clone(),
            installed: false,
        })),
        _ => None,
    }
}

/// Takes it back to what was there before; `None` where it is, and where nobody asks any more.
pub(super) fn removal(spec: &DebconfSpec, entry: &Entry, state: &DebconfState) -> Option<Edit> {
    let Some(State::Debconf(original)) = &entry.original else {
        return None;
    };
    let DebconfAnswer::Known { value: now, .. } = &state.answer else {
        return None;
    };
    if original.answer == state.answer {
        return None;
    }
    let (action, to) = match &original.answer {
        DebconfAnswer::Password => return None,
        // An installed package still has the question.
        DebconfAnswer::None if state.installed => (Action::Remove, DebconfEarlier::Default),
        DebconfAnswer::None => (Action::Remove, DebconfEarlier::Nothing),
        DebconfAnswer::Known { value: None, .. } => (Action::Restore, DebconfEarlier::Default),
        DebconfAnswer::Known {
            value: Some(value),
            seen,
        } => {
            let value = value.untrusted().to_owned();
            (Action::Restore, DebconfEarlier::Value { value, seen: *seen })
        }
    };
    let after = match &to {
        DebconfEarlier::Value { value, .. } => Some(HostText::from(value.as_str()).escaped()),
        DebconfEarlier::Default => Some(DEFAULT.to_owned()),
        DebconfEarlier::Nothing => None,
    };
    let field = FieldChange {
        field: "answer".into(),
        before: Some(now.clone().unwrap_or_else(|| HostText::from(DEFAULT))),
        after,
    };
    let op = Op::TakeBackAnswer {
        question: spec.question.clone(),
        package: spec.package.clone(),
        to,
    };
    let mut edit = Edit::new(action, Reason::LeftConfiguration, op).with_fields(vec![field]);
    follow(&mut edit, spec, state);
    Some(edit)
}
