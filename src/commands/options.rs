//! `provision options [MODULE]`: what modules are for and which options they have, from their own files. It contacts no host.

use std::path::Path;

use super::fleet::project;
use crate::cli::args::Options as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::load;
use crate::report::error::CommandError;
use crate::report::{findings, options};

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let project = project(&load::root(root)?, |project, _| project)?;
    let wanted = |name: &String| args.modules.is_empty() || args.modules.contains(name);
    // What is said of a module that could only be read in part would be wrong; hosts that are wrong matter to nobody here.
    if project
        .modules
        .values()
        .any(|module| module.broken && wanted(&module.name))
    {
        return Err(findings::project_error(&project, ui));
    }
    let docs = options::docs(&project, &args.modules)?;
    let text = match (args.html, args.markdown, ui.json()) {
        (true, ..) => options::page(&docs),
        (_, true, _) => options::markdown(&docs),
        (.., true) => options::options_json(&docs),
        (false, false, false) => options::text(&docs, ui.width(), ui.results()),
    };
    ui.result(&text);
    Ok(Exit::Done)
}
