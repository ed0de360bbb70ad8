//! Values in their canonical layout: single ones as they are written, lists and inline tables on one line or broken.

use toml_parser::lexer::TokenKind;

use super::{Row, Tokens, WIDTH, joined};

/// A value, as far as its layout goes.
pub(super) enum Value<'a> {
    /// A single value, as it is written.
    Single(&'a str),
    /// A list.
    List(Body<'a>),
    /// An inline table.
    Table(Body<'a>),
}

/// What is between brackets.
pub(super) struct Body<'a> {
    parts: Vec<Part<'a>>,
    /// Whether a comma follows the last item.
    comma: bool,
    /// Whether a line ends in it, outside of its items.
    broken: bool,
}

enum Part<'a> {
    Blank,
    Comment(&'a str),
    Item {
        /// The key and its equals sign; nothing in a list.
        key: String,
        value: Value<'a>,
        comment: Option<&'a str>,
    },
}

impl<'a> Value<'a> {
    /// Reads the value that comes next; `ends` are what may follow it, beside the end of the line.
    pub(super) fn read(tokens: &mut Tokens<'a>, ends: &[TokenKind]) -> Self {
        if tokens.pass(TokenKind::LeftSquareBracket) {
            Self::List(Body::read(tokens, TokenKind::RightSquareBracket))
        } else if tokens.pass(TokenKind::LeftCurlyBracket) {
            Self::Table(Body::read(tokens, TokenKind::RightCurlyBracket))
        } else {
            Self::Single(tokens.written_until(ends))
        }
    }

    /// The value's text, behind `column` characters on its first line, which begins with `indent`.
    pub(super) fn text(&self, indent: &str, column: usize) -> String {
        match self {
            Self::Single(text) => (*text).to_owned(),
            Self::List(body) => {
                let line = body.line("[", "]", "", indent, column);
                // As a comma after the last item says in other formatters: one item to a line, however short.
                let broken = body.must_break() || body.comma || line.contains('\n') || too_long(&line, column);
                if broken && !body.parts.is_empty() {
                    body.lines("[", "]", indent)
                } else {
                    line
                }
            }
            Self::Table(body) => {
                let line = body.line("{", "}", " ", indent, column);
                // Older readers of TOML take an inline table on one line only, so none is broken that was not.
                if body.must_break() || (body.broken && too_long(&line, column)) {
                    body.lines("{", "}", indent)
                } else {
                    line
                }
            }
        }
    }
}

fn too_long(line: &str, column: usize) -> bool {
    column + line.lines().next().unwrap_or_default().chars().count() > WIDTH
}

impl<'a> Body<'a> {
    fn read(tokens: &mut Tokens<'a>, end: TokenKind) -> Self {
        let mut body = Self {
            parts: Vec::new(),
            comma: false,
            broken: false,
        };
        // Whether a comment would stand behind the last item.
        let mut behind_item = false;
        while let Some(kind) = tokens.peek() {
            if tokens.pass(end) {
                break;
            }
            match kind {
                TokenKind::Newline => {
                    body.broken = true;
                    behind_item = false;
                    tokens.next += 1;
                    if tokens.pass(TokenKind::Newline) {
                        while tokens.pass(TokenKind::Newline) {}
                        if matches!(body.parts.last(), Some(Part::Item { .. } | Part::Comment(_))) {
                            body.parts.push(Part::Blank);
                        }
                    }
                }
                TokenKind::Comment => {
                    let text = tokens.comment().unwrap_or_default();
                    match body.parts.last_mut() {
                        Some(Part::Item { comment, .. }) if behind_item && comment.is_none() => *comment = Some(text),
                        _ => body.parts.push(Part::Comment(text)),
                    }
                }
                TokenKind::Comma => {
                    tokens.next += 1;
                    body.comma = true;
                    // A comma on a line of its own may have a comment as well; it goes to its item, if that has none.
                    behind_item = matches!(body.parts.last(), Some(Part::Item { .. }));
                }
                _ => {
                    let key = if end == TokenKind::RightCurlyBracket {
                        let key = tokens.joined_until(&[TokenKind::Equals]);
                        tokens.pass(TokenKind::Equals);
                        key + " = "
                    } else {
                        String::new()
                    };
                    // A value may not follow its equals sign on the next line, nor may anything else go on for ever.
                    let before = tokens.next;
                    let value = Value::read(tokens, &[TokenKind::Comma, end]);
                    if tokens.next == before {
                        tokens.next += 1;
                    }
                    let comment = None;
                    body.parts.push(Part::Item { key, value, comment });
                    body.comma = false;
                    behind_item = true;
                }
            }
        }
        while matches!(body.parts.last(), Some(Part::Blank)) {
            body.parts.pop();
        }
        body
    }

    /// Whether it cannot be on one line: it has a comment in it.
    fn must_break(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Blank => false,
            Part::Comment(_) => true,
            Part::Item { comment, .. } => comment.is_some(),
        })
    }

    /// All items behind each other.
    fn line(&self, open: &str, close: &str, pad: &str, indent: &str, column: usize) -> String {
        let mut items = Vec::new();
        for part in &self.parts {
            if let Part::Item { key, value, .. } = part {
                let column = column + open.len() + pad.len() + key.chars().count();
                items.push(format!("{key}{}", value.text(indent, column)));
            }
        }
        if items.is_empty() {
            return format!("{open}{close}");
        }
        format!("{open}{pad}{}{pad}{close}", items.join(", "))
    }

    /// Each item on a line of its own.
    fn lines(&self, open: &str, close: &str, indent: &str) -> String {
        let inner = format!("{indent}    ");
        let row = |text: String, comment: Option<&str>| Row {
            text,
            comment: comment.map(str::to_owned),
            header: false,
        };
        let rows: Vec<_> = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Blank => row(String::new(), None),
                Part::Comment(text) => row(format!("{inner}{text}"), None),
                Part::Item { key, value, comment } => {
                    let start = format!("{inner}{key}");
                    let text = value.text(&inner, start.chars().count());
                    row(format!("{start}{text},"), *comment)
                }
            })
            .collect();
        format!("{open}\n{}{indent}{close}", joined(&rows))
    }
}
