//! Commands on this machine, through the same shell line as over SSH, so that both ways behave alike.

use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use provision_core::model::HostText;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::Ended;

/// How much of standard error is kept, in bytes.
const STDERR_BYTES: usize = 64 << 10;

/// A child's input.
pub struct Input(ChildStdin);

/// A child's output.
pub struct Output {
    child: Child,
    stdout: ChildStdout,
    stderr: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

pub(super) fn start(command: &str) -> io::Result<(Input, Output)> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // Ctrl-C is for the controller; what it has started goes on, as over SSH.
        .process_group(0)
        .spawn()?;
    let missing = || io::Error::other("the child has no pipes");
    let input = Input(child.stdin.take().ok_or_else(missing)?);
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let mut pipe = child.stderr.take().ok_or_else(missing)?;
    let stderr = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&stderr);
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
            if let Ok(mut kept) = kept.lock() {
                let room = STDERR_BYTES.saturating_sub(kept.len());
                kept.extend_from_slice(&buffer[..count.min(room)]);
            }
        }
    });
    Ok((
        input,
        Output {
            child,
            stdout,
            stderr,
            reading,
        },
    ))
}

impl Input {
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    pub(super) async fn eof(mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

impl Output {
    pub(super) async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; 32 << 10];
        let count = self.stdout.read(&mut buffer).await?;
        buffer.truncate(count);
        Ok((count > 0).then_some(buffer))
    }

    pub(super) async fn finish(mut self) -> io::Result<Ended> {
        use std::os::unix::process::ExitStatusExt as _;

        while self.chunk().await?.is_some() {}
        let status = self.child.wait().await?;
        // A grandchild may keep the pipe open; what is there by now is what is told.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), &mut self.reading).await;
        let stderr = self.stderr.lock().map(|kept| kept.clone()).unwrap_or_default();
        let stderr = HostText::new(String::from_utf8_lossy(&stderr)).escaped_lines();
        let code = status.code().and_then(|code| u32::try_from(code).ok());
        Ok(Ended {
            status: code,
            signal: status.signal().map(|signal| signal.to_string()),
            stderr,
        })
    }
}
