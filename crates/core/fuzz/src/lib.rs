//! What the fuzz targets share: a project in one text, and everything that the language does with one. What may be in a
//! project, each target says for itself.

use std::collections::BTreeMap;

use provision_core::config::{Sources, load, render, to_json};
use provision_core::resolve::{resolve_all, why};

/// The files of a project, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Stands before the path of a file, on a line of its own; `scripts/fuzz` writes the seeds so.
const FILE: &str = "=== ";

/// The files of a text that a fuzzer can change, cut and splice; what comes before the first path belongs to `hosts/a.toml`.
#[must_use]
pub fn unpacked(text: &[u8]) -> Files {
    let mut files = Files::new();
    let mut path = "hosts/a.toml".to_owned();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if let Some(name) = line.strip_prefix(FILE.as_bytes()) {
            path = String::from_utf8_lossy(name).trim().to_owned();
        } else {
            files.entry(path.clone()).or_default().extend_from_slice(line);
        }
    }
    files
}

/// Resolves a project, tells of it in both forms, and asks why: none of it may panic.
///
/// # Panics
/// Where it contradicts itself, such as with findings of which nothing is told.
pub fn survive(config: &Files) {
    let files = Files::from([("motd".to_owned(), b"{{ host.name }}".to_vec())]);
    let sources = Sources {
        config: config.clone(),
        files: &files,
    };
    let resolution = resolve_all(&sources);
    let text = render(&resolution.diagnostics, &resolution.sources, false, 100);
    assert_eq!(text.is_empty(), resolution.diagnostics.is_empty());
    drop(to_json(&resolution.diagnostics, &resolution.sources));
    let project = load(&sources.config);
    if let Some(host) = project.hosts.keys().next().cloned() {
        drop(why(project, &sources, &host, "m.x").why);
    }
}
