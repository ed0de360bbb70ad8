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
    let mut assignments = text.lines().filter_map(|line| line.trim().split_once('='));
    let value = assignments.rfind(|(name, _)| *name == field)?.1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unquoted_as_a_shell_would() {
        let text = "NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\n ID=debian # bookworm\nA=\"a \\\"b\\\" \\$c\"\n\
            B=\nC='x\nPRETTY ID=no\nD=first\nD=a\\ b\"c\"'d'";
        let field = |name| release_field(text, name);
        assert_eq!(field("NAME").unwrap(), "Debian GNU/Linux");
        assert_eq!(field("VERSION_ID").unwrap(), "12");
        assert_eq!(field("ID").unwrap(), "debian");
        assert_eq!(field("A").unwrap(), "a \"b\" $c");
        assert_eq!(field("B").unwrap(), "");
        assert_eq!(field("C").unwrap(), "x");
        assert_eq!(field("D").unwrap(), "a bcd");
        assert_eq!(field("E"), None);
    }

    #[test]
    fn the_kernel_and_this_module_agree() {
        let facts = facts();
        let kernel = |name: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
        assert_eq!(facts.hostname.untrusted(), kernel("hostname").trim());
        assert_eq!(facts.kernel.untrusted(), kernel("osrelease").trim());
        assert_eq!(facts.boot_id.untrusted(), kernel("random/boot_id").trim());
        assert_eq!(facts.arch.untrusted(), std::env::consts::ARCH);
        assert!(uptime() > 0);
    }
}
