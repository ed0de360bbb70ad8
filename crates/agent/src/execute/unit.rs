//! Orders to systemd about units, and what it says where it does not follow them. Whether a unit stays up is
//! [`super::settle`]'s.

use std::collections::BTreeSet;
use std::time::Duration;

use provision_core::model::{HostText, StepError, UnitName, UnitVerb};
use provision_core::wire::limits::ERROR_LINES;

use super::{Orders, Progress, must_run, problem, run, run_patiently};
use crate::child;
use crate::systemd::{self, Manager, Standing, SystemdError, UnitHealth};

/// How long an order may take, where the unit's own limits are not longer. systemd's own limit on a start is 90 seconds unless the
/// unit says otherwise.
const ORDER: Duration = Duration::from_secs(300);
/// How long after the last of a unit's limits systemd may take to carry an order out: it kills then, and that takes a moment.
const KILLED: Duration = Duration::from_secs(30);
/// How long a user's manager may take to start: systemd's own limit is 90 seconds.
const START: Duration = Duration::from_secs(120);
/// How long systemd may take to read its files again.
const RELOAD: Duration = Duration::from_secs(90);

pub(super) fn daemon_reload(progress: &mut Progress<'_>) -> Result<(), StepError> {
    reload(&Manager::System, "systemctl daemon-reload", progress)
}

/// The same for a user's manager. One that does not run, or whose user is gone, has read nothing that it could read again.
pub(super) fn reload_of_user(user: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    match running_manager(Manager::of_user(user), progress)? {
        Some(manager) => reload(&manager, &format!("systemctl --user daemon-reload of {user}"), progress),
        None => Ok(()),
    }
}

fn reload(manager: &Manager, words: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    must_run(&manager.systemctl(RELOAD).args(["daemon-reload"]), words, progress)
}

/// The manager, where it runs; one that starts is waited for.
fn running_manager(
    manager: Result<Manager, SystemdError>,
    progress: &mut Progress<'_>,
) -> Result<Option<Manager>, StepError> {
    let manager = match manager {
        Err(SystemdError::NoUser { .. }) => return Ok(None),
        manager => manager.map_err(|error| super::failure(&error))?,
    };
    match manager.standing().map_err(|error| super::failure(&error))? {
        Standing::Up => Ok(Some(manager)),
        Standing::Starting => started(manager, progress).map(Some),
        Standing::Ending | Standing::Down => Ok(None),
    }
}

/// The manager of a unit, which is started where it does not run: logind starts that of a user who begins to linger, and says
/// so before it has.
fn manager(name: &UnitName, progress: &mut Progress<'_>) -> Result<Manager, StepError> {
    started(Manager::of(name).map_err(|error| super::failure(&error))?, progress)
}

fn started(manager: Manager, progress: &mut Progress<'_>) -> Result<Manager, StepError> {
    if let Manager::Of(user) = &manager {
        let unit = format!("user@{}.service", user.uid);
        let start = Manager::System.systemctl(START).args(["start", "--", &unit]);
        let words = format!("systemctl start {unit}, the service manager of {}", user.name);
        must_run(&start, &words, progress)?;
    }
    Ok(manager)
}

/// Enables and disables, and leaves it to a later daemon-reload to tell systemd: each would be one of its own.
pub(super) fn at_boot(
    enable: &BTreeSet<UnitName>,
    disable: &BTreeSet<UnitName>,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    for (verb, units) in [("disable", disable), ("enable", enable)] {
        for units in systemd::by_user(units).into_values() {
            at_boot_of_one(verb, &units, progress)?;
        }
    }
    check_enabled(enable)
}

/// The same for units that have one manager: it need not run, for all that this does is to make and remove links.
fn at_boot_of_one(verb: &str, units: &[&UnitName], progress: &mut Progress<'_>) -> Result<(), StepError> {
    let Some(first) = units.first() else { return Ok(()) };
    let manager = match Manager::of(first) {
        // Their links went with the user.
        Err(SystemdError::NoUser { .. }) if verb == "disable" => return Ok(()),
        manager => manager.map_err(|error| super::failure(&error))?,
    };
    let names = units.iter().map(|unit| unit.unit());
    let order = manager.offline(ORDER).args([verb, "--no-reload", "--"]).args(names);
    let ran = run(&order, progress)?;
    if ran.status.success() {
        return Ok(());
    }
    let said = ran.tail.first().map(|line| line.untrusted().to_owned());
    let names: Vec<_> = units.iter().map(ToString::to_string).collect();
    let failed = ran.failure(&format!("systemctl {verb} {}", names.join(" ")));
    Err(StepError {
        problem: HostText::new(with(&failed.problem, said)),
        ..failed
    })
}

/// Gives an order and, unless the host is booting, waits until it is carried out.
pub(super) fn order(
    name: &UnitName,
    verb: UnitVerb,
    orders: Orders,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    let manager = match (orders, verb) {
        // What a manager that does not run has is stopped, and what it has at boot it starts by itself.
        (Orders::Booting, _) | (_, UnitVerb::Stop) => match running_manager(Manager::of(name), progress)? {
            Some(manager) => manager,
            None => return Ok(()),
        },
        (Orders::Planned | Orders::Undoing, _) => manager(name, progress)?,
    };
    if orders != Orders::Planned && verb != UnitVerb::Stop {
        reset_failed(&manager, name)?;
    }
    if orders == Orders::Booting {
        let args = [verb.systemctl(), "--no-block", "--job-mode=replace", "--", name.unit()];
        let tried = format!("systemctl {} {name}", verb.systemctl());
        return must_run(&manager.systemctl(RELOAD).args(args), &tried, progress);
    }
    let args = [verb.systemctl(), "--job-mode=replace", "--", name.unit()];
    let words = format!("systemctl {} {name}", verb.systemctl());
    let mut give = || {
        let order = manager.systemctl(ORDER).args(args);
        // To stop waiting before systemd does would be to say nothing of what becomes of the unit.
        let longest = || systemd::longest_order(name).map(|limits| limits + KILLED);
        run_patiently(&order, progress, longest).map_err(|error| StepError {
            output: systemd::journal_tail(name, ERROR_LINES),
            ..error
        })
    };
    let mut ran = give()?;
    if !ran.status.success() && health(name).is_some_and(|health| health.result.untrusted() == "start-limit-hit") {
        // Orders count towards the limit that is meant for what dies by itself.
        reset_failed(&manager, name)?;
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
fn reset_failed(manager: &Manager, name: &UnitName) -> Result<(), StepError> {
    let reset = manager.systemctl(RELOAD).args(["reset-failed", "--", name.unit()]);
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
