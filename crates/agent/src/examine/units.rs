//! Units as systemd and users' managers have them loaded: one question to each manager. What a unit wrote is the journal's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use provision_core::model::{Fact, FailedUnit, HostText};

use super::journal::Lines;
use crate::accounts::Accounts;
use crate::child::{self, ChildError, Invocation, status_words};
use crate::systemd;
use crate::words::chain;

/// How long a manager may take to answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// The most that a manager may say, in bytes: some ten thousand units.
const ANSWER_BYTES: usize = 16 << 20;

/// How many users' managers are asked.
const MANAGERS: usize = 16;

/// How many failed units are told of in all.
const FAILED: usize = 100;

/// Why a manager could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnitsError {
    #[error("systemd is not running on this host")]
    NotRunning,
    #[error("cannot ask systemd")]
    Ask(#[source] ChildError),
    #[error("systemctl ended with {status}: {message}")]
    Failed { status: String, message: String },
}

/// What counts of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) active: String,
    pub(super) result: String,
    pub(super) status: i32,
    pub(super) restarts: u32,
    /// What a socket listens on, such as `0.0.0.0:22`.
    pub(super) listens: Vec<String>,
}

const PROPERTIES: &str = "--property=Id,ActiveState,Result,ExecMainStatus,NRestarts,Listen";

/// All units that the system's manager has loaded.
pub(super) fn ask() -> Result<Vec<Unit>, UnitsError> {
    if !systemd::is_running() {
        return Err(UnitsError::NotRunning);
    }
    answer(Invocation::new("systemctl", DEADLINE).args(["--no-pager", "--no-ask-password", "show", PROPERTIES, "*"]))
}

fn answer(invocation: Invocation) -> Result<Vec<Unit>, UnitsError> {
    let mut said = Vec::new();
    let status = child::run_bytes(&invocation, &mut |bytes| {
        let room = ANSWER_BYTES - said.len();
        said.extend_from_slice(&bytes[..bytes.len().min(room)]);
    })
    .map_err(UnitsError::Ask)?;
    let said = String::from_utf8_lossy(&said);
    if status.success() {
        Ok(parse(&said))
    } else {
        Err(UnitsError::Failed {
            status: status_words(status),
            message: said.lines().last().unwrap_or_default().to_owned(),
        })
    }
}

/// An empty line ends a unit.
fn parse(said: &str) -> Vec<Unit> {
    let units = said.split("\n\n").map(|block| {
        let mut unit = Unit::default();
        for (property, value) in block.lines().filter_map(|line| line.split_once('=')) {
            match property {
                "Id" => value.clone_into(&mut unit.name),
                "ActiveState" => value.clone_into(&mut unit.active),
                "Result" => value.clone_into(&mut unit.result),
                "ExecMainStatus" => unit.status = value.parse().unwrap_or(0),
                "NRestarts" => unit.restarts = value.parse().unwrap_or(0),
                // "0.0.0.0:22 (Stream)", one for each.
                "Listen" => unit.listens.extend(value.split(' ').next().map(str::to_owned)),
                _ => {}
            }
        }
        unit
    });
    units.filter(|unit| !unit.name.is_empty()).collect()
}

/// Those that failed.
pub(super) fn failed(units: &[Unit]) -> Vec<FailedUnit> {
    failed_of(units, None)
}

fn failed_of(units: &[Unit], user: Option<&str>) -> Vec<FailedUnit> {
    let failed = units.iter().filter(|unit| unit.active == "failed").take(FAILED);
    failed
        .map(|unit| FailedUnit {
            name: HostText::from(unit.name.as_str()),
            user: user.map(HostText::from),
            result: HostText::from(unit.result.as_str()),
            status: unit.status,
            restarts: unit.restarts,
            lines: Fact::unknown("not looked for"),
        })
        .collect()
}

/// Units that failed in users' managers, and the managers that could not be asked.
pub(super) fn failed_of_users() -> (Vec<FailedUnit>, BTreeMap<String, HostText>) {
    let (units, deaf) = of_users();
    let failed = units.iter().flat_map(|(user, units)| failed_of(units, Some(user)));
    (failed.collect(), deaf)
}

/// What there is, and who has one of that name.
pub(super) fn names(unit: &str, of: Option<&str>) -> (BTreeSet<String>, BTreeSet<String>) {
    let (users, _) = of_users();
    let has = |units: &Vec<Unit>| units.iter().any(|one| one.name == unit);
    let names = |units: &[Unit]| units.iter().map(|unit| unit.name.clone()).collect();
    let all = match of {
        None => ask().map(|units| names(&units)).unwrap_or_default(),
        Some(user) => users.get(user).map(|units| names(units)).unwrap_or_default(),
    };
    let owners = users
        .iter()
        .filter(|(_, units)| has(units))
        .map(|(user, _)| user.clone());
    (all, owners.collect())
}

/// The units of users' managers, by user, and the managers that could not be asked.
fn of_users() -> (BTreeMap<String, Vec<Unit>>, BTreeMap<String, HostText>) {
    let (mut all, mut deaf) = (BTreeMap::new(), BTreeMap::new());
    let accounts = Accounts::read().unwrap_or_default();
    let runtimes = fs::read_dir("/run/user").into_iter().flatten().flatten();
    let managers = runtimes.filter(|runtime| runtime.path().join("systemd/private").exists());
    let mut managers: Vec<PathBuf> = managers.map(|runtime| runtime.path()).collect();
    managers.sort();
    for (count, runtime) in managers.iter().enumerate() {
        let name = runtime.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let user = name.parse().ok().and_then(|uid| accounts.user_of(uid));
        let Some(user) = user else {
            deaf.insert(name, HostText::from("its user is not in /etc/passwd"));
            continue;
        };
        if count >= MANAGERS {
            let why = format!("not asked, for {MANAGERS} others were");
            deaf.insert(user.name.clone(), HostText::new(why));
            continue;
        }
        match ask_user(runtime, user.uid, user.gid) {
            Ok(units) => _ = all.insert(user.name.clone(), units),
            Err(error) => _ = deaf.insert(user.name.clone(), chain(&error)),
        }
    }
    (all, deaf)
}

/// The manager answers its own user through a socket in the user's runtime directory.
fn ask_user(runtime: &Path, uid: u32, gid: u32) -> Result<Vec<Unit>, UnitsError> {
    let invocation = Invocation::new("systemctl", DEADLINE)
        .args(["--user", "--no-pager", "--no-ask-password", "show", PROPERTIES, "*"])
        .env("XDG_RUNTIME_DIR", runtime)
        .user(uid, gid);
    answer(invocation)
}

/// The same, with what they wrote last.
pub(super) fn with_lines(failed: Vec<FailedUnit>, lines: &Lines) -> Vec<FailedUnit> {
    let with = |unit: FailedUnit| FailedUnit {
        lines: lines.of(&unit),
        ..unit
    };
    failed.into_iter().map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_units_in_any_order_of_their_properties() {
        let units = parse(
            "NRestarts=3\nExecMainStatus=1\nResult=exit-code\nId=bad.service\nActiveState=failed\n\n\
             Listen=0.0.0.0:22 (Stream)\nListen=[::]:22 (Stream)\nId=ssh.socket\nActiveState=active\nResult=success\n\n\
             Id=odd.mount\nActiveState=failed\nResult=\n\nnoise\n",
        );
        assert_eq!(units.len(), 3);
        assert_eq!(units[1].listens, ["0.0.0.0:22", "[::]:22"]);
        let failed = failed(&units);
        let names: Vec<_> = failed.iter().map(|unit| unit.name.untrusted()).collect();
        assert_eq!(names, ["bad.service", "odd.mount"]);
        assert_eq!((failed[0].status, failed[0].restarts), (1, 3));
    }
}
