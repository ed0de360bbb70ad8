//! Packages: whether they are installed, and in which version. What apt would make of it is not asked.

use crate::config::{Code, Diagnostic, Reported, Spanned, shown};
use crate::model::{PackageSpec, PackageWant, Spec};

use super::super::reader::Reader;

pub(super) fn resolve(reader: &mut Reader<'_, '_, '_>) -> Result<(), Reported> {
    let name = reader.name()?;
    let version = reader.required::<String>("version");
    let recommends = reader.optional::<bool>("recommends");
    let said = reader.said();
    let want = want(reader, &version?)?;
    let spec = PackageSpec {
        name: name.value,
        want,
        recommends: recommends?.is_none_or(|recommends| recommends.value),
    };
    reader.declare(Spec::Package(spec), name.span, said?);
    Ok(())
}

fn want(reader: &mut Reader<'_, '_, '_>, version: &Spanned<String>) -> Result<PackageWant, Reported> {
    match version.value.as_str() {
        "present" => Ok(PackageWant::Present),
        "absent" => Ok(PackageWant::Absent),
        "latest" | "newest" => {
            let message = "\"latest\" means something else every day";
            let diagnostic = Diagnostic::error(Code::LatestVersion, message, version.span, "no fixed version");
            let why = "a plan made today would not be the one applied tomorrow, and drift would be found where nobody did anything";
            Err(reader.report(
                diagnostic
                    .because(why)
                    .help("write \"present\", or the exact version, such as \"1.2.3-1\""),
            ))
        }
        exact if is_version(exact) => Ok(PackageWant::Version(exact.to_owned())),
        other => {
            let message = format!(
                "`{}` is neither \"present\", nor \"absent\", nor a version",
                shown(other)
            );
            let diagnostic = Diagnostic::error(Code::InvalidValue, message, version.span, "");
            let help = match other {
                "installed" | "" => "write \"present\"",
                "removed" | "purged" => "write \"absent\"",
                _ => "a version begins with a digit, such as \"1.2.3-1\", as `apt-cache policy NAME` shows it",
            };
            Err(reader.report(diagnostic.help(help)))
        }
    }
}

/// Debian policy 5.6.12: an epoch and a revision are parts of it, and each letter is safe in an argument.
fn is_version(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'~' | b':');
    text.bytes().next().is_some_and(|first| first.is_ascii_digit()) && text.bytes().all(allowed)
}
