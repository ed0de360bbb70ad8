//! `provision schema [--out DIR]`: JSON Schemas of host files, groups and modules, for editors. It contacts no host.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fleet::project;
use crate::cli::args::Schema as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::load;
use crate::report::error::CommandError;
use crate::report::{findings, made, schema};

/// Where the schemas go, below the project's root.
const DIRECTORY: &str = ".schema";

#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
struct WriteSchemaError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    let root = load::root(root)?;
    let project = project(&root, |project, _| project)?;
    if !project.diagnostics.is_empty() {
        // An editor needs its schemas most where files are not right yet: they are made of what could be read.
        ui.say(&findings::project_text(&project, ui));
    }
    if ui.json() {
        ui.result(&schema::schemas_json(&project));
        return Ok(Exit::Done);
    }
    let directory = args.out.clone().unwrap_or_else(|| root.join(DIRECTORY));
    let mut written = Vec::new();
    for (name, text) in schema::schemas(&project) {
        let path = directory.join(name);
        write(&path, &text).map_err(|source| {
            let path = path.clone();
            CommandError::refused(WriteSchemaError { path, source })
        })?;
        written.push(path);
    }
    ui.result(&made::text("schema", &written, false));
    // Who has the file that assigns them knows what they are for.
    if !root.join(".taplo.toml").exists() {
        ui.say(&made::after_schema(directory.strip_prefix(&root).unwrap_or(&directory)));
    }
    Ok(Exit::Done)
}

/// An editor that looks just now reads the old schema or the new one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let staged = path.with_extension(format!("json.{}", std::process::id()));
    fs::write(&staged, text)?;
    fs::rename(&staged, path).inspect_err(|_| {
        // The first error is the one to tell of.
        let _ = fs::remove_file(&staged);
    })
}
