//! Watching started units for as long as each must stay up: `systemctl restart` of a unit that dies a moment later
//! succeeds. It starts and stops none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use provision_core::model::{Millis, StepError, UnitName};
use provision_core::wire::limits::ERROR_LINES;

use super::{failure, problem};
use crate::systemd::{self, UnitHealth};

/// How often systemd is asked, about all units at once.
const PAUSE: Duration = Duration::from_millis(200);
/// How long systemd may be away: it is while it executes itself anew.
const AWAY: Duration = Duration::from_secs(10);

pub(super) fn settle(units: &BTreeMap<UnitName, Millis>) -> Result<(), StepError> {
    let began = Instant::now();
    let mut first: BTreeMap<UnitName, UnitHealth> = BTreeMap::new();
    let mut watched = units.clone();
    let mut answered = began;
    while !watched.is_empty() {
        // Taken before systemd is asked: its answer is true of a later moment.
        let passed = began.elapsed();
        let names: Vec<UnitName> = watched.keys().cloned().collect();
        match systemd::show_health(&names) {
            Ok(health) => {
                answered = Instant::now();
                let fallen: Vec<_> = health
                    .iter()
                    .filter_map(|(name, now)| Some((name, fallen(first.get(name).unwrap_or(now), now)?)))
                    .collect();
                if let Some((name, _)) = fallen.first() {
                    return Err(down(name, &fallen, passed));
                }
                watched.retain(|name, settle| settle.duration() > passed && !health.get(name).is_some_and(is_over));
                for (name, now) in health {
                    first.entry(name).or_insert(now);
                }
            }
            Err(error) if answered.elapsed() > AWAY => return Err(failure(&error)),
            Err(_) => {}
        }
        let next = watched
            .values()
            .map(|settle| settle.duration().saturating_sub(began.elapsed()));
        if let Some(next) = next.min() {
            std::thread::sleep(next.min(PAUSE));
        }
    }
    Ok(())
}

/// Why a unit does not count as up; `first` is what it was when it was first looked at.
fn fallen(first: &UnitHealth, now: &UnitHealth) -> Option<String> {
    if now.restarts != first.restarts {
        return Some(format!(
            "systemd had to restart it (NRestarts went from {} to {})",
            first.restarts, now.restarts
        ));
    }
    if now.invocation != first.invocation {
        return Some("it was started again".to_owned());
    }
    match now.active.untrusted() {
        "active" | "reloading" | "refreshing" => None,
        "inactive" if is_over(now) => None,
        state => Some(format!(
            "it is {state} ({}), result {}, and its main process ended with {}",
            now.sub.untrusted(),
            now.result.untrusted(),
            now.exit_status
        )),
    }
}

/// Whether it did what it was started for, and has nothing left that could fall.
fn is_over(unit: &UnitHealth) -> bool {
    unit.service_type.untrusted() == "oneshot" && unit.result.untrusted() == "success" && unit.main_pid == 0
}

fn down(first: &UnitName, fallen: &[(&UnitName, String)], passed: Duration) -> StepError {
    let units: Vec<_> = fallen.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    StepError {
        output: systemd::journal_tail(first, ERROR_LINES),
        fix: Some(match first.user() {
            None => format!("see `journalctl -u {first}` on the host"),
            Some(_) => format!("see `provision logs HOST {first}`"),
        }),
        ..problem(format!(
            "did not stay up for {:.1} s: {}",
            passed.as_secs_f64(),
            units.join("; ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> UnitHealth {
        UnitHealth {
            load: "loaded".into(),
            active: "active".into(),
            sub: "running".into(),
            result: "success".into(),
            service_type: "simple".into(),
            restarts: 3,
            invocation: "a1".into(),
            main_pid: 7,
            exit_status: 0,
        }
    }

    #[test]
    fn a_unit_is_up_while_nothing_about_it_moves() {
        assert_eq!(fallen(&up(), &up()), None);
        let restarted = UnitHealth { restarts: 4, ..up() };
        assert!(fallen(&up(), &restarted).unwrap().contains("from 3 to 4"));
        let again = UnitHealth {
            invocation: "b2".into(),
            ..up()
        };
        assert!(fallen(&up(), &again).is_some());
        for state in ["failed", "inactive", "activating", "deactivating", ""] {
            let down = UnitHealth {
                active: state.into(),
                ..up()
            };
            assert!(fallen(&down, &down).is_some(), "{state}");
        }
    }

    #[test]
    fn a_oneshot_that_succeeded_has_settled_and_one_that_failed_has_not() {
        let done = UnitHealth {
            active: "inactive".into(),
            service_type: "oneshot".into(),
            main_pid: 0,
            ..up()
        };
        assert_eq!(fallen(&done, &done), None);
        assert!(is_over(&done));
        let still_at_it = UnitHealth {
            main_pid: 7,
            ..done.clone()
        };
        assert!(!is_over(&still_at_it) && !is_over(&up()));
        let failed = UnitHealth {
            result: "exit-code".into(),
            ..done
        };
        assert!(fallen(&failed, &failed).is_some());
    }
}
