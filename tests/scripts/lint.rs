//! Every script has no finding of shellcheck.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::script;

fn scripts(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(scripts(&path));
        } else if fs::read(&path).unwrap().starts_with(b"#!/bin/sh\n") {
            found.push(path);
        }
    }
    found
}

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    let scripts = scripts(&script(""));
    assert!(!scripts.is_empty());
    let output = Command::new("shellcheck").args(&scripts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
