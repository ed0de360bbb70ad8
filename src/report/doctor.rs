//! What is wrong with hosts, for people and programs: one page for each, problems first. It judges nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use provision_core::doctor::{Check, Diagnosis, Finding, Severity, Unknown};
use provision_core::model::{HostName, HostText};
use serde_json::{Value, json};

use super::error::{ReachJson, reach_text};
use super::json::{FORMAT_VERSION, document};
use super::style::{Palette, paint};
use super::words;
use crate::cli::exit::Exit;
use crate::drive::ReachError;

/// What is wrong with each host, or why it was not reached.
pub type Diagnoses = BTreeMap<HostName, Result<Diagnosis, ReachError>>;

/// The exit code that one host calls for.
#[must_use]
pub fn exit(diagnosis: &Result<Diagnosis, ReachError>) -> Exit {
    match diagnosis {
        Err(_) => Exit::Unreachable,
        Ok(diagnosis) if problems(diagnosis) > 0 => Exit::Failed,
        Ok(diagnosis) if diagnosis.findings.is_empty() && diagnosis.unknown.is_empty() => Exit::Done,
        Ok(_) => Exit::Changes,
    }
}

fn problems(diagnosis: &Diagnosis) -> usize {
    let grave = |finding: &&Finding| finding.severity == Severity::Problem;
    diagnosis.findings.iter().filter(grave).count()
}

/// All hosts, for people.
#[must_use]
pub fn doctor_text(diagnoses: &Diagnoses, verbose: bool, palette: Palette) -> String {
    let hosts: Vec<_> = diagnoses
        .iter()
        .map(|(host, diagnosis)| match diagnosis {
            Ok(diagnosis) => host_text(host, diagnosis, verbose, palette),
            Err(error) => reach_text(host.as_str(), error, palette),
        })
        .collect();
    hosts.join("\n")
}

fn host_text(host: &HostName, diagnosis: &Diagnosis, verbose: bool, palette: Palette) -> String {
    let mut text = format!("{}  {}\n", paint(palette.title(), host), verdict(diagnosis, palette));
    for finding in &diagnosis.findings {
        finding_text(&mut text, finding, palette);
    }
    for unknown in &diagnosis.unknown {
        unknown_text(&mut text, unknown, palette);
    }
    if verbose {
        for check in Check::ALL {
            let words = diagnosis.seen.get(&check).map(HostText::escaped).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "    {}",
                paint(palette.faint(), format!("{:<14} {words}", check.name()))
            );
        }
    }
    text
}

fn verdict(diagnosis: &Diagnosis, palette: Palette) -> String {
    let problems = problems(diagnosis);
    let warnings = diagnosis.findings.len() - problems;
    let unknown = diagnosis.unknown.len();
    let mut parts = Vec::new();
    if problems > 0 {
        parts.push(paint(palette.remove(), words::count(problems, "problem")));
    }
    if warnings > 0 {
        parts.push(paint(palette.update(), words::count(warnings, "warning")));
    }
    if unknown > 0 {
        parts.push(paint(palette.update(), format!("{unknown} not known")));
    }
    if parts.is_empty() {
        let all = format!("well: {} checks found nothing", Check::ALL.len());
        parts.push(paint(palette.create(), all));
    }
    parts.join(", ")
}

fn finding_text(text: &mut String, finding: &Finding, palette: Palette) {
    let (sign, style) = match finding.severity {
        Severity::Problem => ('✗', palette.remove()),
        Severity::Warning => ('!', palette.update()),
    };
    let name = paint(style, format!("{sign} {}", finding.trouble.name()));
    let _ = writeln!(
        text,
        "  {name}  {}: {}",
        finding.subject.escaped(),
        finding.seen.escaped()
    );
    let _ = writeln!(text, "      {}", finding.trouble.why());
    let _ = writeln!(text, "      {} {}", paint(palette.act(), "→"), finding.fix.escaped());
    for line in &finding.lines {
        let _ = writeln!(
            text,
            "      {}",
            paint(palette.faint(), format!("| {}", line.escaped()))
        );
    }
}

fn unknown_text(text: &mut String, unknown: &Unknown, palette: Palette) {
    let name = paint(palette.update(), format!("? {}", unknown.check.name()));
    let _ = writeln!(text, "  {name}  not known: {}", unknown.why.escaped());
}

/// All hosts, for programs.
#[must_use]
pub fn doctor_json(diagnoses: &Diagnoses, exit: Exit) -> String {
    let hosts: Vec<_> = diagnoses
        .iter()
        .map(|(host, diagnosis)| {
            let known = diagnosis.as_ref().ok();
            json!({
                "host": host,
                "findings": known.map(|known| known.findings.iter().map(finding_json).collect::<Vec<_>>()),
                "unknown": known.map(|known| known.unknown.iter().map(unknown_json).collect::<Vec<_>>()),
                "checks": known.map(|known| {
                    let seen = |check: &Check| known.seen.get(check).map(HostText::untrusted);
                    let checks = Check::ALL.iter().map(|check| (check.name(), seen(check)));
                    checks.collect::<BTreeMap<_, _>>()
                }),
                "error": diagnosis.as_ref().err().map(ReachJson::from),
            })
        })
        .collect();
    document(&json!({
        "format_version": FORMAT_VERSION,
        "command": "doctor",
        "version": env!("CARGO_PKG_VERSION"),
        "hosts": hosts,
        "exit_code": exit.code(),
    }))
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "name": finding.trouble.name(),
        "check": finding.trouble.check().name(),
        "severity": finding.severity.name(),
        "subject": finding.subject,
        "seen": finding.seen,
        "why": finding.trouble.why(),
        "fix": finding.fix,
        "lines": finding.lines,
    })
}

fn unknown_json(unknown: &Unknown) -> Value {
    json!({ "check": unknown.check.name(), "why": unknown.why })
}

#[cfg(test)]
mod tests {
    use provision_core::doctor::Trouble;

    use super::*;
    use crate::drive::ReachStage;

    fn diagnosis() -> Diagnosis {
        let finding = |trouble, severity, subject: &str, lines: &[&str]| Finding {
            trouble,
            severity,
            subject: subject.into(),
            seen: "failed: exit-code, status 1".into(),
            fix: "mend it".into(),
            lines: lines.iter().map(|line| HostText::from(*line)).collect(),
        };
        Diagnosis {
            findings: vec![
                finding(
                    Trouble::UnitFailed,
                    Severity::Problem,
                    "bot.service",
                    &["starting", "no such file"],
                ),
                finding(Trouble::DiskFull, Severity::Warning, "/srv", &[]),
            ],
            unknown: vec![Unknown {
                check: Check::Clock,
                why: "timedatectl ended with exit status 1".into(),
            }],
            seen: BTreeMap::from([(Check::Units, "1 unit failed".into())]),
        }
    }

    #[test]
    fn a_page_has_problems_warnings_and_what_is_not_known() {
        let host = |name| HostName::new(name).unwrap();
        let diagnoses = Diagnoses::from([
            (host("bad"), Ok(diagnosis())),
            (host("gone"), Err(ReachError::new(ReachStage::Connect, "refused"))),
            (host("well"), Ok(Diagnosis::default())),
        ]);
        insta::assert_snapshot!(doctor_text(&diagnoses, false, Palette::PLAIN));
        assert!(doctor_text(&diagnoses, true, Palette::PLAIN).contains("units          1 unit failed"));
        let exits: Vec<_> = diagnoses.values().map(exit).collect();
        assert_eq!(exits, [Exit::Failed, Exit::Unreachable, Exit::Done]);
        let only = |change: fn(&mut Diagnosis)| {
            let mut one = diagnosis();
            change(&mut one);
            exit(&Ok(one))
        };
        assert_eq!(only(|one| _ = one.findings.remove(0)), Exit::Changes);
        assert_eq!(
            only(|one| one.findings.clear()),
            Exit::Changes,
            "what is not known is not well"
        );
    }
}
