//! `provision secrets who NAME`: which hosts and units a secret reaches. It asks no store and contacts no host.

use std::path::Path;

use provision_core::config::did_you_mean;

use super::uses::{Use, units, uses};
use crate::cli::args::SecretsWho as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::commands::fleet::Fleet;
use crate::report::error::CommandError;
use crate::report::secrets::fleet::{Reached, who_json, who_text};

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let fleet = Fleet::load(root, ui)?;
    let mut reached = Vec::new();
    for (host, desired) in &fleet.hosts {
        for used in uses(desired).into_iter().filter(|used| is_meant(used, &args.name)) {
            reached.push(Reached {
                host,
                name: used.name,
                item: used.item,
                path: &used.secret.path,
                owner: &used.secret.owner,
                units: units(desired, used.secret),
            });
        }
    }
    if reached.is_empty() {
        return Err(unknown(&fleet, &args.name));
    }
    ui.result(&if ui.json() {
        who_json(&args.name, &reached)
    } else {
        who_text(&reached, ui.results())
    });
    Ok(Exit::Done)
}

/// Whether a use is of the secret that a person names: by its name in the configuration, or by where it is kept.
pub(super) fn is_meant(used: &Use<'_>, name: &str) -> bool {
    use provision_core::model::SecretSource::{Age, Aws, Command, Environment, Project};
    let kept = match &used.item.source {
        Project { name } | Age { name } => name,
        Aws { id, .. } => id,
        Environment { variable } => variable,
        Command { .. } => return used.name == name,
    };
    used.name == name || kept == name
}

/// No host uses it.
pub(super) fn unknown(fleet: &Fleet, name: &str) -> CommandError {
    let all: Vec<_> = fleet.hosts.values().flat_map(|desired| uses(desired)).collect();
    let error = CommandError::refused(format!("no host uses a secret {name:?}"));
    match did_you_mean(name, all.iter().map(|used| used.name)) {
        Some(meant) => error.hint(meant),
        None => error.hint("`provision secrets check` lists all that hosts use"),
    }
}
