//! Swap files: the declared one against what lies there and how the kernel uses it. It refuses, with the figures, what the
//! disk or the memory has no room for, and makes nothing.

use super::difference::{Difference, Edit, becomes, changes};
use crate::model::{
    Action, ActiveSwap, Entry, FieldChange, HostText, Mode, OnRemoval, Op, Reason, Refusal, Spec, State, SwapfileFound,
    SwapfileSpec, SwapfileState, cannot_take_back, mib,
};

/// Whoever may read a swap file reads the memory of every program.
const MODE: Mode = Mode::from_bits(0o600);

pub(super) fn swapfile(spec: &SwapfileSpec, state: &SwapfileState) -> Difference {
    match state {
        SwapfileState::Absent { room } => {
            if let Some(refusal) = room.as_ref().and_then(|room| room.refuses(spec.size)) {
                return impossible(refusal);
            }
            let mut fields = vec![becomes("size", mib(spec.size))];
            if spec.active {
                fields.push(becomes("used", "by the kernel"));
                fields.extend(spec.priority.map(|priority| becomes("priority", priority)));
            }
            let op = Op::PutSwapfile {
                spec: spec.clone(),
                rebuild: true,
            };
            Difference::Edit(Edit::new(Action::Create, Reason::Missing, op).with_fields(fields))
        }
        SwapfileState::Other { what } => in_the_way(spec, what),
        SwapfileState::File(SwapfileFound { formatted: None, .. }) => in_the_way(spec, "a file that is no swap space"),
        SwapfileState::File(found) => file(spec, found),
    }
}

fn file(spec: &SwapfileSpec, found: &SwapfileFound) -> Difference {
    let mut fields = Vec::new();
    let rebuild = found.size != spec.size || found.formatted != Some(spec.size);
    if found.size != spec.size {
        fields.push(changes("size", HostText::new(mib(found.size)), mib(spec.size)));
    } else if rebuild {
        let before = mib(found.formatted.unwrap_or_default());
        fields.push(changes("swap space in it", HostText::new(before), mib(spec.size)));
    }
    if found.mode != MODE {
        fields.push(changes("mode", HostText::new(found.mode.to_string()), MODE));
    }
    if found.owner != 0 {
        fields.push(changes("owner", HostText::new(found.owner.to_string()), "root"));
    }
    let active = found.active.as_ref();
    let as_declared = spec.is_used_as_declared(active);
    if !as_declared {
        fields.push(match (active, spec.active) {
            (Some(active), true) => changes(
                "priority",
                HostText::new(active.priority.to_string()),
                spec.priority
                    .map_or("the kernel's choice".to_owned(), |priority| priority.to_string()),
            ),
            (_, true) => changes("used", "by nobody", "by the kernel"),
            (_, false) => changes("used", "by the kernel", "by nobody"),
        });
    }
    if fields.is_empty() {
        let used = if spec.active { "used" } else { "left alone" };
        return Difference::Same(format!("{} of swap space, {used} as declared", mib(spec.size)));
    }
    // Neither its length nor its priority changes while the kernel uses it.
    if (rebuild || !as_declared)
        && let Some(refusal) = active.and_then(|active| cannot_take_back(active.used, found.memory))
    {
        return impossible(refusal);
    }
    if rebuild && let Some(refusal) = found.room.as_ref().and_then(|room| room.refuses(spec.size)) {
        return impossible(Refusal {
            fix: format!("{}; the old one stays until the new one is made", refusal.fix),
            ..refusal
        });
    }
    let op = Op::PutSwapfile {
        spec: spec.clone(),
        rebuild,
    };
    Difference::Edit(Edit::new(Action::Update, Reason::Differs, op).with_fields(fields))
}

fn in_the_way(spec: &SwapfileSpec, what: &str) -> Difference {
    Difference::Impossible {
        problem: HostText::new(format!(
            "{what} is there, and is not replaced: nothing could bring it back"
        )),
        fix: format!("move {} out of the way on the host; then plan again", spec.path),
    }
}

fn impossible(Refusal { problem, fix }: Refusal) -> Difference {
    Difference::Impossible {
        problem: HostText::new(problem),
        fix,
    }
}

/// What was there as a specification; `None` for what is no swap space.
pub(super) fn as_it_was(spec: &SwapfileSpec, was: &SwapfileState) -> Option<SwapfileSpec> {
    let SwapfileState::File(SwapfileFound {
        size,
        formatted: Some(_),
        active,
        ..
    }) = was
    else {
        return None;
    };
    Some(SwapfileSpec {
        path: spec.path.clone(),
        size: *size,
        priority: active.as_ref().and_then(ActiveSwap::declared),
        active: active.is_some(),
    })
}

/// It goes, where there was none before; one that was there is as large and as much used as it was.
pub(super) fn removal(spec: &SwapfileSpec, entry: &Entry, state: &SwapfileState) -> Option<Edit> {
    let SwapfileState::File(found) = state else { return None };
    let Some(State::Swapfile(original)) = &entry.original else {
        return None;
    };
    if let SwapfileState::Absent { .. } = original {
        let gone = |field: &str, before: String| FieldChange {
            field: field.to_owned(),
            before: Some(HostText::new(before)),
            after: None,
        };
        let mut fields = vec![gone("size", mib(found.size))];
        if let Some(active) = &found.active {
            fields.push(gone("in it", mib(active.used)));
        }
        let op = Op::RemoveSwapfile {
            path: spec.path.clone(),
        };
        return Some(Edit::new(Action::Remove, Reason::LeftConfiguration, op).with_fields(fields));
    }
    match swapfile(&as_it_was(spec, original)?, state) {
        Difference::Edit(edit) => Some(Edit {
            action: Action::Restore,
            reasons: vec![Reason::LeftConfiguration],
            ..edit
        }),
        Difference::Same(_) | Difference::Impossible { .. } => None,
    }
}

/// Why one that leaves the configuration cannot go, or not become what it was.
pub(super) fn stuck(entry: &Entry, state: &State) -> Option<Refusal> {
    let (Spec::Swapfile(spec), State::Swapfile(now @ SwapfileState::File(found))) = (&entry.spec, state) else {
        return None;
    };
    let goes = || cannot_take_back(found.active.as_ref()?.used, found.memory);
    match (entry.on_removal, &entry.original) {
        (OnRemoval::Keep, _) => None,
        (OnRemoval::Remove, _) | (OnRemoval::Restore, Some(State::Swapfile(SwapfileState::Absent { .. }))) => goes(),
        (OnRemoval::Restore, Some(State::Swapfile(original))) => match swapfile(&as_it_was(spec, original)?, now) {
            Difference::Impossible { problem, fix } => Some(Refusal {
                problem: problem.untrusted().to_owned(),
                fix,
            }),
            Difference::Same(_) | Difference::Edit(_) => None,
        },
        (OnRemoval::Restore, _) => None,
    }
}
