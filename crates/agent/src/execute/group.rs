//! Groups: created, renumbered and deleted by the system's own tools. Their members are the users' matter.

use provision_core::model::{GroupSpec, StepError};

use super::Progress;
use super::account_tools::account_tool;

pub(super) fn create(spec: &GroupSpec, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let mut options = Vec::new();
    if spec.system {
        options.push("--system".to_owned());
    }
    if let Some(gid) = spec.gid {
        options.push(format!("--gid={gid}"));
    }
    account_tool("groupadd", &options, &spec.name, progress)
}

pub(super) fn set_id(name: &str, gid: u32, progress: &mut Progress<'_>) -> Result<(), StepError> {
    account_tool("groupmod", &[format!("--gid={gid}")], name, progress)
}

pub(super) fn delete(name: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    account_tool("groupdel", &[], name, progress)
}
