//! JSON documents as text. It knows no document; it sees to it that none of them can steer a terminal.

use std::fmt::Write as _;

use provision_core::model::HostText;
use serde::Serialize;

/// The version of every document's form. It changes when a reader of the old form would misread the new one; new
/// fields and new values of enums may come without a change.
pub const FORMAT_VERSION: u32 = 1;

/// A document on several lines, for standard output.
#[must_use]
pub fn document<T: Serialize>(value: &T) -> String {
    without_control_characters(&text(serde_json::to_string_pretty(value))) + "\n"
}

/// A document on one line: one of a stream.
#[must_use]
pub fn line<T: Serialize>(value: &T) -> String {
    without_control_characters(&text(serde_json::to_string(value))) + "\n"
}

/// No document has maps with keys that are no text, nor a `Serialize` that fails; if one ever had, the reader would see it here.
fn text(json: serde_json::Result<String>) -> String {
    json.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
}

/// JSON leaves DEL, C1 and the characters that reorder text as they are. Outside of strings there are none of them,
/// so all can be written as `\u…`, which means the same.
fn without_control_characters(json: &str) -> String {
    if HostText::new(json).escaped_lines() == json {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' || HostText::new(c).escaped_lines().starts_with(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_is_what_was_written_and_nothing_steers_a_terminal() {
        let hostile = "\u{0}\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{200b}\n\t\r naïve 日本 ✓";
        for json in [line(&[hostile]), document(&[hostile])] {
            let back: Vec<String> = serde_json::from_str(&json).unwrap();
            assert_eq!(back, [hostile]);
            assert_eq!(HostText::new(json.as_str()).escaped_lines(), json);
            assert!(json.contains("naïve 日本 ✓"));
        }
    }
}
