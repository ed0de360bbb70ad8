//! How long it takes to look: `provision plan` on converged hosts beside OpenSSH's client that runs `true` on them.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use provision_rehearse::ThrowawayHost;

use crate::lab::{Far, PROVISION, Project, reach};
use crate::sample::{Way, heading, in_turn, rows, run, timed_at_once};
use crate::workload::Workload;
use crate::{bare, say};

const ROUNDS: usize = 15;

/// One way of a distance that is half-way round the world and back twice as fast as light allows; Frankfurt to Virginia and back takes 90 ms.
const DELAY: Duration = Duration::from_millis(50);

/// `ssh HOST true`.
fn ssh_true(host: &ThrowawayHost) -> Command {
    let mut command = host.ssh();
    command.arg("true");
    command
}

/// `provision --help`, which contacts nobody.
pub(crate) fn help() -> Result<(), Box<dyn Error>> {
    heading("help")?;
    let ways = &mut [
        Way::command("/bin/true", || Command::new("/bin/true")),
        Way::command("provision --help", || {
            let mut command = Command::new(PROVISION);
            command.arg("--help");
            command
        }),
    ];
    rows(&in_turn(ROUNDS, ways)?)
}

/// One host, next door.
pub(crate) fn one(host: &ThrowawayHost, project: &Project) -> Result<(), Box<dyn Error>> {
    heading("one converged host, 0 ms away")?;
    let ways = &mut [
        Way::command("ssh HOST true", || ssh_true(host)),
        Way::new("the SSH library alone, running true", || {
            Ok(run(&mut bare::command(&reach(host))?)?.time)
        }),
        Way::command("provision plan HOST", || project.provision(&["plan", host.name()])),
    ];
    rows(&in_turn(ROUNDS, ways)?)
}

/// One host, far away.
pub(crate) fn distance(host: &ThrowawayHost, workload: &Workload) -> Result<(), Box<dyn Error>> {
    let far = Far::new(host, DELAY)?;
    let project = Project::new(workload, std::slice::from_ref(far.reach()))?;
    heading("one converged host, 50 ms away each way")?;
    let ways = &mut [
        Way::command("ssh HOST true", || {
            let mut command = far.ssh(host);
            command.arg("true");
            command
        }),
        Way::new("the SSH library alone, running true", || {
            Ok(run(&mut bare::command(far.reach())?)?.time)
        }),
        Way::command("provision plan HOST", || project.provision(&["plan", host.name()])),
    ];
    let series = in_turn(ROUNDS, ways)?;
    rows(&series)?;
    let [ssh, _, plan] = &series[..] else {
        return Err("three ways have three series".into());
    };
    say(format_args!(
        "  provision plan takes {:+.3} s against `ssh HOST true` and one round trip ({:.3} s)",
        plan.median().as_secs_f64() - (ssh.median() + 2 * DELAY).as_secs_f64(),
        2.0 * DELAY.as_secs_f64(),
    ))
}

/// All hosts at once.
pub(crate) fn ten(hosts: &[ThrowawayHost], project: &Project) -> Result<(), Box<dyn Error>> {
    let plan = run(&mut project.provision(&["plan"]))?;
    if let Some(unseen) = hosts
        .iter()
        .find(|host| !plan.stdout.contains(&format!("{} ", host.name())))
    {
        return Err(format!("the plan says nothing of {}:\n{}", unseen.name(), plan.stdout).into());
    }
    heading(&format!("{} converged hosts at once", hosts.len()))?;
    let ways = &mut [
        Way::new("ssh HOST true, all started at once", || {
            timed_at_once(&mut hosts.iter().map(ssh_true).collect::<Vec<_>>())
        }),
        Way::command("provision plan", || project.provision(&["plan"])),
    ];
    rows(&in_turn(ROUNDS, ways)?)
}

/// The most memory that a plan of all hosts takes, and of one.
pub(crate) fn memory(hosts: &[ThrowawayHost], project: &Project) -> Result<(), Box<dyn Error>> {
    let all = peak(project.provision(&["plan"]))?;
    let one = peak(project.provision(&["plan", hosts.first().map_or("", ThrowawayHost::name)]))?;
    say(format_args!("\nmemory of provision plan, resident at most"))?;
    say(format_args!(
        "  1 host {:.1} MiB, {} hosts {:.1} MiB",
        mib(one),
        hosts.len(),
        mib(all)
    ))
}

fn mib(kib: u64) -> f64 {
    // Exact up to 2^53.
    kib as f64 / 1024.0
}

/// The highest resident set of a command in KiB: the kernel's own high-water mark, read every millisecond until the command's end, so
/// that only what is allocated in its last millisecond is missed.
fn peak(mut command: Command) -> Result<u64, Box<dyn Error>> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut highest = 0;
    loop {
        if let Some(ended) = child.try_wait()? {
            return if ended.success() {
                Ok(highest)
            } else {
                Err(format!("{command:?}: {ended}").into())
            };
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.split_whitespace().next()) {
            highest = highest.max(kib.parse()?);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
