//! Errors to words and exit codes: the one place where a failure gets its kind, the chain of its causes and its hints.
//! Errors themselves know nothing of exit codes.

use std::error::Error;
use std::fmt::Write as _;

use serde::Serialize;

use super::secrets;
use super::style::{Palette, paint};
use super::words;
use crate::cli::exit::Exit;
use crate::cli::select::SelectError;
use crate::cli::ui::NobodyToAsk;
use crate::drive::{LogsError, ReachError, RecordsError, TunnelError};
use crate::load::LoadError;
use crate::saved::{ReadPlanError, WritePlanError};
use crate::secrets::SecretsError;
use provision_core::model::UnitName;

/// What ends a command.
#[derive(Debug)]
pub struct CommandError {
    /// How the program ends.
    pub exit: Exit,
    /// What went wrong.
    pub error: Box<dyn Error + Send + Sync>,
    /// What to do about it, each a sentence or a command.
    pub hints: Vec<String>,
    /// Text that was already rendered and says it better: the configuration's findings.
    pub findings: Option<String>,
}

impl CommandError {
    /// Nothing was touched.
    pub fn refused(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Exit::Refused, error)
    }

    /// Results could not be written.
    #[must_use]
    pub fn output(error: std::io::Error) -> Self {
        Self::new(Exit::Output, LostOutput(error))
    }

    /// The user stopped before anything was touched.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "stopped; nothing was touched")
    }

    /// A host did not tell of its records.
    #[must_use]
    pub fn records(host: &str, error: RecordsError) -> Self {
        match error {
            RecordsError::Reach(error) => Self::reach(host, &error),
            RecordsError::NoSuchGeneration { kept } => {
                let error = format!("{host} keeps no such generation");
                match (kept.first(), kept.last()) {
                    (Some(first), Some(last)) => Self::refused(error).hint(format!(
                        "it keeps {first} to {last}; see `provision generations {host}`"
                    )),
                    _ => Self::refused(error).hint("nothing was applied to it yet, so there is nothing to go back to"),
                }
            }
            error @ RecordsError::Locked(_) => Self::new(Exit::Locked, error),
            error @ RecordsError::Stale { .. } => Self::new(Exit::Stale, error),
        }
    }

    /// A host was not reached.
    #[must_use]
    pub fn reach(host: &str, error: &ReachError) -> Self {
        let unreachable = Self::new(Exit::Unreachable, format!("{host}: {}", reach_line(error)));
        Self {
            hints: error.hints.clone(),
            ..unreachable
        }
    }

    /// A host did not tell what a unit wrote.
    #[must_use]
    pub fn logs(host: &str, unit: &UnitName, user: Option<&str>, error: LogsError) -> Self {
        match error {
            LogsError::Reach(error) => Self::reach(host, &error),
            LogsError::NoSuchUser => {
                let user = user.unwrap_or_default();
                Self::refused(format!("{host} has no user {user:?}"))
                    .hint("without --user it is the system's units that are meant")
            }
            LogsError::NoSuchUnit { units, users } => {
                let of = user.map(|user| format!(" of {user}")).unwrap_or_default();
                let mut refused = Self::refused(format!(
                    "{host} has no unit {unit}{of}, and none ever wrote anything there"
                ));
                for owner in users.iter().filter(|owner| Some(owner.as_str()) != user) {
                    refused = refused.hint(format!(
                        "{owner} has one of that name: provision logs {host} {unit} --user {owner}"
                    ));
                }
                match closest(unit.as_str(), &units) {
                    Some(close) => refused.hint(format!("did you mean {close}?")),
                    None => refused,
                }
            }
        }
    }

    /// There is no tunnel to a host, or no longer.
    #[must_use]
    pub fn tunnel(host: &str, error: TunnelError) -> Self {
        match error {
            TunnelError::Reach(error) => Self::reach(host, &error),
            error @ TunnelError::ThisMachine => {
                Self::refused(error).hint("connect to its port directly: it is on this machine's 127.0.0.1")
            }
            error @ TunnelError::Listen { .. } => Self::refused(error).hint("choose another port here with --local PORT"),
            error @ TunnelError::Forbidden(_) => Self::refused(error).hint(
                "its sshd_config says AllowTcpForwarding no, DisableForwarding yes, or a PermitOpen without this port; or the \
                 key's line in authorized_keys says restrict or no-port-forwarding",
            ),
            error @ (TunnelError::Broken(_) | TunnelError::Lost) => Self::new(Exit::Unreachable, error),
        }
    }

    /// An error that ends the program so.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit,
            error: error.into(),
            hints: Vec::new(),
            findings: None,
        }
    }

    /// The same, with something to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// The name that was most likely meant.
fn closest<'a>(given: &str, names: &'a std::collections::BTreeSet<String>) -> Option<&'a String> {
    let distance = |name: &str| strsim::damerau_levenshtein(given, name);
    let close = names.iter().map(|name| (distance(name), name)).min()?;
    (close.0 <= 3 && close.0 * 3 <= given.chars().count()).then_some(close.1)
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output; the result is incomplete")]
struct LostOutput(#[source] std::io::Error);

impl From<SecretsError> for CommandError {
    fn from(error: SecretsError) -> Self {
        if let SecretsError::Open(error) = error {
            return secrets::error_in(error, Palette::PLAIN, 100);
        }
        let exit = if error.is_stale() { Exit::Stale } else { Exit::Refused };
        let hints = error.fixes();
        Self {
            hints,
            ..Self::new(exit, error)
        }
    }
}

impl From<SelectError> for CommandError {
    fn from(error: SelectError) -> Self {
        let hints = match &error {
            SelectError::NoHosts => vec!["a host is a file hosts/NAME.toml".to_owned()],
            SelectError::NoMatch { close, exists, .. } => {
                let close = close.as_ref().map(|close| format!("did you mean {close}?"));
                let exists = (!exists.is_empty()).then(|| format!("there are: {}", exists.join(", ")));
                close.into_iter().chain(exists).collect()
            }
            SelectError::Nothing { .. } => vec!["--tags, --limit and --exclude all narrow the hosts given".to_owned()],
        };
        Self {
            hints,
            ..Self::refused(error)
        }
    }
}

impl From<LoadError> for CommandError {
    fn from(error: LoadError) -> Self {
        let hint = match &error {
            LoadError::NoProject { .. } => Some(
                "a project is a directory with hosts/ in it; name one with --root DIR, or make one with `provision init`",
            ),
            LoadError::Read { .. } => None,
        };
        Self {
            hints: hint.into_iter().map(str::to_owned).collect(),
            ..Self::refused(error)
        }
    }
}

impl From<NobodyToAsk> for CommandError {
    fn from(error: NobodyToAsk) -> Self {
        Self::refused(error)
            .hint("--yes applies without asking")
            .hint("or save the plan with `provision plan --out FILE`, read it, and `provision apply FILE --yes`")
    }
}

impl From<ReadPlanError> for CommandError {
    fn from(error: ReadPlanError) -> Self {
        Self::refused(error).hint("make a new one with `provision plan --out FILE`")
    }
}

impl From<WritePlanError> for CommandError {
    fn from(error: WritePlanError) -> Self {
        Self::refused(error)
    }
}

/// An error as people read it: what, why (each cause on its line), and what to do.
#[must_use]
pub fn error_text(error: &CommandError, palette: Palette) -> String {
    if let Some(findings) = &error.findings {
        return findings.clone();
    }
    let mut text = format!(
        "{} {}\n",
        paint(palette.error(), "error:"),
        words::safe(&error.error.to_string())
    );
    text += &causes_text(error.error.as_ref(), "  ");
    text + &hints_text(&error.hints, palette)
}

/// Why a host could not be reached, under its name.
#[must_use]
pub fn reach_text(host: &str, error: &ReachError, palette: Palette) -> String {
    let head = paint(palette.error(), format!("{host}: {error}"));
    let mut text = format!("{head}\n{}", causes_text(error, "  "));
    text += &hints_text(&error.hints, palette);
    text
}

fn causes_text(error: &(dyn Error + 'static), indent: &str) -> String {
    causes(error)
        .iter()
        .map(|cause| format!("{indent}because: {cause}\n"))
        .collect()
}

/// Hints, each behind its word; a hint's further lines are indented, so that no text in it can pass for a line of ours.
fn hints_text(hints: &[String], palette: Palette) -> String {
    let mut text = String::new();
    for hint in hints {
        let mut lines = hint.lines().map(words::safe);
        let first = lines.next().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {first}", paint(palette.act(), "hint:"));
        for line in lines {
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}

/// The chain of causes, outermost first, without the error itself.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(words::safe(&cause.to_string()));
        next = cause.source();
    }
    causes
}

/// Why a host could not be reached, in one line.
#[must_use]
pub fn reach_line(error: &ReachError) -> String {
    let causes = causes(error);
    std::iter::once(error.to_string())
        .chain(causes)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Why a host could not be reached, for programs.
#[derive(Debug, Serialize)]
pub struct ReachJson {
    stage: &'static str,
    problem: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl From<&ReachError> for ReachJson {
    fn from(error: &ReachError) -> Self {
        Self {
            stage: error.stage.name(),
            problem: error.to_string(),
            causes: causes(error),
            hints: error.hints.clone(),
        }
    }
}
