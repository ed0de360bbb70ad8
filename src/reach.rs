//! Why a host could not be reached: one type for every way and every stage. It does not say what the exit code is.

use std::error::Error;
use std::fmt;

/// How far the way to a host was gone when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReachStage {
    /// Finding the address and opening a connection.
    Connect,
    /// Checking that the host is the one that is pinned.
    HostKey,
    /// Authenticating the user.
    Authenticate,
    /// Becoming root.
    Privilege,
    /// Bringing the agent, and starting it.
    Agent,
    /// Talking with the agent.
    Session,
}

impl ReachStage {
    /// The stage's one word, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::HostKey => "host-key",
            Self::Authenticate => "authenticate",
            Self::Privilege => "privilege",
            Self::Agent => "agent",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for ReachStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "cannot connect",
            Self::HostKey => "the host key is not trusted",
            Self::Authenticate => "cannot log in",
            Self::Privilege => "cannot become root",
            Self::Agent => "cannot start the agent",
            Self::Session => "the session with the agent broke",
        })
    }
}

/// Why a host could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{stage}")]
pub struct ReachError {
    /// How far it went.
    pub stage: ReachStage,
    /// What was in the way.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
    /// What to do about it, each a sentence or a command.
    pub hints: Vec<String>,
}

impl ReachError {
    /// A failure of that stage.
    pub fn new(stage: ReachStage, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            stage,
            source: source.into(),
            hints: Vec::new(),
        }
    }

    /// The same, with something to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
