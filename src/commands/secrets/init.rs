//! `provision secrets init`: an encrypted store in the project, for whoever is to read it. It overwrites nothing.

use std::fs;
use std::path::{Path, PathBuf};

use provision_secrets::{CONFIG_FILE, Config, Problem, STORE_FILE, StoreError, new_store, recipient_of};

use crate::cli::args::SecretsInit as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::commands::skeleton;
use crate::load;
use crate::report::error::CommandError;
use crate::report::{made, secrets};

/// The largest file of a public key, in bytes.
const MAX_PUBLIC_KEY: u64 = 64 << 10;

#[derive(Debug, thiserror::Error)]
#[error("cannot read the public key {}", path.display())]
struct ReadKeyError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let stores = super::open(root, ui)?;
    let root = load::root(root)?;
    let failed = |error: StoreError| secrets::error(error, ui);
    let config = Config::load(&root).map_err(failed)?;
    let file = config.age.file.as_str();
    if root.join(file).symlink_metadata().is_ok() {
        let problem = Problem::StoreExists { file: file.to_owned() };
        return Err(failed(StoreError::new("the age store", problem)));
    }
    let recipients = match (&config.age.recipients, args.recipient.as_slice()) {
        (Some(said), []) => said.clone(),
        (Some(_), _) => {
            let error = format!("{CONFIG_FILE} names the recipients already");
            return Err(CommandError::refused(error).hint("add them there, and leave --recipient out"));
        }
        (None, []) => vec![stores.own_recipient().map_err(failed)?],
        (None, given) => given
            .iter()
            .map(|given| recipient(given, ui))
            .collect::<Result<_, _>>()?,
    };
    let store = new_store(&recipients).map_err(failed)?;
    let text = secrets::new_config(&recipients);
    let mut files = vec![(file, store.as_str())];
    let has_config = root.join(CONFIG_FILE).symlink_metadata().is_ok();
    if !has_config {
        files.push((CONFIG_FILE, text.as_str()));
    }
    let made = skeleton::make(&root, files).map_err(CommandError::refused)?;
    ui.result(&made::text("secrets init", &made, ui.json()));
    let recorded = has_config && config.age.recipients.is_none();
    ui.say(&secrets::after_init(&recipients, recorded, ignored(&root)));
    Ok(Exit::Done)
}

/// A recipient's line, as it is given or in the file that is named.
fn recipient(given: &str, ui: &Ui) -> Result<String, CommandError> {
    let path = Path::new(given);
    let line = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_PUBLIC_KEY => {
            let path = path.to_owned();
            let read = fs::read_to_string(&path);
            read.map_err(|source| CommandError::refused(ReadKeyError { path, source }))?
        }
        _ => given.to_owned(),
    };
    let line = line.trim().to_owned();
    recipient_of(&line).map_err(|error| secrets::error(error, ui))?;
    Ok(line)
}

/// The line of `.gitignore` for which git would not take the store, if there is a plain one.
fn ignored(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join(".gitignore")).ok()?;
    let directory = Path::new(STORE_FILE).parent()?.to_str()?;
    let plain = |line: &&str| line.trim().trim_matches('/') == directory;
    text.lines().find(plain).map(|line| line.trim().to_owned())
}
