//! Swap files: what is planned for them, what is refused with its figures, and what becomes of those that leave.

use super::*;

const MIB: u64 = 1 << 20;

/// Of so many MiB.
pub(super) fn spec(path: &str, size: u64) -> SwapfileSpec {
    SwapfileSpec {
        path: AbsPath::new(path).unwrap(),
        size: size * MIB,
        priority: None,
        active: true,
    }
}

/// Of a large disk, of which so many MiB are free beside the 1 GiB that must stay so.
pub(super) fn room(free: u64) -> Room {
    Room {
        free: (1024 + free) * MIB,
        total: 1 << 40,
        unfit: None,
    }
}

/// Of so many MiB, with its priority and what is in it in MiB, on a host with 100 MiB of memory.
pub(super) fn found(size: u64, active: Option<(i32, u64)>) -> SwapfileFound {
    SwapfileFound {
        size: size * MIB,
        formatted: Some(size * MIB),
        owner: 0,
        mode: Mode::from_bits(0o600),
        active: active.map(|(priority, used)| ActiveSwap {
            priority,
            used: used * MIB,
        }),
        room: Some(room(1000)),
        memory: 100 * MIB,
    }
}

fn plan_of(declared: Option<SwapfileSpec>, state: SwapfileState, original: Option<SwapfileState>) -> Plan {
    let mut observed = observed(vec![("swapfile:/swap", State::Swapfile(state))]);
    if let Some(original) = original {
        let had = desired(vec![(Spec::Swapfile(spec("/swap", 64)), vec![])]);
        let originals = vec![("swapfile:/swap", State::Swapfile(original))];
        observed.receipt = Fact::Known(Some(receipt(&had, originals)));
    }
    let declared = declared
        .map(|spec| (Spec::Swapfile(spec), vec![]))
        .into_iter()
        .collect();
    plan(&desired(declared), &observed, &by())
}

fn absent(free: u64) -> SwapfileState {
    SwapfileState::Absent { room: Some(room(free)) }
}

fn ops(plan: &Plan) -> Vec<&Op> {
    assert_eq!(plan.blockers, []);
    plan.steps.iter().map(|step| &step.op).collect()
}

#[track_caller]
fn blocked(plan: &Plan, words: &str) {
    assert_eq!(plan.changes, []);
    let [blocker] = plan.blockers.as_slice() else {
        panic!("{:#?}", plan.blockers)
    };
    assert!(
        blocker.problem.untrusted().contains(words),
        "{}",
        blocker.problem.untrusted()
    );
    assert!(!blocker.unknown);
}

#[test]
fn a_missing_one_is_made_where_the_disk_has_room_and_refused_with_figures_where_not() {
    let declared = spec("/swap", 64);
    assert_eq!(
        ops(&plan_of(Some(declared.clone()), absent(64), None)),
        [&Op::PutSwapfile {
            spec: declared.clone(),
            rebuild: true
        }]
    );
    blocked(
        &plan_of(Some(declared.clone()), absent(63), None),
        "1087 MiB are free on that file system, and it takes 1088 MiB of which 1024 MiB must stay free",
    );
    let unfit = SwapfileState::Absent {
        room: Some(Room {
            unfit: Some("no swap file can lie there: the file system is tmpfs".into()),
            ..room(1000)
        }),
    };
    blocked(&plan_of(Some(declared), unfit, None), "the file system is tmpfs");
}

#[test]
fn what_is_as_declared_is_left_and_each_thing_that_is_not_is_told_and_changed() {
    let declared = spec("/swap", 64);
    let told = |declared: &SwapfileSpec, found: SwapfileFound| {
        let plan = plan_of(Some(declared.clone()), SwapfileState::File(found), None);
        let rebuilt = ops(&plan)
            .iter()
            .any(|op| matches!(op, Op::PutSwapfile { rebuild: true, .. }));
        let fields = plan.changes.iter().flat_map(|change| &change.fields);
        let fields: Vec<_> = fields.map(|field| field.field.clone()).collect();
        (fields.join(" "), rebuilt)
    };
    let as_is = found(64, Some((-2, 10)));
    assert_eq!(told(&declared, as_is.clone()), (String::new(), false));
    assert_eq!(told(&declared, found(64, None)), ("used".into(), false));
    assert_eq!(told(&declared, found(32, Some((-2, 10)))), ("size".into(), true));
    assert_eq!(told(&declared, found(64, Some((7, 10)))), ("priority".into(), false));
    let ten = SwapfileSpec {
        priority: Some(10),
        ..declared.clone()
    };
    assert_eq!(told(&ten, found(64, Some((10, 10)))), (String::new(), false));
    assert_eq!(told(&ten, as_is.clone()), ("priority".into(), false));
    let open = SwapfileFound {
        mode: Mode::from_bits(0o644),
        owner: 1000,
        ..as_is.clone()
    };
    assert_eq!(told(&declared, open), ("mode owner".into(), false));
    let longer = SwapfileFound {
        formatted: Some(32 * MIB),
        ..as_is
    };
    assert_eq!(told(&declared, longer), ("swap space in it".into(), true));
}

#[test]
fn nothing_is_taken_from_the_kernel_that_memory_has_no_room_for() {
    // 100 MiB are available, of which 64 must stay so.
    let full = |size| SwapfileState::File(found(size, Some((-2, 37))));
    let words = "37 MiB are in use there, 100 MiB of memory are available, and 64 MiB of them must stay so";
    let declared = spec("/swap", 64);
    blocked(&plan_of(Some(declared.clone()), full(32), None), words);
    let ten = SwapfileSpec {
        priority: Some(10),
        ..declared.clone()
    };
    blocked(&plan_of(Some(ten), full(64), None), words);
    blocked(&plan_of(None, full(64), Some(absent(0))), words);
    let smaller = SwapfileState::File(found(32, None));
    blocked(&plan_of(None, full(64), Some(smaller)), words);
    // What needs nothing back needs no room.
    let open = SwapfileFound {
        mode: Mode::from_bits(0o644),
        ..found(64, Some((-2, 37)))
    };
    assert_eq!(ops(&plan_of(Some(declared), SwapfileState::File(open), None)).len(), 1);
}

#[test]
fn one_that_stays_or_goes_for_good_is_held_up_by_what_concerns_it_alone() {
    // It is full, and the one that was there before would have no room.
    let full = SwapfileFound {
        room: Some(room(0)),
        ..found(64, Some((-2, 37)))
    };
    let empty = SwapfileFound {
        active: None,
        ..full.clone()
    };
    let before = State::Swapfile(SwapfileState::File(found(32, None)));
    let had = desired(vec![(Spec::Swapfile(spec("/swap", 64)), vec![])]);
    let blocks = |on_removal, found: &SwapfileFound| {
        let mut receipt = receipt(&had, vec![("swapfile:/swap", before.clone())]);
        receipt
            .entries
            .values_mut()
            .for_each(|entry| entry.on_removal = on_removal);
        let mut observed = observed(vec![(
            "swapfile:/swap",
            State::Swapfile(SwapfileState::File(found.clone())),
        )]);
        observed.receipt = Fact::Known(Some(receipt));
        !plan(&desired(vec![]), &observed, &by()).blockers.is_empty()
    };
    assert!(!blocks(OnRemoval::Keep, &full));
    assert!(blocks(OnRemoval::Remove, &full) && !blocks(OnRemoval::Remove, &empty));
    assert!(blocks(OnRemoval::Restore, &full) && blocks(OnRemoval::Restore, &empty));
}

#[test]
fn what_is_no_swap_space_is_not_replaced() {
    let declared = spec("/swap", 64);
    let data = SwapfileFound {
        formatted: None,
        ..found(64, None)
    };
    blocked(
        &plan_of(Some(declared.clone()), SwapfileState::File(data), None),
        "a file that is no swap space is there",
    );
    let directory = SwapfileState::Other {
        what: "a directory".into(),
    };
    blocked(&plan_of(Some(declared), directory, None), "a directory is there");
}

#[test]
fn one_that_leaves_goes_or_is_what_it_was_before() {
    let now = SwapfileState::File(found(64, Some((-2, 1))));
    assert_eq!(
        ops(&plan_of(None, now.clone(), Some(absent(0)))),
        [&Op::RemoveSwapfile {
            path: AbsPath::new("/swap").unwrap()
        }]
    );
    let before = SwapfileState::File(found(32, Some((5, 0))));
    assert_eq!(
        ops(&plan_of(None, now.clone(), Some(before))),
        [&Op::PutSwapfile {
            spec: SwapfileSpec {
                priority: Some(5),
                ..spec("/swap", 32)
            },
            rebuild: true
        }]
    );
    let unused = SwapfileState::File(found(64, None));
    assert_eq!(
        ops(&plan_of(None, now.clone(), Some(unused))),
        [&Op::PutSwapfile {
            spec: SwapfileSpec {
                active: false,
                ..spec("/swap", 64)
            },
            rebuild: false
        }]
    );
    let same = plan_of(None, now.clone(), Some(now));
    assert_eq!(same.changes.first().map(|change| change.action), Some(Action::Forget));
}

#[test]
fn systemd_is_never_told_to_take_one_from_the_kernel() {
    let unit = Spec::Unit(UnitSpec {
        name: UnitName::new("swap.swap").unwrap(),
        enabled: Some(true),
        active: None,
        on_change: OnChange::Nothing,
        settle: Millis::seconds(0),
    });
    let up = |load: &str| {
        State::Unit(UnitState {
            load: load.into(),
            enabled: "enabled".into(),
            active: "active".into(),
            needs_reload: false,
        })
    };
    let now = State::Swapfile(SwapfileState::File(found(64, Some((-2, 1)))));
    let had = desired(vec![(Spec::Swapfile(spec("/swap", 64)), vec![]), (unit, vec![])]);
    for on_removal in [OnRemoval::Restore, OnRemoval::Remove] {
        let mut receipt = receipt(
            &had,
            vec![
                ("swapfile:/swap", State::Swapfile(absent(0))),
                ("unit:swap.swap", not_found()),
            ],
        );
        receipt
            .entries
            .values_mut()
            .for_each(|entry| entry.on_removal = on_removal);
        let mut observed = observed(vec![("swapfile:/swap", now.clone()), ("unit:swap.swap", up("loaded"))]);
        observed.receipt = Fact::Known(Some(receipt));
        let plan = plan(&desired(vec![]), &observed, &by());
        let ops = ops(&plan);
        assert!(!ops.iter().any(|op| matches!(op, Op::Unit { .. })), "{ops:#?}");
        assert!(ops.iter().any(|op| matches!(op, Op::RemoveSwapfile { .. })), "{ops:#?}");
        assert!(
            ops.iter()
                .any(|op| matches!(op, Op::AtBoot { disable, .. } if disable.len() == 1)),
            "{ops:#?}"
        );
    }
}
