//! Paths that become a file, a link and a directory in turn, planned as the controller plans them: what was there before the
//! first of them comes back in the end, wherever the runs between were killed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;

use provision_core::model::{
    Applier, Blob, Connection, Desired, Digest, HostName, Origin, Plan, Resource, RunPhase, Spec,
};
use provision_core::plan::plan as plan_for;
use rustix::process::Signal;

use crate::host::{AGENT, Host, verdict};
use crate::plans::{directory, file, symlink};

const PLACE: &str = "/mnt/place";

fn desired(specs: impl IntoIterator<Item = Spec>) -> Desired {
    let resource = |spec: Spec| Resource {
        spec,
        origin: Origin {
            file: "hosts/test.toml".to_owned(),
            line: 1,
            column: 1,
        },
        depends: Vec::new(),
        on_removal: Default::default(),
    };
    Desired {
        host: HostName::new("test").unwrap(),
        connection: Connection::Local,
        tags: BTreeSet::new(),
        machine: None,
        ports: Vec::new(),
        resources: specs.into_iter().map(|spec| (spec.id(), resource(spec))).collect(),
        blobs: BTreeMap::from([(Digest::of(b"ours\n"), Blob::from(b"ours\n".to_vec()))]),
    }
}

fn plan(host: &Host, specs: impl IntoIterator<Item = Spec>) -> Plan {
    let desired = desired(specs);
    let observed = host.observe(
        &desired
            .resources
            .values()
            .map(|resource| resource.spec.clone())
            .collect::<Vec<_>>(),
    );
    let by = Applier {
        who: "tester@here".to_owned(),
        commit: None,
        version: "0".to_owned(),
        rollback_to: None,
    };
    let plan = plan_for(&desired, &observed, &by);
    assert!(plan.blockers.is_empty(), "{:?}", plan.blockers);
    plan
}

/// Applies until there is nothing left to do, which one apply must achieve.
fn apply(host: &Host, specs: impl IntoIterator<Item = Spec> + Clone, what: &str) {
    let made = plan(host, specs.clone());
    if !made.steps.is_empty() {
        let told = host.events(&made);
        assert_eq!(verdict(&told), RunPhase::Confirmed, "{what}: {told:?}");
    }
    assert!(plan(host, specs).steps.is_empty(), "{what}: converged");
}

/// What may lie at the place before us: a file, a link, a directory.
fn originals() -> [&'static str; 3] {
    [
        "echo theirs > /mnt/place; chown daemon:games /mnt/place; chmod 0604 /mnt/place",
        "ln -s /etc/hostname /mnt/place",
        "install -d -o daemon -g games -m 0710 /mnt/place",
    ]
}

fn as_it_is(host: &Host) -> String {
    let script = "stat -c '%F %U %G %a' /mnt/place; cat /mnt/place 2>/dev/null; readlink /mnt/place; ls -A /mnt";
    let output = host.command(&["sh", "-c", script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn kinds() -> [Spec; 3] {
    [file(PLACE, "ours\n"), symlink(PLACE, "elsewhere"), directory(PLACE)]
}

fn with(original: &str) -> Host {
    let host = Host::new();
    assert!(host.command(&["sh", "-c", original]).status().unwrap().success());
    host
}

/// The kind that may be declared where this is: another one is in the way.
fn first_of(original: &str) -> usize {
    originals().iter().position(|other| *other == original).unwrap()
}

#[test]
fn what_was_there_first_comes_back_however_often_the_kind_changed() {
    for original in originals() {
        let host = with(original);
        let before = as_it_is(&host);
        let first = first_of(original);
        for step in [0, 1, 2, 1, 0] {
            apply(&host, Some(kinds()[(first + step) % 3].clone()), original);
        }
        apply(&host, Some(kinds()[(first + 1) % 3].clone()), original);
        apply(&host, None, original);
        assert_eq!(as_it_is(&host), before, "{original}");
    }
}

#[test]
fn what_was_as_declared_before_us_comes_back_too() {
    let host = with("printf 'ours\\n' > /mnt/place; chmod 0640 /mnt/place");
    let before = as_it_is(&host);
    // Nothing of it is changed, and so there is no original yet.
    apply(
        &host,
        [file(PLACE, "ours\n"), file("/mnt/other", "ours\n")],
        "as declared",
    );
    apply(&host, Some(symlink(PLACE, "elsewhere")), "a link");
    apply(&host, None, "gone");
    assert_eq!(as_it_is(&host), before);

    // Somebody made by hand what is declared next; our own file was there in between.
    apply(&host, [file(PLACE, "ours\n"), file("/mnt/other", "ours\n")], "again");
    host.command(&["ln", "-sfn", "elsewhere", PLACE]).status().unwrap();
    apply(&host, Some(symlink(PLACE, "elsewhere")), "by hand");
}

/// Runs a plan whose journal cannot grow beyond `limit` bytes; whether the kernel killed the runner for trying.
fn killed(host: &Host, plan: &Plan, limit: usize) -> bool {
    let id = host.stage(plan).to_string();
    let fsize = format!("--fsize={limit}:{limit}");
    let status = host.command(&["prlimit", &fsize, AGENT, "run", &id]).status().unwrap();
    status.signal() == Some(Signal::XFSZ.as_raw())
}

/// Kills the run of `plan` after every line of its journal and within every one, and lets `heal` go on from there.
fn at_every_line(prepare: impl Fn() -> Host, next: &dyn Fn(&Host) -> Plan, heal: impl Fn(&Host, &str)) {
    let host = prepare();
    let whole = next(&host);
    host.events(&whole);
    let journal = host.journal(&whole.id());
    let ends: Vec<usize> = journal.match_indices('\n').map(|(at, _)| at + 1).collect();
    let mut killed_at = 0;
    for limit in ends[..ends.len() - 1].iter().flat_map(|end| [*end, end + 9]) {
        let host = prepare();
        let plan = next(&host);
        if killed(&host, &plan, limit) {
            killed_at += 1;
            heal(&host, &format!("limit {limit}"));
        }
    }
    assert!(killed_at > ends.len(), "only {killed_at} runs were killed");
}

#[test]
fn a_change_of_kind_that_is_killed_anywhere_forgets_no_original() {
    let original = originals()[0];
    let before = as_it_is(&with(original));
    let prepare = || {
        let host = with(original);
        apply(&host, Some(file(PLACE, "ours\n")), "first");
        host
    };
    let to_link = |host: &Host| plan(host, Some(symlink(PLACE, "elsewhere")));
    at_every_line(prepare, &to_link, |host, what| {
        apply(host, Some(symlink(PLACE, "elsewhere")), what);
        apply(host, None, what);
        assert_eq!(as_it_is(host), before, "{what}");
    });

    // The way back is two steps, and no less safe.
    let prepare = || {
        let host = prepare();
        apply(&host, Some(directory(PLACE)), "second");
        host
    };
    at_every_line(prepare, &|host| plan(host, None), |host, what| {
        apply(host, None, what);
        assert_eq!(as_it_is(host), before, "{what}");
    });
}
