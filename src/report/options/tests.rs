//! The documentation of a small module in every form. What the project's own modules say is not its matter.

use std::collections::BTreeMap;

use provision_core::config::load;

use super::*;
use crate::report::Palette;

const WEB: &str = r#"description = """
A web server; see `man 8 web`.

It has <b>two</b> paragraphs & *stars*.
"""
imports = ["base"]

[options.port]
type = "port"
default = 8080
min = 1024
description = "Where it listens on `localhost`."

[options.user]
type = "string"
example = "www-data"

[options.level]
type = "string"
one_of = ["info", "debug"]
default = "{{ user }}"

[options.banner]
type = "string"
default = """
two
lines
"""

[options.gateway]
type = "record"
fields.port = { type = "port", default = 9000 }
fields.name = { type = "string", pattern = "[a-z]+", example = "main" }

[options.sites]
type = "map of record"
default = {}
fields.domain = { type = "string", description = "The site's name." }

[options.listen]
type = "port"
required = false
replaced_by = "port"

[ports.http]
port = "{{ port }}"
also = ["{{ port + 1 }}"]

[[assert]]
that = "user != 'root'"
message = "never as root"

[files."/etc/{{ user }}.conf"]
text = "x"
"#;

fn project() -> Project {
    let files = [
        ("modules/web.toml", WEB),
        (
            "modules/base.toml",
            "instances = true\n[packages]\ncurl = \"present\"\n",
        ),
    ];
    let config: BTreeMap<_, _> = files
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .into();
    load(&config)
}

#[test]
fn in_a_terminal() {
    let docs = docs(&project(), &[]).unwrap();
    insta::assert_snapshot!(text(&docs, 60, Palette::PLAIN));
}

#[test]
fn in_markdown() {
    let docs = docs(&project(), &[]).unwrap();
    insta::assert_snapshot!(markdown(&docs));
}

#[test]
fn for_programs() {
    let docs = docs(&project(), &["web".to_owned()]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&options_json(&docs)).unwrap();
    let port = &json["modules"][0]["options"][0];
    assert_eq!(
        (
            &port["name"],
            &port["type"],
            &port["default"],
            &port["min"],
            &port["required"]
        ),
        (
            &"port".into(),
            &"port".into(),
            &"8080".into(),
            &"1024".into(),
            &false.into()
        )
    );
    assert_eq!(json["modules"].as_array().unwrap().len(), 1);
}

#[test]
fn the_usage_is_a_host_file_that_works() {
    let docs = docs(&project(), &["web".to_owned()]).unwrap();
    let usage = &docs[0].usage;
    let host = format!("{usage}\n[host]\naddress = \"192.0.2.1\"\n");
    let base = "[packages]\ncurl = \"present\"\n";
    let files = [
        ("modules/web.toml", WEB),
        ("modules/base.toml", base),
        ("hosts/a.toml", host.as_str()),
    ];
    let config: BTreeMap<_, _> = files
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .into();
    let none = BTreeMap::new();
    let found = provision_core::resolve::resolve_all(&provision_core::config::Sources { config, files: &none });
    // The one mistake is the module's own: a default that is none of `one_of`.
    let codes: Vec<_> = found.diagnostics.iter().map(|finding| finding.code.id()).collect();
    assert_eq!(codes, ["E0304"], "{usage}");
}

#[test]
fn the_page_is_one_well_formed_piece_without_anything_from_elsewhere() {
    let page = page(&docs(&project(), &[]).unwrap());
    for element in [
        "html", "head", "body", "header", "nav", "main", "section", "ul", "li", "dl", "dt", "dd", "pre", "code", "p",
        "h2", "h3", "details",
    ] {
        let opened = page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
    // Nothing is fetched: no address, no `src`, no import; what links there are stay on the page.
    for outside in ["http:", "https:", "//", " src=", "@import", "url("] {
        let (before_script, script) = page.split_once("<script>").unwrap();
        let script = script
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<String>();
        assert!(!before_script.contains(outside), "{outside}");
        assert!(outside == "//" || !script.contains(outside), "{outside}");
    }
    for link in page.split("href=\"").skip(1) {
        let target = link.split('"').next().unwrap().strip_prefix('#').unwrap();
        assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
    }
    // What authors write is text.
    assert!(
        page.contains("&lt;b&gt;two&lt;/b&gt; paragraphs &amp; *stars*"),
        "{page}"
    );
    assert!(page.contains("see <code>man 8 web</code>"), "{page}");
}

#[test]
fn a_module_that_is_not_there_is_an_error_that_helps() {
    let error = docs(&project(), &["wbe".to_owned()]).unwrap_err();
    assert_eq!(error.hints, ["did you mean web?"]);
}
