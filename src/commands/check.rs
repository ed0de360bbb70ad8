//! `provision check`: are the project's files right? It contacts no host.

use std::path::Path;

use super::fleet::Fleet;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::words;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, ui: &Ui) -> Result<Exit, CommandError> {
    let fleet = Fleet::load(root, ui)?;
    let resources = fleet.hosts.values().map(|desired| desired.resources.len()).sum();
    if !ui.json() {
        let hosts = words::count(fleet.hosts.len(), "host");
        let resources = words::count(resources, "resource");
        ui.result(&format!("{hosts} with {resources}: no errors\n"));
    }
    Ok(Exit::Done)
}
