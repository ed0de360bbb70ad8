//! Symbolic links: what they say. Whether that leads anywhere is the host's business.

use crate::config::{Code, Diagnostic, Reported};
use crate::model::{AbsPath, Spec, SymlinkSpec};

use super::super::reader::Reader;

/// The longest text of a link that Linux keeps (PATH_MAX without the final NUL).
const MAX_TARGET: usize = 4095;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let path = AbsPath::new(name.value).map_err(|_| Reported)?;
    let target = reader.required::<String>("target");
    let said = reader.said();
    let target = target?;
    if target.value.is_empty() || target.value.len() > MAX_TARGET || target.value.chars().any(char::is_control) {
        let message = "a link's target is not empty, has no control characters, and at most 4095 bytes";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, target.span, "")));
    }
    let spec = SymlinkSpec {
        path,
        target: target.value,
    };
    reader.declare(Spec::Symlink(spec), name.span, said?);
    Ok(())
}
