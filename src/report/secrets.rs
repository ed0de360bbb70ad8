//! Secrets in words: names, versions, about how long, and what stores refuse. Of a value it shows nothing but where
//! a document is asked to reveal it.

pub mod fleet;
pub mod policy;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provision_core::config::{Code, Diagnostic, SourceMap, Span, render};
use provision_secrets::{
    Finding, FindingKind, Findings, Listing, NoAnswer, Problem, Rekeyed, SecretValue, StoreError, Version,
};
use serde_json::{Value, json};

use super::columns::columns;
use super::error::CommandError;
use super::json::{FORMAT_VERSION, document};
use super::style::{Palette, paint};
use super::words;
use crate::cli::ui::Ui;

/// What a store refuses, as what ends a command.
#[must_use]
pub fn error(error: StoreError, ui: &Ui) -> CommandError {
    error_in(error, ui.talk(), ui.width())
}

/// The same, where only the colours and the width are known.
#[must_use]
pub fn error_in(error: StoreError, palette: Palette, width: usize) -> CommandError {
    if let Problem::Malformed(found) = &error.problem {
        let findings = findings(found, palette != Palette::PLAIN, width);
        let sum = words::count(found.findings.len(), "error");
        let word = paint(palette.error(), "error:");
        return CommandError {
            findings: Some(format!("{findings}\n{word} {sum} in {}\n", words::safe(&found.file))),
            ..CommandError::refused(error)
        };
    }
    let fix = error.fix();
    CommandError::refused(error).hint(fix)
}

/// Findings of a store's own files, each with its line underlined.
fn findings(found: &Findings, coloured: bool, width: usize) -> String {
    let mut sources = SourceMap::default();
    let source = sources.add(&*found.file, found.text.clone());
    let diagnostic = |finding: &Finding| Diagnostic {
        why: finding.why.clone(),
        help: finding.help.clone(),
        ..Diagnostic::error(
            code(finding.kind),
            &finding.message,
            Span::new(source, finding.span.clone()),
            &finding.label,
        )
    };
    let diagnostics: Vec<_> = found.findings.iter().map(diagnostic).collect();
    render(&diagnostics, &sources, coloured, width)
}

const fn code(kind: FindingKind) -> Code {
    match kind {
        FindingKind::Syntax => Code::Syntax,
        FindingKind::NotText => Code::NotText,
        FindingKind::UnknownKey => Code::UnknownKey,
        FindingKind::WrongType => Code::WrongType,
        FindingKind::InvalidValue => Code::InvalidValue,
        FindingKind::MissingKey => Code::MissingKey,
    }
}

/// Why a person gave no value.
#[must_use]
pub fn no_answer(error: NoAnswer, name: &str) -> CommandError {
    match error {
        NoAnswer::Cancelled => CommandError::interrupted(),
        NoAnswer::SeveralLines => CommandError::refused(error).hint(format!(
            "use the editor, `provision secrets edit {name}`, or a file, `provision secrets set {name} < FILE`"
        )),
        other => CommandError::refused(other).hint(format!(
            "give it on standard input: `provision secrets set {name} < FILE`"
        )),
    }
}

/// About how long a value is: what is needed to see that it is not plainly the wrong one, and of no use to guess it.
#[must_use]
pub fn length(value: &SecretValue) -> String {
    let lower = 1_usize << value.len().max(1).ilog2();
    let size = if value.len() < 16 {
        "under 16 bytes".to_owned()
    } else {
        format!("{lower} to {} bytes", 2 * lower - 1)
    };
    let bytes = value.expose();
    let lines = bytes.split(|byte| *byte == b'\n').count() - usize::from(bytes.ends_with(b"\n"));
    let form = match (std::str::from_utf8(bytes), lines) {
        (Err(_), _) => "binary",
        (Ok(_), 0 | 1) if bytes.ends_with(b"\n") => "one line, with a line feed at its end",
        (Ok(_), 0 | 1) => "one line",
        (Ok(_), _) => "several lines",
    };
    format!("{size}, {form}")
}

/// Whether a terminal would do something with the value other than show it.
#[must_use]
pub fn would_be_obeyed(value: &SecretValue) -> bool {
    match std::str::from_utf8(value.expose()) {
        Ok(text) => text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')),
        Err(_) => true,
    }
}

/// A new `secrets/stores.toml`.
#[must_use]
pub fn new_config(recipients: &[String]) -> String {
    let mut lines = String::new();
    for recipient in recipients {
        // Writing to a string cannot fail. A text of JSON is one of TOML.
        let _ = writeln!(lines, "  {},", Value::from(recipient.as_str()));
    }
    format!(include_str!("secrets/stores.toml"), recipients = lines)
}

/// What to do with a new store; `unrecorded` where the recipients are in the store's own file alone, `ignored` the line of `.gitignore`
/// for which git would pass it over.
#[must_use]
pub fn after_init(recipients: &[String], unrecorded: bool, ignored: Option<String>) -> String {
    let who = words::count(recipients.len(), "recipient");
    let mut text = format!("\n{who} can decrypt it:\n");
    for recipient in recipients {
        let _ = writeln!(text, "  {}", words::safe(recipient));
    }
    if unrecorded {
        text += "secrets/stores.toml names no recipients: to change who they are, write [age] recipients there, then `provision secrets rekey`.\n";
    }
    if let Some(line) = ignored {
        let _ = writeln!(
            text,
            "\n.gitignore has the line {}, which keeps the store out of git: take it out.",
            words::safe(&line)
        );
    }
    text + "\nNow:\n  provision secrets set discord-token      asks for a value, without showing it\n  provision secrets list\n"
}

/// That a value was stored.
#[must_use]
pub fn stored(command: &str, name: &str, version: &Version, length: &str, json: bool) -> String {
    if json {
        return with_head(
            command,
            json!({ "name": name, "secret_version": version.as_str(), "about": length }),
        );
    }
    format!("{}  {version}, {length}\n", words::safe(name))
}

/// That nothing was stored.
#[must_use]
pub fn unchanged(name: &str) -> String {
    format!("{} is as it was; nothing was stored\n", words::safe(name))
}

/// That a secret is gone.
#[must_use]
pub fn removed(name: &str, json: bool) -> String {
    if json {
        return with_head("secrets remove", json!({ "name": name }));
    }
    format!(
        "removed  {}; git's history still has it, encrypted\n",
        words::safe(name)
    )
}

/// A secret without its value.
#[must_use]
pub fn get_text(name: &str, version: &Version, value: &SecretValue) -> String {
    format!(
        "{}  {version}, {}; --reveal prints it\n",
        words::safe(name),
        length(value)
    )
}

/// A secret for programs, with its value only where it is revealed.
#[must_use]
pub fn get_json(name: &str, version: &Version, value: &SecretValue, revealed: Option<&SecretValue>) -> String {
    let mut fields = json!({ "name": name, "secret_version": version.as_str(), "about": length(value) });
    if let Some(value) = revealed {
        let text = std::str::from_utf8(value.expose()).ok();
        fields["value"] = text.map_or(Value::Null, Value::from);
        fields["value_base64"] = STANDARD.encode(value.expose()).into();
    }
    with_head("secrets get", fields)
}

/// The store's secrets and recipients.
#[must_use]
pub fn list_text(listing: &Listing, palette: Palette) -> String {
    let rows: Vec<_> = listing
        .secrets
        .iter()
        .map(|secret| vec![words::safe(&secret.name), secret.version.to_string()])
        .collect();
    let mut text = if rows.is_empty() {
        format!("{} has no secrets yet\n", words::safe(&listing.file))
    } else {
        columns(&rows).join("\n") + "\n"
    };
    let who = words::count(listing.recipients.len(), "recipient");
    text += &paint(
        palette.faint(),
        format!("{who} can decrypt {}:", words::safe(&listing.file)),
    );
    text.push('\n');
    for recipient in &listing.recipients {
        text += &paint(palette.faint(), format!("  {}", words::safe(recipient)));
        text.push('\n');
    }
    text
}

/// The same, for programs.
#[must_use]
pub fn list_json(listing: &Listing) -> String {
    let secrets: Vec<_> = listing
        .secrets
        .iter()
        .map(|secret| json!({ "name": secret.name, "version": secret.version.as_str() }))
        .collect();
    with_head(
        "secrets list",
        json!({ "file": listing.file, "recipients": listing.recipients, "secrets": secrets }),
    )
}

/// What encrypting anew has done.
#[must_use]
pub fn rekey_text(done: &Rekeyed) -> String {
    if done.added.is_empty() && done.removed.is_empty() {
        return "the store is encrypted to these recipients already; nothing was changed\n".to_owned();
    }
    let mut text = format!(
        "{} encrypted anew; versions and values are as they were\n",
        words::count(done.secrets, "secret")
    );
    for (sign, lines) in [('+', &done.added), ('-', &done.removed)] {
        for line in lines {
            let _ = writeln!(text, "  {sign} {}", words::safe(line));
        }
    }
    if !done.removed.is_empty() {
        text += "Whoever left can still read what git's history has: set these secrets anew where that matters.\n";
    }
    text
}

/// The same, for programs.
#[must_use]
pub fn rekey_json(done: &Rekeyed) -> String {
    with_head(
        "secrets rekey",
        json!({ "secrets": done.secrets, "added": done.added, "removed": done.removed }),
    )
}

fn with_head(command: &str, fields: Value) -> String {
    let mut whole = json!({
        "format_version": FORMAT_VERSION,
        "command": command,
        "version": env!("CARGO_PKG_VERSION"),
    });
    if let (Value::Object(whole), Value::Object(fields)) = (&mut whole, fields) {
        whole.extend(fields);
    }
    document(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_roughly() {
        for (value, told) in [
            (&b"x"[..], "under 16 bytes, one line"),
            (
                b"0123456789abcde\n",
                "16 to 31 bytes, one line, with a line feed at its end",
            ),
            (&[b'x'; 17], "16 to 31 bytes, one line"),
            (b"one\ntwo\n", "under 16 bytes, several lines"),
            (b"\xff", "under 16 bytes, binary"),
        ] {
            assert_eq!(length(&SecretValue::new(value.to_vec())), told);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_seen() {
        for (value, obeyed) in [
            (&b"a\n\tb"[..], false),
            (b"\x1b[2J", true),
            (b"\xff", true),
            (b"a\rb", true),
        ] {
            assert_eq!(would_be_obeyed(&SecretValue::new(value.to_vec())), obeyed);
        }
    }
}
