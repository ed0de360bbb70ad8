//! `provision status`: how hosts stand. It changes no host and plans nothing.

use std::collections::BTreeMap;
use std::path::Path;

use provision_core::model::{Desired, Spec, UnitName};

use super::fleet::{Fleet, options, target};
use crate::cli::args::Status as Args;
use crate::cli::exit::{Exit, combine};
use crate::cli::ui::Ui;
use crate::drive;
use crate::events::Event;
use crate::report::error::CommandError;
use crate::report::looking::LookingView;
use crate::report::status;
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let fleet = Fleet::load_selected(root, &args.selection, ui)?;
    let mut view = LookingView::new(ui, fleet.hosts.len());
    let targets = fleet
        .hosts
        .values()
        .map(|desired| (target(desired), units(desired)))
        .collect();
    let mut events = drive::status(targets, &options(&args.connect), stop);
    let mut statuses = BTreeMap::new();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = stop.wait() => return Err(CommandError::interrupted()),
        };
        match event {
            Some(Event::Progress { host, progress }) => view.progress(&host, &progress),
            Some(Event::Finished { host, result }) => {
                view.finished(&host);
                statuses.insert(host, result);
            }
            None => break,
        }
    }
    drop(view);
    let exit = combine(statuses.values().map(status::exit));
    if ui.json() {
        ui.result(&status::status_json(&statuses, exit));
    } else {
        ui.result(&status::status_text(&statuses, ui.verbose(), ui.results()));
    }
    Ok(exit)
}

/// The units that are managed on a host: worth telling of even when they have not failed.
fn units(desired: &Desired) -> Vec<UnitName> {
    let specs = desired.resources.values().map(|resource| &resource.spec);
    specs
        .filter_map(|spec| match spec {
            Spec::Unit(unit) => Some(unit.name.clone()),
            Spec::Group(_)
            | Spec::User(_)
            | Spec::Package(_)
            | Spec::Directory(_)
            | Spec::File(_)
            | Spec::Symlink(_)
            | Spec::Sysctl(_)
            | Spec::Command(_)
            | Spec::Probe(_) => None,
        })
        .collect()
}
