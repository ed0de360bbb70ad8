//! Mounts: a mount unit under the name that systemd demands for its directory. systemd makes the directory where it is
//! missing.

use crate::config::{Code, Diagnostic, Reported};
use crate::model::{AbsPath, Spec};

use super::super::kind::UNIT_DIRECTORY;
use super::super::reader::Reader;
use super::{HEADER, file, one_line, one_word, running, text, unit_stem};

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let what = reader.required::<String>("what");
    let kind = reader.required::<String>("type");
    let options = reader.list::<String>("options");
    let said = reader.said();
    let (what, kind, options) = (what?, kind?, options?);
    one_line(reader, &what)?;
    one_word(reader, &kind)?;
    for option in &options {
        one_word(reader, option)?;
    }
    let path = AbsPath::new(name.value).map_err(|_| Reported)?;
    let unit = format!("{}.mount", unit_stem(path.as_str()));
    if unit.len() > 255 {
        let message = "the path is too long for the name of a mount unit";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, name.span, "")));
    }
    let specifier = |value: &str| value.replace('%', "%%");
    let mut mount = format!(
        "{HEADER}[Unit]\nDescription={path}\n\n[Mount]\nWhat={}\nWhere={}\nType={}\n",
        specifier(what.value.trim()),
        specifier(path.as_str()),
        specifier(&kind.value)
    );
    if !options.is_empty() {
        let options: Vec<_> = options.iter().map(|option| specifier(&option.value)).collect();
        mount += &format!("Options={}\n", options.join(","));
    }
    mount += "\n[Install]\nWantedBy=multi-user.target\n";
    let content = text(reader, mount);
    let unit_file = file(format!("{UNIT_DIRECTORY}/{unit}"), content)?;
    reader.declare(Spec::File(unit_file), name.span, Vec::new());
    reader.declare(running(&unit)?, name.span, said?);
    Ok(())
}
