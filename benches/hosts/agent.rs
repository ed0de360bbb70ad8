//! The agent's own part of a look: how long the program takes on the host from its start to its end, and what it starts.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use provision::load;
use provision_core::config::Sources;
use provision_core::model::{HostName, Spec};
use provision_core::resolve::resolve_all;
use provision_core::wire::{Decoder, FrameKind, Request, Response, encode, encode_message};
use provision_rehearse::ThrowawayHost;

use crate::lab::Project;
use crate::sample::{Series, heading, rows};
use crate::{say, trace};

const ROUNDS: u32 = 30;

/// Where the host keeps what it is asked meanwhile.
const QUESTION: &str = "/root/bench-question";
const ANSWER: &str = "/root/bench-answer";

/// Runs each of two commands in turn on the host, and prints how long each run took, in microseconds. `EPOCHREALTIME` is bash's clock, and the
/// fork is part of what is measured, as it is part of a look.
const LOOP: &str = r#"
time_one() { local start=${EPOCHREALTIME/./}; "$@" <QUESTION >ANSWER; local end=${EPOCHREALTIME/./}; printf '%s ' $((end - start)); }
for ((round = 0; round < ROUNDS; round++)); do time_one /bin/true; time_one AGENT session; echo; done
"#;

pub(crate) fn observation(host: &ThrowawayHost, project: &Project) -> Result<(), Box<dyn Error>> {
    let specs = specs(project.root(), host.name())?;
    let asked = specs.len();
    let agent = agent(host)?;
    fs::write(host.path_outside(QUESTION), question(specs)?)?;

    heading(&format!("the agent's process on the host, looking at {asked} specs"))?;
    let text = LOOP.replace("ROUNDS", &ROUNDS.to_string()).replace("AGENT", &agent);
    let text = text.replace("QUESTION", QUESTION).replace("ANSWER", ANSWER);
    let output = host.run(&["bash", "-c", &text])?;
    let printed = String::from_utf8(output.stdout)?;
    let (mut nothing, mut looks) = (Vec::new(), Vec::new());
    for line in printed.lines() {
        let times = line
            .split_whitespace()
            .map(|word| Ok(Duration::from_micros(word.parse()?)));
        let [start, look] = times.collect::<Result<Vec<_>, Box<dyn Error>>>()?[..] else {
            return Err(format!("two times were expected, not {line:?}").into());
        };
        nothing.push(start);
        looks.push(look);
    }
    let seen = answer(&fs::read(host.path_outside(ANSWER))?)?;
    rows(&[
        Series::new("/bin/true", nothing),
        Series::new("provision-agent session", looks),
    ])?;

    let doings = trace::of_command(&inside(host, &format!("exec {agent} session <{QUESTION} >/dev/null"))?)?;
    if !doings.ran {
        return Err("strace saw no agent".into());
    }
    let (programs, forks, writes) = (doings.programs.len(), doings.forks, doings.writes.len());
    say(format_args!(
        "  it answered for {seen} resources, started {programs} programs in {forks} forks, and wrote {writes} times:"
    ))?;
    for line in doings.programs.iter().chain(&doings.writes) {
        say(format_args!("    {}", line.chars().take(110).collect::<String>()))?;
    }
    Ok(())
}

/// What the host's file asks for, worked out as `provision` does.
fn specs(root: &Path, host: &str) -> Result<Vec<Spec>, Box<dyn Error>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entry in fs::read_dir(root.join("files"))? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| format!("{name:?} is not UTF-8"))?;
        files.insert(name, fs::read(entry.path())?);
    }
    let resolution = resolve_all(&Sources {
        config: load::config(root)?,
        files: &files,
    });
    let desired = resolution.hosts.get(&HostName::new(host)?);
    let desired = desired.ok_or_else(|| format!("{host} does not resolve: {:?}", resolution.diagnostics))?;
    Ok(desired
        .resources
        .values()
        .map(|resource| resource.spec.clone())
        .collect())
}

/// The frames of a look, as a controller sends them.
fn question(specs: Vec<Spec>) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut sequence = 0;
    let mut bytes = encode_message(&Request::Hello { nonce: 1 }, &mut sequence)?;
    bytes.extend(encode_message(&Request::Observe { specs }, &mut sequence)?);
    bytes.extend(encode(FrameKind::End, sequence, &[]));
    Ok(bytes)
}

/// How many resources an answer tells of.
fn answer(bytes: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    while let Some(response) = decoder.next_message()? {
        match response {
            Response::Hello { .. } => {}
            Response::Observed(observed) => return Ok(observed.resources.len()),
            other => return Err(format!("the agent answered {other:?}").into()),
        }
    }
    Err("the agent did not answer".into())
}

/// The agent that `provision` put on the host, by its path there.
fn agent(host: &ThrowawayHost) -> Result<String, Box<dyn Error>> {
    let agents = "/var/lib/provision/agents";
    let mut names = fs::read_dir(host.path_outside(agents))?;
    let name = names.next().ok_or("there is no agent on the host")??.file_name();
    Ok(format!("{agents}/{}/provision-agent", name.to_string_lossy()))
}

/// A shell line on the host, as a command of this machine.
fn inside(host: &ThrowawayHost, line: &str) -> Result<Command, Box<dyn Error>> {
    let leader = host.leader_pid().ok_or("the host is off")?;
    let mut command = Command::new("nsenter");
    command.arg(format!("--target={leader}"));
    command.args([
        "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd=/",
    ]);
    command.args(["--", "/bin/sh", "-c", line]);
    Ok(command)
}
