//! Packages that somebody asked for, and what packages own below `/etc`: from dpkg's and apt's own files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use provision_core::model::AskedPackage;

use crate::child::{self, Invocation};

const STATUS: &str = "/var/lib/dpkg/status";
const LISTS: &str = "/var/lib/dpkg/info";
/// Packages that came along with others.
const EXTENDED: &str = "/var/lib/apt/extended_states";
/// What Ubuntu's and Debian's installers put in.
const INSTALLER: &str = "/var/log/installer/initial-status.gz";
/// Made at a machine's first boot, and never again.
const FIRST_BOOT: [&str; 2] = ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key"];

/// How long reading the installer's list may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A package that is installed.
struct Package {
    name: String,
    /// `name:arch`, as its files in [`LISTS`] may be called.
    qualified: String,
    /// Part of every Debian.
    base: bool,
    /// Configuration files with the MD5 that they came with.
    conffiles: Vec<(String, String)>,
}

/// What dpkg and apt know.
pub(super) struct Dpkg {
    packages: Vec<Package>,
    auto: BTreeSet<String>,
    installer: BTreeSet<String>,
}

impl Dpkg {
    pub(super) fn read() -> Result<Self, String> {
        let status = fs::read(STATUS).map_err(|error| format!("cannot read {STATUS}: {error}"))?;
        let status = String::from_utf8_lossy(&status).into_owned();
        let extended = fs::read_to_string(EXTENDED).unwrap_or_default();
        let auto = paragraphs(&extended)
            .filter(|paragraph| field(paragraph, "Auto-Installed") == Some("1"))
            .filter_map(|paragraph| field(paragraph, "Package").map(str::to_owned))
            .collect();
        Ok(Self {
            packages: paragraphs(&status).filter_map(package).collect(),
            auto,
            installer: installer(),
        })
    }

    /// Packages that somebody asked for.
    pub(super) fn asked(&self) -> Vec<AskedPackage> {
        let booted = FIRST_BOOT
            .iter()
            .find_map(|path| fs::metadata(path).ok())
            .map(|there| there.mtime());
        let by_hand = self
            .packages
            .iter()
            .filter(|package| !package.base && !self.auto.contains(&package.name));
        by_hand
            .map(|package| {
                let before = booted.zip(list(package)).is_some_and(|(booted, list)| list < booted);
                AskedPackage {
                    name: package.name.clone(),
                    from_image: before || self.installer.contains(&package.name),
                }
            })
            .collect()
    }

    /// Paths that packages own.
    pub(super) fn owned(&self) -> BTreeSet<String> {
        let mut owned = BTreeSet::new();
        for entry in fs::read_dir(LISTS).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "list") {
                let text = fs::read(entry.path()).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let paths = text
                    .lines()
                    .filter(|line| line.starts_with("/etc/") || line.starts_with("/usr/share/keyrings/"));
                owned.extend(paths.map(str::to_owned));
            }
        }
        owned.extend(self.conffiles().map(|(_, path, _)| path.to_owned()));
        owned
    }

    /// Configuration files: package, path, and the MD5 that it came with.
    pub(super) fn conffiles(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.packages.iter().flat_map(|package| {
            let files = package.conffiles.iter();
            files.map(|(path, md5)| (package.name.as_str(), path.as_str(), md5.as_str()))
        })
    }
}

/// When its files were unpacked.
fn list(package: &Package) -> Option<i64> {
    let names = [&package.qualified, &package.name];
    let lists = names.map(|name| Path::new(LISTS).join(format!("{name}.list")));
    lists
        .iter()
        .find_map(|list| fs::metadata(list).ok())
        .map(|there| there.mtime())
}

fn installer() -> BTreeSet<String> {
    if !Path::new(INSTALLER).exists() {
        return BTreeSet::new();
    }
    let mut names = BTreeSet::new();
    // Where it cannot be read, nothing is known of the installer, and packages count as asked for.
    let _ = child::run(&Invocation::new("zcat", DEADLINE).args([INSTALLER]), |line| {
        names.extend(line.strip_prefix("Package: ").map(str::to_owned));
    });
    names
}

fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty())
}

fn field<'a>(paragraph: &'a str, name: &str) -> Option<&'a str> {
    let line = |line: &'a str| line.strip_prefix(name)?.strip_prefix(':');
    paragraph.lines().find_map(line).map(str::trim)
}

fn package(paragraph: &str) -> Option<Package> {
    if !field(paragraph, "Status")?.ends_with(" ok installed") {
        return None;
    }
    let name = field(paragraph, "Package")?.to_owned();
    let priority = field(paragraph, "Priority").unwrap_or_default();
    let arch = field(paragraph, "Architecture").unwrap_or_default();
    Some(Package {
        qualified: format!("{name}:{arch}"),
        base: matches!(priority, "required" | "important") || field(paragraph, "Essential") == Some("yes"),
        conffiles: conffiles(paragraph),
        name,
    })
}

/// ` /path md5` below `Conffiles:`; what is marked `obsolete` or `newconffile` is no longer, or not yet, the package's.
fn conffiles(paragraph: &str) -> Vec<(String, String)> {
    let mut lines = paragraph.lines().skip_while(|line| !line.starts_with("Conffiles:"));
    lines.next();
    let lines = lines.take_while(|line| line.starts_with(' '));
    let known: BTreeMap<_, _> = lines
        .filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                [path, md5] if md5.len() == 32 => Some((path.to_owned(), md5.to_owned())),
                _ => None,
            }
        })
        .collect();
    known.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_with_their_conffiles() {
        let md5 = "0123456789abcdef0123456789abcdef";
        let text = format!(
            "Package: nginx\nStatus: install ok installed\nPriority: optional\nArchitecture: amd64\nConffiles:\n /etc/nginx/a {md5}\n \
             /etc/old {md5} obsolete\n /etc/new newconffile\nDescription: x\n\nPackage: bash\nEssential: yes\nStatus: install ok installed\n\n\
             Package: gone\nStatus: deinstall ok config-files\n"
        );
        let packages: Vec<_> = paragraphs(&text).filter_map(package).collect();
        let seen: Vec<_> = packages.iter().map(|one| (one.name.as_str(), one.base)).collect();
        assert_eq!(seen, [("nginx", false), ("bash", true)]);
        assert_eq!(packages[0].conffiles, [("/etc/nginx/a".to_owned(), md5.to_owned())]);
    }
}
