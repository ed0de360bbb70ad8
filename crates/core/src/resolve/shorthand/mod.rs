//! Shorthands to the resources that they stand for: files that a program checks, units, links. One file per shorthand; what
//! they become is planned and undone as if it were written out.

mod allow;
mod apt;
mod logrotate;
mod mount;
mod sudoers;
mod system;
mod timer;

use crate::config::{Code, Diagnostic, Reported, Shorthand, Spanned};
use crate::model::{Millis, OnChange, Spec, UnitName, UnitSpec};

pub(super) use apt::APT_DIRECTORIES;

use super::parts::{HEADER, after, file, text, unit_stem};
use super::reader::Reader;

/// How long a unit of a shorthand must stay up: it either fails at once or not at all.
const SETTLE: Millis = Millis::seconds(1);

/// Reads one declaration and declares what it stands for.
pub(super) fn resolve(shorthand: Shorthand, reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    match shorthand {
        Shorthand::System => system::resolve(reader),
        Shorthand::Timer => timer::resolve(reader),
        Shorthand::Mount => mount::resolve(reader),
        Shorthand::Sudoers => sudoers::resolve(reader),
        Shorthand::Logrotate => logrotate::resolve(reader),
        Shorthand::AptRepository => apt::repository(reader),
        Shorthand::AptPin => apt::pin(reader),
        Shorthand::FirewallAllow => allow::resolve(reader),
    }
}

/// A unit that is enabled and runs.
fn running(name: &str) -> Result<Spec, Reported> {
    Ok(Spec::Unit(UnitSpec {
        name: UnitName::new(name).map_err(|_| Reported)?,
        enabled: Some(true),
        active: Some(true),
        on_change: OnChange::Restart,
        settle: SETTLE,
    }))
}

/// A word that goes into a file where white space and line feeds would be more than a word.
fn one_word(reader: &mut Reader<'_, '_, '_>, word: &Spanned<String>) -> Result<(), Reported> {
    if word.value.is_empty() || word.value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message = "this is one word, without white space";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, word.span, "")));
    }
    Ok(())
}

/// A text that goes into a file where a line feed would begin something else.
fn one_line(reader: &mut Reader<'_, '_, '_>, line: &Spanned<String>) -> Result<(), Reported> {
    if line.value.trim().is_empty() || line.value.chars().any(char::is_control) {
        let message = "this is one line, and not empty";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, line.span, "")));
    }
    Ok(())
}
