//! Cases of configurations: a folder each, with host files, modules and local files, and what comes of them. Adding a
//! case is adding a folder; `PROVISION_UPDATE_CASES=1` writes what comes out instead of comparing.

#![cfg(feature = "language")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use provision_core::config::{Code, Sources, load, render, to_json};
use provision_core::resolve::{Resolution, resolve, resolve_all};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// The files below a directory, by path relative to it.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn resolved(case: &Path) -> Resolution {
    let local = files(&case.join("files"));
    let mut config = BTreeMap::new();
    for directory in ["hosts", "groups", "modules"] {
        let found = files(&case.join(directory));
        config.extend(
            found
                .into_iter()
                .map(|(path, bytes)| (format!("{directory}/{path}"), bytes)),
        );
    }
    resolve_all(&Sources { config, files: &local })
}

/// The hosts as JSON, with contents as text.
fn shown(resolution: &Resolution) -> String {
    let mut json = serde_json::to_value(&resolution.hosts).unwrap();
    for (name, host) in &resolution.hosts {
        let texts = host.blobs.iter().map(|(digest, blob)| {
            let text = String::from_utf8_lossy(blob.bytes()).into_owned();
            (digest.to_string(), text.into())
        });
        json[name.as_str()]["blobs"] = serde_json::Value::Object(texts.collect());
    }
    serde_json::to_string_pretty(&json).unwrap() + "\n"
}

fn updating() -> bool {
    std::env::var_os("PROVISION_UPDATE_CASES").is_some()
}

/// Compares, or writes. `None` where they agree.
fn compare(path: &Path, actual: &str) -> Option<String> {
    if updating() {
        fs::write(path, actual).unwrap();
        return None;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    let differs = expected != actual;
    differs.then(|| format!("{}\n--- expected\n{expected}--- actual\n{actual}", path.display()))
}

#[test]
fn every_case_comes_out_as_it_is_written() {
    let mut wrong = Vec::new();
    for case in cases() {
        let resolution = resolved(&case);
        let text = render(&resolution.diagnostics, &resolution.sources, false, 100);
        wrong.extend(compare(&case.join("findings.txt"), &text));
        let desired = case.join("desired.json");
        if desired.exists() {
            wrong.extend(compare(&desired, &shown(&resolution)));
        }
        let clean = !resolution.has_errors();
        assert_eq!(resolution.diagnostics.is_empty(), text.is_empty(), "{}", case.display());
        assert!(!clean || resolution.hosts_with_errors.is_empty(), "{}", case.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_occurs_in_a_case() {
    let found: BTreeSet<Code> = cases()
        .iter()
        .flat_map(|case| resolved(case).diagnostics)
        .map(|finding| finding.code)
        .collect();
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !found.contains(code)).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

#[test]
fn every_finding_points_into_a_file_and_has_a_json_form() {
    for case in cases() {
        let resolution = resolved(&case);
        let json = to_json(&resolution.diagnostics, &resolution.sources);
        assert_eq!(json["format"], 1);
        for finding in json["diagnostics"].as_array().unwrap() {
            let file = finding["primary"]["file"].as_str().unwrap();
            assert!(case.join(file).exists(), "{}: {file}", case.display());
            let why = finding["why"].as_str().unwrap();
            assert!(!why.is_empty(), "{}: {finding}", case.display());
        }
    }
}

#[test]
fn the_first_finding_of_each_kind_says_why_it_matters() {
    for case in cases() {
        let resolution = resolved(&case);
        let text = render(&resolution.diagnostics, &resolution.sources, false, 100);
        let mut told = BTreeSet::new();
        for finding in text.split("\n\n").filter(|finding| !finding.is_empty()) {
            let code = finding.split(['[', ']']).nth(1).unwrap();
            let first = told.insert(code.to_owned());
            assert!(!first || finding.contains("= note: "), "{}: {finding}", case.display());
        }
    }
}

#[test]
fn one_host_can_be_resolved_alone_and_still_sees_the_others() {
    let config = BTreeMap::from([
        (
            "hosts/a.toml".to_owned(),
            b"[files.\"/etc/peer\"]\ntext = \"{{ hosts.b.address }}\"\n".to_vec(),
        ),
        (
            "hosts/b.toml".to_owned(),
            b"[host]\naddress = \"192.0.2.2\"\n[packages]\ncurl = \"latest\"\n".to_vec(),
        ),
    ]);
    let none = BTreeMap::new();
    let sources = Sources { config, files: &none };
    let resolution = resolve(load(&sources.config), &sources, |host| host.as_str() == "a");
    assert!(!resolution.has_errors(), "b, which was not asked for, has an error");
    let host = resolution.hosts.values().next().unwrap();
    assert_eq!(host.blobs.values().next().unwrap().bytes(), b"192.0.2.2");
    assert_eq!(resolve_all(&sources).hosts_with_errors.len(), 1);
}

/// The project's own hosts and modules are a case too.
#[test]
fn the_fleet_of_this_repository_has_no_errors() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let resolution = resolved(&project);
    let text = render(&resolution.diagnostics, &resolution.sources, false, 100);
    assert_eq!(text, "");
    assert!(!resolution.hosts.is_empty());
}
