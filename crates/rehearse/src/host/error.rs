//! What can go wrong with a throwaway host, per operation.
//! It holds no recovery: every error says what is left and what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::cgroup::CgroupError;
use crate::mounts::MountError;
use crate::nspawn::BootError;
use crate::program::ProgramError;
use crate::slots::StateError;

/// A host could not be started. What it had already is gone again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name cannot be a host's.
    #[error("`{0}` cannot be a host's name: use up to 63 lowercase letters, digits and dashes, a letter first")]
    Name(String),
    /// A key line would be two.
    #[error("an authorized key holds a line break")]
    Key,
    /// The state shared by all hosts.
    #[error("cannot take a place for host {host}")]
    State {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: StateError,
    },
    /// Its disk.
    #[error("cannot make the disk of host {host}")]
    Disk {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: MountError,
    },
    /// A file on its disk, or beside it.
    #[error("cannot write {} for host {host}", path.display())]
    Install {
        /// The host.
        host: String,
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its keys.
    #[error("cannot make keys for host {host}")]
    Keys {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: ProgramError,
    },
    /// It could not be switched on.
    #[error("cannot boot host {host}")]
    Boot {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: BootError,
    },
}

/// A host did not get ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadyError {
    /// It is off.
    #[error("host {host} went off while booting ({ended}); its console ends with: {console}")]
    Off {
        /// The host.
        host: String,
        /// How it ended.
        ended: String,
        /// Its last words, escaped.
        console: String,
    },
    /// Time is over.
    #[error("host {host} was not ready after {} s: {missing}; its console ends with: {console}", waited.as_secs_f32())]
    Late {
        /// The host.
        host: String,
        /// How long was waited.
        waited: Duration,
        /// What did not happen.
        missing: &'static str,
        /// Its last words, escaped.
        console: String,
    },
}

/// Something could not be done to a host that exists.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// It must be on for that, and is off.
    #[error("host {0} is off: boot it first")]
    Off(String),
    /// It must be off for that, and is on.
    #[error("host {0} is on already")]
    On(String),
    /// It could not be cut off.
    #[error("cannot cut the power of host {host}")]
    Cut {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: CgroupError,
    },
    /// It could not be switched on again.
    #[error("cannot boot host {host}")]
    Boot {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: BootError,
    },
    /// A program could not be started in it.
    #[error("cannot enter host {host}")]
    Enter {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its record could not be changed.
    #[error("cannot keep host {host}")]
    Keep {
        /// The host.
        host: String,
        /// Why not.
        #[source]
        source: StateError,
    },
}
