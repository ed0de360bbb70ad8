//! Secrets in templates: `secret` and `secret_path` write a mark where a value or a path belongs, and whoever renders a text
//! says what becomes of it. No value is ever known here.

use tera::{Kwargs, State, Tera, TeraResult};

use crate::config::{Scalar as _, SecretName, listed};
use crate::model::Encoding;

/// Begins a mark. Of the private use area: no text means anything by it.
const OPEN: char = '\u{f0000}';
/// Ends it.
const CLOSE: char = '\u{f0001}';

/// What a mark stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::resolve) enum Mark {
    /// The value of the secret of this name.
    Value(String, Encoding),
    /// The path of its file.
    Path(String),
}

impl Mark {
    fn parse(text: &str) -> Option<Self> {
        let (what, name) = text.split_once(' ')?;
        if what == "path" {
            return Some(Self::Path(name.to_owned()));
        }
        let encoding = Encoding::ALL.into_iter().find(|encoding| encoding.name() == what)?;
        Some(Self::Value(name.to_owned(), encoding))
    }
}

/// A piece of a rendered text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::resolve) enum Piece {
    Text(String),
    Mark(Mark),
}

/// Whether there may be a mark in a text.
pub(in crate::resolve) fn is_marked(text: &str) -> bool {
    text.contains([OPEN, CLOSE])
}

/// The pieces of a text; `None` where a filter has cut a mark.
pub(in crate::resolve) fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (mark, after) = after.split_once(CLOSE)?;
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Mark(Mark::parse(mark)?));
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    let is_whole = |piece: &Piece| !matches!(piece, Piece::Text(text) if is_marked(text));
    pieces.iter().all(is_whole).then_some(pieces)
}

pub(super) fn register(tera: &mut Tera) {
    tera.register_function("secret", |kwargs: Kwargs, _: &State| -> TeraResult<String> {
        let name = name(&kwargs)?;
        let encoding = kwargs.get::<&str>("as")?.unwrap_or(Encoding::Plain.name());
        let known = Encoding::ALL.map(Encoding::name);
        if !known.contains(&encoding) {
            let known = listed(&known);
            return Err(tera::Error::message(format!("`as` is one of {known}")));
        }
        Ok(format!("{OPEN}{encoding} {name}{CLOSE}"))
    });
    tera.register_function("secret_path", |kwargs: Kwargs, _: &State| -> TeraResult<String> {
        Ok(format!("{OPEN}path {}{CLOSE}", name(&kwargs)?))
    });
}

fn name(kwargs: &Kwargs) -> TeraResult<&str> {
    let name = kwargs.must_get::<&str>("name")?;
    SecretName::from_text(name)
        .map(|_| name)
        .map_err(|problem| tera::Error::message(problem.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_a_filter_has_cut_is_not_taken_for_text() {
        let mark = format!("a {OPEN}json x/y{CLOSE} b");
        let whole = pieces(&mark).unwrap();
        assert_eq!(whole[1], Piece::Mark(Mark::Value("x/y".to_owned(), Encoding::Json)));
        for (at, _) in mark.char_indices().filter(|(at, _)| (3..mark.len() - 2).contains(at)) {
            assert_eq!(pieces(&mark[..at]), None, "{at}");
            assert_eq!(pieces(&mark[at..]), None, "{at}");
        }
        assert_eq!(pieces("plain"), Some(vec![Piece::Text("plain".to_owned())]));
    }
}
