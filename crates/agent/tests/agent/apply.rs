//! Applying plans: what is done, what is refused before anything is changed, and what is left when a step fails.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;

use provision_core::model::{
    Blob, Check, Digest, Fact, Holder, HostText, Millis, Outcome, PathState, Plan, ProbeSpec, RunEvent, RunPhase, Spec,
    State, StepError,
};
use provision_core::wire::{Refusal, Response};
use rustix::fs::{FlockOperation, flock};

use crate::host::{Host, apply_request, events, verdict};
use crate::plans::{self, Wanted, command, directory, file, symlink, validated};

fn some_things() -> Wanted {
    vec![
        (directory("/mnt/app"), ""),
        (file("/mnt/app/config", "port = 1\n"), "port = 1\n"),
        (file("/mnt/old", "new\n"), "new\n"),
        (symlink("/mnt/current", "app"), ""),
        (command("mark", "echo marked; touch /mnt/mark", "/mnt/mark"), ""),
    ]
}

fn step_error(events: &[RunEvent]) -> &StepError {
    let failed = events.iter().find_map(|event| match event {
        RunEvent::StepFailed { error, .. } => Some(error),
        _ => None,
    });
    failed.unwrap_or_else(|| panic!("no step failed: {events:?}"))
}

#[test]
fn a_plan_is_applied_once_recorded_and_told_again() {
    let host = Host::new();
    host.write("/mnt/old", "old\n");
    let wanted = some_things();
    let plan = plans::plan(&host, &wanted);
    assert_eq!(plan.steps.len(), 5);
    let told = host.events(&plan);
    assert_eq!(verdict(&told), RunPhase::Confirmed);
    let phases: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            RunEvent::Phase(phase) => Some(*phase),
            _ => None,
        })
        .collect();
    assert_eq!(
        phases,
        [
            RunPhase::Staged,
            RunPhase::Armed,
            RunPhase::Switching,
            RunPhase::Switched,
            RunPhase::Confirmed
        ]
    );
    assert!(told.contains(&RunEvent::Output {
        step: 4,
        line: HostText::from("marked")
    }));

    assert_eq!(host.read("/mnt/app/config"), "port = 1\n");
    assert_eq!(
        std::fs::read_link(host.at("/mnt/current")).unwrap().to_str(),
        Some("app")
    );
    let config = std::fs::metadata(host.at("/mnt/app/config")).unwrap();
    assert_eq!(config.mode() & 0o7777, 0o640);

    let observed = host.observe(&plans::specs(&wanted));
    assert!(
        plans::plan_from(&observed, &wanted).steps.is_empty(),
        "nothing is left to do"
    );
    let receipt = observed.receipt.known().unwrap().clone().unwrap();
    assert_eq!((receipt.generation, receipt.outcome), (1, Outcome::Confirmed));
    assert_eq!(receipt.plan_id, plan.id());
    assert_eq!(receipt.by["who"], HostText::from("tester@here"));
    assert_eq!(receipt.entries.len(), 5);
    let original = |spec: &Spec| receipt.entries[&spec.id()].original.clone().unwrap();
    assert_eq!(original(&wanted[1].0), State::Path(PathState::Absent));
    match original(&wanted[2].0) {
        State::Path(PathState::File { content, .. }) => {
            let stored = host.state("store").join(content.sha256.to_string());
            assert_eq!(std::fs::read_to_string(stored).unwrap(), "old\n");
        }
        other => panic!("{other:?}"),
    }

    // The same plan is not applied again; its run is told from any event on.
    let before = host.snapshot();
    let over = Refusal::Over {
        phase: RunPhase::Confirmed,
    };
    assert_eq!(host.apply(&plan), [Response::Refused(over)]);
    assert_eq!(events(host.attach(plan.id(), 3), 3), told[3..]);
    assert_eq!(host.snapshot(), before);
}

#[test]
fn what_leaves_the_configuration_goes_and_what_was_there_before_comes_back() {
    let host = Host::new();
    host.write("/mnt/old", "old\n");
    let before = std::fs::metadata(host.at("/mnt/old")).unwrap();
    host.events(&plans::plan(&host, &some_things()));
    host.write("/mnt/app/foreign", "not ours\n");

    let told = host.events(&plans::plan(&host, &Vec::new()));
    assert_eq!(verdict(&told), RunPhase::Confirmed);
    assert_eq!(host.read("/mnt/old"), "old\n");
    let after = std::fs::metadata(host.at("/mnt/old")).unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    assert!(!host.at("/mnt/current").is_symlink());
    assert_eq!(host.read("/mnt/app/foreign"), "not ours\n");
    let kept = told.iter().any(
        |event| matches!(event, RunEvent::Done { note: Some(note), .. } if note.untrusted().contains("not empty")),
    );
    assert!(kept, "{told:?}");
    let receipt = host.observe(&[]).receipt.known().unwrap().clone().unwrap();
    assert_eq!((receipt.generation, receipt.entries.len()), (2, 0));
}

#[test]
fn a_host_that_moved_is_refused_and_the_same_plan_fits_again_when_it_moves_back() {
    let host = Host::new();
    host.write("/mnt/old", "old\n");
    let wanted = some_things();
    let plan = plans::plan(&host, &wanted);
    host.write("/mnt/old", "changed by hand\n");
    let told = host.events(&plan);
    assert_eq!(verdict(&told), RunPhase::Refused);
    let id = wanted[2].0.id();
    let moved = told.iter().find_map(|event| match event {
        RunEvent::Moved(moved) => Some(moved),
        _ => None,
    });
    assert_eq!(moved.unwrap().keys().collect::<Vec<_>>(), [&id]);
    assert!(!host.at("/mnt/app").exists(), "nothing was changed");
    assert_eq!(host.read("/mnt/old"), "changed by hand\n");
    let observed = host.observe(&[]);
    assert_eq!(observed.receipt, Fact::Known(None));
    assert_eq!(observed.last_run.unwrap().phase, RunPhase::Refused);

    host.write("/mnt/old", "old\n");
    assert_eq!(verdict(&host.events(&plan)), RunPhase::Confirmed);
}

#[test]
fn a_plan_made_on_an_older_generation_is_refused() {
    let host = Host::new();
    let first = plans::plan(&host, &vec![(file("/mnt/a", "a"), "a")]);
    let late = plans::plan(&host, &vec![(file("/mnt/b", "b"), "b")]);
    host.events(&first);
    let told = host.events(&late);
    assert!(told.contains(&RunEvent::StaleGeneration { planned: 0, found: 1 }));
    assert_eq!(verdict(&told), RunPhase::Refused);
    assert!(!host.at("/mnt/b").exists());
}

#[test]
fn whoever_comes_second_learns_who_holds_the_lock() {
    let host = Host::new();
    host.events(&plans::plan(&host, &vec![(file("/mnt/a", "a"), "a")]));
    let wanted = vec![(file("/mnt/a", "b"), "b")];
    let plan = plans::plan(&host, &wanted);
    let holder = Holder {
        who: HostText::from("somebody@else"),
        since: 5,
        plan_id: Digest::of(b"their plan"),
        pid: 1,
    };
    let mut lock = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(host.state("lock"))
        .unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    lock.write_all(&serde_json::to_vec(&holder).unwrap()).unwrap();

    let before = host.snapshot();
    assert_eq!(host.apply(&plan), [Response::Refused(Refusal::Locked(holder.clone()))]);
    assert_eq!(host.snapshot(), before, "the loser writes nothing");
    assert_eq!(host.observe(&[]).lock, Some(holder.clone()));

    // One that staged its plan before the other took the lock.
    let id = host.stage(&plan);
    let runner = host
        .command(&[crate::host::AGENT, "run", &id.to_string()])
        .status()
        .unwrap();
    assert!(runner.success());
    let told = events(host.attach(id, 0), 0);
    assert_eq!(
        told[1..],
        [RunEvent::Locked(holder), RunEvent::Phase(RunPhase::Refused)]
    );
    assert_eq!(host.read("/mnt/a"), "a");

    drop(lock);
    assert_eq!(verdict(&host.events(&plan)), RunPhase::Confirmed);
}

#[test]
fn a_plan_for_another_machine_or_with_damaged_content_is_not_staged() {
    let host = Host::new();
    let plan = plans::plan(&host, &vec![(file("/mnt/a", "a"), "a")]);
    let before = host.snapshot();
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        let answers = host.apply(&plan);
        match &answers[..] {
            [Response::Refused(refusal)] => refusal.clone(),
            other => panic!("{other:?}"),
        }
    };
    let other = refused(&|plan| plan.machine_id = HostText::from("another"));
    assert!(matches!(other, Refusal::OtherMachine { .. }));
    let changes: [&dyn Fn(&mut Plan); 3] = [&|plan| plan.format += 1, &|plan| plan.blobs.clear(), &|plan| {
        *plan.blobs.values_mut().next().unwrap() = Blob::from(b"b".to_vec())
    }];
    for change in changes {
        let refusal = refused(change);
        assert!(matches!(refusal, Refusal::Stage(_)), "{refusal:?}");
    }
    assert_eq!(host.snapshot(), before);
}

#[test]
fn a_full_disk_is_told_before_the_start_and_a_full_place_fails_its_step() {
    let host = Host::new();
    let text: &'static str = "x".repeat(64 << 10).leak();
    let run = |script: &str| {
        let status = host.command(&["/bin/sh", "-ec", script]).status().unwrap();
        assert!(status.success());
    };
    run("mkdir /mnt/small; mount -t tmpfs -o size=16k,mode=0755 tmpfs /mnt/small");
    let wanted = vec![(file("/mnt/a", "a"), "a"), (file("/mnt/small/file", text), text)];
    let told = host.events(&plans::plan(&host, &wanted));
    assert_eq!(verdict(&told), RunPhase::Failed);
    let error = step_error(&told);
    assert!(error.problem.untrusted().contains("/mnt/small/file"), "{error:?}");
    assert!(
        error.problem.untrusted().contains("No space left on device"),
        "{error:?}"
    );
    assert!(error.fix.as_ref().unwrap().contains("free some space"), "{error:?}");
    let left = std::fs::read_dir(host.at("/mnt/small")).unwrap().count();
    assert_eq!(left, 0, "nothing half-written is left");

    run("umount /mnt/small");
    let plan = plans::plan(&host, &wanted);
    assert_eq!(
        verdict(&host.events(&plan)),
        RunPhase::Confirmed,
        "with room, it goes on"
    );

    run("mount -t tmpfs -o size=16m,mode=0700 tmpfs /var/lib/provision");
    let plan = plans::plan(&host, &vec![(file("/mnt/b", "b"), "b")]);
    match &host.apply(&plan)[..] {
        [Response::Refused(Refusal::Stage(words))] => {
            assert!(
                words.untrusted().contains("has 16 MiB free, and the plan needs 65 MiB"),
                "{words:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(!host.at("/mnt/b").exists());
}

#[test]
fn a_staged_plan_that_was_changed_on_the_disk_is_not_executed() {
    let host = Host::new();
    let mut plan = plans::plan(&host, &vec![(file("/mnt/a", "a"), "a")]);
    let id = host.stage(&plan);
    plan.by.who = "somebody else".to_owned();
    let path = host.state("runs").join(id.to_string()).join("plan.json");
    std::fs::write(path, serde_json::to_vec(&plan).unwrap()).unwrap();
    host.command(&[crate::host::AGENT, "run", &id.to_string()])
        .status()
        .unwrap();
    let told = events(host.attach(id, 0), 0);
    assert!(matches!(told[0], RunEvent::Error(_)), "{told:?}");
    assert_eq!(verdict(&told), RunPhase::Refused);
    assert!(!host.at("/mnt/a").exists());
}

#[test]
fn a_failing_validation_leaves_the_old_file_and_what_came_before_is_recorded() {
    let host = Host::new();
    host.write("/mnt/sudoers", "good\n");
    let check = [
        "/bin/sh",
        "-c",
        "echo checking; grep -q good \"$0\" || { echo it is bad; exit 3; }",
    ];
    let wanted = vec![
        (file("/mnt/before", "1"), "1"),
        (validated("/mnt/sudoers", "bad\n", &check), "bad\n"),
        (file("/mnt/after", "2"), "2"),
    ];
    let told = host.events(&plans::plan(&host, &wanted));
    assert_eq!(verdict(&told), RunPhase::Failed);
    let error = step_error(&told);
    assert!(error.problem.untrusted().contains("/mnt/sudoers"), "{error:?}");
    assert!(error.problem.untrusted().contains("exit status 3"), "{error:?}");
    assert_eq!(error.output, [HostText::from("checking"), HostText::from("it is bad")]);
    assert_eq!(host.read("/mnt/sudoers"), "good\n");
    assert!(!host.at("/mnt/after").exists());
    let left = std::fs::read_dir(host.at("/mnt")).unwrap().count();
    assert_eq!(left, 2, "the staged copy is gone");

    let observed = host.observe(&plans::specs(&wanted));
    let receipt = observed.receipt.known().unwrap().clone().unwrap();
    assert_eq!((receipt.generation, receipt.outcome), (1, Outcome::Failed));
    assert_eq!(receipt.entries.keys().collect::<Vec<_>>(), [&wanted[0].0.id()]);
    let run = observed.last_run.clone().unwrap();
    assert_eq!((run.phase, run.error.as_ref()), (RunPhase::Failed, Some(error)));

    let wanted = vec![
        (file("/mnt/before", "1"), "1"),
        (validated("/mnt/sudoers", "good as well\n", &check), "good as well\n"),
        (file("/mnt/after", "2"), "2"),
    ];
    assert_eq!(verdict(&host.events(&plans::plan(&host, &wanted))), RunPhase::Confirmed);
    assert_eq!(host.read("/mnt/sudoers"), "good as well\n");
}

#[test]
fn a_command_that_fails_hangs_or_does_not_do_its_work_fails_its_step() {
    let host = Host::new();
    let outcome = |spec: Spec| {
        let told = host.events(&plans::plan(&host, &vec![(spec, "")]));
        assert_eq!(verdict(&told), RunPhase::Failed);
        step_error(&told).clone()
    };
    let failing = outcome(command("fails", "echo why >&2; exit 7", "/mnt/x"));
    assert_eq!(failing.problem, HostText::from("/bin/sh failed with exit status 7"));
    assert_eq!(failing.output, [HostText::from("why")]);

    let idle = outcome(command("idle", "true", "/mnt/x"));
    assert!(idle.problem.untrusted().contains("guard"), "{idle:?}");

    let Spec::Command(mut hanging) = command("hangs", "echo begun; sleep 1000", "/mnt/x") else {
        unreachable!()
    };
    hanging.timeout = Millis(200);
    let hanging = outcome(Spec::Command(hanging));
    assert!(
        hanging.problem.untrusted().contains("did not end within 0.2 s"),
        "{hanging:?}"
    );
    assert_eq!(hanging.output, [HostText::from("begun")]);
}

#[test]
fn a_probe_waits_until_it_passes_or_its_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let probe = |timeout| {
        Spec::Probe(ProbeSpec {
            name: "gate".to_owned(),
            check: Check::Tcp {
                address: address.clone(),
            },
            timeout,
            interval: Millis(10),
            threshold: 3,
        })
    };
    let host = Host::new();
    let gate = |spec: Spec| {
        let mut plan = plans::plan(&host, &vec![(file("/mnt/a", "a"), "a")]);
        plan.steps.push(plans::step(
            provision_core::model::Op::Probe(match spec {
                Spec::Probe(spec) => spec,
                _ => unreachable!(),
            }),
            &[],
        ));
        host.events(&plan)
    };
    assert_eq!(verdict(&gate(probe(Millis::seconds(60)))), RunPhase::Confirmed);
    drop(listener);
    let told = gate(probe(Millis(100)));
    assert_eq!(verdict(&told), RunPhase::Failed);
    let error = step_error(&told);
    assert!(
        error.problem.untrusted().contains("did not pass within 100ms"),
        "{error:?}"
    );
}

/// A run that waits for the test, and says so.
fn waiting() -> Wanted {
    let script = "touch /mnt/begun; while [ ! -e /mnt/go ]; do sleep 0.02; done; touch /mnt/done";
    vec![
        (command("wait", script, "/mnt/done"), ""),
        (file("/mnt/after", "after\n"), "after\n"),
    ]
}

#[test]
fn a_run_goes_on_when_the_connection_is_lost_and_is_attached_to_again() {
    let host = Host::new();
    let plan = plans::plan(&host, &waiting());
    let mut session = host.session();
    session.hello();
    session.send(&apply_request(plan.clone()));
    let seen = loop {
        match session.receive() {
            Some(Response::Event {
                number,
                event: RunEvent::Started { step: 0 },
            }) => break number + 1,
            Some(Response::Event { .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    session.cut();
    assert!(
        session.wait().success(),
        "a hang-up is noticed while the run says nothing, and is no error"
    );

    // Another connection with the same plan is the same run; one with another plan is refused.
    let other = plans::plan(&host, &vec![(file("/mnt/other", "x"), "x")]);
    match &host.apply(&other)[..] {
        [Response::Refused(Refusal::Locked(holder))] => assert_eq!(holder.plan_id, plan.id()),
        answers => panic!("{answers:?}"),
    }
    let mut again = host.session();
    again.hello();
    again.send(&apply_request(plan.clone()));
    assert!(matches!(again.receive(), Some(Response::Event { number: 0, .. })));
    File::create(host.at("/mnt/go")).unwrap();
    let rest = events(host.attach(plan.id(), seen), seen);
    assert_eq!(verdict(&rest), RunPhase::Confirmed);
    assert_eq!(host.read("/mnt/after"), "after\n");
}
