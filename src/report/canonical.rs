//! A TOML text in its canonical layout: blanks, blank lines, line ends and where lists are broken. Keys, values and
//! comments are copied as they are written, in their order; what the text means it neither knows nor changes.

mod value;

use toml_parser::Source;
use toml_parser::lexer::{Token, TokenKind};

use self::value::Value;

/// The longest line into which a list is joined, in characters: that of most editors with two files side by side.
const WIDTH: usize = 100;

/// Why a text has no canonical layout.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// It is not TOML.
    #[error("it is not TOML")]
    Syntax(#[source] Box<toml::de::Error>),
    /// The layout would not mean the same. There is no text known for which this happens; it is checked all the same.
    #[error("its canonical layout would not mean the same, which is a mistake of this program")]
    Meaning,
}

/// The canonical layout of a text.
///
/// # Errors
/// [`LayoutError`]; then the text is to be left as it is.
pub fn canonical(text: &str) -> Result<String, LayoutError> {
    let before = read(text).map_err(|error| LayoutError::Syntax(Box::new(error)))?;
    let canonical = layout(text);
    let after = read(&canonical).map_err(|_| LayoutError::Meaning)?;
    // By their debug form, as NaN is like nothing else.
    let same = format!("{before:?}") == format!("{after:?}") && comments(text) == comments(&canonical);
    if same { Ok(canonical) } else { Err(LayoutError::Meaning) }
}

fn read(text: &str) -> Result<toml::Table, toml::de::Error> {
    toml::from_str(text)
}

fn comments(text: &str) -> Vec<&str> {
    let tokens = Tokens::of(text);
    let comments = tokens.all.iter().filter(|token| token.kind() == TokenKind::Comment);
    comments.map(|token| tokens.text(token).trim_end()).collect()
}

/// The tokens of a text but for blanks, and the place of the next one.
struct Tokens<'a> {
    text: &'a str,
    all: Vec<Token>,
    next: usize,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        let mut all = Source::new(text).lex().into_vec();
        all.retain(|token| !matches!(token.kind(), TokenKind::Whitespace | TokenKind::Eof));
        Self { text, all, next: 0 }
    }

    fn peek(&self) -> Option<TokenKind> {
        self.all.get(self.next).map(Token::kind)
    }

    fn text(&self, token: &Token) -> &'a str {
        let span = token.span();
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    /// The next token's text, which is passed.
    fn take(&mut self) -> &'a str {
        let token = self.all.get(self.next).copied();
        self.next += 1;
        token.map_or("", |token| self.text(&token))
    }

    /// Whether the next token is of that kind; if so, it is passed.
    fn pass(&mut self, kind: TokenKind) -> bool {
        let is = self.peek() == Some(kind);
        self.next += usize::from(is);
        is
    }

    /// The tokens up to one of those kinds or the end of the line, without blanks between them.
    fn joined_until(&mut self, ends: &[TokenKind]) -> String {
        let mut text = String::new();
        while let Some(kind) = self.peek()
            && !matches!(kind, TokenKind::Newline | TokenKind::Comment)
            && !ends.contains(&kind)
        {
            text += self.take();
        }
        text
    }

    /// The same as it is written, with the blanks between them: a date may have one.
    fn written_until(&mut self, ends: &[TokenKind]) -> &'a str {
        let first = self.next;
        let _ = self.joined_until(ends);
        let end = self.next.checked_sub(1).and_then(|last| self.all.get(last));
        match (self.all.get(first), end) {
            (Some(first), Some(last)) if self.next > 0 => {
                let text = self.text.get(first.span().start()..last.span().end());
                text.unwrap_or_default()
            }
            _ => "",
        }
    }

    /// A comment at the end of the line.
    fn comment(&mut self) -> Option<&'a str> {
        (self.peek() == Some(TokenKind::Comment)).then(|| self.take().trim_end())
    }
}

/// A line, or a value's lines, and the comment behind them.
struct Row {
    text: String,
    comment: Option<String>,
    header: bool,
}

impl Row {
    fn is_blank(&self) -> bool {
        self.text.is_empty() && self.comment.is_none()
    }

    /// Whether it has a comment and nothing else.
    fn is_comment(&self) -> bool {
        self.text.trim_start().starts_with('#')
    }
}

fn layout(text: &str) -> String {
    let mut tokens = Tokens::of(text);
    let mut rows: Vec<Row> = Vec::new();
    while let Some(kind) = tokens.peek() {
        match kind {
            TokenKind::Newline => {
                tokens.next += 1;
                // The first line end belongs to the line before it.
                if tokens.pass(TokenKind::Newline) || rows.is_empty() {
                    while tokens.pass(TokenKind::Newline) {}
                    blank(&mut rows);
                }
            }
            TokenKind::Comment => {
                let text = tokens.take().trim_end().to_owned();
                rows.push(Row {
                    text,
                    comment: None,
                    header: false,
                });
            }
            TokenKind::LeftSquareBracket => {
                let text = tokens.joined_until(&[]);
                before_header(&mut rows);
                rows.push(Row {
                    text,
                    comment: tokens.comment().map(str::to_owned),
                    header: true,
                });
            }
            _ => {
                let key = tokens.joined_until(&[TokenKind::Equals]);
                tokens.pass(TokenKind::Equals);
                let value = Value::read(&mut tokens, &[]);
                let start = format!("{key} = ");
                let text = value.text("", start.chars().count());
                rows.push(Row {
                    text: start + &text,
                    comment: tokens.comment().map(str::to_owned),
                    header: false,
                });
            }
        }
    }
    while rows.last().is_some_and(Row::is_blank) {
        rows.pop();
    }
    joined(&rows)
}

/// A blank line, where one is allowed: not at the beginning, not below another one or a header.
fn blank(rows: &mut Vec<Row>) {
    if rows.last().is_some_and(|last| !last.is_blank() && !last.header) {
        rows.push(Row {
            text: String::new(),
            comment: None,
            header: false,
        });
    }
}

/// A blank line before a header, or before the comments right above it.
fn before_header(rows: &mut Vec<Row>) {
    let comments = rows.iter().rev().take_while(|row| row.is_comment()).count();
    let mut above = rows.split_off(rows.len() - comments);
    if rows.last().is_some_and(|last| !last.is_blank()) {
        rows.push(Row {
            text: String::new(),
            comment: None,
            header: false,
        });
    }
    rows.append(&mut above);
}

/// Rows as text, with comments behind neighbouring lines in one column.
fn joined(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut rest = rows;
    while let Some((row, others)) = rest.split_first() {
        let beside = |row: &&Row| row.comment.is_some() && !row.text.contains('\n');
        let group = rest.iter().take_while(beside).count();
        let width = rest[..group].iter().map(|row| row.text.chars().count()).max();
        let (rows, next) = match width {
            Some(_) => rest.split_at(group),
            None => (std::slice::from_ref(row), others),
        };
        for row in rows {
            text += &row.text;
            if let Some(comment) = &row.comment {
                let blanks = width.map_or(0, |width| width - row.text.chars().count()) + 2;
                text += &" ".repeat(blanks);
                text += comment;
            }
            text.push('\n');
        }
        rest = next;
    }
    text
}

#[cfg(test)]
mod tests;
