//! What debconf's database has of questions: one pass over its file of answers, and the names in the file of passwords,
//! whose values are read by nobody. It takes no lock, starts no debconf, and knows nothing of templates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use provision_core::model::{DebconfAnswer, HostText};

use super::reason;

/// The file of answers, as Debian's configuration of debconf names it.
pub(crate) const ANSWERS: &str = "/var/cache/debconf/config.dat";
/// The file of passwords.
const PASSWORDS: &str = "/var/cache/debconf/passwords.dat";
/// Where debconf is told where its files are; the first that is there counts (debconf.conf(5)).
const CONFIGURATION: [&str; 3] = [
    "/root/.debconfrc",
    "/etc/debconf.conf",
    "/usr/share/debconf/debconf.conf",
];

/// The longest file that is read, in bytes; one with all the questions of a full desktop has some 2 MiB.
const FILE_BYTES: u64 = 64 << 20;
/// The longest line, in bytes: the choices of a question, such as all keyboards that there are.
const LINE_BYTES: u64 = 4 << 20;
/// The longest answer that could be put back, in bytes.
const VALUE_BYTES: usize = 64 << 10;

/// debconf moves its old file away before it moves the new one to its place. In between there is none.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// What the database has of the questions asked for, or why that is not known.
pub(super) struct Answers(Result<Database, String>);

/// Why the database cannot be read.
#[derive(Debug, thiserror::Error)]
enum DebconfError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is too long to be debconf's", path.display())]
    TooLong { path: PathBuf },
    #[error("{} is gone, and only an older one is there", path.display())]
    Gone { path: PathBuf },
    #[error("{} does not say that debconf keeps its answers in {ANSWERS}", path.display())]
    Elsewhere { path: PathBuf },
}

impl Answers {
    /// Reads what the database has of these questions; not read if there are none.
    pub(super) fn read<'a>(questions: impl Iterator<Item = &'a str>) -> Self {
        let questions: BTreeSet<&str> = questions.collect();
        if questions.is_empty() {
            return Self(Ok(Database::default()));
        }
        let read = is_in_its_place(&CONFIGURATION.map(Path::new))
            .and_then(|()| Database::read(Path::new(ANSWERS), Path::new(PASSWORDS), &questions));
        Self(read.map_err(|error| reason(&error)))
    }

    /// What it has of one of them.
    pub(super) fn of(&self, question: &str) -> Result<DebconfAnswer, String> {
        self.0.as_ref().map_err(Clone::clone)?.of(question)
    }
}

/// Whether debconf is told to keep its answers where they are read here. Where it is told nothing, there is no debconf.
fn is_in_its_place(configuration: &[&Path]) -> Result<(), DebconfError> {
    for path in configuration {
        let Some(file) = opened(path)? else { continue };
        let mut text = String::new();
        let read = file.take(FILE_BYTES).read_to_string(&mut text);
        read.map_err(|source| failed(path, source))?;
        let says = |line: &str| {
            let named = line.split_once(':');
            named.is_some_and(|(key, value)| key.trim().eq_ignore_ascii_case("filename") && value.trim() == ANSWERS)
        };
        return if text.lines().any(says) {
            Ok(())
        } else {
            Err(DebconfError::Elsewhere {
                path: (*path).to_owned(),
            })
        };
    }
    Ok(())
}

/// A file; `None` where there is none.
fn opened(path: &Path) -> Result<Option<File>, DebconfError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

fn failed(path: &Path, source: io::Error) -> DebconfError {
    DebconfError::Read {
        path: path.to_owned(),
        source,
    }
}

/// What is in the files of the questions that are looked for.
#[derive(Debug, Default)]
struct Database {
    answers: BTreeMap<String, Stanza>,
    passwords: BTreeSet<String>,
}

/// What counts of one stanza.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stanza {
    name: Vec<u8>,
    value: Option<Vec<u8>>,
    seen: bool,
}

impl Database {
    fn read(answers: &Path, passwords: &Path, questions: &BTreeSet<&str>) -> Result<Self, DebconfError> {
        let mut database = Self::default();
        let is_asked = |name: &str| questions.contains(name);
        if let Some(file) = opened_patiently(answers)? {
            stanzas(answers, file, &mut |stanza| {
                if let Some(name) = std::str::from_utf8(&stanza.name).ok().filter(|name| is_asked(name)) {
                    // As for debconf, the last of two is the one that counts.
                    database.answers.insert(name.to_owned(), stanza.clone());
                }
            })?;
        }
        if let Some(file) = opened(passwords)? {
            stanzas(passwords, file, &mut |stanza| {
                if let Some(name) = std::str::from_utf8(&stanza.name).ok().filter(|name| is_asked(name)) {
                    database.passwords.insert(name.to_owned());
                }
            })?;
        }
        Ok(database)
    }

    fn of(&self, question: &str) -> Result<DebconfAnswer, String> {
        if self.passwords.contains(question) {
            return Ok(DebconfAnswer::Password);
        }
        let Some(stanza) = self.answers.get(question) else {
            return Ok(DebconfAnswer::None);
        };
        let value = match &stanza.value {
            None => None,
            Some(bytes) if bytes.len() > VALUE_BYTES => {
                return Err(format!(
                    "its answer is longer than {} KiB, and could not be put back",
                    VALUE_BYTES >> 10
                ));
            }
            Some(bytes) => match String::from_utf8(bytes.clone()) {
                Ok(text) => Some(HostText::new(text)),
                Err(_) => return Err("its answer is not UTF-8, and could not be put back".to_owned()),
            },
        };
        Ok(DebconfAnswer::Known {
            value,
            seen: stanza.seen,
        })
    }
}

/// The file of answers; `None` where debconf has never kept any.
fn opened_patiently(path: &Path) -> Result<Option<File>, DebconfError> {
    let older = path.with_extension("dat-old");
    for _ in 0..TRIES {
        if let Some(file) = opened(path)? {
            return Ok(Some(file));
        }
        if opened(&older)?.is_none() {
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
    Err(DebconfError::Gone { path: path.to_owned() })
}

/// Hands over each stanza that has a name. The form is debconf's own (`Debconf::Format::822`): fields as in mail, but that
/// "\n" stands for a line feed and nothing stands for a backslash, variables in indented lines, and an empty line at the end.
fn stanzas(path: &Path, file: impl Read, take: &mut dyn FnMut(&Stanza)) -> Result<(), DebconfError> {
    let mut reader = BufReader::with_capacity(256 << 10, file.take(FILE_BYTES));
    let mut stanza = Stanza::default();
    let mut in_variables = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
        let read = read.map_err(|source| failed(path, source))?;
        let end = line.strip_suffix(b"\n");
        if end.is_none() && (read as u64 == LINE_BYTES || (read > 0 && reader.get_ref().limit() == 0)) {
            return Err(DebconfError::TooLong { path: path.to_owned() });
        }
        let line = end.unwrap_or(&line);
        if line.is_empty() {
            let stanza = std::mem::take(&mut stanza);
            in_variables = false;
            if !stanza.name.is_empty() {
                take(&stanza);
            }
        } else if !(in_variables && line.first().is_some_and(u8::is_ascii_whitespace)) {
            in_variables = field(&mut stanza, line);
        }
        if read == 0 {
            break;
        }
    }
    if reader.get_ref().limit() == 0 {
        return Err(DebconfError::TooLong { path: path.to_owned() });
    }
    Ok(())
}

/// Takes in a field; whether variables follow.
fn field(stanza: &mut Stanza, line: &[u8]) -> bool {
    let colon = line.iter().position(|byte| *byte == b':');
    let (key, value) = colon.map_or((line, None), |at| (&line[..at], line.get(at + 1..)));
    let value = value.map(|value| match value.first() {
        Some(blank) if blank.is_ascii_whitespace() => &value[1..],
        _ => value,
    });
    match (key.to_ascii_lowercase().as_slice(), value) {
        (b"name", Some(value)) => stanza.name = value.to_owned(),
        (b"value", Some(value)) => stanza.value = Some(unescaped(value)),
        (b"flags", Some(value)) => {
            stanza.seen = value
                .split(|byte| *byte == b',')
                .any(|flag| flag.trim_ascii() == b"seen");
        }
        (b"variables", _) => return true,
        _ => {}
    }
    false
}

fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\n") {
            text.push(b'\n');
            rest = after;
        } else {
            text.push(*byte);
            rest = after;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn all(text: &[u8]) -> Result<Vec<Stanza>, DebconfError> {
        let mut found = Vec::new();
        stanzas(Path::new("config.dat"), text, &mut |stanza| found.push(stanza.clone()))?;
        Ok(found)
    }

    #[test]
    fn stanzas_are_read_as_debconf_reads_them() {
        let stanza = |name: &str, value: Option<&str>, seen| Stanza {
            name: name.into(),
            value: value.map(Into::into),
            seen,
        };
        let cases: &[(&str, &[Stanza])] = &[
            ("", &[]),
            ("\n\n\n", &[]),
            (
                "Name: a/b\nTemplate: a/b\nValue: Local only\nOwners: a\nFlags: seen\n\n",
                &[stanza("a/b", Some("Local only"), true)],
            ),
            // The last one need not be followed by an empty line, nor by a line feed.
            ("Name: a/b\nValue: x", &[stanza("a/b", Some("x"), false)]),
            ("Name: a/b\nTemplate: a/b\nOwners: a\n\n", &[stanza("a/b", None, false)]),
            ("Name: a/b\nValue: \n\n", &[stanza("a/b", Some(""), false)]),
            ("Name: a/b\nValue:\n\n", &[stanza("a/b", Some(""), false)]),
            // One blank belongs to the form, and the others to the answer.
            ("Name: a/b\nValue:   x  \n\n", &[stanza("a/b", Some("  x  "), false)]),
            ("Name: a/b\nValue: a: b\n\n", &[stanza("a/b", Some("a: b"), false)]),
            (
                "Name: a/b\nValue: a\\nb\\tc\\\\n\n\n",
                &[stanza("a/b", Some("a\nb\\tc\\\n"), false)],
            ),
            (
                "name: a/b\nVALUE: x\nflags: other, seen\n\n",
                &[stanza("a/b", Some("x"), true)],
            ),
            ("Name: a/b\nFlags: unseen, seenx\n\n", &[stanza("a/b", None, false)]),
            // Variables look like fields, and are none.
            (
                "Name: a/b\nVariables:\n Value: = no\n Name = c/d\nValue: x\n\n",
                &[stanza("a/b", Some("x"), false)],
            ),
            // Without a name it is nobody's.
            ("Value: x\nFlags: seen\n\nName: c/d\n\n", &[stanza("c/d", None, false)]),
            ("Name: a/b\nno field at all\n\u{7f}\n\n", &[stanza("a/b", None, false)]),
        ];
        for (text, wanted) in cases {
            assert_eq!(all(text.as_bytes()).unwrap(), *wanted, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_debconfs() {
        let endless = || io::repeat(b'x');
        let error = stanzas(Path::new("config.dat"), endless(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, DebconfError::TooLong { .. }), "{error}");
        // Lines of any number, as long as the file.
        let lines = b"Name: a/b\n".repeat(100);
        let many = Lines {
            lines,
            at: 0,
            left: usize::try_from(FILE_BYTES).unwrap(),
        };
        let error = stanzas(Path::new("config.dat"), many, &mut |_| {}).unwrap_err();
        assert!(matches!(error, DebconfError::TooLong { .. }), "{error}");
    }

    /// Some lines again and again, up to a length.
    struct Lines {
        lines: Vec<u8>,
        at: usize,
        left: usize,
    }

    impl Read for Lines {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let from = &self.lines[self.at..];
            let length = from.len().min(into.len()).min(self.left);
            into[..length].copy_from_slice(&from[..length]);
            self.at = (self.at + length) % self.lines.len();
            self.left -= length;
            Ok(length)
        }
    }

    #[test]
    fn each_question_has_its_answer_or_why_that_is_not_known() {
        let scratch = Scratch::new();
        let (answers, passwords) = (scratch.path().join("config.dat"), scratch.path().join("passwords.dat"));
        let questions = [
            "a/known",
            "a/default",
            "a/none",
            "a/password",
            "a/binary",
            "a/long",
            "a/twice",
        ]
        .into();
        let long = "x".repeat(VALUE_BYTES + 1);
        let mut text =
            format!("Name: a/known\nValue: x\nFlags: seen\n\nName: a/default\n\nName: a/long\nValue: {long}\n\n")
                .into_bytes();
        text.extend(
            b"Name: a/binary\nValue: \xff\n\nName: \xff/x\n\nName: a/twice\nValue: 1\n\nName: a/twice\nValue: 2\n\n",
        );
        std::fs::write(&answers, text).unwrap();
        std::fs::write(&passwords, "Name: a/password\nValue: hunter2\n\n").unwrap();
        let database = Database::read(&answers, &passwords, &questions).unwrap();
        assert!(!format!("{database:?}").contains("hunter2"));
        let known = |value: Option<&str>, seen| {
            Ok(DebconfAnswer::Known {
                value: value.map(Into::into),
                seen,
            })
        };
        assert_eq!(database.of("a/known"), known(Some("x"), true));
        assert_eq!(database.of("a/default"), known(None, false));
        assert_eq!(database.of("a/twice"), known(Some("2"), false));
        assert_eq!(database.of("a/none"), Ok(DebconfAnswer::None));
        assert_eq!(database.of("a/password"), Ok(DebconfAnswer::Password));
        assert!(database.of("a/binary").unwrap_err().contains("UTF-8"));
        assert!(database.of("a/long").unwrap_err().contains("64 KiB"));
    }

    #[test]
    fn a_database_that_is_not_there_is_told_from_one_that_cannot_be_read() {
        let scratch = Scratch::new();
        let at = |name: &str| scratch.path().join(name);
        let questions = ["a/b"].into();
        let read = || Database::read(&at("config.dat"), &at("passwords.dat"), &questions);
        assert_eq!(read().unwrap().of("a/b"), Ok(DebconfAnswer::None));
        // It is being replaced, and whoever does so never comes to an end.
        std::fs::write(at("config.dat-old"), "").unwrap();
        assert!(matches!(read(), Err(DebconfError::Gone { .. })));
        std::fs::create_dir(at("config.dat")).unwrap();
        assert!(matches!(read(), Err(DebconfError::Read { .. })));
    }

    #[test]
    fn answers_that_are_kept_elsewhere_are_not_known() {
        let scratch = Scratch::new();
        let (none, own, other) = (
            scratch.path().join("none"),
            scratch.path().join("own"),
            scratch.path().join("other"),
        );
        std::fs::write(&own, format!("Name: config\nfilename:  {ANSWERS}\n")).unwrap();
        std::fs::write(&other, "Name: config\nDriver: LDAP\n# Filename: x\n").unwrap();
        assert!(is_in_its_place(&[&none]).is_ok());
        assert!(is_in_its_place(&[&none, &own, &other]).is_ok());
        assert!(matches!(
            is_in_its_place(&[&none, &other, &own]),
            Err(DebconfError::Elsewhere { .. })
        ));
    }
}
