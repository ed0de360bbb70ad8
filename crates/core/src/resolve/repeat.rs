//! `when` and `each` of a declaration: whether it counts, and how often. It reads no other field.

use tera::Value as TemplateValue;

use crate::config::{Code, Declaration, Diagnostic, FieldValue, Node, Reported, Span, Spanned, Value, is_template};

use super::reader::noun;
use super::render::{Renderer, Scope, Written};

/// How many items an `each` may have. Nobody means more resources of one kind on one host.
const MAX_ITEMS: usize = 10_000;

/// Calls `declare` for each time that the declaration counts, with what its templates see then.
pub(super) fn each<'r>(
    declaration: &Declaration,
    scope: &Scope,
    renderer: &mut Renderer<'r>,
    mut declare: impl FnMut(&Scope, &mut Renderer<'r>) -> Result<(), Reported>,
) -> Result<(), Reported> {
    let when = declaration.get("when");
    let Some(each) = declaration.get("each") else {
        return if holds(when, scope, renderer)? {
            declare(scope, renderer)
        } else {
            Ok(())
        };
    };
    let items = items(each, scope, renderer)?;
    if items.len() > MAX_ITEMS {
        let message = format!("`each` has {} items, and at most {MAX_ITEMS} are allowed", items.len());
        renderer
            .found
            .push(Diagnostic::error(Code::TooMuch, message, each.node.span, "too many"));
        return Err(Reported);
    }
    let mut scope = scope.clone().seeing(
        "a template beside `each` sees `item` and `key`, the options of its own module, `host`, `hosts` and `instances`",
    );
    // One bad item keeps no other from being looked at.
    let mut result = Ok(());
    for (key, item) in items {
        if renderer.exhausted {
            return Err(Reported);
        }
        scope.context.insert_value("key", key);
        scope.context.insert_value("item", item);
        match holds(when, &scope, renderer) {
            Ok(true) => result = declare(&scope, renderer).and(result),
            Ok(false) => {}
            Err(Reported) => result = Err(Reported),
        }
    }
    result
}

fn holds(when: Option<&FieldValue>, scope: &Scope, renderer: &mut Renderer<'_>) -> Result<bool, Reported> {
    match when.map(|when| (&when.node.value, when.node.span)) {
        None => Ok(true),
        Some((Value::Bool(truth), _)) => Ok(*truth),
        Some((Value::String(text), span)) if !is_template(text) => {
            renderer.holds(&Spanned::new(text.clone(), span), scope)
        }
        // It was found when the file was read.
        Some(_) => Err(Reported),
    }
}

/// The items with their keys: a table's own, or a list's positions from 0.
fn items(
    each: &FieldValue,
    scope: &Scope,
    renderer: &mut Renderer<'_>,
) -> Result<Vec<(TemplateValue, TemplateValue)>, Reported> {
    let value = match &each.node.value {
        Value::String(text) if is_template(text) => return Err(Reported),
        Value::String(text) => {
            let written = Written {
                text,
                span: each.node.span,
                offset: 0,
                quoted: true,
            };
            renderer.value(written, scope)?
        }
        Value::Array(_) | Value::Table(_) => literal(&each.node, scope, renderer)?,
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) => return Err(Reported),
    };
    if let Some(items) = value.as_array() {
        let items = items.iter().enumerate();
        return Ok(items
            .map(|(at, item)| (TemplateValue::from(at as u64), item.clone()))
            .collect());
    }
    if let Some(entries) = value.as_map() {
        let entries = entries.iter();
        return Ok(entries
            .map(|(key, item)| (TemplateValue::from(key.to_string()), item.clone()))
            .collect());
    }
    let message = format!("`each` goes over a list or a table, and this is {}", noun(&value));
    let diagnostic = Diagnostic::error(Code::RenderedType, message, each.node.span, "");
    renderer.found.push(diagnostic);
    Err(Reported)
}

/// What is written out, with the templates in it rendered.
fn literal(node: &Node, scope: &Scope, renderer: &mut Renderer<'_>) -> Result<TemplateValue, Reported> {
    Ok(match &node.value {
        Value::String(text) => TemplateValue::from(rendered(text, node.span, scope, renderer)?),
        Value::Integer(number) => TemplateValue::from(*number),
        Value::Float(number) => TemplateValue::from(*number),
        Value::Bool(truth) => TemplateValue::from(*truth),
        Value::Array(items) => {
            let items = items.iter().map(|item| literal(item, scope, renderer));
            TemplateValue::from(items.collect::<Result<Vec<_>, _>>()?)
        }
        Value::Table(table) => {
            let entries = table.entries.iter().map(|entry| {
                let item = literal(&entry.node, scope, renderer)?;
                Ok((entry.key.value.clone(), item))
            });
            TemplateValue::from(entries.collect::<Result<std::collections::BTreeMap<_, _>, Reported>>()?)
        }
    })
}

fn rendered(text: &str, span: Span, scope: &Scope, renderer: &mut Renderer<'_>) -> Result<String, Reported> {
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    let written = Written {
        text,
        span,
        offset: 0,
        quoted: true,
    };
    renderer.text(written, scope)
}
