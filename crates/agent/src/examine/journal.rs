//! What the journal of this boot says of failed units and of kills for want of memory, read backwards and once. It keeps
//! a bounded end of it, and says where that end does not reach.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use provision_core::model::{Fact, FailedUnit, HostText, Kill};
use provision_core::wire::limits::OUTPUT_LINE_BYTES;
use serde_json::Value;

use crate::child::{self, Invocation, status_words};
use crate::words::chain;

/// How long journalctl may take: a journal of gigabytes on a slow disk.
const DEADLINE: Duration = Duration::from_secs(30);

/// How many entries are read in all, the newest first.
const ENTRIES: usize = 5_000;

/// How many lines are kept of each unit.
const LINES: usize = 10;

/// How many kills are kept.
const KILLS: usize = 20;

/// systemd's message that the kernel killed something in a unit (`SD_MESSAGE_UNIT_OUT_OF_MEMORY`), and systemd-oomd's that
/// it did so itself.
const KILLED: [&str; 2] = [
    "MESSAGE_ID=fe6faa94e7774663a0da52717891d8ef",
    "MESSAGE_ID=d989611b15e44c9dbf31e3c81256e4ed",
];

/// The last lines of units, or why there are none.
pub(super) struct Lines(Result<Found, HostText>);

/// A unit, and the user whose manager it belongs to.
type Whose = (String, Option<String>);

#[derive(Default)]
struct Found {
    /// Whose lines are kept.
    wanted: BTreeSet<Whose>,
    lines: BTreeMap<Whose, Vec<HostText>>,
    kills: Vec<Kill>,
    entries: usize,
}

impl Lines {
    /// Those of one unit, the oldest first.
    pub(super) fn of(&self, unit: &FailedUnit) -> Fact<Vec<HostText>> {
        let found = match &self.0 {
            Ok(found) => found,
            Err(why) => return Fact::Unknown(why.clone()),
        };
        match found.lines.get(&whose(unit)) {
            Some(lines) => Fact::Known(lines.iter().rev().cloned().collect()),
            None if found.entries >= ENTRIES => {
                Fact::unknown(format!("not among the last {ENTRIES} entries that were read"))
            }
            None => Fact::Known(Vec::new()),
        }
    }
}

fn whose(unit: &FailedUnit) -> Whose {
    let user = unit.user.as_ref().map(|user| user.untrusted().to_owned());
    (unit.name.untrusted().to_owned(), user)
}

/// Reads what it says of these units, and of kills.
pub(super) fn read(failed: &[FailedUnit]) -> (Lines, Result<Vec<Kill>, HostText>) {
    match entries(failed) {
        Ok(mut found) => {
            let kills = std::mem::take(&mut found.kills);
            (Lines(Ok(found)), Ok(kills))
        }
        Err(why) => (Lines(Err(why.clone())), Err(why)),
    }
}

fn entries(failed: &[FailedUnit]) -> Result<Found, HostText> {
    let accounts = crate::accounts::Accounts::read().unwrap_or_default();
    let uids: BTreeMap<String, String> = failed
        .iter()
        .filter_map(|unit| accounts.user(unit.user.as_ref()?.untrusted()))
        .map(|user| (user.uid.to_string(), user.name.clone()))
        .collect();
    let invocation = Invocation::new("journalctl", DEADLINE)
        .args(["--boot", "--quiet", "--no-pager", "--reverse", "--output=json"])
        .args([
            format!("--lines={ENTRIES}"),
            "--output-fields=MESSAGE,MESSAGE_ID,UNIT,USER_UNIT,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT,_UID,_TRANSPORT"
                .to_owned(),
        ])
        .args(matches(failed, &uids));
    let mut found = Found {
        wanted: failed.iter().map(whose).collect(),
        ..Found::default()
    };
    let mut line = Vec::new();
    let mut last = String::new();
    let status = child::run_bytes(&invocation, &mut |bytes| {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            // The longest entry is one with a message of `OUTPUT_LINE_BYTES` in escapes; what is longer is no JSON then.
            if line.len() < 64 * OUTPUT_LINE_BYTES {
                line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                match serde_json::from_slice::<Value>(&line) {
                    Ok(entry) => found.take(&entry, &uids),
                    Err(_) => last = String::from_utf8_lossy(&line).trim().chars().take(200).collect(),
                }
                line.clear();
            }
        }
    })
    .map_err(|error| chain(&error))?;
    // It ends with 1 where nothing matches.
    if status.success() || (status.code() == Some(1) && last.is_empty()) {
        Ok(found)
    } else {
        Err(HostText::new(format!(
            "journalctl ended with {}: {last}",
            status_words(status)
        )))
    }
}

/// Alternatives, each behind a `+`: what the kernel calls an error, what was killed, and what each unit says or systemd of it.
fn matches(failed: &[FailedUnit], uids: &BTreeMap<String, String>) -> Vec<String> {
    let mut all: Vec<Vec<String>> = vec![vec!["_TRANSPORT=kernel".to_owned(), "PRIORITY=3".to_owned()]];
    all.extend(KILLED.map(|killed| vec![killed.to_owned()]));
    for unit in failed {
        let name = unit.name.untrusted();
        let of_user = if unit.user.is_some() { "USER_" } else { "" };
        all.push(vec![format!("_SYSTEMD_{of_user}UNIT={name}")]);
        all.push(vec![format!("{of_user}UNIT={name}")]);
        // Of a process that ended before journald looked at it, only the name of its unit is known, and whose it was.
        let uid = uids
            .iter()
            .find(|(_, user)| unit.user.as_ref().is_some_and(|of| of.untrusted() == **user));
        all.extend(uid.map(|(uid, _)| vec![format!("_SYSTEMD_UNIT={name}"), format!("_UID={uid}")]));
    }
    all.join(&["+".to_owned()][..])
}

impl Found {
    fn take(&mut self, entry: &Value, uids: &BTreeMap<String, String>) {
        self.entries += 1;
        let field = |name: &str| entry.get(name).and_then(Value::as_str);
        let message = message(entry.get("MESSAGE"));
        let micros = field("__REALTIME_TIMESTAMP").and_then(|at| at.parse::<u64>().ok());
        let at = micros.unwrap_or(0) / 1000;
        let is_kernel = field("_TRANSPORT") == Some("kernel");
        let id = field("MESSAGE_ID").unwrap_or_default();
        let is_kill = KILLED
            .iter()
            .any(|killed| killed.strip_prefix("MESSAGE_ID=") == Some(id));
        let unit = field("UNIT").or_else(|| field("_SYSTEMD_UNIT"));
        let user_unit = field("USER_UNIT").or_else(|| field("_SYSTEMD_USER_UNIT"));
        if is_kernel {
            // Whoever may write to the journal may not write as the kernel.
            let is_kill = message.starts_with("Out of memory: Killed")
                || message.starts_with("Memory cgroup out of memory: Killed");
            if is_kill && self.kills.len() < KILLS {
                self.kills.push(Kill {
                    at,
                    unit: None,
                    words: HostText::new(message),
                });
            }
            return;
        }
        if is_kill && self.kills.len() < KILLS {
            let unit = user_unit.or(unit).map(HostText::from);
            self.kills.push(Kill {
                at,
                unit,
                words: HostText::new(message.clone()),
            });
        }
        let user = field("_UID").and_then(|uid| uids.get(uid));
        let of_user = |unit: Option<&str>| Some((unit?.to_owned(), Some(user?.clone())));
        let of_system = unit.map(|unit| (unit.to_owned(), None));
        let keys = [of_system, of_user(user_unit), of_user(unit)];
        let keys = keys.into_iter().flatten().filter(|key| self.wanted.contains(key));
        let keys: Vec<_> = keys.take(1).collect();
        for key in keys {
            let lines = self.lines.entry(key).or_default();
            if lines.len() < LINES {
                lines.push(HostText::new(message.clone()));
            }
        }
    }
}

/// A message: text, or bytes where it is not UTF-8 or has control characters; nothing where it is too long to be told.
fn message(value: Option<&Value>) -> String {
    let text = match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(bytes)) => {
            let bytes: Vec<u8> = bytes
                .iter()
                .filter_map(|byte| u8::try_from(byte.as_u64()?).ok())
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => String::new(),
    };
    text.chars().take(OUTPUT_LINE_BYTES / 4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, user: Option<&str>) -> FailedUnit {
        FailedUnit {
            name: name.into(),
            user: user.map(HostText::from),
            result: "exit-code".into(),
            status: 1,
            restarts: 0,
            lines: Fact::unknown(""),
        }
    }

    fn wanting(units: &[(&str, Option<&str>)]) -> Found {
        Found {
            wanted: units.iter().map(|(name, user)| whose(&unit(name, *user))).collect(),
            ..Found::default()
        }
    }

    fn texts(lines: Fact<Vec<HostText>>) -> Vec<String> {
        let Fact::Known(lines) = lines else { panic!("{lines:?}") };
        lines.iter().map(|line| line.untrusted().to_owned()).collect()
    }

    #[test]
    fn lines_go_to_their_units_and_only_the_kernel_speaks_for_the_kernel() {
        let uids = BTreeMap::from([("1000".to_owned(), "bob".to_owned())]);
        let mut found = wanting(&[
            ("a.service", None),
            ("a.service", Some("bob")),
            ("f.service", Some("bob")),
        ]);
        for entry in [
            r#"{"MESSAGE":"Failed with result","UNIT":"a.service","_SYSTEMD_UNIT":"init.scope"}"#,
            r#"{"MESSAGE":[98,27,255],"_SYSTEMD_UNIT":"a.service"}"#,
            r#"{"MESSAGE":"mine","_SYSTEMD_UNIT":"user@1000.service","_SYSTEMD_USER_UNIT":"a.service","_UID":"1000"}"#,
            r#"{"MESSAGE":"Out of memory: Killed process 7 (a) total-vm:1kB","_TRANSPORT":"kernel","__REALTIME_TIMESTAMP":"1700000000123456"}"#,
            r#"{"MESSAGE":"Out of memory: Killed process 8 (forged)","_SYSTEMD_UNIT":"a.service","_TRANSPORT":"stdout"}"#,
            r#"{"MESSAGE":"b.service: A process of this unit has been killed by the OOM killer.","UNIT":"b.service",
                "MESSAGE_ID":"fe6faa94e7774663a0da52717891d8ef"}"#,
            r#"{"MESSAGE":null,"_SYSTEMD_UNIT":"c.service"}"#,
            r#"{"MESSAGE":"quick","_SYSTEMD_UNIT":"f.service","_UID":"1000"}"#,
            r#"{"MESSAGE":"of another","_SYSTEMD_UNIT":"f.service","_UID":"1001"}"#,
        ] {
            found.take(&serde_json::from_str(entry).unwrap(), &uids);
        }
        let kills: Vec<_> = found
            .kills
            .iter()
            .map(|kill| kill.unit.as_ref().map(HostText::untrusted))
            .collect();
        assert_eq!(kills, [None, Some("b.service")]);
        assert_eq!(found.kills[0].at, 1_700_000_000_123);
        let lines = Lines(Ok(found));
        assert_eq!(
            texts(lines.of(&unit("a.service", None))),
            [
                "Out of memory: Killed process 8 (forged)",
                "b\u{1b}\u{fffd}",
                "Failed with result"
            ]
        );
        assert_eq!(texts(lines.of(&unit("a.service", Some("bob")))), ["mine"]);
        assert_eq!(texts(lines.of(&unit("f.service", Some("bob")))), ["quick"]);
        assert!(texts(lines.of(&unit("d.service", None))).is_empty());
        let full = Lines(Ok(Found {
            entries: ENTRIES,
            ..Found::default()
        }));
        assert!(matches!(full.of(&unit("a.service", None)), Fact::Unknown(_)));
    }

    #[test]
    fn a_unit_keeps_its_last_lines_and_no_more() {
        let mut found = wanting(&[("a.service", None)]);
        for number in (0..50).rev() {
            let entry = serde_json::json!({ "MESSAGE": number.to_string(), "_SYSTEMD_UNIT": "a.service" });
            found.take(&entry, &BTreeMap::new());
        }
        let lines = texts(Lines(Ok(found)).of(&unit("a.service", None)));
        assert_eq!(
            (lines.len(), lines[0].as_str(), lines[LINES - 1].as_str()),
            (LINES, "40", "49")
        );
    }

    #[test]
    fn alternatives_are_joined() {
        let uids = BTreeMap::from([("1000".to_owned(), "bob".to_owned())]);
        let all = matches(&[unit("a.service", None), unit("b.service", Some("bob"))], &uids).join(" ");
        assert!(all.starts_with("_TRANSPORT=kernel PRIORITY=3 + MESSAGE_ID="), "{all}");
        assert!(
            all.ends_with(
                "+ _SYSTEMD_UNIT=a.service + UNIT=a.service + _SYSTEMD_USER_UNIT=b.service + USER_UNIT=b.service + _SYSTEMD_UNIT=b.service _UID=1000"
            ),
            "{all}"
        );
    }
}
