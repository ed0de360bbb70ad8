//! Canaries: secrets that nobody else could have written, looked for in every place and encoding that a leak takes. Before each
//! search the searcher is shown a leak of each kind, and has to find it.

mod everywhere;
mod failures;
mod memory;
mod rows;
mod watch;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A secret with letters that every encoding writes otherwise.
fn canary(what: &str) -> String {
    let mut random = [0; 12];
    let mut source = fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut source, &mut random).unwrap();
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{what}?{hex}/'\"&+~")
}

/// The forms in which a leak shows it.
fn forms(canary: &str) -> Vec<(&'static str, Vec<u8>)> {
    let run = |script: &str| {
        let output = Command::new("sh")
            .args(["-c", script])
            .env("CANARY", canary)
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}");
        String::from_utf8(output.stdout).unwrap().trim_end().as_bytes().to_vec()
    };
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent = canary.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    });
    let base64 = run("printf %s \"$CANARY\" | base64 -w0");
    // What stands before it in the same text shifts its letters: the middle is the same in each of three ways.
    let shifted = |by: usize| {
        let script = format!("printf %s%s {} \"$CANARY\" | base64 -w0", "x".repeat(by));
        let whole = run(&script);
        whole[4..whole.len() - 6].to_vec()
    };
    let url_safe = String::from_utf8(base64.clone())
        .unwrap()
        .replace('+', "-")
        .replace('/', "_");
    let json = serde_json::to_string(canary).unwrap();
    vec![
        ("raw", canary.as_bytes().to_vec()),
        ("base64", base64),
        ("base64, one letter on", shifted(1)),
        ("base64, two letters on", shifted(2)),
        ("base64 for URLs", url_safe.into_bytes()),
        ("hex", hex.clone().into_bytes()),
        ("HEX", hex.to_uppercase().into_bytes()),
        ("percent", percent.into_bytes()),
        ("JSON", json.as_bytes()[1..json.len() - 1].to_vec()),
        ("shell", canary.replace('\'', "'\\''").into_bytes()),
    ]
}

/// What is looked for, and where it was found.
struct Search {
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Search {
    fn for_all(canaries: &[&str]) -> Self {
        Self {
            forms: canaries.iter().flat_map(|canary| forms(canary)).collect(),
        }
    }

    fn in_bytes(&self, bytes: &[u8]) -> Vec<&'static str> {
        let is_in = |form: &[u8]| bytes.windows(form.len()).any(|window| window == form);
        let mut found: Vec<_> = self
            .forms
            .iter()
            .filter(|(_, form)| is_in(form))
            .map(|(name, _)| *name)
            .collect();
        found.dedup();
        found
    }

    /// The files below a directory that have one in them. Only what can hold one by length and first bytes is read twice.
    fn below(&self, root: &Path, except: &[PathBuf]) -> Vec<(PathBuf, Vec<&'static str>)> {
        let patterns = tempfile::NamedTempFile::new().unwrap();
        let lines: Vec<_> = self.forms.iter().map(|(_, form)| form.clone()).collect();
        fs::write(patterns.path(), lines.join(&b'\n')).unwrap();
        let output = Command::new("grep")
            .args(["-rlaF", "-D", "skip", "-f"])
            .arg(patterns.path())
            .arg(root)
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let files = listed.lines().map(PathBuf::from);
        files
            .filter(|file| !except.iter().any(|except| file.starts_with(except)))
            .map(|file| {
                let found = self.in_bytes(&fs::read(&file).unwrap_or_default());
                (file, found)
            })
            .collect()
    }
}
