//! Drift for people: where a host is not as declared, by who moved. It is a plan seen from the other side: what is
//! found first, what is declared second, and nothing that only follows from something else.

use std::fmt::Write as _;

use provision_core::model::{Action, Change, Moved, Plan, Reason, TextChange};

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

/// The drift of hosts, and the sum.
#[must_use]
pub fn drifts_text(plans: &[&Plan], unreachable: usize, view: plan::PlanView) -> String {
    let texts: Vec<_> = plans.iter().map(|plan| drift_text(plan, view)).collect();
    let total = total_text(plans, unreachable, view.palette);
    if texts.is_empty() {
        return total;
    }
    format!("{}\n{total}", texts.join("\n"))
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
    let sentence = paint(palette.update(), sentence(plan));
    let mut text = format!("{host}  {sentence} (generation {})\n", plan.base_generation);
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
            let is = field.before.as_ref().map(|before| format!("is {}", before.escaped()));
            let declared = field
                .after
                .as_deref()
                .map(|after| format!("declared {}", words::safe(after)));
            std::iter::once(words::safe(&field.field))
                .chain(is)
                .chain(declared)
                .collect()
        })
        .collect();
    for line in columns(&rows) {
        let _ = writeln!(text, "{INDENT}{line}");
    }
    if let Some(change) = change.text.as_ref().filter(|_| view.diff) {
        // A text that is only on one side needs no legend.
        if matches!(change, TextChange::Text { before, after } if !before.untrusted().is_empty() && !after.is_empty()) {
            text += &indented(INDENT, &paint(palette.faint(), "--- on the host\n+++ as declared"));
        }
        text += &indented(INDENT, &diff_text(change, palette));
    }
    text
}

/// What is found, as a clause.
fn what(change: &Change) -> String {
    match change.action {
        Action::Create => "is not there".to_owned(),
        Action::Update => "is not as declared".to_owned(),
        Action::Remove | Action::Restore | Action::Forget => "left the configuration and is still there".to_owned(),
        Action::Run | Action::Restart | Action::Verify | Action::Record => {
            words::reasons(&change.reasons, "needs a restart", None)
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
        0 if plans.is_empty() => format!("{} not known", paint(palette.title(), "Drift:")),
        0 => format!("{} none on {all}", paint(palette.title(), "Drift:")),
        drifted => format!("{} {drifted} of {all}", paint(palette.title(), "Drift:")),
    };
    if unreachable > 0 {
        let _ = write!(text, "; {} not reached", words::count(unreachable, "host"));
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const VIEW: plan::PlanView = plan::PlanView {
        palette: Palette::PLAIN,
        diff: true,
        unchanged: false,
    };

    #[test]
    fn grouped_by_who_moved() {
        insta::assert_snapshot!(drift_text(&sample::full(), VIEW));
    }

    #[test]
    fn what_only_follows_is_no_drift() {
        let mut plan = sample::full();
        plan.blockers.clear();
        assert!(!is_clean(&plan));
        plan.changes
            .retain(|change| matches!(change.id.to_string().as_str(), "unit:nginx.service" | "probe:health"));
        assert!(is_clean(&plan));
        assert_eq!(drift_text(&plan, VIEW), "web-1  no drift: 1 resource as declared\n");
    }

    #[test]
    fn what_could_not_be_seen_is_not_called_clean() {
        let mut plan = sample::full();
        plan.changes.clear();
        assert!(!is_clean(&plan));
        let text = drift_text(&plan, VIEW);
        assert!(
            text.starts_with("web-1  0 differences; 2 could not be told (generation 4)\n"),
            "{text}"
        );
    }
}
