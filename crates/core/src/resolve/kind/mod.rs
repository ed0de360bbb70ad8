//! Declarations to what each kind of resource should be: one file per kind. Defaults are applied here and nowhere else.

mod block;
mod command;
mod debconf;
mod directory;
mod file;
mod firewall;
mod git;
mod group;
mod lock_file;
mod node_range;
mod package;
mod probe;
mod secret;
mod swapfile;
mod switch;
mod symlink;
mod sysctl;
mod tree;
mod unit;
mod user;

use crate::config::{Reported, Sort};
use crate::model::{Kind, Switch};

use super::declared::Declarations;
use super::reader::Reader;
use super::shorthand;

pub(super) use file::{content, group_of};
pub(super) use firewall::encloses;
pub(super) use unit::DIRECTORY as UNIT_DIRECTORY;

/// Reads one declaration and declares what it says.
pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let kind = match reader.declaration.sort {
        Sort::Kind(kind) => kind,
        Sort::Shorthand(shorthand) => return shorthand::resolve(shorthand, reader),
    };
    match kind {
        Kind::Group => group::resolve(reader),
        Kind::User => user::resolve(reader),
        Kind::Debconf => debconf::resolve(reader),
        Kind::Package => package::resolve(reader),
        Kind::Directory => directory::resolve(reader),
        Kind::File => file::resolve(reader),
        Kind::Block => block::resolve(reader),
        Kind::Symlink => symlink::resolve(reader),
        Kind::Swapfile => swapfile::resolve(reader),
        Kind::Archive => tree::archive(reader),
        Kind::Npm => tree::npm(reader),
        Kind::Git => git::resolve(reader),
        Kind::Hold => switch::resolve(Switch::Hold, reader),
        Kind::Linger => switch::resolve(Switch::Linger, reader),
        Kind::KernelModule => switch::resolve(Switch::KernelModule, reader),
        Kind::Sysctl => sysctl::resolve(reader),
        Kind::Firewall => firewall::resolve(reader),
        Kind::Secret => secret::resolve(reader),
        Kind::Command => command::resolve(reader),
        Kind::Unit => unit::resolve(reader),
        Kind::Probe => probe::resolve(reader),
    }
}

/// What can only be said once every declaration is in: the files that keep kernel parameters.
pub(super) fn finish(declarations: &mut Declarations, found: &mut Vec<crate::config::Diagnostic>) {
    sysctl::finish(declarations, found);
}
