//! What was seen of a host to what is wrong with it, and what to do. A synchronous function of values: the limits at
//! which something is worth telling are here, and nothing is looked at.

mod applies;
mod certificate;
mod clock;
mod disks;
mod finding;
mod inotify;
mod memory;
mod ports;
mod reboot;
#[cfg(test)]
mod tests;
mod units;

use crate::model::{Examination, PortClaim};

pub use clock::Trip;
pub use finding::{Check, Diagnosis, Finding, Severity, Trouble, Unknown};

/// What is wrong with a host that was examined. `claims` are the ports that its configuration says are taken.
#[must_use]
pub fn diagnose(host: &str, claims: &[PortClaim], seen: &Examination, trip: Trip) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    units::units(host, seen, &mut diagnosis);
    memory::out_of_memory(seen, &mut diagnosis);
    memory::memory(seen, &mut diagnosis);
    disks::disks(seen, &mut diagnosis);
    inotify::inotify(seen, &mut diagnosis);
    ports::ports(claims, seen, &mut diagnosis);
    certificate::certificates(seen, trip, &mut diagnosis);
    clock::clock(seen, trip, &mut diagnosis);
    reboot::reboot(seen, &mut diagnosis);
    applies::locks(host, seen, &mut diagnosis);
    applies::applies(host, seen, &mut diagnosis);
    diagnosis.findings.sort_by_key(|finding| finding.severity);
    diagnosis
}

/// A number with its noun; the plural takes an "s".
fn count(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// A span of seconds in its largest unit, or two.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}min", seconds / 60),
        3_600..86_400 => format!("{}h {}min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A length in bytes.
fn bytes(length: u64) -> String {
    const MIB: u64 = 1 << 20;
    match length {
        0..MIB => format!("{} KiB", length >> 10),
        MIB..0x4000_0000 => format!("{} MiB", length >> 20),
        _ => format!("{}.{} GiB", length >> 30, (length >> 20) % 1024 * 10 / 1024),
    }
}

/// A share in whole percent, rounded down; nothing of nothing is 0.
fn percent(part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(part) * 100 / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}
