//! `provision secrets set NAME`: a value from standard input, or from a person without showing it. It never comes from the command line.

use std::io;
use std::path::Path;

use provision_secrets::{Problem, SecretValue, StoreError, ask_hidden, check_name};

use crate::cli::args::SecretsSet as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::secrets;

#[derive(Debug, thiserror::Error)]
#[error("cannot read the value from standard input")]
struct ReadValueError(#[source] io::Error);

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let failed = |error: StoreError| secrets::error(error, ui);
    let stores = super::open(root, ui)?;
    let item = super::of_project(&args.name);
    // Before anybody types anything for nothing.
    check_name(&args.name).map_err(|why| failed(StoreError::new(&item, Problem::BadName { why })))?;
    stores.list().map_err(failed)?;
    let value = read_value(&args.name, ui.can_be_asked() && !args.age)?;
    let value = if args.age {
        stores.open_age_file(value.expose()).map_err(failed)?
    } else {
        value
    };
    let length = secrets::length(&value);
    let version = stores.put(&item, value).await.map_err(failed)?;
    ui.result(&secrets::stored(
        "secrets set",
        &args.name,
        &version,
        &length,
        ui.json(),
    ));
    Ok(Exit::Done)
}

/// A value: from a person, without showing it, or else from standard input.
pub(super) fn read_value(name: &str, ask: bool) -> Result<SecretValue, CommandError> {
    if ask {
        let prompt = format!("Value of {name}: ");
        let line = ask_hidden(&prompt).map_err(|error| secrets::no_answer(error, name))?;
        return Ok(SecretValue::new(line.to_vec()));
    }
    // A second more than any value is read of: what is too large is refused, not cut.
    SecretValue::read(io::stdin().lock()).map_err(|error| CommandError::refused(ReadValueError(error)))
}
