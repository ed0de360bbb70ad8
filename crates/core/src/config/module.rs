//! Modules as they are written. Which hosts use them, and with what values, is not known here.

use std::collections::{BTreeMap, BTreeSet};

use super::code::Code;
use super::decode;
use super::diagnostic::{Diagnostic, Severity, did_you_mean};
use super::import::{Import, imports};
use super::option::OptionDeclaration;
use super::port::{PortClaim, ports};
use super::resource::{Declaration, declarations};
use super::scalar::{Problem, Scalar, one_of};
use super::setting::{Setting, settings};
use super::source::Spanned;
use super::tree::{Entry, Table, Value};

/// A module as it is written.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name: its path below `modules/` without `.toml`.
    pub name: String,
    /// Its file, relative to the project's root.
    pub file: String,
    /// What it is for.
    pub description: Option<String>,
    /// A host file that uses it, without the host's address.
    pub example: Option<Spanned<String>>,
    /// The modules that it needs.
    pub imports: Vec<Import>,
    /// Whether it is used once per name, `[set.MODULE.NAME]`, instead of once per host.
    pub instances: bool,
    /// Its options by name.
    pub options: BTreeMap<String, OptionDeclaration>,
    /// The values it gives to other modules' options.
    pub settings: Vec<Setting>,
    /// What must hold.
    pub asserts: Vec<Assert>,
    /// Its resources, in the order of the file.
    pub resources: Vec<Declaration>,
    /// The ports that its resources take.
    pub ports: Vec<PortClaim>,
    /// The names of options whose declaration could not be read.
    pub unread_options: BTreeSet<String>,
    /// Whether something is wrong with it whatever the host.
    pub broken: bool,
    /// Whether it is not even TOML, so that nothing can be said about what is missing in it.
    pub unreadable: bool,
}

/// Something that must hold.
#[derive(Clone, Debug)]
pub struct Assert {
    /// An expression in the language of the templates.
    pub that: Spanned<String>,
    /// What is said where it does not hold; a template.
    pub message: Spanned<String>,
    /// How bad that is.
    pub severity: Severity,
}

impl Scalar for Severity {
    const NOUN: &'static str = "\"error\" or \"warning\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        match text {
            "error" => Ok(Self::Error),
            "warning" => Ok(Self::Warning),
            other => Err(one_of(other, &["error", "warning"])),
        }
    }
}

/// The keys of a module that are no table of resources.
const KEYS: [&str; 10] = [
    "description",
    "example",
    "imports",
    "instances",
    "options",
    "set",
    "default",
    "force",
    "assert",
    "ports",
];

impl Module {
    /// Reads a module's document.
    pub fn read(name: String, file: String, document: &Table, found: &mut Vec<Diagnostic>) -> Self {
        let before = found.len();
        let tables = super::sort::tables();
        let known: Vec<_> = KEYS.into_iter().chain(tables).collect();
        decode::only(document, &known, "a module", found);
        let mut module = Self {
            name,
            file,
            description: decode::optional::<String>(document, "description", found).map(|text| text.value),
            example: decode::optional::<String>(document, "example", found),
            imports: imports(document, found),
            instances: decode::optional::<bool>(document, "instances", found).is_some_and(|instances| instances.value),
            options: options(document, found),
            settings: settings(document, found),
            asserts: asserts(document, found),
            resources: declarations(document, found),
            ports: ports(document, found),
            unread_options: BTreeSet::new(),
            broken: false,
            unreadable: false,
        };
        module.unread_options = option_entries(document)
            .iter()
            .map(|entry| entry.key.value.clone())
            .filter(|name| !module.options.contains_key(name))
            .collect();
        module.check_replacements(found);
        module.broken = found.len() > before;
        module
    }

    /// A deprecated option's replacement has to be there.
    fn check_replacements(&self, found: &mut Vec<Diagnostic>) {
        for option in self.options.values() {
            let replaced_by = option
                .deprecated
                .as_ref()
                .and_then(|deprecated| deprecated.replaced_by.as_ref());
            let Some(name) = replaced_by.filter(|name| !self.options.contains_key(&name.value)) else {
                continue;
            };
            if self.unread_options.contains(&name.value) {
                continue;
            }
            let message = format!("`{}` is replaced by an option that is not declared", option.name.value);
            let diagnostic = Diagnostic::error(Code::BadOption, message, name.span, "not declared");
            let others = self.options.keys().map(String::as_str);
            found.push(diagnostic.help_if(did_you_mean(&name.value, others)));
        }
    }
}

fn options(document: &Table, found: &mut Vec<Diagnostic>) -> BTreeMap<String, OptionDeclaration> {
    if let Some(entry) = document.get("options") {
        decode::table(&entry.node, "a table of options by name", found);
    }
    let read = option_entries(document)
        .iter()
        .filter_map(|entry| OptionDeclaration::read(entry, found));
    read.map(|option| (option.name.value.clone(), option)).collect()
}

fn option_entries(document: &Table) -> &[Entry] {
    match document.get("options").map(|entry| &entry.node.value) {
        Some(Value::Table(table)) => &table.entries,
        _ => &[],
    }
}

fn asserts(document: &Table, found: &mut Vec<Diagnostic>) -> Vec<Assert> {
    let Some(entry) = document.get("assert") else {
        return Vec::new();
    };
    let Value::Array(items) = &entry.node.value else {
        let message = "assertions are a list of tables";
        let diagnostic = Diagnostic::error(Code::WrongType, message, entry.key.span, "");
        found.push(
            diagnostic.help("write [[assert]], with two brackets, and below it `that = \"…\"` and `message = \"…\"`"),
        );
        return Vec::new();
    };
    let mut asserts = Vec::new();
    for item in items {
        let Some(table) = decode::table(item, "a table for an assertion", found) else {
            continue;
        };
        decode::only(table, &["that", "message", "severity"], "an assertion", found);
        let that = decode::required::<String>(table, "that", "an assertion", item.span, found);
        let message = decode::required::<String>(table, "message", "an assertion", item.span, found);
        let severity = decode::optional::<Severity>(table, "severity", found);
        asserts.extend(that.zip(message).map(|(that, message)| Assert {
            that,
            message,
            severity: severity.map_or(Severity::Error, |severity| severity.value),
        }));
    }
    asserts
}
