//! How hosts stand, for people and programs: last apply, lock, units, probes. It judges only what systemd calls failed
//! and what a probe found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use provision_core::model::{HostName, HostText, RunPhase, RunSummary};
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
pub type Statuses = BTreeMap<HostName, Result<StatusReport, ReachError>>;

/// The exit code that one host's status calls for: a failed unit, or an apply that failed, is a failure on a host.
#[must_use]
pub fn exit(status: &Result<StatusReport, ReachError>) -> Exit {
    match status {
        Err(_) => Exit::Unreachable,
        Ok(report) if is_well(report) => Exit::Done,
        Ok(_) => Exit::Failed,
    }
}

fn is_well(report: &StatusReport) -> bool {
    let ran = report
        .last_run
        .as_ref()
        .is_none_or(|run| !matches!(run.phase, RunPhase::Failed | RunPhase::Interrupted));
    let units = report.units.as_ref().is_ok_and(|units| !units.values().any(has_failed));
    ran && units
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
            Ok(report) => host_text(host, report, verbose, palette),
            Err(error) => reach_text(host.as_str(), error, palette),
        })
        .collect();
    hosts.join("\n")
}

fn host_text(host: &HostName, report: &StatusReport, verbose: bool, palette: Palette) -> String {
    let facts = &report.facts;
    let (word, style) = if is_well(report) {
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
    text
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
                "status": status.as_ref().ok(),
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
