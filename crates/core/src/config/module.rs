//! Modules as they are written. Which hosts use them, and with what values, is not known here.

use std::collections::{BTreeMap, BTreeSet};

use super::code::Code;
use super::decode;
use super::diagnostic::Diagnostic;
use super::option::OptionDeclaration;
use super::resource::{Declaration, declarations};
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
    /// The modules that it needs.
    pub imports: Vec<Spanned<String>>,
    /// Its options by name.
    pub options: BTreeMap<String, OptionDeclaration>,
    /// The values it gives to other modules' options.
    pub settings: Vec<Setting>,
    /// What must hold.
    pub asserts: Vec<Assert>,
    /// Its resources, in the order of the file.
    pub resources: Vec<Declaration>,
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
}

/// The keys of a module that are no table of resources.
const KEYS: [&str; 7] = ["description", "imports", "options", "set", "default", "force", "assert"];

impl Module {
    /// Reads a module's document.
    pub fn read(name: String, file: String, document: &Table, found: &mut Vec<Diagnostic>) -> Self {
        let before = found.len();
        let tables = crate::model::Kind::ALL.map(crate::model::Kind::table);
        let known: Vec<_> = KEYS.into_iter().chain(tables).collect();
        decode::only(document, &known, "a module", found);
        let mut module = Self {
            name,
            file,
            description: decode::optional::<String>(document, "description", found).map(|text| text.value),
            imports: decode::texts(document, "imports", found),
            options: options(document, found),
            settings: settings(document, found),
            asserts: asserts(document, found),
            resources: declarations(document, found),
            unread_options: BTreeSet::new(),
            broken: false,
            unreadable: false,
        };
        module.unread_options = option_entries(document)
            .iter()
            .map(|entry| entry.key.value.clone())
            .filter(|name| !module.options.contains_key(name))
            .collect();
        module.broken = found.len() > before;
        module
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
        decode::only(table, &["that", "message"], "an assertion", found);
        let that = decode::required::<String>(table, "that", "an assertion", item.span, found);
        let message = decode::required::<String>(table, "message", "an assertion", item.span, found);
        asserts.extend(that.zip(message).map(|(that, message)| Assert { that, message }));
    }
    asserts
}
