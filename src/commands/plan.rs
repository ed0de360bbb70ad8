//! `provision plan`: looks at hosts, plans, shows the plans, and saves them where asked. It changes no host.

use std::path::Path;

use super::survey::Survey;
use crate::cli::args::Plan as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::{self, CommandError};
use crate::report::plan::{PlanView, plans_text};
use crate::report::{json, plan_json, words};
use crate::saved::{self, SavedPlan};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let survey = Survey::take(root, &args.selection, &args.connect, ui, stop).await?;
    let exit = survey.exit(|plan| match (plan.blockers.len(), plan.changes.len()) {
        (1.., _) => Exit::Refused,
        (0, 1..) if args.detailed_exitcode => Exit::Changes,
        (0, _) => Exit::Done,
    });
    if ui.json() {
        ui.result(&json::document(&plan_json::plan_document("plan", survey.each(), exit)));
    } else {
        let view = PlanView {
            palette: ui.results(),
            diff: args.diff.shown(),
            unchanged: ui.verbose(),
        };
        let plans = survey.plans();
        ui.result(&plans_text(&plans, survey.unreachable(), view));
        for (host, found) in survey.each() {
            if let Err(error) = found {
                ui.warn(&error::reach_text(host.as_str(), error, ui.talk()));
            }
        }
    }
    if let Some(file) = &args.out {
        save(file, &survey, ui)?;
    }
    Ok(exit)
}

/// Saves the plans that can be applied; the others are named, and so is how to apply.
fn save(file: &Path, survey: &Survey, ui: &Ui) -> Result<(), CommandError> {
    let applicable: Vec<_> = survey
        .plans()
        .into_iter()
        .filter(|plan| plan.blockers.is_empty() && !plan.changes.is_empty())
        .filter_map(|plan| {
            Some(SavedPlan {
                connection: survey.desired.get(&plan.host)?.connection.clone(),
                plan: plan.clone(),
            })
        })
        .collect();
    saved::write(file, &applicable)?;
    say_saved(file, applicable.len(), ui);
    let left_out = survey.plans().iter().filter(|plan| !plan.blockers.is_empty()).count() + survey.unreachable();
    if left_out > 0 {
        let hosts = words::count(left_out, "host");
        ui.warn(&format!(
            "Not in it: {hosts} with something in the way or not reached.\n"
        ));
    }
    Ok(())
}

/// Names a saved plan, and how to apply it.
pub(super) fn say_saved(file: &Path, hosts: usize, ui: &Ui) {
    let file = words::safe(&file.display().to_string());
    // A name that looks like a host's needs its directory to be told from one.
    let file = if file.contains(['.', '/']) {
        file
    } else {
        format!("./{file}")
    };
    let hosts = words::count(hosts, "host");
    ui.say(&format!(
        "\nSaved the plan of {hosts}. To do exactly that: provision apply {file}\n"
    ));
}
