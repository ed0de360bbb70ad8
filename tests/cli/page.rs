//! The page of `provision options --html`, opened and searched as in a browser: its own script runs in a document model
//! (jsdom, which Debian has as node-jsdom). What it looks like is not seen.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::project::Project;

const MODULES: &str = "/usr/share/nodejs";

const WEB: &str = r#"
description = "A web server."
[options.listen_port]
type = "port"
default = 8080
description = "Where browsers connect."
[options.root]
type = "path"
default = "/srv/www"
description = "What is served."
"#;

const CACHE: &str = r#"
description = "Keeps answers in memory."
[options.size]
type = "size"
default = "64MiB"
description = "How much memory the answers may take."
[options.port]
type = "port"
default = 11211
description = "Where the web server asks."
"#;

/// What can be seen after each step.
fn page(steps: &[(&str, &str)]) -> Vec<Value> {
    assert!(
        Path::new(MODULES).join("jsdom").exists(),
        "{MODULES}/jsdom is missing: install the package node-jsdom (apt-get install nodejs node-jsdom)"
    );
    let project = Project::new();
    project.write("modules/web.toml", WEB);
    project.write("modules/cache.toml", CACHE);
    let html = project.run(&["options", "--html"]).expect(0).stdout;
    let mut node = Command::new("node")
        .args(["-e", include_str!("page.js")])
        .args(steps.iter().map(|step| json!([step.0, step.1]).to_string()))
        .env("NODE_PATH", MODULES)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("node does not run, install the package nodejs: {error}"));
    node.stdin.take().unwrap().write_all(html.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_search_shows_what_has_all_its_words_and_hides_the_rest() {
    let all = json!(["cache.port", "cache.size", "web.listen_port", "web.root"]);
    let sorted = |value: &Value| {
        let mut names: Vec<_> = value
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect();
        names.sort();
        json!(names)
    };
    let seen = page(&[
        ("type", ""),
        ("type", "listen port"),
        ("type", "PORT browsers"),
        ("type", "in memory"),
        ("type", "memory size"),
        ("type", "port"),
        ("type", "no such thing"),
        ("type", "   "),
    ]);
    let options: Vec<Value> = seen.iter().map(|seen| sorted(&seen["options"])).collect();
    assert_eq!(options[0], all, "everything is there before anybody searches");
    // People write words, and options have underscores.
    assert_eq!(options[1], json!(["web.listen_port"]));
    assert_eq!(
        options[2],
        json!(["web.listen_port"]),
        "in any order, in any case, in descriptions, too"
    );
    assert_eq!(
        options[3],
        json!(["cache.port", "cache.size"]),
        "a module that fits is shown whole"
    );
    assert_eq!(options[4], json!(["cache.size"]));
    assert_eq!(options[5], json!(["cache.port", "web.listen_port"]));
    assert_eq!(options[6], json!([]));
    assert_eq!(options[7], all);

    let counts: Vec<_> = seen.iter().map(|seen| seen["found"].as_str().unwrap()).collect();
    assert_eq!(
        counts,
        [
            "",
            "1 option",
            "1 option",
            "2 options",
            "1 option",
            "2 options",
            "0 options",
            ""
        ]
    );
    for (at, seen) in seen.iter().enumerate() {
        // What the contents list is what is shown, and that there is nothing is said.
        assert_eq!(sorted(&seen["modules"]), sorted(&seen["contents"]), "{at}");
        assert_eq!(seen["nothing"], json!(at == 6), "{at}");
    }
    assert_eq!(seen[1]["modules"], json!(["web"]));
    assert_eq!(seen[3]["modules"], json!(["cache"]));
}

#[test]
fn keys_lead_to_the_search_and_out_of_it_and_links_show_what_it_hides() {
    let seen = page(&[
        ("press", "/"),
        ("type", "root"),
        ("follow", "cache.size"),
        ("type", "root"),
        ("follow", "web.root"),
        ("press", "Escape"),
    ]);
    assert_eq!(seen[0]["focused"], json!(true));
    assert_eq!(seen[1]["options"], json!(["web.root"]));
    assert_eq!(
        (&seen[2]["typed"], seen[2]["options"].as_array().unwrap().len()),
        (&json!(""), 4)
    );
    // What is to be seen already needs no other search.
    assert_eq!(seen[4]["typed"], json!("root"));
    assert_eq!(
        (&seen[5]["typed"], seen[5]["options"].as_array().unwrap().len()),
        (&json!(""), 4)
    );
}
