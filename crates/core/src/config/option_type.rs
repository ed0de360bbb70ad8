//! The types of options, and how they are written. Reading values of them is [`super::option`]'s.

use std::fmt;

use super::decode::listed;
use super::diagnostic::did_you_mean;
use super::scalar::{Problem, Scalar, shown};

/// The type of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// A list of values of one type.
    List(Box<Self>),
    /// A table of values of one type.
    Map(Box<Self>),
}

/// The types that stand for themselves; `list` and `map` may be followed by `of` and another one.
const NAMES: &[&str] = &[
    "string", "integer", "float", "bool", "port", "path", "duration", "list", "map",
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
            ["list", ref rest @ ..] => inner(rest).map(Self::List),
            ["map", ref rest @ ..] => inner(rest).map(Self::Map),
            _ => Err(unknown_type(text)),
        }
    }

    /// Whether `min` and `max` mean something.
    pub(super) const fn is_ordered(&self) -> bool {
        match self {
            Self::Integer | Self::Float | Self::Port | Self::Duration => true,
            Self::String | Self::Bool | Self::Path | Self::List(_) | Self::Map(_) => false,
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
            Self::List(of) => write!(f, "list of {of}"),
            Self::Map(of) => write!(f, "map of {of}"),
        }
    }
}
