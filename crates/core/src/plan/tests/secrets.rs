//! Secrets: planned by version, delivered in one step, and gone from memory when nobody declares them.

use super::*;
use crate::plan::accounts;

pub(super) fn secret(name: &str, version: Fact<Option<SecretVersion>>) -> SecretSpec {
    SecretSpec {
        name: name.into(),
        directory: path("/run/agenix"),
        path: path(&format!("/run/agenix/{name}")),
        owner: "root".into(),
        group: "root".into(),
        mode: "0400".parse().unwrap(),
        content: SecretContent::Value(value(name)),
        required: true,
        after_reboot: AfterReboot::Push,
        version,
    }
}

fn value(name: &str) -> SecretValueRef {
    SecretValueRef {
        item: SecretItem {
            source: SecretSource::Project { name: name.into() },
            key: None,
        },
        trim: false,
        version: None,
    }
}

pub(super) fn version(text: &str) -> Fact<Option<SecretVersion>> {
    Fact::Known(Some(SecretVersion(text.into())))
}

pub(super) fn delivered(version: &str, intact: bool) -> SecretState {
    let root = || Owner {
        id: 0,
        name: Some("root".into()),
    };
    SecretState::Delivered {
        version: version.into(),
        intact,
        owner: root(),
        group: root(),
        mode: "0400".parse().unwrap(),
        sealed: None,
        fetch: FetchRecord::None,
        at_boot: false,
    }
}

const GONE: SecretState = SecretState::Absent { nothing_mounted: false };

fn host(secrets: Vec<(&str, SecretState)>) -> Observed {
    observed(
        secrets
            .into_iter()
            .map(|(id, state)| (id, State::Secret(state)))
            .collect(),
    )
}

#[test]
fn all_secrets_of_a_host_change_in_one_step_and_a_unit_that_uses_several_is_restarted_once() {
    let uses = |name: &str| on(&format!("secret:{name}"), DependencyReason::RestartOn);
    let had = desired(vec![
        (Spec::Secret(secret("old", version("v1"))), vec![]),
        (Spec::Secret(secret("a", version("v1"))), vec![]),
    ]);
    let desired = desired(vec![
        (Spec::Secret(secret("a", version("v2"))), vec![]),
        (Spec::Secret(secret("b", version("v1"))), vec![]),
        (Spec::Secret(secret("c", version("v7"))), vec![]),
        (unit("bot.service"), vec![uses("a"), uses("b"), uses("c")]),
    ]);
    let mut observed = host(vec![
        ("secret:a", delivered("v1", true)),
        ("secret:b", GONE),
        ("secret:c", delivered("v7", true)),
        ("secret:old", delivered("v1", true)),
    ]);
    observed.resources.insert(
        "unit:bot.service".parse().unwrap(),
        Fact::Known(found_unit("enabled", "active")),
    );
    observed.receipt = Fact::Known(Some(receipt(&had, vec![])));
    let plan = plan(&desired, &observed, &by());
    let sets: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.op {
            Op::Secrets {
                deliver, keep, remove, ..
            } => Some((
                deliver.keys().cloned().collect::<Vec<_>>(),
                keep.len(),
                remove.iter().cloned().collect::<Vec<_>>(),
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        sets,
        [(vec!["a".to_owned(), "b".to_owned()], 0, vec!["old".to_owned()])]
    );
    let restarts = plan.steps.iter().filter(
        |step| matches!(&step.op, Op::Unit { verb: UnitVerb::Restart, name } if name.as_str() == "bot.service"),
    );
    assert_eq!(restarts.count(), 1, "{:#?}", plan.steps);
}

#[test]
fn what_a_store_does_not_say_is_unknown_and_never_a_removal() {
    let desired = desired(vec![(
        Spec::Secret(secret("a", Fact::unknown("access denied"))),
        vec![],
    )]);
    let plan = plan(&desired, &host(vec![("secret:a", delivered("v1", true))]), &by());
    assert!(plan.changes.is_empty() && plan.unchanged.is_empty(), "{plan:#?}");
    assert!(plan.blockers[0].unknown);
    assert_eq!(plan.blockers[0].problem.untrusted(), "access denied");
}

#[test]
fn one_that_may_be_missing_and_is_goes_from_the_host() {
    let optional = SecretSpec {
        required: false,
        ..secret("a", Fact::Known(None))
    };
    let desired = desired(vec![(Spec::Secret(optional), vec![])]);
    let plan_of = |state| plan(&desired, &host(vec![("secret:a", state)]), &by());
    assert!(plan_of(GONE).is_empty());
    let removed = plan_of(delivered("v1", true));
    assert_eq!(removed.changes[0].action, Action::Remove);
}

#[test]
fn after_a_reboot_the_plan_says_that_the_memory_was_lost() {
    let desired = desired(vec![(Spec::Secret(secret("a", version("v1"))), vec![])]);
    let lost = SecretState::Absent { nothing_mounted: true };
    let mut observed = host(vec![("secret:a", lost)]);
    assert_eq!(plan(&desired, &observed, &by()).changes[0].reasons, [Reason::Missing]);
    observed.receipt = Fact::Known(Some(receipt(&desired, vec![])));
    assert_eq!(
        plan(&desired, &observed, &by()).changes[0].reasons,
        [Reason::LostSinceBoot]
    );
}

#[test]
fn a_host_that_is_to_fetch_a_secret_has_that_on_record_without_any_value() {
    let fetched = SecretSpec {
        after_reboot: AfterReboot::Fetch,
        ..secret("a", version("v1"))
    };
    let with = |record| match delivered("v1", true) {
        SecretState::Delivered {
            version,
            intact,
            owner,
            group,
            mode,
            sealed,
            fetch: _,
            at_boot,
        } => SecretState::Delivered {
            version,
            intact,
            owner,
            group,
            mode,
            sealed,
            fetch: record,
            at_boot,
        },
        other => other,
    };
    let plan_of = |spec: &SecretSpec, record| {
        let desired = desired(vec![(Spec::Secret(spec.clone()), vec![])]);
        plan(&desired, &host(vec![("secret:a", with(record))]), &by())
    };
    let pushed = secret("a", version("v1"));
    assert!(plan_of(&fetched, FetchRecord::Current).is_empty());
    assert!(plan_of(&pushed, FetchRecord::None).is_empty());
    for (spec, record) in [
        (&fetched, FetchRecord::None),
        (&fetched, FetchRecord::Outdated),
        (&pushed, FetchRecord::Current),
        (&pushed, FetchRecord::Outdated),
    ] {
        let plan = plan_of(spec, record);
        let keeps =
            matches!(&plan.steps[0].op, Op::Secrets { deliver, keep, .. } if deliver.is_empty() && keep.len() == 1);
        assert!(keeps, "{record:?}: {:#?}", plan.steps);
        assert_eq!(plan.changes[0].fields[0].field, "fetched at boot");
    }
}

#[test]
fn an_owner_changes_without_any_value() {
    let spec = SecretSpec {
        owner: "bot".into(),
        ..secret("a", version("v1"))
    };
    let desired = desired(vec![(Spec::Secret(spec), vec![])]);
    let plan = plan(&desired, &host(vec![("secret:a", delivered("v1", true))]), &by());
    assert!(
        matches!(&plan.steps[0].op, Op::Secrets { deliver, keep, .. } if deliver.is_empty() && keep.len() == 1),
        "{:#?}",
        plan.steps
    );
}

#[test]
fn a_text_has_a_version_of_its_own_words_and_of_every_secret_in_it() {
    let part = |name: &str| SecretPart::Secret {
        name: name.into(),
        value: value(name),
        encoding: Encoding::Plain,
    };
    let text = |words: &str| SecretSpec {
        content: SecretContent::Rendered(vec![SecretPart::Text(words.into()), part("a"), part("b")]),
        ..secret("env", not_asked())
    };
    let pinned = |words: &str, a: &str, b: Fact<Option<SecretVersion>>| {
        let mut desired = desired(vec![(Spec::Secret(text(words)), vec![])]);
        let pins = Pins::from([(value("a").item, version(a)), (value("b").item, b)]);
        pin(&mut desired, &pins);
        let Some(Spec::Secret(spec)) = desired.resources.into_values().next().map(|resource| resource.spec) else {
            panic!("it is gone")
        };
        spec.version
    };
    let all = [
        pinned("x", "v1", version("v1")),
        pinned("y", "v1", version("v1")),
        pinned("x", "v2", version("v1")),
        pinned("x", "v1", version("v2")),
    ];
    let different: BTreeSet<_> = all.iter().map(|version| format!("{version:?}")).collect();
    assert_eq!(different.len(), all.len(), "{all:?}");
    assert_eq!(pinned("x", "v1", version("v1")), all[0]);
    assert!(matches!(pinned("x", "v1", Fact::Known(None)), Fact::Unknown(_)));
    assert!(matches!(pinned("x", "v1", Fact::unknown("denied")), Fact::Unknown(_)));
}

#[test]
fn a_secret_that_is_kept_elsewhere_is_another_one_though_its_version_is_called_the_same() {
    let before = secret("a", version("v1"));
    let mut after = before.clone();
    after.content = SecretContent::Value(value("b"));
    let had = desired(vec![(Spec::Secret(before), vec![])]);
    let mut observed = host(vec![("secret:a", delivered("v1", true))]);
    observed.receipt = Fact::Known(Some(receipt(&had, vec![])));
    let now = desired(vec![(Spec::Secret(after), vec![])]);
    let plan_of = |desired: &Desired| plan(desired, &observed, &by());
    assert!(plan_of(&had).is_empty());
    assert!(
        matches!(&plan_of(&now).steps[0].op, Op::Secrets { deliver, .. } if deliver.contains_key("a")),
        "{:#?}",
        plan_of(&now)
    );
}

#[test]
fn a_secret_for_somebody_whom_the_host_does_not_have_blocks_the_plan_unless_the_plan_may_make_them() {
    let of = |owner: &str, group: &str| {
        Spec::Secret(SecretSpec {
            owner: owner.into(),
            group: group.into(),
            ..secret("a", version("v1"))
        })
    };
    let asked = |desired: &Desired| -> Vec<_> { accounts(desired).keys().map(ToString::to_string).collect() };
    // What the host answers to all that it is asked for.
    let plan_of = |desired: &Desired, others: Vec<(&str, State)>| {
        let mut observed = host(vec![("secret:a", GONE)]);
        for (id, spec) in accounts(desired) {
            assert_eq!(id, spec.id());
            let state = absent(id.kind).unwrap();
            observed.resources.insert(id, Fact::Known(state));
        }
        observed.resources.extend(
            others
                .into_iter()
                .map(|(id, state)| (id.parse().unwrap(), Fact::Known(state))),
        );
        plan(desired, &observed, &by())
    };
    let told = |plan: &Plan| -> Vec<_> {
        let told = |blocker: &crate::model::Blocker| format!("{}: {}", blocker.id, blocker.problem.untrusted());
        plan.blockers.iter().map(told).collect()
    };

    let nobody = desired(vec![
        (of("bto", "adm"), vec![]),
        (unit("bot.service"), vec![on("secret:a", DependencyReason::Uses)]),
    ]);
    assert_eq!(asked(&nobody), ["group:adm", "user:bto"]);
    let blocked = plan_of(&nobody, vec![("unit:bot.service", found_unit("enabled", "active"))]);
    assert_eq!(
        told(&blocked),
        ["secret:a: it is for the user `bto`, which the host does not have"]
    );
    assert!(blocked.blockers[0].fix.contains("[users.bto]"), "{blocked:#?}");
    assert!(
        blocked.changes.is_empty() && !blocked.blockers[0].unknown,
        "{blocked:#?}"
    );

    let bto = State::User(UserState::Present {
        uid: 7,
        group: Owner { id: 7, name: None },
        groups: BTreeSet::new(),
        home: "/".into(),
        shell: "/".into(),
        comment: "".into(),
    });
    let no_group = plan_of(
        &nobody,
        vec![
            ("user:bto", bto.clone()),
            ("unit:bot.service", found_unit("enabled", "active")),
        ],
    );
    assert_eq!(
        told(&no_group),
        ["secret:a: it is for the group `adm`, which the host does not have"]
    );
    let adm = State::Group(GroupState::Present { gid: 4 });
    let all = plan_of(
        &nobody,
        vec![
            ("user:bto", bto.clone()),
            ("group:adm", adm),
            ("unit:bot.service", found_unit("enabled", "active")),
        ],
    );
    assert_eq!(told(&all), [""; 0]);

    // Numbers and root are asked for nowhere.
    assert_eq!(asked(&desired(vec![(of("root", "77"), vec![])])), [""; 0]);

    // A package that the plan installs may make it: it is called alike, or the configuration says that it comes first.
    let package = |name: &str| {
        Spec::Package(PackageSpec {
            name: name.into(),
            want: PackageWant::Present,
            recommends: true,
        })
    };
    let installed = || State::Package(PackageState::Absent);
    for (name, waits, blocks) in [
        ("redis-server", false, false),
        ("tor", false, true),
        ("tor", true, false),
    ] {
        let id = format!("package:{name}");
        let depends = waits.then(|| on(&id, DependencyReason::After)).into_iter().collect();
        let desired = desired(vec![(of("redis", "redis"), depends), (package(name), vec![])]);
        let plan = plan_of(&desired, vec![(&id, installed())]);
        assert_eq!(plan.blockers.len(), usize::from(blocks), "{name}: {plan:#?}");
        // One that is installed already has made all that it makes.
        let there = State::Package(PackageState::Installed { version: "1".into() });
        let plan = plan_of(&desired, vec![(&id, there)]);
        assert_eq!(plan.blockers.len(), 1, "{name}: {plan:#?}");
    }

    // One that leaves the host with this plan is nobody either.
    let user = Spec::User(UserSpec {
        name: "bto".into(),
        uid: None,
        group: None,
        groups: BTreeSet::new(),
        home: None,
        create_home: false,
        shell: None,
        comment: None,
        system: true,
    });
    let had = desired(vec![(user, vec![])]);
    let mut observed = host(vec![("secret:a", GONE)]);
    observed.resources.insert("user:bto".parse().unwrap(), Fact::Known(bto));
    observed.receipt = Fact::Known(Some(receipt(&had, vec![("user:bto", State::User(UserState::Absent))])));
    let leaves = plan(&desired(vec![(of("bto", "root"), vec![])]), &observed, &by());
    assert_eq!(
        told(&leaves),
        ["secret:a: it is for the user `bto`, which this plan deletes"]
    );
}
