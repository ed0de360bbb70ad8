//! JSON Schemas (2020-12) of host files, groups and modules, for editors: completion, hover texts and checks while one types.
//! They are made from the project's own modules. They refuse nothing that `provision check` takes, and cannot find all
//! that it does: what a template comes to, and what files mean together, is not theirs.

mod host;
mod module;
mod option;
mod resource;

use provision_core::config::{Priority, Project};
use serde_json::{Map, Value, json};

use super::json::document;

/// The dialect, which the schemas name.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What every text may be instead of what its place wants: a template. No look-around, which not every reader knows.
const TEMPLATE: &str = r"\{[{%#]";

/// The schemas, each by the name of its file.
fn all(project: &Project) -> [(&'static str, Value); 3] {
    [
        ("host.json", host::schema(project)),
        ("module.json", module::module(project)),
        ("group.json", module::group(project)),
    ]
}

/// The schemas: each with the name of its file, and its text.
#[must_use]
pub fn schemas(project: &Project) -> Vec<(&'static str, String)> {
    all(project).map(|(name, schema)| (name, document(&schema))).into()
}

/// All schemas in one document, by the names of their files.
#[must_use]
pub fn schemas_json(project: &Project) -> String {
    document(&json!({
        "format_version": super::json::FORMAT_VERSION,
        "command": "schema",
        "version": env!("CARGO_PKG_VERSION"),
        "schemas": Map::from_iter(all(project).map(|(name, schema)| (name.to_owned(), schema))),
    }))
}

/// A document's schema: its own keys, and the tables of resources.
fn root(title: &str, about: &str, own: Vec<(&str, Value)>) -> Value {
    let mut properties: Map<_, _> = own.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    properties.extend(resource::tables());
    json!({
        "$schema": DIALECT,
        "title": title,
        "description": about,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": { "template": { "type": "string", "pattern": TEMPLATE } },
    })
}

/// A table whose keys are these.
fn table(about: &str, properties: Vec<(&str, Value)>, required: &[&str]) -> Value {
    let properties: Map<_, _> = properties
        .into_iter()
        .map(|(key, schema)| (key.to_owned(), schema))
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": about,
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A schema with a text for people.
fn about(mut schema: Value, text: &str) -> Value {
    schema["description"] = json!(text);
    schema
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// A text of that form, or one with a template in it.
fn text_or_template(form: &str) -> Value {
    pattern(&format!("{form}|{TEMPLATE}"))
}

/// That, or a template.
fn or_template(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/template" }] })
}

fn list_of(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn integer(min: i64, max: i64) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

/// `imports`: names of modules, maybe with a condition.
fn imports(project: &Project) -> Value {
    let names: Vec<_> = project.modules.keys().collect();
    let name = if names.is_empty() {
        text()
    } else {
        json!({ "type": "string", "enum": names })
    };
    let when = "An expression over `host` and `hosts`; where it does not hold, the module is not imported.";
    let under_condition = table(
        "A module that is used under a condition.",
        vec![("module", name.clone()), ("when", about(text(), when))],
        &["module"],
    );
    about(
        list_of(json!({ "anyOf": [name, under_condition] })),
        "The modules that are used, by their names: the module \"web\" is modules/web.toml.",
    )
}

/// `[ports]`.
fn forbid() -> Value {
    about(
        list_of(text()),
        "Names that nothing on the host may have in it, such as those of variables with API keys.",
    )
}

fn ports() -> Value {
    let port = or_template(integer(1, 65535));
    let protocol = json!({ "type": "string", "enum": ["tcp", "udp"] });
    let claim = table(
        "A port that is taken.",
        vec![
            ("port", about(port.clone(), "The port.")),
            (
                "count",
                about(integer(1, 1024), "How many ports from that one on, 1 by default."),
            ),
            (
                "also",
                about(
                    list_of(port.clone()),
                    "Further ports that follow from it, such as \"{{ port + 2 }}\".",
                ),
            ),
            (
                "health",
                about(
                    list_of(text()),
                    "The paths that tell over HTTP how it is: probes of the port ask for one of them, or are refused.",
                ),
            ),
            ("protocol", about(protocol, "\"tcp\" by default.")),
            (
                "address",
                about(text(), "The address that is listened on; all of them by default."),
            ),
            (
                "when",
                about(text(), "An expression; where it does not hold, nothing is taken."),
            ),
        ],
        &["port"],
    );
    json!({
        "type": "object",
        "description": "Ports that are listened on, by a name of your own: two claims of one port are refused.",
        "additionalProperties": { "anyOf": [port, claim] },
    })
}

/// `[set.…]`, `[default.…]` and `[force.…]`.
fn settings(project: &Project) -> Vec<(&'static str, Value)> {
    let tables = Priority::TABLES.into_iter().map(|(priority, name)| {
        let strength = match priority {
            Priority::Declared => "The module's own default.",
            Priority::Default => "Values for modules' options that give way to those in [set.…].",
            Priority::Set => "Values for modules' options: [set.MODULE], and below it OPTION = value.",
            Priority::Force => "Values for modules' options that win over those in [set.…].",
        };
        let modules = project
            .modules
            .values()
            .map(|module| (module.name.as_str(), option::values(module, project)));
        (name, table(strength, modules.collect(), &[]))
    });
    tables.collect()
}
