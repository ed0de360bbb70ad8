//! `provision diff HOST N M`: how two generations of a host differ. It looks at nothing else on the host, and changes nothing.

use std::path::Path;

use provision_core::plan::{compare, contents};

use super::fleet::options;
use super::records::{answer, find};
use crate::cli::args::DiffGenerations as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive;
use crate::report::comparison::{comparison_json, comparison_text};
use crate::report::error::CommandError;
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let target = find(root, &args.host, ui)?;
    let host = target.host.clone();
    let options = options(&args.connect);
    let to = match args.to {
        Some(to) => to,
        None => {
            let history = answer(drive::history(target.clone(), &options, stop), ui, stop).await?;
            history.generations.first().map_or(0, |newest| newest.number)
        }
    };
    let from = args.from.unwrap_or(to.saturating_sub(1));
    let wanted = [Some(from), Some(to)];
    let pasts = answer(drive::pasts(target.clone(), &wanted, &options, stop), ui, stop).await?;
    let (from, to) = match pasts.as_slice() {
        [from, to] => (from, to),
        _ => return Err(CommandError::refused("the host did not tell of both generations")),
    };
    let digests = contents(from.receipt.as_ref(), to.receipt.as_ref());
    let kept = if digests.is_empty() {
        Default::default()
    } else {
        answer(drive::contents(target, digests, &options, stop), ui, stop).await?
    };
    let differences = compare(from.receipt.as_ref(), to.receipt.as_ref(), &kept);
    ui.result(&if ui.json() {
        comparison_json(&host, (from.number, to.number), &differences)
    } else {
        let numbers = (from.number, to.number);
        comparison_text(&host, numbers, &differences, args.diff.shown(), ui.results())
    });
    Ok(Exit::Done)
}
