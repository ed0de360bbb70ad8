//! Blocks in files of others: the lines between our markers, and whose the file is. The rest of the file stays here.

use provision_core::model::{BlockSpec, BlockState, HostText, PathState, find_block, is_ragged};
use provision_core::wire::limits::DIFF_TEXT_BYTES;

use super::reason;
use crate::accounts::Accounts;
use crate::disk;

/// The block of that file and name.
pub(super) fn observe(spec: &BlockSpec, accounts: &Accounts) -> Result<BlockState, String> {
    let found = disk::inspect(&spec.path, accounts, None, false).map_err(|error| reason(&error))?;
    let (owner, group, mode) = match found {
        PathState::File { owner, group, mode, .. } => (owner, group, mode),
        PathState::Absent => return Ok(BlockState::NoFile),
        PathState::Directory { .. } | PathState::Symlink { .. } | PathState::Other { .. } => {
            let what = found.noun().to_owned();
            return Ok(BlockState::Other { what });
        }
    };
    let bytes = disk::read_file(&spec.path, disk::BLOCK_FILE_BYTES).map_err(|error| reason(&error))?;
    let Some(bytes) = bytes else {
        return Ok(BlockState::NoFile);
    };
    let lines = match find_block(&bytes, &spec.name) {
        Err(broken) => {
            let problem = broken.to_string();
            return Ok(BlockState::Broken { problem });
        }
        Ok(None) => None,
        Ok(Some(place)) => Some(bytes.get(place).unwrap_or_default()),
    };
    if lines.is_some_and(|lines| lines.len() as u64 > DIFF_TEXT_BYTES) {
        return Err(format!(
            "the block in {} is longer than {DIFF_TEXT_BYTES} bytes, the most that is read",
            spec.path
        ));
    }
    Ok(BlockState::File {
        ragged: lines.is_none() && is_ragged(&bytes),
        lines: lines.map(|lines| HostText::new(String::from_utf8_lossy(lines))),
        owner,
        group,
        mode,
    })
}
