//! Which run the host undoes by itself unless it is confirmed, as its own file says. It neither arms nor disarms.

use std::io::ErrorKind;

use provision_core::model::Digest;

use crate::layout::Layout;
use crate::own_files::{self, OwnFileError};

/// The run that the host is armed for; mostly there is none.
///
/// # Errors
/// [`OwnFileError`] where that cannot be told.
pub(crate) fn armed(layout: &Layout) -> Result<Option<Digest>, OwnFileError> {
    match own_files::read_json(&layout.armed()) {
        Ok(plan_id) => Ok(Some(plan_id)),
        Err(OwnFileError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether it is this one; where that cannot be told, it is not.
pub(crate) fn is_armed_for(layout: &Layout, plan_id: &Digest) -> bool {
    armed(layout).is_ok_and(|armed| armed.as_ref() == Some(plan_id))
}
