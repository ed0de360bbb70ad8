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

/// Starts the runner of a staged plan.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub(crate) fn start(layout: &Layout, plan_id: &Digest) -> Result<(), StartError> {
    // The file that this process was started from, whatever its name has been given to since.
    let program = fs::read_link("/proc/self/exe").map_err(StartError::Program)?;
    if systemd::is_running() {
        unit(plan_id, program)
    } else {
        process(layout, plan_id, program)
    }
}

fn unit(plan_id: &Digest, program: PathBuf) -> Result<(), StartError> {
    let invocation = Invocation::new("systemd-run", DEADLINE)
        .args([&format!("--unit=provision-apply-{}", plan_id.short())])
        .args([
            "--description=provision: applying a plan",
            "--quiet",
            "--collect",
            "--no-ask-password",
        ])
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
        // Whatever else needs memory: half an upgrade is worse than a dead service.
        .args(["--property=OOMScoreAdjust=-500"])
        .args([format!("--setenv=PATH={PATH}")])
        .args(["--"])
        .args([program.into_os_string(), "run".into(), plan_id.to_string().into()]);
    let until = Instant::now() + GONE;
    loop {
        let mut words = Vec::new();
        let status = child::run(&invocation, |line| words.push(line.to_owned())).map_err(StartError::Ask)?;
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
fn process(layout: &Layout, plan_id: &Digest, program: PathBuf) -> Result<(), StartError> {
    let spawned = Command::new(&program)
        .arg("run")
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
