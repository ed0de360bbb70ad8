//! Facts about the host itself. A fact that cannot be read is the empty text, which equals no host's.

use std::fs::File;
use std::io::Read;

use provision_core::model::{HostFacts, HostText};

/// The most that is read of any of these files, in bytes.
const FILE_BYTES: u64 = 64 << 10;

/// Reads them.
pub(crate) fn facts() -> HostFacts {
    let release = read(&["/etc/os-release", "/usr/lib/os-release"]);
    let uname = rustix::system::uname();
    HostFacts {
        machine_id: HostText::new(read(&["/etc/machine-id", "/var/lib/dbus/machine-id"]).trim()),
        boot_id: HostText::new(read(&["/proc/sys/kernel/random/boot_id"]).trim()),
        hostname: HostText::new(uname.nodename().to_string_lossy()),
        os: HostText::new(release_field(&release, "ID").unwrap_or_default()),
        os_version: HostText::new(release_field(&release, "VERSION_ID").unwrap_or_default()),
        arch: HostText::new(uname.machine().to_string_lossy()),
        kernel: HostText::new(uname.release().to_string_lossy()),
    }
}

/// Seconds since boot.
pub(crate) fn uptime() -> u64 {
    u64::try_from(rustix::system::sysinfo().uptime).unwrap_or(0)
}

/// The first of these files that can be read and holds something.
fn read(paths: &[&str]) -> String {
    let texts = paths.iter().filter_map(|path| {
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    });
    texts.into_iter().next().unwrap_or_default()
}

/// A field of os-release(5): a shell's assignment, so quoted in one of a shell's ways. The last one counts.
fn release_field(text: &str, field: &str) -> Option<String> {
    let assignments = text.lines().filter_map(|line| line.trim().split_once('='));
    let value = assignments
        .filter(|(name, _)| *name == field)
        .map(|(_, value)| value)
        .last()?;
    let mut out = String::new();
    let mut quote = None;
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => out.extend(characters.next()),
            (None, c) if c.is_whitespace() => break,
            (_, c) => out.push(c),
        }
    }
    Some(out)
}
