//! Bytes that a host chose: bounded, and printable only in escaped form.
//! It does not judge what the bytes mean.

use std::fmt;

/// The most bytes of host text kept in an error: a terminal screen's worth, so that a host cannot
/// spend our memory through its own error messages.
const KEPT: usize = 1024;

/// Text that came from a host.
///
/// It has no `Display`, so that it reaches a terminal, a log or a template only through
/// [`Untrusted::escaped`]. At most 1 KiB is kept; the rest is counted.
#[derive(Clone, PartialEq, Eq)]
pub struct Untrusted {
    kept: Vec<u8>,
    dropped: usize,
}

impl Untrusted {
    /// Takes the first 1 KiB of what a host sent.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let kept = bytes.len().min(KEPT);
        Self {
            kept: bytes.iter().take(kept).copied().collect(),
            dropped: bytes.len() - kept,
        }
    }

    /// True if the host said nothing.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The text with every control, invisible, bidirectional or invalid byte written as an escape.
    pub fn escaped(&self) -> String {
        let mut text = escape(&self.kept);
        if self.dropped > 0 {
            text.push_str(&format!(" … ({} more bytes)", self.dropped));
        }
        text
    }
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Untrusted(\"{}\")", self.escaped())
    }
}

/// Writes bytes so that a terminal shows them and obeys none of them.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                ' '..='~' => out.push(c),
                // `escape_debug` knows which characters are printable; it leaves those alone.
                _ => out.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_commands_become_visible() {
        let text = Untrusted::new(b"\x1b[2Jgone\r\n\\ \xff caf\xc3\xa9 \xe2\x80\xae'\"").escaped();
        assert_eq!(text, "\\u{1b}[2Jgone\\r\\n\\\\ \\xff café \\u{202e}'\"");
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let text = Untrusted::new(vec![b'a'; 5000]);
        assert_eq!(text.kept.len(), KEPT);
        assert!(text.escaped().ends_with("… (3976 more bytes)"));
    }
}
