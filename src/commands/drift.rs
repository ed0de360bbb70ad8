//! `provision drift`: where hosts are not as they were left or declared, and who moved. It changes no host.

use std::path::Path;

use super::survey::Survey;
use crate::cli::args::Drift as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::{self, CommandError};
use crate::report::plan::PlanView;
use crate::report::{drift, json, plan_json};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let survey = Survey::take(root, &args.selection, &args.connect, ui, stop).await?;
    // What could not be seen is no "no drift", whatever the exit code asked for.
    let exit = survey.exit(|plan| match (plan.blockers.is_empty(), drift::is_clean(plan)) {
        (false, _) => Exit::Refused,
        (true, false) if args.detailed_exitcode => Exit::Changes,
        (true, _) => Exit::Done,
    });
    if ui.json() {
        ui.result(&json::document(&plan_json::plan_document("drift", survey.each(), exit)));
        return Ok(exit);
    }
    let view = PlanView {
        palette: ui.results(),
        diff: args.diff.shown(),
        unchanged: ui.verbose(),
    };
    let plans = survey.plans();
    ui.result(&drift::drifts_text(&plans, survey.unreachable(), view));
    for (host, found) in survey.each() {
        if let Err(error) = found {
            ui.warn(&error::reach_text(host.as_str(), error, ui.talk()));
        }
    }
    Ok(exit)
}
