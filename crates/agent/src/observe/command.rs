//! Guards of commands: whether there is something to do. A guard runs as the command would; whether the command then
//! runs is the planner's decision.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use provision_core::model::{AbsPath, CommandSpec, CommandState, Guard, HostText};

use super::reason;
use crate::accounts::{Accounts, NoSuchAccount};
use crate::child::{self, ChildError, Invocation, status_words};

/// How long a guard may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The longest last line of a guard that is told, in characters.
const TAIL: usize = 200;

/// Why a command cannot be started as it is declared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvocationError {
    /// There is no program.
    #[error("the command is empty")]
    Empty,
    /// It is to run as a user who does not exist.
    #[error("it cannot run")]
    User(#[source] NoSuchAccount),
    /// It is to run in a directory that does not exist.
    #[error("its working directory {cwd} does not exist")]
    WorkingDirectory {
        /// The directory.
        cwd: AbsPath,
    },
    /// Only root may run as somebody else.
    #[error("only root can run it as {user}")]
    NotRoot {
        /// The user.
        user: String,
    },
}

/// A command line of a command (its own, or its guard's) as its user, in its directory, with its environment.
/// `setpriv` changes the user: it sets the user's own groups too, which the standard library cannot.
///
/// # Errors
/// [`InvocationError`].
pub(crate) fn invocation(
    spec: &CommandSpec,
    argv: &[String],
    accounts: &Accounts,
    deadline: Duration,
) -> Result<Invocation, InvocationError> {
    let [program, args @ ..] = argv else {
        return Err(InvocationError::Empty);
    };
    if let Some(cwd) = &spec.cwd
        && !Path::new(cwd.as_str()).is_dir()
    {
        return Err(InvocationError::WorkingDirectory { cwd: cwd.clone() });
    }
    let own = rustix::process::geteuid().as_raw();
    let mut invocation = match &spec.user {
        None => Invocation::new(program, deadline).args(args),
        Some(name) => {
            let missing = || InvocationError::User(NoSuchAccount::User { name: name.clone() });
            let user = accounts.user(name).ok_or_else(missing)?;
            let started = if user.uid == own {
                Invocation::new(program, deadline).args(args)
            } else if own == 0 {
                Invocation::new("setpriv", deadline)
                    .args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid)])
                    .args(["--init-groups", "--"])
                    .args(argv)
            } else {
                return Err(InvocationError::NotRoot { user: name.clone() });
            };
            started
                .env("HOME", &user.home)
                .env("USER", &user.name)
                .env("LOGNAME", &user.name)
        }
    };
    for (name, value) in &spec.env {
        invocation = invocation.env(name, value);
    }
    if let Some(cwd) = &spec.cwd {
        invocation = invocation.cwd(cwd.as_str());
    }
    Ok(invocation)
}

/// Tries the guard.
pub(super) fn observe(spec: &CommandSpec, accounts: &Accounts) -> Result<CommandState, String> {
    match &spec.guard {
        Guard::Creates(path) => creates(path),
        Guard::Unless(argv) => unless(spec, argv, accounts, DEADLINE),
    }
}

fn creates(path: &AbsPath) -> Result<CommandState, String> {
    let found = std::fs::symlink_metadata(path.as_str());
    let state = |satisfied, what| CommandState {
        satisfied,
        detail: HostText::new(format!("{path} {what}")),
    };
    match found {
        Ok(_) => Ok(state(true, "exists")),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(state(false, "is absent"))
        }
        Err(error) => Err(format!("cannot look at {path}: {error}")),
    }
}

fn unless(
    spec: &CommandSpec,
    argv: &[String],
    accounts: &Accounts,
    deadline: Duration,
) -> Result<CommandState, String> {
    let open = |detail: String| CommandState {
        satisfied: false,
        detail: HostText::new(detail),
    };
    let invocation = match invocation(spec, argv, accounts, deadline) {
        Ok(invocation) => invocation,
        // An earlier step of the same plan may bring these about.
        Err(error @ (InvocationError::User(_) | InvocationError::WorkingDirectory { .. })) => {
            return Ok(open(reason(&error)));
        }
        Err(error @ (InvocationError::Empty | InvocationError::NotRoot { .. })) => return Err(reason(&error)),
    };
    let mut last = String::new();
    match child::run(&invocation, |line| last = line.chars().take(TAIL).collect()) {
        Ok(status) if status.success() => Ok(CommandState {
            satisfied: true,
            detail: HostText::new(status_words(status)),
        }),
        Ok(status) if last.is_empty() => Ok(open(status_words(status))),
        Ok(status) => Ok(open(format!("{}: {last}", status_words(status)))),
        Err(ChildError::Start { program, source }) if is_absent(&source) => {
            Ok(open(format!("{program} cannot be started: {source}")))
        }
        Err(error) => Err(reason(&error)),
    }
}

/// Whether a program could not be started for being absent, or no program yet.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
}
