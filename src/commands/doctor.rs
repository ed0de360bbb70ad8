//! `provision doctor`: what is wrong with hosts, and what to do. It changes no host.

use std::collections::BTreeMap;
use std::path::Path;

use provision_core::doctor::diagnose;
use provision_core::model::{Desired, Examine, Spec};

use super::fleet::{Fleet, options, target};
use crate::cli::args::Doctor as Args;
use crate::cli::exit::{Exit, combine};
use crate::cli::ui::Ui;
use crate::drive;
use crate::events::Event;
use crate::report::doctor;
use crate::report::error::CommandError;
use crate::report::looking::LookingView;
use crate::stop::Stop;

/// How files with certificates are called; others that hold some are found in well-known places.
const CERTIFICATES: [&str; 3] = [".pem", ".crt", ".cer"];

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let fleet = Fleet::load_selected(root, &args.selection, ui)?;
    let mut view = LookingView::new(ui, fleet.hosts.len());
    let targets = fleet.hosts.values().map(|desired| (target(desired), asked(desired)));
    let mut events = drive::examine(targets.collect(), &options(&args.connect), stop);
    let mut diagnoses = BTreeMap::new();
    loop {
        let event = tokio::select! {
            // First: a host that was stopped must not pass for one that was not reached.
            biased;
            () = stop.wait() => return Err(CommandError::interrupted()),
            event = events.recv() => event,
        };
        match event {
            Some(Event::Progress { host, progress }) => view.progress(&host, &progress),
            Some(Event::Finished { host, result }) => {
                view.finished(&host);
                let claims = fleet.hosts.get(&host).map_or(&[][..], |desired| &desired.ports);
                let diagnosis = result.map(|(seen, trip)| diagnose(host.as_str(), claims, &seen, trip));
                diagnoses.insert(host, diagnosis);
            }
            None => break,
        }
    }
    drop(view);
    let exit = combine(diagnoses.values().map(doctor::exit));
    ui.result(&if ui.json() {
        doctor::doctor_json(&diagnoses, exit)
    } else {
        doctor::doctor_text(&diagnoses, ui.verbose(), ui.results())
    });
    Ok(exit)
}

/// The host's own files that may hold certificates.
fn asked(desired: &Desired) -> Examine {
    let specs = desired.resources.values().map(|resource| &resource.spec);
    let certificates = specs.filter_map(|spec| {
        let Spec::File(file) = spec else { return None };
        let is_one = CERTIFICATES.iter().any(|ending| file.path.as_str().ends_with(ending));
        is_one.then(|| file.path.clone())
    });
    Examine {
        certificates: certificates.collect(),
    }
}
