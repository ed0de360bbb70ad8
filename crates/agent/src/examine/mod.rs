//! Looks at a host beyond its resources: what failed, what is full, who holds what. It only reads, and judges nothing; it
//! starts three programs in all (systemctl, journalctl, timedatectl), and one more for each user's manager.

mod certificates;
mod clock;
mod disks;
mod inotify;
mod journal;
mod leftovers;
mod listeners;
mod locks;
mod memory;
mod processes;
mod reboot;
mod units;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use provision_core::model::{Examination, Examine, Fact, HostText, Listener, UnitName};

pub(crate) use memory::available_memory;

use crate::layout::Layout;
use crate::words::chain;
use crate::{generations, lock, observe, status};

/// The longest file of `/proc`, `/run` or `/etc` that is read whole, in bytes.
const FILE_BYTES: u64 = 4 << 20;

/// Looks at everything.
pub(crate) fn examine(layout: &Layout, asked: &Examine) -> Examination {
    let began = clock::now();
    let container = container();
    let walk = processes::walk();
    let units = units::ask();
    let failed = match &units {
        Ok(units) => Ok(units::failed(units)),
        Err(error) => Err(chain(error)),
    };
    let (users, deaf_managers) = units::failed_of_users();
    let failed = failed.map(|mut failed| {
        failed.extend(users);
        failed
    });
    let (lines, killed) = journal::read(failed.as_deref().unwrap_or_default());
    let failed = failed.map(|failed| units::with_lines(failed, &lines));
    let certificates = certificates::find(&asked.certificates);
    let standing = generations::load(layout).map(|standing| standing.receipt);
    let last_run = standing.and_then(|receipt| status::last_run(layout, receipt.as_ref()));
    Examination {
        facts: observe::facts(),
        uptime: observe::uptime(),
        began,
        time: clock::keeping(units.as_ref().ok()),
        units: failed.map_or_else(Fact::Unknown, Fact::Known),
        deaf_managers,
        out_of_memory: memory::out_of_memory(killed),
        disks: disks::all(),
        inotify: fact(inotify::of(&walk)),
        package_locks: fact(locks::packages(&walk)),
        apply_lock: lock::holder(&layout.lock()).map_or_else(|error| Fact::Unknown(chain(&error)), Fact::Known),
        last_run: last_run.map_or_else(|error| Fact::Unknown(chain(&error)), Fact::Known),
        leftovers: fact(leftovers::find(layout, &walk)),
        reboot_required: fact(reboot::required()),
        kernels: fact(reboot::kernels()),
        outdated: reboot::outdated(&walk),
        certificates: certificates.files,
        unsearched: certificates.unsearched,
        listeners: fact(listeners::of(&walk, units.as_ref().ok())),
        memory: fact(memory::memory()),
        container,
        ended: clock::now(),
    }
}

/// Who listens on which ports.
pub(crate) fn listening() -> Fact<Vec<Listener>> {
    let walk = processes::walk();
    fact(listeners::of(&walk, units::ask().ok().as_ref()))
}

/// The names of units that there are, of the system's manager or of a user's; and the users whose managers have one of
/// this name.
pub(crate) fn unit_names(unit: &UnitName, of: Option<&str>) -> (BTreeSet<String>, BTreeSet<String>) {
    units::names(unit.as_str(), of)
}

/// The kind of container that this host is: systemd writes it down at boot.
fn container() -> Option<HostText> {
    let kind = text(Path::new("/run/systemd/container")).ok()?;
    let kind = kind.trim();
    (!kind.is_empty()).then(|| HostText::from(kind))
}

fn fact<T>(found: Result<T, LookError>) -> Fact<T> {
    found.map_or_else(|error| Fact::Unknown(chain(&error)), Fact::Known)
}

/// What could not be looked at.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("cannot read {path}")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not as the kernel's documentation has it: {what}")]
    Form { path: String, what: String },
}

/// The text of a file, bounded, with what is not UTF-8 replaced.
fn text(path: &Path) -> Result<String, LookError> {
    let error = |source| LookError::Read {
        path: path.display().to_string(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(error)?;
    file.take(FILE_BYTES).read_to_end(&mut bytes).map_err(error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A number that is all a file says.
fn number(path: &str) -> Result<u64, LookError> {
    let said = text(Path::new(path))?;
    said.trim().parse().map_err(|_| LookError::Form {
        path: path.to_owned(),
        what: format!("{:?} is no number", said.trim()),
    })
}
