//! `provision why HOST PATH`: every definition of an option, a resource or a key of one, and which of them counts.
//! It contacts no host.

use std::path::Path;

use provision_core::model::HostName;
use provision_core::resolve::{WhyError, why};

use super::fleet::project;
use crate::cli::args::Why as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::load;
use crate::report::error::CommandError;
use crate::report::{findings, why as report};

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let root = load::root(root)?;
    let host = HostName::new(args.host.as_str())
        .map_err(|rule| CommandError::refused(format!("{:?} is no host: {rule}", args.host)))?;
    let answer = project(&root, |project, sources| why(project, sources, &host, &args.path))?;
    match answer.why {
        Ok(why) => {
            // A mistake elsewhere keeps nobody from asking; often it is the reason to ask.
            if !answer.resolution.diagnostics.is_empty() {
                ui.say(&findings::text(&answer.resolution, ui));
            }
            ui.result(&if ui.json() {
                report::why_json(&why)
            } else {
                report::why_text(&why, ui.results())
            });
            Ok(Exit::Done)
        }
        Err(WhyError::Unreadable { .. }) if answer.resolution.has_errors() => {
            Err(findings::error(&answer.resolution, ui))
        }
        Err(error) => Err(report::no_answer(error)),
    }
}
