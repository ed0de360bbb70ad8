//! What `why` answers: every definition with its place and strength, the winner, and what it was made from.

#![cfg(feature = "language")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use provision_core::config::{Priority, Sources, load};
use provision_core::model::HostName;
use provision_core::resolve::{Answer, Owner, Why, WhyError, why};
use serde_json::json;

const INOTIFY: &str = r#"[options.max_user_watches]
type = "integer"
default = 524288
[options.file]
type = "path"
default = "/etc/sysctl.d/60-inotify.conf"
[sysctl]
"fs.inotify.max_user_watches" = { value = "{{ max_user_watches }}", file = "{{ file }}" }
"#;

fn asked_of(files: &[(&str, &str)], host: &str, path: &str) -> Answer {
    let config = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let files = BTreeMap::from([("motd".to_owned(), b"{{ host.name }} has {{ title }}".to_vec())]);
    let sources = Sources { config, files: &files };
    why(load(&sources.config), &sources, &HostName::new(host).unwrap(), path)
}

fn asked(path: &str) -> Result<Why, WhyError> {
    let host = "imports = [\"editor\"]\n[set.inotify]\nmax_user_watches = 1048576\n\
                [files.\"/etc/motd\"]\ntext = \"on {{ host.name }}\\n\"\n[users.bot]\n[groups.bot]\n";
    let editor = "imports = [\"inotify\"]\n[default.inotify]\nmax_user_watches = 8192\n\
                  [options.title]\ntype = \"string\"\ndefault = \"t{{ level }}\"\n\
                  [options.level]\ntype = \"integer\"\ndefault = 3\n\
                  [files.\"/etc/{{ title }}\"]\ntemplate = \"motd\"\nowner = \"bot\"\n\
                  [units.\"a.service\"]\ntext = \"[Service]\\nExecStart=/etc/t3\\n\"\nactive = true\n";
    let files = [
        ("hosts/a.toml", host),
        ("modules/editor.toml", editor),
        ("modules/inotify.toml", INOTIFY),
    ];
    asked_of(&files, "a", path).why
}

#[test]
fn every_definition_of_an_option_is_told_with_the_winner_first() {
    for path in ["inotify.max_user_watches", "set.inotify.max_user_watches"] {
        let why = asked(path).unwrap();
        let step = &why.steps[0];
        assert_eq!(step.path, "inotify.max_user_watches");
        assert_eq!(step.value, Some(json!(1_048_576)));
        let told: Vec<_> = step
            .definitions
            .iter()
            .map(|definition| {
                let place = definition.origin.to_string();
                (place, definition.priority, definition.written.as_str(), definition.wins)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("hosts/a.toml:3".to_owned(), Priority::Set, "1048576", true),
                ("modules/editor.toml:3".to_owned(), Priority::Default, "8192", false),
                ("modules/inotify.toml:3".to_owned(), Priority::Declared, "524288", false),
            ]
        );
        let imports: Vec<_> = step.definitions[2]
            .imports
            .iter()
            .map(|import| (import.module.as_str(), import.origin.to_string()))
            .collect();
        let way = [
            ("editor", "hosts/a.toml:1".to_owned()),
            ("inotify", "modules/editor.toml:1".to_owned()),
        ];
        assert_eq!(imports, way);
        assert!(step.definitions[0].imports.is_empty());
    }
}

#[test]
fn a_resource_is_told_with_its_keys_and_the_options_behind_them() {
    for path in [
        "sysctl.fs.inotify.max_user_watches",
        "sysctl.\"fs.inotify.max_user_watches\"",
        "sysctl:fs.inotify.max_user_watches",
        "fs.inotify.max_user_watches",
    ] {
        let why = asked(path).unwrap();
        let paths: Vec<_> = why.steps.iter().map(|step| step.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "sysctl:fs.inotify.max_user_watches",
                "sysctl:fs.inotify.max_user_watches.file",
                "sysctl:fs.inotify.max_user_watches.value",
                "inotify.file",
                "inotify.max_user_watches",
            ]
        );
        let value = &why.steps[2].definitions[0];
        assert_eq!(value.written, "\"{{ max_user_watches }}\"");
        assert_eq!(value.value, Some(json!("1048576")));
        assert_eq!(value.uses, ["inotify.max_user_watches"]);
    }
}

#[test]
fn what_a_resource_waits_for_and_what_waits_for_it_are_told() {
    let why = asked("/etc/t3").unwrap();
    let step = &why.steps[0];
    assert_eq!(step.path, "file:/etc/t3");
    let depends: Vec<_> = step.depends.iter().map(|on| on.on.to_string()).collect();
    assert_eq!(depends, ["group:bot", "user:bot"]);
    let dependents: Vec<_> = step.dependents.iter().map(|on| on.on.to_string()).collect();
    assert_eq!(dependents, ["unit:a.service"]);
    let module = Owner::Module {
        module: "editor".to_owned(),
        instance: None,
    };
    assert_eq!(step.definitions[0].file, module);
    // The template's own names count, and so do those of the resource's name.
    assert!(why.steps.iter().any(|step| step.path == "editor.level"));
}

#[test]
fn a_key_can_be_asked_for_alone_and_a_units_text_is_its_files() {
    let why = asked("files.\"/etc/motd\".text").unwrap();
    assert_eq!(why.steps[0].value, Some(json!("on a\n")));
    let why = asked("file:/etc/systemd/system/a.service.text").unwrap();
    assert_eq!(why.steps[0].definitions[0].origin.to_string(), "modules/editor.toml:14");
    assert!(asked("file:/etc/systemd/system/a.service.active").is_err());
    let why = asked("editor").unwrap();
    assert_eq!(why.steps[0].definitions[0].origin.to_string(), "hosts/a.toml:1");
}

#[test]
fn a_name_that_is_not_there_leads_to_one_that_is() {
    let meant = |path| match asked(path) {
        Err(WhyError::Unknown { meant, .. }) => meant,
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(meant("inotify.max_user_watch")[0], "inotify.max_user_watches");
    assert_eq!(meant("files./etc/motdd")[0], "file:/etc/motd");
    assert!(meant("user_watches").contains(&"inotify.max_user_watches".to_owned()));
    let Err(WhyError::Ambiguous { meanings, .. }) = asked("bot") else {
        panic!("a user and a group have that name")
    };
    assert_eq!(meanings, ["group:bot", "user:bot"]);
    let answer = asked_of(&[("hosts/a.toml", "")], "b", "x");
    assert!(matches!(answer.why, Err(WhyError::UnknownHost { .. })));
    let answer = asked_of(&[("hosts/a.toml", "[")], "a", "x");
    assert!(matches!(answer.why, Err(WhyError::Unreadable { .. })));
}

#[test]
fn a_clash_can_be_asked_about() {
    let files = [
        (
            "hosts/a.toml",
            "imports = [\"inotify\", \"b\"]\n[set.inotify]\nmax_user_watches = 1\n",
        ),
        ("modules/b.toml", "[set.inotify]\nmax_user_watches = 2\n"),
        ("modules/inotify.toml", INOTIFY),
    ];
    let answer = asked_of(&files, "a", "inotify.max_user_watches");
    assert!(answer.resolution.has_errors());
    let why = answer.why.unwrap();
    assert_eq!(why.steps[0].value, None);
    assert_eq!(why.steps[0].definitions.len(), 3);
    assert!(why.steps[0].definitions.iter().all(|definition| !definition.wins));
}

#[test]
fn of_a_firewall_each_counts_but_what_the_host_says_under_the_same_name() {
    let host = "[host]\ntags = [\"edge\"]\n[firewall]\ndefault = \"drop\"\n[firewall.allow.ssh]\nport = 22\n";
    let group =
        "[firewall]\ndefault = \"reject\"\n[firewall.allow.metrics]\nport = 9100\n[firewall.allow.ssh]\nport = 2222\n";
    let files = [("hosts/a.toml", host), ("groups/edge.toml", group)];
    for path in ["firewall:provision", "file:/etc/nftables-provision.nft"] {
        let why = asked_of(&files, "a", path).why.unwrap();
        let mut counts: Vec<_> = why.steps[0]
            .definitions
            .iter()
            .map(|definition| (definition.origin.to_string(), definition.wins))
            .collect();
        counts.sort();
        let told: Vec<_> = counts.iter().map(|(place, wins)| (place.as_str(), *wins)).collect();
        let wanted = [
            ("groups/edge.toml:1", false),
            ("groups/edge.toml:3", true),
            ("groups/edge.toml:5", false),
            ("hosts/a.toml:3", true),
            ("hosts/a.toml:5", true),
        ];
        assert_eq!(told, wanted, "{path}");
    }
}
