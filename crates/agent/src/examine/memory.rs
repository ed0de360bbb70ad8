//! Memory: what is left, how long programs waited for it, and who was killed for want of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use provision_core::model::{Fact, HostText, Kill, Memory, OutOfMemory};

use super::{LookError, text};
use crate::words::chain;

/// What is left.
pub(super) fn memory() -> Result<Memory, LookError> {
    let path = "/proc/meminfo";
    let said = text(Path::new(path))?;
    let bytes = |name: &str| {
        let missing = || LookError::Form {
            path: path.to_owned(),
            what: format!("no {name}"),
        };
        let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.map(|kib| kib.saturating_mul(1024)).ok_or_else(missing)
    };
    Ok(Memory {
        total: bytes("MemTotal")?,
        available: bytes("MemAvailable")?,
        swap_total: bytes("SwapTotal")?,
        swap_free: bytes("SwapFree")?,
        stalled: stalled(),
    })
}

/// How much of it programs could have without others being swapped, in bytes.
///
/// # Errors
/// Why it cannot be seen.
pub(crate) fn available_memory() -> Result<u64, HostText> {
    memory().map(|memory| memory.available).map_err(|error| chain(&error))
}

/// `avg60` of the line `full`, in hundredths of a percent.
fn stalled() -> Option<u32> {
    pressure(&text(Path::new("/proc/pressure/memory")).ok()?)
}

fn pressure(said: &str) -> Option<u32> {
    let full = said.lines().find_map(|line| line.strip_prefix("full "))?;
    let average = full.split(' ').find_map(|field| field.strip_prefix("avg60="))?;
    let (whole, hundredths) = average.split_once('.')?;
    Some(whole.parse::<u32>().ok()? * 100 + hundredths.parse::<u32>().ok()?)
}

/// How deep cgroups are looked into: slices, services, and what they delegate.
const DEPTH: usize = 8;

/// Kills, as cgroups have counted them and as the journal tells them.
pub(super) fn out_of_memory(journal: Result<Vec<Kill>, HostText>) -> Fact<OutOfMemory> {
    let mut cgroups = BTreeMap::new();
    // Without a memory controller nobody counts, and the journal says it all.
    count(Path::new("/sys/fs/cgroup"), "", DEPTH, &mut cgroups);
    match journal {
        Ok(journal) => Fact::Known(OutOfMemory { cgroups, journal }),
        // What was counted is certain, whatever else there may be.
        Err(_) if !cgroups.is_empty() => Fact::Known(OutOfMemory {
            cgroups,
            journal: Vec::new(),
        }),
        Err(why) => Fact::Unknown(why),
    }
}

/// `memory.events.local` is a cgroup's own; `memory.events` has those below it as well.
fn count(at: &Path, name: &str, depth: usize, counts: &mut BTreeMap<String, u64>) {
    if let Ok(events) = text(&at.join("memory.events.local")) {
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        let kills = kills.and_then(|kills| kills.trim().parse().ok()).unwrap_or(0);
        if kills > 0 {
            counts.insert(name.to_owned(), kills);
        }
    }
    let entries = match fs::read_dir(at) {
        Ok(entries) if depth > 0 => entries,
        // It went meanwhile, or there is no such hierarchy.
        Ok(_) | Err(_) => return,
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            count(&entry.path(), &name, depth - 1, counts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn pressure_is_the_last_minutes() {
        let said = "some avg10=9.00 avg60=8.01 avg300=0.10 total=1\nfull avg10=1.00 avg60=12.34 avg300=0.00 total=5\n";
        assert_eq!(pressure(said), Some(1234));
        assert_eq!(pressure("some avg10=0.00"), None);
        let memory = memory().unwrap();
        assert!(memory.available > 0 && memory.total > memory.available);
    }

    #[test]
    fn kills_are_counted_where_they_happened() {
        let scratch = Scratch::new();
        let write = |path: &str, kills: u64| {
            let path = scratch.path().join(path);
            fs::create_dir_all(&path).unwrap();
            fs::write(
                path.join("memory.events.local"),
                format!("low 0\noom 9\noom_kill {kills}\noom_group_kill 0\n"),
            )
            .unwrap();
        };
        write("system.slice", 0);
        write("system.slice/bot.service", 3);
        write("system.slice/bot.service/child", 1);
        let mut counts = BTreeMap::new();
        count(scratch.path(), "", DEPTH, &mut counts);
        let expected = [
            ("/system.slice/bot.service".to_owned(), 3),
            ("/system.slice/bot.service/child".to_owned(), 1),
        ];
        assert_eq!(counts, expected.into());
    }
}
