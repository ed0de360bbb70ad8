//! `provision secrets rotate NAME`: a new version into the store, and from there to every host that uses it, as a plan that is
//! applied like any other.

use std::collections::BTreeSet;
use std::path::Path;

use super::set::read_value;
use super::uses::uses;
use super::who::{is_meant, unknown};
use crate::cli::args::{Apply, Narrow, SecretsRotate as Args};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::commands::apply;
use crate::commands::fleet::Fleet;
use crate::report::error::CommandError;
use crate::report::secrets;
use crate::secrets as stores;
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let fleet = Fleet::load(root, ui)?;
    let mut items = BTreeSet::new();
    let mut hosts = Vec::new();
    for (host, desired) in &fleet.hosts {
        let uses = uses(desired).into_iter().filter(|used| is_meant(used, &args.name));
        let before = items.len();
        let mut used = false;
        for meant in uses {
            items.insert(meant.item.clone());
            used = true;
        }
        if used || items.len() > before {
            hosts.push(host.to_string());
        }
    }
    let store = stores::open(&fleet.root)?;
    let places: BTreeSet<_> = items.iter().map(|item| stores::place(&store, item)).collect();
    let place = match places.into_iter().collect::<Vec<_>>().as_slice() {
        [] => return Err(unknown(&fleet, &args.name)),
        [place] => place.clone(),
        several => {
            let places: Vec<_> = several.iter().map(ToString::to_string).collect();
            let error = format!("{:?} is kept in several places: {}", args.name, places.join("; "));
            return Err(CommandError::refused(error).hint("name the place itself, such as bots/friday/token"));
        }
    };
    let value = read_value(&args.name, ui.can_be_asked())?;
    let version = store
        .put(&place, value)
        .await
        .map_err(|error| secrets::error(error, ui))?;
    ui.say(&format!(
        "{} is {version} now; planning the hosts that use it\n",
        args.name
    ));
    let apply = Apply {
        what: hosts,
        narrow: Narrow::default(),
        yes: args.yes,
        diff: args.diff,
        confirm: args.confirm.clone(),
        connect: args.connect.clone(),
    };
    apply::run(root, &apply, ui, stop).await
}
