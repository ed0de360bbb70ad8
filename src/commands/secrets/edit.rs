//! `provision secrets edit NAME`: a value in the editor, in memory, and back into the store. It changes nothing where the editor fails.

use std::path::Path;

use provision_secrets::{Problem, SecretValue, StoreError, Version, check_name};
use tokio::process::Command;

use super::memory::{InMemory, MemoryError};
use crate::cli::args::SecretsEdit as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::report::error::CommandError;
use crate::report::secrets;
use crate::stop::Stop;

#[derive(Debug, thiserror::Error)]
enum EditorError {
    #[error("cannot start the editor {editor}")]
    Start {
        editor: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the editor {editor} ended with an error, so nothing was stored")]
    Failed { editor: String },
}

/// Runs the command.
pub(super) async fn run(root: Option<&Path>, args: &Args, ui: &Ui, stop: &Stop) -> Result<Exit, CommandError> {
    let failed = |error: StoreError| secrets::error(error, ui);
    let stores = super::open(root, ui)?;
    let item = super::of_project(&args.name);
    check_name(&args.name).map_err(|why| failed(StoreError::new(&item, Problem::BadName { why })))?;
    let before = match super::version(&stores, &item).await {
        Ok(version) => Some((super::value(&stores, &item, &version).await.map_err(failed)?, version)),
        Err(StoreError {
            problem: Problem::NotFound { .. },
            ..
        }) => None,
        Err(error) => return Err(failed(error)),
    };
    let (old, version) = before.unzip();
    let old = old.as_ref().map_or(&[][..], SecretValue::expose);
    let memory = InMemory::new(&args.name, old).map_err(refused)?;
    edit(memory.path(), stop).await?;
    let new = memory.value().map_err(refused)?;
    drop(memory);
    let new = SecretValue::new(without_editors_end(old, new.expose()).to_vec());
    if new.expose() == old {
        ui.say(&secrets::unchanged(&args.name));
        return Ok(Exit::Done);
    }
    still(version.as_ref(), super::version(&stores, &item).await.ok())
        .map_err(|problem| failed(StoreError::new(&item, problem)))?;
    let length = secrets::length(&new);
    let version = stores.put(&item, new).await.map_err(failed)?;
    ui.result(&secrets::stored(
        "secrets edit",
        &args.name,
        &version,
        &length,
        ui.json(),
    ));
    Ok(Exit::Done)
}

fn refused(error: MemoryError) -> CommandError {
    let error = CommandError::refused(error);
    error.hint("give the value on standard input instead: `provision secrets set NAME < FILE`")
}

/// Whether nobody has set it while it was edited.
fn still(before: Option<&Version>, now: Option<Version>) -> Result<(), Problem> {
    match before {
        Some(before) if now.as_ref() != Some(before) => Err(Problem::Moved {
            planned: before.clone(),
            now,
        }),
        _ => Ok(()),
    }
}

async fn edit(file: &Path, stop: &Stop) -> Result<(), CommandError> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = named("VISUAL")
        .or_else(|| named("EDITOR"))
        .unwrap_or_else(|| "vi".to_owned());
    // Words, as in EDITOR='code --wait'; no shell reads them.
    let mut words = editor.split_ascii_whitespace();
    let mut command = Command::new(words.next().unwrap_or("vi"));
    command.args(words).arg(file).kill_on_drop(true);
    let cannot_start = |source| EditorError::Start {
        editor: editor.clone(),
        source,
    };
    let mut child = command
        .spawn()
        .map_err(|source| CommandError::refused(cannot_start(source)).hint("set EDITOR"))?;
    let status = tokio::select! {
        status = child.wait() => status,
        // A terminal's Ctrl-C reaches the editor as well, which may make use of it; a signal to us alone ends both.
        () = stop.wait() => child.wait().await,
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(CommandError::refused(EditorError::Failed { editor })),
        Err(source) => Err(CommandError::refused(cannot_start(source))),
    }
}

/// The value without the line feed that editors put at the end of every text: where there was none before, and it is one line.
fn without_editors_end<'n>(old: &[u8], new: &'n [u8]) -> &'n [u8] {
    match new.strip_suffix(b"\n") {
        Some(line) if !old.ends_with(b"\n") && (line == old || !line.contains(&b'\n')) => line,
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_changes_no_end() {
        for (old, new, stored) in [
            (&b""[..], &b"token\n"[..], &b"token"[..]),
            (b"token", b"token\n", b"token"),
            (b"token\n", b"other\n", b"other\n"),
            (b"two\nlines", b"two\nlines\n", b"two\nlines"),
            (b"", b"two\nlines\n", b"two\nlines\n"),
            (b"", b"token\n\n", b"token\n\n"),
            (b"x", b"", b""),
        ] {
            assert_eq!(without_editors_end(old, new), stored, "{old:?} {new:?}");
        }
    }
}
