//! `provision completions SHELL`: prints a completion script. It installs none.

use clap::CommandFactory as _;

use crate::cli::args::{Cli, Completions};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

/// Runs the command.
pub(super) fn run(args: &Completions, ui: &Ui) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "provision", &mut script);
    ui.result(&String::from_utf8_lossy(&script));
    Exit::Done
}
