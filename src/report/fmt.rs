//! What came of laying files out: one line for each that changes, the whole error for each that was left as it is.
//! The layout itself is [`super::canonical`]'s.

use std::error::Error;

use serde_json::json;

use super::error::{CommandError, error_text};
use super::json::{FORMAT_VERSION, document};
use super::words;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

/// What came of one file.
#[derive(Debug)]
pub struct Laid {
    /// The file, as it was named.
    pub file: String,
    /// What came of it.
    pub layout: Layout,
}

/// How a file stands.
#[derive(Debug)]
pub enum Layout {
    /// It is in its canonical layout.
    Same,
    /// It was not, and is now.
    Changed,
    /// It is not.
    Differs,
    /// It is left as it is.
    Broken(Box<dyn Error + Send + Sync>),
}

impl Layout {
    const fn name(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Differs => "differs",
            Self::Broken(_) => "broken",
        }
    }
}

/// Tells what came of the files, and what that comes to.
#[must_use]
pub fn tell(files: &[Laid], ui: &Ui) -> Exit {
    let refused = |laid: &Laid| matches!(laid.layout, Layout::Differs | Layout::Broken(_));
    let exit = if files.iter().any(refused) {
        Exit::Refused
    } else {
        Exit::Done
    };
    if ui.json() {
        let files: Vec<_> = files.iter().map(file_json).collect();
        ui.result(&document(&json!({
            "format_version": FORMAT_VERSION,
            "command": "fmt",
            "version": env!("CARGO_PKG_VERSION"),
            "files": files,
            "exit_code": exit.code(),
        })));
        return exit;
    }
    for Laid { file, layout } in files {
        let file = words::safe(file);
        match layout {
            Layout::Same => {}
            Layout::Changed => ui.result(&format!("changed  {file}\n")),
            Layout::Differs => ui.result(&format!("differs  {file}\n")),
            Layout::Broken(error) => ui.warn(&broken(&file, error.as_ref(), ui)),
        }
    }
    let count = |wanted: &str| files.iter().filter(|laid| laid.layout.name() == wanted).count();
    let mut sum = vec![format!("{} in layout", words::count(count("same"), "file"))];
    for (state, words) in [
        ("changed", "changed"),
        ("differs", "not in layout"),
        ("broken", "left as they are"),
    ] {
        if count(state) > 0 {
            sum.push(format!("{} {words}", count(state)));
        }
    }
    ui.say(&format!("{}\n", sum.join(", ")));
    exit
}

fn broken(file: &str, error: &(dyn Error + Send + Sync + 'static), ui: &Ui) -> String {
    let mut text = error_text(
        &CommandError::refused(format!("{file} is left as it is: {error}")),
        ui.talk(),
    );
    let mut cause = error.source();
    while let Some(source) = cause {
        for line in source.to_string().trim_end().lines() {
            text += &format!("  {}\n", words::safe(line));
        }
        cause = source.source();
    }
    text
}

fn file_json(laid: &Laid) -> serde_json::Value {
    let error = match &laid.layout {
        Layout::Broken(error) => {
            let mut words = vec![error.to_string()];
            let mut cause = error.source();
            while let Some(source) = cause {
                words.push(source.to_string());
                cause = source.source();
            }
            Some(words.join(": "))
        }
        Layout::Same | Layout::Changed | Layout::Differs => None,
    };
    json!({ "file": laid.file, "layout": laid.layout.name(), "error": error })
}
