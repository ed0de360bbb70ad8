//! What an examination of a host found: facts beyond its resources, from which a diagnosis is made. It judges none of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Blob, Fact, Holder, HostFacts, HostText, RunSummary, UnitName};

/// What is asked for beyond what every examination looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examine {
    /// Files that may hold certificates, beside those in well-known places.
    pub certificates: BTreeSet<super::AbsPath>,
}

/// What one examination found. Times of the host's clock are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examination {
    /// The host itself.
    pub facts: HostFacts,
    /// The kind of container that the host is, such as `lxc`; then kernel, clock and memory are another machine's.
    pub container: Option<HostText>,
    /// Seconds since boot.
    pub uptime: u64,
    /// The host's clock when it began to look.
    pub began: u64,
    /// The host's clock when it had looked at everything.
    pub ended: u64,
    /// What keeps its clock right.
    pub time: Fact<TimeKeeping>,
    /// Units that failed, of the system and of users' managers.
    pub units: Fact<Vec<FailedUnit>>,
    /// Users' managers that could not be asked, by user, with why.
    pub deaf_managers: BTreeMap<String, HostText>,
    /// Processes that the kernel killed for want of memory, since boot.
    pub out_of_memory: Fact<OutOfMemory>,
    /// Mounted file systems that can fill.
    pub disks: Fact<Vec<Disk>>,
    /// Who watches how many files.
    pub inotify: Fact<Inotify>,
    /// dpkg's and apt's locks that somebody holds.
    pub package_locks: Fact<Vec<HeldLock>>,
    /// Who applies at this moment.
    pub apply_lock: Fact<Option<Holder>>,
    /// The newest run.
    pub last_run: Fact<Option<RunSummary>>,
    /// What `provision` left behind that nothing uses.
    pub leftovers: Fact<Vec<Leftover>>,
    /// Packages that asked for a reboot; `None` where none did.
    pub reboot_required: Fact<Option<Vec<HostText>>>,
    /// Releases of the kernels that could be booted.
    pub kernels: Fact<Vec<HostText>>,
    /// Programs and libraries that were replaced on disk and still run, by unit.
    pub outdated: Fact<BTreeMap<String, Outdated>>,
    /// Certificates: the public part of each file, or why it could not be read.
    pub certificates: BTreeMap<String, Fact<Blob>>,
    /// Why well-known places could not be searched for certificates.
    pub unsearched: Vec<HostText>,
    /// Who listens where.
    pub listeners: Fact<Vec<Listener>>,
    /// Memory and swap.
    pub memory: Fact<Memory>,
}

/// What keeps a clock right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeKeeping {
    /// Whether the kernel says that the clock follows a reference.
    pub synchronised: bool,
    /// The service that does so and is active, such as `chrony.service`.
    pub service: Option<HostText>,
}

/// A unit in state failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedUnit {
    /// Its name.
    pub name: HostText,
    /// Whose manager it belongs to; `None` is the system's.
    pub user: Option<HostText>,
    /// `Result`, such as `exit-code`.
    pub result: HostText,
    /// Exit status of its main process, or the signal that killed it; 0 where there was none.
    pub status: i32,
    /// How often systemd restarted it by itself.
    pub restarts: u32,
    /// Its last lines in the journal, or why they cannot be had.
    pub lines: Fact<Vec<HostText>>,
}

/// Kills for want of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOfMemory {
    /// How many kills cgroups have counted, by cgroup, such as `/system.slice/bot.service`. One that is gone counts no more.
    pub cgroups: BTreeMap<String, u64>,
    /// What the journal says of them, the newest first.
    pub journal: Vec<Kill>,
}

/// A kill for want of memory, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// When, by the host's clock.
    pub at: u64,
    /// The unit that lost a process; `None` where the kernel tells of it, who knows no units.
    pub unit: Option<HostText>,
    /// The words.
    pub words: HostText,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: HostText,
    /// Its type, such as `ext4`.
    pub kind: HostText,
    /// It is mounted for writing and turned read-only by itself, as a file system does that finds itself damaged.
    pub went_read_only: bool,
    /// What it holds, or why that is not known.
    pub space: Fact<Space>,
}

/// What a file system holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Bytes that are used.
    pub used: u64,
    /// Bytes that users other than root may still use.
    pub available: u64,
    /// Inodes that are used.
    pub inodes_used: u64,
    /// Inodes that are free; both are 0 where there is no limit.
    pub inodes_free: u64,
}

/// Who watches how many files. The kernel's limits are for each user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inotify {
    /// `fs.inotify.max_user_watches`.
    pub max_watches: u64,
    /// `fs.inotify.max_user_instances`.
    pub max_instances: u64,
    /// Users that watch anything.
    pub users: Vec<Watcher>,
    /// Processes that could not be looked into.
    pub unseen: u32,
}

/// A user that watches files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watcher {
    /// The user's number.
    pub uid: u32,
    /// Its name, where it has one.
    pub user: Option<HostText>,
    /// inotify instances.
    pub instances: u64,
    /// Watches of all of them.
    pub watches: u64,
    /// The process that has the most, for saying where to look.
    pub most: Process,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The kernel's name for it.
    pub name: HostText,
    /// The system's unit that it belongs to, such as `ssh.service`.
    pub unit: Option<HostText>,
    /// The unit of a user's manager that it belongs to.
    pub user_unit: Option<HostText>,
}

/// A lock that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldLock {
    /// The file.
    pub path: HostText,
    /// Who holds it; `None` where the process is not visible on the host.
    pub holder: Option<Process>,
    /// For how long that process has run, in seconds.
    pub age: Option<u64>,
}

/// Something of `provision`'s own that nothing uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leftover {
    /// An agent that has run for long and that no run or session needs.
    Agent {
        /// The process.
        process: Process,
        /// For how long it has run, in seconds.
        age: u64,
    },
    /// A file that was being written, or uploaded, by something that died.
    File(HostText),
}

/// What a unit runs that was replaced on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outdated {
    /// The files.
    pub files: BTreeSet<String>,
    /// How many processes.
    pub processes: u32,
}

/// A socket that somebody listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// TCP, rather than UDP.
    pub tcp: bool,
    /// The address; an IPv4 address in an IPv6 socket is given as IPv4.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: u16,
    /// Who listens: all processes that have the socket. Empty where none of them is visible.
    pub processes: Vec<Process>,
    /// The socket unit, where systemd itself listens.
    pub socket_unit: Option<HostText>,
}

/// Memory and swap, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// All there is.
    pub total: u64,
    /// What programs could still have without swapping.
    pub available: u64,
    /// All swap there is.
    pub swap_total: u64,
    /// Swap that is free.
    pub swap_free: u64,
    /// In which share of the last minute everything that could run waited for memory, in hundredths of a percent;
    /// `None` where the kernel does not measure it.
    pub stalled: Option<u32>,
}

/// A port that the host's configuration says is taken, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortClaim {
    /// The port.
    pub port: u16,
    /// TCP, rather than UDP.
    pub tcp: bool,
    /// The address; all of them where it is `None`.
    pub address: Option<String>,
    /// What it is called, such as `gateway`.
    pub name: String,
    /// Who claims it, in words: "`gateway` of `openclaw.personal`".
    pub by: String,
    /// Whether it follows from another port of the same claim.
    pub derived: bool,
    /// The units that are declared beside it: one of them is to listen. Empty where none is.
    pub units: BTreeSet<UnitName>,
}
