//! The text of the configuration and places in it: sources, spans and values that know where they were written.
//! It reads no disk: whoever calls hands the bytes in.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::model::Origin;

/// The largest host file or module. A configuration is written by people; anything larger is a mistake, and would
/// only slow every other error down.
pub const MAX_SOURCE_BYTES: usize = 1024 * 1024;

/// What resolving reads: the text of every host file and module, and a way to the local files they name.
pub struct Sources<'a> {
    /// `hosts/*.toml`, `groups/*.toml` and `modules/**.toml` by path relative to the project's root, with forward slashes. Other paths are ignored.
    pub config: BTreeMap<String, Vec<u8>>,
    /// The files and templates below `files/`.
    pub files: &'a dyn LocalFiles,
}

/// The local files that `file = "…"` and `template = "…"` name, by path relative to `files/`, with forward slashes.
/// Each is read at most once per resolution.
pub trait LocalFiles {
    /// The bytes of one file.
    ///
    /// # Errors
    /// [`LocalFileError`]; a symbolic link that leads out of `files/` counts as unreadable.
    fn read(&self, path: &str) -> Result<Vec<u8>, LocalFileError>;

    /// The paths there are, to suggest one that was meant. It is asked only after a file was not found.
    fn paths(&self) -> Vec<String>;
}

/// Why a local file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalFileError {
    /// There is none of that path.
    #[error("there is no such file")]
    Missing,
    /// It is there and cannot be read; the reason is a fragment such as "permission denied".
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl LocalFiles for BTreeMap<String, Vec<u8>> {
    fn read(&self, path: &str) -> Result<Vec<u8>, LocalFileError> {
        self.get(path).cloned().ok_or(LocalFileError::Missing)
    }

    fn paths(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// One source of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A place in a source, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The source.
    pub source: SourceId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The place `range` of `source`.
    #[must_use]
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            source,
            start: clamp(range.start),
            end: clamp(range.end.max(range.start)),
        }
    }

    /// The bytes it covers.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value and the place it was written.
#[derive(Clone, Copy, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value written at `span`.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// The same place with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned::new(f(self.value), self.span)
    }
}

/// The sources that spans point into.
#[derive(Clone, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

#[derive(Clone)]
struct Source {
    path: String,
    text: Arc<str>,
    /// The byte at which each line begins.
    lines: Vec<u32>,
}

impl SourceMap {
    /// Adds a source and names it by its path.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let text = text.into();
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0)
            .chain(starts)
            .map(|at| u32::try_from(at).unwrap_or(u32::MAX))
            .collect();
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(Source {
            path: path.into(),
            text,
            lines,
        });
        id
    }

    /// The name that the next source added will have.
    pub(super) fn next(&self) -> SourceId {
        SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX))
    }

    /// The path of a source, relative to the project's root.
    #[must_use]
    pub fn path(&self, id: SourceId) -> &str {
        self.get(id).map_or("", |source| &source.path)
    }

    /// The whole text of a source.
    #[must_use]
    pub fn text(&self, id: SourceId) -> &str {
        self.get(id).map_or("", |source| &source.text)
    }

    /// The text that a span covers; empty where the span does not fit its source.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.source).get(span.range()).unwrap_or("")
    }

    /// The file, line and column at which a span begins.
    #[must_use]
    pub fn origin(&self, span: Span) -> Origin {
        let (line, column) = self.position(span.source, span.start);
        Origin {
            file: self.path(span.source).to_owned(),
            line,
            column,
        }
    }

    /// Line and column in characters, both from 1, of a byte.
    #[must_use]
    pub fn position(&self, id: SourceId, byte: u32) -> (u32, u32) {
        let Some(source) = self.get(id) else { return (1, 1) };
        let line = source.lines.partition_point(|start| *start <= byte).max(1);
        let start = source.lines.get(line - 1).copied().unwrap_or(0);
        let before = source.text.get(start as usize..byte as usize).unwrap_or("");
        let column = u32::try_from(before.chars().count()).unwrap_or(u32::MAX - 1) + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), column)
    }

    fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }
}

impl fmt::Debug for SourceMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.sources.iter().map(|source| &source.path))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_knows_its_line_and_column_in_characters() {
        let mut map = SourceMap::default();
        let id = map.add("hosts/a.toml", "one\nzwölf x\n");
        let x = map.text(id).find('x').unwrap();
        let origin = map.origin(Span::new(id, x..x + 1));
        assert_eq!((origin.line, origin.column), (2, 7));
        assert_eq!(origin.to_string(), "hosts/a.toml:2");
        assert_eq!(map.position(id, 0), (1, 1));
    }
}
