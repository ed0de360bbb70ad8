//! Log rotation: a file of `/etc/logrotate.d` that logrotate has checked. When it runs is the distribution's timer's.

use crate::config::{Code, Diagnostic, Reported, UserName};
use crate::model::{FileSpec, Spec};

use super::super::kind::content;
use super::super::reader::Reader;
use super::{HEADER, one_line};

/// How many old files are kept where nothing is said.
const KEEP: u32 = 7;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let whole = content(reader)?;
    let said = reader.said();
    let content = match whole {
        Some(content) => content,
        None => {
            let text = text(reader)?;
            super::text(reader, text)
        }
    };
    let spec = FileSpec {
        validate: Some(["logrotate", "--debug", "{}"].map(str::to_owned).to_vec()),
        ..super::file(format!("/etc/logrotate.d/{}", name.value), content)?
    };
    reader.declare(Spec::File(spec), name.span, said?);
    Ok(())
}

fn text(reader: &mut Reader<'_, '_, '_>) -> Result<String, Reported> {
    let paths = reader.list::<String>("paths")?;
    let every = reader.optional::<String>("every")?;
    let size = reader.optional::<String>("size")?;
    let keep = reader.optional::<u32>("keep")?;
    let compress = reader.optional::<bool>("compress")?;
    let copy_truncate = reader.optional::<bool>("copy_truncate")?;
    let user = reader.optional::<UserName>("user")?;
    let after = reader.optional::<String>("after_rotation")?;
    let mut text = HEADER.to_owned();
    for path in &paths {
        one_line(reader, path)?;
        if !path.value.starts_with('/') || path.value.contains('"') {
            let message = "a log file's path is absolute, and has no quotes in it";
            return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, path.span, "")));
        }
        text += &format!("\"{}\"\n", path.value);
    }
    if paths.is_empty() {
        let span = reader.key("paths");
        let message = "there is nothing to rotate: the list is empty";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, span, "")));
    }
    text += "{\n";
    let period = every.as_ref().map_or("weekly", |every| every.value.as_str());
    if let (Some(every), false) = (&every, ["hourly", "daily", "weekly", "monthly"].contains(&period)) {
        let message = format!("logrotate rotates \"hourly\", \"daily\", \"weekly\" or \"monthly\", not {period:?}");
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, every.span, "")));
    }
    text += &format!("    {period}\n    rotate {}\n", keep.map_or(KEEP, |keep| keep.value));
    if let Some(size) = size {
        let number = size.value.trim_end_matches(['k', 'M', 'G']);
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) || size.value.len() > number.len() + 1 {
            let message = "a size is a number of bytes, or of k, M or G, such as \"50M\"";
            return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, size.span, "")));
        }
        text += &format!("    maxsize {}\n", size.value);
    }
    if compress.is_none_or(|compress| compress.value) {
        text += "    compress\n    delaycompress\n";
    }
    if copy_truncate.is_some_and(|copy| copy.value) {
        text += "    copytruncate\n";
    }
    if let Some(user) = user {
        let user = user.value.0;
        text += &format!("    su {user} {user}\n");
    }
    text += "    missingok\n    notifempty\n    sharedscripts\n";
    if let Some(after) = after {
        one_line(reader, &after)?;
        text += &format!("    postrotate\n        {}\n    endscript\n", after.value.trim());
    }
    Ok(text + "}\n")
}
