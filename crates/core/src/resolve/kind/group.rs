//! Groups: that they are there. Who is in them, users say.

use crate::config::Reported;
use crate::model::{GroupSpec, Spec};

use super::super::reader::Reader;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let gid = reader.optional::<u32>("gid");
    let system = reader.optional::<bool>("system");
    let spec = GroupSpec {
        name: name.value,
        gid: gid?.map(|gid| gid.value),
        system: system?.is_some_and(|system| system.value),
    };
    reader.declare(Spec::Group(spec), name.span, Vec::new());
    Ok(())
}
