//! The schema of values for a module's options. What values mean is not its matter, nor which of several wins.

use provision_core::config::{Module, Node, OptionDeclaration, OptionType, OptionValue, Project, Value as Toml};
use serde_json::{Map, Value, json};

use super::{TEMPLATE, integer, list_of, or_template, table, text, text_or_template};

/// What `[set.MODULE]` takes: values for options, or a table of them for each instance.
pub(super) fn values(module: &Module, project: &Project) -> Value {
    let about = module.description.as_deref().unwrap_or("A module.").trim();
    // Where a declaration could not be read, its option is there all the same.
    let unread = module.unread_options.iter().map(|name| (name.as_str(), json!({})));
    let options = declared(module.options.values(), project);
    let values = table(about, options.into_iter().chain(unread).collect(), &[]);
    if !module.instances {
        return values;
    }
    json!({
        "type": "object",
        "description": format!("{about}\n\nUsed once per name: [set.{}.NAME].", module.name),
        "propertyNames": { "pattern": format!("^[a-z0-9][a-z0-9_-]*$|{TEMPLATE}") },
        "additionalProperties": values,
    })
}

fn declared<'a>(options: impl Iterator<Item = &'a OptionDeclaration>, project: &Project) -> Vec<(&'a str, Value)> {
    options
        .map(|option| (option.name.value.as_str(), value(option, project)))
        .collect()
}

fn value(option: &OptionDeclaration, project: &Project) -> Value {
    let mut schema = of_type(&option.ty, option, project);
    let mut words: Vec<String> = option.description.iter().map(|text| text.trim().to_owned()).collect();
    if let Some(deprecated) = &option.deprecated {
        words.push(format!("Deprecated: {}", deprecated.message.value));
        schema["deprecated"] = json!(true);
    }
    match &option.default {
        // A record's may have been made up from those of its fields, which tell of it themselves.
        Some(_) if matches!(option.ty, OptionType::Record(_)) => {}
        Some(default) => {
            words.push(format!("Default: {}", project.sources.slice(default.span)));
            if let Some(json) = literal(default) {
                schema["default"] = json;
            }
        }
        None if option.required => words.push("Has to be set.".to_owned()),
        None => {}
    }
    if let Some(example) = &option.example {
        words.push(format!("Example: {example}"));
        schema["examples"] = json!([json_of(example)]);
    }
    schema["description"] = json!(words.join("\n\n"));
    schema
}

/// What a type takes; bounds, patterns and possible values are those of the innermost items.
fn of_type(ty: &OptionType, option: &OptionDeclaration, project: &Project) -> Value {
    match ty {
        OptionType::List(of) => list_of(of_type(of, option, project)),
        OptionType::Map(of) => json!({
            "type": "object",
            "additionalProperties": of_type(of, option, project),
        }),
        OptionType::Record(record) => {
            let fields = declared(record.fields.values(), project);
            table("A table with these fields.", fields, &[])
        }
        // 60s and 1min are one duration, and 1024K and 1M one size: a list of texts would refuse the other one.
        OptionType::Duration => text_or_template("^ *[0-9]+ *(ms|s|sec|min|m|h|d) *$"),
        OptionType::Size => or_template(json!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^ *[0-9]+ *([KMGT](iB)?)? *$" },
        ] })),
        OptionType::String
        | OptionType::Integer
        | OptionType::Float
        | OptionType::Bool
        | OptionType::Port
        | OptionType::Path
        | OptionType::Cidr
        | OptionType::Url
        | OptionType::Secret
        | OptionType::Host => match &option.one_of {
            Some(values) => or_template(json!({ "enum": values.value.iter().map(json_of).collect::<Vec<_>>() })),
            None => single(ty, option, project),
        },
    }
}

fn single(ty: &OptionType, option: &OptionDeclaration, project: &Project) -> Value {
    let pattern = option.pattern.as_ref().map(|pattern| pattern.value.as_str());
    // What begins with `(?` is not the same in every dialect of regular expressions; the language still sees to it.
    if let Some(pattern) = pattern.filter(|pattern| !pattern.contains("(?")) {
        return text_or_template(&format!("^(?:{pattern})$"));
    }
    match ty {
        OptionType::Integer => or_template(bounded(json!({ "type": "integer" }), option)),
        OptionType::Float => or_template(bounded(json!({ "type": "number" }), option)),
        OptionType::Port => or_template(bounded(integer(1, 65535), option)),
        OptionType::Bool => or_template(json!({ "type": "boolean" })),
        OptionType::Path => text_or_template("^/"),
        OptionType::Cidr => text_or_template("/[0-9]+$"),
        OptionType::Url => text_or_template("://"),
        OptionType::Secret => text_or_template("^[a-z0-9][a-z0-9._/-]*$"),
        OptionType::Host => {
            let hosts: Vec<_> = project.hosts.keys().map(|host| host.as_str()).collect();
            or_template(json!({ "type": "string", "enum": hosts }))
        }
        OptionType::String
        | OptionType::Duration
        | OptionType::Size
        | OptionType::Record(_)
        | OptionType::List(_)
        | OptionType::Map(_) => text(),
    }
}

fn bounded(mut schema: Value, option: &OptionDeclaration) -> Value {
    for (key, bound) in [("minimum", &option.min), ("maximum", &option.max)] {
        if let Some(bound) = bound {
            schema[key] = json_of(&bound.value);
        }
    }
    schema
}

fn json_of(value: &OptionValue) -> Value {
    match value {
        OptionValue::String(text) => json!(text),
        OptionValue::Integer(number) => json!(number),
        OptionValue::Float(number) => json!(number),
        OptionValue::Bool(truth) => json!(truth),
        OptionValue::Path(path) => json!(path.to_string()),
        OptionValue::Duration(millis) => json!(millis.to_string()),
        OptionValue::Size(size) => json!(size.to_string()),
        OptionValue::Host(host) => json!(host.as_str()),
        OptionValue::List(items) => items.iter().map(json_of).collect(),
        OptionValue::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), json_of(value)));
            Value::Object(entries.collect())
        }
    }
}

/// A value as it is written, but for one with a template in it: an editor would offer that text as the value.
fn literal(node: &Node) -> Option<Value> {
    Some(match &node.value {
        Toml::String(text) if text.contains("{{") || text.contains("{%") || text.contains("{#") => return None,
        Toml::String(text) => json!(text),
        Toml::Integer(number) => json!(number),
        Toml::Float(number) => json!(number),
        Toml::Bool(truth) => json!(truth),
        Toml::Array(items) => Value::Array(items.iter().map(literal).collect::<Option<_>>()?),
        Toml::Table(table) => {
            let entries = table.entries.iter();
            let entries = entries.map(|entry| Some((entry.key.value.clone(), literal(&entry.node)?)));
            Value::Object(entries.collect::<Option<Map<_, _>>>()?)
        }
    })
}
