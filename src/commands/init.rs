//! `provision init [DIR]`: a project to begin with, which passes `check` and can be rehearsed at once. It overwrites nothing.

use std::path::Path;

use super::skeleton;
use crate::cli::args::Init as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::made;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let directory = args.dir.as_deref().or(root).unwrap_or(Path::new("."));
    let made = skeleton::make(directory, skeleton::PROJECT).map_err(|error| {
        let hint = "name an empty or new directory: `provision init DIR`";
        CommandError::refused(error).hint(hint)
    })?;
    ui.result(&made::text("init", &made, ui.json()));
    ui.say(&made::after_init(directory));
    Ok(Exit::Done)
}
