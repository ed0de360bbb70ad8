//! `provision show HOST`: what a host should be. It contacts no host.

use std::path::Path;

use super::fleet::Fleet;
use crate::cli::args::Show as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::show;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let desired = Fleet::load_one(root, &args.host, ui)?;
    if ui.json() {
        ui.result(&show::show_json(&desired));
    } else {
        ui.result(&show::show_text(&desired, ui.verbose(), ui.results()));
    }
    Ok(Exit::Done)
}
