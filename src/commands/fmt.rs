//! `provision fmt`: host files, groups and modules in one layout. It writes what changes, whole or not at all, and leaves what
//! it cannot read as it is. The layout itself is [`crate::report::canonical`]'s.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::args::Fmt as Args;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::load;
use crate::report::canonical::canonical;
use crate::report::error::CommandError;
use crate::report::fmt::{self, Laid, Layout};

/// The largest file that is read, in bytes; the language takes no larger one either.
const MAX_BYTES: u64 = 4 << 20;

/// Why a file is left as it is.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    #[error("it is larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    #[error("it is not UTF-8 text")]
    NotText(#[source] std::string::FromUtf8Error),
    #[error(transparent)]
    Layout(#[from] crate::report::canonical::LayoutError),
    #[error("it cannot be written")]
    Write(#[source] io::Error),
}

/// Runs the command.
pub(super) fn run(root: Option<&Path>, args: &Args, ui: &Ui) -> Result<Exit, CommandError> {
    if let [only] = args.files.as_slice()
        && only.as_os_str() == "-"
    {
        return stream(ui);
    }
    let files: Vec<(String, PathBuf)> = if args.files.is_empty() {
        let root = load::root(root)?;
        let names = load::config(&root)?.into_keys();
        names.map(|name| (name.clone(), root.join(name))).collect()
    } else {
        let named = args.files.iter();
        named.map(|path| (path.display().to_string(), path.clone())).collect()
    };
    let laid: Vec<Laid> = files
        .into_iter()
        .map(|(file, path)| {
            let layout = match one(&path, args.check) {
                Ok(true) if args.check => Layout::Differs,
                Ok(true) => Layout::Changed,
                Ok(false) => Layout::Same,
                Err(error) => Layout::Broken(Box::new(error)),
            };
            Laid { file, layout }
        })
        .collect();
    Ok(fmt::tell(&laid, ui))
}

/// What comes in goes out in its layout, for editors.
fn stream(ui: &Ui) -> Result<Exit, CommandError> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| CommandError::refused(FileError::Read(error)))?;
    let text = text(bytes).map_err(CommandError::refused)?;
    let canonical = canonical(&text).map_err(CommandError::refused)?;
    ui.result(&canonical);
    Ok(Exit::Done)
}

/// Lays a file out, and says whether that changes it.
fn one(path: &Path, check: bool) -> Result<bool, FileError> {
    // Through a link, so that the link stays one and its target is what changes.
    let path = path.canonicalize().map_err(FileError::Read)?;
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(FileError::Read)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(FileError::Read)?;
    let text = text(bytes)?;
    let canonical = canonical(&text)?;
    if canonical == text {
        return Ok(false);
    }
    if !check {
        replace(&path, &canonical).map_err(FileError::Write)?;
    }
    Ok(true)
}

fn text(bytes: Vec<u8>) -> Result<String, FileError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    String::from_utf8(bytes).map_err(FileError::NotText)
}

/// A reader sees the old text or the new one, with the permissions of the old one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    let mut staged_name = std::ffi::OsString::from(".");
    staged_name.push(name);
    staged_name.push(format!(".{}", std::process::id()));
    let staged = directory.join(staged_name);
    let written = stage(&staged, text, fs::metadata(path)?.permissions()).and_then(|()| fs::rename(&staged, path));
    if written.is_err() {
        // The first error is the one to tell of.
        let _ = fs::remove_file(&staged);
        return written;
    }
    File::open(directory)?.sync_all()
}

fn stage(staged: &Path, text: &str, permissions: fs::Permissions) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(staged)?;
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
