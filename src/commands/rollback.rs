//! `provision rollback HOST [N]`: plans the way back to a generation from what the host keeps, shows it, asks, and has it carried
//! out as every plan is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use provision_core::model::{Applier, HostText, secret_items};
use provision_core::plan::{Rollback, rollback};

use super::apply::{Work, carry_out};
use super::fleet::confirmed_options;
use super::plan::say_saved;
use super::records::{answer, find};
use crate::applier::applier;
use crate::cli::args::Rollback as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive;
use crate::load;
use crate::report::error::CommandError;
use crate::report::plan::{PlanView, plans_text};
use crate::report::rollback::{rollback_document, rollback_line, rollback_text};
use crate::report::{event_json, plan_json};
use crate::saved::{self, SavedPlan};
use crate::secrets::{self, Supply};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let target = find(root, &args.host, ui)?;
    let options = confirmed_options(&args.connect, &args.confirm);
    let project = load::root(root)?;
    let by = applier(&project);
    let asked = answer(
        drive::way_back(target.clone(), args.generation, &options, stop),
        ui,
        stop,
    );
    let (by, asked) = tokio::join!(by, asked);
    let (past, observed) = asked?;
    let commit = past.receipt.as_ref().and_then(|receipt| receipt.by.get("commit"));
    let by = Applier {
        // What is applied is what was declared then.
        commit: commit.map(HostText::escaped),
        ..by
    };
    let to = (&target.host, &target.connection);
    let entries = past.receipt.iter().flat_map(|receipt| receipt.entries.values());
    let items = secret_items(entries.map(|entry| &entry.spec));
    let pins = secrets::pins(&project, &items, Supply::Stores).await?;
    let mut back = rollback(to, &past, &observed, &by, &BTreeMap::new(), &pins);
    if !back.wanted.is_empty() {
        let wanted = std::mem::take(&mut back.wanted);
        let kept = answer(drive::contents(target.clone(), wanted, &options, stop), ui, stop).await?;
        back = rollback(to, &past, &observed, &by, &kept, &pins);
    }
    let Rollback { plan, remains, .. } = back;
    let exit = match (plan.blockers.len(), plan.changes.len()) {
        (1.., _) => Exit::Refused,
        (0, 1..) if args.detailed_exitcode => Exit::Changes,
        (0, _) => Exit::Done,
    };
    let only_shown = args.plan || args.out.is_some();
    if ui.json() {
        if only_shown {
            ui.result(&rollback_document(&past, &remains, &plan, exit));
        } else {
            ui.result(&rollback_line(&past, &remains, &plan));
            ui.result(&event_json::plan_line(&plan, &plan_json::plan_value(&plan)));
        }
    } else {
        let view = PlanView {
            palette: ui.results(),
            diff: args.diff.shown(),
            unchanged: ui.verbose(),
        };
        ui.result(&rollback_text(&past, &remains, &plan, ui.results()));
        ui.result(&plans_text(&[&plan], 0, view));
    }
    if let Some(file) = &args.out {
        let connection = target.connection;
        let applicable = plan.blockers.is_empty() && !plan.changes.is_empty();
        let saved: Vec<_> = applicable
            .then_some(SavedPlan { connection, plan })
            .into_iter()
            .collect();
        saved::write(file, &saved)?;
        say_saved(file, saved.len(), ui);
        return Ok(exit);
    }
    if only_shown {
        return Ok(exit);
    }
    let mut work = Work::default();
    work.add(target.connection, Arc::new(plan));
    carry_out(root, work, args.yes, &options, ui, stop).await
}
