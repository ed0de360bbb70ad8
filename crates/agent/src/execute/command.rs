//! Commands of the configuration: run as declared, and held to their guard afterwards. Whether one runs was decided in the plan.

use provision_core::model::{CommandSpec, CommandState, Fact, Guard, Spec, State, StepError};

use super::{Progress, failure, must_run, problem};
use crate::accounts::Accounts;
use crate::observe;

pub(super) fn run(spec: &CommandSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    let timeout = spec.timeout.duration();
    let invocation = observe::invocation(spec, &spec.run, &accounts, timeout).map_err(|error| failure(&error))?;
    let program = spec.run.first().map_or("", String::as_str);
    must_run(&invocation, program, progress)?;
    match observe::observe(&[Spec::Command(spec.clone())]).into_values().next() {
        Some(Fact::Known(State::Command(CommandState { satisfied: true, .. }))) => Ok(()),
        Some(Fact::Known(State::Command(CommandState { detail, .. }))) => Err(StepError {
            fix: Some(fix(&spec.guard)),
            ..problem(format!(
                "it ran, but its guard still says that there is something to do: {}",
                detail.untrusted()
            ))
        }),
        Some(Fact::Unknown(reason)) => Err(problem(format!(
            "it ran, but its guard cannot be tried: {}",
            reason.untrusted()
        ))),
        Some(Fact::Known(_)) | None => Err(problem("it ran, but its guard cannot be tried")),
    }
}

fn fix(guard: &Guard) -> String {
    match guard {
        Guard::Creates(path) => format!("let the command make {path}, or name what it makes in `creates`"),
        Guard::Unless(argv) => format!(
            "let the command bring about what `{}` checks, or let `unless` check what it brings about",
            argv.join(" ")
        ),
    }
}
