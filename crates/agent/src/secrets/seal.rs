//! Sealed copies: what systemd-creds encrypts to the host's own key or TPM, on disk, for the next boot. It delivers none.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use provision_core::model::{AfterReboot, Digest, Fact, HostText, SecretSpec};
use provision_core::wire::SecretBytes;
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use crate::child::{self, ChildError, Invocation, status_words};
use crate::disk::{self, WriteError};
use crate::layout::Layout;
use crate::own_files::{self, OwnFileError};

/// How long encrypting one value may take: a TPM is slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why a copy cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// systemd-creds cannot be run.
    #[error("cannot run systemd-creds, which systemd has from version 250 on")]
    Run(#[source] ChildError),
    /// It did not do it.
    #[error("systemd-creds ended with {status}: {}", words.untrusted())]
    Refused {
        /// Such as "exit status 1".
        status: String,
        /// What it said.
        words: HostText,
    },
    /// The system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The agent's own files cannot be used.
    #[error("cannot use the record of sealed copies")]
    Own(#[source] OwnFileError),
    /// A copy cannot be written.
    #[error("cannot write the sealed copy")]
    Write(#[source] WriteError),
}

/// The sealed copies, by the secrets' names, each with what its file is to be.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sealed {
    pub(super) secrets: BTreeMap<String, SecretSpec>,
}

impl Sealed {
    pub(super) fn load(layout: &Layout) -> Result<Self, SealError> {
        let path = index(layout);
        if !path.exists() {
            return Ok(Self::default());
        }
        own_files::read_json(&path).map_err(SealError::Own)
    }
}

fn index(layout: &Layout) -> PathBuf {
    layout.sealed().join("index.json")
}

pub(super) fn copy(layout: &Layout, name: &str) -> PathBuf {
    layout.sealed().join(format!("{}.cred", credential(name)))
}

/// What systemd calls it: a name that a file can have.
pub(super) fn credential(name: &str) -> String {
    Digest::of(name.as_bytes()).to_string()
}

/// The version of a secret's sealed copy; `None` where there is none.
///
/// # Errors
/// [`SealError`].
pub(crate) fn sealed_version(layout: &Layout, name: &str) -> Result<Option<String>, SealError> {
    if !copy(layout, name).exists() {
        return Ok(None);
    }
    let sealed = Sealed::load(layout)?;
    Ok(sealed.secrets.get(name).and_then(version))
}

fn version(spec: &SecretSpec) -> Option<String> {
    match &spec.version {
        Fact::Known(version) => version.as_ref().map(ToString::to_string),
        Fact::Unknown(_) => None,
    }
}

/// Brings the sealed copies up to what a set is to be: those of these secrets that have another version are sealed anew, and
/// those of no secret go.
///
/// # Errors
/// [`SealError`]; the record then tells what there is.
pub(crate) fn seal(
    layout: &Layout,
    memory: &Memory,
    wanted: &BTreeMap<String, (SecretSpec, SecretBytes)>,
) -> Result<(), SealError> {
    let to_seal = wanted
        .iter()
        .filter(|(_, (spec, _))| spec.after_reboot == AfterReboot::Sealed);
    let to_seal: BTreeMap<_, _> = to_seal.collect();
    let before = Sealed::load(layout)?;
    if to_seal.is_empty() && before.secrets.is_empty() {
        return Ok(());
    }
    own_files::make_directory(layout.root()).map_err(SealError::Own)?;
    own_files::make_directory(&layout.sealed()).map_err(SealError::Own)?;
    let mut sealed = Sealed::default();
    for (name, (spec, value)) in to_seal {
        let known = before.secrets.get(name).filter(|_| copy(layout, name).exists());
        if known.and_then(version) != version(spec) {
            encrypt(layout, memory, name, value)?;
        }
        sealed.secrets.insert(name.clone(), spec.clone());
    }
    own_files::write_json(&index(layout), &sealed).map_err(SealError::Own)?;
    for name in before.secrets.keys().filter(|name| !sealed.secrets.contains_key(*name)) {
        let path = copy(layout, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("remove", &path)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn encrypt(layout: &Layout, memory: &Memory, name: &str, value: &SecretBytes) -> Result<(), SealError> {
    // The plain value is only ever in the memory that secrets lie in.
    let plain = memory.root.join(format!(".sealing-{}", credential(name)));
    let made = layout.sealed().join(".new.cred");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&plain)
        .and_then(|mut file| file.write_all(value.expose()));
    let sealed = written.map_err(io_error("write", &plain)).and_then(|()| {
        let _ = fs::remove_file(&made);
        let name = format!("--name={}", credential(name));
        run(Invocation::new("systemd-creds", DEADLINE)
            .args(["encrypt", &name])
            .args([&plain, &made]))
    });
    let _ = fs::remove_file(&plain);
    sealed?;
    let bytes = fs::read(&made).map_err(io_error("read", &made));
    let _ = fs::remove_file(&made);
    disk::write_state(&copy(layout, name), &bytes?).map_err(SealError::Write)
}

/// Opens a copy into a file in memory.
pub(super) fn decrypt(layout: &Layout, memory: &Memory, name: &str) -> Result<SecretBytes, SealError> {
    let plain = memory.root.join(format!(".unsealing-{}", credential(name)));
    let _ = fs::remove_file(&plain);
    let named = format!("--name={}", credential(name));
    let opened = run(Invocation::new("systemd-creds", DEADLINE)
        .args(["decrypt", &named])
        .args([&copy(layout, name), &plain]));
    let bytes = opened.and_then(|()| fs::read(&plain).map_err(io_error("read", &plain)));
    let _ = fs::remove_file(&plain);
    bytes.map(SecretBytes::new)
}

fn run(invocation: Invocation) -> Result<(), SealError> {
    let mut words = Vec::new();
    let status = child::run(&invocation, |line| words.push(line.to_owned())).map_err(SealError::Run)?;
    if status.success() {
        return Ok(());
    }
    Err(SealError::Refused {
        status: status_words(status),
        words: HostText::new(words.join("; ")),
    })
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SealError + use<> {
    let path = path.to_owned();
    move |source| SealError::Io { doing, path, source }
}
