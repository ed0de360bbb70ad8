//! `provision show HOST [PATH]`: what a host should be, or one resource of it in full. It contacts no host.

use std::path::Path;

use super::fleet::Fleet;
use super::resource::find;
use crate::cli::args::Show as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::{flat, show};

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let desired = Fleet::load_one(root, &args.host, ui)?;
    let text = match &args.path {
        None if args.toml => flat::flat(&desired),
        None if ui.json() => show::show_json(&desired),
        None => show::show_text(&desired, ui.verbose(), ui.results()),
        Some(path) => {
            let (id, resource) = find(&desired, path)?;
            if ui.json() {
                show::resource_json(&desired, id, resource)
            } else {
                show::resource_text_in_full(&desired, id, resource, ui.results())
            }
        }
    };
    ui.result(&text);
    Ok(Exit::Done)
}
