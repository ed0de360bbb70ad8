//! The walls of ARCHITECTURE.md: which room may use what. The compiler keeps those between crates; these are the others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory, or the file itself, with its text up to its unit tests.
fn sources(path: &Path) -> Vec<(PathBuf, String)> {
    if path.is_file() {
        let text = fs::read_to_string(path).unwrap();
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
            .to_owned();
        return vec![(path.to_owned(), code)];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(sources(&path));
        }
    }
    found
}

/// The rooms of `src` that a text names.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect()
        })
        .filter(|room: &String| !room.is_empty())
        .collect()
}

#[test]
fn rooms_of_the_command_line_use_only_what_they_may() {
    const MAY_USE: [(&str, &[&str]); 15] = [
        ("applier.rs", &[]),
        // What `--confirm-at` names is a way of driving.
        ("cli", &["cli", "commands", "drive", "report", "stop", "unseen"]),
        (
            "commands",
            &[
                "applier",
                "cli",
                "commands",
                "drive",
                "events",
                "fetch_program",
                "load",
                "report",
                "saved",
                "secrets",
                "stop",
                "transport",
                "unseen",
            ],
        ),
        ("drive", &["drive", "events", "reach", "secrets", "stop", "transport"]),
        ("events.rs", &["reach"]),
        ("fetch_program.rs", &[]),
        ("load.rs", &[]),
        ("main.rs", &[]),
        ("reach.rs", &[]),
        (
            "report",
            &["cli", "drive", "events", "load", "reach", "report", "saved", "secrets"],
        ),
        ("saved.rs", &[]),
        ("secrets.rs", &["unseen"]),
        ("stop.rs", &[]),
        ("transport", &["reach", "transport"]),
        ("unseen.rs", &[]),
    ];
    let rooms: BTreeSet<_> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known: BTreeSet<_> = MAY_USE
        .iter()
        .map(|(room, _)| (*room).to_owned())
        .chain(["lib.rs".to_owned()])
        .collect();
    assert_eq!(rooms, known, "every room has a line here");
    for (room, may_use) in MAY_USE {
        for (path, text) in sources(&root().join("src").join(room)) {
            for used in rooms_used(&text) {
                assert!(
                    may_use.contains(&used.as_str()),
                    "{} uses crate::{used}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_pure_stages_touch_nothing_outside_of_their_values() {
    const IMPURE: &[&str] = &[
        "std::fs",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "ToSocketAddrs",
        "std::process",
        "std::env",
        "std::thread",
        "io::stdin",
        "io::stdout",
        "io::stderr",
        "SystemTime",
        "Instant",
        "RandomState",
        "tokio",
        "println!",
    ];
    for (path, text) in sources(&root().join("crates/core/src")) {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in IMPURE {
                assert!(!line.contains(word), "{}: {line}", path.display());
            }
        }
    }
}

/// The crates that a package is built from, itself included.
fn tree(package: &str, more: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--package",
            package,
        ])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_agent_is_small_and_synchronous() {
    let crates = tree("provision-agent", &[]);
    assert!(crates.len() < 30, "{}: {crates:?}", crates.len());
    for heavy in ["tokio", "futures", "tera", "toml", "russh", "clap", "tracing"] {
        assert!(!crates.contains(heavy), "{heavy}");
    }
}

#[test]
fn the_program_that_fetches_secrets_is_small_and_synchronous() {
    let crates = tree("provision-fetch-secrets", &[]);
    assert!(crates.len() < 60, "{}: {crates:?}", crates.len());
    for heavy in [
        "tokio",
        "futures",
        "hyper",
        "aws-config",
        "aws-lc-rs",
        "openssl",
        "provision-core",
        "provision-secrets",
    ] {
        assert!(!crates.contains(heavy), "{heavy}");
    }
}

#[test]
fn adapters_do_not_know_the_core_nor_one_another() {
    const ADAPTERS: [&str; 3] = ["provision-ssh", "provision-rehearse", "provision-secrets"];
    for package in ADAPTERS {
        let crates = tree(package, &[]);
        assert!(crates.contains(package), "{crates:?}");
        let others = ADAPTERS.into_iter().filter(|other| *other != package);
        for other in others.chain(["provision-core", "provision-agent"]) {
            assert!(!crates.contains(other), "{package} uses {other}");
        }
    }
    let core = tree("provision-core", &[]);
    for heavy in [
        "tokio",
        "russh",
        "rustix",
        "clap",
        "reqwest",
        "provision-ssh",
        "provision-agent",
    ] {
        assert!(!core.contains(heavy), "provision-core uses {heavy}");
    }
}

#[test]
fn every_module_opens_with_what_it_is_for() {
    for directory in [
        "src",
        "crates/core/src",
        "crates/agent/src",
        "crates/ssh/src",
        "crates/rehearse/src",
        "crates/secrets/src",
        "crates/fetch/src",
    ] {
        for (path, text) in sources(&root().join(directory)) {
            assert!(
                text.starts_with("//! "),
                "{} does not open with what it is responsible for",
                path.display()
            );
        }
    }
}

#[test]
fn this_test_would_notice() {
    assert_eq!(
        rooms_used("use crate::drive::x;\n// crate::cli\nlet a = crate::report::b(crate::load::c);"),
        ["drive", "load", "report"].map(str::to_owned).into()
    );
}
