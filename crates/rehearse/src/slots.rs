//! The numbered slots that throwaway hosts live in, shared by all processes of the machine under one lock: taking one, giving it back, sweeping up after dead owners.
//! It deliberately does not start or watch anything: whatever a slot holds is found again by its number alone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cgroup::{self, CgroupError};
use crate::mounts::{self, MountError};
use crate::network::{Network, NetworkError};
use crate::outer::Settings;
use crate::owner::Owner;

/// Where hosts' disks and records are. On disk, not in `/run`: a disk that outlived a reboot of the machine must be found and swept too.
pub const STATE_DIR: &str = "/var/lib/provision-rehearse";

/// How many hosts one machine can hold at once: one /24 each.
const SLOTS: std::ops::RangeInclusive<u8> = 1..=254;

/// The shared state of all throwaway hosts could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A file or directory of the state refused.
    #[error("cannot {verb} {}", path.display())]
    Refused {
        /// read, write, lock, …
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// All slots are in use, or their networks are.
    #[error(
        "no free network is left for another throwaway host: destroy kept ones, or free some of 10.213.1.0/24 to 10.213.254.0/24"
    )]
    Full,
    /// `/proc` does not tell about this process.
    #[error("cannot read this process's identity from /proc")]
    Owner(#[source] io::Error),
    /// The kernel's settings could not be noted before the first host changes them.
    #[error("cannot read the kernel settings below /proc/sys")]
    Settings(#[source] io::Error),
}

/// Something of a throwaway host stayed behind. What is left is swept when the next host starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TeardownError {
    /// Its processes or its control group.
    #[error("cannot end the processes of slot {slot}")]
    Processes {
        /// The host's slot.
        slot: u8,
        /// Why not.
        #[source]
        source: CgroupError,
    },
    /// Its network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Its disk.
    #[error("cannot remove the disk of slot {slot}")]
    Disk {
        /// The host's slot.
        slot: u8,
        /// Why not.
        #[source]
        source: MountError,
    },
    /// Its record.
    #[error("cannot give back slot {slot}")]
    State {
        /// The host's slot.
        slot: u8,
        /// Why not.
        #[source]
        source: StateError,
    },
}

/// What is known of a host without asking anyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) owner: Owner,
    /// Outlives its owner.
    pub(crate) kept: bool,
    /// Its owner failed to destroy it, and will not try again.
    pub(crate) abandoned: bool,
    /// The base image under its disk.
    pub(crate) base: PathBuf,
}

/// A numbered place for one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) number: u8,
}

impl Slot {
    pub(crate) fn directory(self) -> PathBuf {
        hosts_dir().join(self.number.to_string())
    }

    pub(crate) fn file(self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// The name of the machine and of its control group, unique on this machine.
    pub(crate) fn machine(self) -> String {
        format!("rehearse-{}", self.number)
    }

    pub(crate) fn network(self) -> Network {
        Network { slot: self.number }
    }

    /// Reads the record. A slot that is being given back has none.
    pub(crate) fn record(self) -> Result<Record, StateError> {
        let path = self.file("record.json");
        fs::read(&path)
            .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
            .map_err(refused("read", &path))
    }

    pub(crate) fn write_record(self, record: &Record) -> Result<(), StateError> {
        write_json(&self.file("record.json"), record)
    }

    /// Ends and removes everything of this slot but the record, as far as it is there. Goes on after a failure, and returns the first.
    fn clear(self) -> Result<(), TeardownError> {
        let slot = self.number;
        let processes = cgroup::remove(&self.machine()).map_err(|source| TeardownError::Processes { slot, source });
        let network = self.network().down().map_err(TeardownError::from);
        // Mounts that a living process still uses are detached, which would leave a disk without a name behind.
        processes?;
        let disk = self.clear_disk().map_err(|source| TeardownError::Disk { slot, source });
        network.and(disk)
    }

    fn clear_disk(self) -> Result<(), MountError> {
        mounts::unmount_below(&self.directory())?;
        let directory = self.directory();
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other,
        };
        let failed = |source| MountError::Remove {
            path: directory.clone(),
            source,
        };
        for entry in entries.map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() == "record.json" {
                continue;
            }
            if entry.file_type().map_err(failed)?.is_dir() {
                mounts::remove_tree(&entry.path())?;
            } else {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Takes a free slot for a host of this process, sweeping first. The record is there as soon as the slot is.
pub(crate) fn claim(name: &str, base: &Path) -> Result<Slot, StateError> {
    let record = Record {
        name: name.to_owned(),
        owner: Owner::current().map_err(StateError::Owner)?,
        kept: false,
        abandoned: false,
        base: base.to_owned(),
    };
    let _lock = lock()?;
    // A leftover that resists keeps its slot; that is no reason to refuse another one.
    let _resisted = sweep_locked()?;
    if taken()?.is_empty() {
        restore_settings()?;
        let settings = Settings::read().map_err(StateError::Settings)?;
        write_json(&settings_path(), &settings)?;
    }
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let slot = SLOTS
        .map(|number| Slot { number })
        .find(|slot| !slot.directory().exists() && !slot.network().is_taken(&routes))
        .ok_or(StateError::Full)?;
    // Made under another name first: a slot is never seen without its record.
    let nascent = hosts_dir().join(".nascent");
    mounts::remove_tree(&nascent).map_err(|error| StateError::Refused {
        verb: "clear",
        path: nascent.clone(),
        source: io::Error::other(error),
    })?;
    private_dir(&nascent)?;
    write_json(&nascent.join("record.json"), &record)?;
    let directory = slot.directory();
    fs::rename(&nascent, &directory).map_err(refused("take", &directory))?;
    Ok(slot)
}

/// Ends and removes everything of a slot, and gives it back.
pub(crate) fn release(slot: Slot) -> Result<(), TeardownError> {
    // The long part, outside the lock: this process is the owner, or holds the lock already.
    slot.clear()?;
    let failed = |source| TeardownError::State {
        slot: slot.number,
        source,
    };
    let _lock = lock().map_err(failed)?;
    give_back(slot).map_err(failed)
}

/// Leaves a slot to the next sweep, although its owner lives on.
pub(crate) fn abandon(slot: Slot) -> Result<(), StateError> {
    let record = Record {
        abandoned: true,
        ..slot.record()?
    };
    slot.write_record(&record)
}

/// Ends and removes the hosts whose owner is dead and that were not kept, and returns what could not be.
///
/// Every start of a host does this first.
///
/// # Errors
/// When the shared state cannot be read.
pub fn sweep() -> Result<Vec<TeardownError>, StateError> {
    if !Path::new(STATE_DIR).exists() {
        return Ok(Vec::new());
    }
    let _lock = lock()?;
    sweep_locked()
}

fn sweep_locked() -> Result<Vec<TeardownError>, StateError> {
    let mut resisted = Vec::new();
    for slot in taken()? {
        // One without a readable record was being given back when its owner died.
        let is_left = slot
            .record()
            .map_or(true, |r| !r.kept && (r.abandoned || !r.owner.is_alive()));
        if !is_left {
            continue;
        }
        let swept = slot.clear().and_then(|()| {
            give_back(slot).map_err(|source| TeardownError::State {
                slot: slot.number,
                source,
            })
        });
        resisted.extend(swept.err());
    }
    Ok(resisted)
}

/// Removes the record and the slot; with the last slot, the machine gets its kernel settings back. Needs the lock.
fn give_back(slot: Slot) -> Result<(), StateError> {
    let directory = slot.directory();
    mounts::remove_tree(&directory).map_err(|error| StateError::Refused {
        verb: "remove",
        path: directory,
        source: io::Error::other(error),
    })?;
    if taken()?.is_empty() {
        restore_settings()?;
    }
    Ok(())
}

fn restore_settings() -> Result<(), StateError> {
    let path = settings_path();
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(refused("read", &path))?,
    };
    // Notes that cannot be read cannot be followed either; keeping them would stop every later host.
    if let Ok(settings) = serde_json::from_slice::<Settings>(&text) {
        // Some settings refuse their own value (`vm.dirty_bytes` refuses 0). They were not changed by a write of that value.
        let _refused = settings.restore().map_err(StateError::Settings)?;
    }
    fs::remove_file(&path).map_err(refused("remove", &path))
}

/// All slots in use, by number.
pub(crate) fn taken() -> Result<Vec<Slot>, StateError> {
    let directory = hosts_dir();
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(refused("read", &directory))?,
    };
    let mut slots = Vec::new();
    for entry in entries {
        let entry = entry.map_err(refused("read", &directory))?;
        if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            slots.push(Slot { number });
        }
    }
    slots.sort_by_key(|slot| slot.number);
    Ok(slots)
}

/// Waits for the one lock of the shared state, and holds it until dropped. What is done under it is short.
pub(crate) fn lock() -> Result<File, StateError> {
    private_dir(&hosts_dir())?;
    let path = Path::new(STATE_DIR).join("lock");
    let file = File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(refused("open", &path))?;
    file.lock().map_err(refused("lock", &path))?;
    Ok(file)
}

fn hosts_dir() -> PathBuf {
    Path::new(STATE_DIR).join("hosts")
}

fn settings_path() -> PathBuf {
    Path::new(STATE_DIR).join("settings-before.json")
}

/// Hosts' private keys lie below: only root may look.
fn private_dir(path: &Path) -> Result<(), StateError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(refused("create", path))
}

/// Whole or not at all: a reader never sees half a record.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    let new = path.with_extension("new");
    let bytes = serde_json::to_vec(value).map_err(|error| refused("write", path)(error.into()))?;
    File::create(&new)
        .and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, path))
        .map_err(refused("write", path))
}

fn refused(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Refused { verb, path, source }
}
