//! `provision secrets remove NAME`: takes a secret out of the project's store. What git's history has of it stays.

use std::path::Path;

use crate::cli::args::SecretsRemove as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::secrets;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let stores = super::open(root, ui)?;
    stores.remove(&args.name).map_err(|error| secrets::error(error, ui))?;
    ui.result(&secrets::removed(&args.name, ui.json()));
    Ok(Exit::Done)
}
