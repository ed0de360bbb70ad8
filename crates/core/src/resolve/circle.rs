//! Circles as people see them: what leads to what, round to the beginning. Who finds them is elsewhere.

use crate::config::{Code, Diagnostic, Span};

/// One of those in a circle.
pub(super) struct Link {
    pub(super) name: String,
    pub(super) span: Span,
    /// How it leads to the next.
    pub(super) label: String,
}

/// A longer circle than this is not drawn wholly: nobody could follow it, and its two ends are where to look.
const DRAWN: usize = 12;

/// A finding about a circle; `what` says what goes round in it. The circle is not empty.
pub(super) fn circle(code: Code, what: &str, mut links: Vec<Link>) -> Diagnostic {
    let first = links.first().map_or_else(String::new, |link| link.name.clone());
    let left_out = links.len().saturating_sub(DRAWN);
    let rest = links.split_off(links.len().min(DRAWN / 2));
    let mut drawn: Vec<_> = links.iter().map(|link| link.name.clone()).collect();
    if left_out > 0 {
        drawn.push(format!("({left_out} more)"));
    }
    links.extend(rest.into_iter().skip(left_out));
    let shown = links.iter().skip(DRAWN / 2);
    drawn.extend(shown.map(|link| link.name.clone()));
    drawn.push(first);
    let message = format!("{what} in a circle: {}", drawn.join(" → "));
    let mut links = links.into_iter();
    let diagnostic = match links.next() {
        Some(link) => Diagnostic::error(code, message, link.span, link.label),
        None => Diagnostic::unplaced(code, message),
    };
    links.fold(diagnostic, |diagnostic, link| diagnostic.also(link.span, link.label))
}
