//! The second apply: what it writes and restarts on the host, which should be nothing.
//!
//! Three witnesses: strace on sshd and all that it starts, for what the agent does; the host's own disk, for every inode that changed,
//! whoever did it; and systemd, for every service that was started again. A login itself changes a few files, so the disk's
//! account is held beside that of `ssh HOST true`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use provision_rehearse::ThrowawayHost;

use crate::lab::Project;
use crate::sample::run;
use crate::say;
use crate::trace::Attached;

/// Every service with the number of its present life. Those of the login itself come and go.
const LIVES: &str = "systemctl show --property=Id,InvocationID,NRestarts --all '*.service' | awk 'BEGIN { RS = \"\" } !/Id=user/ { $1 = $1; print }'";

pub(crate) fn second(host: &ThrowawayHost, project: &Project) -> Result<(), Box<dyn Error>> {
    let mut login = host.ssh();
    login.arg("true");
    // The first login of a host makes files that later ones only change.
    run(&mut login)?;
    let by_login = changed(host, || run(&mut login).map(drop))?;

    let lives = on(host, LIVES)?;
    let apply = || run(&mut project.provision(&["apply", "--yes", host.name()])).map(drop);
    let by_apply = changed(host, apply)?;
    let sshd = Attached::to(sshd(host)?)?;
    apply()?;
    let doings = sshd.finish()?;
    if !doings.ran {
        return Err("strace saw no agent".into());
    }
    let now = on(host, LIVES)?;
    let restarted = lives
        .lines()
        .filter(|life| !now.lines().any(|line| line == *life))
        .count();

    let beyond: Vec<_> = by_apply.difference(&by_login).collect();
    say(format_args!("\nsecond apply of the same"))?;
    say(format_args!(
        "  calls of the agent, and of what it starts, that write: {}",
        doings.writes.len()
    ))?;
    for write in &doings.writes {
        say(format_args!("    {}", write.chars().take(110).collect::<String>()))?;
    }
    say(format_args!(
        "  inodes changed on the host's disk: {} (`ssh HOST true` alone: {}); not by the login: {}",
        by_apply.len(),
        by_login.len(),
        beyond.len()
    ))?;
    for path in beyond {
        say(format_args!("    {path}"))?;
    }
    say(format_args!(
        "  services started or restarted: {restarted} of {}",
        lives.lines().count()
    ))
}

/// The paths on the host's disk whose inode or content changes meanwhile.
fn changed(
    host: &ThrowawayHost,
    meanwhile: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<BTreeSet<String>, Box<dyn Error>> {
    // On a file system of its own, so that it is not found itself. Its time is taken before anything is done.
    on(host, "touch /run/bench-before")?;
    meanwhile()?;
    let found = on(host, "find / -xdev -newercm /run/bench-before")?;
    Ok(found.lines().map(str::to_owned).collect())
}

fn on(host: &ThrowawayHost, line: &str) -> Result<String, Box<dyn Error>> {
    let output = host.run(&["bash", "-c", line])?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// The process outside that is the host's sshd: the one that listens, which is the first of its service.
fn sshd(host: &ThrowawayHost) -> Result<u32, Box<dyn Error>> {
    // The hierarchy is mounted in one of two places, and the host's own processes are a group below the host's.
    let hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    let group = host.control_group();
    let groups = ["payload/system.slice", "system.slice"]
        .map(|slice| format!("{}/{slice}/ssh.service/cgroup.procs", group.trim_start_matches('/')));
    let list = hierarchies
        .iter()
        .flat_map(|hierarchy| groups.iter().map(|group| hierarchy.join(group)))
        .find_map(|file| fs::read_to_string(file).ok());
    let list = list.ok_or_else(|| format!("sshd has no control group below {group}"))?;
    Ok(list.lines().next().ok_or("sshd does not run")?.parse()?)
}
