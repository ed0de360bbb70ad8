//! A secret from a command's standard output: for password managers and vaults with a command line. No shell is started, nothing is given to
//! the command but this process's environment, and it has a deadline.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use crate::error::Problem;
use crate::escape::excerpt;
use crate::value::{MAX_VALUE_BYTES, SecretValue};

/// How long a command may take: enough for a vault far away, not for a person to find a phone.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The most that is kept of what a command says on its standard error, in bytes.
const MAX_STDERR: usize = 8192;

/// Runs a command and takes what it prints, byte for byte.
pub(crate) async fn value(argv: &[String], limit: Duration) -> Result<SecretValue, Problem> {
    let cannot_start = |source| Problem::CannotStart {
        source: Arc::new(source),
    };
    let Some((program, arguments)) = argv.split_first() else {
        return Err(cannot_start(std::io::Error::from(std::io::ErrorKind::InvalidInput)));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what it has started ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot_start)?;
    let group = child.id();
    let done = tokio::time::timeout(limit, run(&mut child)).await;
    let Ok(done) = done else {
        kill(group);
        return Err(Problem::TimedOut { limit });
    };
    let (status, value, stderr) = done.map_err(cannot_start)?;
    if value.len() > MAX_VALUE_BYTES {
        kill(group);
        return Err(Problem::TooLarge);
    }
    if !status.success() {
        use std::os::unix::process::ExitStatusExt as _;
        let status = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or(0)),
        };
        return Err(Problem::CommandFailed {
            status,
            // What it had printed may be the value, and be in what it said, in whatever form.
            stderr: value.expose().trim_ascii().is_empty().then(|| excerpt(&stderr)),
        });
    }
    Ok(value)
}

async fn run(child: &mut Child) -> std::io::Result<(std::process::ExitStatus, SecretValue, Zeroizing<Vec<u8>>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (value, stderr) = tokio::join!(read(stdout, MAX_VALUE_BYTES + 1), read(stderr, MAX_STDERR));
    let (mut value, stderr) = (value?, stderr?);
    // Where there is more than fits, the pipes are closed by now, and the command ends of that.
    let status = child.wait().await?;
    Ok((status, SecretValue::new(std::mem::take(&mut *value)), stderr))
}

/// Reads up to a number of bytes into memory that is allocated once.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; most]);
    let mut length = 0;
    if let Some(mut pipe) = pipe {
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match pipe.read(rest).await? {
                0 => break,
                more => length += more,
            }
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn kill(group: Option<u32>) {
    let pid = group.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Nobody is left where it fails.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn the_output_is_the_value_byte_for_byte() {
        let value = value(&sh(r"printf 'a\0\377\n'; printf noise >&2"), DEADLINE)
            .await
            .unwrap();
        assert_eq!(value.expose(), b"a\0\xff\n");
    }

    #[tokio::test]
    async fn no_shell_reads_the_arguments() {
        let argv = ["printf", "%s", "$HOME;`id`"].map(str::to_owned);
        assert_eq!(value(&argv, DEADLINE).await.unwrap().expose(), b"$HOME;`id`");
    }

    #[tokio::test]
    async fn a_failure_tells_what_was_said_unless_a_value_may_be_in_it() {
        let failed = async |script| value(&sh(script), DEADLINE).await.unwrap_err().to_string();
        assert_eq!(
            failed("echo; echo 'no vault \x1b[2J' >&2; exit 3").await,
            "the command ended with exit code 3, saying: no vault \\u{1b}[2J"
        );
        assert_eq!(
            failed("echo canary-7f3a; echo canary-7f3a | base64 >&2; exit 3").await,
            "the command ended with exit code 3; what it said is not shown, since it had printed something that may be the value"
        );
    }

    #[tokio::test]
    async fn what_cannot_start_never_ends_or_says_too_much_is_told_apart() {
        let missing = value(&["/nonexistent/vault".to_owned()], DEADLINE).await;
        assert!(matches!(missing, Err(Problem::CannotStart { .. })), "{missing:?}");
        assert!(matches!(value(&[], DEADLINE).await, Err(Problem::CannotStart { .. })));
        // Its child holds the pipe open: both have to go.
        let slow = value(&sh("sleep 1000 & sleep 1000"), Duration::from_millis(200)).await;
        assert!(matches!(slow, Err(Problem::TimedOut { .. })), "{slow:?}");
        let large = value(&sh("yes"), DEADLINE).await;
        assert!(matches!(large, Err(Problem::TooLarge)), "{large:?}");
        let killed = value(&sh("kill -9 $$"), DEADLINE).await.unwrap_err();
        assert!(killed.to_string().contains("signal 9"), "{killed}");
    }
}
