//! Packages, from dpkg's own database: one pass over the status file, and over the journal that an interrupted dpkg
//! leaves beside it. It takes no lock, starts no dpkg, and repairs nothing.

use std::collections::BTreeMap;
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
            known.insert(text(&paragraph.architecture), state);
        }
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
        // One that became architecture-independent, or ceased to be, leaves its old paragraph behind.
        let best = fitting.map(|(_, state)| state).max_by_key(|state| match state {
            PackageState::Broken { .. } => 2,
            PackageState::Installed { .. } => 1,
            PackageState::Absent => 0,
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
