//! What is wrong with the project's files, for people and programs. The words and the underlined lines are the
//! language's own; only the sentence that sums them up is worded here.

use provision_core::config::{Diagnostic, Project, Severity, SourceMap, render, to_json};
use provision_core::resolve::Resolution;

use serde_json::json;

use super::error::CommandError;
use super::json::{FORMAT_VERSION, document};
use super::style::paint;
use super::words;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

/// Every finding, with its line underlined.
#[must_use]
pub fn text(resolution: &Resolution, ui: &Ui) -> String {
    those(&resolution.diagnostics, &resolution.sources, ui)
}

/// Every finding about files themselves, whatever the host.
#[must_use]
pub fn project_text(project: &Project, ui: &Ui) -> String {
    those(&project.diagnostics, &project.sources, ui)
}

fn those(found: &[Diagnostic], sources: &SourceMap, ui: &Ui) -> String {
    let coloured = ui.talk() != super::Palette::PLAIN;
    render(found, sources, coloured, ui.width())
}

/// The findings as what ends a command.
#[must_use]
pub fn error(resolution: &Resolution, ui: &Ui) -> CommandError {
    ending(&resolution.diagnostics, &resolution.sources, ui)
}

/// The findings about files themselves as what ends a command.
#[must_use]
pub fn project_error(project: &Project, ui: &Ui) -> CommandError {
    ending(&project.diagnostics, &project.sources, ui)
}

fn ending(found: &[Diagnostic], sources: &SourceMap, ui: &Ui) -> CommandError {
    let errors = found.iter().filter(|found| found.severity == Severity::Error).count();
    let sum = format!("{}; no host was contacted", words::count(errors, "error"));
    let word = paint(ui.talk().error(), "error:");
    let mut findings = format!("{}\n{word} {sum}\n", those(found, sources, ui));
    let first = found.iter().find(|found| found.severity == Severity::Error);
    if let Some(first) = first {
        let word = paint(ui.talk().act(), "hint:");
        findings += &format!(
            "{word} `provision explain {}` tells more about it, with an example\n",
            first.code
        );
    }
    CommandError {
        findings: Some(findings),
        ..CommandError::refused(sum)
    }
}

/// The findings for programs: the document of `check --json`.
#[must_use]
pub fn json(resolution: &Resolution, exit: Exit) -> String {
    let found = to_json(&resolution.diagnostics, &resolution.sources);
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "check",
        "version": env!("CARGO_PKG_VERSION"),
        "diagnostics": found["diagnostics"],
        "exit_code": exit.code(),
    }))
}
