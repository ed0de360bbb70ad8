//! What systemd says of its units: one `systemctl` for all of them, however many, and one for templates. It gives no orders.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use provision_core::model::{HostText, UnitName, UnitState};
use provision_core::wire::UnitReport;

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
/// load state `not-found`.
///
/// # Errors
/// [`SystemdError`].
pub(crate) fn show(units: &[UnitName]) -> Result<BTreeMap<UnitName, UnitState>, SystemdError> {
    const PROPERTIES: &str = "--property=Id,Names,LoadState,UnitFileState,ActiveState,NeedDaemonReload";
    let (templates, units): (Vec<_>, Vec<_>) = units.iter().partition(|unit| unit.is_template());
    let names: Vec<&str> = units.iter().map(|unit| unit.as_str()).collect();
    let answers = ask_of(PROPERTIES, &names)?;
    let mut states = show_templates(&templates)?;
    for unit in units {
        let block = answers.of(unit.as_str())?;
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

/// The state of templates: `show` knows none, for systemd never loads them, but their files are listed.
fn show_templates(templates: &[&UnitName]) -> Result<BTreeMap<UnitName, UnitState>, SystemdError> {
    if templates.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = systemctl(["list-unit-files", "--full", "--plain", "--no-legend", "--", "*@.*"])?;
    let files: BTreeMap<&str, &str> = answer
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect();
    let state = |found: Option<&&str>| UnitState {
        load: HostText::from(match found {
            None => "not-found",
            Some(file) if file.starts_with("masked") => "masked",
            Some(_) => "loaded",
        }),
        enabled: HostText::from(found.copied().unwrap_or_default()),
        active: HostText::from("inactive"),
        needs_reload: false,
    };
    let states = templates
        .iter()
        .map(|unit| ((*unit).clone(), state(files.get(unit.as_str()))));
    Ok(states.collect())
}

/// Whether units start at boot, in the words of `UnitFileState`. Unlike [`show`], which tells what systemd has read, this
/// looks at the disk.
///
/// # Errors
/// [`SystemdError`].
pub(crate) fn enablement(units: &BTreeSet<UnitName>) -> Result<BTreeMap<&UnitName, HostText>, SystemdError> {
    let Some(first) = units.first() else {
        return Ok(BTreeMap::new());
    };
    let names = units.iter().map(UnitName::as_str);
    let (status, answer) = ask(["is-enabled", "--"].into_iter().chain(names))?;
    // One word for each in their order, and messages; the status says whether any is enabled.
    let words = answer
        .lines()
        .filter(|line| !line.is_empty() && !line.contains(char::is_whitespace));
    let words: Vec<&str> = words.collect();
    if words.len() == units.len() {
        Ok(units.iter().zip(words.into_iter().map(HostText::from)).collect())
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
    let names: Vec<&str> = units.iter().map(UnitName::as_str).collect();
    let answers = ask_of(HEALTH, &names)?;
    units
        .iter()
        .map(|unit| Ok((unit.clone(), health(answers.of(unit.as_str())?))))
        .collect()
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
    let answers = ask_of("--property=Id,Names,LoadState", &[unit.as_str()])?;
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
    let answers = ask_of("--property=Id,Names,LoadState,UnitFileState,ActiveState,Type", &names)?;
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
    let answer = systemctl(["list-units", "--failed", "--all", "--full", "--plain", "--no-legend"])?;
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
    let loaded = units.iter().filter(|unit| !unit.is_template());
    names.extend(loaded.map(|unit| unit.as_str().to_owned()));
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let answers = ask_of(HEALTH, &asked)?;
    asked
        .iter()
        .map(|unit| {
            let health = health(answers.of(unit)?);
            let report = UnitReport {
                active: health.active,
                sub: health.sub,
                result: health.result,
                restarts: health.restarts,
            };
            Ok(((*unit).to_owned(), report))
        })
        .collect()
}

/// The last lines that a unit, or systemd about it, wrote to this boot's journal. They explain a failure that is
/// already certain, so that they cannot be had is no failure: then there are none.
pub(crate) fn journal_tail(unit: &UnitName, lines: usize) -> Vec<HostText> {
    let invocation = Invocation::new("journalctl", DEADLINE)
        .args(["--boot", "--quiet", "--no-pager", "--output=cat"])
        .args([format!("--lines={lines}"), format!("--unit={unit}")]);
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

fn ask_of(properties: &'static str, units: &[&str]) -> Result<Answers, SystemdError> {
    if units.is_empty() {
        return Ok(Answers::default());
    }
    systemctl(["show", properties, "--"].iter().chain(units)).map(|answer| Answers::parse(&answer))
}

/// Runs systemctl, which must succeed, and gives what it says.
fn systemctl<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<String, SystemdError> {
    let (status, answer) = ask(args)?;
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

fn ask<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<(ExitStatus, String), SystemdError> {
    if !is_running() {
        return Err(SystemdError::NotRunning);
    }
    let invocation = Invocation::new("systemctl", DEADLINE)
        .args(["--no-pager", "--no-ask-password"])
        .args(args);
    let mut answer = Vec::new();
    let status = child::run_bytes(&invocation, &mut |bytes| {
        let room = ANSWER_BYTES - answer.len();
        answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
    })
    .map_err(SystemdError::Ask)?;
    Ok((status, String::from_utf8_lossy(&answer).into_owned()))
}

/// What systemctl says of several units.
#[derive(Debug, Default)]
struct Answers {
    blocks: Vec<Block>,
}

/// What it says of one: values by property.
#[derive(Debug, Default)]
struct Block {
    values: BTreeMap<String, String>,
}

impl Block {
    fn get(&self, property: &str) -> &str {
        self.values.get(property).map_or("", String::as_str)
    }

    fn text(&self, property: &str) -> HostText {
        HostText::new(self.get(property))
    }

    fn is_of(&self, unit: &str) -> bool {
        self.get("Id") == unit || self.get("Names").split_whitespace().any(|name| unquoted(name) == unit)
    }
}

impl Answers {
    /// An empty line ends a unit's properties, which come in an order of systemd's own: a service's `MainPID` is before
    /// its `Id`. Lines that are no property are messages.
    fn parse(answer: &str) -> Self {
        let blocks = answer.split("\n\n").map(|block| Block {
            values: block
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(property, value)| (property.to_owned(), value.to_owned()))
                .collect(),
        });
        Self {
            blocks: blocks.collect(),
        }
    }

    fn of(&self, unit: &str) -> Result<&Block, SystemdError> {
        let silent = || SystemdError::Silent { unit: unit.to_owned() };
        self.blocks.iter().find(|block| block.is_of(unit)).ok_or_else(silent)
    }
}

/// In a list, systemctl quotes a name that a shell would not take as it is, such as one with `\x2d` in it.
fn unquoted(name: &str) -> String {
    let bare = name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .or_else(|| name.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\'')));
    bare.map_or_else(|| name.to_owned(), |bare| bare.replace(r"\\", r"\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_by_id_by_alias_and_through_quotes() {
        let answers = Answers::parse(
            "Warning: something about a unit\n\
             Id=ssh.service\nNames=sshd.service ssh.service\nLoadState=loaded\nActiveState=active\n\n\
             Id=getty@tty1.service\nNames=getty@tty1.service\nLoadState=loaded\nActiveState=inactive\n\n\
             Id=no.service\nNames=no.service\nLoadState=not-found\nActiveState=inactive\n\n\
             Id=a\\x2db.mount\nNames=\"odd\\\\x2dname.mount\" a\\x2db.mount\nActiveState=failed\n",
        );
        for (unit, property, value) in [
            ("sshd.service", "ActiveState", "active"),
            ("ssh.service", "Id", "ssh.service"),
            ("getty@tty1.service", "ActiveState", "inactive"),
            ("no.service", "LoadState", "not-found"),
            (r"a\x2db.mount", "ActiveState", "failed"),
            (r"odd\x2dname.mount", "ActiveState", "failed"),
        ] {
            assert_eq!(answers.of(unit).unwrap().get(property), value, "{unit}");
        }
        assert!(matches!(answers.of("other.service"), Err(SystemdError::Silent { unit }) if unit == "other.service"));
    }

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
        assert!(matches!(
            show(std::slice::from_ref(&unit)),
            Err(SystemdError::NotRunning)
        ));
        assert!(matches!(failed_units(), Err(SystemdError::NotRunning)));
    }
}
