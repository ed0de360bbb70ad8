//! `provision generations HOST`: what was applied to a host when, by whom and from which commit. It changes nothing.

use std::path::Path;

use super::fleet::options;
use super::records::{answer, find};
use crate::cli::args::Generations as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive;
use crate::report::error::CommandError;
use crate::report::history::{history_json, history_text};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let target = find(root, &args.host, ui)?;
    let host = target.host.clone();
    let history = answer(drive::history(target, &options(&args.connect), stop), ui, stop).await?;
    ui.result(&if ui.json() {
        history_json(&host, &history)
    } else {
        history_text(&host, &history, ui.results())
    });
    Ok(Exit::Done)
}
