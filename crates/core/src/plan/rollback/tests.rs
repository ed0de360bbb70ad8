//! Whatever two generations declare, going back gives what the host was under the first.

use proptest::prelude::*;

use super::*;
use crate::model::{
    Content, DirectorySpec, FileSpec, GitSpec, GitState, GitUpdate, GroupSpec, HostFacts, Millis, OnChange, OnRemoval,
    Owner, Pins, Source, Standing, Step, SymlinkSpec, SysctlSpec, SysctlState, TreeSpec, TreeState, UnitName, UnitSpec,
    UnitState, UserSpec,
};
use crate::plan::simulate::simulate;

/// What two generations declare of one resource, and what was there before both.
type Life = (Option<Spec>, Option<Spec>, State);

fn path(text: &str) -> AbsPath {
    AbsPath::new(text).unwrap()
}

fn root() -> Owner {
    Owner {
        id: 1,
        name: Some("root".into()),
    }
}

fn file(number: usize, text: &str, mode: &str) -> Spec {
    Spec::File(FileSpec {
        path: path(&format!("/f{number}")),
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
    State::Path(PathState::File {
        content: Content::of(text.as_bytes()),
        owner: root(),
        group: root(),
        mode: mode.parse().unwrap(),
        text: None,
    })
}

/// One resource of a kind that can be put back.
fn life(number: usize) -> BoxedStrategy<Life> {
    let mode = || prop_oneof![Just("0644"), Just("0600")];
    let files = {
        let spec = move || prop::option::of(("[ab]", mode()).prop_map(move |(text, mode)| file(number, &text, mode)));
        let state = prop_oneof![
            Just(State::Path(PathState::Absent)),
            ("[ab]", mode()).prop_map(|(text, mode)| found_file(&text, mode)),
        ];
        (spec(), spec(), state)
    };
    let directories = {
        let at = path(&format!("/d{number}"));
        let spec = |at: AbsPath| {
            prop::option::of(mode().prop_map(move |mode| {
                Spec::Directory(DirectorySpec {
                    path: at.clone(),
                    owner: "root".into(),
                    group: "root".into(),
                    mode: mode.parse().unwrap(),
                })
            }))
        };
        let state = prop::option::of(mode()).prop_map(|mode| {
            State::Path(match mode {
                None => PathState::Absent,
                Some(mode) => PathState::Directory {
                    owner: root(),
                    group: root(),
                    mode: mode.parse().unwrap(),
                },
            })
        });
        (spec(at.clone()), spec(at), state)
    };
    let links = {
        let at = path(&format!("/l{number}"));
        let spec = |path: AbsPath| {
            prop::option::of("/[ab]".prop_map(move |target| {
                let path = path.clone();
                Spec::Symlink(SymlinkSpec { path, target })
            }))
        };
        let state = prop::option::of("/[ab]").prop_map(|target| {
            State::Path(target.map_or(PathState::Absent, |target| PathState::Symlink {
                target: HostText::new(target),
            }))
        });
        (spec(at.clone()), spec(at), state)
    };
    let sysctls = {
        let spec = move || {
            prop::option::of("[12]".prop_map(move |value| {
                let key = format!("vm.k{number}");
                Spec::Sysctl(SysctlSpec { key, value })
            }))
        };
        let live = "[12]".prop_map(|live| State::Sysctl(SysctlState::Live(HostText::new(live))));
        (spec(), spec(), live)
    };
    let groups = {
        let spec = move || {
            prop::option::of(prop::option::of(5..7u32).prop_map(move |gid| {
                Spec::Group(GroupSpec {
                    name: format!("g{number}"),
                    gid,
                    system: false,
                })
            }))
        };
        let state = prop::option::of(5..7u32)
            .prop_map(|gid| State::Group(gid.map_or(GroupState::Absent, |gid| GroupState::Present { gid })));
        (spec(), spec(), state)
    };
    let users = {
        let spec = move || {
            let fields = (
                prop::option::of(5..7u32),
                prop::option::of("/[ab]"),
                prop::option::of("[ab]"),
                prop::collection::btree_set("[xyz]", 0..3),
            );
            prop::option::of(fields.prop_map(move |(uid, shell, comment, groups)| {
                Spec::User(UserSpec {
                    name: format!("u{number}"),
                    uid,
                    group: None,
                    groups,
                    home: None,
                    create_home: false,
                    shell: shell.as_deref().map(path),
                    comment,
                    system: false,
                })
            }))
        };
        let state = prop::option::of((5..7u32, "/[ab]", "[ab]", prop::collection::btree_set("[xyz]", 0..3)));
        let state = state.prop_map(move |found| {
            State::User(
                found.map_or(UserState::Absent, |(uid, shell, comment, groups)| UserState::Present {
                    uid,
                    group: Owner {
                        id: 1,
                        name: Some(HostText::new(format!("u{number}"))),
                    },
                    groups: groups.into_iter().map(HostText::new).collect(),
                    home: "/home".into(),
                    shell: HostText::new(shell),
                    comment: HostText::new(comment),
                }),
            )
        });
        (spec(), spec(), state)
    };
    let units = {
        let spec = move || {
            prop::option::of(
                any::<(Option<bool>, Option<bool>)>().prop_map(move |(enabled, active)| {
                    Spec::Unit(UnitSpec {
                        name: UnitName::new(format!("n{number}.service")).unwrap(),
                        enabled,
                        active,
                        on_change: OnChange::Restart,
                        settle: Millis(0),
                    })
                }),
            )
        };
        let state = any::<(bool, bool)>().prop_map(|(enabled, active)| {
            State::Unit(UnitState {
                load: "loaded".into(),
                enabled: if enabled { "enabled" } else { "disabled" }.into(),
                active: if active { "active" } else { "inactive" }.into(),
                needs_reload: false,
            })
        });
        (spec(), spec(), state)
    };
    prop_oneof![
        files.boxed(),
        directories.boxed(),
        links.boxed(),
        sysctls.boxed(),
        groups.boxed(),
        users.boxed(),
        units.boxed(),
    ]
    .boxed()
}

fn host() -> (HostName, Connection) {
    (HostName::new("a").unwrap(), Connection::Local)
}

fn by() -> Applier {
    Applier {
        who: "ada@desk".into(),
        commit: None,
        version: "0".into(),
        rollback_to: None,
    }
}

fn desired(specs: impl Iterator<Item = Spec>) -> Desired {
    let (host, connection) = host();
    let origin = Origin {
        file: "hosts/a.toml".into(),
        line: 1,
        column: 1,
    };
    let resource = |spec: Spec| Resource {
        spec,
        origin: origin.clone(),
        depends: Vec::new(),
        on_removal: OnRemoval::default(),
    };
    Desired {
        host,
        connection,
        tags: BTreeSet::new(),
        machine: None,
        ports: Vec::new(),
        resources: specs.map(|spec| (spec.id(), resource(spec))).collect(),
        blobs: BTreeMap::new(),
    }
}

/// A host with these states, to which nothing was applied.
fn bare(states: impl Iterator<Item = (ResourceId, State)>) -> Observed {
    let text = HostText::from("x");
    Observed {
        facts: HostFacts {
            machine_id: text.clone(),
            boot_id: text.clone(),
            hostname: text.clone(),
            os: text.clone(),
            os_version: text.clone(),
            arch: text.clone(),
            kernel: text,
        },
        receipt: Fact::Known(None),
        last_run: None,
        lock: None,
        resources: states.map(|(id, state)| (id, Fact::Known(state))).collect(),
    }
}

fn contents() -> BTreeMap<Digest, Blob> {
    ["a", "b"]
        .map(|text| (Digest::of(text.as_bytes()), Blob::from(text.as_bytes().to_vec())))
        .into()
}

/// The generation that a host has, once these changes were made to it.
fn past(host: &Observed, since: &Plan) -> Past {
    let receipt = host.receipt.known().cloned().flatten().unwrap();
    let states = since.changes.iter().filter_map(|change| {
        let state = host.resources.get(&change.id)?.known()?;
        Some((change.id.clone(), state.clone()))
    });
    Past {
        number: receipt.generation,
        receipt: Some(receipt),
        since: states.collect(),
    }
}

/// What of a host's resources going back must restore. A name of an owner is no part of it: ids are.
fn told(host: &Observed) -> BTreeMap<ResourceId, String> {
    let tell = |state: &State| match state {
        State::Path(PathState::File {
            content, owner, mode, ..
        }) => format!("{content:?} {} {mode}", owner.id),
        State::Path(PathState::Directory { owner, mode, .. }) => format!("{} {mode}", owner.id),
        other => format!("{other:?}"),
    };
    let known = host
        .resources
        .iter()
        .filter_map(|(id, fact)| Some((id.clone(), tell(fact.known()?))));
    known.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn going_back_gives_what_was_there(lives in (1usize..6).prop_flat_map(|count| (0..count).map(life).collect::<Vec<_>>())) {
        let specs = |which: fn(&Life) -> &Option<Spec>| desired(lives.iter().filter_map(move |life| which(life).clone()));
        let ids = lives.iter().filter_map(|(one, two, state)| {
            let spec = one.as_ref().or(two.as_ref())?;
            Some((spec.id(), state.clone()))
        });
        let zero = bare(ids);
        let one = simulate(&plan(&specs(|life| &life.0), &zero, &by()), &zero);
        let second = plan(&specs(|life| &life.1), &one, &by());
        let two = simulate(&second, &one);

        let (host, connection) = host();
        let past = past(&one, &second);
        let back = rollback((&host, &connection), &past, &two, &by(), &contents(), &Pins::new());
        prop_assert!(back.plan.blockers.is_empty() && back.wanted.is_empty(), "{:#?}", back.plan.blockers);
        let three = simulate(&back.plan, &two);
        prop_assert_eq!(told(&three), told(&one));
        let again = rollback((&host, &connection), &past, &three, &by(), &contents(), &Pins::new());
        prop_assert!(again.plan.is_empty(), "{:#?}", again.plan.changes);
    }
}

#[test]
fn what_the_host_does_not_keep_stays_as_it_is_and_is_told() {
    let sensitive = |text: &str| {
        let Spec::File(mut spec) = file(1, text, "0600") else {
            unreachable!()
        };
        spec.sensitive = true;
        Spec::File(spec)
    };
    let generation = |one: Spec, text: &str| desired([one, file(2, text, "0644")].into_iter());
    let absent = |number| (file(number, "", "0644").id(), State::Path(PathState::Absent));
    let zero = bare([absent(1), absent(2)].into_iter());
    let one = simulate(&plan(&generation(sensitive("a"), "a"), &zero, &by()), &zero);
    let second = plan(&generation(sensitive("b"), "b"), &one, &by());
    let two = simulate(&second, &one);
    let (host, connection) = host();
    let past = past(&one, &second);

    // Nothing was fetched yet: both contents are asked for.
    let blind = rollback((&host, &connection), &past, &two, &by(), &BTreeMap::new(), &Pins::new());
    assert_eq!(blind.wanted, BTreeSet::from([Digest::of(b"a")]));
    assert_eq!(blind.plan.steps.len(), 0, "{:#?}", blind.plan.steps);
    let kinds: Vec<_> = blind.remains.iter().map(|(_, remains)| remains).collect();
    assert_eq!(kinds, [&Remains::Sensitive, &Remains::NotKept]);
    // It is recorded as it is, and not as it was.
    assert_eq!(blind.plan.by.rollback_to, Some(1));
    let recorded = &blind.plan.entries[&sensitive("").id()].spec;
    assert!(
        matches!(recorded, Spec::File(spec) if spec.content == Content::of(b"b")),
        "{recorded:?}"
    );
}

#[test]
fn a_set_of_packages_is_installed_again_from_what_the_host_keeps_or_stays() {
    let set = |lock: &str| {
        Spec::Tree(TreeSpec {
            path: path("/opt/a"),
            source: Source::Npm {
                manifest: Content::of(b"a"),
                lock: Content::of(lock.as_bytes()),
                holds: lock.into(),
                programs: None,
                scripts: false,
                prepare: Vec::new(),
                env: BTreeMap::new(),
            },
        })
    };
    let zero = bare([(set("").id(), State::Tree(TreeState::Absent))].into_iter());
    let one = simulate(&plan(&desired([set("a")].into_iter()), &zero, &by()), &zero);
    let second = plan(&desired([set("b")].into_iter()), &one, &by());
    let two = simulate(&second, &one);
    let (host, connection) = host();
    let past = past(&one, &second);
    let back = |contents| rollback((&host, &connection), &past, &two, &by(), contents, &Pins::new());
    let nothing = BTreeMap::new();
    let blind = back(&nothing);
    assert_eq!(blind.wanted, BTreeSet::from([Digest::of(b"a")]));
    assert!(blind.plan.steps.is_empty(), "{:#?}", blind.plan.steps);
    assert!(
        matches!(blind.remains.as_slice(), [(_, Remains::NotKept)]),
        "{:?}",
        blind.remains
    );
    let kept = contents();
    let back = back(&kept);
    assert!(back.wanted.is_empty() && back.remains.is_empty());
    assert_eq!(told(&simulate(&back.plan, &two)), told(&one));
}

#[test]
fn a_checkout_goes_back_to_the_commit_that_its_branch_was_at() {
    let spec = GitSpec {
        path: path("/srv/app"),
        url: "https://example.org/app.git".into(),
        revision: Revision::Branch("main".into()),
        owner: "root".into(),
        update: GitUpdate::Mirror,
        key: None,
        known_hosts: None,
    };
    let id = Spec::Git(spec.clone()).id();
    let at = |commit: &str, tip: &str| {
        State::Git(GitState::Checkout {
            url: spec.url.as_str().into(),
            mirror: Some(Standing {
                commit: Some(commit.repeat(40)),
                changed: 0,
                tip: Some(Fact::Known(tip.repeat(40))),
            }),
        })
    };
    let zero = bare([(id.clone(), State::Git(GitState::Absent { git: true }))].into_iter());
    let declared = || desired([Spec::Git(spec.clone())].into_iter());
    let mut one = simulate(&plan(&declared(), &zero, &by()), &zero);
    one.resources.insert(id.clone(), Fact::Known(at("1", "2")));
    let moved = plan(&declared(), &one, &by());
    let two = simulate(&moved, &one);
    let (host, connection) = host();
    let past = past(&one, &moved);
    let back = rollback((&host, &connection), &past, &two, &by(), &BTreeMap::new(), &Pins::new());
    assert!(
        matches!(&back.plan.steps[..], [Step { op: Op::MirrorGit { commit, .. }, .. }] if *commit == "1".repeat(40)),
        "{:#?}",
        back.plan.steps
    );
    // What it went back to is what it is held to until the next apply.
    let gone_back = simulate(&back.plan, &two);
    let again = rollback(
        (&host, &connection),
        &past,
        &gone_back,
        &by(),
        &BTreeMap::new(),
        &Pins::new(),
    );
    assert!(
        again.plan.steps.is_empty() && again.plan.blockers.is_empty(),
        "{:#?}",
        again.plan
    );
}

#[test]
fn what_no_plan_brings_back_is_told_before() {
    let package = |name: &str, want| {
        Spec::Package(crate::model::PackageSpec {
            name: name.into(),
            want,
            recommends: true,
        })
    };
    let installed = |version: &str| {
        State::Package(PackageState::Installed {
            version: version.into(),
        })
    };
    let specs = [
        package("open", PackageWant::Present),
        package("pinned", PackageWant::Version("1".into())),
    ];
    let ids: Vec<_> = specs.iter().map(Spec::id).collect();
    let zero = bare(ids.iter().map(|id| (id.clone(), installed("1"))));
    let one = simulate(&plan(&desired(specs.into_iter()), &zero, &by()), &zero);
    let command = ResourceId::new(Kind::Command, "seed");
    let mut past = past(&one, &plan(&desired(std::iter::empty()), &one, &by()));
    let satisfied = crate::model::CommandState {
        satisfied: false,
        detail: "".into(),
    };
    past.since = ids.iter().map(|id| (id.clone(), installed("1"))).collect();
    past.since.insert(command.clone(), State::Command(satisfied));
    let mut two = one;
    for id in &ids {
        two.resources.insert(id.clone(), Fact::Known(installed("2")));
    }
    let (host, connection) = host();
    let back = rollback((&host, &connection), &past, &two, &by(), &BTreeMap::new(), &Pins::new());
    assert_eq!(
        back.remains,
        [
            (ids[0].clone(), Remains::Version("1".into())),
            (ids[1].clone(), Remains::OldVersion("1".into())),
            (ids[1].clone(), Remains::Data),
            (command, Remains::Ran),
        ]
    );
}

#[test]
fn a_user_does_not_leave_a_group_that_goes_in_the_same_plan() {
    let user = |groups: &[&str]| {
        Spec::User(UserSpec {
            name: "robot".into(),
            uid: None,
            group: None,
            groups: groups.iter().map(|&name| name.to_owned()).collect(),
            home: None,
            create_home: false,
            shell: None,
            comment: None,
            system: false,
        })
    };
    let extra = Spec::Group(GroupSpec {
        name: "extra".into(),
        gid: None,
        system: false,
    });
    let zero = bare(
        [
            (user(&[]).id(), State::User(UserState::Absent)),
            (extra.id(), State::Group(GroupState::Absent)),
        ]
        .into_iter(),
    );
    let both = desired([user(&["extra", "games"]), extra].into_iter());
    let one = simulate(&plan(&both, &zero, &by()), &zero);
    let fewer = plan(&desired([user(&[])].into_iter()), &one, &by());
    let left: Vec<_> = fewer
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::ModifyUser { leave, .. } => Some(leave.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(left, [BTreeSet::from(["games".to_owned()])]);
}
