//! A look at a template's tags before Tera reads them: what may not be there, which names are used where, and where the
//! guards of [`super::limits`] are written in. It understands tags and words, not expressions; Tera does.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::config::Code;

use super::limits::{BOUND, TURN, VALUE};
use super::{Form, TemplateError};

/// What was seen.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) edits: Edits,
    pub(super) chains: Vec<Chain>,
    pub(super) calls: Vec<Call>,
    pub(super) tags: u64,
    /// The names that the template binds itself.
    pub(super) bound: BTreeSet<String>,
}

/// A name used as a value, with the fields that follow it: `host.address`.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// The words.
    pub(crate) words: Vec<String>,
    /// Where each is.
    pub(crate) ranges: Vec<Range<usize>>,
    /// Whether the template asks if it is defined, so that it may well not be.
    pub(crate) asked: bool,
}

/// A filter, test or function that is called.
pub(super) struct Call {
    pub(super) kind: CallKind,
    pub(super) range: Range<usize>,
}

pub(super) enum CallKind {
    Filter,
    Test,
    Function,
}

/// Texts written into a template, each at a byte of the original, in order.
#[derive(Default)]
pub(super) struct Edits(Vec<(usize, String)>);

impl Edits {
    /// The text that Tera reads.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut edited = String::with_capacity(text.len());
        let mut done = 0;
        for (at, insert) in &self.0 {
            edited.push_str(text.get(done..*at).unwrap_or(""));
            edited.push_str(insert);
            done = *at;
        }
        edited.push_str(text.get(done..).unwrap_or(""));
        edited
    }

    /// Where a range of the edited text is in the original.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        let start = self.back(range.start);
        start..self.back(range.end).max(start)
    }

    fn back(&self, edited: usize) -> usize {
        let mut inserted = 0;
        for (at, insert) in &self.0 {
            if at + inserted >= edited {
                break;
            }
            inserted += insert.len().min(edited - at - inserted);
        }
        edited - inserted
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(Range<usize>),
    Sign(u8),
    /// A string or a number.
    Other,
}

/// Looks through a template.
pub(super) fn scan(text: &str, form: Form) -> Result<Scan, TemplateError> {
    let mut scan = Scan::default();
    match form {
        Form::Text => scan.text(text)?,
        Form::Expression => {
            if let Some(at) = ["}}", "%}"].iter().find_map(|mark| text.find(mark)) {
                let message = "an expression stands here without braces";
                return Err(refused(at..at + 2, message, "write that = \"port > 1024\""));
            }
            let (tokens, end) = tokens(text, 0, None);
            debug_assert_eq!(end, text.len(), "without an end mark all of it is read");
            scan.edits.0.push((0, format!("{{{{ {VALUE}(v=")));
            scan.expression(text, &tokens, 0)?;
            scan.edits.0.push((text.len(), ") }}".to_owned()));
        }
    }
    Ok(scan)
}

impl Scan {
    fn text(&mut self, text: &str) -> Result<(), TemplateError> {
        let mut at = 0;
        let mut loops = 0_usize;
        while let Some((open, mark)) = next_mark(text, at) {
            let inside = open + 2;
            match mark {
                b'#' => match find(text, inside, "#}") {
                    Some(end) => at = end + 2,
                    None => return Ok(()),
                },
                b'%' => {
                    if let Some(end) = raw_end(text, inside) {
                        at = end;
                        continue;
                    }
                    let (tokens, end) = tokens(text, inside, Some("%}"));
                    self.tags += 1;
                    self.tag(text, open, &tokens, end, &mut loops)?;
                    at = end;
                }
                _ => {
                    let (tokens, end) = tokens(text, inside, Some("}}"));
                    self.tags += 1;
                    self.expression(text, &tokens, loops)?;
                    at = end;
                }
            }
        }
        Ok(())
    }

    fn tag(
        &mut self,
        text: &str,
        open: usize,
        tokens: &[Token],
        end: usize,
        loops: &mut usize,
    ) -> Result<(), TemplateError> {
        let word = |token: Option<&Token>| match token {
            Some(Token::Word(range)) => text.get(range.clone()),
            _ => None,
        };
        // `{%-` and `-%}` trim white space; a guard after such a tag must trim as well.
        let tokens = match tokens {
            [Token::Sign(b'-'), rest @ ..] => rest,
            all => all,
        };
        let trims = text.get(..end).is_some_and(|text| text.ends_with("-%}"));
        let (first, rest) = (word(tokens.first()), tokens.get(1..).unwrap_or(&[]));
        match first {
            Some("for") => {
                let split = rest
                    .iter()
                    .position(|token| word(Some(token)) == Some("in"))
                    .unwrap_or(0);
                let names: Vec<_> = rest.iter().take(split).filter_map(|token| word(Some(token))).collect();
                self.expression(text, rest.get(split + 1..).unwrap_or(&[]), *loops)?;
                self.guard(TURN, &names, end, trims);
                *loops += 1;
            }
            Some("endfor") => *loops = loops.saturating_sub(1),
            Some("set" | "set_global") => {
                let name = word(rest.first());
                if rest.get(1) != Some(&Token::Sign(b'=')) {
                    return Err(refused(
                        open..end,
                        "`set` with a body is not part of the language",
                        "write {% set name = … %}",
                    ));
                }
                self.expression(text, rest.get(2..).unwrap_or(&[]), *loops)?;
                self.guard(BOUND, &name.into_iter().collect::<Vec<_>>(), end, trims);
            }
            Some(tag @ ("include" | "extends" | "block" | "component" | "filter")) => {
                let message = format!("`{tag}` is not part of the language");
                return Err(refused(
                    open..end,
                    &message,
                    "a template is one text; `for`, `if` and `set` are there",
                ));
            }
            Some("if" | "elif") => self.expression(text, rest, *loops)?,
            _ if tokens.first() == Some(&Token::Sign(b'<')) => {
                return Err(refused(
                    open..end,
                    "components are not part of the language",
                    "write out what they would",
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn guard(&mut self, function: &str, names: &[&str], end: usize, trims: bool) {
        let arguments: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| format!("v{number}={name}"))
            .collect();
        let dash = if trims { "-" } else { "" };
        let guard = format!("{{{{{dash} {function}({}) {dash}}}}}", arguments.join(", "));
        self.bound.extend(names.iter().map(|name| (*name).to_owned()));
        self.edits.0.push((end, guard));
    }

    fn expression(&mut self, text: &str, tokens: &[Token], loops: usize) -> Result<(), TemplateError> {
        let tokens = match tokens {
            [Token::Sign(b'-'), rest @ ..] => rest,
            all => all,
        };
        let at = |index: usize| tokens.get(index);
        let word = |index: usize| match at(index) {
            Some(Token::Word(range)) => text.get(range.clone()),
            _ => None,
        };
        if at(0) == Some(&Token::Sign(b'<')) {
            return Err(refused(
                0..text.len(),
                "components are not part of the language",
                "write out what they would",
            ));
        }
        let mut comprehensions = loops;
        let mut index = 0;
        while index < tokens.len() {
            let Some(Token::Word(range)) = at(index) else {
                index += 1;
                continue;
            };
            let before = index.checked_sub(1).and_then(at);
            let call = at(index + 1) == Some(&Token::Sign(b'('));
            let named = at(index + 1) == Some(&Token::Sign(b'=')) && at(index + 2) != Some(&Token::Sign(b'='));
            let is = |back: usize| index.checked_sub(back).and_then(word) == Some("is");
            let tested = is(1) || (is(2) && word(index - 1) == Some("not"));
            match word(index).unwrap_or("") {
                "for" => {
                    if comprehensions > 0 {
                        let help =
                            "a list built from a list may stand on its own only, not in a loop or in another one";
                        return Err(refused(
                            range.clone(),
                            "a loop inside of a loop's expression is not part of the language",
                            help,
                        ));
                    }
                    comprehensions += 1;
                    let names = tokens
                        .get(index + 1..)
                        .unwrap_or(&[])
                        .iter()
                        .take_while(|token| match token {
                            Token::Word(range) => text.get(range.clone()) != Some("in"),
                            _ => true,
                        });
                    let names = names.filter_map(|token| match token {
                        Token::Word(range) => text.get(range.clone()).map(str::to_owned),
                        Token::Sign(_) | Token::Other => None,
                    });
                    self.bound.extend(names);
                }
                "in" | "not" | "and" | "or" | "is" | "if" | "else" | "true" | "false" | "True" | "False" | "none"
                | "None" | "null" => {}
                _ if before == Some(&Token::Sign(b'|')) => self.call(CallKind::Filter, range),
                _ if tested => self.call(CallKind::Test, range),
                _ if before == Some(&Token::Sign(b'.')) || named => {}
                _ if call => self.call(CallKind::Function, range),
                _ => index = self.chain(text, tokens, index),
            }
            index += 1;
        }
        Ok(())
    }

    fn call(&mut self, kind: CallKind, range: &Range<usize>) {
        self.calls.push(Call {
            kind,
            range: range.clone(),
        });
    }

    /// Records the name at `index` and its fields, and returns the index of the last.
    fn chain(&mut self, text: &str, tokens: &[Token], mut index: usize) -> usize {
        let mut ranges = Vec::new();
        while let Some(Token::Word(range)) = tokens.get(index) {
            ranges.push(range.clone());
            match tokens.get(index + 1..index + 3) {
                Some([Token::Sign(b'.'), Token::Word(_)]) => index += 2,
                _ => break,
            }
        }
        let next = match tokens.get(index + 1) {
            Some(Token::Word(range)) => text.get(range.clone()),
            _ => None,
        };
        let default = match tokens.get(index + 1..index + 3) {
            Some([Token::Sign(b'|'), Token::Word(range)]) => text.get(range.clone()) == Some("default"),
            _ => false,
        };
        self.chains.push(Chain {
            words: ranges
                .iter()
                .map(|range| text.get(range.clone()).unwrap_or("").to_owned())
                .collect(),
            ranges,
            asked: matches!(next, Some("is" | "or")) || default,
        });
        index
    }
}

fn refused(range: Range<usize>, message: &str, help: &str) -> TemplateError {
    let mut error = TemplateError::new(Code::TemplateLimit, range, message);
    error.help = Some(help.to_owned());
    error
}

/// The next `{{`, `{%` or `{#`.
fn next_mark(text: &str, from: usize) -> Option<(usize, u8)> {
    let bytes = text.as_bytes();
    let mut windows = bytes.get(from..)?.windows(2).enumerate();
    windows.find_map(|(offset, pair)| match pair {
        [b'{', mark @ (b'{' | b'%' | b'#')] => Some((from + offset, *mark)),
        _ => None,
    })
}

fn find(text: &str, from: usize, needle: &str) -> Option<usize> {
    text.get(from..)?.find(needle).map(|offset| from + offset)
}

/// The end of a whole `{% raw %}…{% endraw %}`, where `inside` is the byte after the first `{%`.
fn raw_end(text: &str, inside: usize) -> Option<usize> {
    let mut at = named_tag(text, inside, "raw")?;
    loop {
        let open = find(text, at, "{%")?;
        match named_tag(text, open + 2, "endraw") {
            Some(end) => return Some(end),
            None => at = open + 2,
        }
    }
}

/// The end of the tag that consists of nothing but `name`.
fn named_tag(text: &str, inside: usize, name: &str) -> Option<usize> {
    let rest = text.get(inside..)?;
    let blank = |c: char| c.is_ascii_whitespace();
    let after = rest
        .strip_prefix('-')
        .unwrap_or(rest)
        .trim_start_matches(blank)
        .strip_prefix(name)?;
    let after = after.trim_start_matches(blank);
    let after = after.strip_prefix('-').unwrap_or(after).strip_prefix("%}")?;
    Some(text.len() - after.len())
}

/// The tokens up to the end mark, and the byte after it (the end of the text where there is none).
fn tokens(text: &str, from: usize, mark: Option<&str>) -> (Vec<Token>, usize) {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        if let Some(mark) = mark
            && text.get(at..).is_some_and(|rest| rest.starts_with(mark))
        {
            return (tokens, at + mark.len());
        }
        let start = at;
        match byte {
            b'"' | b'\'' | b'`' => {
                at += 1;
                while let Some(&inner) = bytes.get(at) {
                    at += if inner == b'\\' { 2 } else { 1 };
                    if inner == byte {
                        break;
                    }
                }
                tokens.push(Token::Other);
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                while bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                    at += 1;
                }
                tokens.push(Token::Word(start..at));
            }
            b'0'..=b'9' => {
                while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                    at += 1;
                }
                tokens.push(Token::Other);
            }
            _ => {
                at += 1;
                if !byte.is_ascii_whitespace() {
                    tokens.push(Token::Sign(byte));
                }
            }
        }
    }
    (tokens, text.len())
}
