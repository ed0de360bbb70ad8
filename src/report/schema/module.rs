//! The schemas of modules and of groups. What declares an option is read in the language's `option`; the tests hold the
//! two together.

use provision_core::config::Project;
use serde_json::{Value, json};

use super::{about, imports, list_of, ports, root, settings, table, text};

pub(super) fn module(project: &Project) -> Value {
    let mut own = vec![
        (
            "description",
            about(
                text(),
                "What the module is for, in a sentence or two; `provision options` shows it.",
            ),
        ),
        (
            "example",
            about(
                text(),
                "A host file that uses it, where more is needed than values for its options; `provision options` shows it.",
            ),
        ),
        ("imports", imports(project)),
        (
            "instances",
            about(
                json!({ "type": "boolean" }),
                "Whether it is used once per name, [set.MODULE.NAME], which templates see as {{ instance }}.",
            ),
        ),
        ("options", options()),
        ("assert", asserts()),
        ("ports", ports()),
    ];
    own.extend(settings(project));
    let mut schema = root(
        "A module",
        "A module: options, and what they make of a host. Its path below modules/ is its name: modules/web.toml is web.",
        own,
    );
    schema["$defs"]["option"] = option();
    schema
}

pub(super) fn group(project: &Project) -> Value {
    let mut own = vec![
        ("description", about(text(), "What the group is for.")),
        ("imports", imports(project)),
        ("ports", ports()),
        ("forbid", super::forbid()),
    ];
    own.extend(settings(project));
    root(
        "A group",
        "A group: what all hosts of a tag have in common. The file's name is the tag: groups/bot.toml is for hosts with the tag bot.",
        own,
    )
}

fn options() -> Value {
    json!({
        "type": "object",
        "description": "The module's options, by name.",
        "propertyNames": { "pattern": "^[a-z][a-z0-9_]*$" },
        "additionalProperties": { "$ref": "#/$defs/option" },
    })
}

fn option() -> Value {
    let any = |text: &str| json!({ "description": text });
    let fields = json!({
        "type": "object",
        "description": "The fields of a record, each declared like an option.",
        "propertyNames": { "pattern": "^[a-z][a-z0-9_]*$" },
        "additionalProperties": { "$ref": "#/$defs/option" },
    });
    table(
        "An option, which hosts set in [set.MODULE] and templates use as {{ NAME }}.",
        vec![
            ("type", type_name()),
            ("fields", fields),
            (
                "default",
                any("Its value where nobody sets one; may be a template over other options."),
            ),
            (
                "required",
                about(
                    json!({ "type": "boolean" }),
                    "Whether it must have a value; true by default, where there is no default.",
                ),
            ),
            ("min", any("The smallest value of a number, port, size or duration.")),
            ("max", any("The largest value of a number, port, size or duration.")),
            (
                "one_of",
                about(
                    json!({ "type": "array", "minItems": 1 }),
                    "The only values it takes; of a list, its items.",
                ),
            ),
            (
                "pattern",
                about(text(), "A regular expression that the whole text has to fit."),
            ),
            (
                "description",
                about(text(), "What it is for; `provision options` shows it."),
            ),
            ("example", any("A value that shows its use.")),
            (
                "deprecated",
                about(text(), "Why it should no longer be set, and what to do instead."),
            ),
            (
                "replaced_by",
                about(text(), "The option of this module that takes its place."),
            ),
        ],
        &["type"],
    )
}

/// Names that stand for themselves are offered; "list of …" and "map of …" are allowed.
fn type_name() -> Value {
    const NAMES: [&str; 15] = [
        "string", "integer", "float", "bool", "port", "path", "duration", "size", "cidr", "url", "secret", "host",
        "record", "list", "map",
    ];
    let names = NAMES.join("|");
    let schema = json!({ "anyOf": [
        { "type": "string", "enum": NAMES },
        { "type": "string", "pattern": format!("^ *((list|map) +of +)*({names}) *$") },
    ] });
    about(
        schema,
        "What values it takes; also \"list of …\" and \"map of …\" with another type.",
    )
}

fn asserts() -> Value {
    let severity = json!({ "type": "string", "enum": ["error", "warning"] });
    let assert = table(
        "What must hold.",
        vec![
            (
                "that",
                about(text(), "An expression over the options, such as \"user != 'root'\"."),
            ),
            (
                "message",
                about(text(), "What is said where it does not hold; a template."),
            ),
            (
                "severity",
                about(
                    severity,
                    "Whether it is refused (\"error\", by default) or only told of.",
                ),
            ),
        ],
        &["that", "message"],
    );
    about(
        list_of(assert),
        "What must hold of the options: a mistake is found before any host is contacted.",
    )
}
