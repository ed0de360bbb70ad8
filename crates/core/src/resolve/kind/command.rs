//! Commands: the escape hatch, with the guard that makes them idempotent. Nothing is run.

use crate::config::{Code, Diagnostic, Reported, Spanned, UserName};
use crate::model::{AbsPath, CommandSpec, Guard, Millis, Spec};

use super::super::reader::Reader;
use super::file::path;

/// Enough for a build on a small server; what takes longer says so.
const TIMEOUT: Millis = Millis::seconds(600);

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let run = reader.list::<String>("run");
    let creates = reader.optional::<AbsPath>("creates");
    let unless = reader.list::<String>("unless");
    let user = reader.optional::<UserName>("user");
    let cwd = reader.optional::<AbsPath>("cwd");
    let env = reader.table("env");
    let timeout = reader.optional::<Millis>("timeout");
    let said = reader.said();
    let env = env?;
    for key in env.keys() {
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !plain || key.is_empty() || key.as_bytes()[0].is_ascii_digit() {
            let message = format!(
                "`{}` cannot name a variable of the environment",
                crate::config::shown(key)
            );
            let span = reader.key("env");
            return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, span, "")));
        }
    }
    let guard = match creates? {
        Some(path) => Guard::Creates(path.value),
        None => Guard::Unless(arguments(reader, unless?)?),
    };
    let run = run?;
    let spec = CommandSpec {
        name: name.value,
        run: arguments(reader, run)?,
        guard,
        user: user?.map(|user| user.value.0),
        cwd: path(cwd?),
        env,
        timeout: timeout?.map_or(TIMEOUT, |timeout| timeout.value),
    };
    reader.declare(Spec::Command(spec), name.span, said?);
    Ok(())
}

/// A program and its arguments. That the list is missing was found when the file was read.
fn arguments(reader: &mut Reader<'_, '_, '_>, words: Vec<Spanned<String>>) -> Result<Vec<String>, Reported> {
    let program = words.first().ok_or(Reported)?;
    if program.value.is_empty() {
        return Err(reader.report(Diagnostic::error(
            Code::InvalidValue,
            "the program's name is empty",
            program.span,
            "",
        )));
    }
    if let Some(word) = words.iter().find(|word| word.value.contains('\0')) {
        let message = "an argument cannot hold a NUL";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, word.span, "")));
    }
    Ok(words.into_iter().map(|word| word.value).collect())
}
