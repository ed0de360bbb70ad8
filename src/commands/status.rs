//! `provision status`: how hosts stand, and whether their probes pass. It changes no host and plans nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use provision_core::model::{Desired, Fact, HostName, Kind, Observed, ProbeState, Spec, State, UnitName};

use super::fleet::{Fleet, options, target};
use crate::cli::args::Status as Args;
use crate::cli::exit::{Exit, combine};
use crate::cli::ui::Ui;
use crate::drive::{self, Events};
use crate::events::Event;
use crate::report::error::CommandError;
use crate::report::looking::LookingView;
use crate::report::status::{self, HostStatus};
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let fleet = Fleet::load_selected(root, &args.selection, ui)?;
    let options = options(&args.connect);
    let mut view = LookingView::new(ui, fleet.hosts.len());
    let hosts = fleet.hosts.values();
    let targets = hosts.clone().map(|desired| (target(desired), units(desired))).collect();
    let probed = hosts.filter_map(|desired| probes_alone(desired)).collect();
    let reports = drive::status(targets, &options, stop);
    let looks = drive::look(probed, &options, stop);
    let both = async { tokio::join!(collect(reports, Some(&mut view)), collect(looks, None)) };
    let (reports, mut looks) = tokio::select! {
        // First: a host that was stopped must not pass for one that was not reached.
        biased;
        () = stop.wait() => return Err(CommandError::interrupted()),
        both = both => both,
    };
    drop(view);
    let statuses: BTreeMap<_, _> = reports
        .into_iter()
        .map(|(host, report)| {
            let probes = looks.remove(&host);
            let status = report.and_then(|report| {
                let probes = probes.transpose()?.map(probes_of).unwrap_or_default();
                Ok(HostStatus { report, probes })
            });
            (host, status)
        })
        .collect();
    let exit = combine(statuses.values().map(status::exit));
    if ui.json() {
        ui.result(&status::status_json(&statuses, exit));
    } else {
        ui.result(&status::status_text(&statuses, ui.verbose(), ui.results()));
    }
    Ok(exit)
}

/// Every host's end.
async fn collect<T>(mut events: Events<T>, mut view: Option<&mut LookingView>) -> BTreeMap<HostName, T> {
    let mut ends = BTreeMap::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Progress { host, progress } => {
                if let Some(view) = &mut view {
                    view.progress(&host, &progress);
                }
            }
            Event::Finished { host, result } => {
                if let Some(view) = &mut view {
                    view.finished(&host);
                }
                ends.insert(host, result);
            }
        }
    }
    ends
}

/// The units that are managed on a host: worth telling of even when they have not failed.
fn units(desired: &Desired) -> Vec<UnitName> {
    let specs = desired.resources.values().map(|resource| &resource.spec);
    specs
        .filter_map(|spec| match spec {
            Spec::Unit(unit) => Some(unit.name.clone()),
            Spec::Group(_)
            | Spec::User(_)
            | Spec::Debconf(_)
            | Spec::Package(_)
            | Spec::Directory(_)
            | Spec::File(_)
            | Spec::Block(_)
            | Spec::Tree(_)
            | Spec::Git(_)
            | Spec::Swapfile(_)
            | Spec::Switch(_)
            | Spec::Symlink(_)
            | Spec::Sysctl(_)
            | Spec::Firewall(_)
            | Spec::Secret(_)
            | Spec::Command(_)
            | Spec::Probe(_) => None,
        })
        .collect()
}

/// The host with its probes and nothing else to look at; `None` where it has none.
fn probes_alone(desired: &Desired) -> Option<Arc<Desired>> {
    let probes = desired.resources.iter().filter(|(id, _)| id.kind == Kind::Probe);
    let resources: BTreeMap<_, _> = probes.map(|(id, resource)| (id.clone(), resource.clone())).collect();
    let some = !resources.is_empty();
    some.then(|| {
        Arc::new(Desired {
            resources,
            blobs: BTreeMap::new(),
            ..desired.clone()
        })
    })
}

/// What was found of the probes; receipts bring other resources along.
fn probes_of(observed: Observed) -> BTreeMap<String, Fact<ProbeState>> {
    let resources = observed.resources.into_iter();
    resources
        .filter(|(id, _)| id.kind == Kind::Probe)
        .map(|(id, fact)| {
            let probe = match fact {
                Fact::Known(State::Probe(probe)) => Fact::Known(probe),
                Fact::Known(_) => Fact::unknown("the agent answered with something else than a probe"),
                Fact::Unknown(why) => Fact::Unknown(why),
            };
            (id.name, probe)
        })
        .collect()
}
