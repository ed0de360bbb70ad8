//! Directories: that they are there, and whose they are. What lies in them is not theirs to say.

use crate::config::Reported;
use crate::model::{AbsPath, DirectorySpec, Mode, Spec};

use super::super::reader::Reader;
use super::file::owners;

/// Entered and listed by everybody, written by the owner.
const MODE: Mode = Mode::from_bits(0o755);

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let path = AbsPath::new(name.value).map_err(|_| Reported)?;
    let owners = owners(reader);
    let mode = reader.optional::<Mode>("mode");
    let said = reader.said();
    let (owner, group) = owners?;
    let mode = mode?.map_or(MODE, |mode| mode.value);
    let spec = DirectorySpec {
        path,
        owner,
        group,
        mode,
    };
    reader.declare(Spec::Directory(spec), name.span, said?);
    Ok(())
}
