//! What a value looks like where it leaks: as it is, and as the formats around it write it. It finds nothing; it lists.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The shortest line of a longer value that is a pattern of its own: journals and diffs show texts line by line, and a short line
/// of a key file, such as a brace, is no secret.
const SHORTEST_LINE: usize = 16;

/// Where programs break lines of base64: PEM, and MIME with `base64` of coreutils.
const WRAPS: [usize; 2] = [64, 76];

/// Everything that a value can look like. An encoding that changes nothing is there once.
pub(super) fn of(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    // A line feed at the end is most often lost on the way.
    for value in [value, value.trim_ascii_end(), value.trim_ascii()] {
        all.insert(value.to_vec());
        all.extend(base64(value));
        all.extend(hexadecimal(value));
        all.extend(percent(value));
        all.insert(value.escape_ascii().collect());
        if let Ok(text) = std::str::from_utf8(value) {
            all.extend(texts(text).into_iter().map(String::into_bytes));
        }
    }
    for line in value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        // The frame of a PEM file says what it is, and is the same in every one.
        if line.len() >= SHORTEST_LINE && !line.starts_with(b"-----") {
            all.insert(line.to_vec());
            all.extend(
                std::str::from_utf8(line)
                    .into_iter()
                    .flat_map(texts)
                    .map(String::into_bytes),
            );
        }
    }
    all
}

/// Base64 in both alphabets. In the midst of other bytes a value can begin at any of three places in a group of four characters; those
/// characters count that are of the value alone.
fn base64(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let mut bytes = vec![0; before];
            bytes.extend(value);
            let text = engine.encode(&bytes);
            let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            all.extend(text.get(first..end).map(|text| text.as_bytes().to_vec()));
        }
        let text = engine.encode(value);
        for wrap in WRAPS {
            let lines = text.as_bytes().chunks(wrap).filter(|line| line.len() >= SHORTEST_LINE);
            all.extend(lines.map(<[u8]>::to_vec));
        }
    }
    all
}

fn hexadecimal(value: &[u8]) -> [Vec<u8>; 2] {
    let mut text = String::with_capacity(value.len() * 2);
    for byte in value {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    let upper = text.to_ascii_uppercase().into_bytes();
    [text.into_bytes(), upper]
}

/// What is left as it is by RFC 3986 for unreserved characters, by `encodeURIComponent`, by `encodeURI`, and by forms, which also write
/// a blank as `+`.
const KEPT: [&str; 4] = ["-._~", "-._~!'()*", "-._~!'()*;/?:@&=+$,#", "-._*"];

fn percent(value: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for kept in KEPT {
        for blank_is_plus in [false, true] {
            for upper in [false, true] {
                let mut text = String::new();
                for byte in value {
                    // Writing to a string cannot fail.
                    let _ = match byte {
                        b' ' if blank_is_plus => write!(text, "+"),
                        _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(byte) => {
                            write!(text, "{}", char::from(*byte))
                        }
                        _ if upper => write!(text, "%{byte:02X}"),
                        _ => write!(text, "%{byte:02x}"),
                    };
                }
                all.push(text.into_bytes());
            }
        }
    }
    all
}

fn texts(text: &str) -> Vec<String> {
    let json = json(text, Json::Plain);
    let twice = self::json(&json, Json::Plain);
    let debug = format!("{text:?}");
    let mut all = vec![
        self::json(text, Json::Slash),
        self::json(text, Json::Ascii { upper: false }),
        self::json(text, Json::Ascii { upper: true }),
        self::json(text, Json::Html),
        twice,
        json,
        debug.get(1..debug.len() - 1).unwrap_or_default().to_owned(),
        text.escape_default().to_string(),
        xml(text),
    ];
    all.extend(shell(text));
    all
}

#[derive(Clone, Copy)]
enum Json {
    /// Only what has to be escaped.
    Plain,
    /// `/` as well, as PHP does.
    Slash,
    /// All that is not ASCII, as Python does.
    Ascii { upper: bool },
    /// What HTML would read, as Go does.
    Html,
}

fn json(text: &str, form: Json) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match (c, form) {
            ('"', _) => out += "\\\"",
            ('\\', _) => out += "\\\\",
            ('\n', _) => out += "\\n",
            ('\r', _) => out += "\\r",
            ('\t', _) => out += "\\t",
            ('\u{8}', _) => out += "\\b",
            ('\u{c}', _) => out += "\\f",
            ('/', Json::Slash) => out += "\\/",
            ('\0'..='\u{1f}', _) | ('<' | '>' | '&', Json::Html) => {
                unit(&mut out, u16::try_from(u32::from(c)).unwrap_or(0), false)
            }
            (c, Json::Ascii { upper }) if !c.is_ascii() || c == '\u{7f}' => {
                for code in c.encode_utf16(&mut [0; 2]) {
                    unit(&mut out, *code, upper);
                }
            }
            (c, _) => out.push(c),
        }
    }
    out
}

fn unit(out: &mut String, code: u16, upper: bool) {
    // Writing to a string cannot fail.
    let _ = if upper {
        write!(out, "\\u{code:04X}")
    } else {
        write!(out, "\\u{code:04x}")
    };
}

fn xml(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// In single quotes both ways, in double quotes, with backslashes as `printf %q` has them, and in `$'…'`.
fn shell(text: &str) -> [String; 5] {
    let escaped = |special: fn(char) -> bool| -> String {
        let each = text
            .chars()
            .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]));
        each.collect()
    };
    let dollar = escaped(|c| matches!(c, '\\' | '\''));
    [
        text.replace('\'', "'\\''"),
        text.replace('\'', "'\"'\"'"),
        escaped(|c| matches!(c, '"' | '\\' | '$' | '`')),
        escaped(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_@%+=:,./-\n".contains(c)),
        dollar.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"),
    ]
}
