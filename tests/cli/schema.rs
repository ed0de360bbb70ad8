//! Schemas for editors, held against the language itself: they refuse no file that it takes, and refuse the mistakes that
//! can be seen while one types.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use provision_core::config::{Code, Sources};
use provision_core::resolve::resolve_all;
use serde_json::Value;

use crate::project::Project;
use crate::validate::refusals;

type Files = BTreeMap<String, Vec<u8>>;

fn checkout() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The TOML below hosts/ and modules/, and what is below files/, each by path.
fn read(root: &Path) -> (Files, Files) {
    let (mut config, mut files) = (Files::new(), Files::new());
    let mut open = ["hosts", "groups", "modules", "files"]
        .map(|part| root.join(part))
        .to_vec();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            match name.strip_prefix("files/") {
                _ if path.is_dir() => open.push(path),
                Some(name) => drop(files.insert(name.to_owned(), fs::read(&path).unwrap())),
                None if name.ends_with(".toml") => drop(config.insert(name, fs::read(&path).unwrap())),
                None => {}
            }
        }
    }
    // What a lock file pins below the packages that are asked for, and what a program takes in its configuration, makes each
    // of thousands of projects slow to read.
    for (name, bytes) in &mut files {
        if name.ends_with("/schema.json") {
            *bytes = b"{}".to_vec();
        }
        if name.ends_with("package-lock.json") {
            *bytes = without_what_is_below(bytes);
        }
    }
    (config, files)
}

fn without_what_is_below(lock: &[u8]) -> Vec<u8> {
    let mut lock: Value = serde_json::from_slice(lock).unwrap();
    let packages = lock["packages"].as_object_mut().unwrap();
    let asked: Vec<_> = packages[""]["dependencies"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    packages.retain(|path, _| path.is_empty() || asked.iter().any(|name| *path == format!("node_modules/{name}")));
    serde_json::to_vec(&lock).unwrap()
}

fn schemas(root: &Path) -> Value {
    let project = Project::new();
    let ran = project.run(&["schema", "--json", "-q", "-C", root.to_str().unwrap()]);
    ran.expect(0).json()["schemas"].take()
}

fn schema_of<'a>(schemas: &'a Value, path: &str) -> &'a Value {
    &schemas[if path.starts_with("hosts/") {
        "host.json"
    } else {
        "module.json"
    }]
}

/// A document without what only an editor reads.
fn document(text: &[u8]) -> Value {
    let table: toml::Table = toml::from_str(std::str::from_utf8(text).unwrap()).unwrap();
    serde_json::to_value(table).unwrap()
}

#[test]
fn every_host_and_module_fits_its_schema() {
    let mut tried = 0;
    let cases = fs::read_dir(checkout().join("crates/core/tests/cases")).unwrap();
    let right = cases.map(|case| case.unwrap().path()).filter(|case| {
        // What the language finds nothing wrong with.
        fs::read(case.join("findings.txt")).is_ok_and(|findings| findings.is_empty())
    });
    let begun = Project::new();
    let _ = begun.run(&["init", "fleet"]).expect(0);
    for root in right.chain([checkout(), begun.path().join("fleet")]) {
        let schemas = schemas(&root);
        for (path, text) in read(&root).0 {
            let refused = refusals(schema_of(&schemas, &path), &document(&text));
            assert!(refused.is_empty(), "{}/{path}: {refused:#?}", root.display());
            tried += 1;
        }
    }
    assert!(tried > 10, "only {tried} files");
}

#[test]
fn what_is_offered_and_told_is_this_projects_own() {
    let schemas = schemas(&checkout());
    let host = &schemas["host.json"];
    assert_eq!(host["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let imports = host["properties"]["imports"]["items"]["anyOf"][0]["enum"]
        .as_array()
        .unwrap();
    assert!(imports.contains(&"inotify".into()), "{imports:?}");
    let watches = &host["properties"]["set"]["properties"]["inotify"]["properties"]["max_user_watches"];
    assert!(
        watches["description"].as_str().unwrap().contains("Default: 524288"),
        "{watches}"
    );
    assert_eq!(watches["default"], 524_288);
    let mode = &host["properties"]["files"]["additionalProperties"]["properties"]["mode"];
    assert!(mode["description"].as_str().unwrap().contains("Permissions"), "{mode}");
}

/// Every place in a document, with the way there.
fn places(value: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if let Value::Object(table) = value {
        for (key, inner) in table {
            at.push(key.clone());
            found.push(at.clone());
            places(inner, at, found);
            at.pop();
        }
    }
}

fn parent<'a>(document: &'a mut Value, way: &[String]) -> &'a mut serde_json::Map<String, Value> {
    let mut value = document;
    for key in &way[..way.len() - 1] {
        value = value.get_mut(key).unwrap();
    }
    value.as_object_mut().unwrap()
}

/// How often the language and the schemas were of one mind.
#[derive(Default)]
struct Agreement {
    taken: usize,
    typing_errors: usize,
    wrong_types: usize,
}

/// Judges a project with one file changed, by the language and by the schema.
fn judge(
    config: &Files,
    files: &Files,
    schema: &Value,
    path: &str,
    changed: &Value,
    way: &[String],
    agreed: &mut Agreement,
) {
    let Ok(toml) = toml::to_string(changed) else { return };
    let mut config = config.clone();
    config.insert(path.to_owned(), toml.clone().into_bytes());
    let resolution = resolve_all(&Sources { config, files });
    let codes: Vec<_> = resolution.diagnostics.iter().map(|finding| finding.code).collect();
    let refused = refusals(schema, changed);
    if codes.is_empty() {
        assert!(refused.is_empty(), "{path} {way:?}: {refused:#?}\n{toml}");
        agreed.taken += 1;
    }
    // What an option's default may be depends on its type, which is for the language to see; so is what a condition gives.
    let own = way[0] != "options";
    if own
        && codes
            .iter()
            .any(|code| matches!(code, Code::UnknownKey | Code::UnknownOption))
    {
        assert!(
            !refused.is_empty(),
            "{path} {way:?} is refused only by the language\n{toml}"
        );
        agreed.typing_errors += 1;
    }
    let first = resolution
        .diagnostics
        .first()
        .and_then(|finding| finding.primary.as_ref());
    let here = first.is_some_and(|label| resolution.sources.path(label.span.source) == path);
    if own && here && codes.contains(&Code::WrongType) {
        assert!(!refused.is_empty(), "{path} {way:?} has a wrong type\n{toml}");
        agreed.wrong_types += 1;
    }
}

#[test]
fn what_the_language_takes_no_schema_refuses_and_typing_errors_are_refused_by_both() {
    let values = [
        "true",
        "7",
        "\"x\"",
        "\"/x\"",
        "\"{{ host.name }}\"",
        "[]",
        "[\"a\"]",
        "{ a = 1 }",
    ];
    let values = values.map(|value| document(format!("v = {value}").as_bytes())["v"].take());
    let mut agreed = Agreement::default();
    let cases = ["types", "instances", "when-each", "groups", "merge"];
    let cases = cases.map(|case| checkout().join("crates/core/tests/cases").join(case));
    for root in cases.into_iter().chain([checkout()]) {
        let own = root == checkout();
        let schemas = schemas(&root);
        let (config, files) = read(&root);
        for (path, text) in &config {
            let original = document(text);
            let mut all = Vec::new();
            places(&original, &mut Vec::new(), &mut all);
            for (turn, way) in all.into_iter().enumerate() {
                let key = way.last().unwrap();
                let renamed = |name: &str| {
                    let mut changed = original.clone();
                    let table = parent(&mut changed, &way);
                    let value = table.remove(key).unwrap();
                    table.insert(name.to_owned(), value);
                    changed
                };
                let replaced = values.iter().map(|value| {
                    let mut changed = original.clone();
                    parent(&mut changed, &way).insert(key.clone(), value.clone());
                    changed
                });
                let changes = replaced.chain([renamed(&format!("{key}x")), renamed(&key[1..])]);
                for (number, changed) in changes.enumerate() {
                    // The project's own places are many: each gets one of the ten changes, and the next place the next.
                    if own && (number + turn) % 10 != 0 {
                        continue;
                    }
                    judge(
                        &config,
                        &files,
                        schema_of(&schemas, path),
                        path,
                        &changed,
                        &way,
                        &mut agreed,
                    );
                }
            }
        }
    }
    let Agreement {
        taken,
        typing_errors,
        wrong_types,
    } = agreed;
    let counts = format!("{taken} taken, {typing_errors} typing errors, {wrong_types} wrong types");
    assert!(taken > 200 && typing_errors > 60 && wrong_types > 200, "{counts}");
}

#[test]
fn a_typing_error_is_refused() {
    let schemas = schemas(&checkout());
    for (schema, text) in [
        ("host.json", "[host]\nadress = \"192.0.2.1\"\n"),
        ("host.json", "imports = [\"inotfy\"]\n"),
        ("host.json", "[set.inotify]\nmax_user_watchs = 1\n"),
        ("host.json", "[set.inotfy]\nmax_user_watches = 100000\n"),
        ("host.json", "[set.inotify]\nmax_user_watches = 1\n"),
        ("host.json", "[files.\"/etc/motd\"]\ncontent = \"x\"\n"),
        ("host.json", "[files.\"/etc/motd\"]\ntext = \"x\"\nmode = \"0999\"\n"),
        ("host.json", "[units.\"a.service\"]\nactive = \"yes\"\n"),
        ("host.json", "[users.a]\nuid = -1\n"),
        ("module.json", "[options.x]\ntype = \"strin\"\n"),
        ("module.json", "[options.x]\ndefault = 1\n"),
        ("module.json", "[options.X]\ntype = \"string\"\n"),
        ("module.json", "[[assert]]\nthat = \"true\"\n"),
        ("host.json", "imports = [{ modul = \"inotify\" }]\n"),
        ("host.json", "[ports.x]\nprot = 1\n"),
        ("host.json", "[ports]\nx = 70000\n"),
        ("host.json", "[packages.jq]\nwhen = 3\n"),
        ("module.json", "[options.x]\ntype = \"list off string\"\n"),
        (
            "module.json",
            "[options.x]\ntype = \"record\"\nfields.y.typ = \"string\"\n",
        ),
        ("module.json", "instances = \"yes\"\n"),
        ("group.json", "[host]\ntags = [\"x\"]\n"),
        ("module.json", "[host]\naddress = \"192.0.2.1\"\n"),
    ] {
        assert!(
            !refusals(&schemas[schema], &document(text.as_bytes())).is_empty(),
            "{text}"
        );
    }
}

#[test]
fn they_are_written_where_editors_are_told_they_are() {
    let project = Project::new();
    let _ = project.run(&["init", "fleet"]).expect(0);
    let written = project.run(&["schema", "-C", "fleet"]).expect(0);
    assert!(written.stdout.contains("fleet/.schema/host.json"), "{}", written.stdout);
    let root = project.path().join("fleet");
    let taplo: toml::Table = toml::from_str(&fs::read_to_string(root.join(".taplo.toml")).unwrap()).unwrap();
    for rule in taplo["rule"].as_array().unwrap() {
        let path = root.join(rule["schema"]["path"].as_str().unwrap());
        let schema: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(schema["type"], "object", "{}", path.display());
    }
    // Elsewhere, with words on how to use them, and again over what is there.
    for _ in 0..2 {
        let elsewhere = Project::with_host("web-1", 22);
        let ran = elsewhere.run(&["schema", "--out", "editor"]).expect(0);
        assert!(ran.stderr.contains("#:schema ../editor/host.json"), "{}", ran.stderr);
        assert!(elsewhere.path().join("editor/module.json").is_file());
        assert_eq!(fs::read_dir(elsewhere.path().join("editor")).unwrap().count(), 3);
    }
    // Where a file is broken they are made of the rest, and that is said.
    let broken = Project::with_host("web-1", 22);
    broken.write("modules/bad.toml", "[options\n");
    let ran = broken.run(&["schema"]).expect(0);
    assert!(ran.stderr.contains("modules/bad.toml:1"), "{}", ran.stderr);
}
