//! What tells of the language and of a project in it: explain, options, why, show, graph.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::project::Project;

/// A host with a module that a module imports.
fn project() -> Project {
    let project = Project::new();
    project.write(
        "modules/inotify.toml",
        "description = \"Limits.\"\n\n[options.watches]\ntype = \"integer\"\ndefault = 8192\nmin = 10\n\
         description = \"How many.\"\n\n[sysctl]\n\"fs.inotify.max_user_watches\" = \"{{ watches }}\"\n",
    );
    project.write(
        "modules/editor.toml",
        "imports = [\"inotify\"]\n\n[default.inotify]\nwatches = 20000\n",
    );
    project.write(
        "hosts/web-1.toml",
        "imports = [\"editor\"]\n\n[host]\naddress = \"192.0.2.1\"\n\n[set.inotify]\nwatches = 30000\n\n\
         [files.\"/etc/motd\"]\ntext = \"\"\"\non {{ host.name }}\n\"\"\"\n\n[groups.web]\n\n[users.web]\n",
    );
    project
}

#[test]
fn why_tells_every_definition_and_the_winner() {
    let project = project();
    let mut all = String::new();
    for path in [
        "inotify.watches",
        "sysctl.fs.inotify.max_user_watches",
        "/etc/motd",
        "editor",
    ] {
        let told = project.run(&["why", "web-1", path]).expect(0);
        assert_eq!(told.stderr, "", "{path}");
        all += &format!("$ provision why web-1 {path}\n{}\n", told.stdout);
    }
    insta::assert_snapshot!(all);
    let json = project
        .run(&["why", "web-1", "inotify.watches", "--json"])
        .expect(0)
        .json();
    let step = &json["steps"][0];
    assert_eq!(
        (&step["value"], &step["definitions"][0]["wins"]),
        (&30000.into(), &true.into())
    );
    assert_eq!(step["definitions"].as_array().unwrap().len(), 3);
}

#[test]
fn why_helps_where_there_is_no_answer() {
    let project = project();
    for (args, says) in [
        (["web-1", "inotify.wathces"], "did you mean inotify.watches"),
        (["web-1", "zzz"], "ask for MODULE.OPTION"),
        (["web1", "x"], "did you mean web-1?"),
        (["Web", "x"], "is no host"),
        (["web-1", "web"], "ask for 'group:web'"),
    ] {
        let ran = project.run(&["why", args[0], args[1]]).expect(1);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    // A mistake elsewhere is told, and is no hindrance.
    project.write("hosts/web-2.toml", "[packages]\nnginx = \"latest\"\n");
    let told = project.run(&["why", "web-1", "inotify.watches"]).expect(0);
    assert!(told.stdout.contains("inotify.watches = 30000"), "{}", told.stdout);
    project.write("hosts/web-3.toml", "[host\n");
    let broken = project.run(&["why", "web-3", "inotify.watches"]).expect(1);
    assert!(broken.stderr.contains("hosts/web-3.toml:1"), "{}", broken.stderr);
}

#[test]
fn show_tells_one_resource_in_full() {
    let project = project();
    for path in ["/etc/motd", "file:/etc/motd", "files.\"/etc/motd\"", "files./etc/motd"] {
        let shown = project.run(&["show", "web-1", path]).expect(0).stdout;
        for told in ["file:/etc/motd  hosts/web-1.toml:9", "mode     0644", "| on web-1"] {
            assert!(shown.contains(told), "{path}: {told} is not in {shown}");
        }
        assert!(!shown.contains("sysctl"), "{shown}");
    }
    let json = project.run(&["show", "web-1", "group:web", "--json"]).expect(0).json();
    assert_eq!(json["id"], "group:web");
    assert_eq!(json["dependents"][0]["on"], "user:web");
    for (path, says) in [
        ("/etc/mtod", "did you mean /etc/motd?"),
        ("web", "web may be group:web or user:web"),
        ("nothing", "`provision show web-1` lists"),
        ("\u{1b}[2J", "has no resource \\u{1b}[2J"),
    ] {
        let ran = project.run(&["show", "web-1", path]).expect(1);
        assert!(ran.stderr.contains(says), "{path}: {}", ran.stderr);
    }
}

#[test]
fn options_come_from_the_modules_own_files() {
    let project = project();
    let text = project.run(&["options", "inotify"]).expect(0).stdout;
    assert!(
        text.contains("watches  integer, at least 10, 8192 by default"),
        "{text}"
    );
    assert!(!text.contains("editor"), "{text}");
    let markdown = project.run(&["options", "--markdown"]).expect(0).stdout;
    assert!(
        markdown.contains("## inotify") && markdown.contains("## editor"),
        "{markdown}"
    );
    let page = project.run(&["options", "--html"]).expect(0).stdout;
    assert!(
        page.starts_with("<!doctype html>") && page.contains("id=\"inotify.watches\""),
        "{page}"
    );
    let json = project.run(&["options", "--json"]).expect(0).json();
    assert_eq!(json["modules"][1]["options"][0]["name"], "watches");
    let coloured = project.run(&["options", "--color", "always"]).expect(0).stdout;
    assert!(coloured.contains('\u{1b}'));
    let missing = project.run(&["options", "inotfy"]).expect(1);
    assert!(missing.stderr.contains("did you mean inotify?"), "{}", missing.stderr);
    // What is wrong with a host matters to nobody here; what is wrong with a module does.
    project.write("hosts/web-2.toml", "[host\n");
    let _ = project.run(&["options"]).expect(0);
    project.write("modules/bad.toml", "[options.x]\ntype = \"strin\"\n");
    let broken = project.run(&["options"]).expect(1);
    assert!(broken.stderr.contains("modules/bad.toml:2"), "{}", broken.stderr);
    let _ = project.run(&["options", "inotify"]).expect(0);
}

#[test]
fn explain_tells_one_code_or_lists_all() {
    let project = Project::new();
    insta::assert_snapshot!(project.run(&["explain", "e0305"]).expect(0).stdout);
    let list = project.run(&["explain"]).expect(0).stdout;
    for code in provision_core::config::Code::ALL {
        assert!(list.contains(&format!("{code}  {}", code.title())), "{code}");
    }
    let json = project.run(&["explain", "E0103", "--json"]).expect(0).json();
    assert_eq!(json["codes"][0]["wrong"][0]["file"], "hosts/web-1.toml");
    let unknown = project.run(&["explain", "E9999"]).expect(1);
    assert!(unknown.stderr.contains("there is no code E9999"), "{}", unknown.stderr);
}

#[test]
fn a_graph_in_every_form() {
    let project = project();
    let dot = project.run(&["graph", "web-1"]).expect(0).stdout;
    assert!(
        dot.starts_with("digraph \"web-1\" {") && dot.contains("n0 -> "),
        "{dot}"
    );
    let mermaid = project.run(&["graph", "web-1", "--format", "mermaid"]).expect(0).stdout;
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    let svg = project.run(&["graph", "web-1", "--format", "svg"]).expect(0).stdout;
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{svg}");
    let json = project.run(&["graph", "web-1", "--json"]).expect(0).json();
    let edge = serde_json::json!({ "before": "group:web", "after": "user:web", "reason": "owned-by" });
    assert!(json["edges"].as_array().unwrap().contains(&edge), "{json}");
}

/// The promise is 30 ms for a release build on a machine at rest; here it must not be off by an order of magnitude.
#[test]
fn one_host_is_checked_while_one_blinks() {
    let project = project();
    let best = (0..5)
        .map(|_| {
            let started = Instant::now();
            let _ = project.run(&["check"]).expect(0);
            started.elapsed()
        })
        .min()
        .unwrap();
    assert!(best < Duration::from_millis(300), "{best:?}");
}

/// The files that a document shows, each block of TOML with its path in the first line.
fn shown_files(document: &str) -> Vec<(&str, &str)> {
    let blocks = document.split("```toml\n# ").skip(1);
    let files = blocks.map(|block| block.split_once("\n```").unwrap().0.split_once('\n').unwrap());
    files.collect()
}

#[test]
fn the_document_about_the_language_shows_what_works_and_lists_every_type() {
    let document = include_str!("../../docs/language.md");
    let project = Project::new();
    let files = shown_files(document);
    assert_eq!(files.len(), 10);
    for (path, text) in files {
        project.write(path, text);
    }
    let checked = project.run(&["check"]).expect(0);
    assert_eq!(
        (checked.stdout.as_str(), checked.stderr.as_str()),
        ("7 hosts with 40 resources: no errors\n", "")
    );
    let motd = project.run(&["show", "friday", "/etc/motd"]).expect(0).stdout;
    assert!(motd.contains("friday runs main on 18789 ops on 18909"), "{motd}");

    // The language itself knows which types there are.
    project.write("modules/wrong.toml", "[options.x]\ntype = \"zzzzzz\"\n");
    let refused = project.run(&["check"]).expect(1).stderr;
    let types = refused
        .split("the types are ")
        .nth(1)
        .unwrap()
        .split(", \"list of")
        .next()
        .unwrap();
    let types: Vec<_> = types.split('`').skip(1).step_by(2).collect();
    assert!(types.len() > 12, "{refused}");
    let (_, table) = document.split_once("| type | a value |").unwrap();
    let table = table.split("\n\n").next().unwrap();
    for name in types {
        assert!(
            table.contains(&format!("`{name}`")),
            "{name} is not in the table of types"
        );
    }
    for key in [
        "type",
        "default",
        "required",
        "min",
        "max",
        "one_of",
        "pattern",
        "description",
        "example",
        "deprecated",
    ] {
        assert!(document.contains(&format!("`{key}")), "{key}");
    }
}

#[test]
fn the_standard_modules_tell_what_they_and_their_options_are_for_and_how_to_use_them() {
    let root = env!("CARGO_MANIFEST_DIR");
    let project = Project::new();
    let docs = project.run(&["options", "--json", "-C", root]).expect(0).json();
    let modules = docs["modules"].as_array().unwrap();
    assert!(!modules.is_empty());
    project.copy(Path::new(root), "files");
    for module in modules {
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let (name, file) = (text(&module["name"]).unwrap(), text(&module["file"]).unwrap());
        assert!(text(&module["description"]).is_some(), "{name} has no description");
        for option in module["options"].as_array().unwrap() {
            assert!(text(&option["description"]).is_some(), "{name}: {option}");
        }
        project.write(&file, &std::fs::read_to_string(format!("{root}/{file}")).unwrap());
        // What it shows for an example is a host file without any finding.
        project.write(
            &format!("hosts/{}.toml", name.replace('/', "-")),
            &text(&module["usage"]).unwrap(),
        );
    }
    let checked = project.run(&["check"]).expect(0);
    assert_eq!(checked.stderr, "");
}
