//! Orders to systemd about units, and what it says where it does not follow them. Whether a unit stays up is
//! [`super::settle`]'s.

use std::collections::BTreeSet;
use std::time::Duration;

use provision_core::model::{HostText, StepError, UnitName, UnitVerb};
use provision_core::wire::limits::ERROR_LINES;

use super::{Orders, Progress, must_run, problem, run};
use crate::child::{self, Invocation};
use crate::systemd::{self, UnitHealth};

/// How long an order may take. systemd's own limit on a start is 90 seconds unless the unit says otherwise.
const ORDER: Duration = Duration::from_secs(300);
/// How long systemd may take to read its files again.
const RELOAD: Duration = Duration::from_secs(90);

pub(super) fn daemon_reload(progress: &mut Progress<'_>) -> Result<(), StepError> {
    must_run(
        &systemctl(RELOAD, &["daemon-reload"]),
        "systemctl daemon-reload",
        progress,
    )
}

/// Enables and disables, and leaves it to a later daemon-reload to tell systemd: each would be one of its own.
pub(super) fn at_boot(
    enable: &BTreeSet<UnitName>,
    disable: &BTreeSet<UnitName>,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    for (verb, units) in [("disable", disable), ("enable", enable)] {
        if units.is_empty() {
            continue;
        }
        let names: Vec<&str> = units.iter().map(UnitName::as_str).collect();
        let args = [&[verb, "--no-reload", "--"], names.as_slice()].concat();
        let ran = run(&systemctl(ORDER, &args), progress)?;
        if !ran.status.success() {
            let said = ran.tail.first().map(|line| line.untrusted().to_owned());
            let failed = ran.failure(&format!("systemctl {verb} {}", names.join(" ")));
            return Err(StepError {
                problem: HostText::new(with(&failed.problem, said)),
                ..failed
            });
        }
    }
    check_enabled(enable)
}

/// Gives an order and, unless the host is booting, waits until it is carried out.
pub(super) fn order(
    name: &UnitName,
    verb: UnitVerb,
    orders: Orders,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    if orders != Orders::Planned && verb != UnitVerb::Stop {
        reset_failed(name)?;
    }
    if orders == Orders::Booting {
        let args = [
            verb.systemctl(),
            "--no-block",
            "--job-mode=replace",
            "--",
            name.as_str(),
        ];
        let tried = format!("systemctl {} {name}", verb.systemctl());
        return must_run(&systemctl(RELOAD, &args), &tried, progress);
    }
    let args = [verb.systemctl(), "--job-mode=replace", "--", name.as_str()];
    let words = format!("systemctl {} {name}", verb.systemctl());
    let mut give = || {
        run(&systemctl(ORDER, &args), progress).map_err(|error| StepError {
            output: systemd::journal_tail(name, ERROR_LINES),
            ..error
        })
    };
    let mut ran = give()?;
    if !ran.status.success() && health(name).is_some_and(|health| health.result.untrusted() == "start-limit-hit") {
        // Orders count towards the limit that is meant for what dies by itself.
        reset_failed(name)?;
        ran = give()?;
    }
    if ran.status.success() {
        return Ok(());
    }
    let said = ran.tail.first().map(|line| line.untrusted().to_owned());
    let ended = health(name);
    // Of a unit that never ran, how it ended says nothing.
    let result = ended
        .filter(|health| health.result.untrusted() != "success")
        .map(|health| {
            format!(
                "; the unit is {} ({}), its main process ended with {}",
                health.active.untrusted(),
                health.result.untrusted(),
                health.exit_status
            )
        });
    let failed = ran.failure(&words);
    let journal = systemd::journal_tail(name, ERROR_LINES);
    Err(StepError {
        problem: HostText::new(with(&failed.problem, said) + &result.unwrap_or_default()),
        output: if journal.is_empty() { failed.output } else { journal },
        fix: None,
    })
}

/// Lets a unit start again that has failed too often. That it has not is no failure.
fn reset_failed(name: &UnitName) -> Result<(), StepError> {
    let reset = systemctl(RELOAD, &["reset-failed", "--", name.as_str()]);
    child::run(&reset, |_| {})
        .map(|_| ())
        .map_err(|error| super::failure(&error))
}

/// How it fares, where systemd can be asked.
fn health(name: &UnitName) -> Option<UnitHealth> {
    systemd::show_health(std::slice::from_ref(name)).ok()?.remove(name)
}

/// A problem with what the program said of it.
fn with(problem: &HostText, said: Option<String>) -> String {
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    format!("{}{said}", problem.untrusted())
}

/// `systemctl enable` of a unit that has nothing to be enabled by says so, and succeeds.
fn check_enabled(units: &BTreeSet<UnitName>) -> Result<(), StepError> {
    let states = systemd::enablement(units).map_err(|error| super::failure(&error))?;
    for (name, found) in &states {
        match found.untrusted() {
            // What the plan takes for enabled. "indirect" is a unit that enables others (Also=).
            "enabled" | "alias" | "indirect" => {}
            "static" | "generated" | "transient" | "linked" | "linked-runtime" => {
                return Err(StepError {
                    fix: Some(format!(
                        "give its file an [Install] section, or leave `enabled` out if something else starts {name}"
                    )),
                    ..problem(format!(
                        "{name} cannot be enabled: its file has no [Install] section that says what starts it"
                    ))
                });
            }
            found => {
                return Err(problem(format!(
                    "{name} was enabled, and systemd says that it is {found:?}"
                )));
            }
        }
    }
    Ok(())
}

fn systemctl(deadline: Duration, args: &[&str]) -> Invocation {
    Invocation::new("systemctl", deadline)
        .args(["--no-pager", "--no-ask-password"])
        .args(args)
}
