//! The host's own settings: its name, kept and live, and its time zone. They become files, a link and a kernel parameter.

use crate::config::{Code, Diagnostic, Reported, Spanned};
use crate::model::{AbsPath, FileSpec, Spec, SymlinkSpec, SysctlSpec};

use super::super::reader::Reader;
use super::{after, file, text};

/// Where tzdata keeps the zones.
const ZONES: &str = "/usr/share/zoneinfo";

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let value = reader.required::<String>("value")?;
    if name.value == "hostname" {
        hostname(reader, &value)
    } else {
        timezone(reader, &value)
    }
}

/// The name in `/etc/hostname`, which counts at boot, and the kernel's, which counts now.
fn hostname(reader: &mut Reader<'_, '_, '_>, name: &Spanned<String>) -> Result<(), Reported> {
    let label = |label: &str| {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // HOST_NAME_MAX of Linux is 64.
    if name.value.len() > 64 || !name.value.split('.').all(label) {
        let message = "a host's name is at most 64 of a-z, 0-9 and \"-\", in parts between dots";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, name.span, "")));
    }
    let content = text(reader, format!("{}\n", name.value));
    let kept = Spec::File(file("/etc/hostname".to_owned(), content)?);
    let live = Spec::Sysctl(SysctlSpec {
        key: "kernel.hostname".to_owned(),
        value: name.value.clone(),
    });
    let said = after(&kept, name.span);
    reader.declare(kept, name.span, Vec::new());
    reader.declare(live, name.span, vec![said]);
    Ok(())
}

/// The link that all programs follow, and the file that Debian's tools read.
fn timezone(reader: &mut Reader<'_, '_, '_>, zone: &Spanned<String>) -> Result<(), Reported> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
    let Some(path) = AbsPath::new(format!("{ZONES}/{}", zone.value))
        .ok()
        .filter(|_| zone.value.bytes().all(plain))
    else {
        let message = "a time zone is a name of the tz database, such as \"Europe/Zurich\" or \"Etc/UTC\"";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, zone.span, "")));
    };
    let content = text(reader, format!("{}\n", zone.value));
    let named = Spec::File(FileSpec {
        // A zone that the host does not know would be UTC without a word: ls fails where one of its arguments is missing.
        validate: Some(["ls".to_owned(), path.to_string(), "{}".to_owned()].to_vec()),
        ..file("/etc/timezone".to_owned(), content)?
    });
    let link = Spec::Symlink(SymlinkSpec {
        path: AbsPath::new("/etc/localtime").map_err(|_| Reported)?,
        target: path.to_string(),
    });
    let said = after(&named, zone.span);
    reader.declare(named, zone.span, Vec::new());
    reader.declare(link, zone.span, vec![said]);
    Ok(())
}
