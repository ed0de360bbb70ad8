//! Runs that are killed: wherever it happens, what was done is known, nothing is torn, and the next apply converges.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use provision_core::model::{Fact, Outcome, PathState, RunEvent, RunPhase, Spec, State};
use rustix::process::Signal;

use crate::host::{AGENT, Host, events, verdict};
use crate::plans::{self, Wanted, command, directory, file, symlink};

fn wanted() -> Wanted {
    vec![
        (directory("/mnt/app"), ""),
        (file("/mnt/app/new", "new\n"), "new\n"),
        (file("/mnt/old", "replaced\n"), "replaced\n"),
        (symlink("/mnt/link", "app"), ""),
        (command("mark", "touch /mnt/mark", "/mnt/mark"), ""),
        (file("/mnt/last", "last\n"), "last\n"),
    ]
}

fn fresh() -> Host {
    let host = Host::new();
    host.write("/mnt/old", "old\n");
    host
}

/// Runs a staged plan with a journal that cannot grow beyond `limit` bytes: the kernel kills the runner when it tries.
fn run_killed(host: &Host, limit: usize) -> Option<i32> {
    let plan = plans::plan(host, &wanted());
    let id = host.stage(&plan);
    let fsize = format!("--fsize={limit}:{limit}");
    let status = host
        .command(&["prlimit", &fsize, AGENT, "run", &id.to_string()])
        .status()
        .unwrap();
    status.signal()
}

/// What must hold after a run that was killed with this much of its journal written.
fn converges(host: &Host, limit: usize) {
    let wanted = wanted();
    let before = host.snapshot();
    let observed = host.observe(&plans::specs(&wanted));
    assert_eq!(
        host.snapshot(),
        before,
        "limit {limit}: looking at an interrupted host writes nothing"
    );
    let run = observed.last_run.clone().unwrap();
    let journal = host.journal(&run.plan_id);
    let whole = journal.rfind('\n').map_or(0, |end| end + 1);
    let told: Vec<RunEvent> = journal[..whole]
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let switching = told.contains(&RunEvent::Phase(RunPhase::Switching));
    let receipt = observed.receipt.known().unwrap().clone();
    let recorded = host.state("current").is_symlink();
    assert_eq!(receipt.is_some(), switching, "limit {limit}");
    match &receipt {
        Some(receipt) if recorded => {
            assert_eq!((run.phase, receipt.outcome), (RunPhase::Confirmed, Outcome::Confirmed))
        }
        Some(receipt) => assert_eq!(
            (run.phase, receipt.outcome),
            (RunPhase::Interrupted, Outcome::Interrupted)
        ),
        None => assert_eq!(run.phase, RunPhase::Interrupted, "limit {limit}"),
    }
    // Everything journaled as done is done, and known.
    for event in &told {
        if let RunEvent::Done { entries, .. } = event {
            for (id, entry) in entries {
                assert_eq!(
                    receipt.as_ref().unwrap().entries.get(id),
                    entry.as_ref(),
                    "limit {limit}"
                );
            }
        }
    }
    // Whoever attaches is told the verdict that the records will have.
    if !told.is_empty() {
        assert_eq!(
            verdict(&events(host.attach(run.plan_id, 0), 0)),
            run.phase,
            "limit {limit}"
        );
    }
    assert_eq!(
        plans::plan_from(&observed, &wanted).base_generation,
        u64::from(switching)
    );
    heals(host, &format!("limit {limit}"));
}

/// After whatever happened, the next apply brings the host to what is wanted, and one that wants nothing brings it back.
fn heals(host: &Host, what: &str) {
    let wanted = wanted();
    let plan = plans::plan(host, &wanted);
    if !plan.steps.is_empty() {
        let told = host.events(&plan);
        assert_eq!(verdict(&told), RunPhase::Confirmed, "{what}: {told:?}");
        let receipt = host.observe(&[]).receipt.known().unwrap().clone().unwrap();
        assert_eq!(receipt.generation, plan.base_generation + 1, "{what}");
    }
    let observed = host.observe(&plans::specs(&wanted));
    assert!(
        plans::plan_from(&observed, &wanted).steps.is_empty(),
        "{what}: converged"
    );
    let names = |path: &str| {
        let entries = fs::read_dir(host.at(path)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("/mnt"), ["app", "last", "link", "mark", "old"], "{what}");
    assert_eq!(names("/mnt/app"), ["new"], "{what}");

    // No original is forgotten: leaving the configuration brings back what was there before.
    let receipt = observed.receipt.known().unwrap().clone().unwrap();
    assert_eq!(receipt.entries.len(), wanted.len(), "{what}");
    for (spec, _) in &wanted {
        let original = receipt.entries[&spec.id()].original.as_ref();
        match (spec, original) {
            (Spec::Command(_), _) => {}
            (Spec::File(file), Some(State::Path(PathState::File { .. }))) if file.path.as_str() == "/mnt/old" => {}
            (_, Some(State::Path(PathState::Absent))) if spec.id().name != "/mnt/old" => {}
            (_, original) => panic!("{what}: the original of {} is {original:?}", spec.id()),
        }
    }
    assert_eq!(
        verdict(&host.events(&plans::plan(host, &Vec::new()))),
        RunPhase::Confirmed
    );
    assert_eq!(names("/mnt"), ["mark", "old"], "{what}");
    assert_eq!(host.read("/mnt/old"), "old\n", "{what}");
    let left = host.snapshot();
    let left: Vec<_> = left.lines().filter(|line| line.contains("/.provision-")).collect();
    assert!(left.is_empty(), "{what}: {left:?}");
}

/// The lengths that a whole run's journal has after each of its lines.
fn line_ends() -> Vec<usize> {
    let host = fresh();
    let plan = plans::plan(&host, &wanted());
    host.events(&plan);
    let journal = host.journal(&plan.id());
    journal.match_indices('\n').map(|(at, _)| at + 1).collect()
}

#[test]
fn a_run_killed_after_any_line_of_its_journal_or_within_one_converges() {
    let ends = line_ends();
    assert!(ends.len() > 15, "{ends:?}");
    let mut limits = vec![0, 1];
    for end in &ends[..ends.len() - 1] {
        // Times in the journal may take a digit more or less; the middle of the next line is past that.
        limits.extend([*end, end + 9]);
    }
    let mut killed = 0;
    for limit in limits {
        let host = fresh();
        let signal = run_killed(&host, limit);
        if signal == Some(Signal::XFSZ.as_raw()) {
            killed += 1;
            converges(&host, limit);
        }
    }
    assert!(killed > 2 * (ends.len() - 2), "only {killed} runs were killed");
}

#[test]
fn a_run_that_died_twice_before_its_verdict_is_merged_once() {
    let host = fresh();
    let ends = line_ends();
    let middle = ends[ends.len() / 2];
    assert_eq!(run_killed(&host, middle), Some(Signal::XFSZ.as_raw()));
    let observed = host.observe(&plans::specs(&wanted()));
    let interrupted = observed.receipt.known().unwrap().clone().unwrap();
    let run = observed.last_run.unwrap();
    // The same plan again: it is not executed again, and its end is now on record.
    let id = run.plan_id.to_string();
    for _ in 0..2 {
        assert!(host.command(&[AGENT, "run", &id]).status().unwrap().success());
    }
    let recorded = host.observe(&[]).receipt.known().unwrap().clone().unwrap();
    assert_eq!((recorded.generation, recorded.outcome), (1, Outcome::Interrupted));
    assert_eq!(recorded.entries, interrupted.entries);
    assert_eq!(verdict(&events(host.attach(run.plan_id, 0), 0)), RunPhase::Interrupted);
    assert!(matches!(host.observe(&[]).receipt, Fact::Known(Some(_))));
}

/// Everything by which the runner changes the host or its own records.
const MUTATING: &str = "openat write pwrite64 fchown fchmod ftruncate fsync fdatasync renameat renameat2 mkdirat \
                        symlinkat unlinkat clone clone3 vfork flock";

/// Runs the plan with the nth call of one kind tampered with. `None` where there is no such call any more.
fn run_tampered(host: &Host, call: &str, tampering: &str, nth: usize) -> Option<std::process::ExitStatus> {
    let plan = plans::plan(host, &wanted());
    let id = host.stage(&plan).to_string();
    let inject = format!("--inject={call}:{tampering}:when={nth}");
    let trace = host.at("/tmp").join(format!("provision-agent-strace-{}", host.id()));
    let strace = [
        "strace",
        "--output",
        trace.to_str().unwrap(),
        &inject,
        AGENT,
        "run",
        &id,
    ];
    let status = host.command(&strace).status().unwrap();
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(&trace).unwrap();
    (text.contains("(INJECTED)") || text.contains("killed by SIGKILL")).then_some(status)
}

#[test]
fn a_run_killed_at_any_system_call_that_changes_something_converges() {
    let mut killed = 0;
    for call in MUTATING.split_whitespace() {
        for nth in 1.. {
            let host = fresh();
            let Some(status) = run_tampered(&host, call, "signal=KILL", nth) else {
                break;
            };
            assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{call} {nth}");
            killed += 1;
            converges(&host, nth);
        }
    }
    assert!(killed > 100, "only {killed} runs were killed");
}

#[test]
fn a_run_whose_disk_fails_at_any_system_call_ends_in_order_and_the_next_converges() {
    let mut failed = 0;
    for call in MUTATING
        .split_whitespace()
        .filter(|call| !matches!(*call, "clone" | "clone3" | "vfork"))
    {
        for error in ["ENOSPC", "EIO", "EROFS"] {
            for nth in 1.. {
                let host = fresh();
                let Some(status) = run_tampered(&host, call, &format!("error={error}"), nth) else {
                    break;
                };
                failed += 1;
                assert!(matches!(status.code(), Some(0 | 1)), "{call} {nth} {error}: {status}");
                let old = host.read("/mnt/old");
                assert!(matches!(&*old, "old\n" | "replaced\n"), "{call} {nth} {error}: {old:?}");
                heals(&host, &format!("{call} {nth} {error}"));
            }
        }
    }
    assert!(failed > 300, "only {failed} calls failed");
}
