//! Everything that the language does with a project. The tests of hostile projects beside the fuzzers do it, too; how long it may
//! take, and with how much memory, is theirs.

use std::collections::BTreeMap;

use provision_core::config::{Sources, load, render, to_json};
use provision_core::resolve::{Resolution, resolve_all, why};

/// The files of a project, by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Resolves a project, tells of it in both forms, and asks why: none of it may panic.
///
/// # Panics
/// Where it contradicts itself, such as with findings of which nothing is told.
pub fn survive(config: &Files) -> Resolution {
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
    resolution
}
