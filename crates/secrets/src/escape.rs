//! Text from elsewhere, so that a terminal shows it and obeys none of it. It does not judge what the text means.

use std::fmt::Write as _;

/// The most bytes of a stranger's text that an error keeps: a terminal screen's worth.
const KEPT: usize = 1024;

/// Bytes with every control, invisible, bidirectional or invalid one written as an escape.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                ' '..='~' => out.push(c),
                // `escape_debug` knows which characters are printable; it leaves those alone.
                _ => out.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// The same, of at most a screen's worth; the rest is counted.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let trimmed = bytes.trim_ascii();
    let mut text = escape(trimmed.get(..KEPT).unwrap_or(trimmed));
    if let Some(more @ 1..) = trimmed.len().checked_sub(KEPT) {
        // Writing to a string cannot fail.
        let _ = write!(text, " … ({more} more bytes)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_commands_become_visible_and_a_flood_is_cut() {
        assert_eq!(
            excerpt(b" \x1b[2Jgone\n\xff caf\xc3\xa9 \xe2\x80\xae\n"),
            "\\u{1b}[2Jgone\\n\\xff café \\u{202e}"
        );
        assert!(excerpt(&[b'a'; 5000]).ends_with("a … (3976 more bytes)"));
    }
}
