//! `provision forget HOST`: drops what `provision` keeps on a host for itself, after saying what goes and what stays, and asking.
//! Nothing that was applied is undone.

use std::path::Path;

use super::fleet::options;
use super::records::{answer, find};
use crate::applier::applier;
use crate::cli::args::Forget as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive;
use crate::load;
use crate::report::error::CommandError;
use crate::report::forget::{forget_json, forgotten_text, what_goes};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let target = find(root, &args.host, ui)?;
    let host = target.host.clone();
    let options = options(&args.connect);
    let history = answer(drive::history(target.clone(), &options, stop), ui, stop).await?;
    ui.say(&what_goes(&host, &history, ui.talk()));
    if !args.yes {
        let question = format!("Forget {host}?");
        let yes = tokio::select! {
            answer = ui.ask(&question) => answer.map_err(|error| CommandError::refused(error).hint("--yes forgets without asking"))?,
            () = stop.wait() => return Err(CommandError::interrupted()),
        };
        if !yes {
            return Err(CommandError::refused("not forgotten, as you say; nothing was touched"));
        }
    }
    let who = applier(&load::root(root)?).await.who;
    let newest = history.generations.first().map_or(0, |newest| newest.number);
    answer(drive::forget(target, who, newest, &options, stop), ui, stop).await?;
    ui.result(&if ui.json() {
        forget_json(&host, &history)
    } else {
        forgotten_text(&host, ui.results())
    });
    Ok(Exit::Done)
}
