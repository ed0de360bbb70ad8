//! Looks at hosts and plans each as soon as it is seen. It shows nothing but that it is at work.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use provision_core::model::{Desired, HostName, HostText, Plan, pin, secret_items};
use provision_core::plan::plan;

use super::fleet::{Fleet, options};
use crate::applier::applier;
use crate::cli::args::{Connect, Selection};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive::{self, ReachError, ReachStage};
use crate::events::Event;
use crate::fetch_program::{self, ProgramError};
use crate::report::error::CommandError;
use crate::report::looking::LookingView;
use crate::secrets::{self, Supply};
use crate::stop::Stop;

/// The hosts with the versions that their secrets should have: each store is asked once for all of them, so that all hosts of a
/// run get the same.
async fn pinned(
    root: &Path,
    hosts: Vec<Arc<Desired>>,
    supply: Supply,
    stop: &Stop,
) -> Result<Vec<Arc<Desired>>, CommandError> {
    let specs = hosts.iter().flat_map(|desired| desired.resources.values());
    let items = secret_items(specs.map(|resource| &resource.spec));
    if items.is_empty() {
        return Ok(hosts);
    }
    let pins = tokio::select! {
        pins = secrets::pins(root, &items, supply) => pins?,
        () = stop.wait() => return Err(CommandError::interrupted()),
    };
    let pinned = hosts.into_iter().map(|mut desired| {
        pin(Arc::make_mut(&mut desired), &pins);
        desired
    });
    Ok(pinned.collect())
}

/// A host whose secrets it could not fetch is not planned at all.
fn no_program(error: ProgramError, arch: &str) -> ReachError {
    let arch = HostText::new(arch).escaped();
    ReachError::new(ReachStage::Agent, error).hint(format!(
        "build it on such a machine, and name its directory with PROVISION_AGENT_DIR (as provision-fetch-secrets-{arch})"
    ))
}

/// What was found of each selected host.
pub(super) struct Survey {
    /// The hosts as they should be.
    pub desired: BTreeMap<HostName, Arc<Desired>>,
    /// Their plans, or why they could not be reached.
    pub found: BTreeMap<HostName, Result<Arc<Plan>, ReachError>>,
}

impl Survey {
    /// Reads the project, looks at the selected hosts, and plans them.
    pub(super) async fn take(
        root: Option<&Path>,
        selection: &Selection,
        connect: &Connect,
        ui: &Ui,
        stop: &Stop,
    ) -> Result<Self, CommandError> {
        let fleet = Fleet::load_selected(root, selection, ui)?;
        let selected = fleet.hosts.values().cloned().collect();
        Self::look(&fleet.root, selected, Supply::Stores, connect, ui, stop).await
    }

    /// Looks at these hosts of the project with this root, and plans them.
    pub(super) async fn look(
        root: &Path,
        selected: Vec<Arc<Desired>>,
        supply: Supply,
        connect: &Connect,
        ui: &Ui,
        stop: &Stop,
    ) -> Result<Self, CommandError> {
        let options = options(connect);
        let mut selected = selected;
        for desired in &mut selected {
            fetch_program::declare(desired).map_err(CommandError::refused)?;
        }
        let mut view = LookingView::new(ui, selected.len());
        // git is asked while hosts are being connected to.
        let applier = applier(root);
        let wanted = selected.clone();
        let mut events = drive::look(selected, &options, stop);
        let (applier, pinned) = tokio::join!(applier, pinned(root, wanted, supply, stop));
        let mut desired: BTreeMap<_, _> = pinned?
            .into_iter()
            .map(|desired| (desired.host.clone(), desired))
            .collect();
        let mut found = BTreeMap::new();
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
                    let Some(desired) = desired.get_mut(&host) else {
                        continue;
                    };
                    let result = result.and_then(|observed| {
                        let arch = observed.facts.arch.untrusted();
                        fetch_program::fit(desired, arch).map_err(|error| no_program(error, arch))?;
                        Ok(Arc::new(plan(desired, &observed, &applier)))
                    });
                    found.insert(host, result);
                }
                None => break,
            }
        }
        Ok(Self { desired, found })
    }

    /// The plans of the hosts that were reached.
    pub(super) fn plans(&self) -> Vec<&Plan> {
        self.found.values().flatten().map(Arc::as_ref).collect()
    }

    /// How many hosts were not reached.
    pub(super) fn unreachable(&self) -> usize {
        self.found.values().filter(|found| found.is_err()).count()
    }

    /// Each host's plan or trouble, in order.
    pub(super) fn each(&self) -> impl Iterator<Item = (&HostName, Result<&Plan, &ReachError>)> {
        self.found
            .iter()
            .map(|(host, found)| (host, found.as_ref().map(Arc::as_ref)))
    }

    /// What the hosts come to, given what a plan does.
    pub(super) fn exit(&self, of: impl Fn(&Plan) -> Exit) -> Exit {
        crate::cli::exit::combine(self.each().map(|(_, found)| found.map_or(Exit::Unreachable, &of)))
    }
}
