//! Packages, from dpkg's own database: one pass over the status file, and over the journal that an interrupted dpkg
//! leaves beside it. It takes no lock, starts no dpkg, and repairs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use provision_core::model::{HostText, PackageState};

use super::reason;

/// Where dpkg keeps its database.
const DATABASE: &str = "/var/lib/dpkg";

/// The longest status file that is read, in bytes; a full desktop's has some 10 MiB.
const FILE_BYTES: u64 = 256 << 20;

/// The longest line, in bytes. Only lists of files and of dependencies are long, and none of them this long.
const LINE_BYTES: u64 = 4 << 20;

/// What dpkg has of the packages asked for, or why that is not known.
pub(super) struct Packages(Result<Database, String>);

/// Why the database cannot be read.
#[derive(Debug, thiserror::Error)]
enum DpkgError {
    #[error("there is no dpkg on this host")]
    Absent,
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is too long to be dpkg's", path.display())]
    TooLong { path: PathBuf },
}

impl Packages {
    /// Reads what the database has of these packages, each with `:arch` or without; not read if there are none.
    pub(super) fn read<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut database = Database::of(names);
        if database.packages.is_empty() {
            return Self(Ok(database));
        }
        let read = database.read(Path::new(DATABASE));
        Self(read.map(|()| database).map_err(|error| reason(&error)))
    }

    /// Whether one of them is on hold.
    pub(super) fn is_held(&self, name: &str) -> Result<bool, String> {
        self.0
            .as_ref()
            .map(|database| database.is_held(name))
            .map_err(Clone::clone)
    }

    /// The state of one of them.
    pub(super) fn state(&self, name: &str) -> Result<PackageState, String> {
        self.0
            .as_ref()
            .map(|database| database.state(name))
            .map_err(Clone::clone)
    }
}

/// By name and architecture, what dpkg has of the packages that are looked for.
#[derive(Debug, Default)]
struct Database {
    packages: BTreeMap<String, BTreeMap<String, PackageState>>,
    /// Those of them, by name and architecture, that are on hold.
    held: BTreeSet<(String, String)>,
    /// dpkg is always of the host's own architecture.
    native: String,
}

/// The fields of one paragraph that count.
#[derive(Default)]
struct Paragraph {
    package: Vec<u8>,
    status: Vec<u8>,
    architecture: Vec<u8>,
    version: Vec<u8>,
}

impl Database {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let bare = names.map(|name| name.split(':').next().unwrap_or(name).to_owned());
        Self {
            packages: bare.map(|name| (name, BTreeMap::new())).collect(),
            held: BTreeSet::new(),
            native: String::new(),
        }
    }

    /// The status file is as old as dpkg's last checkpoint. What it did since is in numbered files, one paragraph
    /// each, which it merges when it ends well or starts again.
    fn read(&mut self, database: &Path) -> Result<(), DpkgError> {
        let status = database.join("status");
        match File::open(&status) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(DpkgError::Absent),
            opened => self.read_file(&status, opened)?,
        }
        let updates = database.join("updates");
        let failed = |source| DpkgError::Read {
            path: updates.clone(),
            source,
        };
        let mut numbered = Vec::new();
        match std::fs::read_dir(&updates) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            entries => {
                for entry in entries.map_err(failed)? {
                    let name = entry.map_err(failed)?.file_name();
                    let digits = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
                    numbered.extend(digits.then_some(name));
                }
            }
        }
        numbered.sort();
        for name in numbered {
            let update = updates.join(name);
            match File::open(&update) {
                // A dpkg that runs at this moment has merged it.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => self.read_file(&update, opened)?,
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path, opened: io::Result<File>) -> Result<(), DpkgError> {
        let failed = |source| DpkgError::Read {
            path: path.to_owned(),
            source,
        };
        let file = opened.map_err(failed)?.take(FILE_BYTES);
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let whole = self.parse(&mut reader).map_err(failed)?;
        if whole && reader.get_ref().limit() > 0 {
            Ok(())
        } else {
            Err(DpkgError::TooLong { path: path.to_owned() })
        }
    }

    /// Takes in all paragraphs; `false` where a line is too long. A later paragraph replaces an earlier one.
    fn parse(&mut self, reader: &mut impl BufRead) -> io::Result<bool> {
        let mut paragraph = Paragraph::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)?;
            let end = line.strip_suffix(b"\n");
            if end.is_none() && read as u64 == LINE_BYTES {
                return Ok(false);
            }
            let line = end.unwrap_or(&line);
            if line.iter().all(u8::is_ascii_whitespace) {
                self.take(&std::mem::take(&mut paragraph));
            } else if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                paragraph.field(line);
            }
            if read == 0 {
                return Ok(true);
            }
        }
    }

    fn take(&mut self, paragraph: &Paragraph) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if paragraph.package == b"dpkg" {
            self.native = text(&paragraph.architecture);
        }
        // A name that is not UTF-8 is nobody's.
        let name = std::str::from_utf8(&paragraph.package).unwrap_or_default();
        if let Some(known) = self.packages.get_mut(name) {
            let state = state(&text(&paragraph.status), &text(&paragraph.version));
            let architecture = text(&paragraph.architecture);
            let key = (name.to_owned(), architecture.clone());
            // A later paragraph takes the place of an earlier one.
            if paragraph.status.starts_with(b"hold ") {
                self.held.insert(key);
            } else {
                self.held.remove(&key);
            }
            known.insert(architecture, state);
        }
    }

    /// Whether a package is on hold, in the native architecture where none is named.
    fn is_held(&self, name: &str) -> bool {
        let (name, wanted) = name.split_once(':').unwrap_or((name, "native"));
        let fits = |arch: &str| arch == wanted || (wanted == "native" && (arch == self.native || arch == "all"));
        self.held.iter().any(|(held, arch)| held == name && fits(arch))
    }

    /// Without an architecture the native one is meant, as for apt. A package for all architectures counts as native.
    fn state(&self, name: &str) -> PackageState {
        let (name, wanted) = name.split_once(':').unwrap_or((name, "native"));
        let fits = |arch: &str| match wanted {
            "any" => true,
            "native" => arch == self.native || arch == "all",
            wanted => arch == wanted || (arch == "all" && wanted == self.native),
        };
        let of_name = self.packages.get(name);
        let fitting = of_name.into_iter().flatten().filter(|(arch, _)| fits(arch));
        // One that became architecture-independent, or ceased to be, may leave its old paragraph behind.
        let best = fitting.map(|(_, state)| state).min_by_key(|state| match state {
            PackageState::Broken { .. } => 0,
            PackageState::Installed { .. } => 1,
            PackageState::Absent => 2,
        });
        best.cloned().unwrap_or(PackageState::Absent)
    }
}

impl Paragraph {
    fn field(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            return;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let field = match name {
            name if name.eq_ignore_ascii_case(b"Package") => &mut self.package,
            name if name.eq_ignore_ascii_case(b"Status") => &mut self.status,
            name if name.eq_ignore_ascii_case(b"Architecture") => &mut self.architecture,
            name if name.eq_ignore_ascii_case(b"Version") => &mut self.version,
            _ => return,
        };
        value.clone_into(field);
    }
}

/// What a `Status` field means: what is wanted, whether it must be reinstalled, and how far it got.
fn state(status: &str, version: &str) -> PackageState {
    let words: Vec<&str> = status.split_whitespace().collect();
    let broken = |status: &str| PackageState::Broken {
        status: HostText::new(status),
    };
    match words[..] {
        [_, _, "not-installed" | "config-files"] => PackageState::Absent,
        [_, "ok", "installed"] if version.is_empty() => broken("installed without a version"),
        [_, "ok", "installed"] => PackageState::Installed {
            version: HostText::new(version),
        },
        [_, "ok", how_far] => broken(how_far),
        [_, flag, how_far] => broken(&format!("{how_far}, {flag}")),
        _ => broken("a status that is not known"),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::testing::Scratch;

    fn parsed(names: &[&str], status: &[u8]) -> Database {
        let mut database = Database::of(names.iter().copied());
        assert!(database.parse(&mut &*status).unwrap());
        database
    }

    fn installed(version: &str) -> PackageState {
        PackageState::Installed {
            version: HostText::from(version),
        }
    }

    fn broken(status: &str) -> PackageState {
        PackageState::Broken {
            status: HostText::from(status),
        }
    }

    fn paragraph(name: &str, arch: &str, status: &str, version: &str) -> String {
        format!("Package: {name}\nStatus: {status}\nArchitecture: {arch}\nVersion: {version}\n\n")
    }

    #[test]
    fn every_status_has_its_meaning() {
        for (status, meaning) in [
            ("install ok installed", installed("1")),
            ("hold ok installed", installed("1")),
            ("deinstall ok installed", installed("1")),
            ("deinstall ok config-files", PackageState::Absent),
            ("purge ok not-installed", PackageState::Absent),
            ("install ok half-configured", broken("half-configured")),
            ("install ok unpacked", broken("unpacked")),
            ("install ok triggers-pending", broken("triggers-pending")),
            ("install reinstreq half-installed", broken("half-installed, reinstreq")),
            ("install reinstreq installed", broken("installed, reinstreq")),
            ("install ok", broken("a status that is not known")),
            ("", broken("a status that is not known")),
        ] {
            let database = parsed(&["p"], paragraph("p", "all", status, "1").as_bytes());
            assert_eq!(database.state("p"), meaning, "{status:?}");
        }
    }

    #[test]
    fn architectures_are_told_apart() {
        let status = [
            paragraph("libc6", "i386", "install ok installed", "2-i386"),
            paragraph("libc6", "amd64", "install ok installed", "2"),
            paragraph("foreign", "i386", "install ok installed", "3"),
            paragraph("data", "all", "install ok installed", "4"),
            paragraph("data", "amd64", "deinstall ok config-files", "3"),
            paragraph("dpkg", "amd64", "install ok installed", "1"),
        ]
        .concat();
        let names = [
            "libc6",
            "libc6:i386",
            "foreign",
            "foreign:i386",
            "data",
            "data:amd64",
            "data:i386",
            "foreign:any",
        ];
        let database = parsed(&names, status.as_bytes());
        for (name, state) in [
            ("libc6", installed("2")),
            ("libc6:amd64", installed("2")),
            ("libc6:i386", installed("2-i386")),
            ("foreign", PackageState::Absent),
            ("foreign:i386", installed("3")),
            ("foreign:any", installed("3")),
            ("data", installed("4")),
            ("data:amd64", installed("4")),
            ("data:i386", PackageState::Absent),
            ("never-heard-of", PackageState::Absent),
        ] {
            assert_eq!(database.state(name), state, "{name}");
        }
    }

    #[test]
    fn nasty_text_does_no_harm() {
        let nasty: &[u8] =
            b"\n\n: no name\nPackage\nPackage: p\nDescription: x\n Package: q\n\tStatus: install ok installed\n\
            \xff\xfe\x00: \x80\nSTATUS: install ok installed\nversion:1.0~\xc3\n   \n\
            Package: q\nStatus: install ok installed\nVersion: 2\nArchitecture: all";
        let mut database = Database::of(["p", "q"].into_iter());
        database.native = "amd64".to_owned();
        assert!(database.parse(&mut &*nasty).unwrap());
        assert_eq!(database.state("p:any"), installed("1.0~\u{fffd}"));
        assert_eq!(
            database.state("q"),
            installed("2"),
            "the last paragraph needs no empty line"
        );
    }

    #[test]
    fn a_line_without_end_is_refused_and_not_held() {
        let mut endless = BufReader::new(io::repeat(b'x'));
        assert!(!Database::of(["p"].into_iter()).parse(&mut endless).unwrap());
    }

    #[test]
    fn what_an_interrupted_dpkg_journaled_counts() {
        let scratch = Scratch::new();
        let names = || ["p", "q"].into_iter();
        let read = || {
            let mut database = Database::of(names());
            database.read(scratch.path()).map(|()| database)
        };
        assert!(matches!(read(), Err(DpkgError::Absent)));
        let status = [
            paragraph("p", "all", "install ok installed", "1"),
            paragraph("q", "all", "install ok installed", "1"),
        ];
        std::fs::write(scratch.path().join("status"), status.concat()).unwrap();
        assert_eq!(read().unwrap().state("p"), installed("1"));
        let updates = scratch.path().join("updates");
        std::fs::create_dir(&updates).unwrap();
        for (name, status) in [
            ("0001", "install ok half-configured"),
            ("0000", "install reinstreq half-installed"),
            ("tmp.i", "purge ok not-installed"),
        ] {
            std::fs::write(updates.join(name), paragraph("p", "all", status, "2")).unwrap();
        }
        let database = read().unwrap();
        assert_eq!(database.state("p"), broken("half-configured"));
        assert_eq!(database.state("q"), installed("1"));
    }

    #[test]
    fn this_machines_packages_are_those_that_dpkg_has() {
        let output = Command::new("dpkg-query")
            .args([
                "--show",
                "--showformat=${Package}:${Architecture} ${db:Status-Abbrev}${Version}\n",
            ])
            .output()
            .unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let known: Vec<(&str, &str, &str)> = lines
            .lines()
            .map(|line| {
                let mut words = line.split_whitespace();
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""))
            })
            .collect();
        assert!(known.len() > 50, "a Debian host has hundreds");
        let packages = Packages::read(known.iter().map(|(name, _, _)| *name).chain(["no-such-package"]));
        for (name, status, version) in &known {
            let state = packages.state(name).unwrap();
            match &status[1..2] {
                "i" => assert_eq!(state, installed(version), "{name}"),
                "n" | "c" => assert_eq!(state, PackageState::Absent, "{name}"),
                _ => assert!(matches!(state, PackageState::Broken { .. }), "{name}"),
            }
        }
        assert_eq!(packages.state("no-such-package").unwrap(), PackageState::Absent);
    }
}
