//! Switches: holds from dpkg's status file, lingering users from logind's own files, modules from the kernel's list and from
//! the list of those that are built in. It starts no program.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use provision_core::model::{Switch, SwitchSpec, SwitchState};

/// Where logind keeps one empty file for each user that lingers.
const LINGER: &str = "/var/lib/systemd/linger";

/// The state of a switch. `held` says whether dpkg has the package on hold.
pub(super) fn observe(spec: &SwitchSpec, held: impl FnOnce() -> Result<bool, String>) -> Result<SwitchState, String> {
    let on = match spec.switch {
        Switch::Hold => held()?,
        Switch::Linger => match fs::symlink_metadata(Path::new(LINGER).join(&spec.name)) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(format!("cannot look at {LINGER}/{}: {error}", spec.name)),
        },
        Switch::KernelModule => is_loaded(&spec.name)?,
    };
    Ok(SwitchState { on })
}

/// Whether the running kernel has a module, loaded or built in. The kernel writes "_" where file names may have "-".
fn is_loaded(name: &str) -> Result<bool, String> {
    let wanted = name.replace('-', "_");
    let loaded = lines_of(Path::new("/proc/modules"))?;
    if loaded
        .lines()
        .filter_map(|line| line.split(' ').next())
        .any(|name| name == wanted)
    {
        return Ok(true);
    }
    let release = lines_of(Path::new("/proc/sys/kernel/osrelease"))?;
    let built_in = Path::new("/lib/modules").join(release.trim()).join("modules.builtin");
    let built_in = lines_of(&built_in)?;
    let names = built_in
        .lines()
        .filter_map(|line| line.rsplit('/').next()?.split(".ko").next());
    Ok(names.map(|name| name.replace('-', "_")).any(|name| name == wanted))
}

/// A file of the kernel's: one that loads no modules has no list of them, and a container none of what is built in.
fn lines_of(path: &Path) -> Result<String, String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| format!("cannot read {}: {error}", path.display())),
    }
}
