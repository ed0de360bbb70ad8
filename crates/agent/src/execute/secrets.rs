//! Secrets put in place: what is delivered with what stays, as one new set, and sealed copies first. Values come from the
//! memory that they wait in; none is read from a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use provision_core::model::{AbsPath, AfterReboot, Fact, SecretSpec, SecretVersion, Spec, StepError};
use provision_core::wire::SecretBytes;

use super::{Work, failure};
use crate::accounts::Accounts;
use crate::disk;
use crate::secrets::{self, Memory, Piece, SecretError, Set};

/// What a step says of one directory of secrets.
pub(super) struct Order<'a> {
    pub(super) directory: &'a AbsPath,
    pub(super) deliver: &'a BTreeMap<String, SecretSpec>,
    pub(super) keep: &'a BTreeMap<String, SecretSpec>,
    pub(super) remove: &'a BTreeSet<String>,
}

pub(super) fn put(order: &Order<'_>, work: &Work<'_>) -> Result<(), StepError> {
    let told = |error: SecretError| StepError {
        fix: fix(&error),
        ..failure(&error)
    };
    let memory = Memory::of(order.directory).map_err(SecretError::Memory).map_err(told)?;
    memory.mount().map_err(SecretError::Memory).map_err(told)?;
    let values = values(order, &memory, work).map_err(told)?;
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    secrets::seal(work.layout, &memory, &values)
        .map_err(SecretError::Seal)
        .map_err(told)?;
    secrets::record(work.layout, work.specs())
        .map_err(SecretError::Record)
        .map_err(told)?;
    let mut set = Set::new();
    for (name, (spec, value)) in values {
        let piece = Piece {
            file: spec.path.file_name().to_owned(),
            version: version(&spec),
            value,
            uid: accounts.resolve_owner(&spec.owner).map_err(|error| failure(&error))?,
            gid: accounts.resolve_group(&spec.group).map_err(|error| failure(&error))?,
            mode: spec.mode,
            at_boot: false,
        };
        set.insert(name, piece);
    }
    let boot = work.specs().any(|spec| spec.after_reboot != AfterReboot::Push);
    if boot {
        link_program(work)?;
    }
    secrets::publish(&memory, &set).map_err(told)
}

/// The values of the new set: delivered ones as they wait, all others of the plan as they are in place.
fn values(
    order: &Order<'_>,
    memory: &Memory,
    work: &Work<'_>,
) -> Result<BTreeMap<String, (SecretSpec, SecretBytes)>, SecretError> {
    let mut values = BTreeMap::new();
    for (name, found) in secrets::look(memory)? {
        if order.deliver.contains_key(&name) || order.remove.contains(&name) {
            continue;
        }
        // What the configuration does not have is not carried over.
        let planned = work.specs().find(|spec| spec.name == name);
        let Some(spec) = order.keep.get(&name).or(planned) else {
            continue;
        };
        let value = found.value.ok_or_else(|| SecretError::Changed { name: name.clone() })?;
        // What is in place is of the version that was delivered, whatever is declared of it.
        let spec = SecretSpec {
            version: Fact::Known(Some(SecretVersion(found.version))),
            ..spec.clone()
        };
        values.insert(name, (spec, value));
    }
    for (name, spec) in order.deliver {
        let value = secrets::take(memory, work.plan_id, name)?;
        values.insert(name.clone(), (spec.clone(), value));
    }
    Ok(values)
}

fn version(spec: &SecretSpec) -> String {
    match &spec.version {
        Fact::Known(Some(version)) => version.to_string(),
        Fact::Known(None) | Fact::Unknown(_) => String::new(),
    }
}

/// The name under which the boot unit finds this program.
fn link_program(work: &Work<'_>) -> Result<(), StepError> {
    let program = fs::read_link("/proc/self/exe").map_err(|error| failure(&error))?;
    let link = AbsPath::new(work.layout.program().to_string_lossy()).map_err(|error| failure(&error))?;
    disk::make_symlink(&link, &program.to_string_lossy()).map_err(|error| failure(&error))
}

fn fix(error: &SecretError) -> Option<String> {
    let fix = match error {
        SecretError::Memory(_) => {
            "secrets are only kept in memory that is never swapped: load the module ramfs, or run Linux 6.3 or later"
        }
        SecretError::NotThere { .. } => "plan and apply again: the values have to be sent once more",
        SecretError::Changed { .. } => "plan again: it will be delivered anew",
        SecretError::Taken { .. } => "move it out of the way on the host, then apply again",
        SecretError::Seal(_) => {
            "see whether `systemd-creds setup` works on the host; else write secrets_after_reboot = \"push\""
        }
        SecretError::Io { .. } | SecretError::Damaged { .. } | SecretError::Record(_) => return None,
    };
    Some(fix.to_owned())
}

impl Work<'_> {
    /// The secrets of the plan's configuration.
    fn specs(&self) -> impl Iterator<Item = &SecretSpec> {
        self.entries.values().filter_map(|entry| match &entry.spec {
            Spec::Secret(spec) => Some(spec),
            _ => None,
        })
    }
}
