//! Text from a hostile host through every view: nothing in what is printed may steer a terminal, and JSON stays JSON.

use std::collections::{BTreeMap, BTreeSet};

use provision_core::adopt::{Adopted, Left};
use provision_core::doctor::{Check, Diagnosis, Finding, Severity, Trouble, Unknown};
use provision_core::model::{
    Action, Blocker, Connection, Desired, Digest, DiskUse, Fact, FieldChange, Generation, GenerationCounts, History,
    Holder, HostFacts, HostText, Kind, LogEntry, Moved, Origin, Outcome, Past, Plan, ProbeState, Reason, Receipt,
    Resource, ResourceId, RunEvent, RunPhase, RunSummary, Spec, StepError, SysctlSpec, TextChange, Unchanged,
};
use provision_core::plan::{Comparison, Differs, Remains};
use provision_core::wire::{StatusReport, UnitReport};

use super::plan::PlanView;
use super::{
    Palette, adopt, comparison, doctor, drift, error, event_json, exec, forget, history, json, logs, plan, plan_json,
    progress, recap, rollback, sample, show, status, tunnel,
};
use crate::cli::exit::Exit;
use crate::drive::{ReachError, ReachStage};
use crate::events::{ExecEnd, HostOutcome, OutputStream, Progress, Refused};

/// What a terminal might obey, or an eye be deceived by.
fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> = [
        "\u{1b}[2J\u{1b}[H",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]8;;http://evil\u{1b}\\click\u{1b}]8;;\u{1b}\\",
        "\u{1b}]52;c;cm0gLXJm\u{7}",
        "\u{1b}P+q544e\u{1b}\\",
        "\u{9b}31m",
        "\u{9d}0;t\u{9c}",
        "over\rwritten",
        "back\u{8}\u{8}\u{8}\u{8}",
        "\u{202e}txt.exe",
        "\u{2066}a\u{2069}",
        "zero\u{200b}width\u{feff}",
        "line\u{2028}para\u{2029}",
        "bell\u{7}\u{7}",
        "nul\u{0}",
        "two\nlines\n+ create   file:/etc/forged",
        "{} {0} %s $(id) `id` ${HOME}",
        "\"}],\"exit_code\":0",
    ]
    .map(str::to_owned)
    .to_vec();
    let controls = (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32);
    corpus.extend(controls.map(|c| format!("a{c}b")));
    corpus.push("x".repeat(2_000));
    corpus
}

/// A plan that is hostile wherever a host can be.
fn hostile_plan(text: &str) -> Plan {
    let id = |kind| ResourceId::new(kind, format!("n{text}"));
    let origin = || {
        Some(Origin {
            file: text.to_owned(),
            line: 1,
            column: 1,
        })
    };
    let mut plan = sample::full();
    for change in &mut plan.changes {
        change.id = id(change.id.kind);
        change.origin = origin();
        change.access = true;
        change.fields = vec![
            sample::field(text, Some(text), Some(text)),
            sample::field(text, Some(text), None),
        ];
        change.text = Some(TextChange::Text {
            before: text.into(),
            after: "other\n".to_owned(),
        });
        change.reasons.extend([
            Reason::Triggered { by: id(Kind::File) },
            Reason::GuardOpen(text.into()),
            Reason::ProbeFails(text.into()),
            Reason::HalfInstalled(text.into()),
        ]);
    }
    plan.changes.push(provision_core::model::Change {
        text: Some(TextChange::Hidden(text.to_owned())),
        ..sample::change("file:/x", Action::Update, Reason::Differs, Moved::Host)
    });
    plan.unchanged.push(Unchanged {
        id: id(Kind::File),
        because: text.to_owned(),
    });
    plan.blockers.push(Blocker {
        id: id(Kind::File),
        unknown: true,
        problem: text.into(),
        fix: text.to_owned(),
        origin: origin(),
    });
    plan.machine_id = text.into();
    plan
}

fn entry(text: &str) -> LogEntry {
    LogEntry {
        at: u64::MAX,
        from: text.into(),
        pid: Some(u32::MAX),
        priority: Some(3),
        message: text.into(),
    }
}

/// A machine of which all that is left alone is hostile.
fn adopted(text: &str) -> Adopted {
    Adopted {
        left: vec![Left {
            what: text.into(),
            why: text.into(),
        }],
        ..Adopted::default()
    }
}

fn diagnosis(text: &str) -> Diagnosis {
    Diagnosis {
        findings: vec![Finding {
            trouble: Trouble::UnitFailed,
            severity: Severity::Problem,
            subject: text.into(),
            seen: text.into(),
            fix: text.into(),
            lines: vec![text.into()],
        }],
        unknown: vec![Unknown {
            check: Check::Disks,
            why: text.into(),
        }],
        seen: BTreeMap::from([(Check::Units, text.into())]),
    }
}

fn step_error(text: &str) -> StepError {
    StepError {
        problem: text.into(),
        output: vec![text.into(), text.into()],
        fix: Some(text.to_owned()),
    }
}

fn holder(text: &str) -> Holder {
    Holder {
        who: text.into(),
        since: u64::MAX,
        plan_id: Digest::of(b""),
        pid: 1,
    }
}

fn reach(text: &str) -> ReachError {
    ReachError::new(ReachStage::Connect, text).hint(text)
}

fn outcomes(text: &str) -> Vec<HostOutcome> {
    let plan_id = Digest::of(b"");
    let moved = BTreeMap::from([(ResourceId::new(Kind::File, text), HostText::new(text))]);
    vec![
        HostOutcome::Failed {
            step: Some(0),
            error: step_error(text),
            done: 1,
            generation: Some(u64::MAX),
            millis: u64::MAX,
        },
        HostOutcome::Refused(Refused::Moved(moved)),
        HostOutcome::Refused(Refused::OtherMachine { found: text.into() }),
        HostOutcome::Refused(Refused::Host(text.into())),
        HostOutcome::Locked(holder(text)),
        HostOutcome::Unreachable(reach(text)),
        HostOutcome::Unknown {
            plan_id,
            error: reach(text),
        },
    ]
}

fn happenings(text: &str) -> Vec<Progress> {
    let id = ResourceId::new(Kind::File, text);
    let run = |event| Progress::Run { number: 0, event };
    vec![
        run(RunEvent::Moved(BTreeMap::from([(id.clone(), text.into())]))),
        run(RunEvent::Locked(holder(text))),
        run(RunEvent::Error(text.into())),
        run(RunEvent::Waiting {
            step: usize::MAX - 1,
            on: text.into(),
        }),
        run(RunEvent::Output {
            step: 0,
            line: text.into(),
        }),
        run(RunEvent::Done {
            step: 99,
            millis: u64::MAX,
            note: Some(text.into()),
            entries: BTreeMap::from([(id, None)]),
        }),
        run(RunEvent::StepFailed {
            step: 0,
            error: step_error(text),
        }),
        Progress::ConnectionLost {
            problem: text.to_owned(),
        },
        Progress::Output {
            stream: OutputStream::Stderr,
            line: text.into(),
        },
    ]
}

fn host_status(text: &str) -> status::HostStatus {
    let failing = ProbeState {
        passing: false,
        detail: text.into(),
    };
    status::HostStatus {
        report: status_report(text),
        probes: BTreeMap::from([
            (text.to_owned(), Fact::Known(failing)),
            (format!("{text}2"), Fact::unknown(text)),
        ]),
    }
}

fn status_report(text: &str) -> StatusReport {
    let unit = UnitReport {
        active: "failed".into(),
        sub: text.into(),
        result: text.into(),
        restarts: u32::MAX,
    };
    StatusReport {
        facts: HostFacts {
            machine_id: text.into(),
            boot_id: text.into(),
            hostname: text.into(),
            os: text.into(),
            os_version: text.into(),
            arch: text.into(),
            kernel: text.into(),
        },
        uptime: u64::MAX,
        last_run: Some(RunSummary {
            plan_id: Digest::of(b""),
            by: ["who", "commit"].map(|key| (key.to_owned(), text.into())).into(),
            started: u64::MAX,
            phase: RunPhase::Failed,
            generation: Some(u64::MAX),
            outcome: None,
            error: Some(step_error(text)),
        }),
        lock: Some(holder(text)),
        units: Ok(BTreeMap::from([(text.to_owned(), unit)])),
    }
}

fn desired(text: &str) -> Desired {
    let spec = Spec::Sysctl(SysctlSpec {
        key: text.to_owned(),
        value: text.to_owned(),
    });
    let origin = Origin {
        file: text.to_owned(),
        line: 1,
        column: 1,
    };
    let resource = Resource {
        spec,
        origin,
        depends: Vec::new(),
        on_removal: Default::default(),
    };
    Desired {
        host: "web-1".to_owned().try_into().unwrap(),
        connection: Connection::Ssh {
            address: Some(text.to_owned()),
            port: None,
            user: Some(text.to_owned()),
            host_keys: Vec::new(),
            identity_files: Vec::new(),
            jump: Some(text.to_owned()),
        },
        tags: BTreeSet::from([text.to_owned()]),
        machine: None,
        ports: Vec::new(),
        resources: BTreeMap::from([(resource.spec.id(), resource)]),
        blobs: BTreeMap::new(),
    }
}

/// A host's records that are hostile wherever a host can be.
fn records(text: &str) -> (History, Past, Vec<(ResourceId, Remains)>, Vec<Comparison>) {
    let by: BTreeMap<_, _> = ["who", "commit", "version", "rollback_to", text]
        .map(|field| (field.to_owned(), HostText::from(text)))
        .into();
    let history = History {
        generations: vec![Generation {
            number: 7,
            plan_id: Digest::of(b""),
            at: u64::MAX,
            by: by.clone(),
            outcome: Outcome::Failed,
            resources: 1,
            counts: GenerationCounts::default(),
        }],
        disk: DiskUse::default(),
    };
    let receipt = Receipt {
        generation: 7,
        plan_id: Digest::of(b""),
        at: u64::MAX,
        by,
        outcome: Outcome::Interrupted,
        entries: BTreeMap::new(),
        pending: BTreeSet::new(),
    };
    let past = Past {
        number: 7,
        receipt: Some(receipt),
        since: BTreeMap::new(),
    };
    let id = || ResourceId::new(Kind::File, text);
    let remains = [
        Remains::Ran,
        Remains::Sensitive,
        Remains::NotKept,
        Remains::Version(text.into()),
        Remains::OldVersion(text.to_owned()),
        Remains::Data,
    ];
    let comparison = Comparison {
        id: id(),
        differs: Differs::Changed,
        fields: vec![FieldChange {
            field: text.to_owned(),
            before: Some(text.into()),
            after: Some(text.to_owned()),
        }],
        text: Some(TextChange::Text {
            before: text.into(),
            after: text.to_owned(),
        }),
    };
    let remains = remains.map(|remains| (id(), remains)).into();
    (history, past, remains, vec![comparison])
}

/// Everything that people read.
fn texts(text: &str) -> Vec<String> {
    let palette = Palette::PLAIN;
    let view = PlanView {
        palette,
        diff: true,
        unchanged: true,
    };
    let plan = hostile_plan(text);
    let host = plan.host.clone();
    let mut texts = vec![
        plan::plan_text(&plan, view),
        plan::total_text(&[&plan], 1, palette),
        drift::drift_text(&plan, view),
        error::reach_text("web-1", &reach(text), palette),
        error::error_text(&error::CommandError::refused(text).hint(text), palette),
        show::show_text(&desired(text), true, palette),
        status::status_text(&BTreeMap::from([(host.clone(), Ok(host_status(text)))]), true, palette),
        status::status_text(&BTreeMap::from([(host.clone(), Err(reach(text)))]), true, palette),
        doctor::doctor_text(&BTreeMap::from([(host.clone(), Ok(diagnosis(text)))]), true, palette),
        logs::entry_text(&entry(text), palette),
        tunnel::failed_words(text, palette),
        adopt::host_file(&desired(text), &adopted(text).left, &BTreeMap::new()),
        doctor::doctor_text(&BTreeMap::from([(host.clone(), Err(reach(text)))]), true, palette),
    ];
    let (kept, past, remains, differences) = records(text);
    texts.extend([
        history::history_text(&host, &kept, palette),
        forget::what_goes(&host, &kept, palette),
        forget::forgotten_text(&host, palette),
        rollback::rollback_text(&past, &remains, &plan, palette),
        comparison::comparison_text(&host, (1, 2), &differences, true, palette),
    ]);
    texts.extend(exec::end_words(&Ok(ExecEnd::Killed(text.into()))));
    texts.extend(exec::end_words(&Err(reach(text))));
    for end in outcomes(text) {
        texts.push(progress::end_words(&end, palette));
        let plans = BTreeMap::from([(host.clone(), &plan)]);
        texts.push(recap::recap_text(
            &BTreeMap::from([(host.clone(), end)]),
            &plans,
            palette,
        ));
    }
    for event in happenings(text) {
        for (plan, verbose) in [(None, true), (None, false), (Some(&plan), true), (Some(&plan), false)] {
            let line = progress::Line::of(plan, &event, verbose);
            texts.extend(line.text);
            texts.extend(line.now);
        }
    }
    texts
}

/// Everything that programs read.
fn jsons(text: &str) -> Vec<String> {
    let plan = hostile_plan(text);
    let host = plan.host.clone();
    let unreachable = reach(text);
    let found = [(&host, Ok(&plan)), (&host, Err(&unreachable))];
    let mut jsons = vec![
        json::document(&plan_json::plan_document("plan", found.into_iter(), Exit::Done)),
        event_json::plan_line(&plan, &plan_json::plan_value(&plan)),
        show::show_json(&desired(text)),
        status::status_json(&BTreeMap::from([(host.clone(), Ok(host_status(text)))]), Exit::Done),
        status::status_json(&BTreeMap::from([(host.clone(), Err(reach(text)))]), Exit::Done),
        doctor::doctor_json(&BTreeMap::from([(host.clone(), Ok(diagnosis(text)))]), Exit::Done),
        logs::entry_line(&host, &entry(text)),
        adopt::adopted_json(&host, &adopted(text), &[]),
        doctor::doctor_json(&BTreeMap::from([(host.clone(), Err(reach(text)))]), Exit::Done),
        exec::end_line(&host, &Ok(ExecEnd::Killed(text.into()))),
        exec::end_line(&host, &Err(reach(text))),
    ];
    let (kept, past, remains, differences) = records(text);
    jsons.extend([
        history::history_json(&host, &kept),
        rollback::rollback_line(&past, &remains, &plan),
        rollback::rollback_document(&past, &remains, &plan, Exit::Done),
        comparison::comparison_json(&host, (1, 2), &differences),
    ]);
    jsons.extend(
        outcomes(text)
            .iter()
            .map(|end| event_json::outcome_line(&host, end, Some(&plan))),
    );
    jsons.extend(
        happenings(text)
            .iter()
            .filter_map(|event| event_json::progress_line(&host, event)),
    );
    jsons
}

#[test]
fn no_byte_from_a_host_steers_a_terminal() {
    for hostile in corpus() {
        let texts = texts(&hostile);
        assert!(texts.len() > 40, "views went missing");
        for text in texts.into_iter().chain(jsons(&hostile)) {
            assert_eq!(HostText::new(text.as_str()).escaped_lines(), text, "from {hostile:?}");
            assert!(!text.contains("\n+ create"), "a forged line from {hostile:?} in {text}");
        }
    }
}

#[test]
fn json_stays_json_and_loses_nothing() {
    for hostile in corpus() {
        for json in jsons(&hostile) {
            let value: serde_json::Value =
                serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
            let strings = strings(&value);
            assert!(
                strings.iter().any(|string| string.contains(&hostile)),
                "{hostile:?} is not in {json}"
            );
        }
    }
}

fn strings(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(strings).collect(),
        serde_json::Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| std::iter::once(name.clone()).chain(strings(value)))
            .collect(),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Vec::new(),
    }
}
