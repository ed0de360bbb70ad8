//! `provision attach HOST`: watches a run that goes on, or has ended, on a host. It starts none.

use std::collections::BTreeMap;
use std::path::Path;

use super::fleet::{Fleet, options, target};
use super::watch::watch;
use crate::cli::args::Attach as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::drive;
use crate::report::error::CommandError;
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let desired = Fleet::load_one(root, &args.host, ui)?;
    let events = drive::attach(target(&desired), args.plan, &options(&args.connect), stop);
    let hosts = [desired.host.clone()];
    Ok(watch(events, &hosts, &BTreeMap::new(), BTreeMap::new(), ui, stop).await)
}
