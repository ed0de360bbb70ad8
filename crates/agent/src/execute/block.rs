//! Blocks put into files of others and taken out again. All bytes beside the block stay as they are at that moment, and
//! the file is replaced whole, as any other.

use provision_core::model::{
    AbsPath, BlockSpec, BrokenBlock, Mode, PathKind, PathState, StepError, with_block, without_block,
};

use super::{failure, path, problem};
use crate::accounts::Accounts;
use crate::disk::{self, Attributes};

pub(super) fn put(spec: &BlockSpec) -> Result<(), StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    let there = bytes(&spec.path)?;
    let found = match &there {
        Some(_) => Some(attributes_of(&spec.path, &accounts)?),
        None => None,
    };
    let owner = match &spec.owner {
        Some(name) => Some(accounts.resolve_owner(name).map_err(|error| failure(&error))?),
        None => None,
    };
    let group = match &spec.group {
        Some(name) => Some(accounts.resolve_group(name).map_err(|error| failure(&error))?),
        None => None,
    };
    let attributes = Attributes {
        uid: owner.or(found.map(|found| found.uid)).unwrap_or(0),
        gid: group.or(found.map(|found| found.gid)).unwrap_or(0),
        mode: spec
            .mode
            .or(found.map(|found| found.mode))
            .unwrap_or(BlockSpec::NEW_FILE),
    };
    if found.is_some_and(|found| found != attributes) {
        // What others put there under a second name must not become theirs by being rewritten; this refuses that.
        let Attributes { uid, gid, mode } = attributes;
        path::set_attributes(&spec.path, &uid.to_string(), &gid.to_string(), mode)?;
    }
    let with = with_block(&there.unwrap_or_default(), spec).map_err(|broken| changed(&spec.path, broken))?;
    disk::write_file(&spec.path, &with, &attributes, None).map_err(|error| failure(&error))
}

/// Takes a block out. A file that was made for it goes with it, unless somebody has written into it.
pub(super) fn remove(
    at: &AbsPath,
    name: &str,
    ragged: bool,
    made_file: bool,
    attributes: Option<(u32, u32, Mode)>,
) -> Result<(), StepError> {
    let accounts = Accounts::read().map_err(|error| failure(&error))?;
    let Some(there) = bytes(at)? else { return Ok(()) };
    let without = without_block(&there, name, ragged).map_err(|broken| changed(at, broken))?;
    if made_file && without.is_empty() {
        return path::remove(at, PathKind::File).map(drop);
    }
    let attributes = match attributes {
        Some((uid, gid, mode)) => Attributes { uid, gid, mode },
        None => attributes_of(at, &accounts)?,
    };
    disk::write_file(at, &without, &attributes, None).map_err(|error| failure(&error))
}

fn bytes(path: &AbsPath) -> Result<Option<Vec<u8>>, StepError> {
    disk::read_file(path, disk::BLOCK_FILE_BYTES).map_err(|error| failure(&error))
}

fn attributes_of(path: &AbsPath, accounts: &Accounts) -> Result<Attributes, StepError> {
    match disk::inspect(path, accounts, None, false).map_err(|error| failure(&error))? {
        PathState::File { owner, group, mode, .. } => Ok(Attributes {
            uid: owner.id,
            gid: group.id,
            mode,
        }),
        PathState::Absent | PathState::Directory { .. } | PathState::Symlink { .. } | PathState::Other { .. } => {
            Err(problem(format!("{path} changes while its block is being written")))
        }
    }
}

fn changed(path: &AbsPath, broken: BrokenBlock) -> StepError {
    problem(format!("{path} has changed since it was planned: {broken}"))
}
