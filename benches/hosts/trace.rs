//! What the agent does on a host, as strace sees it from outside: the programs it starts, and what it writes.

use std::collections::BTreeMap;
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
                       chmod,fchmod,fchmodat,?fchmodat2,chown,fchown,lchown,fchownat,truncate,ftruncate,fallocate,\
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
        .args(["--follow-forks", "--pidns-translation", "--string-limit=4096"])
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
    traced
        .args(["-qq", "--"])
        .arg(command.get_program())
        .args(command.get_args());
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
        // It says on standard error when it follows.
        let mut strace = strace(log.path());
        let mut strace = strace
            .args(["-p", &process.to_string()])
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

/// Reads a log and finds the agent's processes in it, and what they did.
fn doings(log: &str) -> Result<Doings, Box<dyn Error>> {
    let calls = calls(log)?;
    let mut found = Doings::default();
    // When each process began to be the agent's. The call that makes a process can end after the process's first calls, so
    // this is known of all before any call is looked at.
    let mut since: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, (process, call)) in calls.iter().enumerate() {
        if call.starts_with("execve(") && call.contains(AGENT) {
            found.ran = true;
            since.entry(*process).or_insert(at + 1);
        }
    }
    loop {
        let known = since.len();
        for (at, (process, call)) in calls.iter().enumerate() {
            if since.get(process).is_some_and(|since| at >= *since)
                && let Some(child) = child(call)?
            {
                since.entry(child).or_insert(0);
            }
        }
        if since.len() == known {
            break;
        }
    }
    for (at, (process, call)) in calls.into_iter().enumerate() {
        if since.get(&process).is_none_or(|since| at < *since) {
            continue;
        }
        if call.starts_with("execve(") {
            found.programs.push(call);
        } else if child(&call)?.is_some() {
            found.forks += 1;
        } else if writes(&call) {
            found.writes.push(call);
        }
    }
    Ok(found)
}

/// The calls that succeeded, each with the process that made it, as of outside.
fn calls(log: &str) -> Result<Vec<(u32, String)>, Box<dyn Error>> {
    let mut calls = Vec::new();
    // The beginnings of calls during which another process was heard of, by process.
    let mut begun: BTreeMap<u32, &str> = BTreeMap::new();
    for line in log.lines() {
        let Some((process, text)) = line.split_once(' ') else {
            continue;
        };
        let (process, text): (u32, _) = (process.parse()?, text.trim_start());
        if let Some(beginning) = text.strip_suffix("<unfinished ...>") {
            begun.insert(process, beginning);
            continue;
        }
        let call = match text.strip_prefix("<... ").and_then(|text| text.split_once(" resumed>")) {
            Some((_, rest)) => format!("{}{rest}", begun.remove(&process).unwrap_or_default()),
            None => text.to_owned(),
        };
        // Besides calls there are signals and ends of processes, which have no result. A failure's is -1, an interruption's `?`.
        if let Some((_, result)) = call.rsplit_once(" = ")
            && !result.starts_with(['-', '?'])
        {
            calls.push((process, call));
        }
    }
    Ok(calls)
}

/// The process that a call made, as of outside.
fn child(call: &str) -> Result<Option<u32>, Box<dyn Error>> {
    let makes = ["clone", "fork", "vfork"].iter().any(|name| call.starts_with(name));
    let Some((_, result)) = call.rsplit_once(" = ").filter(|_| makes) else {
        return Ok(None);
    };
    // `12 /* 3456 in strace's PID NS */`, or `3456` where both are one.
    let outside = result.split_once("/* ").map_or(result, |(_, comment)| comment);
    let outside = outside.split(' ').next().unwrap_or_default();
    Ok(Some(outside.parse()?))
}

/// Whether a call, which is none that makes processes, changes something.
fn writes(call: &str) -> bool {
    if call.starts_with("open") {
        let for_writing = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"]
            .iter()
            .any(|word| call.contains(word));
        return for_writing && !call.contains("\"/dev/null\"");
    }
    // All other calls that are traced do.
    true
}
