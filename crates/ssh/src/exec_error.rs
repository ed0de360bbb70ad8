//! Why a command on a host could not be run to its end, as values a caller can match on.
//! A command that ran and failed is no error here: its status says so.

use std::{fmt, time::Duration};

use thiserror::Error;

use crate::{Endpoint, Stderr, Untrusted, error::ProtocolError};

/// Why a command could not be run to its end.
#[derive(Debug, Error)]
pub enum ExecError {
    /// The host opens no channel: too many sessions, or not allowed.
    #[error("{endpoint} does not open a session: {reason}")]
    NoSession {
        /// Where.
        endpoint: Endpoint,
        /// Why, in our words.
        reason: &'static str,
    },
    /// The host does not run commands for this user.
    #[error("{endpoint} refuses to run a command")]
    Refused {
        /// Where.
        endpoint: Endpoint,
    },
    /// A step took too long.
    #[error("{endpoint} did not {step} within {} s", limit.as_secs_f32())]
    TimedOut {
        /// Where.
        endpoint: Endpoint,
        /// The step.
        step: Step,
        /// Its deadline.
        limit: Duration,
    },
    /// The command ended or stopped reading before all input was written.
    #[error("the command on {endpoint} stopped reading its input")]
    InputClosed {
        /// Where.
        endpoint: Endpoint,
    },
    /// More output than the caller wants.
    #[error("the command on {endpoint} wrote more than {limit} bytes")]
    TooMuch {
        /// Where.
        endpoint: Endpoint,
        /// The caller's limit, in bytes.
        limit: usize,
    },
    /// The command's channel closed without saying how the command ended.
    #[error("{endpoint} did not say how the command ended")]
    NoStatus {
        /// Where.
        endpoint: Endpoint,
        /// What the command wrote to stderr, bounded.
        stderr: Stderr,
    },
    /// The host closed the connection.
    #[error("{endpoint} closed the connection")]
    Closed {
        /// Where.
        endpoint: Endpoint,
        /// What it said.
        message: Untrusted,
    },
    /// The connection was lost.
    #[error("the connection to {endpoint} was lost")]
    Lost {
        /// Where.
        endpoint: Endpoint,
        /// How.
        #[source]
        source: ProtocolError,
    },
}

/// A step of running a command that has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening the channel.
    Open,
    /// Starting the command.
    Start,
    /// Taking input.
    Write,
    /// Saying how the command ended, after the end of its output.
    Exit,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open a session",
            Self::Start => "start the command",
            Self::Write => "take input",
            Self::Exit => "say how the command ended",
        })
    }
}
