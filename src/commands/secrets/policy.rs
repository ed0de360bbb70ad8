//! `provision secrets policy`: the least rights in AWS that the selected hosts take. It contacts nobody.

use std::collections::BTreeSet;
use std::path::Path;

use provision_secrets::Source;

use super::uses::uses;
use crate::cli::args::SecretsPolicy as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::commands::fleet::Fleet;
use crate::report::error::CommandError;
use crate::report::secrets::policy::{Rights, policy};
use crate::secrets;

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let fleet = Fleet::load_selected(root, &args.selection, ui)?;
    let stores = secrets::open(&fleet.root)?;
    let mut secrets = BTreeSet::new();
    for used in fleet.hosts.values().flat_map(|desired| uses(desired)) {
        if let Source::Aws { id, region, .. } = secrets::place(&stores, used.item).source {
            let region = region.or_else(|| stores.region().map(str::to_owned));
            secrets.insert((id, region));
        }
    }
    if secrets.is_empty() {
        return Err(
            CommandError::refused("none of these hosts has a secret in AWS Secrets Manager")
                .hint("say where one is with aws = \"NAME\", or default = \"aws\" in secrets/stores.toml"),
        );
    }
    let rights = match (args.plan, args.host) {
        (true, _) => Rights::Plan,
        (_, true) => Rights::Host,
        _ => Rights::Apply,
    };
    // A policy is JSON whatever is asked for.
    ui.result(&policy(&secrets, rights));
    Ok(Exit::Done)
}
