//! What the fuzz targets share: a project in one text, and everything that the language does with one. What may be in a
//! project, each target says for itself.

mod survive;

pub use survive::{Files, survive};

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
