//! The firewall's table, put in place or taken away by the host's own `nft`: checked as a whole first, changed in one transaction,
//! looked at again. No other table is named in anything that it is given.

use std::time::Duration;

use provision_core::model::{FIREWALL_TABLE, Fact, FirewallSpec, FirewallState, Spec, State, StepError};

use super::{Progress, must_run, problem, run};
use crate::child::Invocation;
use crate::observe;

/// As in observing: it waits for nobody.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn load(spec: &FirewallSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let nft = |args: &[&str]| {
        Invocation::new("nft", DEADLINE)
            .args(args)
            .input(spec.script().into_bytes())
    };
    // Loading is one transaction, too; what is wrong with the rules is told before anything is tried.
    must_run(
        &nft(&["-c", "-f", "-"]),
        "nft -c, which checks the rules before they count,",
        progress,
    )?;
    must_run(&nft(&["-f", "-"]), "nft -f", progress)?;
    let found = observe::observe(&[Spec::Firewall(spec.clone())]).into_values().next();
    match found {
        Some(Fact::Known(State::Firewall(FirewallState::Table { as_wanted: true, .. }))) => Ok(()),
        Some(Fact::Unknown(reason)) => Err(problem(format!(
            "nft loaded the rules, and what the kernel has cannot be seen: {}",
            reason.untrusted()
        ))),
        Some(Fact::Known(_)) | None => Err(problem("nft loaded the rules, and the kernel does not have them")),
    }
}

pub(super) fn remove(progress: &mut Progress<'_>) -> Result<(), StepError> {
    let delete = Invocation::new("nft", DEADLINE)
        .args(["delete", "table"])
        .args(FIREWALL_TABLE);
    let ran = run(&delete, progress)?;
    // What an earlier step, such as the end of its unit, has taken away is gone.
    if ran.status.success() || ran.says("No such file or directory") {
        return Ok(());
    }
    Err(ran.failure("nft delete table"))
}
