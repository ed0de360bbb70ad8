//! Imports of modules as they are written, in host files, groups and modules alike. Whether the modules exist, and
//! whether a condition holds, is not known here.

use super::decode;
use super::diagnostic::Diagnostic;
use super::scalar::Problem;
use super::source::Spanned;
use super::tree::{Node, Table, Value};

/// An import of a module.
#[derive(Clone, Debug)]
pub struct Import {
    /// The module's name.
    pub module: Spanned<String>,
    /// An expression over `host` and `hosts`; where it does not hold, the module is not imported.
    pub when: Option<Spanned<String>>,
}

/// Reads `imports`: a list of names, or of `{ module = "NAME", when = "EXPRESSION" }`.
pub(super) fn imports(document: &Table, found: &mut Vec<Diagnostic>) -> Vec<Import> {
    let Some(entry) = document.get("imports") else {
        return Vec::new();
    };
    match &entry.node.value {
        Value::Array(items) => items.iter().filter_map(|item| import(item, found)).collect(),
        // It says what is wrong.
        _ => {
            decode::texts(document, "imports", found);
            Vec::new()
        }
    }
}

fn import(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Import> {
    match &node.value {
        Value::String(name) => Some(Import {
            module: Spanned::new(name.clone(), node.span),
            when: None,
        }),
        Value::Table(table) => {
            decode::only(table, &["module", "when"], "an import", found);
            let module = decode::required::<String>(table, "module", "an import", node.span, found);
            let when = decode::optional::<String>(table, "when", found);
            module.map(|module| Import { module, when })
        }
        other => {
            let problem = Problem::wrong_type("a module's name", other);
            found.push(decode::finding(problem, node.span));
            None
        }
    }
}
