//! Single values as places demand them: each type reads a TOML value, or the text that a template rendered to.
//! It renders nothing and knows no file.

use crate::model::{AbsPath, HostName, InvalidPath, Millis, Mode, OnChange, OnRemoval, ResourceId, UnitName};

use super::code::Code;
use super::tree::Value;

/// Why a value cannot stand where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which kind of finding it makes.
    pub code: Code,
    /// What is wrong, in a line.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    /// A value of the right type that the place cannot take.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            code: Code::InvalidValue,
            message: message.into(),
            help: None,
        }
    }

    /// A value of another type than the place wants.
    pub fn wrong_type(wanted: &str, found: &Value) -> Self {
        Self {
            code: Code::WrongType,
            message: format!("{wanted} is wanted here, and this is {}", found.noun()),
            help: None,
        }
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Whether a text has anything in it for the template language to do.
#[must_use]
pub(crate) fn is_template(text: &str) -> bool {
    text.as_bytes()
        .windows(2)
        .any(|pair| matches!(pair, b"{{" | b"{%" | b"{#"))
}

/// A single value of some type.
pub(crate) trait Scalar: Sized {
    /// The type with its article, such as "an integer".
    const NOUN: &'static str;

    /// Reads a text: what a template rendered to, or what is written in quotes.
    ///
    /// # Errors
    /// [`Problem`] where the text is none of this type.
    fn from_text(text: &str) -> Result<Self, Problem>;

    /// Reads a TOML value that has no template in it.
    ///
    /// # Errors
    /// [`Problem`] where the value is none of this type.
    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => Self::from_text(text),
            other => Err(quotes(Problem::wrong_type(Self::NOUN, other), other)),
        }
    }
}

/// Helps where only the quotes are missing.
fn quotes(problem: Problem, value: &Value) -> Problem {
    match value {
        Value::Integer(number) => problem.help(format!("write it in quotes: \"{number}\"")),
        Value::Float(number) => problem.help(format!("write it in quotes: \"{number}\"")),
        Value::Bool(truth) => problem.help(format!("write it in quotes: \"{truth}\"")),
        Value::String(_) | Value::Array(_) | Value::Table(_) => problem,
    }
}

impl Scalar for String {
    const NOUN: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, Problem> {
        Ok(text.to_owned())
    }
}

impl Scalar for bool {
    const NOUN: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, Problem> {
        match text.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(Problem::invalid(format!("`{}` is not true or false", shown(other)))),
        }
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Bool(truth) => Ok(*truth),
            Value::String(text) => {
                let problem = Problem::wrong_type(Self::NOUN, value);
                Err(match text.to_lowercase().as_str() {
                    "true" | "yes" | "on" => problem.help("write true, without quotes"),
                    "false" | "no" | "off" => problem.help("write false, without quotes"),
                    _ => problem,
                })
            }
            other => Err(Problem::wrong_type(Self::NOUN, other)),
        }
    }
}

impl Scalar for i64 {
    const NOUN: &'static str = "an integer";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let digits = text.trim();
        digits
            .parse()
            .map_err(|_| Problem::invalid(format!("`{}` is not an integer", shown(digits))))
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Integer(number) => Ok(*number),
            Value::String(text) => {
                let problem = Problem::wrong_type(Self::NOUN, value);
                Err(match Self::from_text(text) {
                    Ok(number) => problem.help(format!("write it without quotes: {number}")),
                    Err(_) => problem,
                })
            }
            other => Err(Problem::wrong_type(Self::NOUN, other)),
        }
    }
}

impl Scalar for f64 {
    const NOUN: &'static str = "a number";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let digits = text.trim();
        digits
            .parse()
            .ok()
            .filter(|number: &Self| number.is_finite())
            .ok_or_else(|| Problem::invalid(format!("`{}` is not a number", shown(digits))))
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Float(number) if number.is_finite() => Ok(*number),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a whole number in a place for a float means its nearest float"
            )]
            Value::Integer(number) => Ok(*number as Self),
            other => Err(Problem::wrong_type(Self::NOUN, other)),
        }
    }
}

/// Integers with the bounds of a smaller type.
macro_rules! bounded {
    ($($type:ty, $noun:literal;)*) => {$(
        impl Scalar for $type {
            const NOUN: &'static str = $noun;

            fn from_text(text: &str) -> Result<Self, Problem> {
                within(i64::from_text(text)?)
            }

            fn from_value(value: &Value) -> Result<Self, Problem> {
                within(i64::from_value(value)?)
            }
        }
    )*};
}

bounded! {
    u16, "an integer from 0 to 65535";
    u32, "an integer from 0 to 4294967295";
}

fn within<T: TryFrom<i64> + Scalar>(number: i64) -> Result<T, Problem> {
    T::try_from(number).map_err(|_| Problem::invalid(format!("{number} is not {}", T::NOUN)))
}

/// A TCP or UDP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port(pub u16);

impl TryFrom<i64> for Port {
    type Error = ();

    fn try_from(number: i64) -> Result<Self, ()> {
        u16::try_from(number).ok().filter(|port| *port > 0).map(Self).ok_or(())
    }
}

/// Which swap space is used first, 0 to 32767 (swapon(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SwapPriority(pub u16);

impl TryFrom<i64> for SwapPriority {
    type Error = ();

    fn try_from(number: i64) -> Result<Self, ()> {
        let priority = u16::try_from(number).ok();
        priority.filter(|priority| *priority < 1 << 15).map(Self).ok_or(())
    }
}

bounded! {
    SwapPriority, "a priority of swap space, an integer from 0 to 32767; the highest is used first, and leaving it out comes after all";
    Port, "a port from 1 to 65535";
}

impl Scalar for AbsPath {
    const NOUN: &'static str = "an absolute path";

    fn from_text(text: &str) -> Result<Self, Problem> {
        Self::new(text).map_err(|error| {
            let problem = Problem::invalid(format!("`{}` cannot be a path here: {error}", shown(text)));
            match normal(text) {
                Some(path) if matches!(error, InvalidPath::NotNormal | InvalidPath::NotAbsolute) => {
                    problem.help(format!("write \"{path}\""))
                }
                _ => problem,
            }
        })
    }
}

/// The path that was probably meant; `None` where that is not plain.
fn normal(text: &str) -> Option<AbsPath> {
    if text.is_empty() || text.starts_with(['~', '.', '$', '{']) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    AbsPath::new(format!("/{}", parts.join("/"))).ok()
}

impl Scalar for HostName {
    const NOUN: &'static str = "a host's name";

    fn from_text(text: &str) -> Result<Self, Problem> {
        Self::new(text).map_err(|rule| Problem::invalid(format!("`{}` is no host: {rule}", shown(text))))
    }
}

impl Scalar for Mode {
    const NOUN: &'static str = "a mode such as \"0644\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let problem = |_| {
            Problem::invalid(format!(
                "`{}` is not a mode: {}",
                shown(text),
                crate::model::InvalidMode
            ))
        };
        text.trim().parse().map_err(problem)
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => Self::from_text(text),
            // `mode = 644` and `mode = 0o644` are both common; only the digits tell which was written.
            Value::Integer(number) => {
                let digits = number.to_string();
                let octal = format!("{number:o}");
                let meant = [&digits, &octal].into_iter().find(|text| text.parse::<Self>().is_ok());
                let meant: String = meant.map_or_else(|| "0644".to_owned(), |text| format!("{text:0>4}"));
                Err(Problem::wrong_type(Self::NOUN, value).help(format!("write \"{meant}\"")))
            }
            other => Err(Problem::wrong_type(Self::NOUN, other)),
        }
    }
}

/// The longest duration that means anything: a year.
const MAX_MILLIS: u64 = 365 * 24 * 3600 * 1000;

impl Scalar for Millis {
    const NOUN: &'static str = "a duration such as \"30s\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let factor = match unit.trim() {
            "ms" => Some(1),
            "s" | "sec" => Some(1000),
            "min" | "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(24 * 3_600_000),
            _ => None,
        };
        let count = digits.parse::<u64>().ok();
        count
            .zip(factor)
            .and_then(|(count, factor)| count.checked_mul(factor))
            .filter(|millis| *millis <= MAX_MILLIS)
            .map(Self)
            .ok_or_else(|| {
                let message = format!("`{}` is not a duration of at most a year", shown(text));
                Problem::invalid(message)
                    .help("write a whole number and a unit: \"500ms\", \"30s\", \"10min\", \"2h\", \"7d\"")
            })
    }

    fn from_value(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => Self::from_text(text),
            Value::Integer(number) => {
                let problem = Problem::wrong_type(Self::NOUN, value);
                Err(problem.help(format!(
                    "name the unit: \"{number}s\" for seconds, \"{number}min\" for minutes"
                )))
            }
            other => Err(Problem::wrong_type(Self::NOUN, other)),
        }
    }
}

impl Scalar for UnitName {
    const NOUN: &'static str = "a systemd unit's name";

    fn from_text(text: &str) -> Result<Self, Problem> {
        Self::new(text).map_err(|error| {
            let problem = Problem::invalid(format!("`{}` is not a unit: {error}", shown(text)));
            match Self::new(format!("{text}.service")) {
                Ok(name) => problem.help(format!("write \"{name}\"")),
                Err(_) => problem,
            }
        })
    }
}

impl Scalar for ResourceId {
    const NOUN: &'static str = "a resource such as \"file:/etc/motd\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|error| {
            let problem = Problem::invalid(format!("`{}` does not name a resource: {error}", shown(text)));
            let kinds = crate::model::Kind::ALL.map(crate::model::Kind::name).join(", ");
            let meant = if text.starts_with('/') {
                format!("write \"file:{text}\"")
            } else if UnitName::new(text).is_ok() {
                format!("write \"unit:{text}\"")
            } else {
                format!("the kinds are {kinds}")
            };
            problem.help(meant)
        })
    }
}

/// What a unit does when something it uses changes, in the words of the configuration.
pub(super) const ON_CHANGE: &[&str] = &["restart", "reload", "nothing"];

impl Scalar for OnChange {
    const NOUN: &'static str = "\"restart\", \"reload\" or \"nothing\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        match text {
            "restart" => Ok(Self::Restart),
            "reload" => Ok(Self::Reload),
            "nothing" => Ok(Self::Nothing),
            other => Err(one_of(other, ON_CHANGE)),
        }
    }
}

impl Scalar for OnRemoval {
    const NOUN: &'static str = "\"restore\", \"remove\" or \"keep\"";

    fn from_text(text: &str) -> Result<Self, Problem> {
        let choice = Self::ALL.into_iter().find(|choice| choice.word() == text);
        choice.ok_or_else(|| one_of(text, &Self::ALL.map(Self::word)))
    }
}

/// A text that is none of the possible ones.
#[must_use]
pub(super) fn one_of(text: &str, possible: &[&str]) -> Problem {
    let list: Vec<_> = possible.iter().map(|value| format!("\"{value}\"")).collect();
    let problem = Problem::invalid(format!("`{}` is none of {}", shown(text), list.join(", ")));
    match super::diagnostic::did_you_mean(text, possible.iter().copied()) {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// A text as a message quotes it: one line, not too long.
#[must_use]
pub(crate) fn shown(text: &str) -> String {
    let escaped: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    let escaped = escaped.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(60).is_some() {
        escaped + "…"
    } else {
        escaped
    }
}
