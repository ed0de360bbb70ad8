//! An adopted machine as a host file, with comments about what stays out of it. It plans nothing.

use std::fmt::Write as _;
use std::path::PathBuf;

use provision_core::adopt::{Adopted, Left};
use provision_core::model::{Desired, Digest, HostName, HostText, Spec};
use serde_json::json;

use super::flat::{Placed, flat_with};
use super::json::{FORMAT_VERSION, document};
use super::words;
use crate::cli::exit::Exit;

/// Contents with more lines, or bytes, than this are files of their own.
const LINES: usize = 30;
const BYTES: usize = 2_000;

/// The files below `files/` that large contents go into, and those that could not be read in a host file.
#[must_use]
pub fn placed(desired: &Desired) -> Placed {
    let mut placed = Placed::new();
    let mut taken = std::collections::BTreeSet::new();
    for resource in desired.resources.values() {
        let Spec::File(file) = &resource.spec else { continue };
        let Some(blob) = desired.blobs.get(&file.content.sha256) else {
            continue;
        };
        if is_inline(blob.bytes()) || placed.contains_key(&file.content.sha256) {
            continue;
        }
        let mut name = local(desired.host.as_str(), file.path.as_str());
        if !taken.insert(name.clone()) {
            name = format!("{name}.{}", file.content.sha256.short());
            taken.insert(name.clone());
        }
        placed.insert(file.content.sha256, name);
    }
    placed
}

/// Whether a content may stand in a host file: short, text, and nothing in it that hides or reorders what one reads.
fn is_inline(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let plain = HostText::new(text).escaped_lines() == text;
    plain && text.len() <= BYTES && text.lines().count() <= LINES
}

/// A name that is safe here, whatever a path is called there: what else than letters, digits and "._@-" is in it becomes "_".
fn local(host: &str, path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty()).map(|part| {
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-') {
                c
            } else {
                '_'
            }
        };
        let part: String = part.chars().map(safe).collect();
        if part.starts_with('.') {
            format!("_{part}")
        } else {
            part
        }
    });
    let parts: Vec<_> = parts.collect();
    format!("{host}/{}", parts.join("/"))
}

/// The host file.
#[must_use]
pub fn host_file(desired: &Desired, left: &[Left], placed: &Placed) -> String {
    let mut text = format!(
        "# {}, as it was found. `provision plan {}` finds nothing to do: what it would change was left out.\n",
        desired.host, desired.host
    );
    if !left.is_empty() {
        text += "#\n# Left as it is on the host, and out of this file:\n";
        for Left { what, why } in left {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "#   {}: {}", what.escaped(), why.escaped());
        }
    }
    text + "\n" + &flat_with(desired, placed)
}

/// What was made, and what was left, for people.
#[must_use]
pub fn adopted_text(desired: &Desired, left: &[Left], files: &[PathBuf]) -> String {
    let mut text = String::new();
    for path in files {
        let _ = writeln!(text, "made  {}", words::safe(&path.display().to_string()));
    }
    let _ = writeln!(
        text,
        "{}, {} left as they are: see the comments of the host file",
        words::count(desired.resources.len(), "resource"),
        left.len()
    );
    text
}

/// The same, for programs.
#[must_use]
pub fn adopted_json(host: &HostName, adopted: &Adopted, files: &[PathBuf]) -> String {
    let left: Vec<_> = adopted
        .left
        .iter()
        .map(|left| json!({ "what": left.what, "why": left.why }))
        .collect();
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "adopt",
        "version": env!("CARGO_PKG_VERSION"),
        "host": host,
        "files": files,
        "resources": adopted.resources.keys().map(ToString::to_string).collect::<Vec<_>>(),
        "left": left,
        "exit_code": Exit::Done.code(),
    }))
}

/// The content that a digest stands for, where it is placed.
#[must_use]
pub fn content<'a>(desired: &'a Desired, digest: &Digest) -> Option<&'a [u8]> {
    desired.blobs.get(digest).map(provision_core::model::Blob::bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_host_leads_nowhere_here() {
        for (path, expected) in [
            ("/etc/apt/a b.list", "web/etc/apt/a_b.list"),
            ("/home/x/.ssh/k", "web/home/x/_.ssh/k"),
            ("/etc/\u{202e}x\u{1b}", "web/etc/_x_"),
            ("/a/..b", "web/a/_..b"),
        ] {
            assert_eq!(local("web", path), expected);
        }
        assert!(is_inline(b"a\nb\n"));
        for content in [&b"\xff"[..], "a\u{202e}b".as_bytes(), "x\n".repeat(100).as_bytes()] {
            assert!(!is_inline(content));
        }
    }
}
