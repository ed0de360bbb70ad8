//! What an apply's end on one host means: its word, its sentence and its exit code. How several combine is
//! [`crate::cli::exit::combine`]'s matter.

use std::collections::BTreeMap;

use provision_core::model::{HostName, HostText, Plan, ResourceId, StepError};

use super::{error, words};
use crate::cli::exit::Exit;
use crate::events::{HostOutcome, Refused};
use crate::reach::ReachError;

/// The exit code that one host's end calls for.
#[must_use]
pub const fn exit(outcome: &HostOutcome) -> Exit {
    match outcome {
        HostOutcome::Nothing | HostOutcome::Changed { .. } => Exit::Done,
        HostOutcome::Failed { .. } | HostOutcome::RolledBack { .. } => Exit::Failed,
        HostOutcome::Refused(refused) => match refused {
            Refused::Moved(_)
            | Refused::StaleGeneration { .. }
            | Refused::OtherMachine { .. }
            | Refused::Over { .. } => Exit::Stale,
            Refused::Blocked { .. } | Refused::NoSuchRun | Refused::Host(_) => Exit::Refused,
        },
        HostOutcome::Locked(_) => Exit::Locked,
        HostOutcome::Unreachable(_) | HostOutcome::Unknown { .. } => Exit::Unreachable,
        HostOutcome::Detached { .. } | HostOutcome::NotStarted => Exit::Interrupted,
    }
}

/// The end in one word, for the recap; also its name in JSON.
#[must_use]
pub const fn word(outcome: &HostOutcome) -> &'static str {
    match outcome {
        HostOutcome::Nothing => "ok",
        HostOutcome::Changed { .. } => "changed",
        HostOutcome::Failed { .. } => "failed",
        HostOutcome::RolledBack { .. } => "rolled-back",
        HostOutcome::Refused(refused) => match refused {
            Refused::Blocked { .. } => "blocked",
            Refused::Moved(_)
            | Refused::StaleGeneration { .. }
            | Refused::OtherMachine { .. }
            | Refused::Over { .. } => "stale",
            Refused::NoSuchRun | Refused::Host(_) => "refused",
        },
        HostOutcome::Locked(_) => "locked",
        HostOutcome::Unreachable(_) => "unreachable",
        HostOutcome::Unknown { .. } => "unknown",
        HostOutcome::Detached { .. } => "detached",
        HostOutcome::NotStarted => "not-started",
    }
}

/// What a person needs to know of the end of a plan, beyond its word: lines, the first one the gist. `None` where the word says all.
#[must_use]
pub fn details(host: &HostName, outcome: &HostOutcome, plan: Option<&Plan>) -> Option<Vec<String>> {
    let lines = match outcome {
        HostOutcome::Nothing | HostOutcome::Changed { .. } | HostOutcome::NotStarted => return None,
        HostOutcome::Failed { error, done, .. } => {
            let mut lines = vec![error.problem.escaped()];
            lines.extend(error.output.iter().map(|line| format!("| {}", line.escaped())));
            lines.push(match done {
                0 => "no step before it was done; nothing after it was begun".to_owned(),
                done => format!(
                    "{} before it done, in force and recorded; nothing after it was begun",
                    words::count(*done, "step")
                ),
            });
            lines.extend(error.fix.iter().map(|fix| format!("to fix it: {}", words::safe(fix))));
            let back = plan.and_then(|plan| plan.by.rollback_to);
            lines.push(match back {
                Some(to) => format!("then go on with: provision rollback {host} {to}"),
                None => format!("then go on with: provision apply {host}"),
            });
            lines
        }
        HostOutcome::RolledBack {
            failed,
            unconfirmed,
            not_undone,
            ..
        } => rolled_back_lines(
            host,
            failed.as_ref().map(|(_, error)| error),
            unconfirmed.as_ref(),
            not_undone,
        ),
        HostOutcome::Refused(refused) => refused_lines(host, refused),
        HostOutcome::Locked(holder) => vec![
            format!(
                "{} has been applying since {} (plan {}, pid {}); nothing was changed",
                holder.who.escaped(),
                words::time(holder.since),
                holder.plan_id.short(),
                holder.pid
            ),
            format!("to watch it: provision attach {host}"),
        ],
        HostOutcome::Unreachable(error) => {
            let hints = error.hints.iter().flat_map(|hint| {
                let mut word = "hint: ";
                hint.lines()
                    .map(move |line| format!("{}{}", std::mem::replace(&mut word, "      "), words::safe(line)))
            });
            std::iter::once(error::reach_line(error)).chain(hints).collect()
        }
        HostOutcome::Unknown { plan_id, error } => vec![
            format!(
                "the connection was lost and did not come back: {}",
                error::reach_line(error)
            ),
            "the run goes on, or has ended, on the host".to_owned(),
            format!("to see how it ended: {}", words::attach(host, plan_id)),
        ],
        HostOutcome::Detached { plan_id } => vec![
            "the run goes on on the host".to_owned(),
            format!("to watch it: {}", words::attach(host, plan_id)),
        ],
    };
    Some(lines)
}

fn rolled_back_lines(
    host: &HostName,
    failed: Option<&StepError>,
    unconfirmed: Option<&ReachError>,
    not_undone: &BTreeMap<ResourceId, HostText>,
) -> Vec<String> {
    let mut lines = vec![match unconfirmed {
        Some(error) => format!(
            "no new connection could be made in time, so the host has undone it by itself: {}",
            error::reach_line(error)
        ),
        None => "it touches the way in and was not confirmed, so the host has undone it by itself".to_owned(),
    }];
    if let Some(error) = failed {
        lines.push(format!("before that, a step failed: {}", error.problem.escaped()));
        lines.extend(error.output.iter().map(|line| format!("| {}", line.escaped())));
    }
    if not_undone.is_empty() {
        lines.push("all that it had changed is as it was before".to_owned());
    } else {
        lines.push("not undone:".to_owned());
        let left = not_undone.iter();
        lines.extend(left.map(|(id, why)| format!("  {}: {}", words::id(id), why.escaped())));
    }
    lines.push(format!("correct what cuts the way in, then: provision apply {host}"));
    lines
}

fn refused_lines(host: &HostName, refused: &Refused) -> Vec<String> {
    let again = format!("nothing was changed; look again with: provision plan {host}");
    match refused {
        Refused::Blocked { blockers } => {
            vec![format!(
                "{} in the way; nothing was changed",
                words::count(*blockers, "thing")
            )]
        }
        Refused::Moved(moved) => {
            let mut lines = vec!["the plan is stale: the host moved since it was made".to_owned()];
            lines.extend(
                moved
                    .iter()
                    .map(|(id, found)| format!("{}: {}", words::id(id), found.escaped())),
            );
            lines.push(again);
            lines
        }
        Refused::StaleGeneration { planned, found } => vec![
            format!("the plan is stale: it was made on generation {planned}, and the host has {found}"),
            again,
        ],
        Refused::OtherMachine { found } => vec![
            format!("the plan was made for another installation than {}", found.escaped()),
            again,
        ],
        Refused::Over { phase } => vec![
            format!("the plan was applied before: that run is {}", words::phase(*phase)),
            again,
        ],
        Refused::NoSuchRun => vec!["there is no run of that plan on the host".to_owned()],
        Refused::Host(why) => vec![format!("the host cannot: {}", why.escaped()), again],
    }
}

#[cfg(test)]
mod tests {
    use provision_core::model::{Digest, Holder, RunPhase};

    use super::*;
    use crate::drive::ReachStage;

    #[test]
    fn every_end_has_its_exit_code() {
        let reach = || ReachError::new(ReachStage::Connect, "refused");
        let plan_id = Digest::of(b"");
        let holder = Holder {
            who: "a@b".into(),
            since: 0,
            plan_id,
            pid: 1,
        };
        let failed = HostOutcome::Failed {
            step: None,
            error: StepError {
                problem: "x".into(),
                output: Vec::new(),
                fix: None,
            },
            done: 0,
            generation: None,
            millis: 0,
        };
        let rolled_back = HostOutcome::RolledBack {
            failed: None,
            unconfirmed: Some(reach()),
            not_undone: BTreeMap::new(),
            done: 1,
            generation: Some(2),
            millis: 1,
        };
        let changed = HostOutcome::Changed {
            generation: 1,
            steps: 1,
            millis: 1,
        };
        let over = Refused::Over {
            phase: RunPhase::Confirmed,
        };
        assert_eq!(exit(&HostOutcome::Refused(over)), Exit::Stale);
        let stale = Refused::StaleGeneration { planned: 1, found: 2 };
        let other = Refused::OtherMachine { found: "x".into() };
        for (outcome, expected) in [
            (HostOutcome::Nothing, 0),
            (changed, 0),
            (failed, 3),
            (rolled_back, 3),
            (HostOutcome::Refused(Refused::Blocked { blockers: 1 }), 1),
            (HostOutcome::Refused(Refused::Moved(BTreeMap::new())), 5),
            (HostOutcome::Refused(stale), 5),
            (HostOutcome::Refused(other), 5),
            (HostOutcome::Refused(Refused::NoSuchRun), 1),
            (HostOutcome::Refused(Refused::Host("x".into())), 1),
            (HostOutcome::Locked(holder), 6),
            (HostOutcome::Unreachable(reach()), 4),
            (
                HostOutcome::Unknown {
                    plan_id,
                    error: reach(),
                },
                4,
            ),
            (HostOutcome::Detached { plan_id }, 130),
            (HostOutcome::NotStarted, 130),
        ] {
            assert_eq!(exit(&outcome).code(), expected, "{outcome:?}");
        }
    }
}
