//! A host written out as one host file, without modules, options and templates: what is left when everything is worked
//! out. Read again, it is the same host; where each part came from is [`super::why`]'s to tell.

mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use provision_core::config::{Sort, fields};
use provision_core::model::{
    Check, Connection, Content, DependencyReason, Desired, Digest, HostText, Kind, Machine, Millis, OnRemoval,
    PortClaim, Resource, ResourceId, Revision, Source, Spec,
};
use serde_json::{Map, Value, json};

/// The host as TOML. What is no text, or is to be kept out of sight, is named by its digest: `file = "SHA256"`.
#[must_use]
pub fn flat(desired: &Desired) -> String {
    flat_with(desired, &Placed::new())
}

/// Contents that lie in files of the project, below `files/`.
pub type Placed = BTreeMap<Digest, String>;

/// As [`flat`], with these contents named by their files.
#[must_use]
pub fn flat_with(desired: &Desired, placed: &Placed) -> String {
    let mut text = forbidden(desired);
    let mut host = connection(&desired.connection);
    host.insert("tags".to_owned(), json!(desired.tags));
    secret::settings(desired, &mut host);
    table(&mut text, "host", &host);
    match &desired.machine {
        None => {}
        Some(Machine::Hetzner {
            server_type,
            location,
            image,
        }) => cloud(
            &mut text,
            "hetzner",
            [("type", server_type), ("location", location), ("image", image)],
        ),
        Some(Machine::Aws {
            instance_type,
            region,
            image,
        }) => cloud(
            &mut text,
            "aws",
            [("type", instance_type), ("region", region), ("image", image)],
        ),
    }
    ports(&mut text, &desired.ports);
    // The files that keep kernel parameters follow from them.
    let kept: BTreeSet<&ResourceId> = desired
        .resources
        .values()
        .filter_map(|resource| keeper(desired, resource))
        .collect();
    for (id, resource) in &desired.resources {
        if kept.contains(id) || names(&resource.spec).is_some() {
            continue;
        }
        let mut keys = attributes(desired, placed, resource);
        let mut name = format!("{}.{}", id.kind.table(), quoted(&literal(&id.name)));
        if id.kind == Kind::Firewall {
            id.kind.table().clone_into(&mut name);
        }
        if keeper(desired, resource).is_some_and(|file| file.name == HOSTNAME) {
            // The kernel's name of the host is kept in a file of its own, and has a table of its own.
            keys.retain(|key, _| matches!(key.as_str(), "value" | "on_removal"));
            "system.hostname".clone_into(&mut name);
        }
        table(&mut text, &name, &keys);
    }
    for (name, value) in secret::only_in_texts(desired) {
        let mut keys = Map::from_iter([("deliver".to_owned(), json!(false))]);
        secret::item(&value.item, &mut |key, value| drop(keys.insert(key.to_owned(), value)));
        table(&mut text, &format!("secrets.{}", quoted(name)), &keys);
    }
    text
}

/// The names of a probe for what is forbidden, which nobody declares as such: it follows from `forbid`.
fn names(spec: &Spec) -> Option<&BTreeSet<String>> {
    match spec {
        Spec::Probe(probe) => match &probe.check {
            Check::NoNames { names, .. } => Some(names),
            Check::Http { .. } | Check::Tcp { .. } | Check::Unit { .. } => None,
        },
        _ => None,
    }
}

/// What stands before the first table: `forbid`, where anything is.
fn forbidden(desired: &Desired) -> String {
    let mut specs = desired.resources.values().map(|resource| &resource.spec);
    specs
        .find_map(names)
        .map(|names| format!("forbid = {}\n", toml(&json!(names))))
        .unwrap_or_default()
}

/// Claims of ports, each under a name of its own: two modules may call theirs alike.
fn ports(text: &mut String, claims: &[PortClaim]) {
    let mut written = BTreeSet::new();
    let mut names = BTreeSet::new();
    for claim in claims {
        if !written.insert((claim.port, claim.tcp, &claim.address)) {
            continue;
        }
        let mut name = claim.name.clone();
        let mut number = 1;
        while !names.insert(name.clone()) {
            number += 1;
            name = format!("{}-{number}", claim.name);
        }
        let keys = [
            ("port", json!(claim.port)),
            ("protocol", if claim.tcp { Value::Null } else { json!("udp") }),
            ("address", json!(claim.address)),
        ];
        let keys = keys.into_iter().filter(|(_, value)| !value.is_null());
        let keys = Map::from_iter(keys.map(|(key, value)| (key.to_owned(), value)));
        table(text, &format!("ports.{}", quoted(&literal(&name))), &keys);
    }
}

/// Where kernel parameters are kept (sysctl.d(5)), and the host's name (hostname(5)).
const SYSCTL_D: &str = "/etc/sysctl.d/";
const HOSTNAME: &str = "/etc/hostname";

/// The file that keeps a kernel parameter over a reboot: one that comes after it, or, of the host's name, before it.
fn keeper<'a>(desired: &'a Desired, resource: &Resource) -> Option<&'a ResourceId> {
    let Spec::Sysctl(_) = resource.spec else { return None };
    let id = resource.spec.id();
    let after = desired.resources.iter().find(|(file, kept)| {
        file.kind == Kind::File
            && file.name.starts_with(SYSCTL_D)
            && kept.depends.iter().any(|dependency| dependency.on == id)
    });
    let before = || {
        let mut on = resource.depends.iter().map(|dependency| &dependency.on);
        let name = on.find(|on| on.kind == Kind::File && on.name == HOSTNAME)?;
        desired.resources.get_key_value(name)
    };
    after.or_else(before).map(|(file, _)| file)
}

fn connection(connection: &Connection) -> Map<String, Value> {
    let all = match connection {
        Connection::Local => json!({ "connection": "local" }),
        Connection::Ssh {
            address,
            port,
            user,
            host_keys,
            identity_files,
            jump,
        } => json!({
            "address": address,
            "port": port,
            "user": user,
            "host_key": host_keys,
            "identity_file": identity_files,
            "jump": jump,
        }),
    };
    match all {
        Value::Object(table) => table,
        _ => Map::new(),
    }
}

fn cloud(text: &mut String, name: &str, keys: [(&str, &String); 3]) {
    let keys = keys.map(|(key, value)| (key.to_owned(), json!(value)));
    table(text, name, &Map::from_iter(keys));
}

/// What a host file says of a resource.
fn attributes(desired: &Desired, placed: &Placed, resource: &Resource) -> Map<String, Value> {
    // Most attributes are called what their keys are, and written alike.
    let mut all = match json!(resource.spec) {
        Value::Object(kind) => kind.into_iter().next().map(|(_, attributes)| attributes),
        _ => None,
    };
    let mut written = Map::new();
    let known = fields(Sort::Kind(resource.spec.kind()));
    if let Some(Value::Object(attributes)) = &mut all {
        for field in known {
            if let Some(value) = attributes.remove(field.name) {
                written.insert(field.name.to_owned(), value);
            }
        }
    }
    if matches!(&resource.spec, Spec::Firewall(_)) {
        // What is written out is all of it.
        written.remove("rules");
    }
    if matches!(&resource.spec, Spec::File(file) if file.private) {
        // To say that it is no secret would be to let it be shown.
        written.remove("sensitive");
    }
    let mut put = |key: &str, value: Value| drop(written.insert(key.to_owned(), value));
    let duration = |millis: Millis| json!(millis.to_string());
    match &resource.spec {
        Spec::File(file) => {
            let (key, value) = content(desired, placed, &file.content, !file.is_shown());
            put(key, value);
        }
        Spec::Firewall(firewall) => put("text", json!(firewall.rules)),
        Spec::Package(package) => put("version", version(&json!(package.want))),
        Spec::Sysctl(_) => put("file", json!(keeper(desired, resource).map(|file| &file.name))),
        Spec::Command(command) => {
            flatten(json!(command.guard), &mut put);
            put("timeout", duration(command.timeout));
        }
        Spec::Unit(unit) => put("settle", duration(unit.settle)),
        Spec::Probe(probe) => {
            flatten(json!(probe.check), &mut put);
            put("timeout", duration(probe.timeout));
            put("interval", duration(probe.interval));
        }
        Spec::Tree(tree) => match &tree.source {
            Source::Archive { url, sha256, strip } => {
                put("url", json!(url));
                put("sha256", json!(sha256));
                put("strip", json!(strip));
            }
            Source::Npm {
                manifest,
                lock,
                holds: _,
                prepare,
                programs,
                scripts,
                env,
            } => {
                put("manifest", json!(manifest.sha256));
                put("lock", json!(lock.sha256));
                put("programs", json!(programs));
                put("scripts", json!(scripts));
                if !prepare.is_empty() {
                    put("prepare", json!(prepare));
                }
                put("env", json!(env));
            }
        },
        Spec::Git(git) => match &git.revision {
            Revision::Commit(commit) => put("commit", json!(commit)),
            Revision::Branch(branch) => put("branch", json!(branch)),
        },
        Spec::Secret(secret) => secret::content(secret, &mut put),
        Spec::Group(_)
        | Spec::User(_)
        | Spec::Debconf(_)
        | Spec::Directory(_)
        | Spec::Block(_)
        | Spec::Symlink(_)
        | Spec::Swapfile(_)
        | Spec::Switch(_) => {}
    }
    // A checkout stays where nothing is said.
    if resource.on_removal != OnRemoval::default() || matches!(resource.spec, Spec::Git(_)) {
        put("on_removal", json!(resource.on_removal));
    }
    for (key, reason) in [
        ("after", DependencyReason::After),
        ("restart_on", DependencyReason::RestartOn),
    ] {
        let on = resource.depends.iter().filter(|dependency| dependency.reason == reason);
        let on: Vec<_> = on.map(|dependency| dependency.on.to_string()).collect();
        if known.iter().any(|field| field.name == key) {
            put(key, json!(on));
        }
    }
    written
}

/// `{ "present": null }` and `"present"` are one wish, `{ "version": "1.0" }` another.
fn version(want: &Value) -> Value {
    match want {
        Value::Object(table) => table.values().next().cloned().unwrap_or_default(),
        want => want.clone(),
    }
}

/// An enum's one variant as keys: `{ "creates": "/x" }`, or `{ "http": { "url": …, "status": … } }`, whose first key goes by
/// the variant's name.
fn flatten(variant: Value, put: &mut dyn FnMut(&str, Value)) {
    let Value::Object(table) = variant else { return };
    for (name, value) in table {
        match value {
            Value::Object(inner) => {
                for (key, value) in inner {
                    let own = matches!(key.as_str(), "url" | "address" | "unit");
                    put(if own { &name } else { &key }, value);
                }
            }
            value => put(&name, value),
        }
    }
}

fn content(desired: &Desired, placed: &Placed, content: &Content, hidden: bool) -> (&'static str, Value) {
    if let Some(file) = placed.get(&content.sha256) {
        return ("file", json!(file));
    }
    let blob = desired.blobs.get(&content.sha256).filter(|_| !hidden);
    match blob.and_then(|blob| std::str::from_utf8(blob.bytes()).ok()) {
        Some(text) => ("text", json!(text)),
        None => ("file", json!(content.sha256.to_string())),
    }
}

/// A table with a line for each key; what is not said is left out.
fn table(text: &mut String, name: &str, keys: &Map<String, Value>) {
    if !text.is_empty() {
        text.push('\n');
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "[{name}]");
    for (key, value) in keys {
        let nothing = match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(table) => table.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if !nothing {
            let value = match value {
                Value::String(content) if key == "text" => lines(content),
                value => toml(value),
            };
            let _ = writeln!(text, "{key} = {value}");
        }
    }
}

/// A content, with its lines as they are where it has several. Nothing else that a host says gets a line of its own, where it
/// could pass for one of ours.
fn lines(text: &str) -> String {
    if !text.trim_end_matches('\n').contains('\n') {
        return quoted(&literal(text));
    }
    let lines: Vec<_> = text.split('\n').map(|line| quoted(&literal(line))).collect();
    let bare = |line: &String| line.get(1..line.len() - 1).unwrap_or("").to_owned();
    let lines: Vec<_> = lines.iter().map(bare).collect();
    format!("\"\"\"\n{}\"\"\"", lines.join("\n"))
}

/// A value as TOML has it, each text a template that renders to it.
fn toml(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(&literal(text)),
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| format!("{} = {}", quoted(key), toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A basic string, in which nothing can steer a terminal or deceive an eye. TOML's escapes are JSON's, which leaves some such
/// characters as they are.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in Value::from(text).to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' || HostText::new(c).escaped().starts_with(c) {
            quoted.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(quoted, "\\u{:04x}", u32::from(c));
        }
    }
    quoted
}

/// A template that renders to just this text.
fn literal(text: &str) -> String {
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, mark) = rest.split_at(at);
        literal += before;
        match mark.as_bytes().get(1) {
            Some(b'{' | b'%' | b'#') => {
                let (tag, after) = mark.split_at(2);
                let _ = write!(literal, "{{{{ '{tag}' }}}}");
                rest = after;
            }
            _ => {
                literal.push('{');
                rest = mark.get(1..).unwrap_or("");
            }
        }
    }
    literal += rest;
    literal.replace(secret::OPEN, "{{ ").replace(secret::CLOSE, " }}")
}

#[cfg(test)]
mod tests;
