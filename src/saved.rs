//! Plans in a file: what `plan --out` writes and `apply FILE` carries out. It neither makes nor judges plans, and the
//! file holds all that applying them takes, but for keys to the hosts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use provision_core::model::{Connection, Digest, HostText, PLAN_FORMAT, Plan};
use serde::{Deserialize, Serialize};

/// The version of the file's form. It changes when a reader of the old form would misread the new one.
const FORMAT: u32 = 1;

/// The longest file that is read, in bytes: plans of a thousand hosts with some files each.
const MAX_BYTES: u64 = 1 << 30;

/// One host's plan, and how the host is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// How the host is reached.
    pub connection: Connection,
    /// The plan.
    pub plan: Plan,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved<P> {
    format: u32,
    /// The version of `provision` that wrote it: for people, nothing rests on it.
    version: String,
    /// The digest of `plans`: a file that was cut or edited is refused.
    digest: Digest,
    plans: P,
}

/// What every version of the form has.
#[derive(Deserialize)]
struct Header {
    format: u32,
    version: String,
}

/// Why a plan could not be saved.
#[derive(Debug, thiserror::Error)]
#[error("cannot save the plan to {}", path.display())]
pub struct WritePlanError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Why a saved plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadPlanError {
    /// The file cannot be read.
    #[error("cannot read the plan {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no saved plan.
    #[error("{} is no saved plan, or was cut", path.display())]
    NoPlan {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        #[source]
        source: serde_json::Error,
    },
    /// Another version's form.
    #[error("{} was written by provision {version} in format {format}; this version reads format {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// Its writer, escaped.
        version: String,
    },
    /// It is not what was written.
    #[error("{} was changed after it was written: its digest does not fit", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Saves plans. A reader sees the whole file or what was there before; only its owner may read it, since it holds the
/// content of files.
///
/// # Errors
/// [`WritePlanError`].
pub fn write(path: &Path, plans: &[SavedPlan]) -> Result<(), WritePlanError> {
    let saved = Saved {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        digest: Digest::of_json(&plans),
        plans,
    };
    let written = serde_json::to_vec(&saved).map_err(io::Error::other);
    written
        .and_then(|json| replace(path, &json))
        .map_err(|source| WritePlanError {
            path: path.to_owned(),
            source,
        })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut staged_name = std::ffi::OsString::from(".");
    staged_name.push(name);
    staged_name.push(format!(".{}", std::process::id()));
    let staged = directory.join(staged_name);
    let written = stage(&staged, bytes).and_then(|()| std::fs::rename(&staged, path));
    if written.is_err() {
        // The first error is the one to tell of; what is left behind is a hidden file of ours.
        let _ = std::fs::remove_file(&staged);
        return written;
    }
    File::open(directory)?.sync_all()
}

fn stage(staged: &Path, bytes: &[u8]) -> io::Result<()> {
    // A left-over of a killed process with our number is ours to replace; anything not ours makes the next line fail.
    let _ = std::fs::remove_file(staged);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(staged)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads saved plans.
///
/// # Errors
/// [`ReadPlanError`]: what is not exactly what was written is not applied.
pub fn read(path: &Path) -> Result<Vec<SavedPlan>, ReadPlanError> {
    let mut json = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut json));
    read.map_err(|source| ReadPlanError::Read {
        path: path.to_owned(),
        source,
    })?;
    let no_plan = |source| ReadPlanError::NoPlan {
        path: path.to_owned(),
        source,
    };
    let header: Header = serde_json::from_slice(&json).map_err(no_plan)?;
    let format_differs = |format| ReadPlanError::Format {
        path: path.to_owned(),
        format,
        version: HostText::new(header.version.as_str()).escaped(),
    };
    if header.format != FORMAT {
        return Err(format_differs(header.format));
    }
    let saved: Saved<Vec<SavedPlan>> = serde_json::from_slice(&json).map_err(no_plan)?;
    if Digest::of_json(&saved.plans) != saved.digest {
        return Err(ReadPlanError::Changed { path: path.to_owned() });
    }
    match saved.plans.iter().find(|saved| saved.plan.format != PLAN_FORMAT) {
        Some(other) => Err(format_differs(other.plan.format)),
        None => Ok(saved.plans),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn plans() -> Vec<SavedPlan> {
        let plan = serde_json::json!({
            "format": PLAN_FORMAT, "host": "web-1", "machine_id": "0123", "base_generation": 4,
            "by": { "who": "ada@desk", "commit": null, "version": "0.1.0" },
            "changes": [], "unchanged": [], "blockers": [], "steps": [],
            "preconditions": {}, "entries": {}, "pending": [], "blobs": {},
        });
        let plan = serde_json::from_value(plan).unwrap();
        let connection = Connection::Local;
        vec![SavedPlan { connection, plan }]
    }

    fn written() -> (tempfile::TempDir, PathBuf, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.plan");
        write(&path, &plans()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        (directory, path, text)
    }

    #[test]
    fn what_is_read_is_what_was_written_and_only_the_owner_can() {
        let (directory, path, _) = written();
        assert_eq!(read(&path).unwrap(), plans());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        // A second one replaces the first, and nothing else is left behind.
        write(&path, &[]).unwrap();
        assert_eq!(read(&path).unwrap(), []);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_could_read_does_not_stay_so() {
        let (_directory, path, _) = written();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, &plans()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn an_edited_plan_is_refused() {
        let (_directory, path, text) = written();
        std::fs::write(&path, text.replace("\"web-1\"", "\"web-2\"")).unwrap();
        assert!(matches!(read(&path), Err(ReadPlanError::Changed { .. })));
    }

    #[test]
    fn no_prefix_is_taken_for_a_plan() {
        let (_directory, path, text) = written();
        for end in 0..text.len() {
            std::fs::write(&path, &text[..end]).unwrap();
            assert!(
                matches!(read(&path), Err(ReadPlanError::NoPlan { .. })),
                "prefix of {end}"
            );
        }
    }

    #[test]
    fn another_format_is_named_even_where_the_rest_is_unknown() {
        let (_directory, path, text) = written();
        std::fs::write(&path, r#"{"format":2,"version":"9.0\u001b[2J","more":[]}"#).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, ReadPlanError::Format { format: 2, .. }), "{error}");
        assert!(
            error.to_string().contains("provision 9.0\\u{1b}[2J in format 2"),
            "{error}"
        );

        let newer_plan = text.replace(
            &format!("\"plan\":{{\"format\":{PLAN_FORMAT}"),
            "\"plan\":{\"format\":99",
        );
        assert_ne!(newer_plan, text);
        std::fs::write(&path, newer_plan).unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one() {
        let (directory, path, text) = written();
        let below = path.join("below");
        assert!(write(&below, &plans()).is_err());
        assert!(write(&directory.path().join("none/a.plan"), &plans()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
