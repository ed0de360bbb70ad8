//! Finds a host's resource by the names that people have for it. It does not look at what the resource is.

use provision_core::config::nearest;
use provision_core::model::{Desired, Resource, ResourceId};

use crate::report::error::CommandError;
use crate::report::words;

/// The resource of that name: as plans name it (`file:/etc/motd`), as files declare it (`files."/etc/motd"`), or alone
/// (`/etc/motd`) where there is one of that name only. Quotes may be left out.
pub(super) fn find<'a>(desired: &'a Desired, given: &str) -> Result<(&'a ResourceId, &'a Resource), CommandError> {
    let plain = |text: &str| text.replace(['"', '\''], "");
    let asked = plain(given.trim());
    let fits = |wanted: &dyn Fn(&ResourceId) -> bool| -> Vec<_> {
        desired.resources.iter().filter(|(id, _)| wanted(id)).collect()
    };
    let own = fits(&|id| plain(&id.to_string()) == asked);
    let long = |id: &ResourceId| {
        let (kind, table, name) = (id.kind.name(), id.kind.table(), plain(&id.name));
        asked == format!("{table}.{name}") || asked == format!("{kind}.{name}") || asked == format!("{table}:{name}")
    };
    let long = fits(&long);
    let alone = fits(&|id| plain(&id.name) == asked);
    let found = [own, long, alone].into_iter().find(|found| !found.is_empty());
    match found.as_deref() {
        Some([only]) => Ok(*only),
        Some(several) => {
            let ids: Vec<_> = several.iter().map(|(id, _)| words::id(id)).collect();
            let error = format!("{} may be {}", words::safe(given), ids.join(" or "));
            Err(CommandError::refused(error).hint(format!("ask for `provision show {} {}`", desired.host, ids[0])))
        }
        None => Err(missing(desired, given, &asked)),
    }
}

fn missing(desired: &Desired, given: &str, asked: &str) -> CommandError {
    let error = CommandError::refused(format!("{} has no resource {}", desired.host, words::safe(given)));
    let ids: Vec<_> = desired.resources.keys().map(ToString::to_string).collect();
    let names = desired.resources.keys().map(|id| id.name.as_str());
    let meant = nearest(asked, ids.iter().map(String::as_str).chain(names));
    let error = match meant {
        Some(meant) => error.hint(format!("did you mean {}?", words::safe(meant))),
        None => error,
    };
    error.hint(format!(
        "`provision show {}` lists the resources there are",
        desired.host
    ))
}
