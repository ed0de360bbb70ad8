//! The same workload by Ansible and pyinfra, on the same hosts, in the same run.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use provision_rehearse::{BaseImage, ThrowawayHost};
use tempfile::TempDir;

use crate::first::{Brought, digest, provision_on, same, script_on};
use crate::lab::{AptCache, Project, Reach, at_once, fresh, image, reach};
use crate::sample::{Ran, Way, cold_in_turn, heading, rows, run, timed_at_once};
use crate::workload::{Settle, Workload, ansible, pyinfra};
use crate::{MANY, talk};

/// The environment variable that names the directory with `ansible-playbook` and `pyinfra`. `benches/peers/run` sets it.
const PROGRAMS: &str = "PROVISION_BENCH_PEERS";

/// What Ansible needs on a host, and a bare Debian has not.
const PYTHON: [&str; 2] = ["python3", "python3-apt"];

/// A run on one converged host.
const ROUNDS: usize = 3;

/// The tools that are not ours.
#[derive(Clone, Copy)]
enum Peer {
    Ansible,
    Pyinfra,
}

/// One of them, with the workload for some hosts written down.
struct Deploy<'a> {
    peer: Peer,
    programs: &'a Path,
    directory: TempDir,
}

impl<'a> Deploy<'a> {
    fn new(peer: Peer, programs: &'a Path, workload: &Workload, hosts: &[Reach]) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        match peer {
            Peer::Ansible => ansible(workload, hosts, directory.path())?,
            Peer::Pyinfra => pyinfra(workload, hosts, directory.path())?,
        }
        Ok(Self {
            peer,
            programs,
            directory,
        })
    }

    fn command(&self) -> Command {
        let program = |name: &str| Command::new(self.programs.join(name));
        let mut command = match self.peer {
            Peer::Ansible => {
                let mut command = program("ansible-playbook");
                command.args(["-i", "inventory.ini", "playbook.yml"]);
                command
            }
            Peer::Pyinfra => {
                let mut command = program("pyinfra");
                command.args(["-y", "inventory.py", "deploy.py"]);
                command
            }
        };
        command
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .env_remove("SSH_AUTH_SOCK")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// Runs it, and sees that it found nothing to do. Gives the time that it took.
    fn changes_nothing(&self) -> Result<Duration, Box<dyn Error>> {
        let Ran { time, stdout, stderr } = run(&mut self.command())?;
        let text = stdout + &stderr;
        // Ansible has such a line per host, pyinfra one for all.
        let (counts, is_none): (&str, fn(&str) -> bool) = match self.peer {
            Peer::Ansible => ("changed=", |line| line.contains("changed=0")),
            Peer::Pyinfra => ("Grand total", |line| !has_changes(line)),
        };
        let mut lines = text.lines().filter(|line| line.contains(counts)).peekable();
        if lines.peek().is_some() && lines.all(is_none) {
            Ok(time)
        } else {
            Err(format!("it finds something to do on converged hosts:\n{text}").into())
        }
    }
}

/// Whether a total line of pyinfra counts changes: `Grand total  116  -  116  -` has operations, changed, unchanged, failed.
fn has_changes(line: &str) -> bool {
    line.trim_start_matches(|c: char| !c.is_ascii_digit())
        .split_whitespace()
        .nth(1)
        .is_some_and(|word| word != "-" && word != "0")
}

/// Brings a fresh host to the workload.
fn peer_on(
    peer: Peer,
    programs: &Path,
    image: &BaseImage,
    cache: &AptCache,
    workload: &Workload,
) -> Result<Brought, Box<dyn Error>> {
    let host = fresh(image, "first", cache)?;
    let deploy = Deploy::new(peer, programs, workload, &[reach(&host)])?;
    let time = run(&mut deploy.command())?.time;
    Ok(Brought {
        time,
        digest: digest(&host)?,
    })
}

pub(crate) fn peers(workload: &Workload) -> Result<(), Box<dyn Error>> {
    let programs = std::env::var_os(PROGRAMS).map(PathBuf::from);
    let programs =
        programs.ok_or_else(|| format!("run benches/peers/run, which installs the peers and sets {PROGRAMS}"))?;
    let image = image(&PYTHON)?;
    let cache = AptCache::fetch(&image, workload)?;
    first(&programs, &image, &cache, workload)?;

    let names: Vec<String> = (1..=MANY).map(|number| format!("host-{number}")).collect();
    talk(format_args!("bringing {MANY} hosts to the workload"));
    let hosts = at_once(&names, |name| fresh(&image, name, &cache))?;
    let reaches: Vec<_> = hosts.iter().map(reach).collect();
    let project = Project::new(workload, &reaches)?;
    project.converge()?;
    converged("one converged host", &programs, &hosts[..1], workload, ROUNDS)?;
    converged(&format!("{MANY} converged hosts"), &programs, &hosts, workload, 1)
}

fn first(programs: &Path, image: &BaseImage, cache: &AptCache, workload: &Workload) -> Result<(), Box<dyn Error>> {
    // One that is not counted, so that nobody is the first to read the image from the disk.
    script_on(image, cache, workload)?;
    heading("first run on a fresh host; apt's lists and packages are on it already")?;
    let mut digests = [const { String::new() }; 4];
    let [by_script, by_provision, by_pyinfra, by_ansible] = &mut digests;
    let into = |digest: &mut String, brought: Brought| {
        *digest = brought.digest;
        brought.time
    };
    let peer = |peer| peer_on(peer, programs, image, cache, workload);
    let mut ways = vec![
        Way::new("the script, ssh HOST bash", || {
            Ok(into(by_script, script_on(image, cache, workload)?))
        }),
        Way::new("provision apply", || {
            Ok(into(
                by_provision,
                provision_on(image, cache, workload, Settle::Default)?,
            ))
        }),
        Way::new("pyinfra", || Ok(into(by_pyinfra, peer(Peer::Pyinfra)?))),
        Way::new("ansible-playbook", || Ok(into(by_ansible, peer(Peer::Ansible)?))),
    ];
    let series = cold_in_turn(1, &mut ways)?;
    drop(ways);
    rows(&series)?;
    let [by_script, by_provision, by_pyinfra, by_ansible] = &digests;
    same("the script", by_script, "provision", by_provision)?;
    same("the script", by_script, "pyinfra", by_pyinfra)?;
    same("the script", by_script, "ansible-playbook", by_ansible)
}

/// Runs on hosts where there is nothing to do, and each tool finds so. Nothing is run beforehand: a peer's run takes minutes.
fn converged(
    title: &str,
    programs: &Path,
    hosts: &[ThrowawayHost],
    workload: &Workload,
    rounds: usize,
) -> Result<(), Box<dyn Error>> {
    let reaches: Vec<_> = hosts.iter().map(reach).collect();
    let project = Project::new(workload, &reaches)?;
    project.is_converged()?;
    let pyinfra = Deploy::new(Peer::Pyinfra, programs, workload, &reaches)?;
    let ansible = Deploy::new(Peer::Ansible, programs, workload, &reaches)?;
    heading(title)?;
    let ssh = |host: &ThrowawayHost| {
        let mut command = host.ssh();
        command.arg("true");
        command
    };
    let ways = &mut [
        Way::new("ssh HOST true, all started at once", || {
            timed_at_once(&mut hosts.iter().map(ssh).collect::<Vec<_>>())
        }),
        Way::command("provision plan", || project.provision(&["plan"])),
        Way::new("pyinfra", || pyinfra.changes_nothing()),
        Way::new("ansible-playbook", || ansible.changes_nothing()),
    ];
    rows(&cold_in_turn(rounds, ways)?)
}
