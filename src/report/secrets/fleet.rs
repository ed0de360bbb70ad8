//! Secrets across hosts, in words and for programs: which can be had, and whom each reaches. No value is in any of it.

use provision_core::model::{AbsPath, HostName, SecretItem, SecretVersion};
use provision_secrets::{Problem, StoreError};
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
    /// Whether anything on the host uses it.
    pub used: bool,
    /// The version, or why there is none; `None` where nobody was asked.
    pub found: Option<&'a Result<SecretVersion, StoreError>>,
}

impl Checked<'_> {
    /// Whether the host would get what it needs. What it declares and does not use is a warning alone.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        match self.state() {
            "there" | "not there, and not required" => true,
            _ => !self.used,
        }
    }

    fn state(&self) -> &'static str {
        match self.found {
            Some(Ok(_)) => "there",
            Some(Err(error)) => match error.problem {
                Problem::NotFound { .. } if self.required => "missing",
                Problem::NotFound { .. } => "not there, and not required",
                Problem::Empty => "empty",
                _ => "unreadable",
            },
            None => "unknown",
        }
    }

    fn why(&self) -> Option<String> {
        let error = self.found?.as_ref().err()?;
        let is_well = matches!(error.problem, Problem::NotFound { .. }) && !self.required;
        (!is_well).then(|| format!("{error}; {}", error.fix()))
    }

    fn version(&self) -> Option<&str> {
        self.found?.as_ref().ok().map(|version| version.0.as_str())
    }

    fn detail(&self) -> String {
        let detail = self
            .why()
            .or_else(|| self.version().map(str::to_owned))
            .unwrap_or_default();
        let detail = words::safe(&detail);
        match (self.used, detail.is_empty()) {
            (true, _) => detail,
            (false, true) => "unused".to_owned(),
            (false, false) => format!("{detail}, unused"),
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
            let mark = match (one.is_fine(), one.used) {
                (true, true) => "=",
                (true, false) => "~",
                (false, _) => "!",
            };
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
    let unused = checked.iter().filter(|one| !one.used).count();
    let (secrets, hosts) = (words::count(checked.len(), "secret"), words::count(hosts, "host"));
    let had = match wrong {
        0 => "all can be had".to_owned(),
        wrong => format!("{wrong} cannot be had"),
    };
    let unused = match unused {
        0 => String::new(),
        unused => format!(", {unused} used by nothing"),
    };
    text + &format!("{secrets} on {hosts}: {had}{unused}\n")
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
            "used": one.used,
            "version": one.version(),
            "why": one.why(),
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
