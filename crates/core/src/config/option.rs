//! Options of modules: their types, their declarations, and their values. Which definition of a value wins is decided
//! in [`crate::resolve`].

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{AbsPath, Millis};

use super::code::Code;
use super::decode;
use super::diagnostic::{Diagnostic, nearest};
use super::option_type::OptionType;
use super::scalar::{Port, Problem, Scalar, is_template, shown};
use super::source::{Span, Spanned};
use super::tree::{Entry, Node, Table, Value};

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// A text.
    String(String),
    /// A whole number; ports too.
    Integer(i64),
    /// A number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// An absolute path.
    Path(AbsPath),
    /// A duration.
    Duration(Millis),
    /// A list.
    List(Vec<Self>),
    /// A table.
    Map(BTreeMap<String, Self>),
}

/// The text of a node that has to be rendered first, or why it could not be; it has reported that itself.
pub(super) type Render<'a> = dyn FnMut(&str, Span) -> Result<String, Reported> + 'a;

/// The finding is already recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported;

impl OptionValue {
    /// Reads a value of a type. Texts with templates go through `render` first; without it they make the whole value
    /// `Err(Reported)`, for now.
    ///
    /// # Errors
    /// [`Reported`], once everything wrong with it is in `found`.
    pub fn read(
        ty: &OptionType,
        node: &Node,
        render: &mut Render<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Self, Reported> {
        match (ty, &node.value) {
            (OptionType::List(of), Value::Array(items)) => {
                let values: Vec<_> = items.iter().map(|item| Self::read(of, item, render, found)).collect();
                values.into_iter().collect::<Result<_, _>>().map(Self::List)
            }
            (OptionType::Map(of), Value::Table(table)) => {
                let read = |Entry { key, node }: &Entry| Ok((key.value.clone(), Self::read(of, node, render, found)?));
                let values: Vec<_> = table.entries.iter().map(read).collect();
                values.into_iter().collect::<Result<_, _>>().map(Self::Map)
            }
            (OptionType::List(_), other) => {
                let problem = Problem::wrong_type("a list", other);
                Err(report(problem.help("write it in brackets: [\"…\"]"), node.span, found))
            }
            (OptionType::Map(_), other) => Err(report(Problem::wrong_type("a table", other), node.span, found)),
            (_, Value::String(text)) if is_template(text) => {
                let text = render(text, node.span)?;
                Self::scalar(ty, &Value::String(text.clone()), Some(&text)).map_err(|mut problem| {
                    problem.code = Code::RenderedType;
                    problem.message = format!("this renders to {:?}: {}", shown(&text), problem.message);
                    report(problem, node.span, found)
                })
            }
            (_, value) => Self::scalar(ty, value, None).map_err(|problem| report(problem, node.span, found)),
        }
    }

    fn scalar(ty: &OptionType, value: &Value, rendered: Option<&str>) -> Result<Self, Problem> {
        fn read<T: Scalar>(value: &Value, rendered: Option<&str>) -> Result<T, Problem> {
            rendered.map_or_else(|| T::from_value(value), T::from_text)
        }
        match ty {
            OptionType::String => read(value, rendered).map(Self::String),
            OptionType::Integer => read(value, rendered).map(Self::Integer),
            OptionType::Float => read(value, rendered).map(Self::Float),
            OptionType::Bool => read(value, rendered).map(Self::Bool),
            OptionType::Port => read(value, rendered).map(|Port(port)| Self::Integer(port.into())),
            OptionType::Path => read(value, rendered).map(Self::Path),
            OptionType::Duration => read(value, rendered).map(Self::Duration),
            OptionType::List(_) | OptionType::Map(_) => Err(Problem::wrong_type("a list or table", value)),
        }
    }

    /// Whether it is less than another one of its type; lists, tables and texts have no order here.
    fn less(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a < b,
            (Self::Float(a), Self::Float(b)) => a < b,
            (Self::Duration(a), Self::Duration(b)) => a < b,
            _ => false,
        }
    }
}

impl fmt::Display for OptionValue {
    /// As TOML has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "\"{}\"", shown(text)),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Bool(truth) => truth.fmt(f),
            Self::Path(path) => write!(f, "\"{path}\""),
            Self::Duration(millis) => write!(f, "\"{millis}\""),
            Self::List(items) => {
                let items: Vec<_> = items.iter().take(8).map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .take(8)
                    .map(|(key, value)| format!("{key} = {value}"))
                    .collect();
                write!(f, "{{ {} }}", entries.join(", "))
            }
        }
    }
}

fn report(problem: Problem, span: Span, found: &mut Vec<Diagnostic>) -> Reported {
    found.push(decode::finding(problem, span));
    Reported
}

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
    /// What it is for.
    pub description: Option<String>,
    /// A value that shows its use.
    pub example: Option<OptionValue>,
}

const KEYS: &[&str] = &[
    "type",
    "default",
    "required",
    "min",
    "max",
    "one_of",
    "description",
    "example",
];

/// Names that templates use for something else.
const RESERVED: &[&str] = &[
    "host", "hosts", "instance", "loop", "self", "true", "false", "True", "False", "none", "None", "null", "and", "or",
    "not", "is", "in", "if", "else", "for", "continue", "break",
];

impl OptionDeclaration {
    /// Reads `[options.NAME]`; `None` where it has no usable type.
    pub fn read(entry: &Entry, found: &mut Vec<Diagnostic>) -> Option<Self> {
        let name = entry.key.clone();
        check_name(&name, found);
        let table = decode::table(&entry.node, "a table for an option", found)?;
        decode::only(table, KEYS, "an option", found);
        let of = format!("the option `{}`", shown(&name.value));
        let ty = decode::required::<OptionType>(table, "type", &of, name.span, found)?.value;
        let required = decode::optional::<bool>(table, "required", found);
        let description = decode::optional::<String>(table, "description", found).map(|text| text.value);
        let default = table.get("default").map(|entry| entry.node.clone());
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
            required: required.map_or(default.is_none(), |required| required.value && default.is_none()),
            example: value(table, "example", &ty, found).map(|value| value.value),
            name,
            ty,
            default,
            description,
        };
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

    /// What is wrong with a value by the declaration's bounds and list of values.
    #[must_use]
    pub fn bounds(&self, value: &OptionValue, span: Span) -> Option<Diagnostic> {
        let name = &self.name.value;
        if let Some(min) = self.min.as_ref().filter(|min| value.less(&min.value)) {
            let message = format!("`{name}` is {value}, and at least {} is allowed", min.value);
            return Some(
                Diagnostic::error(Code::OutOfBounds, message, span, "too small").also(min.span, "declared here"),
            );
        }
        if let Some(max) = self.max.as_ref().filter(|max| max.value.less(value)) {
            let message = format!("`{name}` is {value}, and at most {} is allowed", max.value);
            return Some(
                Diagnostic::error(Code::OutOfBounds, message, span, "too large").also(max.span, "declared here"),
            );
        }
        let possible = self.one_of.as_ref()?;
        // A list is judged by its items.
        let items = match value {
            OptionValue::List(items) => items.iter().collect(),
            other => vec![other],
        };
        let wrong = items.into_iter().find(|item| !possible.value.contains(item))?;
        let list: Vec<_> = possible.value.iter().map(ToString::to_string).collect();
        let message = format!("`{name}` is {wrong}, which is none of {}", list.join(", "));
        let diagnostic = Diagnostic::error(Code::OutOfBounds, message, span, "not one of them");
        let wrong = wrong.to_string();
        let help = nearest(&wrong, list.iter().map(String::as_str)).map(|meant| format!("did you mean {meant}?"));
        Some(diagnostic.also(possible.span, "declared here").help_if(help))
    }
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
        let help = "numbers, ports and durations have bounds; `one_of` lists the possible values of anything else";
        found.push(Diagnostic::error(Code::BadOption, message, entry.key.span, "").help(help));
        return None;
    }
    value(table, key, ty, found)
}

fn one_of(table: &Table, ty: &OptionType, found: &mut Vec<Diagnostic>) -> Option<Spanned<Vec<OptionValue>>> {
    // The possible values of a list's items.
    let item = match ty {
        OptionType::List(of) => of.as_ref(),
        other => other,
    };
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
