//! `provision secrets get NAME`: a secret's version and about how long it is; its value only where that is asked for.

use std::path::Path;

use provision_secrets::StoreError;

use crate::cli::args::SecretsGet as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::secrets;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let failed = |error: StoreError| secrets::error(error, ui);
    let stores = super::open(root, ui)?;
    let item = super::of_project(&args.name);
    let version = super::version(&stores, &item).await.map_err(failed)?;
    let value = super::value(&stores, &item, &version).await.map_err(failed)?;
    if args.reveal && !ui.json() {
        if ui.shows_results() && secrets::would_be_obeyed(&value) {
            let error = format!("{} has bytes that a terminal would obey or not show", args.name);
            return Err(CommandError::refused(error)
                .hint("send it into a file or program: `provision secrets get NAME --reveal > FILE`"));
        }
        ui.reveal(value.expose());
        return Ok(Exit::Done);
    }
    let revealed = args.reveal.then_some(&value);
    ui.result(&if ui.json() {
        secrets::get_json(&args.name, &version, &value, revealed)
    } else {
        secrets::get_text(&args.name, &version, &value)
    });
    Ok(Exit::Done)
}
