//! Running one command on a host and passing its output on by lines. It changes nothing by itself.

use provision_core::model::{Connection, HostName, HostText};

use super::{Channel, ReachError, ReachStage};
use crate::events::{ExecEnd, OutputStream, Progress};
use crate::transport::{self, TransportError, quote};

/// The longest line that is passed on in one piece, in bytes.
const LINE_BYTES: usize = 64 << 10;

pub(super) async fn exec<T>(
    host: &HostName,
    connection: &Connection,
    argv: &[String],
    channel: &Channel<T>,
) -> Result<ExecEnd, ReachError> {
    let lost = |error: TransportError| ReachError::new(ReachStage::Session, error);
    channel.progress(Progress::Connecting).await;
    let transport = transport::open(host, connection, channel.options.timeout).await?;
    let command = format!("exec {}{}", transport.privilege(), quote(argv));
    let (input, mut output) = transport.start(&command).await.map_err(lost)?;
    // The command gets no input. One that has ended by now needs no telling.
    let _ = input.eof().await;
    let mut lines = Lines::default();
    while let Some(bytes) = output.chunk().await.map_err(lost)? {
        for line in lines.feed(&bytes) {
            channel
                .progress(Progress::Output {
                    stream: OutputStream::Stdout,
                    line,
                })
                .await;
        }
    }
    if let Some(line) = lines.rest() {
        channel
            .progress(Progress::Output {
                stream: OutputStream::Stdout,
                line,
            })
            .await;
    }
    let ended = output.finish().await.map_err(lost)?;
    for line in ended.stderr.lines() {
        let line = HostText::from(line);
        channel
            .progress(Progress::Output {
                stream: OutputStream::Stderr,
                line,
            })
            .await;
    }
    transport.close().await;
    match (ended.status, ended.signal) {
        (Some(status), _) => Ok(ExecEnd::Exited(status)),
        (None, Some(signal)) => Ok(ExecEnd::Killed(HostText::new(signal))),
        (None, None) => Err(ReachError::new(
            ReachStage::Session,
            "the host does not say how the command ended",
        )),
    }
}

/// Cuts output into lines of bounded length.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn feed(&mut self, bytes: &[u8]) -> Vec<HostText> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.0.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.0.pop();
                lines.extend(self.take());
            } else if self.0.len() >= LINE_BYTES {
                lines.extend(self.take());
            }
        }
        lines
    }

    fn take(&mut self) -> Option<HostText> {
        let line = std::mem::take(&mut self.0);
        Some(HostText::new(String::from_utf8_lossy(&line)))
    }

    fn rest(&mut self) -> Option<HostText> {
        if self.0.is_empty() { None } else { self.take() }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, Lines};

    #[test]
    fn output_in_any_pieces_gives_its_lines() {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for piece in [&b"a\nb"[..], b"c\n\n", b"d"] {
            all.extend(lines.feed(piece));
        }
        all.extend(lines.rest());
        let texts: Vec<_> = all.iter().map(|line| line.untrusted().to_owned()).collect();
        assert_eq!(texts, ["a", "bc", "", "d"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        let cut = lines.feed(&vec![b'x'; LINE_BYTES]);
        assert_eq!(cut.len(), 1);
        assert!(lines.rest().is_none());
    }
}
