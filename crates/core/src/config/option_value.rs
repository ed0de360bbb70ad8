//! Values of options: how they are read as their types, and how the parts of a record complete each other. Which
//! definition of a value wins is decided in [`crate::resolve`].

use std::collections::BTreeMap;
use std::fmt;

use crate::model::{AbsPath, HostName, Millis};

use super::code::Code;
use super::decode;
use super::diagnostic::{Diagnostic, did_you_mean};
use super::option_type::{OptionType, Record};
use super::scalar::{Port, Problem, Scalar, is_template, shown};
use super::size::Size;
use super::source::Span;
use super::tree::{Entry, Node, Value};
use super::word::{Cidr, SecretName, Url};

/// The value of an option.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// A text; networks, URLs and names of secrets too.
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
    /// A size.
    Size(Size),
    /// A host of the project; whether there is one of that name is checked where all hosts are known.
    Host(HostName),
    /// A list.
    List(Vec<Self>),
    /// A table; a record's too.
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
            (OptionType::Record(record), Value::Table(table)) => {
                let read = |entry: &Entry| Self::field(record, entry, render, found);
                let values: Vec<_> = table.entries.iter().map(read).collect();
                values.into_iter().collect::<Result<_, _>>().map(Self::Map)
            }
            (OptionType::Map(_) | OptionType::Record(_), other) => {
                Err(report(Problem::wrong_type("a table", other), node.span, found))
            }
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

    fn field(
        record: &Record,
        Entry { key, node }: &Entry,
        render: &mut Render<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Result<(String, Self), Reported> {
        if let Some(field) = record.fields.get(&key.value) {
            return Ok((key.value.clone(), Self::read(&field.ty, node, render, found)?));
        }
        let message = format!("there is no field `{}` here", shown(&key.value));
        let diagnostic = Diagnostic::error(Code::UnknownOption, message, key.span, "not declared");
        let names: Vec<_> = record.fields.keys().map(String::as_str).collect();
        let help = did_you_mean(&key.value, names.iter().copied());
        found.push(diagnostic.help(help.unwrap_or_else(|| format!("the fields are {}", decode::listed(&names)))));
        Err(Reported)
    }

    /// The value with the defaults of the records in it: several definitions may each give some of the fields, so this
    /// comes after they are merged. `name` and `span` are the option's and the value's.
    ///
    /// # Errors
    /// [`Reported`] where a field that has to be there is missing.
    pub fn complete(
        self,
        ty: &OptionType,
        name: &str,
        span: Span,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Self, Reported> {
        match (ty, self) {
            (OptionType::List(of), Self::List(items)) => {
                let items = items.into_iter().map(|item| item.complete(of, name, span, found));
                items.collect::<Result<_, _>>().map(Self::List)
            }
            (OptionType::Map(of), Self::Map(entries)) => {
                let entries = entries.into_iter().map(|(key, item)| {
                    let item = item.complete(of, &format!("{name}.{key}"), span, found)?;
                    Ok((key, item))
                });
                entries.collect::<Result<_, _>>().map(Self::Map)
            }
            (OptionType::Record(record), Self::Map(mut entries)) => {
                let mut whole = BTreeMap::new();
                let mut failed = false;
                for (key, field) in &record.fields {
                    let path = format!("{name}.{key}");
                    let value = match entries.remove(key) {
                        Some(value) => Some(value),
                        None => field.literal_default(found)?,
                    };
                    match value.map(|value| value.complete(&field.ty, &path, span, found)) {
                        Some(Ok(value)) => drop(whole.insert(key.clone(), value)),
                        Some(Err(Reported)) => failed = true,
                        None if field.required => {
                            found.push(field.missing(&path, span));
                            failed = true;
                        }
                        None => {}
                    }
                }
                if failed { Err(Reported) } else { Ok(Self::Map(whole)) }
            }
            (_, value) => Ok(value),
        }
    }

    /// The hosts that it refers to.
    #[must_use]
    pub fn hosts(&self) -> Vec<&HostName> {
        match self {
            Self::Host(host) => vec![host],
            Self::List(items) => items.iter().flat_map(Self::hosts).collect(),
            Self::Map(entries) => entries.values().flat_map(Self::hosts).collect(),
            Self::String(_)
            | Self::Integer(_)
            | Self::Float(_)
            | Self::Bool(_)
            | Self::Path(_)
            | Self::Duration(_)
            | Self::Size(_) => Vec::new(),
        }
    }

    /// The single values in it: the items of lists and tables, but for records, which are single.
    pub(super) fn items<'v>(&'v self, ty: &OptionType) -> Vec<&'v Self> {
        match (ty, self) {
            (OptionType::List(of), Self::List(items)) => items.iter().flat_map(|item| item.items(of)).collect(),
            (OptionType::Map(of), Self::Map(entries)) => entries.values().flat_map(|item| item.items(of)).collect(),
            _ => vec![self],
        }
    }

    /// The text in it, where it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Path(path) => Some(path.as_str()),
            Self::Host(host) => Some(host.as_str()),
            Self::Integer(_)
            | Self::Float(_)
            | Self::Bool(_)
            | Self::Duration(_)
            | Self::Size(_)
            | Self::List(_)
            | Self::Map(_) => None,
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
            OptionType::Size => read(value, rendered).map(Self::Size),
            OptionType::Host => read(value, rendered).map(Self::Host),
            OptionType::Cidr => read(value, rendered).map(|Cidr(network)| Self::String(network)),
            OptionType::Url => read(value, rendered).map(|Url(url)| Self::String(url)),
            OptionType::Secret => read(value, rendered).map(|SecretName(name)| Self::String(name)),
            OptionType::List(_) | OptionType::Map(_) | OptionType::Record(_) => {
                Err(Problem::wrong_type("a list or table", value))
            }
        }
    }

    /// Whether it is less than another one of its type; lists, tables and texts have no order here.
    pub(super) fn less(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a < b,
            (Self::Float(a), Self::Float(b)) => a < b,
            (Self::Duration(a), Self::Duration(b)) => a < b,
            (Self::Size(a), Self::Size(b)) => a < b,
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
            Self::Size(size) => write!(f, "\"{size}\""),
            Self::Host(host) => write!(f, "\"{host}\""),
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
