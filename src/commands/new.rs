//! `provision new host NAME` and `provision new module NAME`: a file to begin with. It overwrites nothing.

use std::collections::BTreeMap;
use std::path::Path;

use provision_core::config::{Severity, load as parse};

use super::skeleton;
use crate::cli::args::{New, NewHost, NewModule};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::load;
use crate::report::error::CommandError;
use crate::report::made;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &New, ui: &Ui) -> Result<Exit, CommandError> {
    match args {
        New::Host(args) => host(root, args, ui),
        New::Module(args) => module(root, args, ui),
    }
}

fn host(root: Option<&Path>, args: &NewHost, ui: &Ui) -> Result<Exit, CommandError> {
    let root = load::root(root)?;
    let config = load::config(&root)?;
    let modules = config
        .keys()
        .filter_map(|path| path.strip_prefix("modules/")?.strip_suffix(".toml"));
    let text = skeleton::host(&args.name, args.address.as_deref(), &modules.collect::<Vec<_>>());
    make(&root, &format!("hosts/{}.toml", args.name), &text, ui)
}

fn module(root: Option<&Path>, args: &NewModule, ui: &Ui) -> Result<Exit, CommandError> {
    let root = load::root(root)?;
    make(
        &root,
        &format!("modules/{}.toml", args.name),
        &skeleton::module(&args.name),
        ui,
    )
}

/// Makes the file, if the language takes its name and its text.
fn make(root: &Path, path: &str, text: &str, ui: &Ui) -> Result<Exit, CommandError> {
    let alone = BTreeMap::from([(path.to_owned(), text.as_bytes().to_vec())]);
    let found = parse(&alone).diagnostics;
    if let Some(found) = found.into_iter().find(|found| found.severity == Severity::Error) {
        let error = CommandError::refused(found.message);
        return Err(match found.help {
            Some(help) if found.code != provision_core::config::Code::FileName => error.hint(help),
            _ => error,
        });
    }
    let made = skeleton::make(root, [(path, text)]).map_err(CommandError::refused)?;
    ui.result(&made::text("new", &made, ui.json()));
    Ok(Exit::Done)
}
