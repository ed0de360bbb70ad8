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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use provision_core::model::Millis;

    use super::*;
    use crate::testing::Scratch;

    fn command(guard: Guard) -> CommandSpec {
        CommandSpec {
            name: "test".to_owned(),
            run: vec!["false".to_owned()],
            guard,
            user: None,
            cwd: None,
            env: BTreeMap::from([("COLOUR".to_owned(), "blue".to_owned())]),
            timeout: Millis::seconds(1),
        }
    }

    fn sh(script: &str) -> CommandSpec {
        command(Guard::Unless(["sh", "-c", script].map(str::to_owned).to_vec()))
    }

    fn look(spec: &CommandSpec) -> (bool, String) {
        let accounts = Accounts::parse(
            b"bot:x:1234:4321::/home/bot:\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
            b"",
        );
        let state = observe(spec, &accounts).unwrap();
        (state.satisfied, state.detail.untrusted().to_owned())
    }

    #[test]
    fn the_exit_status_decides_and_the_last_line_tells() {
        assert_eq!(look(&sh("exit 0")), (true, "exit status 0".to_owned()));
        assert_eq!(look(&sh("exit 3")), (false, "exit status 3".to_owned()));
        assert_eq!(
            look(&sh("echo first; echo no such thing >&2; exit 1")),
            (false, "exit status 1: no such thing".to_owned())
        );
        let (satisfied, detail) = look(&sh("kill -9 $$"));
        assert!(!satisfied && detail == "killed by signal 9", "{detail}");
        let (_, detail) = look(&sh("head -c 3000 /dev/zero | tr '\\0' x; exit 1"));
        assert_eq!(detail.len(), "exit status 1: ".len() + TAIL);
    }

    #[test]
    fn it_runs_as_the_command_would() {
        let scratch = Scratch::new();
        let mut spec = sh("test $COLOUR = blue && test \"$(pwd)\" = \"$EXPECTED\" && test $HOME = /root");
        spec.cwd = Some(AbsPath::new(scratch.path().to_str().unwrap()).unwrap());
        spec.env
            .insert("EXPECTED".to_owned(), scratch.path().to_str().unwrap().to_owned());
        assert_eq!(look(&spec), (true, "exit status 0".to_owned()));

        let mut spec = sh("echo $(id -u) $(id -g) $(id -G) $HOME $USER; exit 1");
        spec.user = Some("nobody".to_owned());
        assert_eq!(
            look(&spec),
            (false, "exit status 1: 65534 65534 65534 /nonexistent nobody".to_owned())
        );
    }

    #[test]
    fn another_user_comes_with_its_own_groups_and_without_ours() {
        let mut spec = sh("true");
        spec.user = Some("bot".to_owned());
        let accounts = Accounts::parse(b"bot:x:1234:4321::/home/bot:\n", b"");
        let argv = ["tool".to_owned(), "--flag".to_owned()];
        let invocation = invocation(&spec, &argv, &accounts, DEADLINE).unwrap();
        let shown = format!("{invocation:?}");
        let arguments = r#"args: ["--reuid=1234", "--regid=4321", "--init-groups", "--", "tool", "--flag"]"#;
        assert!(shown.contains(arguments), "{shown}");
    }

    #[test]
    fn what_is_not_there_yet_leaves_the_guard_open() {
        let absent = command(Guard::Unless(vec!["no-such-tool".to_owned()]));
        let (satisfied, detail) = look(&absent);
        assert!(
            !satisfied && detail.starts_with("no-such-tool cannot be started: "),
            "{detail}"
        );
        let mut spec = sh("exit 0");
        spec.user = Some("later".to_owned());
        assert_eq!(
            look(&spec),
            (
                false,
                "it cannot run: the user \"later\" does not exist on this host".to_owned()
            )
        );
        let mut spec = sh("exit 0");
        spec.cwd = Some(AbsPath::new("/no/such/place").unwrap());
        assert_eq!(
            look(&spec),
            (false, "its working directory /no/such/place does not exist".to_owned())
        );
    }

    #[test]
    fn a_guard_that_does_not_end_is_unknown() {
        let spec = sh("sleep 1000");
        let Guard::Unless(argv) = &spec.guard else {
            panic!("it is one");
        };
        let error = unless(&spec, argv, &Accounts::default(), Duration::from_millis(200)).unwrap_err();
        assert!(error.starts_with("sh did not end within 0.2 s"), "{error}");
    }

    #[test]
    fn what_a_command_creates_may_be_anything() {
        let scratch = Scratch::new();
        let path = AbsPath::new(scratch.path().join("made").to_str().unwrap()).unwrap();
        let spec = command(Guard::Creates(path.clone()));
        assert_eq!(look(&spec), (false, format!("{path} is absent")));
        std::os::unix::fs::symlink("dangling", path.as_str()).unwrap();
        assert_eq!(look(&spec), (true, format!("{path} exists")));
        let below = command(Guard::Creates(AbsPath::new("/etc/passwd/x").unwrap()));
        assert_eq!(look(&below), (false, "/etc/passwd/x is absent".to_owned()));
    }
}
