//! Locks that are held, and applies that did not come to an end.

use std::collections::BTreeMap;

use super::finding::{Check, Diagnosis, Severity, Trouble};
use super::{count, span};
use crate::model::{Examination, Fact, HeldLock, HostText, Leftover, Process, RunPhase};

/// After this time, in seconds, whoever holds a lock is likely to hang: large upgrades take minutes.
const LONG: u64 = 60 * 60;

pub(super) fn locks(host: &str, seen: &Examination, diagnosis: &mut Diagnosis) {
    let mut words = Vec::new();
    match &seen.package_locks {
        Fact::Unknown(why) => diagnosis.unknown(Check::Locks, format!("dpkg's: {}", why.untrusted())),
        Fact::Known(held) => {
            words.push(format!("{} of dpkg and apt held", count(held.len() as u64, "lock")));
            let mut holders: BTreeMap<Option<u32>, Vec<&HeldLock>> = BTreeMap::new();
            for lock in held {
                holders
                    .entry(lock.holder.as_ref().map(|holder| holder.pid))
                    .or_default()
                    .push(lock);
            }
            for locks in holders.values() {
                package_lock(locks, diagnosis);
            }
        }
    }
    match &seen.apply_lock {
        Fact::Unknown(why) => diagnosis.unknown(Check::Locks, format!("provision's: {}", why.untrusted())),
        Fact::Known(None) => words.push("nobody applies".to_owned()),
        Fact::Known(Some(holder)) => {
            let age = (seen.ended / 1000).saturating_sub(holder.since);
            let who = holder.who.untrusted();
            let seen = format!("{who} has been applying for {} (pid {})", span(age), holder.pid);
            let fix = format!("watch it with `provision attach {host} --plan {}`", holder.plan_id);
            diagnosis.find(
                Trouble::ApplyRunning,
                severity(Some(age)),
                "provision's lock",
                seen,
                fix,
            );
        }
    }
    diagnosis.saw(Check::Locks, words.join(", "));
}

fn severity(age: Option<u64>) -> Severity {
    match age {
        Some(age) if age > LONG => Severity::Problem,
        Some(_) | None => Severity::Warning,
    }
}

fn package_lock(locks: &[&HeldLock], diagnosis: &mut Diagnosis) {
    let Some(first) = locks.first() else { return };
    let paths: Vec<_> = locks.iter().map(|lock| lock.path.untrusted()).collect();
    let (seen, fix) = match &first.holder {
        Some(process) => {
            let age = first
                .age
                .map(|age| format!(", running for {}", span(age)))
                .unwrap_or_default();
            let seen = format!("held by {}{age}", process_words(process));
            let fix = format!(
                "wait for it; where it hangs, see why (`ps -fp {}` on the host), end it, then `dpkg --configure -a`",
                process.pid
            );
            (seen, fix)
        }
        None => (
            "held by a process that is not visible on the host".to_owned(),
            "look for it on the machine that this container runs on".to_owned(),
        ),
    };
    diagnosis.find(
        Trouble::PackageLockHeld,
        severity(first.age),
        paths.join(", "),
        seen,
        fix,
    );
}

fn process_words(process: &Process) -> String {
    let unit = process.unit.as_ref().map(|unit| format!(" of {}", unit.untrusted()));
    format!(
        "{} (pid {}){}",
        process.name.untrusted(),
        process.pid,
        unit.unwrap_or_default()
    )
}

pub(super) fn applies(host: &str, seen: &Examination, diagnosis: &mut Diagnosis) {
    match &seen.last_run {
        Fact::Unknown(why) => diagnosis.unknown(Check::Applies, format!("the newest apply: {}", why.untrusted())),
        Fact::Known(None) => diagnosis.saw(Check::Applies, "nothing was applied yet"),
        Fact::Known(Some(run)) => {
            let ago = span((seen.ended / 1000).saturating_sub(run.started));
            diagnosis.saw(Check::Applies, format!("the newest began {ago} ago"));
            let who = run.by.get("who").map_or("somebody", HostText::untrusted);
            let subject = format!("the apply of {who}, {ago} ago");
            match run.phase {
                RunPhase::Interrupted => {
                    let seen = "it was killed, or the host lost its power, before it came to an end";
                    let fix = format!("`provision apply {host}` finishes it");
                    diagnosis.find(Trouble::ApplyInterrupted, Severity::Problem, subject, seen, fix);
                }
                RunPhase::Failed => {
                    let problem = run.error.as_ref().map(|error| error.problem.untrusted());
                    let seen = format!("it failed: {}", problem.unwrap_or("nothing more is known"));
                    let fix = format!("mend that, then `provision apply {host}`; or `provision rollback {host}`");
                    let lines = diagnosis.find(Trouble::ApplyFailed, Severity::Problem, subject, seen, fix);
                    lines.extend(run.error.iter().flat_map(|error| error.output.iter().cloned()));
                }
                RunPhase::RolledBack => {
                    let seen = "it touched the way in and nobody confirmed it, so the host undid what it had changed";
                    let fix =
                        format!("see what it changed of the way in with `provision plan {host}` before applying again");
                    diagnosis.find(Trouble::ApplyFailed, Severity::Problem, subject, seen, fix);
                }
                RunPhase::Unconfirmed | RunPhase::RollingBack => {
                    let seen = "it touched the way in, and the host waits to be told that it can still be reached, or undoes it";
                    let fix = format!("wait for its end; `provision attach {host}` follows it");
                    diagnosis.find(Trouble::ApplyInterrupted, Severity::Warning, subject, seen, fix);
                }
                RunPhase::Staged
                | RunPhase::Armed
                | RunPhase::Switching
                | RunPhase::Switched
                | RunPhase::Confirmed
                | RunPhase::Refused => {}
            }
        }
    }
    match &seen.leftovers {
        Fact::Unknown(why) => diagnosis.unknown(Check::Applies, format!("leftovers: {}", why.untrusted())),
        Fact::Known(leftovers) => leftovers
            .iter()
            .for_each(|leftover| self::leftover(leftover, diagnosis)),
    }
}

fn leftover(leftover: &Leftover, diagnosis: &mut Diagnosis) {
    match leftover {
        Leftover::Agent { process, age } => {
            let seen = format!(
                "{} has run for {} and serves nobody",
                process_words(process),
                span(*age)
            );
            let fix = format!("end it: `kill {}` on the host", process.pid);
            diagnosis.find(Trouble::Leftover, Severity::Warning, "an agent", seen, fix);
        }
        Leftover::File(path) => {
            let path = path.untrusted();
            let seen = "it was never finished: whoever wrote it died";
            diagnosis.find(
                Trouble::Leftover,
                Severity::Warning,
                path,
                seen,
                format!("remove it: `rm {path}` on the host"),
            );
        }
    }
}
