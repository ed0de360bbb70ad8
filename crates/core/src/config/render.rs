//! Findings to text for a person and to JSON for a program. It decides nothing and prints nothing.

use std::collections::BTreeSet;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::diagnostic::{Diagnostic, Label, Severity};
use super::source::{SourceId, SourceMap, Span};

/// The version of the JSON form. It changes when a reader of the old form would misread the new one.
pub const DIAGNOSTICS_FORMAT: u32 = 1;

/// How many hosts are named before the rest is counted.
const NAMED_HOSTS: usize = 3;

/// Findings as a person reads them: each with its source underlined, why, and what to write instead. A reason that a whole kind
/// of finding shares stands with the first of it: a hundred misspelt keys are wrong for one reason.
/// With `color` the text has ANSI colours; lines are fitted to `width` columns.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &SourceMap, color: bool, width: usize) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(width.max(40)).decor_style(DecorStyle::Ascii);
    let mut told = BTreeSet::new();
    let texts = diagnostics.iter().map(|diagnostic| {
        let own = diagnostic.why.as_deref();
        let why = own.or_else(|| told.insert(diagnostic.code).then(|| diagnostic.code.why()));
        renderer.render(&[group(diagnostic, why, sources)]) + "\n"
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn group<'a>(diagnostic: &'a Diagnostic, why: Option<&'a str>, sources: &'a SourceMap) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code.id()));
    for source in sources_of(diagnostic) {
        // Only the lines that are shown: looking through all of a long file for each finding in it would take for ever.
        let window = window(diagnostic, source, sources);
        let shown = sources.text(source).get(window.clone()).unwrap_or("");
        let first = sources.position(source, Span::new(source, window.clone()).start).0;
        let snippet = Snippet::source(shown)
            .line_start(first as usize)
            .path(sources.path(source));
        let primary = diagnostic.primary.iter().map(|label| (AnnotationKind::Primary, label));
        let secondary = diagnostic
            .secondary
            .iter()
            .map(|label| (AnnotationKind::Context, label));
        let annotations = primary
            .chain(secondary)
            .filter(|(_, label)| label.span.source == source)
            .map(|(kind, label)| annotation(kind, label, window.start, sources));
        group = group.element(snippet.annotations(annotations));
    }
    if let Some(why) = why {
        group = group.element(Level::NOTE.message(why));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    if !diagnostic.hosts.is_empty() {
        group = group.element(Level::NOTE.with_name("hosts").message(hosts(diagnostic)));
    }
    group
}

/// The lines of a source from the first label to the last.
fn window(diagnostic: &Diagnostic, source: SourceId, sources: &SourceMap) -> std::ops::Range<usize> {
    let text = sources.text(source);
    let labels = diagnostic.primary.iter().chain(&diagnostic.secondary);
    let ranges = labels
        .filter(|label| label.span.source == source)
        .map(|label| first_line(label.span, sources));
    let (start, end) = ranges.fold((text.len(), 0), |(start, end), range| {
        (start.min(range.start), end.max(range.end))
    });
    let line_start = text
        .get(..start)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |at| at + 1);
    let line_end = text
        .get(end..)
        .and_then(|after| after.find('\n'))
        .map_or(text.len(), |at| end + at + 1);
    line_start..line_end
}

fn annotation<'a>(
    kind: AnnotationKind,
    label: &'a Label,
    before: usize,
    sources: &SourceMap,
) -> annotate_snippets::Annotation<'a> {
    let range = first_line(label.span, sources);
    let annotation = kind.span(range.start.saturating_sub(before)..range.end.saturating_sub(before));
    if label.text.is_empty() {
        annotation
    } else {
        annotation.label(label.text.as_str())
    }
}

/// A span that covers several lines is underlined on its first: the message says the rest.
fn first_line(span: Span, sources: &SourceMap) -> std::ops::Range<usize> {
    let text = sources.text(span.source);
    let start = span.range().start.min(text.len());
    let end = span.range().end.min(text.len()).max(start);
    let length = text.get(start..end).and_then(|covered| covered.find('\n'));
    start..length.map_or(end, |length| start + length)
}

/// The sources that play a part, the primary one first.
fn sources_of(diagnostic: &Diagnostic) -> Vec<SourceId> {
    let mut sources = Vec::new();
    for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
        if !sources.contains(&label.span.source) {
            sources.push(label.span.source);
        }
    }
    sources
}

fn hosts(diagnostic: &Diagnostic) -> String {
    let named: Vec<_> = diagnostic
        .hosts
        .iter()
        .take(NAMED_HOSTS)
        .map(ToString::to_string)
        .collect();
    match diagnostic.hosts.len().saturating_sub(NAMED_HOSTS) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The findings' JSON form.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    diagnostics: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    primary: Option<Place<'a>>,
    secondary: Vec<Place<'a>>,
    why: &'a str,
    help: Option<&'a str>,
    hosts: Vec<&'a str>,
}

/// A place; lines and columns count characters from 1, `start` and `end` bytes from 0.
#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    start: u32,
    end: u32,
    text: &'a str,
}

/// Findings as a program reads them: `{"format": 1, "diagnostics": […]}`.
#[must_use]
pub fn to_json(diagnostics: &[Diagnostic], sources: &SourceMap) -> serde_json::Value {
    let document = Document {
        format: DIAGNOSTICS_FORMAT,
        diagnostics: diagnostics.iter().map(|finding| json(finding, sources)).collect(),
    };
    // Nothing in it can fail to be serialised: no maps, no foreign `Serialize`.
    serde_json::to_value(document).unwrap_or_default()
}

fn json<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Finding<'a> {
    Finding {
        code: diagnostic.code.id(),
        severity: diagnostic.severity.name(),
        message: &diagnostic.message,
        primary: diagnostic.primary.as_ref().map(|label| place(label, sources)),
        secondary: diagnostic.secondary.iter().map(|label| place(label, sources)).collect(),
        why: diagnostic.why.as_deref().unwrap_or_else(|| diagnostic.code.why()),
        help: diagnostic.help.as_deref(),
        hosts: diagnostic.hosts.iter().map(crate::model::HostName::as_str).collect(),
    }
}

fn place<'a>(label: &'a Label, sources: &'a SourceMap) -> Place<'a> {
    let Span { source, start, end } = label.span;
    let (line, column) = sources.position(source, start);
    let (end_line, end_column) = sources.position(source, end);
    Place {
        file: sources.path(source),
        line,
        column,
        end_line,
        end_column,
        start,
        end,
        text: &label.text,
    }
}
