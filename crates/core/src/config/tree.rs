//! A TOML document as a tree in which every key and value knows its place. It gives no meaning to any of it.

use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::diagnostic::Diagnostic;
use super::source::{MAX_SOURCE_BYTES, SourceId, SourceMap, Span, Spanned};

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it is written. A table in brackets is where its header is.
    pub span: Span,
}

/// A TOML value. Dates and times have no use here and are refused.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text, with escapes resolved.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    Array(Vec<Node>),
    /// A table.
    Table(Table),
}

/// A table's entries, in the order of their keys' places.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Spanned<String>,
    /// The value.
    pub node: Node,
}

impl Table {
    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }
}

impl Value {
    /// What it is, with its article.
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::String(_) => "a text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads a source. Where the text is not TOML, what could still be read comes back beside the errors.
pub(super) fn parse(path: &str, bytes: &[u8], sources: &mut SourceMap, found: &mut Vec<Diagnostic>) -> Table {
    if bytes.len() > MAX_SOURCE_BYTES {
        let source = sources.add(path, "");
        let message = format!("`{path}` is larger than {} MiB", MAX_SOURCE_BYTES / 1024 / 1024);
        let help = "put long contents into a file below `files/`, and name it with `file = \"…\"`";
        found.push(Diagnostic::error(Code::NotText, message, Span::new(source, 0..0), "").help(help));
        return Table::default();
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default()).len();
            let source = sources.add(path, String::from_utf8_lossy(bytes).into_owned());
            let message = format!("`{path}` is not UTF-8 text");
            let label = format!("byte 0x{:02x} here", bytes.get(error.valid_up_to()).unwrap_or(&0));
            found.push(Diagnostic::error(
                Code::NotText,
                message,
                Span::new(source, at..at + 3),
                label,
            ));
            return Table::default();
        }
    };
    let source = sources.add(path, text);
    let (document, mut errors) = DeTable::parse_recoverable(text);
    // What the parser finds when it decodes a value comes after all that breaks the grammar.
    errors.sort_by_key(|error| error.span().map_or(text.len(), |span| span.start));
    // Only the first finding of a line is worth reading, and none after an open bracket, which swallows what follows it.
    let mut last_line = None;
    for error in errors {
        let range = whole_characters(text, error.span().unwrap_or(text.len()..text.len()));
        let line = sources.position(source, Span::new(source, range.clone()).start).0;
        if last_line.replace(line) == Some(line) {
            continue;
        }
        let label = if range.start >= text.trim_end().len() {
            "the file ends here"
        } else {
            ""
        };
        let message = format!("this is not TOML: {}", error.message());
        found.push(Diagnostic::error(
            Code::Syntax,
            message,
            Span::new(source, range),
            label,
        ));
        if error.message().contains("array") || error.message().contains("inline table") {
            break;
        }
    }
    table(document.get_ref(), source, found)
}

fn table(table: &DeTable<'_>, source: SourceId, found: &mut Vec<Diagnostic>) -> Table {
    let mut entries: Vec<Entry> = table
        .iter()
        .filter_map(|(key, value)| {
            let span = Span::new(source, key.span());
            let value_span = Span::new(source, value.span());
            Some(Entry {
                key: Spanned::new(key.get_ref().to_string(), span),
                node: node(value.get_ref(), value_span, found)?,
            })
        })
        .collect();
    entries.sort_by_key(|entry| entry.key.span);
    Table { entries }
}

/// A range that cuts no character: the parser counts bytes, and may stop in the midst of one.
fn whole_characters(text: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let end = range.end.clamp(range.start, text.len().max(range.start));
    let start = (0..=range.start.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    let end = (end..=text.len()).find(|at| text.is_char_boundary(*at));
    start.unwrap_or(0)..end.unwrap_or(text.len())
}

/// `None` for what is refused, once the finding is recorded.
fn node(value: &DeValue<'_>, span: Span, found: &mut Vec<Diagnostic>) -> Option<Node> {
    let value = match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                let message = "this number does not fit into 64 bits";
                found.push(Diagnostic::error(Code::InvalidValue, message, span, "too large"));
                return None;
            }
        },
        DeValue::Float(digits) => match digits.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => {
                let message = "this is not a number";
                found.push(Diagnostic::error(Code::InvalidValue, message, span, "not a number"));
                return None;
            }
        },
        DeValue::Datetime(_) => {
            let message = "dates and times have no use in a configuration";
            let finding = Diagnostic::error(Code::WrongType, message, span, "a date or time");
            found.push(finding.help("put it in quotes if a text is meant"));
            return None;
        }
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .filter_map(|item| node(item.get_ref(), Span::new(span.source, item.span()), found))
                .collect(),
        ),
        DeValue::Table(entries) => Value::Table(table(entries, span.source, found)),
    };
    Some(Node { value, span })
}

/// The place in the source of a part of a text: `range` counts in the text with escapes resolved,
/// and `raw` is the text as it is written, with its quotes, at `span`.
#[must_use]
pub(crate) fn place_in_text(span: Span, raw: &str, range: std::ops::Range<usize>) -> Span {
    let start = raw_offset(raw, range.start);
    let end = raw_offset(raw, range.end).max(start);
    let base = span.start as usize;
    Span::new(span.source, base + start..base + end)
}

/// How far into `raw` the byte `wanted` of the resolved text lies.
fn raw_offset(raw: &str, wanted: usize) -> usize {
    let triple = raw.starts_with("\"\"\"") || raw.starts_with("'''");
    let literal = raw.starts_with('\'');
    let mut at = match raw.as_bytes().first() {
        Some(b'"' | b'\'') if triple => 3,
        Some(b'"' | b'\'') => 1,
        // Without quotes it is no text of TOML's, and what the parser made of it for a guess.
        _ => return whole_characters(raw, 0..wanted).end,
    };
    if triple {
        // A line feed straight after the opening quotes is not part of the text.
        let rest = raw.get(at..).unwrap_or("");
        at += ["\r\n", "\n"]
            .iter()
            .find(|end| rest.starts_with(**end))
            .map_or(0, |end| end.len());
    }
    let mut resolved = 0;
    while resolved < wanted {
        let rest = raw.get(at..).unwrap_or("");
        let Some(first) = rest.chars().next() else {
            return raw.len();
        };
        if first != '\\' || literal {
            resolved += first.len_utf8();
            at += first.len_utf8();
            continue;
        }
        let escape = rest.chars().nth(1).unwrap_or('\\');
        let digits = match escape {
            'u' => 4,
            'U' => 8,
            'x' => 2,
            _ => 0,
        };
        if digits > 0 {
            let code = rest
                .get(2..2 + digits)
                .and_then(|hex| u32::from_str_radix(hex, 16).ok());
            resolved += code.and_then(char::from_u32).map_or(1, char::len_utf8);
            at += 2 + digits;
        } else if escape.is_whitespace() {
            // A backslash at the end of a line swallows all white space up to the next character.
            at += 1 + rest.get(1..).map_or(0, |rest| rest.len() - rest.trim_start().len());
        } else {
            resolved += 1;
            at += 1 + escape.len_utf8();
        }
    }
    at.min(raw.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_inside_a_text_is_found_behind_escapes_and_quotes() {
        for raw in [
            r#""a {{ x }}""#,
            r#"'a {{ x }}'"#,
            "\"\"\"\na {{ x }}\"\"\"",
            "'''\na {{ x }}'''",
            r#""\t\u00e9 {{ x }}""#,
            "\"\"\"\na \\\n   b {{ x }}\"\"\"",
        ] {
            let mut sources = SourceMap::default();
            let mut found = Vec::new();
            let text = format!("key = {raw}\n");
            let tree = parse("a.toml", text.as_bytes(), &mut sources, &mut found);
            assert!(found.is_empty(), "{raw}");
            let entry = tree.get("key").unwrap();
            let Value::String(resolved) = &entry.node.value else {
                panic!("{raw}")
            };
            let at = resolved.find('x').unwrap();
            let span = place_in_text(entry.node.span, sources.slice(entry.node.span), at..at + 1);
            assert_eq!(sources.slice(span), "x", "{raw}");
        }
    }

    #[test]
    fn several_syntax_errors_are_found_in_one_pass() {
        let mut found = Vec::new();
        parse(
            "a.toml",
            b"a = \nb = 1\nc = \"x\n",
            &mut SourceMap::default(),
            &mut found,
        );
        assert!(found.len() >= 2, "{found:?}");
    }
}
