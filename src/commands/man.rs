//! `provision man`: the manual, made from the same definitions as the help. It prints one page or writes all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::args::{Cli, Man as Args};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;

#[derive(Debug, thiserror::Error)]
#[error("cannot write the manual page {}", path.display())]
struct WritePageError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Runs the command.
pub(super) fn run(args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    match &args.dir {
        None => ui.result(&String::from_utf8_lossy(&page(Cli::command())?)),
        Some(directory) => write_all(directory)?,
    }
    Ok(Exit::Done)
}

fn page(command: clap::Command) -> Result<Vec<u8>, CommandError> {
    let mut roff = Vec::new();
    Man::new(command).render(&mut roff).map_err(CommandError::refused)?;
    Ok(roff)
}

fn write_all(directory: &Path) -> Result<(), CommandError> {
    let mut command = Cli::command();
    // Building spreads the global options to the subcommands, and gives them their full names.
    command.build();
    write_each(&command, directory)
}

/// A command's page, and those of its own commands.
fn write_each(command: &clap::Command, directory: &Path) -> Result<(), CommandError> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = directory.join(format!("{name}.1"));
    let written = fs::write(&path, page(command.clone())?);
    written.map_err(|source| CommandError::refused(WritePageError { path, source }))?;
    command
        .get_subcommands()
        .try_for_each(|command| write_each(command, directory))
}
