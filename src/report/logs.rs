//! What a unit wrote, for people and programs. Times are in UTC, as everywhere.

use std::fmt::Write as _;

use provision_core::model::{HostName, HostText, LogEntry, UnitName};
use serde_json::json;

use super::json::{FORMAT_VERSION, line};
use super::style::{Palette, paint};
use super::words;

/// One entry: further lines of a message are indented, so that none of them can pass for an entry.
#[must_use]
pub fn entry_text(entry: &LogEntry, palette: Palette) -> String {
    let at = words::time(entry.at / 1000);
    let at = at.strip_suffix(" UTC").unwrap_or(&at);
    let pid = entry.pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
    let head = paint(palette.faint(), format!("{at} {}{pid}:", entry.from.escaped()));
    let style = match entry.priority {
        Some(0..=3) => palette.remove(),
        Some(4) => palette.update(),
        Some(_) | None => anstyle::Style::new(),
    };
    let mut lines = entry
        .message
        .untrusted()
        .lines()
        .map(|line| HostText::from(line).escaped());
    let mut text = format!("{head} {}\n", paint(style, lines.next().unwrap_or_default()));
    for line in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {}", paint(style, line));
    }
    text
}

/// What is said behind the last entry; `None` where nothing needs to be.
#[must_use]
pub fn end_words(unit: &UnitName, count: u64, lines: u32, since: bool) -> Option<String> {
    if count == 0 {
        let when = if since { " since then" } else { "" };
        return Some(format!("{unit} wrote nothing{when}\n"));
    }
    (count >= u64::from(lines)).then(|| format!("the newest {count} entries; --lines shows more\n"))
}

/// One entry, for programs.
#[must_use]
pub fn entry_line(host: &HostName, entry: &LogEntry) -> String {
    line(&json!({
        "format_version": FORMAT_VERSION,
        "type": "entry",
        "host": host,
        "at": entry.at,
        "from": entry.from,
        "pid": entry.pid,
        "priority": entry.priority,
        "message": entry.message,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_line_and_its_further_lines_cannot_pass_for_entries() {
        let entry = LogEntry {
            at: 1_700_000_000_123,
            from: "sh\u{1b}".into(),
            pid: Some(7),
            priority: Some(3),
            message: "one\u{1b}[31m\n2023-11-14 22:13:20 sshd[1]: forged\n\tthree".into(),
        };
        assert_eq!(
            entry_text(&entry, Palette::PLAIN),
            "2023-11-14 22:13:20 sh\\u{1b}[7]: one\\u{1b}[31m\n    2023-11-14 22:13:20 sshd[1]: forged\n    \\tthree\n"
        );
        let unit = UnitName::new("a.service").unwrap();
        assert_eq!(end_words(&unit, 99, 100, false), None);
        assert!(end_words(&unit, 100, 100, false).unwrap().contains("--lines"));
        assert!(end_words(&unit, 0, 100, true).unwrap().contains("nothing since then"));
    }
}
