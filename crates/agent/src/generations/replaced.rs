//! What each generation replaced: the resources that its run was to change, each as it was right before the run. It holds no
//! content of files; [`super::store`] does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};

use provision_core::model::{Digest, PathState, Receipt, ResourceId, State};

use super::GenerationError;
use crate::layout::Layout;
use crate::own_files::{self, OwnFileError};

/// Notes it for a run that is about to begin. When this returns, it is on the disk.
///
/// # Errors
/// [`GenerationError`].
pub(crate) fn note(
    layout: &Layout,
    plan_id: &Digest,
    found: &BTreeMap<ResourceId, State>,
) -> Result<(), GenerationError> {
    let mut states = found.clone();
    for state in states.values_mut() {
        if let State::Path(PathState::File { text, .. }) = state {
            *text = None;
        }
    }
    own_files::write_json(&layout.run(plan_id).replaced(), &states).map_err(GenerationError::Own)
}

/// Gives the run's notes to its generation, whose directory is there; they outlive the run's. The directory's next file makes
/// this durable.
pub(super) fn hand_over(layout: &Layout, receipt: &Receipt) -> Result<(), GenerationError> {
    let (from, to) = (
        layout.run(&receipt.plan_id).replaced(),
        layout.replaced(receipt.generation),
    );
    // What a run that died while it recorded itself left may be another run's.
    let removed = fs::remove_file(&to).or_else(missing_is_fine);
    removed
        .and_then(|()| fs::hard_link(&from, &to).or_else(missing_is_fine))
        .map_err(|source| GenerationError::Own(OwnFileError::Make { path: to, source }))
}

/// A run before this was kept track of has no notes.
fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

/// What a generation replaced; nothing where that was not noted.
///
/// # Errors
/// [`GenerationError`].
pub(super) fn of(layout: &Layout, receipt: &Receipt) -> Result<BTreeMap<ResourceId, State>, GenerationError> {
    let recorded = layout.replaced(receipt.generation);
    // The generation of a run that died is not recorded yet.
    let unrecorded = layout.run(&receipt.plan_id).replaced();
    match [recorded, unrecorded].into_iter().find(|path| path.exists()) {
        Some(path) => own_files::read_json(&path).map_err(GenerationError::Own),
        None => Ok(BTreeMap::new()),
    }
}
