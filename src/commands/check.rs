//! `provision check`: are the project's files right? It contacts no host.

use std::path::Path;

use super::fleet::{Fleet, resolution};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::{findings, words};

/// Runs the command.
pub(super) fn run(root: Option<&Path>, ui: &Ui) -> Result<Exit, CommandError> {
    if ui.json() {
        let found = resolution(root)?;
        let exit = if found.has_errors() { Exit::Refused } else { Exit::Done };
        ui.result(&findings::json(&found, exit));
        return Ok(exit);
    }
    let fleet = Fleet::load(root, ui)?;
    let resources = fleet.hosts.values().map(|desired| desired.resources.len()).sum();
    let hosts = words::count(fleet.hosts.len(), "host");
    let resources = words::count(resources, "resource");
    ui.result(&format!("{hosts} with {resources}: no errors\n"));
    Ok(Exit::Done)
}
