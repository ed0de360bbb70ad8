//! Runs the system's own programs (`ip`, `iptables`, `ssh-keygen`, …) and turns a failure into an error that shows what was run and what it said.
//! It deliberately knows nothing of what the programs are for, and never goes through a shell.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// Where root's programs live. A user's `PATH` under `su` or cron lacks the `sbin` directories.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program of the machine outside could not be started, or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It could not be started, or its output could not be read.
    #[error("cannot run `{program}`")]
    Start {
        /// The program's name.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It ran and ended with something else than success.
    #[error("`{command}` failed ({status}): {stderr}")]
    Failed {
        /// The program and its arguments, joined by spaces.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to its error output, trimmed.
        stderr: String,
    },
}

/// A command that finds the system's programs whatever `PATH` says, speaks English, and reads nothing.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(find(program).unwrap_or_else(|| PathBuf::from(program)));
    command
        .env("PATH", search_path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    command
}

/// The file that would be executed for `program`, if there is one.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(SYSTEM_PATH);
    path
}

/// Runs a program to its end and returns its standard output.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Result<Vec<u8>, ProgramError> {
    run_with_input(program, args, "")
}

/// As [`run`], with `input` on its standard input.
pub(crate) fn run_with_input<S: AsRef<OsStr>>(program: &str, args: &[S], input: &str) -> Result<Vec<u8>, ProgramError> {
    let start = |source| ProgramError::Start {
        program: program.to_owned(),
        source,
    };
    let mut child = command(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading everything says why in its exit status.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(start(error)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(start)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words: Vec<_> = std::iter::once(program.into())
        .chain(args.iter().map(|arg| arg.as_ref().to_string_lossy()))
        .collect();
    Err(ProgramError::Failed {
        command: words.join(" "),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_returned_and_input_is_fed() {
        assert_eq!(run_with_input("cat", &["-"], "words").unwrap(), b"words");
    }

    #[test]
    fn a_failure_shows_the_command_and_its_words() {
        let error = run("ls", &["/no/such/place"]).unwrap_err().to_string();
        assert!(error.contains("`ls /no/such/place` failed"), "{error}");
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run::<&str>("no-such-program", &[]).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `no-such-program`");
    }

    #[test]
    fn system_directories_are_searched() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }
}
