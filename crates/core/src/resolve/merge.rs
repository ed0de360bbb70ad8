//! Definitions of equal priority of one option to one value. Which priority counts is decided in [`super::options`].
//!
//! | type | definitions of equal priority |
//! |---|---|
//! | string, integer, float, bool, port, path, duration | must agree; two different values are an error that shows both |
//! | list | are joined: first the modules' by name, then the host's; a value that is there already is not added again |
//! | map | are merged by key; a key with two different values is an error that shows both |

use crate::config::{Code, Diagnostic, Node, OptionValue, Reported, Span, Value, shown};

/// A value and the places of the definitions that it is made of.
pub(super) struct Merged<'a> {
    pub(super) value: OptionValue,
    pub(super) nodes: Vec<&'a Node>,
}

impl<'a> Merged<'a> {
    /// Adds a definition of equal priority.
    pub(super) fn with(
        mut self,
        value: OptionValue,
        node: &'a Node,
        name: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Self, Reported> {
        self.value = match (self.value, value) {
            (OptionValue::List(mut items), OptionValue::List(more)) => {
                for item in more {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                OptionValue::List(items)
            }
            (OptionValue::Map(mut entries), OptionValue::Map(more)) => {
                for (key, item) in more {
                    if let Some(there) = entries.get(&key).filter(|there| **there != item) {
                        let before = self.nodes.iter().find_map(|node| entry(node, &key));
                        let places = (before.unwrap_or(node.span), entry(node, &key).unwrap_or(node.span));
                        let what = format!("`{}` of option `{name}`", shown(&key));
                        found.push(conflict(&what, (there, &item), places));
                        return Err(Reported);
                    }
                    entries.insert(key, item);
                }
                OptionValue::Map(entries)
            }
            (one, other) if one == other => one,
            (one, other) => {
                let before = self.nodes.first().map_or(node.span, |node| node.span);
                found.push(conflict(
                    &format!("option `{name}`"),
                    (&one, &other),
                    (before, node.span),
                ));
                return Err(Reported);
            }
        };
        self.nodes.push(node);
        Ok(self)
    }
}

/// Where a table has a key.
fn entry(node: &Node, key: &str) -> Option<Span> {
    match &node.value {
        Value::Table(table) => table.get(key).map(|entry| entry.key.span),
        _ => None,
    }
}

fn conflict(what: &str, values: (&OptionValue, &OptionValue), places: (Span, Span)) -> Diagnostic {
    let message = format!("{what} has two values");
    Diagnostic::error(Code::ConflictingValues, message, places.1, format!("here {}", values.1))
        .also(places.0, format!("here {}", values.0))
        .because("both have the same priority, and no order of files decides between them")
        .help("remove one, or write one in [default.…], which is weaker, or in [force.…], which is stronger")
}
