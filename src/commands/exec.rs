//! `provision exec`: one command on many hosts. It knows nothing of what the command does.

use std::path::Path;

use super::fleet::{Fleet, options, target};
use crate::cli::args::{Exec as Args, Selection};
use crate::cli::exit::{Exit, combine};
use crate::cli::ui::Ui;
use crate::drive;
use crate::events::{Event, OutputStream, Progress};
use crate::report::error::CommandError;
use crate::report::{event_json, exec, paint};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let selection = Selection {
        hosts: args.hosts,
        narrow: args.narrow,
    };
    let fleet = Fleet::load_selected(root, &selection, ui)?;
    let hosts: Vec<_> = fleet.hosts.values().collect();
    let width = hosts
        .iter()
        .map(|desired| desired.host.as_str().len())
        .max()
        .unwrap_or(0);
    // With one host, its output is the result as it is: nobody has to tell hosts apart.
    let alone = hosts.len() == 1;
    let targets = hosts.iter().map(|desired| target(desired)).collect();
    let mut events = drive::exec(targets, args.argv, &options(&args.connect), stop);
    let mut exits = Vec::new();
    loop {
        let event = tokio::select! {
            // First: a host that was stopped must not pass for one that was not reached.
            biased;
            // A command has no journal to come back to: what it did so far is not known.
            () = stop.wait() => return Ok(Exit::Interrupted),
            event = events.recv() => event,
        };
        match event {
            Some(Event::Progress { host, progress }) if ui.json() => {
                if let Some(line) = event_json::progress_line(&host, &progress) {
                    ui.result(&line);
                }
            }
            Some(Event::Progress { host, progress }) => {
                let Progress::Output { stream, line } = progress else {
                    continue;
                };
                let (palette, to_stdout) = match stream {
                    OutputStream::Stdout => (ui.results(), true),
                    OutputStream::Stderr => (ui.talk(), false),
                };
                let line = line.escaped();
                let text = if alone {
                    format!("{line}\n")
                } else {
                    format!("{} {line}\n", paint(palette.faint(), format!("{host:<width$} |")))
                };
                if to_stdout { ui.result(&text) } else { ui.warn(&text) }
            }
            Some(Event::Finished { host, result }) => {
                if ui.json() {
                    ui.result(&exec::end_line(&host, &result));
                } else if let Some(words) = exec::end_words(&result) {
                    ui.warn(&format!("{}: {words}\n", paint(ui.talk().error(), &host)));
                }
                exits.push(exec::exit(&result));
            }
            None => break,
        }
    }
    let exit = combine(exits);
    if ui.json() {
        ui.result(&event_json::summary_line(exit));
    }
    Ok(exit)
}
