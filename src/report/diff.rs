//! How a text changes, line by line, as `diff -u` shows it. The old side comes from a host: no byte of it reaches a
//! terminal unescaped.

use std::fmt::Write as _;
use std::time::Duration;

use provision_core::model::{HostText, TextChange};
use similar::{ChangeTag, TextDiff};

use super::style::{Palette, paint};

/// Lines shown around each difference, as `diff -u` and git have it.
const CONTEXT: usize = 3;

/// After this long the comparison goes on with a coarser method: a host's text must not cost unbounded time.
const PATIENCE: Duration = Duration::from_millis(200);

/// The lines of a change of text, each with its end; empty where nothing differs.
#[must_use]
pub fn diff_text(change: &TextChange, palette: Palette) -> String {
    match change {
        TextChange::Text { before, after } => unified(before.untrusted(), after, palette),
        TextChange::Hidden(why) => {
            let why = format!("(text not shown: {})", super::words::safe(why));
            format!("{}\n", paint(palette.faint(), why))
        }
    }
}

fn unified(before: &str, after: &str, palette: Palette) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    // Where all is new or all goes, the place of a hunk says nothing.
    let places = !before.is_empty() && !after.is_empty();
    let mut text = String::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        if places {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", paint(palette.act(), hunk.header()));
        }
        for change in hunk.iter_changes() {
            let (sign, style) = match change.tag() {
                ChangeTag::Equal => (' ', palette.faint()),
                ChangeTag::Delete => ('-', palette.remove()),
                ChangeTag::Insert => ('+', palette.create()),
            };
            let value = change.value();
            let line = value.strip_suffix('\n').unwrap_or(value);
            // A carriage return is a difference that the eye must see, so only tabs stay as they are.
            let line = HostText::new(line).escaped_lines();
            let _ = writeln!(text, "{}", paint(style, format_args!("{sign}{line}")));
            if change.missing_newline() {
                let _ = writeln!(text, "{}", paint(palette.faint(), "\\ no line feed at the end"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(before: &str, after: &str) -> String {
        let change = TextChange::Text {
            before: before.into(),
            after: after.to_owned(),
        };
        diff_text(&change, Palette::PLAIN)
    }

    #[test]
    fn three_lines_of_context_and_the_place() {
        let before: String = (1..=10).map(|n| format!("{n}\n")).collect();
        let after = before.replace("5\n", "five\n");
        assert_eq!(
            plain(&before, &after),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        );
    }

    #[test]
    fn a_new_text_needs_no_place_and_a_missing_line_feed_is_said() {
        assert_eq!(plain("", "a\n\tb"), "+a\n+\tb\n\\ no line feed at the end\n");
        assert_eq!(plain("a\n", ""), "-a\n");
        assert_eq!(plain("a\n", "a\n"), "");
    }

    #[test]
    fn line_ends_that_differ_are_seen() {
        assert_eq!(plain("a\r\n", "a\n"), "@@ -1 +1 @@\n-a\\r\n+a\n");
    }

    #[test]
    fn a_hostile_text_costs_bounded_time() {
        // Two texts without a common line, the worst case of the algorithm.
        let before: String = (0..60_000).map(|n| format!("a{n}\n")).collect();
        let after: String = (0..60_000).map(|n| format!("b{n}\n")).collect();
        let started = std::time::Instant::now();
        assert_eq!(plain(&before, &after).lines().count(), 120_001);
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}
