//! A conversation with the agent of one host: starts it, brings it where it is missing, and turns bytes into messages.
//! It asks what it is told to ask and judges no answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use provision_core::wire::{Decoder, FrameKind, Request, Response, encode, encode_message};

use super::{Channel, Patience, ReachError, ReachStage};
use crate::events::Progress;
use crate::transport::{Agents, Ended, Output, Transport, TransportError};

/// A running conversation. All requests are sent when it starts; what is left is to read the answers.
pub(super) struct Session {
    output: Output,
    decoder: Decoder,
    asked: SystemTime,
}

impl Session {
    /// Starts the agent and sends the requests at once: one round trip where the agent is there already. `taken` is set
    /// from the moment on from which the host may act on them, whatever becomes of the connection.
    pub(super) async fn start<T>(
        transport: &Transport,
        requests: &[Request],
        taken: &AtomicBool,
        channel: &Channel<T>,
    ) -> Result<Self, ReachError> {
        let patience = channel.options.patience();
        let agents = Agents::here().map_err(|error| ReachError::new(ReachStage::Agent, error))?;
        let command = agents.session_command(transport.privilege());
        let ended = match Self::attempt(transport, &command, requests, taken, patience).await? {
            Attempt::Speaks(session) => return Ok(*session),
            Attempt::Ended(ended) => ended,
        };
        not_privileged(transport, &ended)?;
        // It is missing, or of another architecture: ask which one it takes.
        let arch = architecture(transport, patience).await?;
        let agent = agents.of(&arch).map_err(|error| {
            ReachError::new(ReachStage::Agent, error).hint(format!(
                "build it on such a machine, and name its directory with PROVISION_AGENT_DIR (as provision-agent-{arch})"
            ))
        })?;
        let bytes = agent
            .bytes()
            .map_err(|error| ReachError::new(ReachStage::Agent, error))?;
        channel
            .progress(Progress::UploadingAgent {
                bytes: bytes.len() as u64,
            })
            .await;
        let install = agents.install_command(agent, bytes.len(), transport.privilege());
        bring(transport, &install, &bytes, patience).await?;
        match Self::attempt(transport, &command, requests, taken, patience).await? {
            Attempt::Speaks(session) => Ok(*session),
            Attempt::Ended(ended) => {
                let text = format!("it was put in place and does not start: {ended}");
                Err(ReachError::new(ReachStage::Agent, text).hint("/var/lib must not be mounted noexec"))
            }
        }
    }

    async fn attempt(
        transport: &Transport,
        command: &str,
        requests: &[Request],
        taken: &AtomicBool,
        patience: Patience,
    ) -> Result<Attempt, ReachError> {
        let patience = patience.word();
        let nonce = nonce();
        let bytes = frames(nonce, requests).map_err(|error| ReachError::new(ReachStage::Session, error))?;
        let (mut input, output) = transport.start(command).await.map_err(lost)?;
        let mut session = Self {
            output,
            decoder: Decoder::default(),
            asked: SystemTime::now(),
        };
        let taken_before = taken.swap(true, Ordering::Relaxed);
        // An agent that is missing, or refuses, stops reading: its answer says more than the failed write.
        let written = match input.write_all(&bytes).await {
            Ok(()) => input.eof().await,
            Err(error) => Err(error),
        };
        match tokio::time::timeout(patience, session.next()).await {
            Err(_) => {
                let text = format!("it said nothing for {} s", patience.as_secs_f32());
                Err(ReachError::new(ReachStage::Agent, text).hint("wait longer with --timeout"))
            }
            Ok(Ok(Some(Response::Hello {
                nonce: answer,
                version: _,
            }))) if answer == nonce => {
                written.map_err(lost)?;
                Ok(Attempt::Speaks(Box::new(session)))
            }
            Ok(Ok(Some(_))) => Err(ReachError::new(
                ReachStage::Agent,
                "it does not answer to this session's hello",
            )),
            // It ended before its first word, and so before it looked at any request.
            Ok(Ok(None) | Err(Broken::Silent)) => {
                let ended = tokio::time::timeout(patience, session.output.finish()).await;
                let ended = ended.map_err(|_| {
                    let text = format!("it closed its output and did not end for {} s", patience.as_secs_f32());
                    ReachError::new(ReachStage::Agent, text)
                })?;
                let ended = ended.map_err(lost)?;
                taken.store(taken_before, Ordering::Relaxed);
                Ok(Attempt::Ended(ended))
            }
            Ok(Err(Broken::Failed(error))) => Err(error),
        }
    }

    /// The next answer; `None` once the agent has said that it has no more. Safe to cancel.
    async fn next(&mut self) -> Result<Option<Response>, Broken> {
        loop {
            let message = self
                .decoder
                .next_message()
                .map_err(|error| Broken::Failed(ReachError::new(ReachStage::Session, error)))?;
            if message.is_some() || self.decoder.ended() {
                return Ok(message);
            }
            match self.output.chunk().await {
                Ok(Some(bytes)) => self.decoder.feed(&bytes),
                Ok(None) if self.decoder.silent() => return Err(Broken::Silent),
                Ok(None) => {
                    self.decoder
                        .finish()
                        .map_err(|error| Broken::Failed(ReachError::new(ReachStage::Session, error)))?;
                }
                Err(error) => return Err(Broken::Failed(lost(error))),
            }
        }
    }

    /// The next answer. Safe to cancel.
    ///
    /// # Errors
    /// The connection is lost, what comes are no frames, or the agent ends before it has answered everything.
    pub(super) async fn answer(&mut self) -> Result<Response, ReachError> {
        match self.next().await {
            Ok(Some(Response::Error(text))) => Err(ReachError::new(
                ReachStage::Session,
                format!("the agent says: {}", text.escaped()),
            )),
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(ReachError::new(
                ReachStage::Session,
                "the agent ended before it had answered everything",
            )),
            Err(Broken::Silent) => Err(ReachError::new(ReachStage::Session, "the agent ended without a word")),
            Err(Broken::Failed(error)) => Err(error),
        }
    }

    /// When the requests were sent: the clock had this reading just before.
    pub(super) const fn asked(&self) -> SystemTime {
        self.asked
    }

    /// As [`Self::answer`], within a time.
    pub(super) async fn answer_within(&mut self, limit: Duration) -> Result<Response, ReachError> {
        match tokio::time::timeout(limit, self.answer()).await {
            Ok(answer) => answer,
            Err(_) => {
                let text = format!("it said nothing for {} s", limit.as_secs_f32());
                Err(ReachError::new(ReachStage::Session, text).hint("wait longer with --timeout"))
            }
        }
    }
}

enum Attempt {
    Speaks(Box<Session>),
    Ended(Ended),
}

enum Broken {
    /// The command ended and nothing that it wrote was a frame.
    Silent,
    Failed(ReachError),
}

fn frames(nonce: u64, requests: &[Request]) -> Result<Vec<u8>, serde_json::Error> {
    let mut sequence = 0;
    let mut bytes = encode_message(&Request::Hello { nonce }, &mut sequence)?;
    for request in requests {
        bytes.extend(encode_message(request, &mut sequence)?);
    }
    bytes.extend(encode(FrameKind::End, sequence, &[]));
    Ok(bytes)
}

/// Different in every session; it need not be secret, since the channel is authenticated.
fn nonce() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn lost(error: TransportError) -> ReachError {
    ReachError::new(ReachStage::Session, error)
}

/// sudo speaks the host's language, so it is recognised by its name at the start of a line, and by the agent's absence in it.
fn not_privileged(transport: &Transport, ended: &Ended) -> Result<(), ReachError> {
    if transport.privilege().is_empty() {
        return Ok(());
    }
    let line = ended
        .stderr
        .lines()
        .find(|line| line.contains("sudo:") && !line.contains("provision-agent"));
    let text = match line {
        Some(line) => line.to_owned(),
        None if ended.stderr.contains("sudo") && !ended.stderr.contains("provision-agent") => ended.to_string(),
        None => return Ok(()),
    };
    Err(ReachError::new(ReachStage::Privilege, text)
        .hint("log in as root ([host] user = \"root\"), or let the user run sudo without a password: NOPASSWD: ALL"))
}

async fn architecture(transport: &Transport, patience: Patience) -> Result<String, ReachError> {
    // What a login shell says comes before it, and need not end its line.
    let (text, ended) = run(transport, "echo; uname -m", &[], patience.word()).await?;
    let arch = text.trim().lines().last().unwrap_or_default().trim();
    let known = !arch.is_empty() && arch.len() < 32 && arch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if known {
        return Ok(arch.to_owned());
    }
    Err(ReachError::new(
        ReachStage::Agent,
        format!("the host does not say its architecture: {ended}"),
    ))
}

async fn bring(transport: &Transport, command: &str, agent: &[u8], patience: Patience) -> Result<(), ReachError> {
    let (_, ended) = run(transport, command, agent, patience.upload()).await?;
    if ended.status == Some(0) {
        return Ok(());
    }
    Err(
        ReachError::new(ReachStage::Agent, format!("it could not be put in place: {ended}"))
            .hint("it is kept in /var/lib/provision, which must be writable and have a few megabytes free"),
    )
}

/// How much of a short command's output is kept, in bytes: its end, since login shells talk at the start.
const KEPT: usize = 4096;

/// Runs a command with input to its end, and keeps the end of its output.
async fn run(
    transport: &Transport,
    command: &str,
    input: &[u8],
    limit: Duration,
) -> Result<(String, Ended), ReachError> {
    let work = async {
        let (mut stdin, mut stdout) = transport.start(command).await?;
        // What stops reading says why when it ends.
        if stdin.write_all(input).await.is_ok() {
            let _ = stdin.eof().await;
        }
        let mut text = Vec::new();
        while let Some(bytes) = stdout.chunk().await? {
            text.extend_from_slice(&bytes);
            text.drain(..text.len().saturating_sub(KEPT));
        }
        Ok((String::from_utf8_lossy(&text).into_owned(), stdout.finish().await?))
    };
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(lost),
        Err(_) => {
            let text = format!(
                "a command that prepares it did not end within {} s",
                limit.as_secs_f32()
            );
            Err(ReachError::new(ReachStage::Agent, text).hint("wait longer with --timeout"))
        }
    }
}
