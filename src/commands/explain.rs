//! `provision explain [CODE]`: what the code of a finding means, with an example. It reads no project.

use provision_core::config::Code;

use crate::cli::args::Explain as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::explain;

/// Runs the command.
pub(super) fn run(args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let code = args.code.as_deref().map(explain::code).transpose()?;
    let text = match (code, ui.json()) {
        (Some(code), true) => explain::codes_json(&[code]),
        (None, true) => explain::codes_json(Code::ALL),
        (Some(code), false) => explain::code_text(code, ui.width(), ui.results()),
        (None, false) => explain::list_text(ui.results()),
    };
    ui.result(&text);
    Ok(Exit::Done)
}
