//! What the agent does on a host, as strace sees it from outside: the programs it starts, and what it writes.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The program whose doings are of interest, with those of all that it starts.
const AGENT: &str = "/provision-agent\"";

/// Calls that change what a path names, or its attributes.
const CHANGES: &str = "rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,mknod,mknodat,link,linkat,symlink,symlinkat,\
                       chmod,fchmod,fchmodat,fchmodat2,chown,fchown,lchown,fchownat,truncate,ftruncate,fallocate,\
                       utimensat,setxattr,lsetxattr,fsetxattr,removexattr,fsync,fdatasync";

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Doings {
    /// The command lines of the programs that the agent started; not the agent itself.
    pub(crate) programs: Vec<String>,
    /// Its processes and threads, and those of these programs, beside the agent's first.
    pub(crate) forks: usize,
    /// Calls that write: files opened for it, and changes of paths and attributes. `/dev/null` is no file.
    pub(crate) writes: Vec<String>,
    /// Whether the agent ran at all.
    pub(crate) ran: bool,
}

fn strace(log: &Path) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["--follow-forks", "--pidns-translation", "-qq", "--string-limit=4096"])
        .arg(format!(
            "--trace=execve,clone,clone3,fork,vfork,open,openat,openat2,creat,{CHANGES}"
        ))
        .arg("--output")
        .arg(log);
    command
}

/// Runs a command under strace, and tells of the agent that it starts.
pub(crate) fn of_command(command: &Command) -> Result<Doings, Box<dyn Error>> {
    let log = tempfile::NamedTempFile::new()?;
    let mut traced = strace(log.path());
    traced.arg("--").arg(command.get_program()).args(command.get_args());
    crate::sample::run(&mut traced)?;
    doings(&fs::read_to_string(log.path())?)
}

/// A strace that follows a process and all that it starts from now on.
pub(crate) struct Attached {
    strace: Child,
    log: tempfile::NamedTempFile,
}

impl Attached {
    /// Returns once it follows.
    pub(crate) fn to(process: u32) -> Result<Self, Box<dyn Error>> {
        let log = tempfile::NamedTempFile::new()?;
        // Without -qq, strace says on standard error when it follows.
        let mut strace = strace(log.path());
        let mut strace = strace
            .args(["-p", &process.to_string(), "--quiet=none"])
            .stderr(Stdio::piped())
            .spawn()?;
        let mut first = String::new();
        let stderr = strace.stderr.take().ok_or("strace has no standard error")?;
        let mut lines = BufReader::new(stderr);
        lines.read_line(&mut first)?;
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        if first.contains("attached") {
            Ok(Self { strace, log })
        } else {
            strace.wait()?;
            Err(format!("strace cannot follow process {process}: {}", first.trim()).into())
        }
    }

    /// Lets the processes go, and tells of the agents that were started meanwhile.
    pub(crate) fn finish(mut self) -> Result<Doings, Box<dyn Error>> {
        let process = i32::try_from(self.strace.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or("strace has no process id")?;
        kill_process(process, Signal::INT)?;
        self.strace.wait()?;
        doings(&fs::read_to_string(self.log.path())?)
    }
}

/// Reads a log: each line begins with the id of the process, as of outside; new processes are told with their id inside
/// and, in a comment, outside.
fn doings(log: &str) -> Result<Doings, Box<dyn Error>> {
    let mut found = Doings::default();
    let mut followed: BTreeSet<u32> = BTreeSet::new();
    for line in log.lines() {
        let Some((process, call)) = line.split_once(' ') else {
            continue;
        };
        let (process, call): (u32, _) = (process.parse()?, call.trim_start());
        let has_failed = call.contains(" = -1 ");
        if call.starts_with("execve(") && !has_failed {
            if call.contains(AGENT) {
                found.ran = true;
                followed.insert(process);
            } else if followed.contains(&process) {
                found.programs.push(call.to_owned());
            }
        } else if followed.contains(&process) {
            if let Some(child) = child(call)? {
                found.forks += 1;
                followed.insert(child);
            } else if !has_failed && writes(call) {
                found.writes.push(call.to_owned());
            }
        }
    }
    Ok(found)
}

/// The process that a call made.
fn child(call: &str) -> Result<Option<u32>, Box<dyn Error>> {
    let makes = ["clone", "fork", "vfork", "<... clone", "<... fork", "<... vfork"]
        .iter()
        .any(|name| call.starts_with(name));
    let Some((_, result)) = call.rsplit_once(" = ").filter(|_| makes) else {
        return Ok(None);
    };
    // `12 /* 3456 in strace's PID NS */`, or `3456` where both are one.
    let outside = match result.split_once("/* ") {
        Some((_, comment)) => comment.split(' ').next(),
        None => result.split(' ').next(),
    };
    match outside.map(str::parse::<i64>) {
        Some(Ok(child)) if child > 0 => Ok(Some(u32::try_from(child)?)),
        _ => Ok(None),
    }
}

fn writes(call: &str) -> bool {
    let opens = call.starts_with("open") || call.starts_with("creat");
    let for_writing = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "creat("]
        .iter()
        .any(|word| call.contains(word));
    match opens {
        true => for_writing && !call.contains("\"/dev/null\""),
        // What is left of the traced calls, but for those that make processes, changes something. A call that another process
        // interrupted is counted where it ends.
        false => {
            !call.starts_with("execve")
                && !call.starts_with("---")
                && !call.starts_with("+++")
                && !call.contains("<unfinished")
        }
    }
}
