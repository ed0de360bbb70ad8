//! Memory that runs out, and what was killed for want of it.

use std::collections::BTreeMap;

use super::finding::{Check, Diagnosis, Severity, Trouble};
use super::{bytes, count, percent, span};
use crate::model::{Examination, Fact, HostText};

/// Below these shares of all memory, in percent, what is left is little, or too little.
const LOW: u64 = 10;
const TOO_LOW: u64 = 4;

/// Above this share, in percent, swap is full. It matters only where memory is below `SWAPPING`, too.
const SWAP_FULL: u64 = 80;
const SWAPPING: u64 = 25;

/// From these shares of the last minute on, in hundredths of a percent, standing still is felt, or is all that happens.
const STALLED: u32 = 5_00;
const STUCK: u32 = 25_00;

/// A kill within this time, in seconds, is news.
const NEWS: u64 = 24 * 60 * 60;

pub(super) fn out_of_memory(seen: &Examination, diagnosis: &mut Diagnosis) {
    let killed = match &seen.out_of_memory {
        Fact::Unknown(why) => return diagnosis.unknown(Check::OutOfMemory, why.untrusted()),
        Fact::Known(killed) => killed,
    };
    // What a unit's cgroup has counted, or else what the journal tells of it; the kernel's own words name no unit.
    let mut units: BTreeMap<String, (u64, Option<u64>)> = BTreeMap::new();
    for (cgroup, kills) in &killed.cgroups {
        let unit = cgroup
            .rsplit('/')
            .find(|part| part.ends_with(".service") || part.ends_with(".scope"));
        units.entry(unit.unwrap_or(cgroup).to_owned()).or_default().0 += kills;
    }
    for kill in &killed.journal {
        let Some(unit) = &kill.unit else { continue };
        let (counted, newest) = units.entry(unit.untrusted().to_owned()).or_default();
        *counted = (*counted).max(1);
        *newest = (*newest).max(Some(kill.at));
    }
    let kernel: Vec<_> = killed.journal.iter().filter(|kill| kill.unit.is_none()).collect();
    diagnosis.saw(
        Check::OutOfMemory,
        if units.is_empty() && kernel.is_empty() {
            "nothing was killed since boot".to_owned()
        } else {
            format!("{} since boot", count(units.len().max(kernel.len()) as u64, "kill"))
        },
    );
    let severity = |at: Option<u64>| match at {
        Some(at) if seen.ended.saturating_sub(at) / 1000 > NEWS => Severity::Warning,
        Some(_) | None => Severity::Problem,
    };
    let ago = |at: u64| format!("{} ago", span(seen.ended.saturating_sub(at) / 1000));
    let fix =
        "give it less to do or the host more memory, or limit it with MemoryMax= and its runtime's own heap limit";
    let mut told: Vec<HostText> = kernel.iter().map(|kill| kill.words.clone()).collect();
    told.truncate(5);
    for (unit, (kills, newest)) in &units {
        let when = newest.map(|at| format!(", last {}", ago(at))).unwrap_or_default();
        let words = format!("{} killed for want of memory since boot{when}", processes_were(*kills));
        let lines = diagnosis.find(Trouble::KilledForMemory, severity(*newest), unit.as_str(), words, fix);
        lines.append(&mut told);
    }
    if let (true, Some(newest)) = (units.is_empty(), kernel.first()) {
        let words = format!(
            "{} killed for want of memory since boot, last {}",
            processes_were(kernel.len() as u64),
            ago(newest.at)
        );
        let lines = diagnosis.find(
            Trouble::KilledForMemory,
            severity(Some(newest.at)),
            "the host",
            words,
            fix,
        );
        lines.append(&mut told);
    }
}

fn processes_were(number: u64) -> String {
    if number == 1 {
        "a process was".to_owned()
    } else {
        format!("{number} processes were")
    }
}

pub(super) fn memory(seen: &Examination, diagnosis: &mut Diagnosis) {
    let memory = match &seen.memory {
        Fact::Unknown(why) => return diagnosis.unknown(Check::Memory, why.untrusted()),
        Fact::Known(memory) => memory,
    };
    let left = percent(memory.available, memory.total);
    let of_all = format!("{} of {} available", bytes(memory.available), bytes(memory.total));
    let swap_used = memory.swap_total.saturating_sub(memory.swap_free);
    let swap = format!("{} of {} swap used", bytes(swap_used), bytes(memory.swap_total));
    diagnosis.saw(
        Check::Memory,
        if memory.swap_total == 0 {
            of_all.clone()
        } else {
            format!("{of_all}, {swap}")
        },
    );
    let look = "see who has it with `ps -eo rss,pid,user,comm --sort=-rss | head` on the host";
    let low = match left {
        0..TOO_LOW => Some(Severity::Problem),
        TOO_LOW..LOW => Some(Severity::Warning),
        _ => None,
    };
    if let Some(severity) = low {
        diagnosis.find(
            Trouble::MemoryLow,
            severity,
            "memory",
            format!("{of_all} ({left} %)"),
            look,
        );
    }
    let used = percent(swap_used, memory.swap_total);
    if memory.swap_total > 0 && used >= SWAP_FULL && left < SWAPPING {
        let words = format!("{swap} ({used} %), with {left} % of memory left");
        diagnosis.find(Trouble::SwapFull, Severity::Warning, "swap", words, look);
    }
    if let Some(stalled) = memory.stalled.filter(|stalled| *stalled >= STALLED) {
        let severity = if stalled >= STUCK {
            Severity::Problem
        } else {
            Severity::Warning
        };
        let words = format!("everything stood still for {} % of the last minute", stalled / 100);
        diagnosis.find(Trouble::MemoryPressure, severity, "memory", words, look);
    }
}
