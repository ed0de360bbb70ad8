//! Throwaway **real** hosts on one machine, for rehearsals and tests: Debian with systemd as PID 1 and sshd, each with a disk, a network and keys of its own.
//! It knows nothing of host files, plans or agents, and never touches a host that it did not make.
//!
//! ```no_run
//! use std::time::Duration;
//! use provision_rehearse::{BaseOptions, HostOptions, Release, ThrowawayHost, base};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let image = base(&BaseOptions::new(Release::Debian12), &mut |_| {})?;
//! let host = ThrowawayHost::start(&image, &HostOptions::named("friday"))?;
//! host.wait_ready(Duration::from_secs(30))?;
//! assert!(host.ssh().arg("true").status()?.success());
//! # Ok(())
//! # }
//! ```
//!
//! # What a host is
//!
//! A systemd-nspawn container over a shared base image ([`base`]), which is bare Debian as the installer leaves it on a server, but for what would
//! make two runs differ: apt's periodic timers are masked, and so is the login prompt on the console. It reaches the network through this machine,
//! and uses this machine's resolvers, proxies and additional certificate authorities. A host may reboot itself; [`ThrowawayHost::power_cut`] and
//! [`ThrowawayHost::boot`] do it the hard way.
//!
//! # What it shares with this machine
//!
//! The kernel. Kernel settings other than `net.*` exist once: a host that sets `fs.inotify.max_user_watches` sets it for this machine. They are noted
//! before the first host starts and put back when the last one is gone. A host is root on this machine's kernel: rehearse only what you trust.
//!
//! # What it leaves behind
//!
//! Nothing but the base images. A host is destroyed when its value is dropped. If the process is killed, the next start of any host, or [`sweep`],
//! finds hosts whose owner is dead and removes their processes, links, packet filter rules, mounts and directories.

mod base;
mod cgroup;
mod host;
mod kept;
mod link;
mod mounts;
mod network;
mod nspawn;
mod outer;
mod owner;
mod preflight;
mod program;
mod slots;

pub use base::{BaseError, BaseImage, BaseOptions, DEFAULT_CACHE_DIR, Progress, Release, UnknownRelease, base};
pub use cgroup::CgroupError;
pub use host::{Bind, HostError, HostOptions, ReadyError, SSH_PORT, StartError, ThrowawayHost};
pub use kept::{KeptError, KeptHost, destroy_kept, list_kept};
pub use link::{Direction, Effect, Fault, Link, LinkOptions, Loss};
pub use mounts::MountError;
pub use network::NetworkError;
pub use nspawn::BootError;
pub use preflight::{InstallError, Missing, install_missing, preflight};
pub use program::ProgramError;
pub use slots::{STATE_DIR, StateError, TeardownError, sweep};
