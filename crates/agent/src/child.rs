//! Child processes with a deadline, their own process group, and bounded output line by line. It decides nothing about
//! what an exit status means, and it goes through no shell.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, Read, Write as _};
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use provision_core::wire::limits::OUTPUT_LINE_BYTES;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// The search path of every child: Debian's for root.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a group may take to end after SIGTERM before it is killed. dpkg finishes its status file in that time.
const GRACE: Duration = Duration::from_secs(5);
/// How long what a dead child's descendants still write is listened to. A daemon that inherited the pipe holds it open for ever.
const DRAIN: Duration = Duration::from_millis(200);
/// How often whoever reads a silent child's output is asked for the time: its deadline may have passed.
const LISTEN: Duration = Duration::from_secs(1);
/// How often a silent child is looked at, which bounds how late its end is seen when a descendant keeps its pipe open.
const TICK: Duration = Duration::from_millis(20);

/// What is run, and how.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    user: Option<(u32, u32)>,
    input: Vec<u8>,
    deadline: Duration,
}

impl Invocation {
    /// A program with a minimal environment, in `/`, that is ended with its process group after `deadline`.
    pub(crate) fn new(program: impl AsRef<OsStr>, deadline: Duration) -> Self {
        let env = [("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")];
        Self {
            program: program.as_ref().into(),
            args: Vec::new(),
            env: env.map(|(name, value)| (name.into(), value.into())).into(),
            cwd: "/".into(),
            user: None,
            input: Vec::new(),
            deadline,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref().to_owned();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.as_ref().into()));
        self
    }

    /// Sets the working directory.
    pub(crate) fn cwd(mut self, cwd: impl AsRef<Path>) -> Self {
        self.cwd = cwd.as_ref().into();
        self
    }

    /// Runs it as this user and group, in no other group.
    pub(crate) const fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self
    }

    /// Gives it bytes on standard input, which nobody else can read.
    pub(crate) fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = bytes;
        self
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }
}

/// Why a child gave no exit status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    /// It could not be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        #[source]
        source: io::Error,
    },
    /// It took too long, and was ended with all its children.
    #[error("{program} did not end within {seconds} s and was killed with its children")]
    Deadline {
        /// The program.
        program: String,
        /// The deadline.
        seconds: f64,
    },
    /// Its pipe or its status could not be read; it was killed.
    #[error("cannot follow {program}")]
    Follow {
        /// The program.
        program: String,
        #[source]
        source: io::Error,
    },
}

/// Runs a child to its end and hands over each line that it or its children print, on stdout or stderr, as it comes:
/// without line end, cut to [`OUTPUT_LINE_BYTES`], with what is not UTF-8 replaced. Its stdin is `/dev/null` where it is
/// given nothing.
///
/// # Errors
/// [`ChildError`]; a failing exit status is none.
pub(crate) fn run(invocation: &Invocation, line: impl FnMut(&str)) -> Result<ExitStatus, ChildError> {
    run_patiently(invocation, line, || None)
}

/// As [`run`], for a child that waits for somebody else's work: where its deadline is over, `longest` says how long it may take
/// in all, if that is longer.
///
/// # Errors
/// [`ChildError`].
pub(crate) fn run_patiently(
    invocation: &Invocation,
    mut line: impl FnMut(&str),
    longest: impl FnOnce() -> Option<Duration>,
) -> Result<ExitStatus, ChildError> {
    let mut lines = Lines::default();
    let result = run_until(invocation, &mut |bytes| lines.feed(bytes, &mut line), longest);
    lines.finish(&mut line);
    result
}

/// As [`run`], with the output as it comes, for what is parsed rather than told: an empty line may mean something.
///
/// # Errors
/// [`ChildError`].
pub(crate) fn run_bytes(invocation: &Invocation, bytes: &mut dyn FnMut(&[u8])) -> Result<ExitStatus, ChildError> {
    run_until(invocation, bytes, || None)
}

fn run_until(
    invocation: &Invocation,
    bytes: &mut dyn FnMut(&[u8]),
    longest: impl FnOnce() -> Option<Duration>,
) -> Result<ExitStatus, ChildError> {
    let began = Instant::now();
    let (mut child, mut pipe) = spawn(invocation)?;
    let mut deadline = invocation.deadline;
    let mut followed = follow(&mut child, &mut pipe, began + deadline, &mut *bytes);
    if matches!(followed, Ok(None))
        && let Some(longest) = longest().filter(|longest| *longest > deadline)
    {
        deadline = longest;
        followed = follow(&mut child, &mut pipe, began + deadline, &mut *bytes);
    }
    match followed {
        Ok(Some(status)) => Ok(status),
        Ok(None) => {
            let _ = end(&mut child, &mut pipe, bytes);
            Err(ChildError::Deadline {
                program: invocation.name(),
                seconds: deadline.as_secs_f64(),
            })
        }
        Err(source) => {
            let _ = end(&mut child, &mut pipe, &mut |_| {});
            Err(ChildError::Follow {
                program: invocation.name(),
                source,
            })
        }
    }
}

/// Starts a child, and gives where its output comes.
fn spawn(invocation: &Invocation) -> Result<(Child, PipeReader), ChildError> {
    let start_error = |source| ChildError::Start {
        program: invocation.name(),
        source,
    };
    let (pipe, writer) = io::pipe().map_err(start_error)?;
    let (input, feed) = if invocation.input.is_empty() {
        (Stdio::null(), None)
    } else {
        let (reader, writer) = io::pipe().map_err(start_error)?;
        (reader.into(), Some(writer))
    };
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.args)
        .env_clear()
        .envs(invocation.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&invocation.cwd)
        .stdin(input)
        .stdout(writer.try_clone().map_err(start_error)?)
        .stderr(writer)
        .process_group(0);
    if let Some((uid, gid)) = invocation.user {
        // The standard library leaves all other groups where it changes the user.
        command.uid(uid).gid(gid);
    }
    let child = command.spawn().map_err(start_error)?;
    // The command holds the pipe's writing end; as long as it does, the end of the output is not seen.
    drop(command);
    if let Some(mut writer) = feed {
        // A pipe holds less than some are given. Who does not read to the end, or is killed, is written to no more.
        let input = invocation.input.clone();
        std::thread::spawn(move || writer.write_all(&input));
    }
    Ok((child, pipe))
}

/// Runs a child for as long as it and whoever listens live, and hands over its output as it comes; `bytes` is `false` once
/// nobody takes it. `None` is that the listener went: the child is ended then.
///
/// # Errors
/// [`ChildError`]; a `deadline` of `None` never passes.
pub(crate) fn stream(
    invocation: &Invocation,
    deadline: Option<Duration>,
    listener: BorrowedFd<'_>,
    bytes: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<Option<ExitStatus>, ChildError> {
    let program = || invocation.name();
    let began = Instant::now();
    let (mut child, mut pipe) = spawn(invocation)?;
    let mut heard = true;
    let ended = loop {
        let waited = {
            let timeout = rustix::event::Timespec::try_from(LISTEN).map_err(io::Error::other);
            let mut fds = [
                PollFd::new(&pipe, PollFlags::IN),
                // Asked for nothing, it tells only that the other side is gone.
                PollFd::from_borrowed_fd(listener, PollFlags::empty()),
            ];
            timeout.and_then(|timeout| match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {
                    Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty()))
                }
                Err(error) => Err(error.into()),
            })
        };
        let read = waited.and_then(|(readable, gone)| {
            heard &= !gone;
            let open = !readable || read(&mut pipe, &mut |piece: &[u8]| heard &= bytes(piece))?;
            Ok(open)
        });
        match read {
            Err(error) => break Err(Some(error)),
            Ok(_) if !heard => break Ok(None),
            Ok(false) => break Ok(Some(())),
            Ok(true) if deadline.is_some_and(|deadline| began.elapsed() > deadline) => break Err(None),
            Ok(true) => {}
        }
    };
    match ended {
        Ok(Some(())) => child.wait().map(Some).map_err(|source| ChildError::Follow {
            program: program(),
            source,
        }),
        Ok(None) => {
            let _ = end(&mut child, &mut pipe, &mut |_| {});
            Ok(None)
        }
        Err(why) => {
            let _ = end(&mut child, &mut pipe, &mut |_| {});
            Err(match why {
                Some(source) => ChildError::Follow {
                    program: program(),
                    source,
                },
                None => ChildError::Deadline {
                    program: program(),
                    seconds: began.elapsed().as_secs_f64(),
                },
            })
        }
    }
}

/// Reads until the child has ended, or the deadline is over (`None`).
fn follow(
    child: &mut Child,
    pipe: &mut PipeReader,
    deadline: Instant,
    mut bytes: impl FnMut(&[u8]),
) -> io::Result<Option<ExitStatus>> {
    let mut open = true;
    loop {
        if open && readable(pipe, TICK)? {
            open = read(pipe, &mut bytes)?;
            // Output without end must not keep the deadline from being seen.
            if open && Instant::now() < deadline {
                continue;
            }
        }
        if let Some(status) = child.try_wait()? {
            let drained = Instant::now() + DRAIN;
            while open && Instant::now() < drained && readable(pipe, Duration::ZERO)? {
                open = read(pipe, &mut bytes)?;
            }
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        if !open {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Ends a child and its group: politely first, then surely.
fn end(child: &mut Child, pipe: &mut PipeReader, bytes: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let signal = |signal| group.map_or(Ok(()), |group| kill_process_group(group, signal));
    // ESRCH: all of the group have gone by themselves.
    let _ = signal(Signal::TERM);
    let gone = follow(child, pipe, Instant::now() + GRACE, bytes);
    let _ = signal(Signal::KILL);
    if !matches!(gone, Ok(Some(_))) {
        child.wait()?;
    }
    Ok(())
}

fn readable(pipe: &PipeReader, timeout: Duration) -> io::Result<bool> {
    let timeout = rustix::event::Timespec::try_from(timeout).map_err(io::Error::other)?;
    let mut fds = [PollFd::new(pipe, PollFlags::IN)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads once; `false` at the end.
fn read(pipe: &mut PipeReader, bytes: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    let mut buffer = [0; 16 << 10];
    match pipe.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(count) => {
            bytes(&buffer[..count]);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(error),
    }
}

/// Bytes into lines. A carriage return ends one too: progress bars print many on one line.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], line: &mut impl FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.finish(line),
                byte if self.line.len() < OUTPUT_LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn finish(&mut self, line: &mut impl FnMut(&str)) {
        if !self.line.is_empty() {
            line(&String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}

/// An exit status in words, such as "exit status 1" or "killed by signal 9".
pub(crate) fn status_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn sh(script: &str, deadline: Duration) -> (Result<ExitStatus, ChildError>, Vec<String>) {
        let mut lines = Vec::new();
        let invocation = Invocation::new("/bin/sh", deadline).args(["-c", script]);
        let result = run(&invocation, |line| lines.push(line.to_owned()));
        (result, lines)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn both_streams_come_in_order_line_by_line_and_the_last_line_needs_no_end() {
        let (result, lines) = sh("echo a; echo b >&2; printf 'c\\rd'; exit 3", LONG);
        assert_eq!(result.unwrap().code(), Some(3));
        assert_eq!(lines, ["a", "b", "c", "d"]);
    }

    #[test]
    fn stdin_is_empty_and_the_environment_is_minimal() {
        let (result, lines) = sh(
            "cat; env | cut -d= -f1 | grep -vE '^(PWD|_|OLDPWD|SHLVL)$' | sort",
            LONG,
        );
        assert!(result.unwrap().success());
        assert_eq!(lines, ["HOME", "LANG", "PATH"]);
    }

    #[test]
    fn a_line_is_cut_where_it_gets_too_long() {
        let (_, lines) = sh("head -c 100000 /dev/zero | tr '\\0' x; echo; echo next", LONG);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), OUTPUT_LINE_BYTES);
        assert_eq!(lines[1], "next");
    }

    #[test]
    fn at_the_deadline_the_whole_group_goes() {
        let (result, lines) = sh("sleep 1000 & echo $!; wait", Duration::from_millis(300));
        assert!(matches!(result, Err(ChildError::Deadline { .. })), "{result:?}");
        // It has been killed, and may need its turn on the processor to die.
        let began = Instant::now();
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", lines[0]));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        while !is_gone() {
            assert!(began.elapsed() < LONG, "the grandchild lives on");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_waits_for_others_gets_the_time_that_they_may_take() {
        let directory = crate::testing::Scratch::new();
        let done = directory.path().join("done");
        let script = format!("while ! [ -e {} ]; do sleep 0.01; done", done.display());
        let waiting = Invocation::new("/bin/sh", Duration::from_millis(50)).args(["-c", &script]);
        let result = run_patiently(&waiting, |_| {}, || Some(Duration::from_millis(1)));
        let Err(ChildError::Deadline { seconds, .. }) = result else {
            panic!("{result:?}");
        };
        assert!((0.04..0.06).contains(&seconds), "{seconds}");
        let result = run_patiently(
            &waiting,
            |_| {},
            || {
                std::fs::write(&done, "").unwrap();
                Some(LONG)
            },
        );
        assert!(result.unwrap().success());
    }

    #[test]
    fn output_without_end_does_not_hide_the_deadline() {
        let began = Instant::now();
        let invocation = Invocation::new("yes", Duration::from_millis(200));
        assert!(matches!(run(&invocation, |_| {}), Err(ChildError::Deadline { .. })));
        assert!(began.elapsed() < GRACE);
    }

    #[test]
    fn a_stream_ends_with_its_child_or_with_its_listener() {
        let (listener, speaker) = io::pipe().unwrap();
        let text = Invocation::new("/bin/sh", LONG).args(["-c", "printf ab; sleep 0.01; printf c; exit 3"]);
        let mut all = Vec::new();
        let status = stream(&text, Some(LONG), speaker.as_fd(), &mut |bytes| {
            all.extend_from_slice(bytes);
            true
        });
        assert_eq!(
            (status.unwrap().unwrap().code(), all.as_slice()),
            (Some(3), &b"abc"[..])
        );
        // Nobody listens to a child that would never end.
        drop(listener);
        let endless = Invocation::new("/bin/sh", LONG).args(["-c", "echo $$; exec sleep 1000"]);
        let status = stream(&endless, None, speaker.as_fd(), &mut |_| true).unwrap();
        assert!(status.is_none());
        let (_listener, speaker) = io::pipe().unwrap();
        assert!(
            stream(&endless, None, speaker.as_fd(), &mut |_| false)
                .unwrap()
                .is_none(),
            "nobody takes it"
        );
        let silent = Invocation::new("/bin/sh", LONG).args(["-c", "exec sleep 1000"]);
        let late = stream(&silent, Some(Duration::ZERO), speaker.as_fd(), &mut |_| true);
        assert!(matches!(late, Err(ChildError::Deadline { .. })), "{late:?}");
    }

    #[test]
    fn a_daemon_that_keeps_the_pipe_does_not_keep_us() {
        let began = Instant::now();
        let (result, lines) = sh("setsid sleep 30 & echo $!", LONG);
        assert!(result.unwrap().success());
        assert!(began.elapsed() < Duration::from_secs(10));
        let pid = Pid::from_raw(lines[0].parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let error = run(&Invocation::new("/nonexistent/tool", LONG), |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "cannot start /nonexistent/tool");
    }
}
