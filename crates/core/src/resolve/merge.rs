//! Definitions of equal priority of one option to one value. Which priority counts is decided in [`super::options`].
//!
//! | type | definitions of equal priority |
//! |---|---|
//! | list | are joined: first the modules' by name, then the groups' by tag, then the host's; a value that is there already is not added again |
//! | map, record | are merged by key; a key with several values by the rule of their type |
//! | anything else | the host's hides its groups'; what is left must agree, and two different values are an error that shows both |

use std::collections::BTreeMap;

use crate::config::{Code, Diagnostic, Node, OptionValue, Priority, Reported, Span, Value, shown};

use super::uses::in_header;

/// One definition's value.
pub(super) struct Part<'a> {
    pub(super) value: OptionValue,
    /// Where it is written.
    pub(super) span: Span,
    /// What is written, as far as it is known: the places of keys are looked up in it.
    pub(super) node: Option<&'a Node>,
    /// Whether it is a group's.
    pub(super) group: bool,
    /// Whether it is the host's own.
    pub(super) host: bool,
}

/// What definitions of equal priority come to.
pub(super) struct Merged {
    pub(super) value: OptionValue,
    /// The place of the first definition that counts.
    pub(super) span: Span,
}

/// Whether the groups' parts are hidden by the host's.
pub(super) fn hides_groups(parts: &[Part<'_>]) -> bool {
    let single = |part: &Part<'_>| !matches!(part.value, OptionValue::List(_) | OptionValue::Map(_));
    parts.iter().any(|part| part.host && single(part))
}

/// Merges; `option` is it as people write it, `module.option`, for findings. `None` where there is no part.
pub(super) fn merge(
    option: &str,
    priority: Priority,
    parts: Vec<Part<'_>>,
    found: &mut Vec<Diagnostic>,
) -> Result<Option<Merged>, Reported> {
    merge_at((option, priority), "", parts, found)
}

/// `below` is the path of keys inside of the option's value.
fn merge_at(
    option: (&str, Priority),
    below: &str,
    mut parts: Vec<Part<'_>>,
    found: &mut Vec<Diagnostic>,
) -> Result<Option<Merged>, Reported> {
    if hides_groups(&parts) {
        parts.retain(|part| !part.group);
    }
    let Some(first) = parts.first() else { return Ok(None) };
    let span = first.span;
    let value = match &first.value {
        OptionValue::List(_) => join(parts),
        OptionValue::Map(_) => by_key(option, below, parts, found)?,
        OptionValue::String(_)
        | OptionValue::Integer(_)
        | OptionValue::Float(_)
        | OptionValue::Bool(_)
        | OptionValue::Path(_)
        | OptionValue::Duration(_)
        | OptionValue::Size(_)
        | OptionValue::Host(_) => {
            if let Some(other) = parts.iter().find(|part| part.value != first.value) {
                let values = (&first.value, &other.value);
                found.push(conflict(option, below, values, (first.span, other.span)));
                return Err(Reported);
            }
            first.value.clone()
        }
    };
    Ok(Some(Merged { value, span }))
}

fn join(parts: Vec<Part<'_>>) -> OptionValue {
    let mut joined: Vec<OptionValue> = Vec::new();
    for part in parts {
        let OptionValue::List(items) = part.value else { continue };
        if joined.is_empty() {
            joined = items;
            continue;
        }
        for item in items {
            if !joined.contains(&item) {
                joined.push(item);
            }
        }
    }
    OptionValue::List(joined)
}

fn by_key(
    option: (&str, Priority),
    below: &str,
    parts: Vec<Part<'_>>,
    found: &mut Vec<Diagnostic>,
) -> Result<OptionValue, Reported> {
    let mut keys: BTreeMap<String, Vec<Part<'_>>> = BTreeMap::new();
    for part in parts {
        let OptionValue::Map(entries) = part.value else {
            continue;
        };
        for (key, value) in entries {
            let entry = match part.node.map(|node| &node.value) {
                Some(Value::Table(table)) => table.get(&key),
                _ => None,
            };
            let inner = Part {
                value,
                span: entry.map_or(part.span, |entry| entry.key.span),
                node: entry.map(|entry| &entry.node),
                group: part.group,
                host: part.host,
            };
            keys.entry(key).or_default().push(inner);
        }
    }
    let mut merged = BTreeMap::new();
    for (key, parts) in keys {
        let path = if below.is_empty() {
            shown(&key)
        } else {
            format!("{below}.{}", shown(&key))
        };
        if let Some(value) = merge_at(option, &path, parts, found)? {
            merged.insert(key, value.value);
        }
    }
    Ok(OptionValue::Map(merged))
}

fn conflict(
    (option, priority): (&str, Priority),
    below: &str,
    values: (&OptionValue, &OptionValue),
    places: (Span, Span),
) -> Diagnostic {
    let message = if below.is_empty() {
        format!("option `{option}` has two values")
    } else {
        format!("`{below}` of option `{option}` has two values")
    };
    let (module, name) = option.split_once('.').unwrap_or(("", option));
    let (instance, name) = name.rsplit_once('.').unwrap_or(("", name));
    let path: Vec<_> = [instance, name, below]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    let path = path.join(".");
    let (table, key) = path.rsplit_once('.').map_or_else(
        || (in_header(module), path.as_str()),
        |(table, key)| (format!("{}.{table}", in_header(module)), key),
    );
    let help = match priority {
        // Nothing is stronger than both.
        Priority::Force => "remove one of the two".to_owned(),
        Priority::Declared | Priority::Default | Priority::Set => {
            format!(
                "remove one, or let the host decide:\n[force.{table}]\n{key} = {}",
                values.1
            )
        }
    };
    Diagnostic::error(Code::ConflictingValues, message, places.1, format!("here {}", values.1))
        .also(places.0, format!("here {}", values.0))
        .because("both have the same priority, and no order of files decides between them")
        .help(help)
}
