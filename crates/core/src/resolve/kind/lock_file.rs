//! What npm's files say of a set of packages: which are asked for, and whether all of them are pinned. What npm would refuse
//! on a host is refused here; nothing is fetched.

use serde_json::{Map, Value};

/// What makes a lock file anew.
const RELOCK: &str = "npm install --package-lock-only --ignore-scripts";

const PACKAGE: &str = "package.json";
const LOCK: &str = "package-lock.json";

/// Why a set cannot be installed.
#[derive(Debug)]
pub(super) struct Problem {
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
        what: format!("its {file} is not what npm writes: {reason}"),
        fix: format!("run `{RELOCK}` in that directory"),
    })
}

fn pinned(manifest: &Map<String, Value>, lock: &Map<String, Value>) -> Result<String, Problem> {
    let relock = |what: String| Problem {
        what,
        fix: format!("run `{RELOCK}` in that directory"),
    };
    let asked = object(manifest, "dependencies");
    if asked.is_none_or(Map::is_empty) {
        return Err(Problem {
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
        holds.push(format!("{name} {version}"));
    }
    Ok(holds.join(", "))
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
