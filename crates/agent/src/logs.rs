//! What a unit wrote to the journal, as journalctl reads it, entry by entry. It keeps nothing, and gives up as soon as
//! nobody listens.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use provision_core::model::{HostText, LogEntry, Logs, Since};
use provision_core::wire::limits::{ENTRIES, ENTRY_BYTES};
use serde_json::Value;

use crate::accounts::{Accounts, AccountsError};
use crate::child::{self, ChildError, Invocation, status_words};
use crate::examine::unit_names;
use crate::systemd::{self, SystemdError};

/// How long journalctl may take to read what there is: a journal of gigabytes on a slow disk.
const DEADLINE: Duration = Duration::from_secs(100);

/// The longest entry that is read, in bytes of JSON. journald takes longer ones, and nobody reads them.
const JSON_BYTES: usize = 1 << 20;

/// How many names of units are told where the one asked for does not exist.
const NAMES: usize = 2_000;

/// How it ended.
pub(crate) enum Told {
    /// All of it was told.
    All,
    /// Nobody listens any more.
    HungUp,
    /// There is no such unit, and it never wrote anything.
    NoSuchUnit {
        /// Units that there are.
        units: BTreeSet<String>,
        /// Users whose managers have one of that name.
        users: BTreeSet<String>,
    },
    /// There is no such user.
    NoSuchUser,
}

/// Why the journal could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    #[error("cannot tell whether there is such a unit")]
    Systemd(#[source] SystemdError),
    #[error("cannot tell who that user is")]
    Accounts(#[source] AccountsError),
    #[error("cannot read the journal")]
    Run(#[source] ChildError),
    #[error("journalctl ended with {status}: {message}")]
    Failed { status: String, message: String },
}

/// Hands over what is asked for. `listener` is where answers go, and `tell` is `false` once nobody takes them.
///
/// # Errors
/// [`LogsError`].
pub(crate) fn tell(
    asked: &Logs,
    listener: BorrowedFd<'_>,
    tell: &mut dyn FnMut(Vec<LogEntry>) -> bool,
) -> Result<Told, LogsError> {
    let uid = match &asked.user {
        None => None,
        Some(user) => match Accounts::read().map_err(LogsError::Accounts)?.user(user) {
            Some(user) => Some(user.uid),
            None => return Ok(Told::NoSuchUser),
        },
    };
    let name = match uid {
        None => systemd::canonical(&asked.unit).map_err(LogsError::Systemd)?,
        // Its manager may not run any more.
        Some(_) => None,
    };
    let exists = name.is_some();
    let matches = matches(name.as_deref().unwrap_or(asked.unit.as_str()), uid);
    if !exists && !has_any(&matches)? {
        let (units, users) = unit_names(&asked.unit, asked.user.as_deref());
        let units = units.into_iter().take(NAMES).collect();
        return Ok(Told::NoSuchUnit { units, users });
    }
    let mut args = vec![
        "--all".to_owned(),
        "--output-fields=MESSAGE,SYSLOG_IDENTIFIER,_COMM,_PID,PRIORITY".to_owned(),
        format!("--lines={}", asked.lines.min(ENTRIES)),
    ];
    args.extend(asked.since.map(since));
    args.extend(asked.follow.then(|| "--follow".to_owned()));
    let deadline = (!asked.follow).then_some(DEADLINE);
    let mut reader = Reader::default();
    let ended = child::stream(
        &journalctl().args(args).args(matches),
        deadline,
        listener,
        &mut |bytes| {
            let entries = reader.feed(bytes);
            entries.is_empty() || tell(entries)
        },
    );
    match ended.map_err(LogsError::Run)? {
        None => Ok(Told::HungUp),
        Some(status) => reader.verdict(status).map(|()| Told::All),
    }
}

fn journalctl() -> Invocation {
    Invocation::new("journalctl", DEADLINE).args(["--quiet", "--no-pager", "--output=json"])
}

fn has_any(matches: &[String]) -> Result<bool, LogsError> {
    let mut reader = Reader::default();
    let mut any = false;
    let status = child::run_bytes(&journalctl().args(["--lines=1"]).args(matches), &mut |bytes| {
        any |= !reader.feed(bytes).is_empty();
    });
    reader.verdict(status.map_err(LogsError::Run)?)?;
    Ok(any)
}

/// What a unit writes, and what systemd writes of it. Of a user's process that ended before journald looked at it, only the
/// name of its unit is known, and whose it was.
fn matches(name: &str, uid: Option<u32>) -> Vec<String> {
    match uid {
        None => vec![format!("--unit={name}")],
        Some(uid) => {
            let uid = format!("_UID={uid}");
            let fields = ["_SYSTEMD_USER_UNIT", "USER_UNIT", "_SYSTEMD_UNIT"];
            let all: Vec<_> = fields
                .iter()
                .map(|field| vec![format!("{field}={name}"), uid.clone()])
                .collect();
            all.join(&["+".to_owned()][..])
        }
    }
}

fn since(since: Since) -> String {
    let at = match since {
        Since::At(at) => at,
        Since::Ago(seconds) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.as_secs().saturating_sub(seconds)
        }
    };
    format!("--since=@{at}")
}

/// Bytes into entries. What is no entry is a message of journalctl's own.
#[derive(Default)]
struct Reader {
    line: Vec<u8>,
    last: String,
}

impl Reader {
    fn feed(&mut self, bytes: &[u8]) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let room = JSON_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if piece.ends_with(b"\n") {
                let is_cut = self.line.len() >= JSON_BYTES;
                match serde_json::from_slice::<Value>(&self.line) {
                    Ok(value) => entries.push(entry(&value)),
                    Err(_) if is_cut => entries.push(too_long()),
                    Err(_) => self.last = String::from_utf8_lossy(&self.line).trim().chars().take(200).collect(),
                }
                self.line.clear();
            }
        }
        entries
    }

    /// journalctl ends with 1, and says nothing, where nothing matches.
    fn verdict(self, status: ExitStatus) -> Result<(), LogsError> {
        if status.success() || (status.code() == Some(1) && self.last.is_empty()) {
            return Ok(());
        }
        Err(LogsError::Failed {
            status: status_words(status),
            message: self.last,
        })
    }
}

fn too_long() -> LogEntry {
    LogEntry {
        at: 0,
        from: HostText::from(""),
        pid: None,
        priority: None,
        message: HostText::from("(an entry that is too long to be told)"),
    }
}

fn entry(value: &Value) -> LogEntry {
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    let micros = field("__REALTIME_TIMESTAMP").and_then(|at| at.parse::<u64>().ok());
    LogEntry {
        at: micros.unwrap_or(0) / 1000,
        from: HostText::from(
            field("SYSLOG_IDENTIFIER")
                .or_else(|| field("_COMM"))
                .unwrap_or_default(),
        ),
        pid: field("_PID").and_then(|pid| pid.parse().ok()),
        priority: field("PRIORITY").and_then(|priority| priority.parse().ok()),
        message: HostText::new(cut(message(value.get("MESSAGE")))),
    }
}

/// Text, or bytes where it is not UTF-8 or has control characters; several where a field is given more than once.
fn message(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) if parts.iter().all(Value::is_number) => {
            let bytes: Vec<u8> = parts
                .iter()
                .filter_map(|byte| u8::try_from(byte.as_u64()?).ok())
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| message(Some(part)))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > ENTRY_BYTES {
        let end = (0..=ENTRY_BYTES)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        text.push_str(" (cut here)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_any_pieces_and_the_rest_is_said() {
        let text = "{\"__REALTIME_TIMESTAMP\":\"1700000000123456\",\"SYSLOG_IDENTIFIER\":\"sh\",\"_PID\":\"7\",\"PRIORITY\":\"3\",\"MESSAGE\":\"a\\nb\"}\n\
            {\"_COMM\":\"x\",\"MESSAGE\":[97,27,255]}\n{\"MESSAGE\":[\"one\",[116,119,111]]}\nFailed to open\n";
        let mut reader = Reader::default();
        let mut entries = Vec::new();
        for piece in text.as_bytes().chunks(11) {
            entries.extend(reader.feed(piece));
        }
        let first = LogEntry {
            at: 1_700_000_000_123,
            from: "sh".into(),
            pid: Some(7),
            priority: Some(3),
            message: "a\nb".into(),
        };
        assert_eq!(entries[0], first);
        let rest: Vec<_> = entries[1..].iter().map(|entry| entry.message.untrusted()).collect();
        assert_eq!(rest, ["a\u{1b}\u{fffd}", "one\ntwo"]);
        assert_eq!(reader.last, "Failed to open");
    }

    #[test]
    fn what_is_too_long_is_cut_and_never_held() {
        let long = "x".repeat(ENTRY_BYTES * 2);
        let mut reader = Reader::default();
        let entries = reader.feed(format!("{{\"MESSAGE\":\"{long}\"}}\n").as_bytes());
        assert_eq!(entries[0].message.untrusted().len(), ENTRY_BYTES + " (cut here)".len());
        for _ in 0..3 * JSON_BYTES / 1000 {
            assert!(reader.feed(&[b'x'; 1000]).is_empty());
        }
        assert!(reader.line.len() <= JSON_BYTES);
        assert!(reader.feed(b"\n")[0].message.untrusted().contains("too long"));
    }
}
