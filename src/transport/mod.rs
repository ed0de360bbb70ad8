//! Ways to a host: SSH, and the machine itself. It starts constant command lines and moves bytes; it knows no messages.

mod agent;
mod local;
mod quote;

use std::fmt;
use std::time::Duration;

use provision_core::model::{Connection, HostName};
use provision_ssh::{ConnectError, ConnectErrorKind, Deadlines, Environment, ExecError, Stage, Target};

use crate::reach::{ReachError, ReachStage};

pub use agent::{Agent, AgentError, Agents};
pub use quote::quote;

/// An open way to a host.
pub enum Transport {
    /// An SSH connection.
    Ssh(Box<provision_ssh::Connection>),
    /// This machine.
    Local,
}

/// The input of a started command.
pub enum Input {
    /// Over SSH.
    Ssh(provision_ssh::Stdin),
    /// Of a child process.
    Local(local::Input),
}

/// The output of a started command, and in the end how it ended.
pub enum Output {
    /// Over SSH.
    Ssh(provision_ssh::Stdout),
    /// Of a child process.
    Local(local::Output),
}

/// How a command ended, and what it wrote to standard error, fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; `None` where a signal ended it.
    pub status: Option<u32>,
    /// The signal's name without `SIG`, fit for a terminal.
    pub signal: Option<String>,
    /// Standard error, bounded, control characters escaped.
    pub stderr: String,
}

/// Why bytes stopped moving.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Over SSH.
    #[error("the connection failed")]
    Ssh(#[source] ExecError),
    /// On this machine.
    #[error("the local command failed")]
    Local(#[source] std::io::Error),
}

/// The pauses before a server is tried again that hung up before it greeted. It has more logins open than it allows at once
/// (MaxStartups), as when many hosts are reached through one, and the next of them ends in a moment.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How much longer all stages together may take than one: a stage that runs out of time is told by its name.
const GRACE: Duration = Duration::from_secs(1);

/// Opens a way to a host. `timeout` bounds everything up to the authenticated connection.
///
/// # Errors
/// [`ReachError`] with the stage that failed and what to do about it.
pub async fn open(host: &HostName, connection: &Connection, timeout: Duration) -> Result<Transport, ReachError> {
    let Connection::Ssh {
        address,
        port,
        user,
        host_keys,
        identity_files,
        jump,
    } = connection
    else {
        return Ok(Transport::Local);
    };
    let target = Target {
        alias: host.to_string(),
        address: address.clone(),
        port: *port,
        user: user.clone(),
        host_keys: host_keys.clone(),
        identity_files: identity_files.iter().map(Into::into).collect(),
        jump: jump.clone(),
    };
    let deadlines = deadlines(timeout);
    let environment = Environment::from_process();
    let connecting = async {
        let mut pauses = PAUSES.iter();
        loop {
            match provision_ssh::connect(&target, &environment, &deadlines).await {
                Err(error) if error.kind() == ConnectErrorKind::Ungreeted => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause + jitter()).await,
                    None => return Err(error),
                },
                connected => return connected,
            }
        }
    };
    match tokio::time::timeout(timeout + GRACE, connecting).await {
        Ok(Ok(connection)) => Ok(Transport::Ssh(Box::new(connection))),
        Ok(Err(error)) => Err(reach_error(error)),
        Err(_) => {
            let text = format!("no session within {} s", timeout.as_secs_f32());
            Err(ReachError::new(ReachStage::Connect, text).hint("wait longer with --timeout"))
        }
    }
}

/// The stages' own deadlines for a person of this patience: half of it, but not less than usual, and never more than it.
fn deadlines(timeout: Duration) -> Deadlines {
    let usual = Deadlines::default();
    let stage = |usual: Duration| usual.max(timeout / 2).min(timeout);
    Deadlines {
        tcp: stage(usual.tcp),
        handshake: stage(usual.handshake),
        open: stage(usual.open),
        write: stage(usual.write),
        exit: stage(usual.exit),
        ..usual
    }
}

/// Up to a tenth of a second, so that those who were turned away together do not come back together.
fn jitter() -> Duration {
    use std::hash::{BuildHasher as _, Hasher as _};
    let random = std::hash::RandomState::new().build_hasher().finish();
    Duration::from_millis(random % 100)
}

impl Transport {
    /// Starts a command. `command` is read by the login shell of the host: a constant, or quoted with [`quote`].
    ///
    /// # Errors
    /// Where no session can be opened.
    pub async fn start(&self, command: &str) -> Result<(Input, Output), TransportError> {
        match self {
            Self::Ssh(connection) => {
                let exec = connection.exec(command).await.map_err(TransportError::Ssh)?;
                let (input, output) = exec.split();
                Ok((Input::Ssh(input), Output::Ssh(output)))
            }
            Self::Local => {
                let (input, output) = local::start(command).map_err(TransportError::Local)?;
                Ok((Input::Local(input), Output::Local(output)))
            }
        }
    }

    /// What comes before a command that needs root. `sudo -n` never asks: where a password is needed it fails at once.
    #[must_use]
    pub fn privilege(&self) -> &'static str {
        let root = match self {
            Self::Ssh(connection) => connection.endpoint().user == "root",
            Self::Local => rustix::process::geteuid().is_root(),
        };
        if root { "" } else { "sudo -n -- " }
    }

    /// Says goodbye. Dropping a transport ends it, too.
    pub async fn close(self) {
        match self {
            Self::Ssh(connection) => connection.close().await,
            Self::Local => {}
        }
    }
}

impl Input {
    /// Writes all of it.
    ///
    /// # Errors
    /// The host stopped reading, or the connection is lost.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        match self {
            Self::Ssh(input) => input.write_all(bytes).await.map_err(TransportError::Ssh),
            Self::Local(input) => input.write_all(bytes).await.map_err(TransportError::Local),
        }
    }

    /// Ends the input.
    ///
    /// # Errors
    /// As [`Self::write_all`].
    pub async fn eof(self) -> Result<(), TransportError> {
        match self {
            Self::Ssh(input) => input.eof().await.map_err(TransportError::Ssh),
            Self::Local(input) => input.eof().await.map_err(TransportError::Local),
        }
    }
}

impl Output {
    /// The next piece, `None` at the end. Safe to cancel.
    ///
    /// # Errors
    /// The connection is lost, or the command was refused.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        match self {
            Self::Ssh(output) => {
                let chunk = output.chunk().await.map_err(TransportError::Ssh)?;
                Ok(chunk.map(|bytes| bytes.to_vec()))
            }
            Self::Local(output) => output.chunk().await.map_err(TransportError::Local),
        }
    }

    /// Drops what is left and waits for the end.
    ///
    /// # Errors
    /// The connection is lost before the command's end is known.
    pub async fn finish(self) -> Result<Ended, TransportError> {
        match self {
            Self::Ssh(output) => {
                let exit = output.finish().await.map_err(TransportError::Ssh)?;
                let (status, signal) = match exit.status {
                    provision_ssh::Status::Exited(status) => (Some(status), None),
                    provision_ssh::Status::Signalled(signal) => (None, Some(signal.escaped())),
                };
                Ok(Ended {
                    status,
                    signal,
                    stderr: exit.stderr.escaped(),
                })
            }
            Self::Local(output) => output.finish().await.map_err(TransportError::Local),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.signal) {
            (Some(status), _) => write!(f, "exit status {status}")?,
            (None, Some(signal)) => write!(f, "killed by signal {signal}")?,
            (None, None) => f.write_str("ended in an unknown way")?,
        }
        let stderr = self.stderr.trim();
        if stderr.is_empty() {
            Ok(())
        } else {
            write!(f, ": {stderr}")
        }
    }
}

/// Which stage a connection failed in, and what to do about it.
fn reach_error(error: ConnectError) -> ReachError {
    let (stage, hint) = match error.kind() {
        ConnectErrorKind::Resolve => (ReachStage::Connect, "set [host] address, or HostName in ~/.ssh/config"),
        ConnectErrorKind::Refused => (
            ReachStage::Connect,
            "check that the server runs, and [host] address and port",
        ),
        ConnectErrorKind::TimedOut(Stage::Authentication) => (ReachStage::Authenticate, "check the load of the host"),
        ConnectErrorKind::TimedOut(Stage::Resolve | Stage::Tcp | Stage::Banner | Stage::KeyExchange) => (
            ReachStage::Connect,
            "check that the server runs, and that no firewall drops the packets",
        ),
        ConnectErrorKind::HostKey => (ReachStage::HostKey, ""),
        ConnectErrorKind::Auth => (
            ReachStage::Authenticate,
            "try: ssh -v to the same host as the same user",
        ),
        ConnectErrorKind::Ungreeted => (
            ReachStage::Connect,
            "it was tried several times: the server may have too many logins open at once (MaxStartups), or keep this address out for a while (PerSourcePenalties, fail2ban)",
        ),
        ConnectErrorKind::Protocol => (ReachStage::Connect, ""),
        ConnectErrorKind::Config => (ReachStage::Connect, "check ~/.ssh/config and the host's [host] table"),
        ConnectErrorKind::Local => (ReachStage::Connect, ""),
    };
    let reached = ReachError::new(stage, error);
    if hint.is_empty() { reached } else { reached.hint(hint) }
}
