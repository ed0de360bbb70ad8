//! Options of modules as they are declared: type, default, bounds, and what they are for. Reading values of them is
//! [`super::option_value`]'s.

use std::sync::Arc;

use super::code::Code;
use super::decode;
use super::diagnostic::{Diagnostic, nearest};
use super::option_type::{OptionType, Record};
use super::option_value::{OptionValue, Reported};
use super::pattern::Pattern;
use super::scalar::{is_template, shown};
use super::source::{Span, Spanned};
use super::tree::{Entry, Node, Table, Value};

/// An option as its module declares it.
#[derive(Clone, Debug)]
pub struct OptionDeclaration {
    /// Its name.
    pub name: Spanned<String>,
    /// Its type.
    pub ty: OptionType,
    /// Its value where nobody sets one; maybe with templates in it.
    pub default: Option<Node>,
    /// Whether it must have a value.
    pub required: bool,
    /// The smallest value.
    pub min: Option<Spanned<OptionValue>>,
    /// The largest value.
    pub max: Option<Spanned<OptionValue>>,
    /// The only values.
    pub one_of: Option<Spanned<Vec<OptionValue>>>,
    /// What a text has to look like.
    pub pattern: Option<Spanned<Pattern>>,
    /// That it is about to be dropped, and what to use instead.
    pub deprecated: Option<Deprecated>,
    /// What it is for.
    pub description: Option<String>,
    /// A value that shows its use.
    pub example: Option<OptionValue>,
}

/// What a module says about an option that it is about to drop.
#[derive(Clone, Debug)]
pub struct Deprecated {
    /// What to do instead, in a sentence.
    pub message: Spanned<String>,
    /// The option of the same module that takes its place.
    pub replaced_by: Option<Spanned<String>>,
}

const KEYS: &[&str] = &[
    "type",
    "fields",
    "default",
    "required",
    "min",
    "max",
    "one_of",
    "pattern",
    "description",
    "example",
    "deprecated",
    "replaced_by",
];

/// How deep records may lie in records.
const MAX_RECORD_DEPTH: usize = 3;

/// Names that templates use for something else.
const RESERVED: &[&str] = &[
    "host",
    "hosts",
    "instance",
    "instances",
    "item",
    "key",
    "loop",
    "self",
    "true",
    "false",
    "True",
    "False",
    "none",
    "None",
    "null",
    "and",
    "or",
    "not",
    "is",
    "in",
    "if",
    "else",
    "for",
    "continue",
    "break",
];

impl OptionDeclaration {
    /// Reads `[options.NAME]`; `None` where it has no usable type.
    pub fn read(entry: &Entry, found: &mut Vec<Diagnostic>) -> Option<Self> {
        Self::read_at(entry, 0, found)
    }

    fn read_at(entry: &Entry, depth: usize, found: &mut Vec<Diagnostic>) -> Option<Self> {
        let name = entry.key.clone();
        check_name(&name, found);
        let table = decode::table(&entry.node, "a table for an option", found)?;
        decode::only(table, KEYS, "an option", found);
        let of = format!("the option `{}`", shown(&name.value));
        let ty = decode::required::<OptionType>(table, "type", &of, name.span, found)?.value;
        let ty = with_fields(ty, table, &of, depth, found)?;
        let required = decode::optional::<bool>(table, "required", found);
        let description = decode::optional::<String>(table, "description", found).map(|text| text.value);
        let default = table.get("default").map(|entry| entry.node.clone());
        if depth > 0
            && let Some(default) = &default
        {
            check_literal(default, found);
        }
        if let (Some(default), Some(required)) = (&default, &required)
            && required.value
        {
            let message = format!("{of} is required and has a default");
            let diagnostic = Diagnostic::error(
                Code::BadOption,
                message,
                required.span,
                "with a default nobody has to set it",
            );
            found.push(diagnostic.also(default.span, "the default").help("remove `required`"));
        }
        let mut declaration = Self {
            min: bound(table, "min", &ty, found),
            max: bound(table, "max", &ty, found),
            one_of: one_of(table, &ty, found),
            pattern: pattern(table, &ty, found),
            deprecated: deprecated(table, found),
            required: required.map_or(default.is_none(), |required| required.value && default.is_none()),
            example: value(table, "example", &ty, found).map(|value| value.value),
            name,
            ty,
            default,
            description,
        };
        // A record whose fields all do without a value does, too.
        if let OptionType::Record(record) = &declaration.ty
            && declaration.required
            && table.get("required").is_none()
            && record.fields.values().all(|field| !field.required)
        {
            declaration.required = false;
            declaration.default = Some(Node {
                value: Value::Table(Table::default()),
                span: declaration.name.span,
            });
        }
        declaration.check(found);
        if declaration
            .min
            .as_ref()
            .zip(declaration.max.as_ref())
            .is_some_and(|(min, max)| max.value.less(&min.value))
        {
            declaration.max = None;
        }
        Some(declaration)
    }

    fn check(&self, found: &mut Vec<Diagnostic>) {
        if let (Some(min), Some(max)) = (&self.min, &self.max)
            && max.value.less(&min.value)
        {
            let message = format!("no value of `{}` is possible: `max` is below `min`", self.name.value);
            found.push(Diagnostic::error(Code::BadOption, message, max.span, "max").also(min.span, "min"));
        }
        let Some(default) = &self.default else { return };
        let mut later = |_: &str, _: Span| Err(Reported);
        if let Ok(value) = OptionValue::read(&self.ty, default, &mut later, found)
            && let Some(diagnostic) = self.bounds(&value, default.span)
        {
            let message = format!(
                "the default of `{}` breaks its own rule: {}",
                self.name.value, diagnostic.message
            );
            found.push(Diagnostic {
                code: Code::BadOption,
                message,
                ..diagnostic
            });
        }
    }

    /// What is wrong with a value by the declaration's bounds, pattern and list of values. Those of a list or table judge
    /// each item.
    #[must_use]
    pub fn bounds(&self, value: &OptionValue, span: Span) -> Option<Diagnostic> {
        let mut items = value.items(&self.ty).into_iter();
        items.find_map(|item| self.bounds_of_item(item, span))
    }

    fn bounds_of_item(&self, value: &OptionValue, span: Span) -> Option<Diagnostic> {
        let name = &self.name.value;
        if let (OptionType::Record(record), OptionValue::Map(entries)) = (self.ty.item(), value) {
            let mut fields = record.fields.iter();
            return fields.find_map(|(key, field)| field.bounds(entries.get(key)?, span));
        }
        let outside = |message: String, label: &str, declared: Span| {
            Diagnostic::error(Code::OutOfBounds, message, span, label).also(declared, "declared here")
        };
        if let Some(min) = self.min.as_ref().filter(|min| value.less(&min.value)) {
            let message = format!("`{name}` is {value}, and at least {} is allowed", min.value);
            return Some(outside(message, "too small", min.span));
        }
        if let Some(max) = self.max.as_ref().filter(|max| max.value.less(value)) {
            let message = format!("`{name}` is {value}, and at most {} is allowed", max.value);
            return Some(outside(message, "too large", max.span));
        }
        if let Some(pattern) = &self.pattern
            && !value.text().is_some_and(|text| pattern.value.matches(text))
        {
            let message = format!(
                "`{name}` is {value}, which does not fit the pattern `{}`",
                pattern.value
            );
            let diagnostic = outside(message, "does not fit", pattern.span);
            let example = self.example.as_ref().map(|example| format!("such as {example}"));
            return Some(diagnostic.help_if(example));
        }
        let possible = self
            .one_of
            .as_ref()
            .filter(|possible| !possible.value.contains(value))?;
        let list: Vec<_> = possible.value.iter().map(ToString::to_string).collect();
        let message = format!("`{name}` is {value}, which is none of {}", list.join(", "));
        let help =
            nearest(&value.to_string(), list.iter().map(String::as_str)).map(|meant| format!("did you mean {meant}?"));
        Some(outside(message, "not one of them", possible.span).help_if(help))
    }

    /// The default of a record's field, which has no template in it; what is wrong with it was found when the file was read.
    pub(super) fn literal_default(&self, found: &mut Vec<Diagnostic>) -> Result<Option<OptionValue>, Reported> {
        let mut never = |_: &str, _: Span| Err(Reported);
        let default = self.default.as_ref();
        default
            .map(|node| OptionValue::read(&self.ty, node, &mut never, found))
            .transpose()
    }

    /// The finding that a record's field has no value.
    pub(super) fn missing(&self, path: &str, span: Span) -> Diagnostic {
        let message = format!("`{path}` has no value");
        let diagnostic = Diagnostic::error(Code::MissingOption, message, span, "it is missing here");
        let example = self
            .example
            .as_ref()
            .map_or_else(|| "…".to_owned(), ToString::to_string);
        let diagnostic = diagnostic
            .also(self.name.span, "declared here, without a default")
            .help(format!("write {} = {example}", self.name.value));
        match &self.description {
            Some(description) => diagnostic.because(format!("`{}`: {}", self.name.value, description.trim())),
            None => diagnostic,
        }
    }
}

/// The type with its fields, where it is or holds a record.
fn with_fields(
    ty: OptionType,
    table: &Table,
    of: &str,
    depth: usize,
    found: &mut Vec<Diagnostic>,
) -> Option<OptionType> {
    let fields = table.get("fields");
    let is_record = matches!(ty.item(), OptionType::Record(_));
    match (fields, is_record) {
        (None, false) => Some(ty),
        (Some(fields), false) => {
            let message = format!("`fields` means nothing for an option of type `{ty}`");
            let help = "a table with fields of their own types is type = \"record\"";
            found.push(Diagnostic::error(Code::BadOption, message, fields.key.span, "").help(help));
            None
        }
        (None, true) => {
            let span = table.get("type").map(|entry| entry.node.span)?;
            let message = format!("{of} is a record, and has no fields");
            let diagnostic = Diagnostic::error(Code::BadOption, message, span, "a record");
            found.push(diagnostic.help("declare each as an option: `fields.NAME = { type = \"…\" }`"));
            None
        }
        (Some(fields), true) if depth >= MAX_RECORD_DEPTH => {
            let message = "records may lie in records, but not this deep";
            found.push(Diagnostic::error(Code::BadOption, message, fields.key.span, "too deep"));
            None
        }
        (Some(fields), true) => {
            let entries = decode::table(&fields.node, "a table of fields by name", found)?;
            let read = entries
                .entries
                .iter()
                .map(|entry| OptionDeclaration::read_at(entry, depth + 1, found));
            // With a field missing each value that has it would be found wrong as well.
            let read: Vec<_> = read.collect();
            let read: Option<Vec<_>> = read.into_iter().collect();
            let fields = read?.into_iter().map(|field| (field.name.value.clone(), field));
            ty.with_fields(&Arc::new(Record {
                fields: fields.collect(),
            }))
        }
    }
}

fn check_literal(node: &Node, found: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::String(text) if is_template(text) => {
            let message = "the default of a record's field cannot be a template";
            let diagnostic = Diagnostic::error(Code::BadOption, message, node.span, "a template");
            found.push(diagnostic.help("make it an option of its own, or give the whole record a default"));
        }
        Value::Array(items) => items.iter().for_each(|item| check_literal(item, found)),
        Value::Table(table) => table.entries.iter().for_each(|entry| check_literal(&entry.node, found)),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Bool(_) => {}
    }
}

fn deprecated(table: &Table, found: &mut Vec<Diagnostic>) -> Option<Deprecated> {
    let replaced_by = decode::optional::<String>(table, "replaced_by", found);
    let message = decode::optional::<String>(table, "deprecated", found);
    match (message, replaced_by) {
        (Some(message), replaced_by) => Some(Deprecated { message, replaced_by }),
        (None, Some(replaced_by)) => Some(Deprecated {
            message: Spanned::new(format!("use `{}`", shown(&replaced_by.value)), replaced_by.span),
            replaced_by: Some(replaced_by),
        }),
        (None, None) => None,
    }
}

fn pattern(table: &Table, ty: &OptionType, found: &mut Vec<Diagnostic>) -> Option<Spanned<Pattern>> {
    let entry = table.get("pattern")?;
    if !ty.is_text() {
        let message = format!("`pattern` means nothing for an option of type `{ty}`");
        let help = "texts have patterns; numbers have `min` and `max`";
        found.push(Diagnostic::error(Code::BadOption, message, entry.key.span, "").help(help));
        return None;
    }
    decode::optional::<Pattern>(table, "pattern", found)
}

fn check_name(name: &Spanned<String>, found: &mut Vec<Diagnostic>) {
    let first = name.value.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let rest = name
        .value
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let shown = shown(&name.value);
    if !first || !rest || name.value.len() > 64 {
        let message = format!("`{shown}` cannot name an option");
        let why = "templates use the name as it is, so it is a-z, 0-9 and \"_\", and begins with a letter";
        let meant = name.value.to_lowercase().replace(['-', '.', ' '], "_");
        let diagnostic = Diagnostic::error(Code::BadOption, message, name.span, "").because(why);
        found.push(diagnostic.help(format!("such as [options.{meant}]")));
    } else if RESERVED.contains(&name.value.as_str()) {
        let message = format!("`{shown}` cannot name an option: templates use it for something else");
        found.push(Diagnostic::error(Code::BadOption, message, name.span, "taken"));
    }
}

fn value(table: &Table, key: &str, ty: &OptionType, found: &mut Vec<Diagnostic>) -> Option<Spanned<OptionValue>> {
    let node = &table.get(key)?.node;
    let mut never = |_: &str, _: Span| Err(Reported);
    let value = OptionValue::read(ty, node, &mut never, found).ok()?;
    Some(Spanned::new(value, node.span))
}

fn bound(table: &Table, key: &str, ty: &OptionType, found: &mut Vec<Diagnostic>) -> Option<Spanned<OptionValue>> {
    let entry = table.get(key)?;
    if !ty.is_ordered() {
        let message = format!("`{key}` means nothing for an option of type `{ty}`");
        let help =
            "numbers, ports, sizes and durations have bounds; `one_of` lists the possible values of anything else";
        found.push(Diagnostic::error(Code::BadOption, message, entry.key.span, "").help(help));
        return None;
    }
    // The bound of a list's or table's items.
    value(table, key, ty.item(), found)
}

fn one_of(table: &Table, ty: &OptionType, found: &mut Vec<Diagnostic>) -> Option<Spanned<Vec<OptionValue>>> {
    // The possible values of a list's or table's items.
    let item = ty.item();
    if let (OptionType::Record(_), Some(entry)) = (item, table.get("one_of")) {
        let message = "`one_of` means nothing for a record";
        let diagnostic = Diagnostic::error(Code::BadOption, message, entry.key.span, "");
        found.push(diagnostic.help("give the possible values of its fields"));
        return None;
    }
    let listed = value(table, "one_of", &OptionType::List(Box::new(item.clone())), found)?;
    match listed.value {
        OptionValue::List(items) if !items.is_empty() => Some(Spanned::new(items, listed.span)),
        _ => {
            let message = "`one_of` lists no value, so none is possible";
            found.push(Diagnostic::error(Code::BadOption, message, listed.span, "empty"));
            None
        }
    }
}
