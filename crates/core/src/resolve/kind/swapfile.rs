//! Swap files: the file that the kernel uses now, and the swap unit that has it used after each boot, under the name that systemd
//! demands for its path. Whether the host's disk has room for one is not known here.

use crate::config::{Code, Diagnostic, Reported, Size, Spanned, SwapPriority};
use crate::model::{AbsPath, Millis, OnChange, Spec, SwapfileSpec, UnitName, UnitSpec};

use super::super::parts::{HEADER, after, file, text, unit_stem};
use super::super::reader::Reader;
use super::UNIT_DIRECTORY;

/// Sizes are whole MiB: a whole number of pages on every processor.
const UNIT: u64 = 1 << 20;
/// The longest: no file of ext4 is longer than this, in bytes.
const LONGEST: u64 = 16 << 40;
/// What is in memory, or emptied at each boot.
const FLEETING: [&str; 6] = ["/tmp", "/run", "/var/run", "/dev", "/proc", "/sys"];

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let size = reader.required::<Size>("size");
    let priority = reader.optional::<SwapPriority>("priority");
    let said = reader.said();
    let (size, priority) = (size?, priority?);
    let path = AbsPath::new(name.value).map_err(|_| Reported)?;
    let above = path.ancestors().find(|above| FLEETING.contains(&above.as_str()));
    if let Some(above) = above {
        let message = format!("no swap file can lie below {above}");
        let diagnostic = Diagnostic::error(Code::InvalidValue, message, name.span, "");
        let why = "what is there is in memory itself, or gone after each boot";
        return Err(reader.report(diagnostic.because(why).help("write [swapfiles.\"/swapfile\"]")));
    }
    let size = checked(reader, &size)?;
    let priority = priority.map(|priority| priority.value.0);
    let unit = format!("{}.swap", unit_stem(path.as_str()));
    if unit.len() > 255 {
        let message = "the path is too long for the name of a swap unit";
        return Err(reader.report(Diagnostic::error(Code::InvalidValue, message, name.span, "")));
    }
    let what = path.as_str().replace('%', "%%");
    let mut persistent = format!("{HEADER}[Unit]\nDescription=Swap file {what}\n\n[Swap]\nWhat={what}\n");
    if let Some(priority) = priority {
        persistent += &format!("Priority={priority}\n");
    }
    persistent += "\n[Install]\nWantedBy=swap.target\n";
    let content = text(reader, persistent);
    let unit_file = Spec::File(file(format!("{UNIT_DIRECTORY}/{unit}"), content)?);
    let unit = Spec::Unit(UnitSpec {
        name: UnitName::new(unit).map_err(|_| Reported)?,
        enabled: Some(true),
        // Whether it is used now is the swap file's own: systemd would take it from the kernel whether or not memory has room.
        active: None,
        on_change: OnChange::Nothing,
        settle: Millis::seconds(0),
    });
    let swapfile = Spec::Swapfile(SwapfileSpec {
        path,
        size,
        priority,
        active: true,
    });
    // As with kernel parameters: the kernel has what is to be kept before it is kept.
    let after_file = || vec![after(&swapfile, name.span)];
    let (unit_file_after, unit_after) = (after_file(), after_file());
    reader.declare(swapfile, name.span, said?);
    reader.declare(unit_file, name.span, unit_file_after);
    reader.declare(unit, name.span, unit_after);
    Ok(())
}

fn checked(reader: &mut Reader<'_, '_, '_>, size: &Spanned<Size>) -> Result<u64, Reported> {
    let Size(bytes) = size.value;
    let problem = if bytes < UNIT {
        Some("a swap file of less than 1 MiB is of no use")
    } else if !bytes.is_multiple_of(UNIT) {
        Some("the kernel swaps whole pages, and this is no whole number of MiB")
    } else if bytes > LONGEST {
        Some("no file can be as long as this")
    } else {
        None
    };
    match problem {
        None => Ok(bytes),
        Some(message) => {
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, size.span, "");
            Err(reader.report(diagnostic.help("write whole M, G or T: \"512M\", \"2G\"")))
        }
    }
}
