//! What every plan must hold, whatever the host and the configuration.

mod debconf;
mod git;
mod secrets;
mod swapfiles;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::simulate::simulate;
use super::{plan, trigger};
use crate::model::*;

fn by() -> Applier {
    Applier {
        who: "ada@desk".into(),
        commit: None,
        version: "0".into(),
        rollback_to: None,
    }
}

fn facts() -> HostFacts {
    let text = HostText::from("x");
    HostFacts {
        machine_id: text.clone(),
        boot_id: text.clone(),
        hostname: text.clone(),
        os: text.clone(),
        os_version: text.clone(),
        arch: text.clone(),
        kernel: text,
    }
}

fn path(text: &str) -> AbsPath {
    AbsPath::new(text).unwrap()
}

fn file(at: &str, text: &str, mode: &str) -> Spec {
    Spec::File(FileSpec {
        path: path(at),
        content: Content::of(text.as_bytes()),
        owner: "root".into(),
        group: "root".into(),
        mode: mode.parse().unwrap(),
        validate: None,
        sensitive: false,
        private: false,
        seed: false,
    })
}

fn found_file(text: &str, mode: &str) -> State {
    let root = || Owner {
        id: 0,
        name: Some("root".into()),
    };
    State::Path(PathState::File {
        content: Content::of(text.as_bytes()),
        owner: root(),
        group: root(),
        mode: mode.parse().unwrap(),
        text: Some(text.into()),
    })
}

fn block(at: &str, text: &str) -> BlockSpec {
    BlockSpec {
        path: path(at),
        name: "ours".into(),
        text: text.into(),
        comment: "#".into(),
        owner: None,
        group: None,
        mode: None,
    }
}

/// A file of root's that may have a block with this text.
fn found_block(text: Option<&str>) -> BlockState {
    let root = || Owner {
        id: 0,
        name: Some("root".into()),
    };
    BlockState::File {
        lines: text.map(|text| HostText::new(block("/any", text).lines())),
        ragged: false,
        owner: root(),
        group: root(),
        mode: "0640".parse().unwrap(),
    }
}

fn unit(name: &str) -> Spec {
    Spec::Unit(UnitSpec {
        name: UnitName::new(name).unwrap(),
        enabled: Some(true),
        active: Some(true),
        on_change: OnChange::Restart,
        settle: Millis::seconds(1),
    })
}

fn found_unit(enabled: &str, active: &str) -> State {
    State::Unit(UnitState {
        load: "loaded".into(),
        enabled: enabled.into(),
        active: active.into(),
        needs_reload: false,
    })
}

fn not_found() -> State {
    State::Unit(UnitState {
        load: "not-found".into(),
        enabled: "".into(),
        active: "inactive".into(),
        needs_reload: false,
    })
}

fn on(id: &str, reason: DependencyReason) -> Dependency {
    Dependency {
        on: id.parse().unwrap(),
        reason,
    }
}

fn desired(specs: Vec<(Spec, Vec<Dependency>)>) -> Desired {
    let origin = Origin {
        file: "hosts/a.toml".into(),
        line: 1,
        column: 1,
    };
    let resources = specs.into_iter().map(|(spec, depends)| {
        (
            spec.id(),
            Resource {
                spec,
                origin: origin.clone(),
                depends,
                on_removal: OnRemoval::default(),
            },
        )
    });
    Desired {
        host: HostName::new("a").unwrap(),
        connection: Connection::Local,
        tags: BTreeSet::new(),
        machine: None,
        ports: Vec::new(),
        resources: resources.collect(),
        blobs: BTreeMap::new(),
    }
}

fn observed(states: Vec<(&str, State)>) -> Observed {
    let resources = states
        .into_iter()
        .map(|(id, state)| (id.parse().unwrap(), Fact::Known(state)))
        .collect();
    Observed {
        facts: facts(),
        receipt: Fact::Known(None),
        last_run: None,
        lock: None,
        resources,
    }
}

fn receipt(desired: &Desired, originals: Vec<(&str, State)>) -> Receipt {
    let originals: BTreeMap<ResourceId, State> = originals
        .into_iter()
        .map(|(id, state)| (id.parse().unwrap(), state))
        .collect();
    let entries = desired.resources.iter().map(|(id, resource)| {
        let entry = Entry {
            spec: resource.spec.clone(),
            depends: resource.depends.clone(),
            original: originals.get(id).cloned(),
            trigger: (id.kind == Kind::Unit).then(|| trigger(desired, resource)),
            on_removal: resource.on_removal,
        };
        (id.clone(), entry)
    });
    Receipt {
        generation: 7,
        plan_id: Digest::of(b""),
        at: 0,
        by: BTreeMap::new(),
        outcome: Outcome::Confirmed,
        entries: entries.collect(),
        pending: BTreeSet::new(),
    }
}

fn change<'a>(plan: &'a Plan, id: &str) -> &'a Change {
    plan.changes
        .iter()
        .find(|change| change.id.to_string() == id)
        .unwrap_or_else(|| panic!("{id} in {plan:#?}"))
}

const UNIT_FILE: &str = "/etc/systemd/system/a.service";

/// A unit with its file, as every service has it.
fn service(text: &str) -> Desired {
    desired(vec![
        (file(UNIT_FILE, text, "0644"), vec![]),
        (
            unit("a.service"),
            vec![on(&format!("file:{UNIT_FILE}"), DependencyReason::Uses)],
        ),
    ])
}

#[test]
fn a_new_service_is_written_read_enabled_started_and_watched_in_this_order() {
    let observed = observed(vec![
        (&format!("file:{UNIT_FILE}"), State::Path(PathState::Absent)),
        ("unit:a.service", not_found()),
    ]);
    let plan = plan(&service("x"), &observed, &by());
    assert!(plan.blockers.is_empty(), "{:?}", plan.blockers);
    let names: Vec<_> = plan.steps.iter().map(|step| format!("{:?}", step.op)).collect();
    let order = ["WriteFile", "AtBoot", "DaemonReload", "Unit", "Settle"];
    assert_eq!(names.len(), order.len(), "{names:#?}");
    for (name, start) in names.iter().zip(order) {
        assert!(name.starts_with(start), "{name} is not {start}");
    }
    assert!(matches!(
        &plan.steps[3].op,
        Op::Unit {
            verb: UnitVerb::Start,
            ..
        }
    ));
    assert_eq!(plan.pending.len(), 1);
}

#[test]
fn a_changed_file_restarts_the_unit_once_and_says_why() {
    let desired = service("new");
    let mut observed = observed(vec![
        (&format!("file:{UNIT_FILE}"), found_file("old", "0644")),
        ("unit:a.service", found_unit("enabled", "active")),
    ]);
    observed.receipt = Fact::Known(Some(receipt(&service("old"), vec![])));
    let plan = plan(&desired, &observed, &by());
    let unit = change(&plan, "unit:a.service");
    assert_eq!(unit.action, Action::Restart);
    assert_eq!(
        unit.reasons,
        [Reason::Triggered {
            by: format!("file:{UNIT_FILE}").parse().unwrap()
        }]
    );
    assert_eq!(change(&plan, &format!("file:{UNIT_FILE}")).moved, Moved::Configuration);
    let restarts = plan
        .steps
        .iter()
        .filter(|step| matches!(step.op, Op::Unit { .. }))
        .count();
    assert_eq!(restarts, 1);
}

#[test]
fn an_interrupted_apply_still_owes_the_restart() {
    let desired = service("new");
    let states = [
        (format!("file:{UNIT_FILE}"), found_file("new", "0644")),
        ("unit:a.service".to_owned(), found_unit("enabled", "active")),
    ];
    let states: Vec<_> = states.iter().map(|(id, state)| (id.as_str(), state.clone())).collect();
    // The file was written and journaled; the unit was still started with the old one.
    let mut observed_older = observed(states.clone());
    let mut left = receipt(&service("new"), vec![]);
    let unit_id: ResourceId = "unit:a.service".parse().unwrap();
    left.entries.get_mut(&unit_id).unwrap().trigger = Some(Digest::of(b"older"));
    observed_older.receipt = Fact::Known(Some(left));
    let older = plan(&desired, &observed_older, &by());
    assert_eq!(change(&older, "unit:a.service").reasons, [Reason::StartedWithOlder]);
    // A heal of a change by hand: the digest is the same, and only the pending list knows.
    let mut observed_pending = observed(states);
    let mut left = receipt(&service("new"), vec![]);
    left.pending.insert(unit_id);
    observed_pending.receipt = Fact::Known(Some(left));
    let pending = plan(&desired, &observed_pending, &by());
    assert_eq!(change(&pending, "unit:a.service").reasons, [Reason::Unfinished]);
}

#[test]
fn who_moved_is_told_apart() {
    let old = desired(vec![(file("/etc/x", "old", "0644"), vec![])]);
    let new = desired(vec![(file("/etc/x", "new", "0644"), vec![])]);
    for (declared, found, moved) in [
        (&old, "by hand", Moved::Host),
        (&new, "old", Moved::Configuration),
        (&new, "by hand", Moved::Both),
    ] {
        let mut observed = observed(vec![("file:/etc/x", found_file(found, "0644"))]);
        observed.receipt = Fact::Known(Some(receipt(&old, vec![])));
        assert_eq!(
            change(&plan(declared, &observed, &by()), "file:/etc/x").moved,
            moved,
            "{found}"
        );
        observed.receipt = Fact::Known(None);
        assert_eq!(
            change(&plan(declared, &observed, &by()), "file:/etc/x").moved,
            Moved::New,
            "{found}"
        );
    }
}

#[test]
fn what_was_there_before_comes_back_and_what_we_made_goes() {
    let none = desired(vec![]);
    let had = desired(vec![(file("/etc/x", "ours", "0644"), vec![])]);
    for (original, action) in [
        (Some(State::Path(PathState::Absent)), Action::Remove),
        (Some(found_file("theirs", "0644")), Action::Restore),
        (None, Action::Forget),
    ] {
        let mut observed = observed(vec![("file:/etc/x", found_file("ours", "0644"))]);
        let originals = original.into_iter().map(|state| ("file:/etc/x", state)).collect();
        observed.receipt = Fact::Known(Some(receipt(&had, originals)));
        assert_eq!(change(&plan(&none, &observed, &by()), "file:/etc/x").action, action);
    }
}

#[test]
fn removals_go_in_reverse_and_before_what_is_new() {
    let had = service("x");
    let mut observed = observed(vec![
        (&format!("file:{UNIT_FILE}"), found_file("x", "0644")),
        ("unit:a.service", found_unit("enabled", "active")),
        ("file:/etc/new", State::Path(PathState::Absent)),
    ]);
    let originals = vec![
        ("unit:a.service", not_found()),
        ("file:/etc/systemd/system/a.service", State::Path(PathState::Absent)),
    ];
    observed.receipt = Fact::Known(Some(receipt(&had, originals)));
    let plan = plan(&desired(vec![(file("/etc/new", "", "0644"), vec![])]), &observed, &by());
    let ops: Vec<_> = plan.steps.iter().map(|step| &step.op).collect();
    assert!(
        matches!(ops[0], Op::AtBoot { enable, disable } if enable.is_empty() && disable.len() == 1),
        "{ops:#?}"
    );
    assert!(
        matches!(
            ops[1],
            Op::Unit {
                verb: UnitVerb::Stop,
                ..
            }
        ),
        "{ops:#?}"
    );
    assert!(matches!(ops[2], Op::RemovePath { .. }), "{ops:#?}");
    assert!(matches!(ops[3], Op::WriteFile(_)), "{ops:#?}");
    assert!(matches!(ops[4], Op::DaemonReload), "{ops:#?}");
}

#[test]
fn a_path_that_changes_its_kind_is_freed_first() {
    let had = desired(vec![(file("/srv/x", "ours", "0644"), vec![])]);
    let link = Spec::Symlink(SymlinkSpec {
        path: path("/srv/x"),
        target: "/srv/y".into(),
    });
    let mut observed = observed(vec![
        ("file:/srv/x", found_file("ours", "0644")),
        ("symlink:/srv/x", found_file("ours", "0644")),
    ]);
    observed.receipt = Fact::Known(Some(receipt(&had, vec![("file:/srv/x", found_file("theirs", "0600"))])));
    let plan = plan(&desired(vec![(link, vec![])]), &observed, &by());
    assert!(plan.blockers.is_empty(), "{:?}", plan.blockers);
    assert!(matches!(plan.steps[0].op, Op::RemovePath { .. }));
    assert!(matches!(plan.steps[1].op, Op::MakeSymlink(_)));
}

#[test]
fn what_stands_in_for_another_kind_gives_way_to_what_was_there() {
    let link = Spec::Symlink(SymlinkSpec {
        path: path("/srv/x"),
        target: "/srv/y".into(),
    });
    let had = desired(vec![(link, vec![])]);
    let found = |state: State| {
        let mut observed = observed(vec![("symlink:/srv/x", state)]);
        observed.receipt = Fact::Known(Some(receipt(
            &had,
            vec![("symlink:/srv/x", found_file("theirs", "0600"))],
        )));
        plan(&desired(vec![]), &observed, &by())
    };
    let there = found(State::Path(PathState::Symlink {
        target: "/srv/y".into(),
    }));
    let ops: Vec<_> = there.steps.iter().map(|step| (&step.op, step.covers.len())).collect();
    assert!(
        matches!(
            ops[..],
            [
                (
                    Op::RemovePath {
                        what: PathKind::Symlink,
                        ..
                    },
                    0
                ),
                (Op::RestoreFile { .. }, 1)
            ]
        ),
        "{ops:#?}"
    );
    // A run that died between the two left nothing there.
    let between = found(State::Path(PathState::Absent));
    assert!(
        matches!(between.steps[0].op, Op::RestoreFile { .. }),
        "{:#?}",
        between.steps
    );
    // Something else lies there now, which is nobody's to replace.
    let other = found(found_file("somebody's", "0644"));
    assert_eq!(change(&other, "symlink:/srv/x").action, Action::Forget);
}

#[test]
fn what_is_in_the_way_is_named_and_nothing_is_planned_for_it() {
    let want = desired(vec![(file("/etc/x", "x", "0644"), vec![])]);
    let root = || Owner {
        id: 0,
        name: Some("root".into()),
    };
    for state in [
        PathState::Directory {
            owner: root(),
            group: root(),
            mode: "0755".parse().unwrap(),
        },
        PathState::Symlink { target: "/y".into() },
        PathState::Other {
            what: "a socket".into(),
        },
    ] {
        let plan = plan(&want, &observed(vec![("file:/etc/x", State::Path(state))]), &by());
        assert!(plan.steps.is_empty() && !plan.blockers[0].unknown, "{plan:#?}");
    }
}

#[test]
fn packages_go_together_unless_something_stands_between_them() {
    let package = |name: &str| {
        Spec::Package(PackageSpec {
            name: name.into(),
            want: PackageWant::Present,
            recommends: true,
        })
    };
    let absent = || State::Package(PackageState::Absent);
    let want = desired(vec![
        (package("aa"), vec![]),
        (package("bb"), vec![]),
        (
            package("cc"),
            vec![on("file:/etc/apt/sources.list.d/c.list", DependencyReason::After)],
        ),
        (file("/etc/apt/sources.list.d/c.list", "x", "0644"), vec![]),
    ]);
    let observed = observed(vec![
        ("package:aa", absent()),
        ("package:bb", absent()),
        ("package:cc", absent()),
        ("file:/etc/apt/sources.list.d/c.list", State::Path(PathState::Absent)),
    ]);
    let plan = plan(&want, &observed, &by());
    let installs: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::Packages { install, .. } => Some(install.keys().cloned().collect::<Vec<_>>()),
            _ => None,
        })
        .collect();
    assert_eq!(
        installs,
        [vec!["aa".to_owned(), "bb".to_owned()], vec!["cc".to_owned()]]
    );
}

#[test]
fn a_user_leaves_only_the_groups_that_we_put_it_in() {
    let user = |groups: &[&str]| {
        Spec::User(UserSpec {
            name: "bot".into(),
            uid: None,
            group: None,
            groups: groups.iter().map(ToString::to_string).collect(),
            home: None,
            create_home: false,
            shell: None,
            comment: None,
            system: true,
        })
    };
    let found = |groups: &[&str]| {
        State::User(UserState::Present {
            uid: 1000,
            group: Owner {
                id: 1000,
                name: Some("bot".into()),
            },
            groups: groups.iter().map(|name| HostText::from(*name)).collect(),
            home: "/".into(),
            shell: "/bin/sh".into(),
            comment: "".into(),
        })
    };
    let had = desired(vec![(user(&["adm", "docker", "video"]), vec![])]);
    let mut observed = observed(vec![("user:bot", found(&["adm", "docker", "video", "foreign"]))]);
    observed.receipt = Fact::Known(Some(receipt(&had, vec![("user:bot", found(&["adm", "foreign"]))])));
    let plan = plan(&desired(vec![(user(&["video"]), vec![])]), &observed, &by());
    let Op::ModifyUser { leave, .. } = &plan.steps[0].op else {
        panic!("{plan:#?}")
    };
    assert_eq!(leave, &["docker".to_owned()].into());
}

fn tcp_probe() -> Spec {
    Spec::Probe(ProbeSpec {
        name: "up".into(),
        check: Check::Tcp {
            address: "127.0.0.1:1".into(),
        },
        timeout: Millis::seconds(1),
        interval: Millis::seconds(1),
        threshold: 1,
    })
}

#[test]
fn a_probe_waits_until_started_units_have_settled() {
    let mut want = service("x");
    want.resources.extend(desired(vec![(tcp_probe(), vec![])]).resources);
    let failing = ProbeState {
        passing: false,
        detail: "refused".into(),
    };
    let observed = observed(vec![
        (&format!("file:{UNIT_FILE}"), State::Path(PathState::Absent)),
        ("unit:a.service", not_found()),
        ("probe:up", State::Probe(failing)),
    ]);
    let plan = plan(&want, &observed, &by());
    let [.., settle, probe] = plan.steps.as_slice() else {
        panic!("{plan:#?}")
    };
    assert!(
        matches!((&settle.op, &probe.op), (Op::Settle(_), Op::Probe(_))),
        "{plan:#?}"
    );
    assert!(
        settle.covers.contains(&"unit:a.service".parse().unwrap()),
        "a unit is done once it has settled"
    );
}

#[test]
fn systemd_reads_its_files_once_for_all_units() {
    let mut want = service("new");
    want.resources
        .extend(desired(vec![(unit("b.service"), vec![])]).resources);
    let stale = State::Unit(UnitState {
        load: "loaded".into(),
        enabled: "enabled".into(),
        active: "inactive".into(),
        needs_reload: true,
    });
    let observed = observed(vec![
        (&format!("file:{UNIT_FILE}"), found_file("old", "0644")),
        ("unit:a.service", found_unit("enabled", "active")),
        ("unit:b.service", stale),
    ]);
    let plan = plan(&want, &observed, &by());
    let reads = plan.steps.iter().filter(|step| step.op == Op::DaemonReload).count();
    assert_eq!(reads, 1, "{:#?}", plan.steps);
}

#[test]
fn each_manager_reads_its_own_files_once_and_before_it_is_told_anything() {
    let at = |user: &str| format!("/home/{user}/.config/systemd/user/a.service");
    let of = |user: &str, text: &str| {
        let uses = vec![on(&format!("file:{}", at(user)), DependencyReason::Uses)];
        let Spec::Unit(mut unit) = unit(&format!("{user}/a.service")) else {
            unreachable!()
        };
        // Enabling it would make its manager read as well.
        unit.enabled = None;
        [(file(&at(user), text, "0644"), vec![]), (Spec::Unit(unit), uses)]
    };
    let both = |text: &str| desired(of("ann", text).into_iter().chain(of("bob", "old")).collect());
    let mut observed = observed(vec![
        (&format!("file:{}", at("ann")), found_file("old", "0644")),
        (&format!("file:{}", at("bob")), found_file("old", "0644")),
        ("unit:ann/a.service", found_unit("enabled", "active")),
        ("unit:bob/a.service", found_unit("enabled", "active")),
    ]);
    let reload = |user: &str| Op::ReloadOfUser { user: user.to_owned() };
    observed.receipt = Fact::Known(Some(receipt(&both("old"), vec![])));
    let new = plan(&both("new"), &observed, &by());
    let names: Vec<_> = new.steps.iter().map(|step| format!("{:?}", step.op)).collect();
    let order = ["WriteFile", "ReloadOfUser { user: \"ann\" }", "Unit", "Settle"];
    assert_eq!(names.len(), order.len(), "{names:#?}");
    assert!(
        names.iter().zip(order).all(|(name, start)| name.starts_with(start)),
        "{names:#?}"
    );

    // It leaves with its file: the manager reads its files once more, when the file is gone.
    let gone = desired(of("bob", "old").into());
    let originals = vec![("unit:ann/a.service", not_found())];
    let file_id = format!("file:{}", at("ann"));
    let originals = originals
        .into_iter()
        .chain([(file_id.as_str(), State::Path(PathState::Absent))])
        .collect();
    observed.receipt = Fact::Known(Some(receipt(&both("old"), originals)));
    let removal = plan(&gone, &observed, &by());
    assert_eq!(removal.steps.last().map(|step| &step.op), Some(&reload("ann")));
    let reads = removal
        .steps
        .iter()
        .filter(|step| matches!(step.op, Op::ReloadOfUser { .. } | Op::DaemonReload));
    assert_eq!(reads.count(), 1, "{:#?}", removal.steps);
}

#[test]
fn a_package_that_was_there_before_stays() {
    let package = || {
        Spec::Package(PackageSpec {
            name: "curl".into(),
            want: PackageWant::Present,
            recommends: true,
        })
    };
    let installed = |version: &str| {
        State::Package(PackageState::Installed {
            version: version.into(),
        })
    };
    let had = desired(vec![(package(), vec![])]);
    for (original, action) in [
        (installed("1"), Action::Forget),
        (State::Package(PackageState::Absent), Action::Remove),
    ] {
        let mut observed = observed(vec![("package:curl", installed("2"))]);
        observed.receipt = Fact::Known(Some(receipt(&had, vec![("package:curl", original)])));
        let plan = plan(&desired(vec![]), &observed, &by());
        assert_eq!(change(&plan, "package:curl").action, action);
    }
}

#[test]
fn a_package_that_was_declared_absent_comes_back() {
    let spec = Spec::Package(PackageSpec {
        name: "nano".into(),
        want: PackageWant::Absent,
        recommends: true,
    });
    let had = desired(vec![(spec, vec![])]);
    let installed = State::Package(PackageState::Installed { version: "1".into() });
    let absent = State::Package(PackageState::Absent);
    for (original, now, action) in [
        (installed.clone(), absent.clone(), Action::Restore),
        (absent.clone(), absent, Action::Forget),
        (installed.clone(), installed, Action::Forget),
    ] {
        let mut observed = observed(vec![("package:nano", now)]);
        observed.receipt = Fact::Known(Some(receipt(&had, vec![("package:nano", original)])));
        let plan = plan(&desired(vec![]), &observed, &by());
        assert_eq!(change(&plan, "package:nano").action, action);
        let installs = plan
            .steps
            .iter()
            .any(|step| matches!(&step.op, Op::Packages { install, .. } if install.contains_key("nano")));
        assert_eq!(installs, action == Action::Restore);
    }
}

#[test]
fn what_cannot_be_done_to_a_unit_is_said_before_anything_is() {
    let state = |load: &str, enabled: &str| {
        State::Unit(UnitState {
            load: load.into(),
            enabled: enabled.into(),
            active: "inactive".into(),
            needs_reload: false,
        })
    };
    for (found, word) in [
        (state("not-found", ""), "knows no unit"),
        (state("masked", "masked"), "masked"),
        (state("loaded", "static"), "[Install]"),
    ] {
        let plan = plan(
            &desired(vec![(unit("b.service"), vec![])]),
            &observed(vec![("unit:b.service", found)]),
            &by(),
        );
        let problem = &plan.blockers[0].problem;
        assert!(plan.steps.is_empty() && problem.untrusted().contains(word), "{plan:#?}");
    }
}

#[test]
fn what_the_kernel_writes_with_tabs_is_what_people_write_with_blanks() {
    let spec = Spec::Sysctl(SysctlSpec {
        key: "net.ipv4.ip_local_port_range".into(),
        value: "1024 65000".into(),
    });
    let live = State::Sysctl(SysctlState::Live("1024\t65000".into()));
    let plan = plan(
        &desired(vec![(spec, vec![])]),
        &observed(vec![("sysctl:net.ipv4.ip_local_port_range", live)]),
        &by(),
    );
    assert!(plan.is_empty(), "{plan:#?}");
}

#[test]
fn what_would_be_given_to_somebody_who_is_not_there_is_in_the_way_before_anything_is_done() {
    let Spec::File(of) = file("/etc/a", "a", "0600") else {
        unreachable!()
    };
    let given = Spec::File(FileSpec {
        owner: "bto".into(),
        ..of
    });
    let directory = Spec::Directory(DirectorySpec {
        path: path("/srv/a"),
        owner: "root".into(),
        group: "bots".into(),
        mode: "0755".parse().unwrap(),
    });
    let wanted = desired(vec![
        (given, vec![]),
        (directory, vec![]),
        (file("/etc/b", "b", "0644"), vec![]),
    ]);
    let asked: Vec<_> = super::accounts(&wanted).keys().map(ToString::to_string).collect();
    assert_eq!(asked, ["group:bots", "user:bto"]);
    let gone = || State::Path(PathState::Absent);
    let observed = observed(vec![
        ("file:/etc/a", gone()),
        ("file:/etc/b", gone()),
        ("directory:/srv/a", gone()),
        ("user:bto", State::User(UserState::Absent)),
        ("group:bots", State::Group(GroupState::Absent)),
    ]);
    let plan = plan(&wanted, &observed, &by());
    let told: Vec<_> = plan
        .blockers
        .iter()
        .map(|blocker| format!("{}: {}", blocker.id, blocker.problem.untrusted()))
        .collect();
    assert_eq!(
        told,
        [
            "directory:/srv/a: it is for the group `bots`, which the host does not have",
            "file:/etc/a: it is for the user `bto`, which the host does not have"
        ]
    );
    assert_eq!(
        plan.changes
            .iter()
            .map(|change| change.id.to_string())
            .collect::<Vec<_>>(),
        ["file:/etc/b"]
    );
}

#[test]
fn a_seed_is_made_once_and_what_became_of_it_stays() {
    let Spec::File(seed) = file("/etc/a", "first\n", "0644") else {
        unreachable!()
    };
    let seed = Spec::File(FileSpec { seed: true, ..seed });
    let uses = on("file:/etc/a", DependencyReason::Uses);
    let wanted = desired(vec![(seed.clone(), vec![]), (unit("u.service"), vec![uses])]);
    let up = found_unit("enabled", "active");
    let theirs = found_file("theirs\n", "0600");
    let mut host = observed(vec![("file:/etc/a", theirs.clone()), ("unit:u.service", up)]);
    // It was made by an older configuration with other words in it; nothing follows from that.
    let older = desired(vec![
        (
            match file("/etc/a", "older\n", "0644") {
                Spec::File(file) => Spec::File(FileSpec { seed: true, ..file }),
                other => other,
            },
            vec![],
        ),
        (unit("u.service"), vec![on("file:/etc/a", DependencyReason::Uses)]),
    ]);
    let absent = State::Path(PathState::Absent);
    host.receipt = Fact::Known(Some(receipt(&older, vec![("file:/etc/a", absent)])));
    let found = plan(&wanted, &host, &by());
    assert!(found.is_empty(), "{found:#?}");
    // It leaves the configuration: changed by somebody, it stays; as it was made, it goes.
    for (state, action, reason) in [
        (theirs, Action::Forget, Some(&Reason::ChangedSince)),
        (found_file("older\n", "0644"), Action::Remove, None),
    ] {
        host.resources
            .insert("file:/etc/a".parse().unwrap(), Fact::Known(state));
        let gone = plan(&desired(vec![]), &host, &by());
        let change = gone.changes.iter().find(|change| change.id.kind == Kind::File).unwrap();
        assert_eq!((change.action, change.reasons.get(1)), (action, reason));
    }
}

#[test]
fn a_package_on_hold_is_freed_for_as_long_as_it_changes() {
    let package = |want| {
        Spec::Package(PackageSpec {
            name: "tiny".into(),
            want,
            recommends: true,
        })
    };
    let hold = SwitchSpec {
        switch: Switch::Hold,
        name: "tiny".into(),
        on: true,
    };
    let installed = State::Package(PackageState::Installed { version: "1".into() });
    let held = |on| State::Switch(SwitchState { on });
    let ops = |want, on| {
        let wanted = desired(vec![
            (package(want), vec![]),
            (Spec::Switch(hold.clone()), vec![on_package()]),
        ]);
        let host = observed(vec![("package:tiny", installed.clone()), ("hold:tiny", held(on))]);
        let steps = plan(&wanted, &host, &by()).steps;
        let words = steps.into_iter().map(|step| match step.op {
            Op::Turn(turn) if turn.on => "hold",
            Op::Turn(_) => "free",
            Op::Packages { .. } => "change",
            other => panic!("{other:?}"),
        });
        words.collect::<Vec<_>>()
    };
    let newer = PackageWant::Version("2".into());
    assert_eq!(ops(newer.clone(), true), ["free", "change", "hold"]);
    assert_eq!(ops(newer, false), ["change", "hold"]);
    assert!(ops(PackageWant::Present, true).is_empty());
}

fn on_package() -> Dependency {
    on("package:tiny", DependencyReason::After)
}

#[test]
fn a_block_that_cannot_be_told_from_the_rest_is_in_the_way_and_one_that_was_there_stays() {
    let spec = block("/etc/hosts", "a\n");
    let wanted = desired(vec![(Spec::Block(spec.clone()), vec![])]);
    let broken = BlockState::Broken {
        problem: "only one of the block's two markers is there".into(),
    };
    let found = plan(
        &wanted,
        &observed(vec![("block:/etc/hosts#ours", State::Block(broken))]),
        &by(),
    );
    assert!(found.blockers[0].fix.contains("begin provision ours"), "{found:#?}");
    let mut host = observed(vec![("block:/etc/hosts#ours", State::Block(found_block(Some("a\n"))))]);
    for (original, action) in [
        (found_block(Some("old\n")), Action::Forget),
        (found_block(None), Action::Remove),
        (BlockState::NoFile, Action::Remove),
    ] {
        host.receipt = Fact::Known(Some(receipt(
            &wanted,
            vec![("block:/etc/hosts#ours", State::Block(original))],
        )));
        let gone = plan(&desired(vec![]), &host, &by());
        assert_eq!(gone.changes[0].action, action);
    }
}

#[test]
fn sensitive_text_is_in_no_plan_and_what_touches_the_way_in_is_marked() {
    let Spec::File(mut spec) = file("/etc/ssh/sshd_config", "hunter2", "0600") else {
        unreachable!()
    };
    spec.sensitive = true;
    let mut want = desired(vec![
        (Spec::File(spec), vec![]),
        (file("/etc/motd", "hello", "0644"), vec![]),
    ]);
    for text in ["hunter2", "hello"] {
        want.blobs
            .insert(Digest::of(text.as_bytes()), Blob::from(text.as_bytes().to_vec()));
    }
    let observed = observed(vec![
        ("file:/etc/ssh/sshd_config", found_file("old", "0600")),
        ("file:/etc/motd", found_file("old", "0644")),
    ]);
    let plan = plan(&want, &observed, &by());
    let (sshd, motd) = (
        change(&plan, "file:/etc/ssh/sshd_config"),
        change(&plan, "file:/etc/motd"),
    );
    assert_eq!(sshd.text, Some(TextChange::Hidden("sensitive".into())));
    assert!(matches!(&motd.text, Some(TextChange::Text { after, .. }) if after == "hello"));
    assert_eq!((sshd.access, motd.access), (true, false));
}

/// One resource of each kind with a choice of declared and found states.
fn any_resource(number: usize) -> impl Strategy<Value = (Spec, Option<Fact<State>>, bool)> {
    let at = format!("/srv/{number}");
    let root = || Owner {
        id: 0,
        name: Some("root".into()),
    };
    let modes = prop_oneof![Just("0644"), Just("0600"), Just("0755")];
    let found_path = {
        prop_oneof![
            Just(State::Path(PathState::Absent)),
            ("[ab]", modes.clone()).prop_map(|(text, mode)| found_file(&text, mode)),
            modes.clone().prop_map(move |mode| State::Path(PathState::Directory {
                owner: root(),
                group: root(),
                mode: mode.parse().unwrap()
            })),
            Just(State::Path(PathState::Symlink { target: "/x".into() })),
        ]
    };
    let path_kind = prop_oneof![
        ("[ab]", modes.clone(), any::<bool>()).prop_map({
            let at = at.clone();
            move |(text, mode, seed)| match file(&at, &text, mode) {
                Spec::File(file) => Spec::File(FileSpec { seed, ..file }),
                other => other,
            }
        }),
        modes.prop_map({
            let at = at.clone();
            move |mode| {
                Spec::Directory(DirectorySpec {
                    path: path(&at),
                    owner: "root".into(),
                    group: "root".into(),
                    mode: mode.parse().unwrap(),
                })
            }
        }),
        "/[xy]".prop_map(move |target| Spec::Symlink(SymlinkSpec {
            path: path(&at),
            target
        })),
    ];
    let package = (
        prop_oneof![
            Just(PackageWant::Present),
            Just(PackageWant::Absent),
            Just(PackageWant::Version("2".into()))
        ],
        prop_oneof![
            Just(PackageState::Absent),
            Just(PackageState::Installed { version: "1".into() }),
            Just(PackageState::Broken {
                status: "half-configured".into()
            })
        ],
    )
        .prop_map(move |(want, state)| {
            (
                Spec::Package(PackageSpec {
                    name: format!("p{number}"),
                    want,
                    recommends: number.is_multiple_of(2),
                }),
                State::Package(state),
            )
        });
    let sysctl = ("[12]", "[12]").prop_map(move |(value, live)| {
        let spec = SysctlSpec {
            key: format!("vm.k{number}"),
            value,
        };
        (
            Spec::Sysctl(spec),
            State::Sysctl(SysctlState::Live(HostText::new(live))),
        )
    });
    let group = (any::<Option<bool>>(), any::<Option<bool>>()).prop_map(move |(want, have)| {
        let spec = GroupSpec {
            name: format!("g{number}"),
            gid: want.map(u32::from),
            system: false,
        };
        let state = have.map_or(GroupState::Absent, |gid| GroupState::Present { gid: u32::from(gid) });
        (Spec::Group(spec), State::Group(state))
    });
    let units = (
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        any::<(bool, bool, bool)>(),
    )
        .prop_map(move |(enabled, active, (is_enabled, is_active, needs_reload))| {
            let user = if number.is_multiple_of(2) { "" } else { "bot/" };
            let Spec::Unit(mut spec) = unit(&format!("{user}u{number}.service")) else {
                unreachable!()
            };
            (spec.enabled, spec.active) = (enabled, active);
            let State::Unit(mut state) = found_unit(
                if is_enabled { "enabled" } else { "disabled" },
                if is_active { "active" } else { "failed" },
            ) else {
                unreachable!()
            };
            state.needs_reload = needs_reload;
            (Spec::Unit(spec), State::Unit(state))
        });
    let command = any::<bool>().prop_map(move |satisfied| {
        let spec = CommandSpec {
            name: format!("c{number}"),
            run: vec!["true".into()],
            guard: Guard::Creates(path("/x")),
            user: None,
            cwd: None,
            env: BTreeMap::new(),
            timeout: Millis::seconds(1),
        };
        (
            Spec::Command(spec),
            State::Command(CommandState {
                satisfied,
                detail: "".into(),
            }),
        )
    });
    let probe = any::<bool>().prop_map(move |passing| {
        let spec = ProbeSpec {
            name: format!("q{number}"),
            check: Check::Tcp {
                address: "127.0.0.1:1".into(),
            },
            timeout: Millis::seconds(1),
            interval: Millis::seconds(1),
            threshold: 1,
        };
        (
            Spec::Probe(spec),
            State::Probe(ProbeState {
                passing,
                detail: "".into(),
            }),
        )
    });
    let block = (
        "[ab]\n",
        any::<Option<bool>>(),
        prop_oneof![Just(None), "[ab]\n".prop_map(Some), Just(Some("{".into()))],
    )
        .prop_map(move |(text, mode, found)| {
            let spec = BlockSpec {
                mode: mode.map(|all| Mode::from_bits(if all { 0o644 } else { 0o600 })),
                ..block(&format!("/b{number}"), &text)
            };
            let state = match found.as_deref() {
                None => BlockState::NoFile,
                Some("{") => found_block(None),
                Some(text) => found_block(Some(text)),
            };
            (Spec::Block(spec), State::Block(state))
        });
    let switch = any::<(bool, bool, u8)>().prop_map(move |(on, is_on, which)| {
        let spec = SwitchSpec {
            switch: [Switch::Hold, Switch::Linger, Switch::KernelModule][usize::from(which % 3)],
            name: format!("s{number}"),
            on,
        };
        (Spec::Switch(spec), State::Switch(SwitchState { on: is_on }))
    });
    let tree = (any::<bool>(), 0..4u8).prop_map(move |(strip, found)| {
        let spec = |strip: bool| TreeSpec {
            path: path(&format!("/t{number}")),
            source: Source::Archive {
                url: "https://example.org/a.tar".into(),
                sha256: Digest::of(b""),
                strip: strip.into(),
            },
        };
        let version = |spec: TreeSpec, intact| TreeState::Version {
            directory: HostText::new(spec.directory()),
            intact,
        };
        let state = match found {
            0 => TreeState::Absent,
            1 => version(spec(strip), true),
            2 => version(spec(strip), false),
            _ => version(spec(!strip), true),
        };
        (Spec::Tree(spec(strip)), State::Tree(state))
    });
    let git = (any::<bool>(), any::<bool>(), 0..7u8).prop_map(move |(mirror, pinned, found)| {
        let spec = git::spec(&format!("/g{number}"), mirror, pinned);
        let state = git::state(&spec, found);
        (Spec::Git(spec), State::Git(state))
    });
    let firewall = (any::<bool>(), 0..5u8).prop_map(move |(wide, found)| {
        let spec = |wide: bool| FirewallSpec::of(if wide { "a\n" } else { "b\n" }.to_owned());
        let table = |spec: FirewallSpec, as_wanted| FirewallState::Table {
            comment: spec.comment.map(HostText::new),
            rules: HostText::new(spec.rules),
            as_wanted,
        };
        let state = match found {
            0 => FirewallState::NoTool,
            1 => FirewallState::Absent,
            2 => table(spec(wide), true),
            3 => table(spec(wide), false),
            _ => table(spec(!wide), false),
        };
        (Spec::Firewall(spec(wide)), State::Firewall(state))
    });
    let swapfile = (1..3u64, 0..3u8, 0..7u8, 0..4u8).prop_map(move |(size, priority, found, used)| {
        let spec = SwapfileSpec {
            priority: (priority > 0).then_some(u16::from(priority)),
            ..swapfiles::spec(&format!("/swap{number}"), size)
        };
        let state = match found {
            0 => SwapfileState::Absent { room: None },
            1 => SwapfileState::Absent {
                room: Some(swapfiles::room(u64::from(used))),
            },
            2 => SwapfileState::Other {
                what: "a directory".to_owned(),
            },
            3 => SwapfileState::File(SwapfileFound {
                formatted: None,
                ..swapfiles::found(size, None)
            }),
            4 => SwapfileState::File(swapfiles::found(size, None)),
            5 => SwapfileState::File(swapfiles::found(3 - size, Some((-2, u64::from(used))))),
            _ => SwapfileState::File(swapfiles::found(size, Some((i32::from(used), 0)))),
        };
        (Spec::Swapfile(spec), State::Swapfile(state))
    });
    let secret = (0..3u8, any::<bool>(), 0..4u8).prop_map(move |(wanted, sealed, found)| {
        let spec = SecretSpec {
            required: wanted > 0,
            after_reboot: if sealed { AfterReboot::Sealed } else { AfterReboot::Push },
            ..secrets::secret(
                &format!("s{number}"),
                match wanted {
                    0 => Fact::Known(None),
                    wanted => secrets::version(&format!("v{wanted}")),
                },
            )
        };
        let state = match found {
            0 => SecretState::Absent { nothing_mounted: false },
            1 => SecretState::Absent { nothing_mounted: true },
            2 => secrets::delivered("v1", true),
            _ => secrets::delivered("v1", false),
        };
        (Spec::Secret(spec), State::Secret(state))
    });
    let answer = (any::<(bool, bool)>(), 0..5u8).prop_map(move |((reconfigure, installed), found)| {
        let spec = debconf::question(&format!("q{number}/x"), "a", reconfigure);
        let known = |value: Option<&str>, seen| DebconfAnswer::Known {
            value: value.map(HostText::from),
            seen,
        };
        let state = match found {
            0 => DebconfAnswer::None,
            1 => known(Some("a"), true),
            2 => known(Some("a"), false),
            3 => known(Some("b"), true),
            _ => known(None, false),
        };
        (Spec::Debconf(spec), debconf::answered(state, installed))
    });
    let pair = prop_oneof![
        answer.boxed(),
        secret.boxed(),
        firewall.boxed(),
        git.boxed(),
        swapfile.boxed(),
        tree.boxed(),
        switch.boxed(),
        block.boxed(),
        (path_kind, found_path).boxed(),
        package.boxed(),
        sysctl.boxed(),
        group.boxed(),
        units.boxed(),
        command.boxed(),
        probe.boxed(),
    ];
    // Unknown now and then; declared or only in the receipt.
    (pair, 0..8u8, any::<bool>()).prop_map(|((spec, state), luck, declared)| {
        let fact = if luck == 0 {
            Fact::unknown("permission denied")
        } else {
            Fact::Known(state)
        };
        (spec, Some(fact), declared || luck > 4)
    })
}

type World = Vec<(Spec, Option<Fact<State>>, bool)>;

fn world() -> impl Strategy<Value = World> {
    (0usize..8).prop_flat_map(|count| (0..count).map(any_resource).collect::<Vec<_>>())
}

fn build(world: &World) -> (Desired, Observed) {
    let mut before = None;
    let declared = desired(
        world
            .iter()
            .filter(|(_, _, declared)| *declared)
            .map(|(spec, _, _)| {
                // Each unit uses the resource before it, where that is a file.
                let depends = match (&before, spec) {
                    (Some(on), Spec::Unit(_)) => vec![Dependency {
                        on: ResourceId::clone(on),
                        reason: DependencyReason::Uses,
                    }],
                    _ => vec![],
                };
                before = matches!(spec, Spec::File(_)).then(|| spec.id());
                (spec.clone(), depends)
            })
            .collect(),
    );
    let mut observed = observed(vec![]);
    observed.resources = world
        .iter()
        .filter_map(|(spec, fact, _)| Some((spec.id(), fact.clone()?)))
        .collect();
    let left: Vec<_> = world
        .iter()
        .filter(|(_, _, declared)| !declared)
        .map(|(spec, _, _)| (spec.clone(), vec![]))
        .collect();
    if !left.is_empty() {
        let had = desired(left);
        let originals: Vec<_> = had
            .resources
            .keys()
            .enumerate()
            .filter(|(number, _)| number % 2 == 0)
            .map(|(_, id)| (id.to_string(), absent(id.kind)))
            .collect();
        let originals = originals
            .iter()
            .filter_map(|(id, state)| Some((id.as_str(), state.clone()?)))
            .collect();
        observed.receipt = Fact::Known(Some(receipt(&had, originals)));
    }
    (declared, observed)
}

fn absent(kind: Kind) -> Option<State> {
    match kind {
        Kind::Group => Some(State::Group(GroupState::Absent)),
        Kind::User => Some(State::User(UserState::Absent)),
        Kind::Debconf => Some(debconf::answered(DebconfAnswer::None, false)),
        Kind::Package => Some(State::Package(PackageState::Absent)),
        Kind::Directory | Kind::File | Kind::Symlink => Some(State::Path(PathState::Absent)),
        Kind::Block => Some(State::Block(BlockState::NoFile)),
        Kind::Swapfile => Some(State::Swapfile(SwapfileState::Absent { room: None })),
        Kind::Archive | Kind::Npm => Some(State::Tree(TreeState::Absent)),
        Kind::Git => Some(State::Git(crate::model::GitState::Absent { git: true })),
        Kind::Hold | Kind::Linger | Kind::KernelModule => Some(State::Switch(SwitchState { on: false })),
        Kind::Sysctl => Some(State::Sysctl(SysctlState::Live("9".into()))),
        Kind::Firewall => Some(State::Firewall(FirewallState::Absent)),
        Kind::Unit => Some(not_found()),
        Kind::Secret => Some(State::Secret(SecretState::Absent { nothing_mounted: true })),
        Kind::Command | Kind::Probe => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn doing_what_a_plan_says_leaves_nothing_to_plan(world in world()) {
        let (desired, observed) = build(&world);
        let first = plan(&desired, &observed, &by());
        if !first.blockers.is_empty() {
            // Such a plan is never applied.
            return Ok(());
        }
        let second = plan(&desired, &simulate(&first, &observed), &by());
        prop_assert!(second.is_empty(), "{:#?}\nthen {:#?}", first, second);
    }

    #[test]
    fn an_unknown_is_never_a_change_nor_no_change(world in world()) {
        let (desired, observed) = build(&world);
        let plan = plan(&desired, &observed, &by());
        for (id, fact) in &observed.resources {
            let managed = desired.resources.contains_key(id)
                || observed.receipt.known().and_then(Option::as_ref).is_some_and(|receipt| receipt.entries.contains_key(id));
            let told = plan.changes.iter().any(|change| change.id == *id) || plan.unchanged.iter().any(|same| same.id == *id);
            let blocked = plan.blockers.iter().any(|blocker| blocker.id == *id && blocker.unknown);
            if managed {
                prop_assert_eq!(matches!(fact, Fact::Unknown(_)), blocked, "{}", id);
            }
            prop_assert!(!(blocked && told), "{}", id);
        }
    }

    #[test]
    fn every_change_has_a_reason_and_exactly_one_step(world in world()) {
        let (desired, observed) = build(&world);
        let plan = plan(&desired, &observed, &by());
        for change in &plan.changes {
            prop_assert!(!change.reasons.is_empty());
            let covering = plan.steps.iter().filter(|step| step.covers.contains(&change.id)).count();
            prop_assert_eq!(covering, 1, "{} in {:#?}", change.id, plan.steps);
        }
    }

    #[test]
    fn a_plan_survives_its_json_form(world in world()) {
        let (desired, observed) = build(&world);
        let plan = plan(&desired, &observed, &by());
        let json = serde_json::to_string(&plan).unwrap();
        let back: Plan = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(plan.id(), back.id());
        prop_assert_eq!(plan, back);
    }
}

#[test]
fn a_firewall_is_loaded_anew_for_a_rule_by_hand_and_only_the_one_who_moved_is_named() {
    let (old, new) = (FirewallSpec::of("old\n".into()), FirewallSpec::of("new\n".into()));
    let table = |spec: &FirewallSpec, rules: &str, as_wanted| {
        State::Firewall(FirewallState::Table {
            comment: spec.comment.as_deref().map(HostText::from),
            rules: rules.into(),
            as_wanted,
        })
    };
    let moved = |declared: &FirewallSpec, state: State| {
        let had = desired(vec![(Spec::Firewall(old.clone()), vec![])]);
        let mut observed = observed(vec![("firewall:provision", state)]);
        observed.receipt = Fact::Known(Some(receipt(&had, vec![])));
        let desired = desired(vec![(Spec::Firewall(declared.clone()), vec![])]);
        let plan = plan(&desired, &observed, &by());
        plan.changes.first().map(|change| (change.moved, change.access))
    };
    assert_eq!(moved(&old, table(&old, "old\n", true)), None);
    assert_eq!(moved(&old, table(&old, "by hand\n", false)), Some((Moved::Host, true)));
    assert_eq!(moved(&old, table(&new, "old\n", true)), Some((Moved::Host, true)));
    assert_eq!(
        moved(&old, State::Firewall(FirewallState::Absent)),
        Some((Moved::Host, true))
    );
    assert_eq!(
        moved(&new, table(&old, "old\n", false)),
        Some((Moved::Configuration, true))
    );
    assert_eq!(
        moved(&new, State::Firewall(FirewallState::Absent)),
        Some((Moved::Both, true))
    );
}
