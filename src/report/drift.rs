//! Drift for people: where a host is not as declared, by who moved. It is a plan seen from the other side: what is
//! found first, what is declared second, and nothing that only follows from something else.

use std::fmt::Write as _;

use provision_core::model::{Action, Change, Moved, Plan, Reason};

use super::columns::{columns, indented};
use super::diff::diff_text;
use super::style::{Palette, paint};
use super::{plan, words};

/// The differences of a plan: its changes but for those that only follow from others.
pub fn differences(plan: &Plan) -> impl Iterator<Item = &Change> {
    plan.changes.iter().filter(|change| !follows(change))
}

/// Whether a host is as declared as far as could be seen.
#[must_use]
pub fn is_clean(plan: &Plan) -> bool {
    differences(plan).next().is_none() && plan.blockers.is_empty()
}

/// A restart that other changes trigger, and a probe that waits for them, are no findings.
fn follows(change: &Change) -> bool {
    let follows = |reason: &Reason| matches!(reason, Reason::Triggered { .. } | Reason::VerifiesChanges);
    change.reasons.iter().all(follows)
}

/// One host's drift.
#[must_use]
pub fn drift_text(plan: &Plan, view: plan::PlanView) -> String {
    let palette = view.palette;
    let host = paint(palette.title(), &plan.host);
    if is_clean(plan) {
        let resources = words::count(plan.unchanged.len(), "resource");
        let state = paint(palette.create(), "no drift");
        return format!("{host}  {state}: {resources} as declared\n");
    }
    let mut text = format!("{host}  {}\n", paint(palette.update(), sentence(plan)));
    for moved in [
        Moved::Host,
        Moved::Both,
        Moved::Configuration,
        Moved::New,
        Moved::Neither,
    ] {
        let changes: Vec<_> = differences(plan).filter(|change| change.moved == moved).collect();
        if changes.is_empty() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}", paint(palette.title(), title(moved)));
        for change in changes {
            text += &difference_text(change, view);
        }
    }
    text + &plan::blockers_text(plan, palette)
}

fn title(moved: Moved) -> &'static str {
    match moved {
        Moved::Host => "the host moved: somebody or something changed it there",
        Moved::Both => "both moved: the configuration, and the host",
        Moved::Configuration => "the configuration moved: not applied yet",
        Moved::New => "never applied to this host",
        Moved::Neither => "left over from an apply that did not end",
    }
}

/// Such as "3 differences: the host moved in 2, both in 1".
fn sentence(plan: &Plan) -> String {
    let all = differences(plan).count();
    let by = [
        (Moved::Host, "the host moved"),
        (Moved::Both, "both moved"),
        (Moved::Configuration, "the configuration moved"),
        (Moved::New, "never applied"),
        (Moved::Neither, "left over"),
    ];
    let parts: Vec<_> = by
        .into_iter()
        .map(|(moved, what)| (differences(plan).filter(|change| change.moved == moved).count(), what))
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{what} in {number}"))
        .collect();
    let unseen = match plan.blockers.len() {
        0 => String::new(),
        number => format!("; {number} could not be told"),
    };
    let s = if parts.is_empty() { "" } else { ": " };
    format!("{}{s}{}{unseen}", words::count(all, "difference"), parts.join(", "))
}

fn difference_text(change: &Change, view: plan::PlanView) -> String {
    const INDENT: &str = "        ";
    let palette = view.palette;
    let head = format!("{} {}", words::symbol(change.action), words::id(&change.id));
    let what = what(change);
    let mut text = format!("    {}  {what}\n", paint(style(change.action, palette), head));
    let rows: Vec<_> = change
        .fields
        .iter()
        .map(|field| {
            let side = |value: Option<String>| value.unwrap_or_else(|| "(none)".to_owned());
            vec![
                words::safe(&field.field),
                format!("is {}", side(field.before.as_ref().map(|before| before.escaped()))),
                format!("declared {}", side(field.after.as_deref().map(words::safe))),
            ]
        })
        .collect();
    for line in columns(&rows) {
        let _ = writeln!(text, "{INDENT}{line}");
    }
    if let Some(change) = change.text.as_ref().filter(|_| view.diff) {
        let legend = paint(palette.faint(), "--- on the host\n+++ as declared");
        text += &indented(INDENT, &format!("{legend}\n{}", diff_text(change, palette)));
    }
    text
}

/// What is found, as a clause.
fn what(change: &Change) -> String {
    match change.action {
        Action::Create => "is not there".to_owned(),
        Action::Update => "is not as declared".to_owned(),
        Action::Remove | Action::Restore | Action::Forget => "left the configuration and is still there".to_owned(),
        Action::Run | Action::Restart | Action::Verify => {
            let reasons = change.reasons.iter().map(|reason| words::reason(reason, "is due"));
            reasons.collect::<Vec<_>>().join("; ")
        }
    }
}

fn style(action: Action, palette: Palette) -> anstyle::Style {
    plan::action_style(action, palette)
}

/// The line under all hosts.
#[must_use]
pub fn total_text(plans: &[&Plan], unreachable: usize, palette: Palette) -> String {
    let drifted = plans.iter().filter(|plan| !is_clean(plan)).count();
    let all = words::count(plans.len(), "host");
    let mut text = match drifted {
        0 => format!("{} none on {all}", paint(palette.title(), "Drift:")),
        drifted => format!("{} {drifted} of {all}", paint(palette.title(), "Drift:")),
    };
    if unreachable > 0 {
        let _ = write!(text, "; {} not reached", words::count(unreachable, "host"));
    }
    text + "\n"
}
