//! The firewall as the kernel has it, in the words of the host's own `nft`. What the wanted rules would be listed as is asked in a
//! network namespace of its own, which ends with the question: the host's own tables are only read.

use std::time::Duration;

use provision_core::model::{FIREWALL_TABLE, FirewallSpec, FirewallState};

use super::reason;
use crate::child::{self, ChildError, Invocation, status_words};

/// How long `nft` may take. It waits for nobody; thousands of rules take tenths of seconds.
const DEADLINE: Duration = Duration::from_secs(20);
/// How much of what it says is read. A hundred thousand lines of rules are a mistake.
const BYTES: usize = 8 << 20;
/// Loads a table and lists it, where nothing of it touches the host.
const SCRATCH: &str = "nft -f - && nft --stateless list table inet provision";

/// The state of the table.
///
/// # Errors
/// Why it cannot be seen.
pub(super) fn observe(spec: &FirewallSpec) -> Result<FirewallState, String> {
    let list = Invocation::new("nft", DEADLINE).args(["--stateless", "list", "table"]);
    let listed = match ask(&list.args(FIREWALL_TABLE)) {
        Err(error) if is_missing(&error) => return Ok(FirewallState::NoTool),
        Err(error) => return Err(reason(&error)),
        Ok(said) => said,
    };
    let listed = match listed {
        Ok(listed) => listed,
        Err(said) if said.contains("No such file or directory") => return Ok(FirewallState::Absent),
        Err(said) => return Err(format!("nft cannot list it: {said}")),
    };
    let scratch = Invocation::new("unshare", DEADLINE)
        .args(["--net", "sh", "-c", SCRATCH])
        .input(spec.script().into_bytes());
    let wanted = match ask(&scratch).map_err(|error| reason(&error))? {
        Ok(wanted) => wanted,
        // A table as this nft does not take it is not the one that the kernel has.
        Err(said) if said.contains("Error: ") => "table inet provision {\n}\n".to_owned(),
        Err(said) => return Err(format!("cannot tell what the wanted rules would be listed as: {said}")),
    };
    FirewallState::listed(&listed, &wanted).ok_or_else(|| "nft lists something that is no table".to_owned())
}

fn is_missing(error: &ChildError) -> bool {
    matches!(error, ChildError::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

/// What a program says, or what it says where it fails.
fn ask(invocation: &Invocation) -> Result<Result<String, String>, ChildError> {
    let mut bytes = Vec::new();
    let status = child::run_bytes(invocation, &mut |more| {
        let room = BYTES.saturating_sub(bytes.len());
        bytes.extend(more.iter().take(room));
    })?;
    let said = String::from_utf8_lossy(&bytes).into_owned();
    Ok(if status.success() {
        Ok(said)
    } else {
        let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        Err(format!("{}: {line}", status_words(status)))
    })
}
