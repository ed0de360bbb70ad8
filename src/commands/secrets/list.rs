//! `provision secrets list`: which secrets the project's store has, and who can read them. It needs no key.

use std::path::Path;

use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::secrets;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, ui: &Ui) -> Result<Exit, CommandError> {
    let stores = super::open(root, ui)?;
    let listing = stores.list().map_err(|error| secrets::error(error, ui))?;
    ui.result(&if ui.json() {
        secrets::list_json(&listing)
    } else {
        secrets::list_text(&listing, ui.results())
    });
    Ok(Exit::Done)
}
