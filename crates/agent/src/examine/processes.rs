//! One walk through `/proc`: what each process belongs to, watches, listens on and still runs of what was replaced. What
//! has ended meanwhile is no process; what may not be looked into is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufReader, ErrorKind};
use std::path::Path;

use provision_core::model::{HostText, Process};

use super::LookError;

/// All processes that are there.
pub(super) struct Walk {
    /// By number.
    pub(super) processes: BTreeMap<u32, Seen>,
    /// How many could not be looked into.
    pub(super) unseen: u32,
    /// Why `/proc` itself could not be read.
    pub(super) failed: Option<io::Error>,
}

impl Walk {
    /// Fails where nothing was seen.
    pub(super) fn sound(&self) -> Result<(), LookError> {
        match &self.failed {
            None => Ok(()),
            Some(error) => Err(LookError::Read {
                path: "/proc".to_owned(),
                source: io::Error::new(error.kind(), error.to_string()),
            }),
        }
    }
}

/// What was seen of one process.
pub(super) struct Seen {
    /// What it is.
    pub(super) process: Process,
    /// Its parent.
    pub(super) parent: u32,
    /// Whose limits it counts against: its effective user.
    pub(super) uid: u32,
    /// For how long it has run, in seconds.
    pub(super) age: u64,
    /// The file it was started from; empty for a kernel thread.
    pub(super) program: String,
    /// Its inotify instances.
    pub(super) inotify: Vec<Watching>,
    /// Inodes of its sockets.
    pub(super) sockets: BTreeSet<u64>,
    /// Programs and libraries that it runs and that are no longer on the disk.
    pub(super) outdated: BTreeSet<String>,
}

/// One inotify instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watching {
    /// Its descriptor.
    pub(super) fd: u32,
    /// How many watches it has.
    pub(super) watches: u64,
    /// What tells its watches from others'.
    pub(super) digest: u64,
}

/// The kernel's clock ticks in a second as `/proc` counts them: `USER_HZ`, which is 100 on every Linux of today.
const TICKS: u64 = 100;

/// Walks.
pub(super) fn walk() -> Walk {
    let mut walk = Walk {
        processes: BTreeMap::new(),
        unseen: 0,
        failed: None,
    };
    let uptime = crate::observe::uptime();
    let entries = match fs::read_dir("/proc") {
        Ok(entries) => entries,
        Err(error) => {
            walk.failed = Some(error);
            return walk;
        }
    };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        match look(&entry.path(), pid, uptime) {
            Ok(seen) => _ = walk.processes.insert(pid, seen),
            Err(error) if is_gone(&error) => {}
            Err(_) => walk.unseen += 1,
        }
    }
    walk
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

fn look(at: &Path, pid: u32, uptime: u64) -> io::Result<Seen> {
    let read = |name: &str| fs::read(at.join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let odd = || io::Error::new(ErrorKind::InvalidData, "not as proc(5) has it");
    let stat = Stat::parse(&read("stat")?).ok_or_else(odd)?;
    let uid = effective_uid(&read("status")?).ok_or_else(odd)?;
    let (unit, user_unit) = units(&read("cgroup")?);
    let program = match fs::read_link(at.join("exe")) {
        Ok(program) => program.to_string_lossy().into_owned(),
        // A kernel thread has none, and neither has what is about to end.
        Err(error) if is_gone(&error) => String::new(),
        Err(error) => return Err(error),
    };
    let mut seen = Seen {
        process: Process {
            pid,
            name: HostText::new(stat.name),
            unit,
            user_unit,
        },
        parent: stat.parent,
        uid,
        age: uptime.saturating_sub(stat.started / TICKS),
        program,
        inotify: Vec::new(),
        sockets: BTreeSet::new(),
        outdated: BTreeSet::new(),
    };
    descriptors(at, &mut seen)?;
    if !seen.program.is_empty() {
        seen.outdated = outdated(&read("maps")?);
    }
    Ok(seen)
}

fn descriptors(at: &Path, seen: &mut Seen) -> io::Result<()> {
    for entry in fs::read_dir(at.join("fd"))? {
        let entry = entry?;
        let target = match fs::read_link(entry.path()) {
            Ok(target) => target,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        };
        let target = target.to_string_lossy();
        if let Some(inode) = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
            seen.sockets.extend(inode.parse::<u64>());
        } else if target == "anon_inode:inotify" {
            let name = entry.file_name();
            let info = match fs::File::open(at.join("fdinfo").join(&name)) {
                Ok(info) => info,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            let fd = name.to_str().and_then(|name| name.parse().ok()).unwrap_or_default();
            seen.inotify.push(watching(fd, BufReader::new(info))?);
        }
    }
    Ok(())
}

/// Reads the `inotify` lines of fdinfo, of which there may be hundreds of thousands.
fn watching(fd: u32, mut info: impl io::BufRead) -> io::Result<Watching> {
    let mut watches = 0;
    let mut hasher = DefaultHasher::new();
    let mut line = Vec::new();
    while info.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(b"inotify") {
            watches += 1;
            line.hash(&mut hasher);
        }
        line.clear();
    }
    Ok(Watching {
        fd,
        watches,
        digest: hasher.finish(),
    })
}

/// What counts of `/proc/PID/stat`.
struct Stat {
    name: String,
    parent: u32,
    started: u64,
}

impl Stat {
    /// The name is in parentheses and may hold any character, parentheses included; so the last one ends it.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once('(')?;
        let (name, rest) = rest.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

fn effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The system's unit and the user's unit that a process belongs to, from its cgroup.
fn units(cgroup: &str) -> (Option<HostText>, Option<HostText>) {
    let line = cgroup
        .lines()
        .find(|line| line.starts_with("0::"))
        .or_else(|| cgroup.lines().find(|line| line.contains(":name=systemd:")));
    let path = line.and_then(|line| line.splitn(3, ':').nth(2)).unwrap_or_default();
    let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    let mut parts = path.split('/').filter(is_unit);
    let unit = parts.next();
    let of_user = unit.is_some_and(|unit| unit.starts_with("user@"));
    let user_unit = parts.next().filter(|_| of_user);
    (unit.map(HostText::from), user_unit.map(HostText::from))
}

/// Where programs and libraries are: what is deleted elsewhere is a temporary file, and nothing to restart for.
const CODE: [&str; 4] = ["/usr/", "/lib", "/bin/", "/sbin/"];

/// Mapped programs and libraries that are gone from the disk.
fn outdated(maps: &str) -> BTreeSet<String> {
    let mut outdated = BTreeSet::new();
    for line in maps.lines() {
        let Some(line) = line.strip_suffix(" (deleted)") else {
            continue;
        };
        // address perms offset dev inode path
        let mut fields = line.split_whitespace();
        let executable = fields.nth(1).is_some_and(|perms| perms.contains('x'));
        let path = line.find('/').map(|at| &line[at..]).unwrap_or_default();
        if executable && CODE.iter().any(|code| path.starts_with(code)) {
            outdated.insert(path.to_owned());
        }
    }
    outdated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_a_name() {
        let mut text = "17 (a) b (c) S 4 ".to_owned();
        text += &"0 ".repeat(17);
        text += "9000 0 0";
        let stat = Stat::parse(&text).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent, stat.started), ("a) b (c", 4, 9000));
        assert!(Stat::parse("17 no parentheses").is_none());
    }

    #[test]
    fn units_are_read_from_both_hierarchies() {
        let text = |unit: &Option<HostText>| unit.as_ref().map(|unit| unit.untrusted().to_owned());
        for (cgroup, unit, user_unit) in [
            ("0::/system.slice/ssh.service\n", Some("ssh.service"), None),
            (
                "0::/system.slice/system-getty.slice/getty@tty1.service",
                Some("getty@tty1.service"),
                None,
            ),
            ("0::/system.slice/docker-0af.scope", Some("docker-0af.scope"), None),
            ("0::/system.slice/a.service/b.service", Some("a.service"), None),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/bot.service",
                Some("user@1000.service"),
                Some("bot.service"),
            ),
            (
                "0::/user.slice/user-0.slice/session-3.scope",
                Some("session-3.scope"),
                None,
            ),
            (
                "4:memory:/x\n1:name=systemd:/system.slice/cron.service\n0::/",
                None,
                None,
            ),
            (
                "4:memory:/x\n1:name=systemd:/system.slice/cron.service\n",
                Some("cron.service"),
                None,
            ),
            ("0::/", None, None),
            ("", None, None),
        ] {
            let (found, found_user) = units(cgroup);
            assert_eq!(
                (text(&found).as_deref(), text(&found_user).as_deref()),
                (unit, user_unit),
                "{cgroup}"
            );
        }
    }

    #[test]
    fn only_code_that_is_gone_is_outdated() {
        let maps = "7f00-7f01 r-xp 00000000 fd:01 12 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n\
            7f01-7f02 r--p 00000000 fd:01 12 /usr/lib/x86_64-linux-gnu/libz.so.1 (deleted)\n\
            7f02-7f03 r-xp 00000000 fd:01 12 /usr/lib/x86_64-linux-gnu/libc.so.6\n\
            7f03-7f04 rwxs 00000000 00:05 12 /dev/zero (deleted)\n\
            7f04-7f05 r-xp 00000000 00:05 12 /tmp/jit (deleted)\n";
        assert_eq!(
            outdated(maps),
            BTreeSet::from(["/usr/lib/x86_64-linux-gnu/libssl.so.3".to_owned()])
        );
    }

    #[test]
    fn every_inotify_line_is_a_watch() {
        let info = "pos:\t0\nflags:\t02004000\nmnt_id:\t15\nino:\t1057\ninotify wd:2 ino:1\ninotify wd:1 ino:2\n";
        let found = watching(7, info.as_bytes()).unwrap();
        assert_eq!((found.fd, found.watches), (7, 2));
        let other = watching(7, "inotify wd:2 ino:1\ninotify wd:1 ino:3\n".as_bytes()).unwrap();
        assert_ne!(found.digest, other.digest);
    }

    #[test]
    fn this_process_is_seen_with_what_it_has() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let walk = walk();
        assert!(walk.failed.is_none());
        let ours = &walk.processes[&std::process::id()];
        assert_eq!(ours.uid, rustix::process::geteuid().as_raw());
        assert!(!ours.sockets.is_empty());
        assert!(ours.program.contains("provision_agent"), "{}", ours.program);
        drop(listener);
    }
}
