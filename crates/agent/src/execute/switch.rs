//! Switches turned, by the tools that own them, and looked at again: some of these tools succeed without having done anything.

use std::time::Duration;

use provision_core::model::{Fact, Spec, State, StepError, Switch, SwitchSpec};

use super::{Progress, must_run, problem, run};
use crate::accounts::Accounts;
use crate::child::Invocation;
use crate::observe;

/// A user manager is given 90 seconds to end, as any service; all else is done at once.
const DEADLINE: Duration = Duration::from_secs(120);

pub(super) fn turn(spec: &SwitchSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let (program, verb) = match (spec.switch, spec.on) {
        (Switch::Hold, true) => ("apt-mark", vec!["hold"]),
        (Switch::Hold, false) => ("apt-mark", vec!["unhold"]),
        (Switch::Linger, true) => ("loginctl", vec!["enable-linger"]),
        (Switch::Linger, false) => ("loginctl", vec!["disable-linger"]),
        (Switch::KernelModule, true) => ("modprobe", vec![]),
        (Switch::KernelModule, false) => ("modprobe", vec!["--remove"]),
    };
    let words = format!("{program} {} {}", verb.join(" "), spec.name);
    let invocation = Invocation::new(program, DEADLINE).args(verb).args(["--", &spec.name]);
    must_run(&invocation, &words, progress)?;
    if (spec.switch, spec.on) == (Switch::Linger, false) {
        stop_manager(&spec.name, progress)?;
    }
    let found = observe::observe(&[Spec::Switch(spec.clone())]).into_values().next();
    match found {
        Some(Fact::Known(State::Switch(state))) if state.on == spec.on => Ok(()),
        Some(Fact::Unknown(reason)) => Err(problem(format!(
            "{words} ended well, and what it did cannot be seen: {}",
            reason.untrusted()
        ))),
        Some(Fact::Known(_)) | None => Err(problem(format!(
            "{words} ended well, and {} is still {}",
            spec.name,
            spec.switch.word(!spec.on)
        ))),
    }
}

/// Ends the manager of a user who is not logged in and no longer lingers. logind would do so ten seconds later, and until
/// then the user could not be deleted.
fn stop_manager(user: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let sessions =
        Invocation::new("loginctl", DEADLINE).args(["show-user", "--property=Sessions", "--value", "--", user]);
    let asked = run(&sessions, progress)?;
    let is_logged_in = asked.status.success() && asked.tail.iter().any(|line| !line.untrusted().trim().is_empty());
    let accounts = Accounts::read().map_err(|error| super::failure(&error))?;
    let (false, Some(user)) = (is_logged_in, accounts.user(user)) else {
        return Ok(());
    };
    let unit = format!("user@{}.service", user.uid);
    let stop = Invocation::new("systemctl", DEADLINE).args(["--no-ask-password", "stop", "--", &unit]);
    must_run(&stop, &format!("systemctl stop {unit}"), progress)
}
