//! `provision rehearse`: a host file on a throwaway real host. It touches no host of the fleet.

use std::path::Path;

use super::fleet::Fleet;
use crate::cli::args::Rehearse as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let _ = (Fleet::load(root, ui)?, args, stop);
    Err(CommandError::refused("this build cannot make throwaway hosts"))
}
