//! How hosts stand, for people and programs: last apply, lock, units, probes. It judges only what systemd calls failed
//! and what a probe found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use provision_core::model::{Fact, HostName, HostText, ProbeState, RunPhase, RunSummary};
use provision_core::wire::{StatusReport, UnitReport};
use serde_json::json;

use super::columns::{columns, indented};
use super::error::{ReachJson, reach_text};
use super::json::{FORMAT_VERSION, document};
use super::style::{Palette, paint};
use super::words;
use crate::cli::exit::Exit;
use crate::drive::ReachError;

/// What was learnt of each host.
pub type Statuses = BTreeMap<HostName, Result<HostStatus, ReachError>>;

/// How one host stands.
#[derive(Debug)]
pub struct HostStatus {
    /// What its agent reports.
    pub report: StatusReport,
    /// What one try of each of its probes found.
    pub probes: BTreeMap<String, Fact<ProbeState>>,
}

/// The exit code that one host's status calls for: a failed unit, a probe that does not pass, or an apply that failed,
/// is a failure on a host.
#[must_use]
pub fn exit(status: &Result<HostStatus, ReachError>) -> Exit {
    match status {
        Err(_) => Exit::Unreachable,
        Ok(status) if is_well(status) => Exit::Done,
        Ok(_) => Exit::Failed,
    }
}

fn passes(probe: &Fact<ProbeState>) -> bool {
    probe.known().is_some_and(|probe| probe.passing)
}

fn is_well(status: &HostStatus) -> bool {
    let report = &status.report;
    let ran = report.last_run.as_ref().is_none_or(|run| {
        !matches!(
            run.phase,
            RunPhase::Failed | RunPhase::Interrupted | RunPhase::RolledBack
        )
    });
    let units = report.units.as_ref().is_ok_and(|units| !units.values().any(has_failed));
    ran && units && status.probes.values().all(passes)
}

fn has_failed(unit: &UnitReport) -> bool {
    unit.active.untrusted() == "failed"
}

/// All hosts, for people.
#[must_use]
pub fn status_text(statuses: &Statuses, verbose: bool, palette: Palette) -> String {
    let hosts: Vec<_> = statuses
        .iter()
        .map(|(host, status)| match status {
            Ok(status) => host_text(host, status, verbose, palette),
            Err(error) => reach_text(host.as_str(), error, palette),
        })
        .collect();
    hosts.join("\n")
}

fn host_text(host: &HostName, status: &HostStatus, verbose: bool, palette: Palette) -> String {
    let report = &status.report;
    let facts = &report.facts;
    let (word, style) = if is_well(status) {
        ("well", palette.create())
    } else {
        ("in trouble", palette.remove())
    };
    let mut text = format!("{}  {}\n", paint(palette.title(), host), paint(style, word));
    let system = [&facts.os, &facts.os_version, &facts.arch]
        .map(HostText::escaped)
        .join(" ");
    let mut rows = vec![
        vec![
            "system".to_owned(),
            format!(
                "{system}, kernel {}, up {}",
                facts.kernel.escaped(),
                words::span(report.uptime)
            ),
        ],
        vec!["last apply".to_owned(), run_words(report.last_run.as_ref())],
    ];
    if let Some(holder) = &report.lock {
        let since = words::time(holder.since);
        let who = holder.who.escaped();
        rows.push(vec![
            "applying".to_owned(),
            format!("{who} since {since} (plan {})", holder.plan_id.short()),
        ]);
    }
    rows.push(vec!["units".to_owned(), units_words(&report.units)]);
    if !status.probes.is_empty() {
        rows.push(vec!["probes".to_owned(), probes_words(&status.probes)]);
    }
    text += &indented("  ", &columns(&rows).join("\n"));
    if let Some(error) = report.last_run.as_ref().and_then(|run| run.error.as_ref()) {
        let _ = writeln!(
            text,
            "  {} {}",
            paint(palette.error(), "it failed:"),
            error.problem.escaped()
        );
        for line in &error.output {
            let _ = writeln!(text, "    | {}", line.escaped());
        }
    }
    let units = report.units.iter().flatten();
    let rows: Vec<_> = units
        .filter(|(_, unit)| verbose || has_failed(unit))
        .map(|(name, unit)| unit_row(name, unit))
        .collect();
    text += &indented("    ", &columns(&rows).join("\n"));
    let probes = status.probes.iter();
    let rows: Vec<_> = probes
        .filter(|(_, probe)| verbose || !passes(probe))
        .map(|(name, probe)| probe_row(name, probe))
        .collect();
    text += &indented("    ", &columns(&rows).join("\n"));
    text
}

fn probe_row(name: &str, probe: &Fact<ProbeState>) -> Vec<String> {
    let found = match probe {
        Fact::Known(state) if state.passing => format!("passes: {}", state.detail.escaped()),
        Fact::Known(state) => format!("does not pass: {}", state.detail.escaped()),
        Fact::Unknown(why) => format!("could not be tried: {}", why.escaped()),
    };
    vec![words::safe(name), found]
}

fn probes_words(probes: &BTreeMap<String, Fact<ProbeState>>) -> String {
    match probes.values().filter(|probe| !passes(probe)).count() {
        0 => "all pass".to_owned(),
        failing => format!("{failing} of {} not passing", probes.len()),
    }
}

fn unit_row(name: &str, unit: &UnitReport) -> Vec<String> {
    let state = format!("{} ({})", unit.active.escaped(), unit.sub.escaped());
    let mut extra = Vec::new();
    if !matches!(unit.result.untrusted(), "" | "success") {
        extra.push(unit.result.escaped());
    }
    if unit.restarts > 0 {
        extra.push(format!("restarted {} times by itself", unit.restarts));
    }
    vec![words::safe(name), state, extra.join(", ")]
}

fn units_words(units: &Result<BTreeMap<String, UnitReport>, HostText>) -> String {
    match units {
        Err(why) => format!("cannot be told: {}", why.escaped()),
        Ok(units) => match units.values().filter(|unit| has_failed(unit)).count() {
            0 => "none failed".to_owned(),
            failed => format!("{failed} failed"),
        },
    }
}

fn run_words(run: Option<&RunSummary>) -> String {
    let Some(run) = run else {
        return "never".to_owned();
    };
    let by = |key: &str| run.by.get(key).map(HostText::escaped);
    let mut words = format!("{} {}", words::phase(run.phase), words::time(run.started));
    if let Some(who) = by("who") {
        words += &format!(" by {who}");
    }
    if let Some(commit) = by("commit") {
        words += &format!(" from commit {}", commit.chars().take(12).collect::<String>());
        if commit.ends_with("+dirty") {
            words += "+dirty";
        }
    }
    if let Some(generation) = run.generation {
        words += &format!(", generation {generation}");
    }
    words
}

/// All hosts, for programs.
#[must_use]
pub fn status_json(statuses: &Statuses, exit: Exit) -> String {
    let hosts: Vec<_> = statuses
        .iter()
        .map(|(host, status)| {
            json!({
                "host": host,
                "status": status.as_ref().ok().map(|status| &status.report),
                "probes": status.as_ref().ok().map(|status| &status.probes),
                "error": status.as_ref().err().map(ReachJson::from),
            })
        })
        .collect();
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "status",
        "version": env!("CARGO_PKG_VERSION"),
        "hosts": hosts,
        "exit_code": exit.code(),
    }))
}
