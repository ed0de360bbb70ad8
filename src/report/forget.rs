//! Forgetting a host, in words: what goes, what stays, and that it is done. It contacts no host.

use provision_core::model::{History, HostName};
use serde_json::json;

use super::json::{FORMAT_VERSION, document};
use super::style::{Palette, paint};
use super::words;
use crate::cli::exit::Exit;

/// What will go and what stays, before anything is asked.
#[must_use]
pub fn what_goes(host: &HostName, history: &History, palette: Palette) -> String {
    let head = paint(palette.title(), host);
    let Some(newest) = history.generations.first() else {
        return format!("{head}  was never applied to; only the agent goes, if it is there\n");
    };
    let generations = words::count(history.generations.len(), "generation");
    let disk = words::bytes(history.disk.generations + history.disk.contents + history.disk.runs);
    let resources = words::count(newest.resources, "resource");
    format!(
        "{head}  (generation {})\n  \
         goes:  {generations} with what was there before provision came, the journals of runs, the agent: {disk}.\n         \
         Nothing can be rolled back or restored from them afterwards.\n  \
         stays: {resources}, exactly as they are now; nobody removes or restores them any more.\n",
        newest.number
    )
}

/// That it is done.
#[must_use]
pub fn forgotten_text(host: &HostName, palette: Palette) -> String {
    let word = paint(palette.create(), "forgotten");
    format!(
        "{}  {word}; the next plan takes it for a host that was not provisioned before\n",
        paint(palette.title(), host)
    )
}

/// The same, for programs.
#[must_use]
pub fn forget_json(host: &HostName, history: &History) -> String {
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "forget",
        "version": env!("CARGO_PKG_VERSION"),
        "host": host,
        "forgotten": { "generations": history.generations.len(), "disk": history.disk },
        "exit_code": Exit::Done.code(),
    }))
}
