//! The steps that reading any table shares: known keys, required keys, literal values. It knows no particular table.

use super::code::Code;
use super::diagnostic::{Diagnostic, did_you_mean, nearest};
use super::scalar::{Problem, Scalar};
use super::source::{Span, Spanned};
use super::tree::{Entry, Node, Table, Value};

/// A problem at a place as a finding.
#[must_use]
pub(crate) fn finding(problem: Problem, span: Span) -> Diagnostic {
    Diagnostic::error(problem.code, problem.message, span, "").help_if(problem.help)
}

/// Reports every key that is not known. `of` says whose keys they are, such as "a file".
pub(super) fn only(table: &Table, known: &[&str], of: &str, found: &mut Vec<Diagnostic>) {
    for entry in &table.entries {
        let key = entry.key.value.as_str();
        if known.contains(&key) {
            continue;
        }
        let message = format!("{of} has no key `{key}`", key = super::scalar::shown(key));
        let diagnostic = Diagnostic::error(Code::UnknownKey, message, entry.key.span, "not known here");
        let help = elsewhere(key)
            .filter(|meant| known.contains(meant))
            .map(|meant| format!("did you mean `{meant}`?"));
        let help = help.or_else(|| did_you_mean(key, known.iter().copied()));
        found.push(diagnostic.help_if(help.or_else(|| Some(format!("the keys are {}", listed(known))))));
    }
}

/// What other tools call it is called here.
fn elsewhere(key: &str) -> Option<&'static str> {
    match key {
        "content" | "contents" => Some("text"),
        "source" | "src" => Some("file"),
        "user" => Some("owner"),
        "permissions" | "perms" => Some("mode"),
        "command" | "cmd" | "exec" | "argv" => Some("run"),
        "onlyif" | "only_if" | "not_if" => Some("unless"),
        "ensure" | "state" => Some("version"),
        "running" | "started" => Some("active"),
        "enable" => Some("enabled"),
        "environment" => Some("env"),
        "chdir" | "workdir" | "working_directory" => Some("cwd"),
        "depends" | "depends_on" | "require" | "requires" => Some("after"),
        "url" => Some("http"),
        "values" | "choices" | "enum" => Some("one_of"),
        "minimum" => Some("min"),
        "maximum" => Some("max"),
        "hostname" | "ip" => Some("address"),
        _ => None,
    }
}

/// Names in a sentence.
#[must_use]
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The table that a node is, or the finding that it is none.
pub(super) fn table<'a>(node: &'a Node, of: &str, found: &mut Vec<Diagnostic>) -> Option<&'a Table> {
    match &node.value {
        Value::Table(table) => Some(table),
        other => {
            found.push(finding(Problem::wrong_type(of, other), node.span));
            None
        }
    }
}

/// The literal value of a key that may be missing.
pub(super) fn optional<T: Scalar>(table: &Table, key: &str, found: &mut Vec<Diagnostic>) -> Option<Spanned<T>> {
    literal(&table.get(key)?.node, found)
}

/// The literal value of a key that has to be there; `span` is the table's.
pub(super) fn required<T: Scalar>(
    table: &Table,
    key: &str,
    of: &str,
    span: Span,
    found: &mut Vec<Diagnostic>,
) -> Option<Spanned<T>> {
    if table.get(key).is_none() {
        found.push(missing(key, of, T::NOUN, span, table));
    }
    optional(table, key, found)
}

/// The finding that a key is missing.
#[must_use]
pub(super) fn missing(key: &str, of: &str, noun: &str, span: Span, table: &Table) -> Diagnostic {
    let message = format!("{of} needs `{key}`: {noun}");
    let diagnostic = Diagnostic::error(Code::MissingKey, message, span, format!("`{key}` is missing"));
    let meant = nearest(key, table.entries.iter().map(|entry| entry.key.value.as_str()));
    diagnostic.help_if(meant.map(|meant| format!("is `{meant}` meant to be `{key}`?")))
}

/// A node's literal value.
pub(super) fn literal<T: Scalar>(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Spanned<T>> {
    match T::from_value(&node.value) {
        Ok(value) => Some(Spanned::new(value, node.span)),
        Err(problem) => {
            found.push(finding(problem, node.span));
            None
        }
    }
}

/// The literal texts of a key's list; empty where the key is missing.
pub(super) fn texts(table: &Table, key: &str, found: &mut Vec<Diagnostic>) -> Vec<Spanned<String>> {
    let Some(Entry { node, .. }) = table.get(key) else {
        return Vec::new();
    };
    match &node.value {
        Value::Array(items) => items.iter().filter_map(|item| literal(item, found)).collect(),
        Value::String(text) => {
            let problem = Problem::wrong_type("a list of texts", &node.value);
            found.push(finding(problem.help(format!("write {key} = [{text:?}]")), node.span));
            Vec::new()
        }
        other => {
            found.push(finding(Problem::wrong_type("a list of texts", other), node.span));
            Vec::new()
        }
    }
}
