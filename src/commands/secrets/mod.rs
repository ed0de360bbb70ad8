//! `provision secrets`: the commands about the project's own store of secrets, and about which hosts use what.

mod check;
mod edit;
mod get;
mod init;
mod list;
mod memory;
mod policy;
mod rekey;
mod remove;
mod rotate;
mod set;
mod uses;
mod who;

use std::path::Path;

use provision_secrets::{Item, Source, StoreError, Stores, Surroundings, Version};

use crate::cli::args::Secrets;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::load;
use crate::report::error::CommandError;
use crate::report::secrets;
use crate::stop::Stop;

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Secrets, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    match args {
        Secrets::Init(args) => init::run(root, args, ui),
        Secrets::List(_) => list::run(root, ui),
        Secrets::Set(args) => set::run(root, args, ui).await,
        Secrets::Edit(args) => edit::run(root, args, ui, stop).await,
        Secrets::Get(args) => get::run(root, args, ui).await,
        Secrets::Remove(args) => remove::run(root, args, ui),
        Secrets::Check(args) => check::run(root, args, ui, stop).await,
        Secrets::Who(args) => who::run(root, args, ui),
        Secrets::Policy(args) => policy::run(root, args, ui),
        Secrets::Rotate(args) => rotate::run(root, args, ui, stop).await,
        Secrets::Rekey(_) => rekey::run(root, ui),
    }
}

/// The project's stores.
fn open(root: Option<&Path>, ui: &Ui) -> Result<Stores, CommandError> {
    crate::unseen::keep_unswapped();
    let root = load::root(root)?;
    Stores::open(&root, Surroundings::detect()).map_err(|error| secrets::error(error, ui))
}

/// A secret of the project's own store.
fn of_project(name: &str) -> Item {
    Item {
        source: Source::Age { name: name.to_owned() },
        key: None,
    }
}

/// The version that a secret has now.
async fn version(stores: &Stores, item: &Item) -> Result<Version, StoreError> {
    let mut versions = stores.versions(&[item.clone()].into()).await;
    versions.remove(item).unwrap_or_else(|| Err(no_answer(item)))
}

/// The value of a version.
async fn value(stores: &Stores, item: &Item, version: &Version) -> Result<provision_secrets::SecretValue, StoreError> {
    let mut values = stores.values(&[(item.clone(), version.clone())].into()).await;
    values.remove(item).unwrap_or_else(|| Err(no_answer(item)))
}

fn no_answer(item: &Item) -> StoreError {
    StoreError::new(item, provision_secrets::Problem::NoAnswer)
}
