//! The documentation of modules, from their own files: what they are for, their options, what they make of a host.
//! Here it becomes values; the forms for people and programs are beside it. It looks at no host.

mod html;
mod markdown;
mod text;

use provision_core::config::{
    Import, Module, Node, OptionDeclaration, OptionType, PortClaim, Project, SourceMap, Value, nearest,
};
use serde::Serialize;
use serde_json::json;

pub use self::html::page;
pub use self::markdown::markdown;
pub use self::text::text;

use super::error::CommandError;
use super::json::{FORMAT_VERSION, document};
use super::words;

/// What there is to know of a module.
#[derive(Debug, Serialize)]
pub struct ModuleDoc {
    name: String,
    file: String,
    description: Option<String>,
    imports: Vec<ImportDoc>,
    /// Whether it is used once per name.
    instances: bool,
    /// What a host file says to use it: the module's own example, or what follows from its options.
    usage: String,
    /// In the order of the file, each with the fields of its records behind it.
    options: Vec<OptionDoc>,
    /// In the order of the file.
    resources: Vec<ResourceDoc>,
    ports: Vec<PortDoc>,
    asserts: Vec<AssertDoc>,
}

#[derive(Debug, Serialize)]
struct ImportDoc {
    module: String,
    when: Option<String>,
}

#[derive(Debug, Serialize)]
struct OptionDoc {
    /// A field of a record is behind a dot, the items of a map and a list are `*`: `sites.*.domain`.
    name: String,
    #[serde(rename = "type")]
    ty: String,
    required: bool,
    /// As TOML has it, like all values here.
    default: Option<String>,
    min: Option<String>,
    max: Option<String>,
    one_of: Vec<String>,
    pattern: Option<String>,
    /// What to do instead.
    deprecated: Option<String>,
    replaced_by: Option<String>,
    description: Option<String>,
    example: Option<String>,
    line: u32,
}

#[derive(Debug, Serialize)]
struct ResourceDoc {
    kind: &'static str,
    /// As it is written, maybe with templates.
    name: String,
    line: u32,
}

#[derive(Debug, Serialize)]
struct PortDoc {
    name: String,
    /// As they are written.
    ports: Vec<String>,
    protocol: &'static str,
}

#[derive(Debug, Serialize)]
struct AssertDoc {
    that: String,
    message: String,
    severity: &'static str,
}

/// The documentation of the named modules, or of all, by name.
///
/// # Errors
/// [`CommandError`] where there is no module of a name, with the one that was meant, maybe.
pub fn docs(project: &Project, names: &[String]) -> Result<Vec<ModuleDoc>, CommandError> {
    if names.is_empty() {
        return Ok(project
            .modules
            .values()
            .map(|module| module_doc(module, &project.sources))
            .collect());
    }
    let doc = |name: &String| match project.modules.get(name) {
        Some(module) => Ok(module_doc(module, &project.sources)),
        None => Err(unknown(name, project)),
    };
    names.iter().map(doc).collect()
}

fn unknown(name: &str, project: &Project) -> CommandError {
    let names: Vec<_> = project.modules.keys().map(String::as_str).collect();
    let error = CommandError::refused(format!("there is no module {}", words::safe(name)));
    match nearest(name, names.iter().copied()) {
        Some(meant) => error.hint(format!("did you mean {meant}?")),
        None if names.is_empty() => error.hint("`provision new module NAME` makes one"),
        None => error.hint(format!("there are: {}", names.join(", "))),
    }
}

fn module_doc(module: &Module, sources: &SourceMap) -> ModuleDoc {
    let mut options = Vec::new();
    declared(module.options.values(), "", sources, &mut options);
    let resources = module.resources.iter().map(|declaration| ResourceDoc {
        kind: declaration.sort.name(),
        name: declaration.name.value.clone(),
        line: sources.origin(declaration.name.span).line,
    });
    let asserts = module.asserts.iter().map(|assert| AssertDoc {
        that: assert.that.value.clone(),
        message: assert.message.value.clone(),
        severity: assert.severity.name(),
    });
    let import = |import: &Import| ImportDoc {
        module: import.module.value.clone(),
        when: import.when.as_ref().map(|when| when.value.clone()),
    };
    let port = |claim: &PortClaim| PortDoc {
        name: claim.name.value.clone(),
        ports: claim.ports.iter().map(|port| written(port, sources)).collect(),
        protocol: claim.protocol.name(),
    };
    ModuleDoc {
        name: module.name.clone(),
        file: module.file.clone(),
        description: module.description.as_deref().map(|text| text.trim().to_owned()),
        imports: module.imports.iter().map(import).collect(),
        instances: module.instances,
        usage: match &module.example {
            Some(example) => example.value.trim_start().to_owned(),
            None => usage(&module.name, module.instances, &options),
        },
        options,
        resources: resources.collect(),
        ports: module.ports.iter().map(port).collect(),
        asserts: asserts.collect(),
    }
}

/// A text without its quotes, and anything else as it is written.
fn written(node: &Node, sources: &SourceMap) -> String {
    match &node.value {
        Value::String(text) => text.clone(),
        _ => sources.slice(node.span).to_owned(),
    }
}

/// Options in the order of the file, each with the fields of its record behind it.
fn declared<'a>(
    options: impl Iterator<Item = &'a OptionDeclaration>,
    prefix: &str,
    sources: &SourceMap,
    docs: &mut Vec<OptionDoc>,
) {
    let mut options: Vec<_> = options.collect();
    options.sort_by_key(|option| option.name.span);
    for option in options {
        let doc = option_doc(option, prefix, sources);
        let mut name = doc.name.clone();
        docs.push(doc);
        let mut ty = &option.ty;
        while let OptionType::List(of) | OptionType::Map(of) = ty {
            name += ".*";
            ty = of;
        }
        if let OptionType::Record(record) = ty {
            declared(record.fields.values(), &format!("{name}."), sources, docs);
        }
    }
}

fn option_doc(option: &OptionDeclaration, prefix: &str, sources: &SourceMap) -> OptionDoc {
    let one_of = option.one_of.iter().flat_map(|values| &values.value);
    // A record's default may have been made up from those of its fields, which tell of it themselves.
    let default = option.default.as_ref().map(|node| sources.slice(node.span));
    let default = default.filter(|text| !matches!(option.ty, OptionType::Record(_)) || text.starts_with('{'));
    let deprecated = option.deprecated.as_ref();
    OptionDoc {
        name: format!("{prefix}{}", option.name.value),
        ty: option.ty.to_string(),
        required: option.required,
        default: default.map(str::to_owned),
        min: option.min.as_ref().map(|value| value.value.to_string()),
        max: option.max.as_ref().map(|value| value.value.to_string()),
        one_of: one_of.map(ToString::to_string).collect(),
        pattern: option.pattern.as_ref().map(|pattern| pattern.value.to_string()),
        deprecated: deprecated.map(|deprecated| deprecated.message.value.clone()),
        replaced_by: deprecated
            .and_then(|deprecated| deprecated.replaced_by.as_ref())
            .map(|name| name.value.clone()),
        description: option.description.as_deref().map(|text| text.trim().to_owned()),
        example: option.example.as_ref().map(ToString::to_string),
        line: sources.origin(option.name.span).line,
    }
}

/// A start to paste into a host file: what has to be set, and behind `#` what may be.
fn usage(name: &str, instances: bool, options: &[OptionDoc]) -> String {
    // Names of modules in directories have slashes, which a bare key cannot have.
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let key = if name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    };
    let mut text = format!("imports = [\"{name}\"]\n");
    let lines: Vec<_> = options.iter().filter_map(usage_line).collect();
    // An instance needs its table even where the defaults will do.
    if instances || !lines.is_empty() {
        let instance = if instances { ".NAME" } else { "" };
        text += &format!("\n[set.{key}{instance}]\n");
        text.extend(lines.iter().map(|line| format!("{line}\n")));
    }
    text
}

fn usage_line(option: &OptionDoc) -> Option<String> {
    let name = &option.name;
    // Records are given by their fields, and items of lists and maps have no names yet.
    if option.ty == "record" || name.contains('*') || option.deprecated.is_some() {
        return None;
    }
    if option.required {
        let value = option.example.clone();
        return Some(match value {
            Some(value) => format!("{name} = {value}"),
            None => format!("{name} = …  # {}, has to be set", option.ty),
        });
    }
    // A default on several lines, or one made from other options, is no text to paste into a host file.
    let plain = |text: &&String| !text.contains('\n') && !text.contains("{{") && !text.contains("{%");
    let value = option.default.as_ref().or(option.example.as_ref()).filter(plain)?;
    Some(format!("# {name} = {value}"))
}

impl OptionDoc {
    /// What it takes, as phrases: its bounds, its default.
    fn phrases(&self) -> Vec<String> {
        let mut phrases = Vec::new();
        match (&self.min, &self.max) {
            (Some(min), Some(max)) => phrases.push(format!("from {min} to {max}")),
            (Some(min), None) => phrases.push(format!("at least {min}")),
            (None, Some(max)) => phrases.push(format!("at most {max}")),
            (None, None) => {}
        }
        if !self.one_of.is_empty() {
            phrases.push(format!("one of {}", self.one_of.join(", ")));
        }
        if let Some(pattern) = &self.pattern {
            phrases.push(format!("fitting {pattern}"));
        }
        match &self.default {
            Some(default) if default.contains('\n') => phrases.push("has a default of several lines".to_owned()),
            Some(default) => phrases.push(format!("{default} by default")),
            None if self.required => phrases.push("has to be set".to_owned()),
            None => phrases.push("may be left out".to_owned()),
        }
        if let (None, Some(example)) = (&self.default, &self.example) {
            phrases.push(format!("such as {example}"));
        }
        phrases
    }
}

/// The documentation for programs.
#[must_use]
pub fn options_json(docs: &[ModuleDoc]) -> String {
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "options",
        "version": env!("CARGO_PKG_VERSION"),
        "modules": docs,
    }))
}

#[cfg(test)]
mod tests;
