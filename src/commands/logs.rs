//! `provision logs HOST UNIT`: what a unit wrote, and what it writes. It judges none of it.

use std::path::Path;

use provision_core::model::{Logs, UnitName};

use super::fleet::options;
use super::records::find;
use crate::cli::args::Logs as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive::{self, LogsEnd};
use crate::events::{Event, Progress};
use crate::report::error::CommandError;
use crate::report::looking::LookingView;
use crate::report::{event_json, logs};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let named = unit(&args.unit)?;
    if let (Some(own), Some(said)) = (named.user(), &args.user)
        && own != said
    {
        let problem = format!("{named} is a unit of {own}, and not of {said}");
        return Err(CommandError::refused(problem).hint("name the user once, with --user or before the unit"));
    }
    let user = args.user.clone().or_else(|| named.user().map(str::to_owned));
    let unit = named.alone();
    let target = find(root, &args.host, ui)?;
    let asked = Logs {
        unit: unit.clone(),
        user: user.clone(),
        lines: args.lines,
        since: args.since,
        follow: args.follow,
    };
    let mut view = Some(LookingView::new(ui, 1));
    let mut events = drive::logs(target, asked, &options(&args.connect), stop);
    loop {
        match events.recv().await {
            Some(Event::Progress { host, progress }) => match progress {
                Progress::Logged(entries) => {
                    // The line that says that it is at work must not stand among what is printed.
                    view = None;
                    for entry in &entries {
                        ui.result(&if ui.json() {
                            logs::entry_line(&host, entry)
                        } else {
                            logs::entry_text(entry, ui.results())
                        });
                    }
                }
                progress => {
                    if let Some(view) = &mut view {
                        view.progress(&host, &progress);
                    }
                }
            },
            Some(Event::Finished { host, result }) => {
                drop(view);
                let exit = match result {
                    Ok(LogsEnd::All(count)) => {
                        if let Some(words) = logs::end_words(&unit, count, args.lines, args.since.is_some()) {
                            ui.say(&words);
                        }
                        Exit::Done
                    }
                    // To be stopped is how following ends.
                    Ok(LogsEnd::Stopped) if args.follow => Exit::Done,
                    Ok(LogsEnd::Stopped) => Exit::Interrupted,
                    Err(error) => return Err(CommandError::logs(host.as_str(), &unit, user.as_deref(), error)),
                };
                if ui.json() {
                    ui.result(&event_json::summary_line(exit));
                }
                return Ok(exit);
            }
            // The task of the host died, which cannot be.
            None => return Err(CommandError::interrupted()),
        }
    }
}

/// A unit's name; a service's may do without its type.
pub(super) fn unit(written: &str) -> Result<UnitName, CommandError> {
    let name = UnitName::new(written).or_else(|_| UnitName::new(format!("{written}.service")));
    name.map_err(|error| CommandError::refused(format!("{written:?} is no unit")).hint(error.to_string()))
}
