//! What must hold for every configuration: order changes nothing, and no text makes resolving panic, hang or point
//! outside of itself.

#![cfg(feature = "language")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use provision_core::config::{Sources, render, to_json};
use provision_core::resolve::{Resolution, resolve_all};

fn resolved(files: &[(&str, String)]) -> Resolution {
    let config = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.clone().into_bytes()));
    let none = BTreeMap::new();
    resolve_all(&Sources {
        config: config.collect(),
        files: &none,
    })
}

/// The hosts without the places where things are written, and what was found without the places.
fn meaning(resolution: &Resolution) -> (serde_json::Value, Vec<String>) {
    let mut hosts = resolution.hosts.clone();
    for host in hosts.values_mut() {
        for resource in host.resources.values_mut() {
            resource.origin.line = 0;
            resource.origin.column = 0;
        }
    }
    let mut found: Vec<_> = resolution
        .diagnostics
        .iter()
        .map(|finding| format!("{} {}", finding.code, finding.message))
        .collect();
    found.sort();
    (serde_json::to_value(hosts).unwrap(), found)
}

const TABLES: &[&str] = &[
    "[files.\"/etc/motd\"]\ntext = \"{{ host.name }} {{ names | join(sep=' ') }}\\n\"\n",
    "[files.\"/opt/{{ title }}/conf\"]\ntext = \"{% for k, v in env %}{{ k }}={{ v }}\\n{% endfor %}\"\nowner = \"app\"\n",
    "[directories.\"/opt/{{ title }}\"]\nowner = \"app\"\n",
    "[directories.\"/opt\"]\nmode = \"0750\"\n",
    "[users.app]\nsystem = true\n",
    "[groups.app]\n",
    "[sysctl]\n\"vm.swappiness\" = 10\n\"fs.file-max\" = \"{{ level }}\"\n",
    "[packages]\ncurl = \"present\"\njq = \"1.6\"\n",
    "[units.\"a.service\"]\nactive = true\ntext = \"[Service]\\nUser=app\\nExecStart=/opt/{{ title }}/conf\\n\"\n",
    "[units.\"b.service\"]\nactive = true\nafter = [\"unit:a.service\"]\n",
    "[probes.p]\ntcp = \"127.0.0.1:22\"\n",
    "[commands.c]\nrun = [\"/opt/{{ title }}/conf\"]\ncreates = \"/x\"\nuser = \"app\"\n",
];

const OPTIONS: &[&str] = &[
    "[options.names]\ntype = \"list\"\ndefault = []\n",
    "[options.env]\ntype = \"map\"\ndefault = {}\n",
    "[options.title]\ntype = \"string\"\ndefault = \"t{{ level }}\"\n",
    "[options.level]\ntype = \"integer\"\ndefault = 1\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_tables_and_imports_changes_nothing(
        tables in Just((0..TABLES.len()).collect::<Vec<_>>()).prop_shuffle(),
        options in Just((0..OPTIONS.len()).collect::<Vec<_>>()).prop_shuffle(),
        imports in Just(vec!["main", "one", "two"]).prop_shuffle(),
        kept in prop::collection::vec(any::<bool>(), TABLES.len()),
        level in 0..3,
    ) {
        // `kept` leaves out the same tables on both sides, so that errors about what is missing are compared as well.
        let main = |order: &[usize], options: &[usize]| {
            let options: String = options.iter().map(|index| OPTIONS[*index]).collect();
            let tables: String = order.iter().filter(|index| kept[**index]).map(|index| TABLES[*index]).collect();
            options + &tables
        };
        let project = |main: String, imports: &[&str]| resolved(&[
            ("hosts/a.toml", format!("imports = {imports:?}\n[set.main]\nnames = [\"host\"]\n")),
            ("modules/main.toml", main),
            ("modules/one.toml", format!("[set.main]\nnames = [\"one\"]\nlevel = {level}\n[set.main.env]\nA = \"1\"\n")),
            ("modules/two.toml", "[set.main]\nnames = [\"two\"]\nlevel = 1\n[set.main.env]\nB = \"2\"\n".to_owned()),
        ]);
        let sorted_tables: Vec<_> = (0..TABLES.len()).collect();
        let sorted_options: Vec<_> = (0..OPTIONS.len()).collect();
        let sorted = project(main(&sorted_tables, &sorted_options), &["main", "one", "two"]);
        let shuffled = project(main(&tables, &options), &imports);
        prop_assert_eq!(meaning(&sorted), meaning(&shuffled));
    }

    #[test]
    fn a_weaker_definition_never_changes_a_set_value(weak in 0..100_i64, set in 0..100_i64) {
        let module = "[options.x]\ntype = \"integer\"\n[files.\"/etc/x\"]\ntext = \"{{ x }}\"\n".to_owned();
        let host = format!("imports = [\"m\"]\n[set.m]\nx = {set}\n");
        let without = resolved(&[("hosts/a.toml", host.clone()), ("modules/m.toml", module.clone())]);
        let with = resolved(&[("hosts/a.toml", format!("{host}[default.m]\nx = {weak}\n")), ("modules/m.toml", module)]);
        prop_assert_eq!(meaning(&without), meaning(&with));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_instances_groups_and_repeated_resources_changes_nothing(
        instances in Just(vec!["one", "two", "three"]).prop_shuffle(),
        tags in Just(vec!["bot", "eu", "web"]).prop_shuffle(),
        items in Just(vec!["x", "y", "z"]).prop_shuffle(),
        ports in Just(vec!["a", "b"]).prop_shuffle(),
        port in 8000..8006_u16,
        level in 0..3,
    ) {
        let module = "instances = true\n[options.port]\ntype = \"port\"\n[options.names]\ntype = \"list\"\ndefault = []\n\
                      [ports.main]\nport = \"{{ port }}\"\nalso = [\"{{ port + 2 }}\"]\n\
                      [files.\"/etc/{{ instance }}\"]\ntext = \"{{ port }} {{ names | join(sep=',') }}\"\n";
        let project = |instances: &[&str], tags: &[&str], items: &[&str], ports: &[&str]| {
            let settings = instances.iter().map(|name| {
                let port = if *name == "one" { port } else { 8000 + u16::try_from(name.len()).unwrap() };
                format!("[set.m.{name}]\nport = {port}\n")
            });
            let settings: String = settings.collect();
            let ports: String = ports.iter().map(|name| format!("{name} = {}\n", 9000 + u16::from(name.as_bytes()[0]))).collect();
            let host = format!(
                "imports = [\"m\", \"l\"]\n[host]\ntags = {tags:?}\n{settings}[files.\"/srv/{{{{ item }}}}\"]\neach = {items:?}\n\
                 text = \"{{{{ item }}}}\"\n[ports]\n{ports}",
            );
            resolved(&[
                ("hosts/a.toml", host),
                ("groups/bot.toml", "[set.m.one]\nnames = [\"bot\"]\n[set.l]\nlevel = 1\n[packages]\ncurl = \"present\"\n".to_owned()),
                ("groups/eu.toml", format!("[set.m.one]\nnames = [\"eu\"]\n[set.l]\nlevel = {level}\n")),
                ("groups/web.toml", "[default.l]\nlevel = 9\n[packages]\ncurl = \"present\"\n".to_owned()),
                ("modules/l.toml", "[options.level]\ntype = \"integer\"\ndefault = 7\n[files.\"/etc/l\"]\ntext = \"{{ level }}\"\n".to_owned()),
                ("modules/m.toml", module.to_owned()),
            ])
        };
        let sorted = project(&["one", "two", "three"], &["bot", "eu", "web"], &["x", "y", "z"], &["a", "b"]);
        let shuffled = project(&instances, &tags, &items, &ports);
        prop_assert_eq!(meaning(&sorted), meaning(&shuffled));
        // `two` has 8003 and 8005, and `three` 8005 and 8007: they meet whatever `one` has.
        prop_assert!(sorted.has_errors());
        prop_assert_eq!(meaning(&sorted).1.iter().any(|found| found.starts_with("E0305")), level != 1);
    }

    #[test]
    fn what_only_a_group_or_a_default_says_never_changes_what_the_host_says(weak in 0..100_i64, set in 0..100_i64) {
        let module = "[options.x]\ntype = \"integer\"\n[files.\"/etc/x\"]\ntext = \"{{ x }}\"\n".to_owned();
        let host = format!("imports = [\"m\"]\n[host]\ntags = [\"t\"]\n[set.m]\nx = {set}\n[files.\"/etc/y\"]\ntext = \"{set}\"\n");
        let files = [("hosts/a.toml", host), ("modules/m.toml", module)];
        let group = format!("[set.m]\nx = {weak}\n[files.\"/etc/y\"]\ntext = \"{weak}\"\n");
        let mut grouped = files.to_vec();
        grouped.push(("groups/t.toml", group));
        let (without, with) = (resolved(&files), resolved(&grouped));
        let texts = |resolution: &Resolution| {
            let host = resolution.hosts.values().next().unwrap();
            host.resources.values().map(|resource| resource.spec.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(texts(&without), texts(&with));
    }
}

/// Pieces of which texts are made that come close to being right.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[files.\"/etc/é\"]\n",
        "[options.x]\n",
        "[set.m]\n",
        "[[assert]]\n",
        "[ports.p]\n",
        "[set.m.one]\n",
        "[set.n.\"{{ instance }}\"]\n",
        "[options.r.fields]\n",
        "[options.r.fields.f]\n",
        "instances = true\n",
        "each = ",
        "when = ",
        "fields = ",
        "pattern = ",
        "min = ",
        "port = ",
        "deprecated = ",
        "\"range(end=99)\"\n",
        "\"instances.m\"\n",
        "\"/etc/{{ item }}{{ key }}\" = ",
        "\"record\"\n",
        "\"size\"\n",
        "\"list of host\"\n",
        "{ module = \"n\", when = \"host\" }\n",
        "[units.\"a.service\"]\n",
        "[sysctl]\n",
        "[probes.p]\n",
        "imports = [\"m\"]\n",
        "text = ",
        "type = ",
        "default = ",
        "that = ",
        "message = ",
        "mode = ",
        "after = ",
        "x = ",
        "\"string\"\n",
        "\"{{ x }}\"\n",
        "\"\"\"\n{% for é in x -%}\n ü{{ x | uper }}{% endfor %}\n\"\"\"\n",
        "'''{{ host.\u{1F600} }}'''\n",
        "\"\\u00e9{{ y }}\"\n",
        "\"{% set x = x ~ x %}{{ x }}\"\n",
        "[1, \"ß\", {a = 1}]\n",
        "true\n",
        "\"0644\"\n",
        "{{",
        "}}",
        "{%",
        "#}",
        "\"",
        "\n",
        "=",
        "\\",
        "\u{0}",
        "\t",
        "é",
        "[\"file:/etc/é\"]\n",
        "\"integer\"\n",
        "\"list of map of port\"\n",
        "1e999\n",
        "-9223372036854775809\n",
        "a.b.c = 1\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_resolving_or_rendering_panic(host in pieces(), module in pieces(), group in pieces()) {
        let resolution = resolved(&[
            ("hosts/a.toml", format!("imports = [\"m\", \"n\"]\nhost.tags = [\"t\"]\n{host}")),
            ("groups/t.toml", group.clone()),
            ("modules/m.toml", module),
            ("modules/n.toml", format!("instances = true\n{group}")),
        ]);
        let text = render(&resolution.diagnostics, &resolution.sources, false, 80);
        prop_assert_eq!(resolution.diagnostics.is_empty(), text.is_empty());
        prop_assert!(resolution.hosts.is_empty() || resolution.hosts_with_errors.is_empty());
        let json = to_json(&resolution.diagnostics, &resolution.sources);
        prop_assert_eq!(json["diagnostics"].as_array().map(Vec::len), Some(resolution.diagnostics.len()));
    }
}

#[test]
fn deep_and_long_texts_are_refused_in_bounded_time() {
    let deep_keys = format!("{} = 1\n", vec!["a"; 500_000].join("."));
    let deep_header = format!("[{}]\n", vec!["a"; 500_000].join("."));
    let deep_array = format!("x = {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let deep_table = format!("x = {}{}\n", "{a = ".repeat(50_000), "}".repeat(50_000));
    let deep_type = format!("[options.x]\ntype = \"list {}\"\n", "of list ".repeat(50_000));
    let long_text = format!("[files.\"/etc/x\"]\ntext = \"{}\"\n", "{{ x }}".repeat(100_000));
    let deep_if = format!("[files.\"/etc/x\"]\ntext = \"{}\"\n", "{% if true %}".repeat(50_000));
    let deep_parens = format!(
        "[files.\"/etc/x\"]\ntext = \"{{{{ {}1{} }}}}\"\n",
        "(".repeat(50_000),
        ")".repeat(50_000)
    );
    for text in [
        deep_keys,
        deep_header,
        deep_array,
        deep_table,
        deep_type,
        long_text,
        deep_if,
        deep_parens,
    ] {
        let resolution = resolved(&[
            ("hosts/a.toml", format!("imports = [\"m\"]\n{text}")),
            ("modules/m.toml", text.clone()),
        ]);
        assert!(resolution.has_errors(), "{}", &text[..40]);
    }
}

#[test]
fn a_chain_of_a_thousand_imports_and_options_is_no_problem() {
    let mut files = vec![("hosts/a.toml".to_owned(), "imports = [\"m0\"]\n".to_owned())];
    for index in 0..1000 {
        let next = index + 1;
        let import = if next < 1000 {
            format!("imports = [\"m{next}\"]\n")
        } else {
            String::new()
        };
        files.push((
            format!("modules/m{index}.toml"),
            format!("{import}[packages]\nlib{index} = \"present\"\n"),
        ));
    }
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
    assert_eq!(resolved(&files).hosts.values().next().unwrap().resources.len(), 1000);

    let options: String = (0..1000)
        .map(|index| {
            format!(
                "[options.o{index}]\ntype = \"string\"\ndefault = \"{{{{ o{} }}}}\"\n",
                index + 1
            )
        })
        .collect();
    let module = format!("{options}[options.o1000]\ntype = \"string\"\ndefault = \"end\"\n");
    let resolution = resolved(&[
        ("hosts/a.toml", "imports = [\"m\"]\n".to_owned()),
        ("modules/m.toml", module),
    ]);
    let codes: Vec<_> = resolution.diagnostics.iter().map(|finding| finding.code.id()).collect();
    assert_eq!(codes.first(), Some(&"E0307"));
}
