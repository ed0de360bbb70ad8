//! Who a throwaway host belongs to: one process of one boot, recognised after its number was given to another.
//! It does not reach into other process-number namespaces: all owners on a machine are expected to share one.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// A process, so named that no later one can be mistaken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) pid: u32,
    /// In clock ticks since boot: field 22 of proc_pid_stat(5).
    start_time: u64,
    boot_id: String,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> io::Result<Self> {
        let pid = std::process::id();
        Ok(Self {
            pid,
            start_time: start_time(pid)?,
            boot_id: boot_id()?,
        })
    }

    /// Whether the process is still there. A zombie owns nothing any more.
    pub(crate) fn is_alive(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot_id)
            && start_time(self.pid).is_ok_and(|time| time == self.start_time)
    }
}

/// This boot's number, made up by the kernel.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn start_time(pid: u32) -> io::Result<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("process {pid} is dead, or its stat is not to be understood"),
        )
    })
}

fn parse_stat(text: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, and may itself hold both spaces and parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_nasty_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        assert_eq!(parse_stat(&format!("7 (a) b (c) {tail}")), Some(4242));
    }

    #[test]
    fn this_process_is_alive_and_its_number_alone_does_not_count() {
        let me = Owner::current().unwrap();
        assert!(me.is_alive());
        let earlier = Owner {
            start_time: me.start_time - 1,
            ..me.clone()
        };
        assert!(!earlier.is_alive());
        let last_boot = Owner {
            boot_id: "another".to_owned(),
            ..me
        };
        assert!(!last_boot.is_alive());
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        assert!(start_time(child.id()).is_err());
        child.wait().unwrap();
    }
}
