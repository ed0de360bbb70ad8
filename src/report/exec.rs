//! What a command printed on hosts, and how it ended there. Its lines are the hosts': escaped, and marked with the host.

use provision_core::model::HostName;
use serde_json::json;

use super::error::{ReachJson, reach_line};
use super::json::{FORMAT_VERSION, line};
use crate::cli::exit::Exit;
use crate::drive::ReachError;
use crate::events::ExecEnd;

/// The exit code that a command's end on one host calls for.
#[must_use]
pub const fn exit(end: &Result<ExecEnd, ReachError>) -> Exit {
    match end {
        Ok(ExecEnd::Exited(0)) => Exit::Done,
        Ok(ExecEnd::Exited(_) | ExecEnd::Killed(_)) => Exit::Failed,
        Err(_) => Exit::Unreachable,
    }
}

/// How it ended, for people; `None` where it went well.
#[must_use]
pub fn end_words(end: &Result<ExecEnd, ReachError>) -> Option<String> {
    match end {
        Ok(ExecEnd::Exited(0)) => None,
        Ok(ExecEnd::Exited(status)) => Some(format!("exit status {status}")),
        Ok(ExecEnd::Killed(signal)) => Some(format!("ended by signal {}", signal.escaped())),
        Err(error) => Some(reach_line(error)),
    }
}

/// How it ended, for programs.
#[must_use]
pub fn end_line(host: &HostName, end: &Result<ExecEnd, ReachError>) -> String {
    let (status, signal, error) = match end {
        Ok(ExecEnd::Exited(status)) => (Some(*status), None, None),
        Ok(ExecEnd::Killed(signal)) => (None, Some(signal), None),
        Err(error) => (None, None, Some(ReachJson::from(error))),
    };
    line(&json!({
        "format_version": FORMAT_VERSION,
        "type": "outcome",
        "host": host,
        "status": status,
        "signal": signal,
        "error": error,
        "exit_code": exit(end).code(),
    }))
}
