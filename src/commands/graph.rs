//! `provision graph HOST`: resources and what waits for what, as a drawing or for tools that draw. It contacts no host.

use std::path::Path;

use super::fleet::Fleet;
use crate::cli::args::{Graph as Args, GraphFormat};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::graph;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let graph = graph::graph(&*Fleet::load_one(root, &args.host, ui)?);
    let text = match (ui.json(), args.format) {
        (true, _) => graph::graph_json(&graph),
        (false, GraphFormat::Dot) => graph::dot(&graph),
        (false, GraphFormat::Mermaid) => graph::mermaid(&graph),
        (false, GraphFormat::Svg) => graph::svg(&graph),
    };
    ui.result(&text);
    Ok(Exit::Done)
}
