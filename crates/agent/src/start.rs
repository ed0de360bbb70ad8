//! Starting a runner that outlives the connection: in a unit of its own where systemd runs, as a process of its own where
//! not. It does not wait for the run, and says nothing of how it ends; the journal does.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use provision_core::model::{Digest, HostText};

use crate::child::{self, ChildError, Invocation, PATH, status_words};
use crate::layout::Layout;
use crate::systemd;

/// How long systemd may take to start a unit.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long the unit of an earlier try of the same plan may take to go.
const GONE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Why no runner was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// It is not known which program this is.
    #[error("cannot find the agent's own program")]
    Program(#[source] io::Error),
    /// systemd-run cannot be run.
    #[error("cannot ask systemd to start it")]
    Ask(#[source] ChildError),
    /// systemd did not start it.
    #[error("systemd-run ended with {status}: {}", words.untrusted())]
    Systemd {
        /// Such as "exit status 1".
        status: String,
        /// What it said.
        words: HostText,
    },
    /// The process cannot be started.
    #[error("cannot start {}", program.display())]
    Spawn {
        /// The agent's own program.
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Starts the runner of a staged plan. One that touches the way in is ended after `limit`, and undone then.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub(crate) fn start(layout: &Layout, plan_id: &Digest, limit: Option<Duration>) -> Result<(), StartError> {
    // The file that this process was started from, whatever its name has been given to since.
    let program = fs::read_link("/proc/self/exe").map_err(StartError::Program)?;
    if !systemd::is_running() {
        return process(layout, "run", plan_id, program);
    }
    let limit = limit.map(|limit| format!("--property=RuntimeMaxSec={}", limit.as_secs()));
    let invocation = transient("apply", "applying a plan", plan_id)
        // Whatever else needs memory: half an upgrade is worse than a dead service.
        .args(["--property=OOMScoreAdjust=-500"])
        .args(limit)
        .args(["--"])
        .args([program.into_os_string(), "run".into(), plan_id.to_string().into()]);
    unit(&invocation)
}

/// Starts what waits for a runner's end, and undoes what is not confirmed then. systemd starts it again whatever kills it.
///
/// # Errors
/// [`StartError`]; nothing watches then.
pub(crate) fn watch(layout: &Layout, plan_id: &Digest, program: PathBuf) -> Result<(), StartError> {
    if !systemd::is_running() {
        return process(layout, "watch", plan_id, program);
    }
    unit(&watching(plan_id, &[], program))
}

/// As [`watch`], once the host is up, and without waiting for that.
///
/// # Errors
/// [`StartError`].
pub(crate) fn watch_later(plan_id: &Digest, program: PathBuf) -> Result<(), StartError> {
    let later = ["--no-block", "--property=After=multi-user.target"];
    unit(&watching(plan_id, &later, program))
}

/// Ends what a run whose runner is gone has left running: it must not go on while what it did is undone. What cannot be ended
/// is nobody's to wait for.
pub(crate) fn end_remains(plan_id: &Digest) {
    if !systemd::is_running() {
        return;
    }
    let unit = format!("provision-apply-{}.service", plan_id.short());
    let is_there = |unit: &str| {
        let ask = Invocation::new("systemctl", DEADLINE).args(["is-active", "--", unit]);
        let mut state = String::new();
        let asked = child::run(&ask, |line| line.clone_into(&mut state));
        asked.is_ok() && !matches!(&*state, "inactive" | "failed" | "unknown" | "")
    };
    for signal in ["TERM", "KILL"] {
        let kill = Invocation::new("systemctl", DEADLINE).args(["kill", &format!("--signal={signal}"), "--", &unit]);
        // One that systemd has forgotten has left nothing.
        if !child::run(&kill, |_| {}).is_ok_and(|status| status.success()) {
            return;
        }
        let until = Instant::now() + GONE;
        while is_there(&unit) {
            if Instant::now() >= until {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn watching(plan_id: &Digest, more: &[&str], program: PathBuf) -> Invocation {
    transient("watch", "undoing an apply unless it is confirmed", plan_id)
        .args([
            "--property=Restart=always",
            "--property=RestartPreventExitStatus=0",
            "--property=RestartSec=1",
            "--property=StartLimitIntervalSec=0",
            "--property=OOMScoreAdjust=-900",
        ])
        .args(more)
        .args(["--"])
        .args([program.into_os_string(), "watch".into(), plan_id.to_string().into()])
}

fn transient(what: &str, description: &str, plan_id: &Digest) -> Invocation {
    Invocation::new("systemd-run", DEADLINE)
        .args([format!("--unit=provision-{what}-{}", plan_id.short())])
        .args([format!("--description=provision: {description}")])
        .args(["--quiet", "--collect", "--no-ask-password"])
        // Returns when the program is running, and fails where it cannot be run.
        .args(["--service-type=exec"])
        // What a package's scripts leave running is not the run's to kill.
        .args([
            "--property=KillMode=process",
            "--property=SendSIGHUP=no",
            "--property=TimeoutStopSec=30",
        ])
        // A plan's content is in its memory; children that the run starts expect the usual umask.
        .args(["--property=LimitCORE=0", "--property=UMask=0022"])
        .args([format!("--setenv=PATH={PATH}")])
}

fn unit(invocation: &Invocation) -> Result<(), StartError> {
    let until = Instant::now() + GONE;
    loop {
        let mut words = Vec::new();
        let status = child::run(invocation, |line| words.push(line.to_owned())).map_err(StartError::Ask)?;
        if status.success() {
            return Ok(());
        }
        let words = words.join("; ");
        // A run of this plan that was refused a moment ago: systemd has not yet forgotten its unit.
        let is_there = words.contains("already exists") || words.contains("already loaded");
        if !is_there || Instant::now() >= until {
            return Err(StartError::Systemd {
                status: status_words(status),
                words: HostText::new(words),
            });
        }
        std::thread::sleep(PAUSE);
    }
}

/// The runner leaves our session by itself and writes to its own log.
fn process(layout: &Layout, mode: &str, plan_id: &Digest, program: PathBuf) -> Result<(), StartError> {
    let spawned = Command::new(&program)
        .arg(mode)
        .arg(plan_id.to_string())
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .current_dir(layout.root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match spawned {
        // Not waited for: it outlives us, and init takes it.
        Ok(_) => Ok(()),
        Err(source) => Err(StartError::Spawn { program, source }),
    }
}
