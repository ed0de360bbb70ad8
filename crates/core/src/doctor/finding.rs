//! What a diagnosis is made of: findings with stable names, and what could not be looked at. It words what is the same for
//! every host.

use std::collections::BTreeMap;

use crate::model::HostText;

/// What is looked at; each is either sound, or has findings, or is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Units that failed.
    Units,
    /// Kills for want of memory.
    OutOfMemory,
    /// Memory and swap.
    Memory,
    /// File systems.
    Disks,
    /// inotify's limits.
    Inotify,
    /// Who listens on the ports that the configuration claims.
    Ports,
    /// Certificates.
    Certificates,
    /// The clock.
    Clock,
    /// What waits for a restart.
    Reboot,
    /// Locks of dpkg, apt and `provision`.
    Locks,
    /// The newest apply, and what earlier ones left behind.
    Applies,
}

impl Check {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 11] = [
        Self::Units,
        Self::OutOfMemory,
        Self::Memory,
        Self::Disks,
        Self::Inotify,
        Self::Ports,
        Self::Certificates,
        Self::Clock,
        Self::Reboot,
        Self::Locks,
        Self::Applies,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::OutOfMemory => "out-of-memory",
            Self::Memory => "memory",
            Self::Disks => "disks",
            Self::Inotify => "inotify",
            Self::Ports => "ports",
            Self::Certificates => "certificates",
            Self::Clock => "clock",
            Self::Reboot => "reboot",
            Self::Locks => "locks",
            Self::Applies => "applies",
        }
    }
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work, or stops working within days.
    Problem,
    /// Something will not work if nobody looks after it.
    Warning,
}

impl Severity {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
        }
    }
}

/// What may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "`name` and `why` say what each is")]
pub enum Trouble {
    UnitFailed,
    KilledForMemory,
    MemoryLow,
    MemoryPressure,
    SwapFull,
    DiskFull,
    InodesFull,
    DiskReadOnly,
    InotifyWatches,
    InotifyInstances,
    PortTaken,
    CertificateExpired,
    CertificateExpiring,
    CertificateNotYetValid,
    ClockOff,
    ClockUnsynchronised,
    RebootRequired,
    KernelOutdated,
    CodeOutdated,
    PackageLockHeld,
    ApplyRunning,
    ApplyInterrupted,
    ApplyFailed,
    Leftover,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::UnitFailed,
        Self::KilledForMemory,
        Self::MemoryLow,
        Self::MemoryPressure,
        Self::SwapFull,
        Self::DiskFull,
        Self::InodesFull,
        Self::DiskReadOnly,
        Self::InotifyWatches,
        Self::InotifyInstances,
        Self::PortTaken,
        Self::CertificateExpired,
        Self::CertificateExpiring,
        Self::CertificateNotYetValid,
        Self::ClockOff,
        Self::ClockUnsynchronised,
        Self::RebootRequired,
        Self::KernelOutdated,
        Self::CodeOutdated,
        Self::PackageLockHeld,
        Self::ApplyRunning,
        Self::ApplyInterrupted,
        Self::ApplyFailed,
        Self::Leftover,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnitFailed => "unit-failed",
            Self::KilledForMemory => "killed-for-memory",
            Self::MemoryLow => "memory-low",
            Self::MemoryPressure => "memory-pressure",
            Self::SwapFull => "swap-full",
            Self::DiskFull => "disk-full",
            Self::InodesFull => "inodes-full",
            Self::DiskReadOnly => "disk-read-only",
            Self::InotifyWatches => "inotify-watches",
            Self::InotifyInstances => "inotify-instances",
            Self::PortTaken => "port-taken",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateExpiring => "certificate-expiring",
            Self::CertificateNotYetValid => "certificate-not-yet-valid",
            Self::ClockOff => "clock-off",
            Self::ClockUnsynchronised => "clock-unsynchronised",
            Self::RebootRequired => "reboot-required",
            Self::KernelOutdated => "kernel-outdated",
            Self::CodeOutdated => "code-outdated",
            Self::PackageLockHeld => "package-lock-held",
            Self::ApplyRunning => "apply-running",
            Self::ApplyInterrupted => "apply-interrupted",
            Self::ApplyFailed => "apply-failed",
            Self::Leftover => "leftover",
        }
    }

    /// Which check finds it.
    #[must_use]
    pub const fn check(self) -> Check {
        match self {
            Self::UnitFailed => Check::Units,
            Self::KilledForMemory => Check::OutOfMemory,
            Self::MemoryLow | Self::MemoryPressure | Self::SwapFull => Check::Memory,
            Self::DiskFull | Self::InodesFull | Self::DiskReadOnly => Check::Disks,
            Self::InotifyWatches | Self::InotifyInstances => Check::Inotify,
            Self::PortTaken => Check::Ports,
            Self::CertificateExpired | Self::CertificateExpiring | Self::CertificateNotYetValid => Check::Certificates,
            Self::ClockOff | Self::ClockUnsynchronised => Check::Clock,
            Self::RebootRequired | Self::KernelOutdated | Self::CodeOutdated => Check::Reboot,
            Self::PackageLockHeld | Self::ApplyRunning => Check::Locks,
            Self::ApplyInterrupted | Self::ApplyFailed | Self::Leftover => Check::Applies,
        }
    }

    /// Why it matters.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::UnitFailed => "what it does is not done, and systemd no longer tries",
            Self::KilledForMemory => "the kernel killed it in the middle of its work, and will do so again",
            Self::MemoryLow => "the next program that needs memory gets another one killed",
            Self::MemoryPressure => "programs stand still while the kernel looks for memory",
            Self::SwapFull => "with memory low as well, nothing is left before the kernel kills",
            Self::DiskFull => "writes fail with ENOSPC: databases stop, logs are lost, files are torn",
            Self::InodesFull => "no file can be made, however many bytes are free",
            Self::DiskReadOnly => "it found itself damaged, and every write fails",
            Self::InotifyWatches => "at the limit watching fails with ENOSPC, though the disk has room",
            Self::InotifyInstances => "at the limit watching fails with EMFILE, and services do not start",
            Self::PortTaken => {
                "what the configuration means to listen there cannot, or somebody else answers in its name"
            }
            Self::CertificateExpired => "clients refuse to connect",
            Self::CertificateExpiring => "clients will refuse to connect, and what should renew it has not",
            Self::CertificateNotYetValid => "clients refuse to connect",
            Self::ClockOff => "certificates, tokens and logs are judged by a wrong time",
            Self::ClockUnsynchronised => "it drifts by seconds a day, and nothing puts it right",
            Self::RebootRequired => "security updates that were installed are not in force",
            Self::KernelOutdated => "a newer kernel is installed and not in force",
            Self::CodeOutdated => "they run code that was replaced on the disk, maybe for its holes",
            Self::PackageLockHeld => "no package can be installed meanwhile, by an apply neither",
            Self::ApplyRunning => "what is seen here may change while you look, and no other apply can begin",
            Self::ApplyInterrupted => "some of its changes are made and some are not",
            Self::ApplyFailed => "what comes after the step that failed was not done",
            Self::Leftover => "it takes room, and shows that something ended before its time",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub trouble: Trouble,
    /// How grave it is.
    pub severity: Severity,
    /// What it is about, such as a unit or a mount point.
    pub subject: HostText,
    /// What was seen, as a clause.
    pub seen: HostText,
    /// What to do about it.
    pub fix: HostText,
    /// Lines that say more: of a journal, of a list.
    pub lines: Vec<HostText>,
}

/// Something that could not be looked at. It is not healthy, and not ill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Which check.
    pub check: Check,
    /// What, and why not.
    pub why: HostText,
}

/// What is wrong with a host, as far as it could be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// What is wrong, problems first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub unknown: Vec<Unknown>,
    /// What was seen of each check, in a few words, whether or not there is a finding.
    pub seen: BTreeMap<Check, HostText>,
}

impl Diagnosis {
    pub(super) fn find(
        &mut self,
        trouble: Trouble,
        severity: Severity,
        subject: impl Into<String>,
        seen: impl Into<String>,
        fix: impl Into<String>,
    ) -> &mut Vec<HostText> {
        let at = self.findings.len();
        self.findings.push(Finding {
            trouble,
            severity,
            subject: HostText::new(subject),
            seen: HostText::new(seen),
            fix: HostText::new(fix),
            lines: Vec::new(),
        });
        &mut self.findings[at].lines
    }

    pub(super) fn unknown(&mut self, check: Check, why: impl Into<String>) {
        self.unknown.push(Unknown {
            check,
            why: HostText::new(why),
        });
    }

    pub(super) fn saw(&mut self, check: Check, words: impl Into<String>) {
        self.seen.insert(check, HostText::new(words));
    }
}
