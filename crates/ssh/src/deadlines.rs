//! How long each stage of a connection may take, and the names of the stages.
//! It does not enforce anything: each stage does so where it waits.

use std::{fmt, time::Duration};

/// The longest wait of each stage. Every value is a limit on one wait, measured on the monotonic
/// clock.
#[derive(Clone, Debug)]
pub struct Deadlines {
    /// Name resolution and TCP (or the jump host's channel), over all addresses of the host together.
    /// `ConnectTimeout` of ssh_config overrides it.
    pub tcp: Duration,
    /// Banner, key exchange and authentication together.
    pub handshake: Duration,
    /// One answer of the ssh-agent when listing keys. A signature may take as long as the handshake,
    /// because a person may have to touch a security key.
    pub agent: Duration,
    /// The server's answer to a channel open, and to an exec request.
    pub open: Duration,
    /// One write, from the call until the data has been handed to the connection.
    pub write: Duration,
    /// From the end of the command's output to its exit status.
    pub exit: Duration,
    /// Silence of the server after which a keepalive is sent.
    pub keepalive: Duration,
    /// Unanswered keepalives after which the connection is lost.
    pub keepalives: usize,
    /// Saying goodbye.
    pub close: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            tcp: Duration::from_secs(10),
            handshake: Duration::from_secs(15),
            agent: Duration::from_secs(5),
            open: Duration::from_secs(10),
            write: Duration::from_secs(30),
            exit: Duration::from_secs(30),
            keepalive: Duration::from_secs(5),
            keepalives: 3,
            close: Duration::from_secs(1),
        }
    }
}

/// What a connection was doing when it ran out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for name resolution.
    Resolve,
    /// Waiting for TCP, or for a jump host to open its channel.
    Tcp,
    /// Connected, but the peer has not sent one byte.
    Banner,
    /// The peer speaks; the keys are not agreed yet.
    KeyExchange,
    /// The keys are agreed; waiting for a verdict on our own key.
    Authentication,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "name resolution",
            Self::Tcp => "TCP connection",
            Self::Banner => "SSH banner",
            Self::KeyExchange => "key exchange",
            Self::Authentication => "authentication",
        })
    }
}
