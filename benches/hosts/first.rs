//! The first apply to a fresh host, beside a script that runs the same commands through one ssh.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use provision_rehearse::{BaseImage, ThrowawayHost};

use crate::lab::{AptCache, Project, fresh, image, reach};
use crate::sample::{Way, heading, in_turn, rows, run, run_with};
use crate::workload::{DIGEST, Settle, Workload, script};
use crate::{say, talk};

/// Each is a host of its own.
const ROUNDS: usize = 5;

/// What came of bringing a host to the workload.
pub(crate) struct Brought {
    pub(crate) time: Duration,
    /// What the host then was.
    pub(crate) digest: String,
}

pub(crate) fn first(workload: &Workload) -> Result<(), Box<dyn Error>> {
    let image = image(&[])?;
    let cache = AptCache::fetch(&image, workload)?;
    let mut digests = [const { String::new() }; 2];
    heading("first apply to a fresh host; apt's lists and packages are on it already")?;
    let [by_script, by_provision] = &mut digests;
    let mut ways = vec![
        Way::new("the script, ssh HOST bash", || {
            let brought = script_on(&image, &cache, workload)?;
            *by_script = brought.digest;
            Ok(brought.time)
        }),
        Way::new("provision apply, the agent's upload included", || {
            let brought = provision_on(&image, &cache, workload, Settle::Default)?;
            *by_provision = brought.digest;
            Ok(brought.time)
        }),
        Way::new("  without watching the services settle", || {
            Ok(provision_on(&image, &cache, workload, Settle::No)?.time)
        }),
    ];
    let series = in_turn(ROUNDS, &mut ways)?;
    drop(ways);
    rows(&series)?;
    same("the script", &digests[0], "provision", &digests[1])
}

/// The script, on a host of its own.
pub(crate) fn script_on(image: &BaseImage, cache: &AptCache, workload: &Workload) -> Result<Brought, Box<dyn Error>> {
    let host = fresh(image, "first", cache)?;
    let script = script(workload);
    let time = run_with(&mut bash(&host), &script)?.time;
    Ok(Brought {
        time,
        digest: digest(&host)?,
    })
}

/// `provision apply`, on a host of its own, which afterwards must have nothing left to do.
pub(crate) fn provision_on(
    image: &BaseImage,
    cache: &AptCache,
    workload: &Workload,
    settle: Settle,
) -> Result<Brought, Box<dyn Error>> {
    let host = fresh(image, "first", cache)?;
    let project = Project::settling(workload, &[reach(&host)], settle)?;
    let time = run(&mut project.provision(&["apply", "--yes"]))?.time;
    project.is_converged()?;
    Ok(Brought {
        time,
        digest: digest(&host)?,
    })
}

fn bash(host: &ThrowawayHost) -> Command {
    let mut command = host.ssh();
    command.args(["bash", "-s"]);
    command
}

/// What a host is, in so far as the workload says.
pub(crate) fn digest(host: &ThrowawayHost) -> Result<String, Box<dyn Error>> {
    Ok(run_with(&mut bash(host), DIGEST)?.stdout)
}

/// Says whether two hosts are the same, and where they differ if not.
pub(crate) fn same(one: &str, first: &str, other: &str, second: &str) -> Result<(), Box<dyn Error>> {
    if first == second {
        return say(format_args!(
            "  {one} and {other} leave the same host: {} facts agree",
            first.lines().count()
        ));
    }
    let missing = |of: &str, from: &str| {
        let from: std::collections::BTreeSet<&str> = from.lines().collect();
        of.lines()
            .filter(|line| !from.contains(line))
            .map(|line| format!("  {line}\n"))
            .collect::<String>()
    };
    talk(format_args!(
        "only with {one}:\n{}only with {other}:\n{}",
        missing(first, second),
        missing(second, first)
    ));
    Err(format!("{one} and {other} leave different hosts, so their times cannot be compared").into())
}
