//! One command on a host: its input, its output with back-pressure, and how it ended.
//! It gives the bytes no meaning, and buffers no more than the channel's window.

use std::time::Duration;

use bytes::Bytes;
use russh::{ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig, client};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    Connection, Endpoint, ExecError, Stderr, Step, Untrusted,
    client::{Ended, Ending},
    error::ProtocolError,
};

/// A started command.
///
/// Output must be read while input is written, or both sides wait for the other; [`Exec::split`]
/// makes that possible, [`Exec::output`] does it. Output not read stops everything else on the same
/// connection, too.
#[derive(Debug)]
pub struct Exec {
    stdin: Stdin,
    stdout: Stdout,
}

/// The input of a command.
#[derive(Debug)]
pub struct Stdin {
    channel: ChannelWriteHalf<client::Msg>,
    place: Place,
    limit: Duration,
    /// Becomes true, or loses its sender, when nobody is there to take input any more. russh would
    /// wait for the window of a closed channel to grow.
    closed: watch::Receiver<bool>,
}

/// The output of a command, and in the end its stderr and status.
#[derive(Debug)]
pub struct Stdout {
    channel: ChannelReadHalf,
    place: Place,
    /// Until when the host must say that the command runs; `None` once it has said so.
    start: Option<Instant>,
    start_limit: Duration,
    exit_limit: Duration,
    ended: bool,
    closed: watch::Sender<bool>,
    stderr: Stderr,
    status: Option<Status>,
}

/// Where a command runs, for its errors.
#[derive(Clone, Debug)]
struct Place {
    endpoint: Endpoint,
    ending: Ending,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It returned this.
    Exited(u32),
    /// A signal ended it; the name has no `SIG`.
    Signalled(Untrusted),
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// How it ended.
    pub status: Status,
    /// What it wrote to stderr, bounded.
    pub stderr: Stderr,
}

impl Exit {
    /// True if the command returned 0.
    pub fn success(&self) -> bool {
        self.status == Status::Exited(0)
    }
}

/// A command's whole output.
#[derive(Clone, Debug)]
pub struct Output {
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// How it ended.
    pub exit: Exit,
}

impl Place {
    fn timed_out(&self, step: Step, limit: Duration) -> ExecError {
        ExecError::TimedOut {
            endpoint: self.endpoint.clone(),
            step,
            limit,
        }
    }

    fn lost(&self) -> ExecError {
        let endpoint = self.endpoint.clone();
        match self.ending.get() {
            Some(Ended::ByHost(message)) => ExecError::Closed { endpoint, message },
            Some(Ended::Broken(source)) => ExecError::Lost { endpoint, source },
            None => ExecError::Lost {
                endpoint,
                source: ProtocolError::new("it ended"),
            },
        }
    }
}

impl Exec {
    pub(crate) async fn start(connection: &Connection, command: &str) -> Result<Self, ExecError> {
        let place = Place {
            endpoint: connection.endpoint.clone(),
            ending: connection.ending.clone(),
        };
        let limit = connection.deadlines.open;
        let channel = match timeout(limit, connection.handle.channel_open_session()).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                return Err(ExecError::NoSession {
                    endpoint: place.endpoint,
                    reason: words(&reason),
                });
            }
            Ok(Err(_)) => return Err(place.lost()),
            Err(_) => return Err(place.timed_out(Step::Open, limit)),
        };
        let (read, write) = channel.split();
        // The answer is asked for and not waited for: reading finds it. It costs no round trip, and
        // without it a refused command would look like a silent one.
        let started = timeout(limit, write.exec(true, command)).await;
        started
            .map_err(|_| place.timed_out(Step::Start, limit))?
            .map_err(|_| place.lost())?;
        let (closed, closing) = watch::channel(false);
        let limit_write = connection.deadlines.write;
        let stdin = Stdin {
            channel: write,
            place: place.clone(),
            limit: limit_write,
            closed: closing,
        };
        let stdout = Stdout {
            channel: read,
            place,
            start: Some(Instant::now() + limit),
            start_limit: limit,
            exit_limit: connection.deadlines.exit,
            ended: false,
            closed,
            stderr: Stderr::default(),
            status: None,
        };
        Ok(Self { stdin, stdout })
    }

    /// Input and output, to be used at the same time.
    pub fn split(self) -> (Stdin, Stdout) {
        (self.stdin, self.stdout)
    }

    /// Writes all input, reads all output, and waits for the end. A command that ends without
    /// reading its input is not an error: its status says what to think of it.
    ///
    /// # Errors
    ///
    /// More than `limit` bytes of output, or anything that keeps the command's end from being known.
    pub async fn output(self, input: &[u8], limit: usize) -> Result<Output, ExecError> {
        let (mut stdin, mut stdout) = self.split();
        let write = async {
            match stdin.write_all(input).await {
                Ok(()) => stdin.eof().await,
                Err(error) => Err(error),
            }
        };
        let read = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = stdout.chunk().await? {
                if bytes.len() + chunk.len() > limit {
                    return Err(ExecError::TooMuch {
                        endpoint: stdout.place.endpoint.clone(),
                        limit,
                    });
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(Output {
                stdout: bytes,
                exit: stdout.finish().await?,
            })
        };
        tokio::pin!(write, read);
        tokio::select! {
            output = &mut read => output,
            written = &mut write => match written {
                Ok(()) | Err(ExecError::InputClosed { .. }) => read.await,
                Err(error) => Err(error),
            },
        }
    }
}

/// Our words for a refusal: the host's are not ours to print.
fn words(reason: &ChannelOpenFailure) -> &'static str {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "it is not allowed (MaxSessions?)",
        ChannelOpenFailure::ResourceShortage => "it is short of resources",
        ChannelOpenFailure::ConnectFailed => "it failed",
        _ => "it gives no usable reason",
    }
}

impl Stdin {
    /// Writes all of `bytes`. Returns when they have been handed to the connection; the write
    /// deadline applies to each 32 KiB that the host takes.
    ///
    /// # Errors
    ///
    /// The host takes nothing for the write deadline, the command's channel closed, or the
    /// connection is lost.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), ExecError> {
        for chunk in bytes.chunks(32 << 10) {
            let write = self.channel.data_bytes(Bytes::copy_from_slice(chunk));
            self.within_limit(write).await?;
        }
        Ok(())
    }

    /// Ends the input.
    ///
    /// # Errors
    ///
    /// As [`Stdin::write_all`].
    pub async fn eof(self) -> Result<(), ExecError> {
        self.within_limit(self.channel.eof()).await
    }

    async fn within_limit(&self, write: impl Future<Output = Result<(), russh::Error>>) -> Result<(), ExecError> {
        let mut closed = self.closed.clone();
        let written = async {
            tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => None,
                written = write => Some(written),
            }
        };
        match timeout(self.limit, written).await {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(_))) => Err(self.place.lost()),
            Ok(None) => Err(ExecError::InputClosed {
                endpoint: self.place.endpoint.clone(),
            }),
            Err(_) => Err(self.place.timed_out(Step::Write, self.limit)),
        }
    }
}

impl Stdout {
    /// The next piece of output, at most 32 KiB; `None` at its end. Safe to cancel: put it in a
    /// `timeout` to limit the silence of a command.
    ///
    /// # Errors
    ///
    /// The host refuses or does not start the command, or the connection is lost.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ExecError> {
        while !self.ended {
            if let Some(data) = self.next().await? {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Reads and drops what is left of the output, and returns how the command ended.
    ///
    /// # Errors
    ///
    /// As [`Stdout::chunk`]; and the host does not say how the command ended, or not in time.
    pub async fn finish(mut self) -> Result<Exit, ExecError> {
        while self.chunk().await?.is_some() {}
        let deadline = Instant::now() + self.exit_limit;
        while !*self.closed.borrow() {
            // With a status and the end of output there is nothing more to learn; waiting for the
            // channel to close would add nothing but time.
            if self.status.is_some() {
                break;
            }
            let next = timeout_at(deadline, self.next()).await;
            next.map_err(|_| self.place.timed_out(Step::Exit, self.exit_limit))??;
        }
        match self.status {
            Some(status) => Ok(Exit {
                status,
                stderr: self.stderr,
            }),
            None => Err(ExecError::NoStatus {
                endpoint: self.place.endpoint,
                stderr: self.stderr,
            }),
        }
    }

    /// Handles one message; returns it if it is output.
    async fn next(&mut self) -> Result<Option<Bytes>, ExecError> {
        let message = match self.start {
            None => self.channel.wait().await,
            Some(deadline) => match timeout_at(deadline, self.channel.wait()).await {
                Ok(message) => message,
                Err(_) => return Err(self.place.timed_out(Step::Start, self.start_limit)),
            },
        };
        match message {
            Some(ChannelMsg::Data { data }) => {
                self.start = None;
                return Ok((!data.is_empty()).then_some(data));
            }
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                self.start = None;
                self.stderr.push(&data);
            }
            Some(ChannelMsg::Success) => self.start = None,
            Some(ChannelMsg::Failure) if self.start.is_some() => {
                return Err(ExecError::Refused {
                    endpoint: self.place.endpoint.clone(),
                });
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                self.status.get_or_insert(Status::Exited(exit_status));
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.status
                    .get_or_insert(Status::Signalled(Untrusted::new(signal(&signal_name))));
            }
            Some(ChannelMsg::Eof) => self.ended = true,
            Some(ChannelMsg::Close) => {
                self.ended = true;
                self.closed.send_replace(true);
            }
            None => {
                self.ended = true;
                self.closed.send_replace(true);
                return Err(self.place.lost());
            }
            // Window changes and the like: russh has dealt with them.
            Some(_) => {}
        }
        Ok(None)
    }
}

fn signal(signal: &Sig) -> &str {
    match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    }
}
