//! Sudoers entries: a file of `/etc/sudoers.d` that visudo has checked, always. What it permits is not judged.

use crate::config::Reported;
use crate::model::{FileSpec, Mode, Spec};

use super::super::kind::content;
use super::super::reader::Reader;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let content = content(reader);
    let said = reader.said();
    let spec = FileSpec {
        mode: Mode::from_bits(0o440),
        validate: Some(["visudo", "-c", "-f", "{}"].map(str::to_owned).to_vec()),
        // It is no secret of ours, and what a change of it permits is for whoever reads the plan to see.
        sensitive: false,
        private: false,
        ..super::file(format!("/etc/sudoers.d/{}", name.value), content?.ok_or(Reported)?)?
    };
    reader.declare(Spec::File(spec), name.span, said?);
    Ok(())
}
