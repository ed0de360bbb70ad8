//! The table at the end of an apply, and below it what went wrong where. It shows what hosts recorded, and nothing
//! that was merely hoped for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use provision_core::model::{HostName, Plan};

use super::columns::columns;
use super::style::{Palette, paint};
use super::{outcome, words};
use crate::cli::exit::Exit;
use crate::events::HostOutcome;

/// The table of all hosts, and the details of those that did not end well.
#[must_use]
pub fn recap_text(
    outcomes: &BTreeMap<HostName, HostOutcome>,
    plans: &BTreeMap<HostName, &Plan>,
    palette: Palette,
) -> String {
    let head = ["HOST", "RESULT", "STEPS", "CHANGES", "TIME", "GENERATION"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(
        outcomes
            .iter()
            .map(|(host, outcome)| row(host, outcome, plans.get(host).copied())),
    );
    let mut text = String::new();
    for (line, outcome) in columns(&rows)
        .iter()
        .zip(std::iter::once(None).chain(outcomes.values().map(Some)))
    {
        let style = match outcome {
            None => palette.faint(),
            Some(outcome) => match outcome::exit(outcome) {
                Exit::Done => palette.create(),
                Exit::Changes | Exit::Interrupted | Exit::Locked | Exit::Stale => palette.update(),
                Exit::Refused | Exit::Unreachable | Exit::Failed | Exit::Output | Exit::Usage => palette.remove(),
            },
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", paint(style, line));
    }
    for (host, outcome) in outcomes {
        let Some(lines) = outcome::details(host, outcome, plans.get(host).copied()) else {
            continue;
        };
        let word = paint(palette.error(), format!("{host} {}", outcome::word(outcome)));
        let step = failed_step(outcome, plans.get(host).copied());
        let _ = write!(text, "\n{word}{step}\n");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn row(host: &HostName, outcome: &HostOutcome, plan: Option<&Plan>) -> Vec<String> {
    let none = || "-".to_owned();
    let (steps, time, generation) = match outcome {
        HostOutcome::Changed {
            generation,
            steps,
            millis,
        } => (steps.to_string(), words::duration(*millis), generation.to_string()),
        HostOutcome::Failed {
            done,
            generation,
            millis,
            ..
        } => {
            let all = plan.map_or_else(String::new, |plan| format!("/{}", plan.steps.len()));
            let generation = generation.map_or_else(none, |generation| format!("{generation} (failed)"));
            (format!("{done}{all}"), words::duration(*millis), generation)
        }
        HostOutcome::RolledBack {
            done,
            generation,
            millis,
            ..
        } => {
            let generation = generation.map_or_else(none, |generation| format!("{generation} (rolled back)"));
            (format!("{done}, undone"), words::duration(*millis), generation)
        }
        HostOutcome::Nothing => ("0".to_owned(), none(), none()),
        HostOutcome::Refused(_)
        | HostOutcome::Locked(_)
        | HostOutcome::Unreachable(_)
        | HostOutcome::Unknown { .. }
        | HostOutcome::Detached { .. }
        | HostOutcome::NotStarted => (none(), none(), none()),
    };
    let changes = match (outcome, plan) {
        (HostOutcome::Changed { .. }, Some(plan)) => plan.changes.len().to_string(),
        (HostOutcome::Nothing, _) => "0".to_owned(),
        _ => none(),
    };
    vec![
        host.to_string(),
        outcome::word(outcome).to_owned(),
        steps,
        changes,
        time,
        generation,
    ]
}

/// At which step it failed, in words where the plan is known.
fn failed_step(outcome: &HostOutcome, plan: Option<&Plan>) -> String {
    let HostOutcome::Failed { step: Some(step), .. } = outcome else {
        return String::new();
    };
    let number = step + 1;
    match plan.and_then(|plan| Some((plan.steps.get(*step)?, plan.steps.len()))) {
        Some((found, all)) => format!(" at step {number} of {all}: {}", words::op(&found.op)),
        None => format!(" at step {number}"),
    }
}

#[cfg(test)]
mod tests {
    use provision_core::model::{Digest, Holder, StepError};

    use super::super::sample;
    use super::*;
    use crate::drive::{ReachError, ReachStage};
    use crate::events::Refused;

    #[test]
    fn one_line_for_each_host_and_what_went_wrong_where() {
        let host = |name: &str| HostName::new(name).unwrap();
        let plan_id = Digest::of(b"");
        let failed = HostOutcome::Failed {
            step: Some(1),
            error: StepError {
                problem: "bot.service is failed".into(),
                output: vec!["bot[7]: no such file: /etc/bot\u{1b}[2J".into()],
                fix: Some("systemctl status bot.service".to_owned()),
            },
            done: 1,
            generation: Some(5),
            millis: 1_234,
        };
        let moved = BTreeMap::from([(sample::id("file:/etc/motd"), "mode is 0600".into())]);
        let holder = Holder {
            who: "bob@desk".into(),
            since: 1_709_251_200,
            plan_id,
            pid: 77,
        };
        let outcomes = BTreeMap::from([
            (
                host("db-1"),
                HostOutcome::Changed {
                    generation: 12,
                    steps: 40,
                    millis: 65_000,
                },
            ),
            (host("db-2"), HostOutcome::Nothing),
            (host("db-3"), HostOutcome::Locked(holder)),
            (host("db-4"), HostOutcome::Detached { plan_id }),
            (host("db-5"), HostOutcome::NotStarted),
            (host("db-6"), HostOutcome::Refused(Refused::Moved(moved))),
            (
                host("web-01"),
                HostOutcome::Unreachable(ReachError::new(ReachStage::Connect, "connection refused")),
            ),
            (host("web-1"), failed),
        ]);
        let (full, db) = (sample::full(), sample::empty("db-1"));
        let plans = BTreeMap::from([(host("web-1"), &full), (host("db-1"), &db)]);
        insta::assert_snapshot!(recap_text(&outcomes, &plans, Palette::PLAIN));
    }
}
