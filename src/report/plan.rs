//! A plan for people: what changes on a host, how, and why, and what is in the way. It shows every change and judges none.

use std::fmt::Write as _;

use provision_core::model::{
    Action, Blocker, Change, FieldChange, Moved, Op, Origin, Plan, Reason, ResourceId, UnitVerb,
};

use super::columns::{columns, indented};
use super::diff::diff_text;
use super::style::{Palette, paint};
use super::{Counts, words};

/// How much of a plan is shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct PlanView {
    /// The colours.
    pub palette: Palette,
    /// Whether texts are compared line by line.
    pub diff: bool,
    /// Whether resources that stay are shown, with why.
    pub unchanged: bool,
}

const INDENT: &str = "      ";

/// Plans as a person reads them before applying: each host's, its sum where there are several, and the sum of all.
#[must_use]
pub fn plans_text(plans: &[&Plan], unreachable: usize, view: PlanView) -> String {
    let texts: Vec<_> = plans
        .iter()
        .map(|plan| {
            let text = plan_text(plan, view);
            if plans.len() > 1 && !plan.is_empty() {
                format!("{text}\n  {}: {}\n", plan.host, Counts::of(plan).words())
            } else {
                text
            }
        })
        .collect();
    let total = total_text(plans, unreachable, view.palette);
    if texts.is_empty() {
        return total;
    }
    format!("{}\n{total}", texts.join("\n"))
}

/// One host's plan.
#[must_use]
pub fn plan_text(plan: &Plan, view: PlanView) -> String {
    let mut text = heading(plan, view.palette);
    text += &access_banner(plan, view.palette);
    for change in &plan.changes {
        text += &change_text(plan, change, view);
    }
    text += &blockers_text(plan, view.palette);
    if view.unchanged {
        for unchanged in &plan.unchanged {
            let line = format!(
                "  = {:<8} {}: {}",
                "as is",
                words::id(&unchanged.id),
                words::safe(&unchanged.because)
            );
            text += &paint(view.palette.faint(), line);
            text.push('\n');
        }
    }
    text
}

/// The line over a host's plan; all of it where there is nothing to do.
fn heading(plan: &Plan, palette: Palette) -> String {
    let host = paint(palette.title(), &plan.host);
    let before = match plan.base_generation {
        0 => "not provisioned before".to_owned(),
        generation => format!("generation {generation}"),
    };
    if plan.is_empty() {
        let resources = words::count(plan.unchanged.len(), "resource");
        let state = paint(palette.create(), "up to date");
        return format!("{host}  {state}: {resources} as declared ({before})\n");
    }
    format!("{host}  ({before})\n")
}

/// A warning where the operator's own way in is at stake.
fn access_banner(plan: &Plan, palette: Palette) -> String {
    let ids: Vec<_> = plan
        .changes
        .iter()
        .filter(|change| change.access)
        .map(|change| words::id(&change.id))
        .collect();
    if ids.is_empty() {
        return String::new();
    }
    let warning = paint(palette.warning(), "this touches the way in to the host");
    let undone = if plan.touches_access() {
        "  the host undoes all of the plan by itself unless a new connection confirms it after the last step\n"
    } else {
        ""
    };
    format!("  {warning}: {}\n{undone}", ids.join(", "))
}

fn change_text(plan: &Plan, change: &Change, view: PlanView) -> String {
    let palette = view.palette;
    let style = action_style(change.action, palette);
    let verb = verb(plan, change);
    let head = format!("{} {verb:<8} {}", words::symbol(change.action), words::id(&change.id));
    let mut text = format!("  {}{}\n", paint(style, head), origin(change.origin.as_ref(), palette));
    text += &indented(INDENT, &why(plan, change, verb));
    for line in fields(&change.fields) {
        let _ = writeln!(text, "{INDENT}{line}");
    }
    if let Some(change) = change.text.as_ref().filter(|_| view.diff) {
        text += &indented(INDENT, &diff_text(change, palette));
    }
    text
}

/// What happens, in one word; for a unit whose only order is to reload, that.
fn verb(plan: &Plan, change: &Change) -> &'static str {
    match change.action {
        Action::Restart if order(plan, &change.id) == Some(UnitVerb::Reload) => "reload",
        Action::Create
        | Action::Update
        | Action::Remove
        | Action::Restore
        | Action::Forget
        | Action::Run
        | Action::Restart
        | Action::Verify
        | Action::Record => words::action(change.action),
    }
}

/// The order that a plan has for a unit.
fn order(plan: &Plan, unit: &ResourceId) -> Option<UnitVerb> {
    plan.steps.iter().find_map(|step| match &step.op {
        Op::Unit { name, verb } if name.as_str() == unit.name => Some(*verb),
        _ => None,
    })
}

/// Every reason of a change, and who moved, as clauses.
fn why(plan: &Plan, change: &Change, verb: &str) -> String {
    let verb = match verb {
        "reload" => "reloads",
        "restart" => "restarts",
        _ => "changes",
    };
    let mut why = words::reasons(&change.reasons, verb, plan.by.rollback_to);
    // That what left the configuration has left it needs no saying twice.
    let left = change.moved == Moved::Configuration && change.reasons.contains(&Reason::LeftConfiguration);
    // In a rollback it is not the configuration that moves.
    let moved = match (change.moved, plan.by.rollback_to) {
        (Moved::Configuration, Some(_)) => Moved::Neither,
        (Moved::Both, Some(_)) => Moved::Host,
        (moved, _) => moved,
    };
    if let Some(moved) = words::moved(moved).filter(|_| !left) {
        why = format!("{why}; {moved}");
    }
    why
}

/// The attributes that change, aligned.
pub(super) fn fields(fields: &[FieldChange]) -> Vec<String> {
    let rows: Vec<_> = fields
        .iter()
        .map(|field| {
            let before = field.before.as_ref().map(|before| before.escaped());
            let after = field.after.as_deref().map(words::safe);
            let value = match (before, after) {
                (Some(before), Some(after)) => format!("{before} → {after}"),
                (None, Some(after)) => after,
                (Some(before), None) => format!("{before} → (none)"),
                (None, None) => "(none)".to_owned(),
            };
            vec![words::safe(&field.field), value]
        })
        .collect();
    columns(&rows)
}

/// The colour of an action.
pub(super) const fn action_style(action: Action, palette: Palette) -> anstyle::Style {
    match action {
        Action::Create => palette.create(),
        Action::Update => palette.update(),
        Action::Remove | Action::Restore => palette.remove(),
        Action::Run | Action::Restart | Action::Verify => palette.act(),
        Action::Forget | Action::Record => palette.faint(),
    }
}

/// What keeps a plan from being applied, each with what to do about it.
pub(super) fn blockers_text(plan: &Plan, palette: Palette) -> String {
    plan.blockers
        .iter()
        .map(|blocker| blocker_text(blocker, palette))
        .collect()
}

fn blocker_text(blocker: &Blocker, palette: Palette) -> String {
    let word = if blocker.unknown { "unknown" } else { "blocked" };
    let head = paint(palette.error(), format!("✗ {word:<8} {}", words::id(&blocker.id)));
    let place = origin(blocker.origin.as_ref(), palette);
    let problem = blocker.problem.escaped();
    let fix = words::safe(&blocker.fix);
    format!("  {head}{place}\n{INDENT}{problem}\n{INDENT}to fix it: {fix}\n")
}

fn origin(origin: Option<&Origin>, palette: Palette) -> String {
    let place = origin.map(|origin| format!("  {}", paint(palette.faint(), words::safe(&origin.to_string()))));
    place.unwrap_or_default()
}

/// The line under all plans.
#[must_use]
pub fn total_text(plans: &[&Plan], unreachable: usize, palette: Palette) -> String {
    let counts = plans
        .iter()
        .map(|plan| Counts::of(plan))
        .fold(Counts::default(), Counts::and);
    let word = paint(palette.title(), "Plan:");
    let mut text = if plans.is_empty() {
        format!("{word} none")
    } else if counts.changes() + counts.blockers == 0 {
        let hosts = words::count(plans.len(), "host");
        format!("{word} nothing to do; {hosts} up to date")
    } else {
        format!("{word} {}", counts.words())
    };
    let pending = plans.iter().filter(|plan| !plan.is_empty()).count();
    if plans.len() > 1 && pending > 0 {
        let _ = write!(text, ", on {pending} of {}", words::count(plans.len(), "host"));
    }
    if unreachable > 0 {
        let _ = write!(text, "; {} not reached", words::count(unreachable, "host"));
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const VIEW: PlanView = PlanView {
        palette: Palette::PLAIN,
        diff: true,
        unchanged: true,
    };

    #[test]
    fn every_sort_of_change() {
        insta::assert_snapshot!(plan_text(&sample::full(), VIEW));
    }

    #[test]
    fn colours_add_nothing_to_the_words() {
        let view = PlanView {
            palette: Palette::new(true),
            ..VIEW
        };
        let coloured = plan_text(&sample::full(), view);
        assert!(coloured.contains("\u{1b}[32m+ create"), "{coloured:?}");
        let mut plain = String::new();
        for (nth, part) in coloured.split('\u{1b}').enumerate() {
            plain += if nth == 0 {
                part
            } else {
                part.split_once('m').unwrap().1
            };
        }
        assert_eq!(plain, plan_text(&sample::full(), VIEW));
    }

    #[test]
    fn nothing_to_do_is_one_line() {
        let view = PlanView {
            unchanged: false,
            ..VIEW
        };
        let text = plan_text(&sample::empty("web-1"), view);
        assert_eq!(text, "web-1  up to date: 1 resource as declared (generation 4)\n");
    }

    #[test]
    fn without_diff_no_line_of_a_text_is_shown() {
        let text = plan_text(&sample::full(), PlanView { diff: false, ..VIEW });
        assert!(!text.contains("@@") && !text.contains("+limit"), "{text}");
        assert!(text.contains("0644 → 0600"), "{text}");
    }

    #[test]
    fn each_host_is_summed_up_only_where_there_are_several() {
        let (full, empty) = (sample::full(), sample::empty("web-2"));
        let view = PlanView {
            diff: false,
            unchanged: false,
            ..VIEW
        };
        assert!(!plans_text(&[&full], 0, view).contains("\n  web-1: "));
        let text = plans_text(&[&full, &empty], 0, view);
        let (_, end) = text.split_once("\n\n  web-1: 2 to create").unwrap();
        assert!(
            end.contains("\n\nweb-2  up to date: 1 resource as declared (generation 4)\n\nPlan: "),
            "{text}"
        );
    }

    #[test]
    fn totals() {
        let (full, empty) = (sample::full(), sample::empty("web-2"));
        for (plans, unreachable, expected) in [
            (&[][..], 2, "Plan: none; 2 hosts not reached\n"),
            (&[&empty], 0, "Plan: nothing to do; 1 host up to date\n"),
            (
                &[&full],
                0,
                "Plan: 2 to create, 4 to change, 1 to remove, 2 restarts, 1 to restore, 1 to forget, 1 to run, 2 to verify, 2 in the way; 1 unchanged\n",
            ),
            (
                &[&full, &empty],
                1,
                "Plan: 2 to create, 4 to change, 1 to remove, 2 restarts, 1 to restore, 1 to forget, 1 to run, 2 to verify, 2 in the way; 2 unchanged, on 1 of 2 hosts; 1 host not reached\n",
            ),
        ] {
            assert_eq!(total_text(plans, unreachable, Palette::PLAIN), expected);
        }
    }
}
