//! TOML of this crate's own files, read so that every finding knows its place. It gives no meaning to keys.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// It is not TOML.
    Syntax,
    /// It is not UTF-8, or larger than any such file is.
    NotText,
    /// Nothing reads the key.
    UnknownKey,
    /// The value has the wrong type.
    WrongType,
    /// The value has the right type and cannot be.
    InvalidValue,
    /// A key has to be there.
    MissingKey,
}

/// A mistake at a place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of mistake it is.
    pub kind: FindingKind,
    /// What is wrong, in one line.
    pub message: String,
    /// The place, in bytes of the text.
    pub span: Range<usize>,
    /// A few words on what is there; may be empty.
    pub label: String,
    /// Why it matters.
    pub why: Option<String>,
    /// What to do, or to write instead.
    pub help: Option<String>,
}

/// The mistakes of one file, with its text to show them in. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The file, relative to the project's root.
    pub file: String,
    /// Its text.
    pub text: Arc<str>,
    /// What is wrong, in the order of places.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used", self.file)?;
        if let Some(first) = self.findings.first() {
            let before = self.text.get(..first.span.start).unwrap_or("");
            write!(f, ": line {}: {}", before.matches('\n').count() + 1, first.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

impl Finding {
    pub(crate) fn new(kind: FindingKind, message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            kind,
            message: message.into(),
            span,
            label: String::new(),
            why: None,
            help: None,
        }
    }

    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}

/// The largest file of ours, in bytes: some thousand secrets. A larger one is not ours.
pub(crate) const MAX_FILE_BYTES: usize = 64 << 20;

/// Reads a document: `read` takes what it knows out of the table and records what is wrong.
pub(crate) fn read<T>(
    file: &str,
    bytes: &[u8],
    read: impl FnOnce(&Table<'_>, &mut Vec<Finding>) -> T,
) -> Result<T, Findings> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let finding = Finding::new(FindingKind::NotText, format!("{file} is not UTF-8 text"), 0..0);
        let text = String::from_utf8_lossy(bytes).into();
        let (file, findings) = (file.to_owned(), vec![finding]);
        return Err(Findings { file, text, findings });
    };
    let mut found = Vec::new();
    let document = match DeTable::parse(text) {
        Ok(document) => {
            let table = Table {
                entries: document.get_ref(),
                span: 0..0,
                of: "the file".to_owned(),
            };
            Some(read(&table, &mut found))
        }
        Err(error) => {
            let at = error.span().unwrap_or(text.len()..text.len());
            let message = format!("this is not TOML: {}", error.message());
            found.push(Finding::new(FindingKind::Syntax, message, whole_characters(text, at)));
            None
        }
    };
    match document {
        Some(document) if found.is_empty() => Ok(document),
        _ => {
            found.sort_by_key(|finding| finding.span.start);
            Err(Findings {
                file: file.to_owned(),
                text: text.into(),
                findings: found,
            })
        }
    }
}

/// A range that cuts no character: the parser counts bytes.
fn whole_characters(text: &str, range: Range<usize>) -> Range<usize> {
    let boundary = |at: &usize| text.is_char_boundary(*at);
    let start = (0..=range.start.min(text.len())).rev().find(boundary).unwrap_or(0);
    let end = (range.end..=text.len()).find(boundary).unwrap_or(text.len());
    start..end.max(start)
}

/// A table, and where it is.
pub(crate) struct Table<'a> {
    entries: &'a DeTable<'a>,
    span: Range<usize>,
    /// Whose keys they are, such as `[aws]`.
    of: String,
}

/// A value and where it is.
pub(crate) type Place<T> = (T, Range<usize>);

impl<'a> Table<'a> {
    /// Where its header is.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Records every key that is not among the known ones.
    pub(crate) fn only(&self, known: &[&str], found: &mut Vec<Finding>) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let message = format!("{} has no key `{}`", self.of, name.escape_debug());
            let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            let help = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the keys are {}", names.join(", ")),
            };
            let finding = Finding::new(FindingKind::UnknownKey, message, key.span());
            found.push(finding.label("not known here").help(help));
        }
    }

    /// A text, if the key is there.
    pub(crate) fn text(&self, key: &str, found: &mut Vec<Finding>) -> Option<Place<String>> {
        let value = self.entries.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.to_string(), value.span())),
            other => {
                found.push(wrong_type("a text in quotes", other, value.span()));
                None
            }
        }
    }

    /// A whole number that is not negative, if the key is there.
    pub(crate) fn number(&self, key: &str, found: &mut Vec<Finding>) -> Option<Place<u32>> {
        let value = self.entries.get(key)?;
        match value.get_ref() {
            DeValue::Integer(digits) => match u32::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => Some((number, value.span())),
                Err(_) => {
                    let message = format!("`{key}` is a number from 0 to {}", u32::MAX);
                    found.push(Finding::new(FindingKind::InvalidValue, message, value.span()));
                    None
                }
            },
            other => {
                found.push(wrong_type("a whole number", other, value.span()));
                None
            }
        }
    }

    /// A list of texts, if the key is there.
    pub(crate) fn texts(&self, key: &str, found: &mut Vec<Finding>) -> Option<Vec<Place<String>>> {
        let value = self.entries.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            let finding = wrong_type("a list of texts", value.get_ref(), value.span());
            found.push(finding.help(format!("write {key} = [\"…\"]")));
            return None;
        };
        let texts = items.iter().filter_map(|item| match item.get_ref() {
            DeValue::String(text) => Some((text.to_string(), item.span())),
            other => {
                found.push(wrong_type("a text in quotes", other, item.span()));
                None
            }
        });
        Some(texts.collect())
    }

    /// A table, if the key is there.
    pub(crate) fn table(&self, key: &str, found: &mut Vec<Finding>) -> Option<Table<'a>> {
        let (name, value) = self.entries.get_key_value(key)?;
        table_of(name, value, format!("[{key}]"), found)
    }

    /// Every entry of a table of tables, with the place of its key.
    pub(crate) fn tables(&self, found: &mut Vec<Finding>) -> Vec<(Place<String>, Table<'a>)> {
        let mut tables = Vec::new();
        for (key, value) in self.entries {
            let of = format!("{}.{}", self.of.trim_end_matches(']'), key.get_ref().escape_debug());
            if let Some(table) = table_of(key, value, format!("{of}]"), found) {
                tables.push(((key.get_ref().to_string(), key.span()), table));
            }
        }
        tables
    }
}

fn table_of<'a>(
    key: &Spanned<std::borrow::Cow<'a, str>>,
    value: &'a Spanned<DeValue<'a>>,
    of: String,
    found: &mut Vec<Finding>,
) -> Option<Table<'a>> {
    match value.get_ref() {
        DeValue::Table(entries) => Some(Table {
            entries,
            span: key.span(),
            of,
        }),
        other => {
            found.push(wrong_type("a table", other, value.span()));
            None
        }
    }
}

fn wrong_type(wanted: &str, value: &DeValue<'_>, span: Range<usize>) -> Finding {
    let got = match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Finding::new(FindingKind::WrongType, format!("expected {wanted}, found {got}"), span)
}

/// The one of `names` that was most likely meant by `typed`.
pub(crate) fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A typing error changes few letters, and leaves most of a short word alone.
    let limit = (typed.chars().count() / 3).clamp(1, 3);
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(&typed.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= limit && !name.is_empty())
        .min()
        .map(|(_, name)| name)
}
