//! Talking to an ssh-agent: which keys it holds, and signatures by them.
//! It never forwards the agent, and believes nothing of it that would cost memory: russh's client
//! allocates whatever length an agent names.

use std::path::Path;

use bytes::{Buf, BufMut};
use russh::keys::{
    Algorithm, HashAlg, PublicKey,
    agent::{AgentIdentity, AgentSessionBinding},
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{Duration, timeout},
};

/// OpenSSH's own limit on agent messages.
const MAX_MESSAGE: usize = 256 << 10;

/// More keys than this in one agent is a mistake; each is looked at.
const MAX_KEYS: u32 = 256;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION: u8 = 27;

/// `SSH_AGENT_RSA_SHA2_512`: never SHA-1.
const RSA_SHA2_512: u32 = 4;

/// Why the agent is of no use.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    #[error("cannot reach the ssh-agent at {path}: {reason}")]
    Connect { path: String, reason: String },
    #[error("the ssh-agent did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("the ssh-agent broke off: {0}")]
    Broken(String),
    #[error("the ssh-agent's answer is malformed: {0}")]
    Malformed(&'static str),
    #[error("the ssh-agent will not sign with this key")]
    Declined,
    /// The SSH connection went away while the agent was busy.
    #[error("the connection closed")]
    Closed,
}

impl From<russh::SendError> for AgentError {
    fn from(_: russh::SendError) -> Self {
        Self::Closed
    }
}

/// A connection to an agent.
pub(crate) struct Agent {
    stream: UnixStream,
    patience: Duration,
}

impl Agent {
    /// Connects, and binds the agent to this SSH connection so that it can enforce the destinations
    /// that keys are limited to.
    pub(crate) async fn connect(
        path: &Path,
        patience: Duration,
        binding: Option<&AgentSessionBinding>,
    ) -> Result<Self, AgentError> {
        let connecting = timeout(patience, UnixStream::connect(path)).await;
        let stream = connecting
            .map_err(|_| AgentError::TimedOut(patience))?
            .map_err(|error| AgentError::Connect {
                path: path.display().to_string(),
                reason: error.to_string(),
            })?;
        let mut agent = Self { stream, patience };
        if let Some(binding) = binding {
            let mut message = vec![EXTENSION];
            put_string(&mut message, b"session-bind@openssh.com");
            put_string(&mut message, binding.host_key());
            put_string(&mut message, binding.session_id());
            put_string(&mut message, binding.signature());
            message.put_u8(0); // not a forwarded agent
            // Agents without this extension answer "failure", which changes nothing.
            agent.ask(&message, patience).await?;
        }
        Ok(agent)
    }

    /// The plain keys the agent holds, in its order. Certificates and key types that we cannot
    /// decode are passed over.
    pub(crate) async fn keys(&mut self) -> Result<Vec<PublicKey>, AgentError> {
        let answer = self.ask(&[REQUEST_IDENTITIES], self.patience).await?;
        let mut answer = answer.as_slice();
        if answer.try_get_u8() != Ok(IDENTITIES_ANSWER) {
            return Err(AgentError::Malformed("not a list of keys"));
        }
        let count = answer
            .try_get_u32()
            .map_err(|_| AgentError::Malformed("no number of keys"))?;
        if count > MAX_KEYS {
            return Err(AgentError::Malformed("it holds too many keys"));
        }
        let mut keys = Vec::new();
        for _ in 0..count {
            let blob = take_string(&mut answer)?;
            take_string(&mut answer)?; // comment
            keys.extend(
                russh::keys::key::parse_public_key(blob)
                    .ok()
                    .filter(|key| !key.key_data().is_certificate()),
            );
        }
        Ok(keys)
    }

    /// Signs `data`; the answer is an SSH signature in wire encoding.
    async fn sign(&mut self, key: &PublicKey, data: &[u8]) -> Result<Vec<u8>, AgentError> {
        let rsa = matches!(key.algorithm(), Algorithm::Rsa { .. });
        let mut message = vec![SIGN_REQUEST];
        put_string(
            &mut message,
            &key.to_bytes().map_err(|_| AgentError::Malformed("not a key"))?,
        );
        put_string(&mut message, data);
        message.put_u32(if rsa { RSA_SHA2_512 } else { 0 });
        // No limit of its own: a person may have to touch a key. The handshake's deadline holds.
        let answer = self.ask(&message, Duration::MAX).await?;
        let mut answer = answer.as_slice();
        if answer.try_get_u8() != Ok(SIGN_RESPONSE) {
            return Err(AgentError::Declined);
        }
        let signature = take_string(&mut answer)?;
        let mut inside = signature;
        let algorithm = take_string(&mut inside)?;
        if rsa && algorithm != b"rsa-sha2-512" {
            return Err(AgentError::Malformed("it signed with another algorithm than asked for"));
        }
        Ok(signature.to_vec())
    }

    /// Sends one message and reads one answer.
    async fn ask(&mut self, message: &[u8], patience: Duration) -> Result<Vec<u8>, AgentError> {
        let broken = |error: std::io::Error| AgentError::Broken(error.to_string());
        let exchange = async {
            let mut framed = Vec::with_capacity(message.len() + 4);
            put_string(&mut framed, message);
            self.stream.write_all(&framed).await.map_err(broken)?;
            let length = self.stream.read_u32().await.map_err(broken)? as usize;
            if length == 0 || length > MAX_MESSAGE {
                return Err(AgentError::Malformed("its length is out of bounds"));
            }
            let mut answer = vec![0; length];
            self.stream.read_exact(&mut answer).await.map_err(broken)?;
            Ok(answer)
        };
        timeout(patience, exchange)
            .await
            .map_err(|_| AgentError::TimedOut(patience))?
    }
}

/// Lets russh have its authentication request signed by the agent.
impl russh::Signer for Agent {
    type Error = AgentError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        _hash: Option<HashAlg>,
        mut request: Vec<u8>,
    ) -> Result<Vec<u8>, AgentError> {
        let signature = self.sign(&key.public_key(), &request).await?;
        put_string(&mut request, &signature);
        Ok(request)
    }
}

/// Appends an SSH string. All ours are far below 4 GiB.
fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

/// Takes an SSH string off the front.
fn take_string<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], AgentError> {
    let short = AgentError::Malformed("it is shorter than it says");
    let Ok(length) = bytes.try_get_u32() else {
        return Err(short);
    };
    let Some((string, rest)) = bytes.split_at_checked(length as usize) else {
        return Err(short);
    };
    *bytes = rest;
    Ok(string)
}
