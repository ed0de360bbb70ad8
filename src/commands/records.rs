//! What the commands about one host's own records share: finding the host, and waiting for its answer. It works though other
//! files of the project are broken, since going back is what one does then.

use std::path::Path;

use super::fleet;
use crate::cli::args::Selection;
use crate::cli::select::select;
use crate::cli::ui::Ui;
use crate::drive::{Events, RecordsError, Target};
use crate::events::Event;
use crate::load;
use crate::report::error::CommandError;
use crate::report::findings;
use crate::report::looking::LookingView;
use crate::stop::Stop;

/// The one host of that name, from its own file alone.
pub(super) fn find(root: Option<&Path>, name: &str, ui: &Ui) -> Result<Target, CommandError> {
    let found = fleet::project(&load::root(root)?, |project, _| {
        let hosts = project.hosts.values();
        let inventory = hosts.map(|host| (host.name.clone(), host.tags.clone())).collect();
        let selection = Selection {
            hosts: vec![name.to_owned()],
            ..Selection::default()
        };
        let selected = select(&inventory, &selection)?;
        let mut hosts = selected.iter().filter_map(|host| project.hosts.get(host));
        match (hosts.next(), hosts.next()) {
            // How it is reached may be what is wrong with it.
            (Some(host), None) if host.broken => Ok(None),
            (Some(host), None) => Ok(Some(Target {
                host: host.name.clone(),
                connection: host.connection.clone(),
            })),
            _ => {
                let error = format!("{name:?} fits {} hosts, and this command takes one", selected.len());
                Err(CommandError::refused(error))
            }
        }
    })??;
    match found {
        Some(target) => Ok(target),
        None => Err(findings::error(&fleet::resolution(root)?, ui)),
    }
}

/// Waits for the one host's answer about its records.
pub(super) async fn answer<T>(
    events: Events<Result<T, RecordsError>>,
    ui: &Ui,
    stop: &Stop,
) -> Result<T, CommandError> {
    answer_or(events, CommandError::records, ui, stop).await
}

/// Waits for the one host's answer, whose error is told in these words.
pub(super) async fn answer_or<T, E>(
    mut events: Events<Result<T, E>>,
    words: fn(&str, E) -> CommandError,
    ui: &Ui,
    stop: &Stop,
) -> Result<T, CommandError> {
    let mut view = LookingView::new(ui, 1);
    loop {
        let event = tokio::select! {
            biased;
            () = stop.wait() => return Err(CommandError::interrupted()),
            event = events.recv() => event,
        };
        match event {
            Some(Event::Progress { host, progress }) => view.progress(&host, &progress),
            Some(Event::Finished { host, result }) => {
                return result.map_err(|error| words(host.as_str(), error));
            }
            // The task of the host died, which cannot be.
            None => return Err(CommandError::interrupted()),
        }
    }
}
