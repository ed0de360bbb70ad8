//! The types of options, and how they are written. Reading values of them is [`super::option`]'s.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::decode::listed;
use super::diagnostic::did_you_mean;
use super::option::OptionDeclaration;
use super::scalar::{Problem, Scalar, shown};

/// The type of an option.
#[derive(Clone, Debug)]
pub enum OptionType {
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// A TCP or UDP port.
    Port,
    /// An absolute path.
    Path,
    /// A duration such as "30s".
    Duration,
    /// A size in bytes such as "500M".
    Size,
    /// A network such as "10.0.0.0/8".
    Cidr,
    /// A URL with its scheme.
    Url,
    /// The name of a secret. Templates see the name; the value is nowhere in the configuration.
    Secret,
    /// The name of a host of the project.
    Host,
    /// A table with fields of their own types.
    Record(Arc<Record>),
    /// A list of values of one type.
    List(Box<Self>),
    /// A table of values of one type.
    Map(Box<Self>),
}

/// What the tables of a record may say.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The fields by name. Their defaults have no templates in them.
    pub fields: BTreeMap<String, OptionDeclaration>,
}

/// The types that stand for themselves; `list` and `map` may be followed by `of` and another one.
const NAMES: &[&str] = &[
    "string", "integer", "float", "bool", "port", "path", "duration", "size", "cidr", "url", "secret", "host",
    "record", "list", "map",
];

/// How deep lists and maps of lists and maps may go: nobody reads `list of list of list of list`.
const MAX_TYPE_DEPTH: usize = 3;

impl OptionType {
    fn parse(text: &str, depth: usize) -> Result<Self, Problem> {
        let words: Vec<_> = text.split_whitespace().collect();
        let inner = |words: &[&str]| match words {
            [] => Ok(Box::new(Self::String)),
            ["of", rest @ ..] if !rest.is_empty() && depth < MAX_TYPE_DEPTH => {
                Self::parse(&rest.join(" "), depth + 1).map(Box::new)
            }
            _ => Err(unknown_type(text)),
        };
        match words[..] {
            ["string"] => Ok(Self::String),
            ["integer"] => Ok(Self::Integer),
            ["float"] => Ok(Self::Float),
            ["bool"] => Ok(Self::Bool),
            ["port"] => Ok(Self::Port),
            ["path"] => Ok(Self::Path),
            ["duration"] => Ok(Self::Duration),
            ["size"] => Ok(Self::Size),
            ["cidr"] => Ok(Self::Cidr),
            ["url"] => Ok(Self::Url),
            ["secret"] => Ok(Self::Secret),
            ["host"] => Ok(Self::Host),
            // Its fields are written beside it, and come in with `with_fields`.
            ["record"] => Ok(Self::Record(Arc::default())),
            ["list", ref rest @ ..] => inner(rest).map(Self::List),
            ["map", ref rest @ ..] => inner(rest).map(Self::Map),
            _ => Err(unknown_type(text)),
        }
    }

    /// The type with the fields of the record in it; `None` where there is none in it.
    pub(super) fn with_fields(&self, record: &Arc<Record>) -> Option<Self> {
        match self {
            Self::Record(_) => Some(Self::Record(Arc::clone(record))),
            Self::List(of) => of.with_fields(record).map(Box::new).map(Self::List),
            Self::Map(of) => of.with_fields(record).map(Box::new).map(Self::Map),
            Self::String
            | Self::Integer
            | Self::Float
            | Self::Bool
            | Self::Port
            | Self::Path
            | Self::Duration
            | Self::Size
            | Self::Cidr
            | Self::Url
            | Self::Secret
            | Self::Host => None,
        }
    }

    /// The type of the single values in it: bounds, patterns and lists of values judge each item of a list or map.
    pub(super) fn item(&self) -> &Self {
        match self {
            Self::List(of) | Self::Map(of) => of.item(),
            other => other,
        }
    }

    /// Whether `min` and `max` mean something.
    pub(super) fn is_ordered(&self) -> bool {
        match self.item() {
            Self::Integer | Self::Float | Self::Port | Self::Duration | Self::Size => true,
            Self::String
            | Self::Bool
            | Self::Path
            | Self::Cidr
            | Self::Url
            | Self::Secret
            | Self::Host
            | Self::Record(_)
            | Self::List(_)
            | Self::Map(_) => false,
        }
    }

    /// Whether a `pattern` means something.
    pub(super) fn is_text(&self) -> bool {
        match self.item() {
            Self::String | Self::Path | Self::Url | Self::Secret | Self::Host | Self::Cidr => true,
            Self::Integer
            | Self::Float
            | Self::Bool
            | Self::Port
            | Self::Duration
            | Self::Size
            | Self::Record(_)
            | Self::List(_)
            | Self::Map(_) => false,
        }
    }
}

fn unknown_type(text: &str) -> Problem {
    let problem = Problem::invalid(format!("`{}` is not a type of option", shown(text)));
    let meant = match text {
        "int" | "number" => Some("integer"),
        "str" | "text" | "enum" => Some("string"),
        "boolean" => Some("bool"),
        "array" => Some("list"),
        "table" | "dict" => Some("map"),
        "struct" | "object" | "submodule" => Some("record"),
        "bytes" | "memory" => Some("size"),
        "network" | "subnet" => Some("cidr"),
        "uri" => Some("url"),
        "password" | "token" => Some("secret"),
        "time" | "timeout" => Some("duration"),
        _ => None,
    };
    let help = meant.map(|meant| format!("did you mean `{meant}`?"));
    let help = help.or_else(|| did_you_mean(text, NAMES.iter().copied()));
    problem.help(help.unwrap_or_else(|| format!("the types are {}, \"list of …\" and \"map of …\"", listed(NAMES))))
}

impl Scalar for OptionType {
    const NOUN: &'static str = "a type such as \"integer\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        Self::parse(text, 0)
    }
}

impl fmt::Display for OptionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Integer => f.write_str("integer"),
            Self::Float => f.write_str("float"),
            Self::Bool => f.write_str("bool"),
            Self::Port => f.write_str("port"),
            Self::Path => f.write_str("path"),
            Self::Duration => f.write_str("duration"),
            Self::Size => f.write_str("size"),
            Self::Cidr => f.write_str("cidr"),
            Self::Url => f.write_str("url"),
            Self::Secret => f.write_str("secret"),
            Self::Host => f.write_str("host"),
            Self::Record(_) => f.write_str("record"),
            Self::List(of) => write!(f, "list of {of}"),
            Self::Map(of) => write!(f, "map of {of}"),
        }
    }
}
