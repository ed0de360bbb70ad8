//! Secrets across hosts, in words and for programs: which can be had, and whom each reaches. No value is in any of it.

use provision_core::model::{AbsPath, Fact, HostName, SecretItem, SecretVersion};
use serde_json::json;

use crate::cli::exit::Exit;
use crate::report::columns::columns;
use crate::report::json::{FORMAT_VERSION, document};
use crate::report::style::{Palette, paint};
use crate::report::words;

/// What the stores said of one secret of a host.
#[derive(Debug)]
pub struct Checked<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The secret's name.
    pub name: &'a str,
    /// Where it is kept.
    pub item: &'a SecretItem,
    /// Whether the host cannot do without it.
    pub required: bool,
    /// The version; `None` where nobody answered.
    pub found: Option<&'a Fact<Option<SecretVersion>>>,
}

impl Checked<'_> {
    /// Whether the host would get what it needs.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        match self.found {
            Some(Fact::Known(Some(_))) => true,
            Some(Fact::Known(None)) => !self.required,
            Some(Fact::Unknown(_)) | None => false,
        }
    }

    fn state(&self) -> &'static str {
        match self.found {
            Some(Fact::Known(Some(_))) => "there",
            Some(Fact::Known(None)) if self.required => "missing",
            Some(Fact::Known(None)) => "not there, and not required",
            Some(Fact::Unknown(_)) | None => "unknown",
        }
    }

    fn detail(&self) -> String {
        match self.found {
            Some(Fact::Known(Some(version))) => words::safe(&version.0),
            Some(Fact::Unknown(why)) => why.escaped(),
            Some(Fact::Known(None)) | None => String::new(),
        }
    }
}

/// A line for each secret of each host, and how many are fine.
#[must_use]
pub fn check_text(checked: &[Checked<'_>], hosts: usize, palette: Palette) -> String {
    let mut text = String::new();
    let mut host = None;
    let rows: Vec<Vec<String>> = checked
        .iter()
        .map(|one| {
            let mark = if one.is_fine() { "=" } else { "!" };
            vec![
                format!("  {mark} {}", one.name),
                words::safe(&one.item.to_string()),
                one.state().to_owned(),
                one.detail(),
            ]
        })
        .collect();
    for (one, line) in checked.iter().zip(columns(&rows)) {
        if host.replace(one.host) != Some(one.host) {
            text += &format!("{}\n", paint(palette.title(), one.host));
        }
        text += &line;
        text.push('\n');
    }
    let wrong = checked.iter().filter(|one| !one.is_fine()).count();
    let (secrets, hosts) = (words::count(checked.len(), "secret"), words::count(hosts, "host"));
    if wrong == 0 {
        text + &format!("{secrets} on {hosts}: all can be had\n")
    } else {
        text + &format!("{secrets} on {hosts}: {wrong} cannot be had\n")
    }
}

/// The same, for programs.
#[must_use]
pub fn check_json(checked: &[Checked<'_>], exit: Exit) -> String {
    let secrets = checked.iter().map(|one| {
        json!({
            "host": one.host,
            "name": one.name,
            "kept": one.item.to_string(),
            "required": one.required,
            "state": one.state(),
            "version": match one.found {
                Some(Fact::Known(Some(version))) => Some(version.0.as_str()),
                _ => None,
            },
            "why": match one.found {
                Some(Fact::Unknown(why)) => Some(why.untrusted()),
                _ => None,
            },
        })
    });
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "secrets check",
        "version": env!("CARGO_PKG_VERSION"),
        "secrets": secrets.collect::<Vec<_>>(),
        "exit_code": exit.code(),
    }))
}

/// Whom a secret reaches on one host.
#[derive(Debug)]
pub struct Reached<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The secret's name there.
    pub name: &'a str,
    /// Where it is kept.
    pub item: &'a SecretItem,
    /// The file that has it.
    pub path: &'a AbsPath,
    /// Who may read that.
    pub owner: &'a str,
    /// The units that restart when it changes.
    pub units: Vec<&'a str>,
}

/// A line for each file.
#[must_use]
pub fn who_text(reached: &[Reached<'_>], palette: Palette) -> String {
    let rows: Vec<Vec<String>> = reached
        .iter()
        .map(|one| {
            let units = if one.units.is_empty() {
                "no unit".to_owned()
            } else {
                one.units.join(", ")
            };
            vec![one.host.to_string(), one.path.to_string(), one.owner.to_owned(), units]
        })
        .collect();
    let mut text = String::new();
    let kept: std::collections::BTreeSet<_> = reached.iter().map(|one| words::safe(&one.item.to_string())).collect();
    for kept in kept {
        text += &format!("{}\n", paint(palette.title(), kept));
    }
    for line in columns(&rows) {
        text += &format!("  {line}\n");
    }
    text
}

/// The same, for programs.
#[must_use]
pub fn who_json(name: &str, reached: &[Reached<'_>]) -> String {
    let uses = reached.iter().map(|one| {
        json!({
            "host": one.host,
            "name": one.name,
            "kept": one.item.to_string(),
            "path": one.path,
            "owner": one.owner,
            "units": one.units,
        })
    });
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "secrets who",
        "version": env!("CARGO_PKG_VERSION"),
        "secret": name,
        "uses": uses.collect::<Vec<_>>(),
        "exit_code": Exit::Done.code(),
    }))
}
