//! The firewall: the declared table against the one that the kernel has. It judges no rule, and knows no other table.

use super::difference::{Difference, Edit, becomes, changes};
use crate::model::{Action, Entry, FieldChange, FirewallSpec, FirewallState, HostText, Op, Reason, State, TextChange};

pub(super) fn firewall(spec: &FirewallSpec, state: &FirewallState) -> Difference {
    let load = |action, reason| Edit::new(action, reason, Op::LoadFirewall(spec.clone()));
    match state {
        FirewallState::NoTool | FirewallState::Absent => {
            let fields = vec![becomes("table", "loaded")];
            let edit = load(Action::Create, Reason::Missing).with_fields(fields);
            Difference::Edit(with_text(edit, "", &spec.rules))
        }
        FirewallState::Table {
            as_wanted: true,
            comment,
            ..
        } if same(comment.as_ref(), spec.comment.as_deref()) => {
            Difference::Same("the kernel has the table as declared".into())
        }
        FirewallState::Table { comment, rules, .. } => {
            let fields = match comment {
                Some(comment) if same(Some(comment), spec.comment.as_deref()) => {
                    vec![changes("rules", "changed since they were loaded", "as declared")]
                }
                comment => {
                    let before = comment
                        .clone()
                        .unwrap_or_else(|| HostText::from("not loaded by provision"));
                    vec![changes("rules", before, spec.comment.as_deref().unwrap_or("as before"))]
                }
            };
            let edit = load(Action::Update, Reason::Differs).with_fields(fields);
            Difference::Edit(with_text(edit, rules.untrusted(), &spec.rules))
        }
    }
}

fn same(found: Option<&HostText>, wanted: Option<&str>) -> bool {
    found.map(HostText::untrusted) == wanted
}

fn with_text(edit: Edit, before: &str, after: &str) -> Edit {
    Edit {
        text: Some(TextChange::Text {
            before: HostText::from(before),
            after: after.to_owned(),
        }),
        ..edit
    }
}

/// Whether the host moved since `before` was applied. What its rules are listed as is known only where they are still declared:
/// of others the comment tells whether they are the ones that were loaded.
pub(super) fn host_moved(before: &FirewallSpec, configuration: bool, state: &State) -> bool {
    match state {
        State::Firewall(FirewallState::Table { comment, as_wanted, .. }) => {
            !same(comment.as_ref(), before.comment.as_deref()) || !(configuration || *as_wanted)
        }
        _ => true,
    }
}

/// The table goes, or the one that was there before us comes back.
pub(super) fn removal(entry: &Entry, state: &FirewallState) -> Option<Edit> {
    let found = match state {
        FirewallState::Absent => "",
        // Whether there is one cannot be seen; the step says so, unless there is nothing left of it.
        FirewallState::NoTool => "",
        FirewallState::Table { rules, .. } => rules.untrusted(),
    };
    match (&entry.original, state) {
        (Some(State::Firewall(FirewallState::Table { comment, rules, .. })), _) => {
            let before = FirewallSpec {
                comment: comment.as_ref().map(|comment| comment.untrusted().to_owned()),
                rules: rules.untrusted().to_owned(),
            };
            let is_back = matches!(state, FirewallState::Table { comment, rules, .. }
                if same(comment.as_ref(), before.comment.as_deref()) && rules.untrusted() == before.rules);
            let edit = Edit::new(
                Action::Restore,
                Reason::LeftConfiguration,
                Op::LoadFirewall(before.clone()),
            );
            (!is_back).then(|| with_text(edit, found, &before.rules))
        }
        (Some(State::Firewall(_)), FirewallState::NoTool | FirewallState::Table { .. }) => {
            let field = FieldChange {
                field: "table".into(),
                before: Some(HostText::from("loaded")),
                after: None,
            };
            let edit = Edit::new(Action::Remove, Reason::LeftConfiguration, Op::RemoveFirewall);
            Some(with_text(edit.with_fields(vec![field]), found, ""))
        }
        _ => None,
    }
}
