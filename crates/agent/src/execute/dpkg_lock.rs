//! Waiting for the locks of dpkg and apt, and saying who holds them. It takes none of them: apt does, right after.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use provision_core::model::StepError;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::{Progress, problem};

/// Locked by whoever changes packages, in the order in which apt takes them.
pub(crate) const LOCKS: [&str; 4] = [
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/cache/apt/archives/lock",
    "/var/lib/apt/lists/lock",
];

/// How long the locks are waited for. Unattended upgrades hold them for some minutes.
const PATIENCE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(250);

/// Waits until nobody holds any of the locks.
pub(super) fn wait(progress: &mut Progress<'_>) -> Result<(), StepError> {
    wait_for(&LOCKS, PATIENCE, &mut |on| progress.waiting(on))
}

fn wait_for(locks: &[&str], patience: Duration, tell: &mut dyn FnMut(&str)) -> Result<(), StepError> {
    let until = Instant::now() + patience;
    let mut told = String::new();
    while let Some(held) = locks.iter().find_map(|lock| held(lock)) {
        if Instant::now() >= until {
            return Err(StepError {
                fix: Some("wait for it to end, or see why it does not, then apply again".to_owned()),
                ..problem(format!(
                    "waited {} s for {held}; no package was changed",
                    patience.as_secs()
                ))
            });
        }
        if held != told {
            tell(&held);
            told = held;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// A lock that somebody holds, in words. One that cannot be asked about is left to apt, which says why.
fn held(lock: &str) -> Option<String> {
    let who = holder(lock).ok()??.map_or_else(
        || "a process that is not visible here".to_owned(),
        |pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} (pid {pid})", name.trim_end())
        },
    );
    Some(format!("the lock {lock}, held by {who}"))
}

/// Who holds a lock: the process, or `Some(None)` where it is not visible here. A lock file that is not there is free.
///
/// # Errors
/// It cannot be opened, or not be asked about.
pub(crate) fn holder(lock: &str) -> io::Result<Option<Option<u32>>> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
    // No pid is told where the holder is in another pid namespace, such as a container's host.
    let pid = |held: Flock| u32::try_from(held.pid?.as_raw_nonzero().get()).ok();
    Ok(held.map(pid))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::testing::Scratch;

    /// A process that holds a lock as dpkg does, until it is killed.
    struct Held(std::process::Child);

    impl Held {
        fn new(path: &std::path::Path) -> Self {
            let script = "import fcntl,sys,time\nf=open(sys.argv[1],'w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\nsys.stdin.read()";
            let mut child = Command::new("python3")
                .args(["-c", script])
                .arg(path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
            std::io::BufRead::read_line(&mut output, &mut line).unwrap();
            assert_eq!(line, "held\n");
            Self(child)
        }

        fn release(mut self) {
            drop(self.0.stdin.take());
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn a_held_lock_is_waited_for_and_its_holder_named() {
        let scratch = Scratch::new();
        let path = scratch.path().join("lock");
        let held = Held::new(&path);
        let pid = held.0.id();
        let locks = [path.to_str().unwrap()];

        let error = wait_for(&locks, Duration::ZERO, &mut |_| {}).unwrap_err();
        let words = error.problem.untrusted().to_owned();
        assert!(words.contains(&format!("python3 (pid {pid})")), "{words}");

        let mut held = Some(held);
        let mut told = Vec::new();
        wait_for(&locks, Duration::from_secs(60), &mut |on| {
            told.push(on.to_owned());
            // Whoever is told waits; let it end.
            held.take().unwrap().release();
        })
        .unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn a_missing_lock_is_free() {
        assert!(wait_for(&["/nonexistent/lock"], Duration::ZERO, &mut |_| {}).is_ok());
    }
}
