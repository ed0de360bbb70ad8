//! The text of the age-encrypted file: names, versions and recipients in plain, each value as its own ciphertext.
//! It decrypts nothing and touches no disk.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::recipient::parse_recipient;
use crate::document::{Finding, FindingKind, Findings, Table, read};

/// The form of the file. It changes when a reader of the old form would misread the new one.
const FORMAT: u32 = 1;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreFile {
    /// Who can decrypt, as lines with their comments.
    pub(crate) recipients: Vec<String>,
    /// The secrets by name.
    pub(crate) secrets: BTreeMap<String, Stored>,
}

/// A secret of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// How often it was set. It goes on where the secret is removed and set again, so that no two values have one version.
    pub(crate) version: u32,
    /// The armored ciphertext; `None` once it is removed.
    pub(crate) age: Option<String>,
}

impl StoreFile {
    /// The recipients' keys, without comments.
    pub(crate) fn keys(&self) -> Vec<String> {
        let keys = self.recipients.iter().filter_map(|line| parse_recipient(line).ok());
        keys.map(|recipient| recipient.key).collect()
    }

    /// Reads the file's text.
    pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Self, Findings> {
        read(file, bytes, |document, found| {
            document.only(&["format", "recipients", "secrets"], found);
            match document.number("format", found) {
                Some((FORMAT, _)) => {}
                Some((other, span)) => {
                    let message = format!("this file is of form {other}, and this program knows form {FORMAT}");
                    found.push(
                        Finding::new(FindingKind::InvalidValue, message, span)
                            .help("use the version of `provision` that wrote it"),
                    );
                }
                None if found.is_empty() => found.push(missing("the file", "format", document)),
                None => {}
            }
            let recipients = document.texts("recipients", found).unwrap_or_default();
            if recipients.is_empty() && found.is_empty() {
                found.push(
                    missing("the file", "recipients", document)
                        .help("write the public keys that the secrets are encrypted to"),
                );
            }
            for (line, span) in &recipients {
                if let Err(bad) = parse_recipient(line) {
                    found.push(Finding::new(FindingKind::InvalidValue, bad.to_string(), span.clone()).help(bad.fix()));
                }
            }
            let secrets = document.table("secrets", found).map(|secrets| secrets.tables(found));
            let secrets = secrets.unwrap_or_default().into_iter();
            Self {
                recipients: recipients.into_iter().map(|(line, _)| line).collect(),
                secrets: secrets
                    .filter_map(|(name, table)| secret(name, &table, found))
                    .collect(),
            }
        })
    }

    /// The file's text: the same for the same content, one secret to a block, so that changes merge and compare secret by secret.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "# Secrets of this project, written by `provision secrets`. Each value is encrypted by itself with age (https://age-encryption.org)\n\
             # for the recipients below; names, versions and recipients are plain text. It belongs into git.\n\
             format = {FORMAT}\nrecipients = [\n"
        );
        for recipient in &self.recipients {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {},", quoted(recipient));
        }
        text += "]\n";
        for (name, secret) in &self.secrets {
            let _ = write!(text, "\n[secrets.{}]\nversion = {}\n", quoted(name), secret.version);
            if let Some(armored) = &secret.age {
                let _ = write!(text, "age = \"\"\"\n{}\n\"\"\"\n", armored.trim());
            }
        }
        text
    }
}

fn missing(of: &str, key: &str, table: &Table<'_>) -> Finding {
    Finding::new(FindingKind::MissingKey, format!("{of} needs `{key}`"), table.span())
}

fn secret(
    (name, span): (String, std::ops::Range<usize>),
    table: &Table<'_>,
    found: &mut Vec<Finding>,
) -> Option<(String, Stored)> {
    table.only(&["version", "age"], found);
    if let Err(why) = check_name(&name) {
        let finding = Finding::new(
            FindingKind::InvalidValue,
            format!("this cannot be a secret's name: {why}"),
            span,
        );
        found.push(finding);
        return None;
    }
    let before = found.len();
    let version = table.number("version", found);
    if version.is_none() && found.len() == before {
        found.push(missing(&format!("secret {name:?}"), "version", table));
    }
    let age = table.text("age", found);
    if let Some((text, span)) = &age
        && !text.trim_start().starts_with("-----BEGIN AGE ENCRYPTED FILE-----")
    {
        let finding = Finding::new(FindingKind::InvalidValue, "this is not encrypted", span.clone());
        let why = "whoever can read the project can read this value";
        let help = format!(
            "take it out and give it to `provision secrets set {name}`; where it was committed, change it where it is valid, too"
        );
        found.push(finding.because(why).help(help));
    }
    let age = age.map(|(text, _)| text);
    Some((
        name,
        Stored {
            version: version?.0,
            age,
        },
    ))
}

/// Whether a text can be a secret's name, or why not.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    match name.chars().next() {
        None => Err("it is empty"),
        _ if name.len() > 128 => Err("it is longer than 128 characters"),
        Some(first) if !first.is_ascii_alphanumeric() => Err("it does not begin with a letter or digit"),
        Some(_) if !name.chars().all(plain) => {
            Err("it has a character other than letters, digits, \".\", \"_\", \"-\" and \"/\"")
        }
        Some(_) => Ok(()),
    }
}

/// A text as TOML has it in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    const ARMOR: &str = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----";

    #[test]
    fn what_is_written_is_read() {
        let stored = |version, age: Option<&str>| Stored {
            version,
            age: age.map(|text| format!("{text}\n")),
        };
        let file = StoreFile {
            recipients: vec![RECIPIENT.to_owned()],
            secrets: [("b/c.d", stored(3, Some(ARMOR))), ("a", stored(1, None))]
                .map(|(name, stored)| (name.to_owned(), stored))
                .into(),
        };
        let text = file.text();
        assert_eq!(StoreFile::parse("s", text.as_bytes()).unwrap(), file);
        assert!(
            text.find("[secrets.\"a\"]").unwrap() < text.find("[secrets.\"b/c.d\"]").unwrap(),
            "{text}"
        );
    }

    #[test]
    fn every_mistake_is_found_at_its_place() {
        let head = format!("format = 1\nrecipients = [\"{RECIPIENT}\"]\n");
        for (text, kind, at) in [
            (String::new(), FindingKind::MissingKey, ""),
            (
                format!("format = 2\nrecipients = [\"{RECIPIENT}\"]\n"),
                FindingKind::InvalidValue,
                "2",
            ),
            ("format = 1\n".to_owned(), FindingKind::MissingKey, ""),
            (
                "format = 1\nrecipients = [\"me\"]\n".to_owned(),
                FindingKind::InvalidValue,
                "\"me\"",
            ),
            (format!("{head}[secrets.a]\n"), FindingKind::MissingKey, "a"),
            (
                format!("{head}[secrets.a]\nversion = -1\n"),
                FindingKind::InvalidValue,
                "-1",
            ),
            (
                format!("{head}[secrets.a]\nversion = 1\nage = \"plain\"\n"),
                FindingKind::InvalidValue,
                "\"plain\"",
            ),
            (
                format!("{head}[secrets.\"a b\"]\nversion = 1\n"),
                FindingKind::InvalidValue,
                "\"a b\"",
            ),
            (
                format!("{head}[secrets.a]\nversion = 1\nvalue = \"x\"\n"),
                FindingKind::UnknownKey,
                "value",
            ),
            (format!("{head}secrets = 1\n"), FindingKind::WrongType, "1"),
            (format!("{head}[secrets]\na = 1\n"), FindingKind::WrongType, "1"),
        ] {
            let found = StoreFile::parse("s", text.as_bytes()).unwrap_err();
            let [finding] = found.findings.as_slice() else {
                panic!("{text}: {found:?}")
            };
            assert_eq!(finding.kind, kind, "{text}: {finding:?}");
            assert_eq!(&found.text[finding.span.clone()], at, "{text}");
        }
    }

    #[test]
    fn names_are_plain() {
        for name in ["discord-token", "a/b_c.d", "7", &"x".repeat(128)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "-a", "/a", ".a", "a b", "a\n", "ä", "a\"", &"x".repeat(129)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_example_is_as_it_would_be_written() {
        let text = include_str!("../../../../secrets.example/secrets.age.toml");
        let file = StoreFile::parse("s", text.as_bytes()).unwrap();
        assert_eq!(file.secrets.len(), 1);
        assert_eq!(file.text(), text);
    }
}
