//! The tools that change users and groups (shadow-utils), and what their failures mean. What they are told is the caller's.

use std::time::Duration;

use provision_core::model::StepError;

use super::{Progress, must_run, run};
use crate::child::Invocation;

/// They rewrite four small files; what takes longer waits for a lock that nobody gives back.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs one of them, with options and the account's name.
pub(super) fn account_tool(
    program: &str,
    options: &[String],
    name: &str,
    progress: &mut Progress<'_>,
) -> Result<(), StepError> {
    let invocation = Invocation::new(program, DEADLINE).args(options).args(["--", name]);
    let ran = run(&invocation, progress)?;
    if ran.status.success() {
        return Ok(());
    }
    let fix = if ran.says("currently used by process") {
        Some(format!("stop what runs as {name}, then apply again"))
    } else if ran.says("cannot lock") {
        Some("another program is changing accounts; when it has ended, apply again".to_owned())
    } else {
        None
    };
    Err(StepError {
        fix,
        ..ran.failure(program)
    })
}

/// Sets a user's password to what is stored for it, which goes over standard input: arguments are for all to read.
pub(super) fn set_password(name: &str, stored: &str) -> Result<(), StepError> {
    let invocation = Invocation::new("chpasswd", DEADLINE)
        .args(["--encrypted"])
        .input(format!("{name}:{stored}\n").into_bytes());
    must_run(&invocation, "chpasswd", &mut Progress::unheard())
}
