//! `provision secrets rekey`: the store anew for the recipients that `secrets/stores.toml` names. No value and no version changes.

use std::path::Path;

use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::secrets;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, ui: &Ui) -> Result<Exit, CommandError> {
    let stores = super::open(root, ui)?;
    let done = stores.rekey().map_err(|error| secrets::error(error, ui))?;
    ui.result(&if ui.json() {
        secrets::rekey_json(&done)
    } else {
        secrets::rekey_text(&done)
    });
    Ok(Exit::Done)
}
