//! `provision secrets check`: can every secret that the hosts declare be had? It asks stores for versions alone, and contacts no host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use provision_core::model::secret_items;

use super::uses::uses;
use crate::cli::args::SecretsCheck as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::commands::fleet::Fleet;
use crate::report::error::CommandError;
use crate::report::secrets::fleet::{Checked, check_json, check_text};
use crate::secrets;
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let fleet = Fleet::load_selected(root, &args.selection, ui)?;
    let specs = fleet.hosts.values().flat_map(|desired| desired.resources.values());
    let mut items = secret_items(specs.map(|resource| &resource.spec));
    items.extend(fleet.unused_secrets.values().flat_map(BTreeMap::values).cloned());
    let answers = tokio::select! {
        answers = secrets::answers(&fleet.root, &items) => answers?,
        () = stop.wait() => return Err(CommandError::interrupted()),
    };
    let mut checked = Vec::new();
    for (host, desired) in &fleet.hosts {
        let unused = fleet.unused_secrets.get(host);
        // A value that several files have is told once for each host.
        let mut told = BTreeSet::new();
        for used in uses(desired)
            .into_iter()
            .filter(|used| told.insert((used.name, used.item)))
        {
            checked.push(Checked {
                host,
                name: used.name,
                item: used.item,
                required: used.secret.required,
                used: unused.is_none_or(|unused| !unused.contains_key(used.name)),
                found: answers.get(used.item),
            });
        }
        // One without a file is in no resource.
        for (name, item) in unused.into_iter().flatten() {
            if told.insert((name, item)) {
                checked.push(Checked {
                    host,
                    name,
                    item,
                    required: false,
                    used: false,
                    found: answers.get(item),
                });
            }
        }
    }
    let exit = if checked.iter().all(Checked::is_fine) {
        Exit::Done
    } else {
        Exit::Refused
    };
    let hosts: BTreeMap<_, _> = fleet.hosts.keys().map(|host| (host, ())).collect();
    ui.result(&if ui.json() {
        check_json(&checked, exit)
    } else {
        check_text(&checked, hosts.len(), ui.results())
    });
    Ok(exit)
}
