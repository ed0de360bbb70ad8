//! What a host should be, for people and programs: every resource by kind, where it is declared, what it waits for.
//! It shows what was resolved and looks at no host.

use std::fmt::Write as _;

use provision_core::model::{
    Connection, Dependency, DependencyReason, Desired, Kind, Machine, Resource, ResourceId, Spec,
};
use serde_json::{Map, Value, json};

use super::columns::{columns, indented};
use super::json::{FORMAT_VERSION, document};
use super::style::{Palette, paint};
use super::words;

/// A host as people read it; with `verbose`, every attribute and every text.
#[must_use]
pub fn show_text(desired: &Desired, verbose: bool, palette: Palette) -> String {
    let mut text = format!("{}\n", paint(palette.title(), &desired.host));
    let tags: Vec<_> = desired.tags.iter().map(|tag| words::safe(tag)).collect();
    let mut rows = vec![vec!["connection".to_owned(), connection(&desired.connection)]];
    if !tags.is_empty() {
        rows.push(vec!["tags".to_owned(), tags.join(", ")]);
    }
    if let Some(found) = &desired.machine {
        rows.push(vec!["machine".to_owned(), machine(found)]);
    }
    text += &indented("  ", &columns(&rows).join("\n"));
    for kind in Kind::ALL {
        let resources: Vec<_> = desired.resources.iter().filter(|(id, _)| id.kind == kind).collect();
        if resources.is_empty() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n  {}", paint(palette.title(), kind.table()));
        for (id, resource) in resources {
            let origin = paint(palette.faint(), words::safe(&resource.origin.to_string()));
            let _ = writeln!(text, "    {}  {origin}", words::safe(&id.name));
            text += &resource_text(desired, resource, verbose);
        }
    }
    let _ = writeln!(text, "\n  {} in all", words::count(desired.resources.len(), "resource"));
    text
}

/// One resource in full: where it is declared, every attribute, what it waits for and what waits for it, its text.
#[must_use]
pub fn resource_text_in_full(desired: &Desired, id: &ResourceId, resource: &Resource, palette: Palette) -> String {
    let origin = paint(palette.faint(), words::safe(&resource.origin.to_string()));
    let mut text = format!("{}  {origin}\n", paint(palette.title(), words::id(id)));
    text += &resource_text(desired, resource, true);
    for (other, _) in waiting(desired, id) {
        text += &indented(INDENT, &format!("comes before {}", words::id(other)));
    }
    text
}

/// What waits for a resource.
fn waiting<'a>(desired: &'a Desired, id: &'a ResourceId) -> impl Iterator<Item = (&'a ResourceId, &'a Dependency)> {
    let all = desired.resources.iter();
    let all = all.flat_map(|(other, resource)| resource.depends.iter().map(move |dependency| (other, dependency)));
    all.filter(move |(_, dependency)| dependency.on == *id)
}

/// One resource as programs read it.
#[must_use]
pub fn resource_json(desired: &Desired, id: &ResourceId, resource: &Resource) -> String {
    let dependents: Vec<_> = waiting(desired, id)
        .map(|(other, dependency)| Dependency {
            on: other.clone(),
            reason: dependency.reason,
        })
        .collect();
    let text = match &resource.spec {
        Spec::File(spec) => desired
            .blobs
            .get(&spec.content.sha256)
            .and_then(|blob| shown(spec, blob.bytes())),
        _ => None,
    };
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "show",
        "version": env!("CARGO_PKG_VERSION"),
        "host": desired.host,
        "id": id,
        "resource": resource,
        "dependents": dependents,
        "text": text,
    }))
}

/// What stands before everything that is said of a resource.
const INDENT: &str = "        ";

fn resource_text(desired: &Desired, resource: &Resource, verbose: bool) -> String {
    let mut text = String::new();
    if verbose {
        let rows: Vec<_> = attributes(&resource.spec)
            .into_iter()
            .map(|(name, value)| vec![words::safe(&name), words::safe(&value)])
            .collect();
        text += &indented(INDENT, &columns(&rows).join("\n"));
    }
    for dependency in resource
        .depends
        .iter()
        .filter(|dependency| verbose || dependency.reason.triggers())
    {
        text += &indented(INDENT, &depends(dependency));
    }
    if let (true, Spec::File(spec)) = (verbose, &resource.spec) {
        let blob = desired.blobs.get(&spec.content.sha256);
        if let Some(shown) = blob.and_then(|blob| shown(spec, blob.bytes())) {
            let shown = provision_core::model::HostText::new(shown).escaped_lines();
            text += &indented(&format!("{INDENT}| "), &shown);
        }
    }
    text
}

/// A file's text, where it may be shown.
fn shown<'a>(spec: &provision_core::model::FileSpec, bytes: &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(bytes).ok().filter(|_| spec.is_shown())
}

fn depends(dependency: &Dependency) -> String {
    let on = words::id(&dependency.on);
    match dependency.reason {
        DependencyReason::InDirectory => format!("lies in {on}"),
        DependencyReason::OwnedBy => format!("belongs to {on}"),
        DependencyReason::Uses => format!("uses {on}"),
        DependencyReason::RestartOn => format!("restarts on {on}"),
        DependencyReason::After => format!("after {on}"),
        DependencyReason::Checks => format!("checks {on}"),
    }
}

/// A spec's attributes by name, but for the one that names it; lists and tables as JSON has them.
fn attributes(spec: &Spec) -> Vec<(String, String)> {
    let Ok(Value::Object(variant)) = serde_json::to_value(spec) else {
        return Vec::new();
    };
    let fields = variant.into_values().next().and_then(|fields| match fields {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    let mut fields = fields.unwrap_or_default();
    if let Spec::File(file) = spec {
        let content = format!("{} bytes, sha256 {}", file.content.size, file.content.sha256.short());
        fields.insert("content".to_owned(), Value::String(content));
    }
    let named = |name: &str| matches!(name, "name" | "path" | "key");
    flat(fields).into_iter().filter(|(name, _)| !named(name)).collect()
}

fn flat(fields: Map<String, Value>) -> Vec<(String, String)> {
    fields
        .into_iter()
        .filter_map(|(name, value)| {
            let value = match value {
                Value::Null | Value::Bool(false) if matches!(name.as_str(), "sensitive" | "private" | "system") => {
                    return None;
                }
                Value::Null => return None,
                Value::String(text) => text,
                Value::Array(items) if items.is_empty() => return None,
                Value::Object(fields) if fields.is_empty() => return None,
                other => other.to_string(),
            };
            Some((name, value))
        })
        .collect()
}

fn connection(connection: &Connection) -> String {
    match connection {
        Connection::Local => "this machine".to_owned(),
        Connection::Ssh {
            address,
            port,
            user,
            host_keys,
            jump,
            identity_files: _,
        } => {
            let mut text = "ssh".to_owned();
            let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            match address {
                Some(address) => text += &format!(" {user}{address}{port}"),
                None => text += " as ~/.ssh/config and the host's name say",
            }
            if let Some(jump) = jump {
                text += &format!(" via {jump}");
            }
            let pins = match host_keys.len() {
                0 => ", host key from known_hosts".to_owned(),
                pins => format!(", {} pinned", words::count(pins, "host key")),
            };
            words::safe(&(text + &pins))
        }
    }
}

fn machine(machine: &Machine) -> String {
    let words = match machine {
        Machine::Hetzner {
            server_type,
            location,
            image,
        } => format!("Hetzner Cloud {server_type} in {location}, {image}"),
        Machine::Aws {
            instance_type,
            region,
            image,
        } => format!("EC2 {instance_type} in {region}, {image}"),
    };
    words::safe(&words)
}

/// A host as programs read it: see `docs/json.md`. Contents are left out; their digests are there.
#[must_use]
pub fn show_json(desired: &Desired) -> String {
    let resources: Map<_, _> = desired
        .resources
        .iter()
        .map(|(id, resource)| (id.to_string(), json!(resource)))
        .collect();
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "show",
        "version": env!("CARGO_PKG_VERSION"),
        "host": desired.host,
        "connection": desired.connection,
        "tags": desired.tags,
        "machine": desired.machine,
        "resources": resources,
    }))
}
