//! What systemd says of its units: one `systemctl` for all of them, however many, and one for templates. It gives no orders.

mod answers;
mod manager;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use provision_core::model::{HostText, UnitName, UnitState};
use provision_core::wire::UnitReport;

use answers::{Answers, Block};
pub(crate) use manager::{Manager, Standing, by_user};

use crate::accounts::AccountsError;
use crate::child::{self, ChildError, Invocation, status_words};

/// How long systemd may take to answer. It answers within some ten milliseconds, or hangs.
const DEADLINE: Duration = Duration::from_secs(10);

/// The most that systemctl may say, in bytes: some ten thousand units.
const ANSWER_BYTES: usize = 16 << 20;

/// The directory whose existence means that systemd is running: sd_booted(3).
const BOOTED: &str = "/run/systemd/system";

/// Why systemd could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SystemdError {
    /// This host's init is another.
    #[error("systemd is not running on this host")]
    NotRunning,
    /// The program could not be run, or did not answer.
    #[error("cannot ask systemd")]
    Ask(#[source] ChildError),
    /// It answered with a failure.
    #[error("systemctl ended with {status}: {}", message.escaped())]
    Failed {
        /// Such as "exit status 1".
        status: String,
        /// Its last line.
        message: HostText,
    },
    /// There is no such user, and so no manager.
    #[error("there is no user {user} on this host")]
    NoUser {
        /// The name.
        user: String,
    },
    /// The users could not be read.
    #[error("cannot tell who that user is")]
    Accounts(#[source] AccountsError),
    /// A user's manager starts or ends at this moment.
    #[error("the service manager of {user} is {standing} at this moment")]
    Between {
        /// The user.
        user: String,
        /// "starting" or "ending".
        standing: &'static str,
    },
    /// The answer says nothing of a unit.
    #[error("systemctl said nothing of {unit}")]
    Silent {
        /// The unit.
        unit: String,
    },
}

/// How a unit fares, for deciding whether it is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitHealth {
    /// `LoadState`.
    pub(crate) load: HostText,
    /// `ActiveState`.
    pub(crate) active: HostText,
    /// `SubState`.
    pub(crate) sub: HostText,
    /// `Result`: how it last ended; `success` while nothing went wrong.
    pub(crate) result: HostText,
    /// `Type` of a service; empty for other units.
    pub(crate) service_type: HostText,
    /// `NRestarts`: how often systemd restarted it by itself since it was last started by hand.
    pub(crate) restarts: u32,
    /// `InvocationID`: another one means that it was started again.
    pub(crate) invocation: HostText,
    /// `MainPID`; 0 is none.
    pub(crate) main_pid: u32,
    /// `ExecMainStatus`: the main process's exit status, or the signal that killed it.
    pub(crate) exit_status: i32,
}

/// Whether systemd is this host's init.
pub(crate) fn is_running() -> bool {
    Path::new(BOOTED).is_dir()
}

/// The state of units, by the names asked for: an alias has its unit's state, and a unit that does not exist has the
/// load state `not-found`. Each manager is asked once, and that one does not answer says nothing of the others.
pub(crate) fn show(units: &[UnitName]) -> BTreeMap<UnitName, Result<UnitState, Arc<SystemdError>>> {
    let mut states = BTreeMap::new();
    for of_one in by_user(units).into_values() {
        match show_of_one(&of_one) {
            Ok(found) => states.extend(found.into_iter().map(|(unit, state)| (unit, Ok(state)))),
            Err(error) => {
                let error = Arc::new(error);
                states.extend(of_one.into_iter().map(|unit| (unit.clone(), Err(error.clone()))));
            }
        }
    }
    states
}

/// The same for units that have one manager.
fn show_of_one(units: &[&UnitName]) -> Result<BTreeMap<UnitName, UnitState>, SystemdError> {
    const PROPERTIES: &str = "--property=Id,Names,LoadState,UnitFileState,ActiveState,NeedDaemonReload";
    let Some(first) = units.first() else {
        return Ok(BTreeMap::new());
    };
    let manager = match Manager::of(first) {
        Err(SystemdError::NoUser { .. }) => {
            let none = units.iter().map(|unit| ((*unit).clone(), unread(None)));
            return Ok(none.collect());
        }
        manager => manager?,
    };
    if !manager.is_up()? {
        return show_unread(&manager, units);
    }
    let (templates, units): (Vec<&UnitName>, Vec<&UnitName>) = units.iter().partition(|unit| unit.is_template());
    let names: Vec<&str> = units.iter().map(|unit| unit.unit()).collect();
    let answers = ask_of(&manager, PROPERTIES, &names)?;
    let mut states = match templates.as_slice() {
        [] => BTreeMap::new(),
        templates => show_unread(&manager, templates)?,
    };
    for unit in units {
        let block = answers.of(unit.unit())?;
        let state = UnitState {
            load: block.text("LoadState"),
            enabled: block.text("UnitFileState"),
            active: block.text("ActiveState"),
            needs_reload: block.get("NeedDaemonReload") == "yes",
        };
        states.insert(unit.clone(), state);
    }
    Ok(states)
}

/// The state of units that nobody has read, from their files: of templates, which `show` does not know, for systemd never
/// loads them, and of units of a manager that does not run.
fn show_unread(manager: &Manager, units: &[&UnitName]) -> Result<BTreeMap<UnitName, UnitState>, SystemdError> {
    // All of them: where none of the names asked for has a file, it fails as if it could not look.
    let invocation = manager
        .offline(DEADLINE)
        .args(["list-unit-files", "--full", "--plain", "--no-legend"]);
    let answer = must_answer(&invocation)?;
    let files: BTreeMap<&str, &str> = answer
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect();
    let file = |unit: &UnitName| match files.get(unit.unit()) {
        Some(file) => Some(*file),
        // Of an instance, the template has the file.
        None => files.get(unit.template()?.as_str()).map(|_| "disabled"),
    };
    let states = units.iter().map(|unit| ((*unit).clone(), unread(file(unit))));
    Ok(states.collect())
}

/// `file` is its `UnitFileState`, where it has a file.
fn unread(file: Option<&str>) -> UnitState {
    UnitState {
        load: HostText::from(match file {
            None => "not-found",
            Some(file) if file.starts_with("masked") => "masked",
            Some(_) => "loaded",
        }),
        enabled: HostText::from(file.unwrap_or_default()),
        active: HostText::from("inactive"),
        needs_reload: false,
    }
}

/// Whether units start at boot, in the words of `UnitFileState`. Unlike [`show`], which tells what systemd has read, this
/// looks at the disk.
///
/// # Errors
/// [`SystemdError`].
pub(crate) fn enablement(units: &BTreeSet<UnitName>) -> Result<BTreeMap<&UnitName, HostText>, SystemdError> {
    let mut all = BTreeMap::new();
    for units in by_user(units).into_values() {
        all.extend(enablement_of_one(&units)?);
    }
    Ok(all)
}

/// The same for units that have one manager.
fn enablement_of_one<'a>(units: &[&'a UnitName]) -> Result<BTreeMap<&'a UnitName, HostText>, SystemdError> {
    let Some(first) = units.first() else {
        return Ok(BTreeMap::new());
    };
    let names = units.iter().map(|unit| unit.unit());
    let invocation = Manager::of(first)?.offline(DEADLINE);
    let (status, answer) = ask(&invocation.args(["is-enabled", "--"]).args(names))?;
    // One word for each in their order, and messages; the status says whether any is enabled.
    let words = answer
        .lines()
        .filter(|line| !line.is_empty() && !line.contains(char::is_whitespace));
    let words: Vec<&str> = words.collect();
    if words.len() == units.len() {
        Ok(units
            .iter()
            .copied()
            .zip(words.into_iter().map(HostText::from))
            .collect())
    } else if status.success() {
        let unit = first.to_string();
        Err(SystemdError::Silent { unit })
    } else {
        Err(failed(status, &answer))
    }
}

/// How units fare, by the names asked for.
///
/// # Errors
/// [`SystemdError`].
pub(crate) fn show_health(units: &[UnitName]) -> Result<BTreeMap<UnitName, UnitHealth>, SystemdError> {
    let mut all = BTreeMap::new();
    for units in by_user(units).into_values() {
        let Some(first) = units.first() else { continue };
        let names: Vec<&str> = units.iter().map(|unit| unit.unit()).collect();
        let answers = ask_of(&Manager::of(first)?, HEALTH, &names)?;
        for unit in units {
            all.insert(unit.clone(), health(answers.of(unit.unit())?));
        }
    }
    Ok(all)
}

/// How long a unit may take to stop and start, by its own limits: what an order about it takes at most. `None` where it has
/// no limit, or systemd does not say.
pub(crate) fn longest_order(unit: &UnitName) -> Option<Duration> {
    let properties = "--property=Id,Names,TimeoutStartUSec,TimeoutStopUSec";
    let answers = ask_of(&Manager::of(unit).ok()?, properties, &[unit.unit()]).ok()?;
    let block = answers.of(unit.unit()).ok()?;
    let limits = ["TimeoutStartUSec", "TimeoutStopUSec"].map(|limit| span(block.get(limit)));
    limits.into_iter().sum()
}

/// A span of time as systemd prints one, such as `5min 30s` (systemd.time(7)). `None` for `infinity`.
fn span(text: &str) -> Option<Duration> {
    let mut words = text.split_whitespace().peekable();
    words.peek()?;
    words.map(part_of_span).sum()
}

fn part_of_span(word: &str) -> Option<Duration> {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = word.split_at_checked(end)?;
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        "month" => 2_629_800.0,
        "y" => 31_557_600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

const HEALTH: &str =
    "--property=Id,Names,LoadState,ActiveState,SubState,Result,Type,NRestarts,InvocationID,MainPID,ExecMainStatus";

fn health(block: &Block) -> UnitHealth {
    UnitHealth {
        load: block.text("LoadState"),
        active: block.text("ActiveState"),
        sub: block.text("SubState"),
        result: block.text("Result"),
        service_type: block.text("Type"),
        restarts: block.get("NRestarts").parse().unwrap_or(0),
        invocation: block.text("InvocationID"),
        main_pid: block.get("MainPID").parse().unwrap_or(0),
        exit_status: block.get("ExecMainStatus").parse().unwrap_or(0),
    }
}

/// The name under which systemd knows a unit: an alias has its unit's. `None` where there is no such unit.
///
/// # Errors
/// [`SystemdError`].
pub(crate) fn canonical(unit: &UnitName) -> Result<Option<String>, SystemdError> {
    let answers = ask_of(&Manager::System, "--property=Id,Names,LoadState", &[unit.as_str()])?;
    let block = answers.of(unit.as_str())?;
    let exists = block.get("LoadState") != "not-found";
    Ok(exists.then(|| block.get("Id").to_owned()))
}

/// What a unit is, whether it starts at boot, and whether it runs.
pub(crate) struct UnitFile {
    /// `LoadState`.
    pub(crate) load: String,
    /// `UnitFileState`.
    pub(crate) file: String,
    /// `ActiveState`.
    pub(crate) active: String,
    /// `Type` of a service; empty for other units.
    pub(crate) service_type: String,
}

/// What units are, by the names asked for, none of them a template.
///
/// # Errors
/// [`SystemdError`].
pub(crate) fn show_files(units: &[UnitName]) -> Result<BTreeMap<UnitName, UnitFile>, SystemdError> {
    let names: Vec<&str> = units.iter().map(UnitName::as_str).collect();
    let properties = "--property=Id,Names,LoadState,UnitFileState,ActiveState,Type";
    let answers = ask_of(&Manager::System, properties, &names)?;
    units
        .iter()
        .map(|unit| {
            let block = answers.of(unit.as_str())?;
            let get = |property: &str| block.get(property).to_owned();
            let file = UnitFile {
                load: get("LoadState"),
                file: get("UnitFileState"),
                active: get("ActiveState"),
                service_type: get("Type"),
            };
            Ok((unit.clone(), file))
        })
        .collect()
}

/// The names of all units in state failed.
///
/// # Errors
/// [`SystemdError`].
pub(crate) fn failed_units() -> Result<BTreeSet<String>, SystemdError> {
    let args = ["list-units", "--failed", "--all", "--full", "--plain", "--no-legend"];
    let answer = systemctl(&Manager::System, args)?;
    Ok(answer.lines().filter_map(listed).collect())
}

/// The unit of a line of `list-units`. Old versions mark a failed unit with a dot even under `--plain`.
fn listed(line: &str) -> Option<String> {
    let unit = line.split_whitespace().find(|word| !matches!(*word, "●" | "*"))?;
    unit.contains('.').then(|| unit.to_owned())
}

/// The units in state failed and those asked for but templates, as a status report has them.
///
/// # Errors
/// [`SystemdError`].
pub(crate) fn report(units: &BTreeSet<UnitName>) -> Result<BTreeMap<String, UnitReport>, SystemdError> {
    let mut names = failed_units()?;
    let (of_users, loaded): (Vec<&UnitName>, Vec<&UnitName>) = units
        .iter()
        .filter(|unit| !unit.is_template())
        .partition(|unit| unit.user().is_some());
    names.extend(loaded.into_iter().map(|unit| unit.as_str().to_owned()));
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let answers = ask_of(&Manager::System, HEALTH, &asked)?;
    let mut reports = BTreeMap::new();
    for unit in asked {
        reports.insert(unit.to_owned(), report_of(health(answers.of(unit)?)));
    }
    for units in by_user(of_users).into_values() {
        reports.extend(report_of_user(&units));
    }
    Ok(reports)
}

fn report_of(health: UnitHealth) -> UnitReport {
    UnitReport {
        active: health.active,
        sub: health.sub,
        result: health.result,
        restarts: health.restarts,
    }
}

/// The same for a user's units. That their manager does not answer says nothing of the system's units.
fn report_of_user(units: &[&UnitName]) -> BTreeMap<String, UnitReport> {
    let all: Vec<UnitName> = units.iter().map(|unit| (*unit).clone()).collect();
    let is_up = all.first().map_or(Ok(false), |unit| Manager::of(unit)?.is_up());
    let found = is_up.and_then(|is_up| if is_up { show_health(&all).map(Some) } else { Ok(None) });
    let one = |unit: &UnitName| match &found {
        Ok(Some(found)) => found.get(unit).cloned().map(report_of),
        Ok(None) => Some(plain("inactive", HostText::from("its user's manager does not run"))),
        Err(error) => Some(plain("unknown", crate::words::chain(error))),
    };
    all.iter()
        .filter_map(|unit| Some((unit.to_string(), one(unit)?)))
        .collect()
}

fn plain(active: &str, sub: HostText) -> UnitReport {
    UnitReport {
        active: HostText::from(active),
        sub,
        result: HostText::from(""),
        restarts: 0,
    }
}

/// The last lines that a unit, or systemd about it, wrote to this boot's journal. They explain a failure that is
/// already certain, so that they cannot be had is no failure: then there are none.
pub(crate) fn journal_tail(unit: &UnitName, lines: usize) -> Vec<HostText> {
    let Ok(manager) = Manager::of(unit) else {
        return Vec::new();
    };
    let invocation = Invocation::new("journalctl", DEADLINE)
        .args(["--boot", "--quiet", "--no-pager", "--output=cat"])
        .args([format!("--lines={lines}")])
        .args(manager.journal(unit.unit()));
    let mut tail = VecDeque::with_capacity(lines);
    let ended = child::run(&invocation, |line| {
        if tail.len() == lines {
            tail.pop_front();
        }
        tail.push_back(HostText::new(line));
    });
    match ended {
        Ok(status) if status.success() => tail.into(),
        Ok(_) | Err(_) => Vec::new(),
    }
}

fn ask_of(manager: &Manager, properties: &'static str, units: &[&str]) -> Result<Answers, SystemdError> {
    if units.is_empty() {
        return Ok(Answers::default());
    }
    let args = ["show", properties, "--"];
    systemctl(manager, args.iter().chain(units)).map(|answer| Answers::parse(&answer))
}

/// Runs systemctl, which must succeed, and gives what it says.
fn systemctl<S: AsRef<OsStr>>(manager: &Manager, args: impl IntoIterator<Item = S>) -> Result<String, SystemdError> {
    must_answer(&manager.systemctl(DEADLINE).args(args))
}

fn must_answer(invocation: &Invocation) -> Result<String, SystemdError> {
    let (status, answer) = ask(invocation)?;
    if status.success() {
        Ok(answer)
    } else {
        Err(failed(status, &answer))
    }
}

fn failed(status: ExitStatus, answer: &str) -> SystemdError {
    SystemdError::Failed {
        status: status_words(status),
        message: HostText::new(answer.lines().last().unwrap_or_default()),
    }
}

fn ask(invocation: &Invocation) -> Result<(ExitStatus, String), SystemdError> {
    if !is_running() {
        return Err(SystemdError::NotRunning);
    }
    let mut answer = Vec::new();
    let status = child::run_bytes(invocation, &mut |bytes| {
        let room = ANSWER_BYTES - answer.len();
        answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
    })
    .map_err(SystemdError::Ask)?;
    Ok((status, String::from_utf8_lossy(&answer).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_before_the_id_belong_to_their_unit_and_numbers_that_a_unit_lacks_are_none() {
        // As systemd 252 of Debian 12 answers.
        let answers = Answers::parse(
            "Result=success\nId=tidy.timer\nNames=tidy.timer\nActiveState=active\nInvocationID=5455b2\n\n\
             Type=notify\nMainPID=30\nResult=exit-code\nNRestarts=2\nExecMainStatus=1\nId=dbus.service\n\
             Names=dbus.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nInvocationID=61124f\n",
        );
        let timer = health(answers.of("tidy.timer").unwrap());
        assert_eq!((timer.restarts, timer.main_pid, timer.exit_status), (0, 0, 0));
        assert_eq!(
            (timer.service_type.untrusted(), timer.result.untrusted()),
            ("", "success")
        );
        let service = health(answers.of("dbus.service").unwrap());
        assert_eq!((service.restarts, service.main_pid, service.exit_status), (2, 30, 1));
        assert_eq!(
            (service.service_type.untrusted(), service.result.untrusted()),
            ("notify", "exit-code")
        );
    }

    #[test]
    fn listed_units_are_the_first_word_with_or_without_a_mark() {
        assert_eq!(listed("a.service loaded failed failed An A").unwrap(), "a.service");
        assert_eq!(listed("● -.mount loaded failed failed Root").unwrap(), "-.mount");
        assert_eq!(listed(""), None);
    }

    #[test]
    fn without_systemd_every_question_says_so() {
        if is_running() {
            return;
        }
        let unit = UnitName::new("a.service").unwrap();
        let state = show(std::slice::from_ref(&unit)).remove(&unit).unwrap();
        assert!(matches!(&*state.unwrap_err(), SystemdError::NotRunning));
        assert!(matches!(failed_units(), Err(SystemdError::NotRunning)));
    }

    #[test]
    fn spans_are_read_as_systemd_prints_them() {
        for (text, seconds) in [
            ("1min 30s", Some(90.0)),
            ("5min 30s", Some(330.0)),
            ("2h 500ms", Some(7200.5)),
            ("1w 2d", Some(777_600.0)),
            ("0", None),
            ("infinity", None),
            ("", None),
            ("5 bananas", None),
        ] {
            assert_eq!(span(text).map(|span| span.as_secs_f64()), seconds, "{text}");
        }
    }
}
