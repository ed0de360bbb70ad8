//! File systems that fill, and one that gave up.

use super::finding::{Check, Diagnosis, Severity, Trouble};
use super::{bytes, count, percent};
use crate::model::{Examination, Fact, Space};

/// From these shares on, in percent, it is nearly full, or as good as full.
const NEARLY: u64 = 90;
const FULL: u64 = 97;

pub(super) fn disks(seen: &Examination, diagnosis: &mut Diagnosis) {
    let disks = match &seen.disks {
        Fact::Unknown(why) => return diagnosis.unknown(Check::Disks, why.untrusted()),
        Fact::Known(disks) => disks,
    };
    let mut fullest: Option<(u64, &str)> = None;
    for disk in disks {
        let mount = disk.mount.untrusted();
        if disk.went_read_only {
            let words = format!("{} turned read-only by itself", disk.kind.untrusted());
            let fix = "see `journalctl -k` on the host for its errors, save what can be saved, then check it with fsck unmounted";
            diagnosis.find(Trouble::DiskReadOnly, Severity::Problem, mount, words, fix);
        }
        match &disk.space {
            Fact::Unknown(why) => {
                let why = format!("{mount} ({}): {}", disk.kind.untrusted(), why.untrusted());
                diagnosis.unknown(Check::Disks, why);
            }
            Fact::Known(space) => {
                let used = percent(space.used, space.used.saturating_add(space.available));
                if fullest.is_none_or(|(most, _)| used > most) {
                    fullest = Some((used, mount));
                }
                one(mount, space, used, diagnosis);
            }
        }
    }
    let all = count(disks.len() as u64, "file system");
    let fullest = fullest.map(|(used, mount)| format!(", the fullest is {mount} with {used} %"));
    diagnosis.saw(Check::Disks, all + &fullest.unwrap_or_default());
}

fn severity(used: u64) -> Option<Severity> {
    match used {
        0..NEARLY => None,
        NEARLY..FULL => Some(Severity::Warning),
        _ => Some(Severity::Problem),
    }
}

fn one(mount: &str, space: &Space, used: u64, diagnosis: &mut Diagnosis) {
    if let Some(severity) = severity(used) {
        let words = format!("{used} % used, {} left", bytes(space.available));
        let fix = format!(
            "find what takes it with `du -xh {mount} | sort -h | tail` on the host; `journalctl --vacuum-size=200M` and \
             `apt-get clean` give some back"
        );
        diagnosis.find(Trouble::DiskFull, severity, mount, words, fix);
    }
    let used = percent(space.inodes_used, space.inodes_used.saturating_add(space.inodes_free));
    if let Some(severity) = severity(used) {
        let words = format!("{used} % of its inodes used, {} left", space.inodes_free);
        let fix = format!(
            "find the directory with the many small files: `du --inodes -x {mount} | sort -n | tail` on the host"
        );
        diagnosis.find(Trouble::InodesFull, severity, mount, words, fix);
    }
}
