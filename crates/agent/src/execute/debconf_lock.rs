//! Waiting for whoever uses debconf's database, and saying who that is. It takes no lock: debconf does, and fails at once
//! where it cannot, so that even to try the lock could make somebody else fail.

use std::fs;
use std::time::{Duration, Instant};

use provision_core::model::StepError;

use super::{Progress, Ran, problem};
use crate::child::Invocation;
use crate::observe;

/// How long it is waited for. A package that configures itself holds it all the time.
const PATIENCE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(250);

/// What debconf says where another one runs.
const LOCKED: &str = "is locked by another process";

/// Runs one of debconf's tools once nobody else does.
pub(super) fn run(invocation: &Invocation, progress: &mut Progress<'_>) -> Result<Ran, StepError> {
    let until = Instant::now() + PATIENCE;
    let mut told = String::new();
    loop {
        while let Some(holder) = holder(&locks()) {
            wait(&holder, until, &mut told, progress)?;
        }
        let ran = super::run(invocation, progress)?;
        if ran.status.success() || !ran.says(LOCKED) {
            return Ok(ran);
        }
        // Somebody came in between, or is not visible here.
        wait("a process that is not visible here", until, &mut told, progress)?;
    }
}

fn wait(holder: &str, until: Instant, told: &mut String, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let held = format!("the lock of {}, held by {holder}", observe::DEBCONF_ANSWERS);
    if Instant::now() >= until {
        return Err(StepError {
            fix: Some("wait for it to end, or see why it does not, then apply again".to_owned()),
            ..problem(format!(
                "waited {} s for {held}; this step did nothing",
                PATIENCE.as_secs()
            ))
        });
    }
    if held != *told {
        progress.waiting(&held);
        *told = held;
    }
    std::thread::sleep(PAUSE);
    Ok(())
}

/// The kernel's list of locks (proc_locks(5)). Where it cannot be read, debconf says by itself that it is locked out.
fn locks() -> String {
    fs::read_to_string("/proc/locks").unwrap_or_default()
}

/// A process that holds the lock of debconf's answers. The list names files by numbers that a layered file system makes up,
/// so the file is found among those that the process has open.
fn holder(locks: &str) -> Option<String> {
    flocks(locks).find_map(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let mut open = open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        open.any(|path| path.to_string_lossy().starts_with(observe::DEBCONF_ANSWERS))
            .then(|| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                format!("{} (pid {pid})", name.trim_end())
            })
    })
}

/// The processes that hold locks of flock(2); a line with an arrow is of one that waits.
fn flocks(locks: &str) -> impl Iterator<Item = u32> {
    locks.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        (words.next() == Some("FLOCK"))
            .then(|| words.nth(2)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_holds_a_lock_of_its_kind_counts() {
        let locks = "1: POSIX  ADVISORY  WRITE 699 08:01:393 0 EOF\n2: FLOCK  ADVISORY  WRITE 417 00:2d:1 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 500 00:2d:1 0 EOF\n3: FLOCK  ADVISORY  READ -1 00:2d:2 0 EOF\nnonsense\n\n";
        assert_eq!(flocks(locks).collect::<Vec<_>>(), [417]);
        assert_eq!(flocks("").count(), 0);
    }
}
