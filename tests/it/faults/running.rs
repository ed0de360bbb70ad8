//! A run of the program that goes on while a test does things to it. It knows no hosts.

use std::fmt::Display;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::lab::Ran;

/// How long anything may take that a test waits for, unless it says otherwise.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `done` is true.
#[track_caller]
pub(crate) fn until(what: &str, done: impl FnMut() -> bool) {
    assert!(comes_true(PATIENCE, done), "it did not come to this: {what}");
}

/// Whether `done` becomes true in time.
pub(super) fn comes_true(within: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Writes down how long something took since then; shown with `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "the figures of a run are read by people who watch its tests"
)]
pub(super) fn note(what: impl Display, since: Instant) {
    println!("{what}: {} ms", since.elapsed().as_millis());
}

/// The program at work.
pub(crate) struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    /// The most memory that it was seen to have, in bytes.
    peak: u64,
}

struct Stream {
    text: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Running {
    /// Starts it.
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self {
            stdout: Stream::of(child.stdout.take().unwrap()),
            stderr: Stream::of(child.stderr.take().unwrap()),
            child,
            peak: 0,
        }
    }

    /// What it has said so far, on both streams.
    pub(super) fn told(&self) -> String {
        self.stdout.so_far() + &self.stderr.so_far()
    }

    /// Waits until it has said this.
    #[track_caller]
    pub(super) fn says(&self, text: &str) {
        let said = comes_true(PATIENCE, || self.told().contains(text));
        assert!(said, "it did not say {text:?}, but:\n{}", self.told());
    }

    /// Sends it a signal, by `kill`'s name for it.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(self) -> Ran {
        self.ends_within(PATIENCE)
    }

    /// Waits for its end, and kills it when that does not come.
    #[track_caller]
    pub(super) fn ends_within(mut self, within: Duration) -> Ran {
        self.watch(within);
        let status = self.child.wait().unwrap();
        Ran {
            status,
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }

    /// Waits for its end and tells the most memory that it had, in bytes.
    #[track_caller]
    pub(super) fn ends_with_peak(mut self) -> (Ran, u64) {
        self.watch(PATIENCE);
        let peak = self.peak;
        (self.ends(), peak)
    }

    #[track_caller]
    fn watch(&mut self, within: Duration) {
        let status = format!("/proc/{}/status", self.child.id());
        let (child, peak) = (&mut self.child, &mut self.peak);
        let ended = comes_true(within, || {
            // The mark is the highest ever, so what the last look saw is nearly the end's.
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            if let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
                *peak = kib.parse::<u64>().unwrap() << 10;
            }
            child.try_wait().unwrap().is_some()
        });
        if !ended {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
            panic!("it did not end within {} s:\n{}", within.as_secs(), self.told());
        }
    }
}

impl Stream {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&text);
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                kept.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { text, reading }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn all(self) -> String {
        self.reading.join().unwrap();
        self.text.lock().unwrap().clone()
    }
}
