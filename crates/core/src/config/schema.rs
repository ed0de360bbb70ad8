//! What the fields of resources' tables take, and what names may be: files are checked, and documented, by it. Which fields
//! there are is in [`super::fields`] and [`super::shorthand`]; no default is applied here.

use crate::model::{AbsPath, Kind, Millis, Mode, OnChange, OnRemoval, QuestionType, ResourceId, UnitName};

use super::answer::{Answer, Question};
use super::fields::fields_of;
use super::network::{Interface, Network, PortRange};
use super::scalar::{Port, Problem, Scalar, SwapPriority, is_template};
use super::size::Size;
use super::sort::Sort;
use super::source::Span;
use super::tree::{Node, Value};
use super::word::{
    BlockName, HttpUrl, Label, LocalPath, NewUserName, OwnerName, PackageName, PlainName, PublicKey, SecretName,
    SysctlKey, TcpAddress, UserName,
};

/// A field of a resource's table.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// What it is for, in a line.
    pub doc: &'static str,
}

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is the type of the same name, or a list or table of it"
)]
pub enum Shape {
    Text,
    Bool,
    Uint,
    Status,
    Port,
    Path,
    Mode,
    Duration,
    Size,
    SwapPriority,
    OnChange,
    OnRemoval,
    Unit,
    User,
    Owner,
    Url,
    Address,
    LocalPath,
    /// A text or an integer.
    TextOrInteger,
    /// A list of texts.
    Texts,
    /// A list of texts that is not empty: a program and its arguments.
    Arguments,
    Users,
    Units,
    PublicKeys,
    Interface,
    /// A list of ports and ranges of them.
    PortRanges,
    /// A list of addresses and networks.
    Networks,
    Ids,
    Package,
    QuestionType,
    /// A text, true or false, or a list of texts.
    Answer,
    /// A table of texts.
    TextTable,
    /// An expression of the template language, without braces.
    Expression,
    /// What a resource is repeated over: a list, a table, or an expression that gives one.
    Each,
}

/// The fields of the tables of a sort.
#[must_use]
pub const fn fields(sort: Sort) -> &'static [Field] {
    match sort {
        Sort::Kind(kind) => fields_of(kind),
        Sort::Shorthand(shorthand) => shorthand.fields(),
    }
}

/// The field that `NAME = value` gives where a table would say `[KIND.NAME] field = value`.
#[must_use]
pub const fn short_form(sort: Sort) -> Option<&'static str> {
    let kind = match sort {
        Sort::Kind(kind) => kind,
        Sort::Shorthand(shorthand) => return shorthand.short_form(),
    };
    match kind {
        Kind::Package => Some("version"),
        Kind::Sysctl => Some("value"),
        Kind::Hold | Kind::Linger | Kind::KernelModule => Some("on"),
        Kind::File
        | Kind::Block
        | Kind::Debconf
        | Kind::Directory
        | Kind::Symlink
        | Kind::Swapfile
        | Kind::Archive
        | Kind::Npm
        | Kind::Git
        | Kind::Unit
        | Kind::Firewall
        | Kind::Secret
        | Kind::User
        | Kind::Group
        | Kind::Command
        | Kind::Probe => None,
    }
}

/// Checks a resource's name, as it stands after rendering.
///
/// # Errors
/// [`Problem`] where the system would not take it.
pub fn check_name(sort: Sort, name: &str) -> Result<(), Problem> {
    let kind = match sort {
        Sort::Kind(kind) => kind,
        Sort::Shorthand(shorthand) => return shorthand.check_name(name),
    };
    match kind {
        Kind::File | Kind::Directory | Kind::Symlink | Kind::Archive | Kind::Npm | Kind::Git | Kind::Swapfile => {
            AbsPath::from_text(name).map(drop)
        }
        Kind::Block => BlockName::from_text(name).map(drop),
        Kind::Debconf => Question::from_text(name).map(drop),
        Kind::Package | Kind::Hold => PackageName::from_text(name).map(drop),
        Kind::Linger => UserName::from_text(name).map(drop),
        Kind::KernelModule => PlainName::from_text(name).map(drop),
        Kind::Sysctl => SysctlKey::from_text(name).map(drop),
        // It is not written: there is one.
        Kind::Firewall => Ok(()),
        Kind::Secret => SecretName::from_text(name).map(drop),
        Kind::Unit => UnitName::from_text(name).map(drop),
        Kind::User | Kind::Group => NewUserName::from_text(name).map(drop),
        Kind::Command | Kind::Probe => Label::from_text(name).map(drop),
    }
}

impl Shape {
    /// Checks a value as far as it can be without rendering it, and says what is wrong where.
    pub fn check(self, node: &Node, found: &mut Vec<(Span, Problem)>) {
        let problem = match self {
            Self::Text => literal::<String>(node),
            Self::Bool => literal::<bool>(node),
            Self::Uint => literal::<u32>(node),
            Self::Status => literal::<u16>(node),
            Self::Port => literal::<Port>(node),
            Self::Path => literal::<AbsPath>(node),
            Self::Mode => literal::<Mode>(node),
            Self::Duration => literal::<Millis>(node),
            Self::Size => literal::<Size>(node),
            Self::SwapPriority => literal::<SwapPriority>(node),
            Self::OnChange => literal::<OnChange>(node),
            Self::OnRemoval => literal::<OnRemoval>(node),
            Self::Unit => literal::<UnitName>(node),
            Self::User => literal::<UserName>(node),
            Self::Owner => literal::<OwnerName>(node),
            Self::Url => literal::<HttpUrl>(node),
            Self::Address => literal::<TcpAddress>(node),
            Self::LocalPath => literal::<LocalPath>(node),
            Self::TextOrInteger => match &node.value {
                Value::String(_) | Value::Integer(_) => None,
                Value::Bool(truth) => {
                    let problem = Problem::wrong_type("a text or an integer", &node.value);
                    Some(problem.help(format!("the kernel knows no booleans: write {}", u8::from(*truth))))
                }
                other => Some(Problem::wrong_type("a text or an integer", other)),
            },
            Self::Texts => items::<String>(node, found),
            Self::Users => items::<UserName>(node, found),
            Self::Units => items::<UnitName>(node, found),
            Self::PublicKeys => items::<PublicKey>(node, found),
            Self::Interface => literal::<Interface>(node),
            Self::PortRanges => items::<PortRange>(node, found),
            Self::Networks => items::<Network>(node, found),
            Self::Ids => items::<ResourceId>(node, found),
            Self::Package => literal::<PackageName>(node),
            Self::QuestionType => literal::<QuestionType>(node),
            Self::Answer => literal::<Answer>(node),
            Self::Arguments => match &node.value {
                Value::Array(list) if list.is_empty() => {
                    Some(Problem::invalid("a program is wanted here, and this list is empty"))
                }
                Value::String(text) if !is_template(text) => {
                    let words: Vec<_> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
                    let problem = Problem::wrong_type("a list of arguments", &node.value);
                    Some(problem.help(format!("no shell reads it; write [{}]", words.join(", "))))
                }
                _ => items::<String>(node, found),
            },
            Self::TextTable => match &node.value {
                Value::Table(table) => {
                    let values = table.entries.iter().map(|entry| &entry.node);
                    found.extend(values.filter_map(|value| Some((value.span, literal::<String>(value)?))));
                    None
                }
                other => Some(Problem::wrong_type("a table of texts", other)),
            },
            Self::Expression => expression(node),
            Self::Each => match &node.value {
                Value::Array(_) | Value::Table(_) => None,
                Value::String(_) => expression(node),
                other => Some(Problem::wrong_type("a list, a table or an expression", other)),
            },
        };
        found.extend(problem.map(|problem| (node.span, problem)));
    }
}

/// A text with a template in it is judged once it is rendered.
fn literal<T: Scalar>(node: &Node) -> Option<Problem> {
    match &node.value {
        Value::String(text) if is_template(text) => None,
        value => T::from_value(value).err(),
    }
}

/// An expression stands without braces; a condition may be a plain `true` or `false`.
fn expression(node: &Node) -> Option<Problem> {
    match &node.value {
        Value::Bool(_) => None,
        Value::String(text) if is_template(text) => {
            let problem = Problem::invalid("an expression stands here, and needs no braces");
            let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
            Some(match inner.filter(|inner| !is_template(inner)) {
                Some(inner) => problem.help(format!("write \"{}\"", inner.trim())),
                None => problem.help("write it as in \"port > 1024 and 'bot' in host.tags\""),
            })
        }
        Value::String(_) => None,
        other => Some(Problem::wrong_type("an expression in quotes", other)),
    }
}

fn items<T: Scalar>(node: &Node, found: &mut Vec<(Span, Problem)>) -> Option<Problem> {
    match &node.value {
        Value::Array(list) => {
            found.extend(list.iter().filter_map(|item| Some((item.span, literal::<T>(item)?))));
            None
        }
        Value::String(text) if is_template(text) => None,
        Value::String(text) => {
            let problem = Problem::wrong_type("a list", &node.value);
            Some(problem.help(format!("write it in brackets: [{text:?}]")))
        }
        other => Some(Problem::wrong_type("a list", other)),
    }
}
