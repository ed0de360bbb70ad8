//! Measures `provision` on throwaway hosts against what else there is, in one run: `cargo bench --bench hosts`. It prints ratios
//! and counts, and judges none of them: that they are good enough is for who reads them.
//!
//! Sections can be named: `cargo bench --bench hosts -- one distance`. `peers` is only run when it is named, by
//! `benches/peers/run`, which installs them first. It makes real hosts and therefore wants root.

mod agent;
mod bare;
mod first;
mod lab;
mod looks;
mod peers;
mod sample;
mod second;
mod trace;
#[path = "../workload/mod.rs"]
mod workload;

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use lab::{AptCache, Project, at_once, fresh, image, reach};
use provision_rehearse::ThrowawayHost;
use workload::Workload;

/// How many hosts the sections with several have.
const MANY: usize = 10;

/// What can be measured, and in which order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Help,
    One,
    Distance,
    Ten,
    Memory,
    Agent,
    Second,
    First,
    Peers,
}

impl Section {
    const ALL: [Self; 9] = [
        Self::Help,
        Self::One,
        Self::Distance,
        Self::Ten,
        Self::Memory,
        Self::Agent,
        Self::Second,
        Self::First,
        Self::Peers,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::One => "one",
            Self::Distance => "distance",
            Self::Ten => "ten",
            Self::Memory => "memory",
            Self::Agent => "agent",
            Self::Second => "second",
            Self::First => "first",
            Self::Peers => "peers",
        }
    }

    /// How many converged hosts it looks at.
    const fn hosts(self) -> usize {
        match self {
            Self::Help | Self::First | Self::Peers => 0,
            Self::One | Self::Distance | Self::Agent | Self::Second => 1,
            Self::Ten | Self::Memory => MANY,
        }
    }
}

fn main() -> ExitCode {
    // Cargo says `--bench` to every bench.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let measured = match arguments.split_first() {
        Some((first, of)) if first == bare::ARGUMENT => bare::log_in(of),
        _ => sections(&arguments).and_then(|sections| measure(&sections)),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            talk(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

fn sections(named: &[String]) -> Result<Vec<Section>, Box<dyn Error>> {
    if named.is_empty() {
        return Ok(Section::ALL
            .into_iter()
            .filter(|section| *section != Section::Peers)
            .collect());
    }
    let find = |name: &String| {
        let section = Section::ALL.into_iter().find(|section| section.name() == name);
        let known = || Section::ALL.map(Section::name).join(", ");
        section.ok_or_else(|| format!("there is no section {name}; there are {}", known()).into())
    };
    named.iter().map(find).collect()
}

fn measure(sections: &[Section]) -> Result<(), Box<dyn Error>> {
    let workload = Workload::hundred();
    say(format_args!(
        "{} on Debian 12, {} resources",
        lab::PROVISION,
        workload.len()
    ))?;
    let wanted = sections.iter().map(|section| section.hosts()).max().unwrap_or(0);
    let (hosts, project) = converged(wanted, &workload)?;
    for section in sections {
        match (section, hosts.first()) {
            (Section::Help, _) => looks::help()?,
            (Section::First, _) => first::first(&workload)?,
            (Section::Peers, _) => peers::peers(&workload)?,
            (Section::One, Some(host)) => looks::one(host, &project)?,
            (Section::Distance, Some(host)) => looks::distance(host, &workload)?,
            (Section::Ten, Some(_)) => looks::ten(&hosts, &project)?,
            (Section::Memory, Some(_)) => looks::memory(&hosts, &project)?,
            (Section::Agent, Some(host)) => agent::observation(host, &project)?,
            (Section::Second, Some(host)) => second::second(host, &project)?,
            (_, None) => return Err(format!("{} needs a host", section.name()).into()),
        }
    }
    Ok(())
}

/// Hosts on which `provision` has applied the workload, and the project that declares it for them.
fn converged(wanted: usize, workload: &Workload) -> Result<(Vec<ThrowawayHost>, Project), Box<dyn Error>> {
    if wanted == 0 {
        return Ok((Vec::new(), Project::new(workload, &[])?));
    }
    let image = image(&[])?;
    let cache = AptCache::fetch(&image, workload)?;
    talk(format_args!("bringing {wanted} hosts to the workload"));
    let names: Vec<String> = (1..=wanted).map(|number| format!("host-{number}")).collect();
    let hosts = at_once(&names, |name| fresh(&image, name, &cache))?;
    let project = Project::new(workload, &hosts.iter().map(reach).collect::<Vec<_>>())?;
    project.converge()?;
    Ok((hosts, project))
}

/// A line of the results.
fn say(line: fmt::Arguments<'_>) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// A line about what is being done.
fn talk(line: fmt::Arguments<'_>) {
    // Without standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
