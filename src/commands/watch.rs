//! Follows an apply to its end on every host, and words the end. It carries nothing out.

use std::collections::BTreeMap;
use std::sync::Arc;

use provision_core::model::{HostName, Plan};

use crate::cli::exit::{Exit, combine};
use crate::cli::ui::Ui;
use crate::drive::Events;
use crate::events::{Event, HostOutcome};
use crate::report::progress::{ProgressView, TICK};
use crate::report::{event_json, outcome, recap};
use crate::stop::Stop;

/// Shows the progress of these hosts until each has ended, then the recap of these and of those that had ended before.
pub(super) async fn watch(
    mut events: Events<HostOutcome>,
    hosts: &[HostName],
    plans: &BTreeMap<HostName, Arc<Plan>>,
    mut ended: BTreeMap<HostName, HostOutcome>,
    ui: &Ui,
    stop: &Stop,
) -> Exit {
    let mut view = ProgressView::new(ui, hosts.iter().cloned(), plans.clone());
    for (host, end) in &ended {
        if ui.json() {
            view.finished(host, end);
        }
    }
    let mut ticks = tokio::time::interval(TICK);
    let mut told = false;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Progress { host, progress }) => view.progress(&host, &progress),
                Some(Event::Finished { host, result }) => {
                    view.finished(&host, &result);
                    ended.insert(host, result);
                }
                None => break,
            },
            _ = ticks.tick() => view.tick(),
            () = stop.wait(), if !told => {
                told = true;
                view.note(
                    "Stopping: no further host is begun; what has begun goes on on its host. Ctrl-C again leaves at once.\n",
                );
            }
        }
    }
    let exit = combine(ended.values().map(outcome::exit));
    if ui.json() {
        ui.result(&event_json::summary_line(exit));
    } else {
        let plans = plans.iter().map(|(host, plan)| (host.clone(), plan.as_ref())).collect();
        ui.result(&format!("\n{}", recap::recap_text(&ended, &plans, ui.results())));
    }
    exit
}
