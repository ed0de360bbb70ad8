//! Why there is no connection, as values a caller can match on, and their classes.
//! It prints no advice: the command line turns kinds into hints and exit codes.

use std::{fmt, io, path::Path, time::Duration};

use thiserror::Error;

use crate::{Endpoint, ExpectedKey, OfferedKey, Place, RouteError, Stage, Untrusted, known_hosts::KnownHostsError};

/// Why a host could not be reached, identified or convinced.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// ssh_config or the target cannot be used.
    #[error("cannot work out how to reach '{alias}'")]
    Route {
        /// The host as named.
        alias: String,
        /// Why.
        #[source]
        source: RouteError,
    },
    /// A pin of the target is not a public key.
    #[error(
        "the pinned host key '{pin}' of '{alias}' is not a public key: write it as in a .pub file, ssh-ed25519 AAAA…"
    )]
    Pin {
        /// The host as named.
        alias: String,
        /// The pin.
        pin: String,
    },
    /// Jump hosts lead through more hosts than anyone has.
    #[error("'{alias}' is behind more than {limit} jump hosts: ProxyJump probably leads back to itself")]
    TooManyJumps {
        /// The host as named.
        alias: String,
        /// How many are allowed.
        limit: usize,
    },
    /// A known_hosts file is there and cannot be read, so its revocations are not known.
    #[error("cannot check the host key of {endpoint}")]
    KnownHosts {
        /// Where to.
        endpoint: Endpoint,
        /// Which file, and why.
        #[source]
        source: KnownHostsError,
    },
    /// The name has no address.
    #[error("cannot resolve {endpoint}")]
    Resolve {
        /// Where to.
        endpoint: Endpoint,
        /// Why; `None` if the name exists without an address.
        #[source]
        source: Option<io::Error>,
    },
    /// Nobody listens there, or the network says no.
    #[error("cannot connect to {endpoint}")]
    Refused {
        /// Where to.
        endpoint: Endpoint,
        /// What the network says.
        #[source]
        source: io::Error,
    },
    /// A stage took too long.
    #[error("{endpoint} did not finish the {stage} within {} s", limit.as_secs_f32())]
    TimedOut {
        /// Where to.
        endpoint: Endpoint,
        /// The stage.
        stage: Stage,
        /// Its deadline.
        limit: Duration,
    },
    /// No key is known for this host. There is no trust on first use.
    #[error(
        "the host key of {endpoint} is not known: it presents {} {}. Compare it with the host's console \
         (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub); if it is right, pin it: host_key = \"{}\"",
        offered.algorithm, offered.fingerprint, offered.public_key
    )]
    HostKeyUnknown {
        /// Where to.
        endpoint: Endpoint,
        /// What the host presented.
        offered: OfferedKey,
    },
    /// The host presents another key than the one known, perhaps of another algorithm.
    #[error(
        "the host key of {endpoint} has changed: it presents {} {}, expected is {}. Either the host was \
         reinstalled, or someone is in between",
        offered.algorithm, offered.fingerprint, Joined(expected)
    )]
    HostKeyChanged {
        /// Where to.
        endpoint: Endpoint,
        /// What was expected, and where that is written.
        expected: Vec<ExpectedKey>,
        /// What the host presented.
        offered: OfferedKey,
    },
    /// The host presents a key that known_hosts revokes.
    #[error("the host key of {endpoint}, {} {}, is revoked by {place}", offered.algorithm, offered.fingerprint)]
    HostKeyRevoked {
        /// Where to.
        endpoint: Endpoint,
        /// What the host presented.
        offered: OfferedKey,
        /// The revocation.
        place: Place,
    },
    /// The host's RSA key is too small to mean anything.
    #[error("the host key of {endpoint}, {} {}, has only {bits} bits", offered.algorithm, offered.fingerprint)]
    HostKeyWeak {
        /// Where to.
        endpoint: Endpoint,
        /// What the host presented.
        offered: OfferedKey,
        /// Its size.
        bits: usize,
    },
    /// The host and we have no algorithm in common that is fit for use.
    #[error("{endpoint} offers no {what} that is safe to use")]
    NoCommonAlgorithm {
        /// Where to.
        endpoint: Endpoint,
        /// `key exchange`, `host key`, `cipher`, `MAC` or `compression`.
        what: &'static str,
        /// What the host offers.
        offered: Untrusted,
    },
    /// The host agrees to ciphers that an attacker in between could cut (CVE-2023-48795).
    #[error("{endpoint} has neither strict key exchange nor AES-GCM: its SSH server must be updated")]
    Truncatable {
        /// Where to.
        endpoint: Endpoint,
    },
    /// The host refused every key we tried, or there was none to try.
    #[error(transparent)]
    AuthRefused(Box<AuthRefused>),
    /// The host ended the connection before it greeted, as a server does that has too many logins open.
    #[error("{endpoint} hung up before it greeted{}", Said(said))]
    Ungreeted {
        /// Where to.
        endpoint: Endpoint,
        /// What it said instead.
        said: Untrusted,
    },
    /// The host closed the connection before it was ready.
    #[error("{endpoint} closed the connection during the {stage}")]
    Closed {
        /// Where to.
        endpoint: Endpoint,
        /// The stage.
        stage: Stage,
        /// What it said.
        message: Untrusted,
    },
    /// The host broke the SSH protocol, or the connection broke.
    #[error("the SSH connection to {endpoint} failed during the {stage}")]
    Protocol {
        /// Where to.
        endpoint: Endpoint,
        /// The stage.
        stage: Stage,
        /// How, in our words.
        #[source]
        source: ProtocolError,
    },
    /// The jump host would not open a way to the host.
    #[error("the jump host {via} cannot reach {endpoint}: {reason}")]
    JumpRefused {
        /// Where to.
        endpoint: Endpoint,
        /// Through whom.
        via: Endpoint,
        /// Why, in our words.
        reason: &'static str,
    },
    /// The jump host itself cannot be used.
    #[error("cannot use the jump host of '{alias}'")]
    Jump {
        /// The host as named.
        alias: String,
        /// What is wrong with its jump host.
        #[source]
        source: Box<ConnectError>,
    },
}

/// Classes of `ConnectError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// The name has no address.
    Resolve,
    /// Nobody listens, or the network or jump host says no.
    Refused,
    /// A stage took too long.
    TimedOut(Stage),
    /// The host is not, or not provably, the one meant.
    HostKey,
    /// The host does not let us in.
    Auth,
    /// The host hung up before it said who it is: it may take the next try.
    Ungreeted,
    /// The host speaks no SSH that is fit for use.
    Protocol,
    /// ssh_config or the target cannot be used.
    Config,
    /// A file or socket of this machine cannot be used.
    Local,
}

impl ConnectError {
    /// The class of the error; of a jump host's error, that error's.
    pub fn kind(&self) -> ConnectErrorKind {
        match self {
            Self::Route { .. } | Self::Pin { .. } | Self::TooManyJumps { .. } => ConnectErrorKind::Config,
            Self::KnownHosts { .. } => ConnectErrorKind::Local,
            Self::Resolve { .. } => ConnectErrorKind::Resolve,
            Self::Refused { .. } | Self::JumpRefused { .. } => ConnectErrorKind::Refused,
            Self::TimedOut { stage, .. } => ConnectErrorKind::TimedOut(*stage),
            Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyRevoked { .. }
            | Self::HostKeyWeak { .. } => ConnectErrorKind::HostKey,
            Self::AuthRefused(_) => ConnectErrorKind::Auth,
            Self::Ungreeted { .. } => ConnectErrorKind::Ungreeted,
            Self::NoCommonAlgorithm { .. } | Self::Truncatable { .. } | Self::Closed { .. } | Self::Protocol { .. } => {
                ConnectErrorKind::Protocol
            }
            Self::Jump { source, .. } => source.kind(),
        }
    }
}

/// How the protocol failed, without any byte of the host's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ProtocolError(String);

impl ProtocolError {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl From<&russh::Error> for ProtocolError {
    fn from(error: &russh::Error) -> Self {
        // Some of russh's errors carry the host's own words; `escape` leaves nothing for a terminal
        // to obey, and the length is bounded by `Untrusted`.
        Self(Untrusted::new(error.to_string()).escaped())
    }
}

/// The host let none of our keys in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct AuthRefused {
    /// Where to.
    pub endpoint: Endpoint,
    /// Keys that were offered and refused, in order.
    pub tried: Vec<TriedKey>,
    /// Keys that could not be offered.
    pub skipped: Vec<SkippedKey>,
    /// Authentication methods the host says would continue; empty if it hung up.
    pub allowed: Vec<&'static str>,
    /// A key was accepted, and the host wants something more.
    pub partial: bool,
    /// What the host said when it hung up, if it did.
    pub message: Untrusted,
}

impl fmt::Display for AuthRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            endpoint,
            tried,
            skipped,
            allowed,
            partial,
            message,
        } = self;
        write!(f, "{endpoint} ")?;
        match (tried.is_empty(), partial) {
            (_, true) => f.write_str("accepted a key and wants a second factor as well")?,
            (true, _) => f.write_str("cannot be logged in to: there is no key to offer")?,
            (false, _) => write!(f, "refused user '{}' with {}", endpoint.user, Joined(tried))?,
        }
        if !allowed.is_empty() {
            write!(f, " (it allows: {})", allowed.join(", "))?;
        }
        if !skipped.is_empty() {
            write!(f, "; not offered: {}", Joined(skipped))?;
        }
        if !message.is_empty() {
            write!(f, "; it said: {}", message.escaped())?;
        }
        Ok(())
    }
}

/// A key that the host refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedKey {
    /// `SHA256:…`.
    pub fingerprint: String,
    /// The file it is in, or the agent.
    pub origin: String,
}

impl fmt::Display for TriedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.fingerprint, self.origin)
    }
}

/// A key that could not be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// The file it is in, or the agent.
    pub origin: String,
    /// Why, as a lowercase fragment.
    pub reason: SkipReason,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.origin, self.reason)
    }
}

/// Why a key could not be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Its file does not exist.
    Absent,
    /// It has a passphrase, and the agent does not hold it.
    Encrypted,
    /// Only its public half is here, and the agent does not hold it.
    PublicOnly,
    /// Other users of this machine can read it.
    Exposed,
    /// It is not a private key we can read.
    Unreadable(String),
    /// The agent did not answer as an agent does.
    Agent(String),
    /// Enough keys were tried: more could have this machine locked out.
    Enough,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no such file"),
            Self::Encrypted => f.write_str("has a passphrase: load it into ssh-agent with ssh-add"),
            Self::PublicOnly => f.write_str("only the public half, and the ssh-agent does not hold it"),
            Self::Exposed => f.write_str("readable by others: chmod 600"),
            Self::Unreadable(problem) | Self::Agent(problem) => f.write_str(problem),
            Self::Enough => f.write_str("not tried after three refusals: name the right key with IdentityFile"),
        }
    }
}

/// A host's words, where there are any.
struct Said<'a>(&'a Untrusted);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ", and said \"{}\"", self.0.escaped())
    }
}

/// Values separated by commas.
struct Joined<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Joined<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            value.fmt(f)?;
        }
        Ok(())
    }
}

/// A private key file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> SkippedKey {
    SkippedKey {
        origin: path.display().to_string(),
        reason: SkipReason::Unreadable(error.to_string()),
    }
}
