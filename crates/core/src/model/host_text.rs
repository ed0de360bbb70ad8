//! Text that came from a host. It is data: never printed raw, never evaluated, never a path on the controller.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text from a host. It has no `Display`: only [`HostText::escaped`] is fit for a person's terminal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostText(String);

impl HostText {
    /// Marks text as coming from a host.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it came, for comparing and for computing a diff whose lines are escaped later.
    #[must_use]
    pub fn untrusted(&self) -> &str {
        &self.0
    }

    /// One line in which nothing can move a cursor, colour a terminal or reorder letters.
    #[must_use]
    pub fn escaped(&self) -> String {
        self.0.chars().fold(String::with_capacity(self.0.len()), escape)
    }

    /// As [`Self::escaped`], with line feeds and tabs kept, for text of several lines.
    #[must_use]
    pub fn escaped_lines(&self) -> String {
        self.0.chars().fold(String::with_capacity(self.0.len()), |mut out, c| {
            if matches!(c, '\n' | '\t') {
                out.push(c);
                out
            } else {
                escape(out, c)
            }
        })
    }
}

/// Control characters (C0, DEL, C1) and the format characters that hide or reorder text (Unicode UAX #9, zero width).
fn escape(mut out: String, c: char) -> String {
    let hides = matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{061c}');
    if c.is_control() || hides {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
    out
}

impl fmt::Debug for HostText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostText({:?})", self.escaped())
    }
}

impl From<&str> for HostText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::HostText;

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        let hostile = "a\u{1b}[31mb\u{9b}2J\r\u{7}\u{202e}c\u{200b}\u{7f}\n\td";
        for c in HostText::from(hostile).escaped().chars() {
            assert!(!c.is_control() && c != '\u{202e}' && c != '\u{200b}', "{c:?}");
        }
        assert_eq!(HostText::from("a\n\tb\u{1b}").escaped_lines(), "a\n\tb\\u{1b}");
    }

    #[test]
    fn plain_text_in_any_script_is_left_alone() {
        assert_eq!(HostText::from("naïve 日本 ✓").escaped(), "naïve 日本 ✓");
    }
}
