//! Git checkouts: what is somebody's work is left alone, what a mirror loses is said before, and nothing else is replaced.

use super::*;

const ONE: &str = "1111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222";

pub(super) fn spec(at: &str, mirror: bool, pinned: bool) -> GitSpec {
    GitSpec {
        path: path(at),
        url: "https://example.org/app.git".into(),
        revision: if pinned {
            Revision::Commit(TWO.into())
        } else {
            Revision::Branch("main".into())
        },
        owner: "root".into(),
        update: if mirror { GitUpdate::Mirror } else { GitUpdate::Clone },
        key: None,
        known_hosts: None,
    }
}

pub(super) fn state(spec: &GitSpec, found: u8) -> GitState {
    let tip = matches!(spec.revision, Revision::Branch(_)).then(|| Fact::Known(TWO.to_owned()));
    let standing = |commit: Option<&str>, changed| GitState::Checkout {
        url: spec.url.as_str().into(),
        mirror: (spec.update == GitUpdate::Mirror).then(|| Standing {
            commit: commit.map(str::to_owned),
            changed,
            tip: tip.clone(),
        }),
    };
    match found {
        0 => GitState::Absent { git: true },
        1 => standing(Some(TWO), 0),
        2 => standing(Some(ONE), 0),
        3 => standing(Some(TWO), 3),
        4 => standing(None, 0),
        5 => GitState::Checkout {
            url: "https://example.org/other.git".into(),
            mirror: None,
        },
        _ => GitState::Other {
            what: "a directory that is no checkout".into(),
        },
    }
}

fn told(spec: &GitSpec, state: GitState) -> Plan {
    let id = Spec::Git(spec.clone()).id();
    plan(
        &desired(vec![(Spec::Git(spec.clone()), vec![])]),
        &observed(vec![(id.to_string().as_str(), State::Git(state))]),
        &by(),
    )
}

#[test]
fn a_clone_is_left_to_whoever_works_in_it() {
    let spec = spec("/srv/app", false, true);
    for found in 1..=4 {
        let plan = told(&spec, state(&spec, found));
        assert!(plan.changes.is_empty() && plan.blockers.is_empty(), "{plan:#?}");
    }
}

#[test]
fn a_mirror_says_which_commit_comes_and_what_is_lost() {
    let spec = spec("/srv/app", true, false);
    let standing = Standing {
        commit: Some(ONE.into()),
        changed: 2,
        tip: Some(Fact::Known(TWO.into())),
    };
    let plan = told(
        &spec,
        GitState::Checkout {
            url: spec.url.as_str().into(),
            mirror: Some(standing),
        },
    );
    let [change] = &plan.changes[..] else {
        panic!("{plan:#?}")
    };
    let fields: Vec<_> = change
        .fields
        .iter()
        .map(|field| {
            (
                field.field.as_str(),
                field.before.as_ref().map_or("", HostText::untrusted),
                field.after.as_deref().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        fields,
        [
            ("commit", ONE, TWO),
            (
                "files",
                "2 files changed by hand",
                "as the commit has them; those changes are lost"
            )
        ]
    );
    assert!(
        matches!(&plan.steps[..], [Step { op: Op::MirrorGit { commit, .. }, .. }] if commit == TWO),
        "{plan:#?}"
    );
}

#[test]
fn what_cannot_be_seen_or_is_somebody_elses_blocks_and_says_so() {
    let mirror = spec("/srv/app", true, false);
    let unseen = GitState::Checkout {
        url: mirror.url.as_str().into(),
        mirror: Some(Standing {
            commit: Some(ONE.into()),
            changed: 0,
            tip: Some(Fact::unknown("no route to host")),
        }),
    };
    let cases = [
        (unseen, "branch main is at is unknown: no route to host"),
        (
            state(&mirror, 5),
            "a checkout of https://example.org/other.git is there",
        ),
        (state(&mirror, 6), "a directory that is no checkout is there"),
        (GitState::Absent { git: false }, "git is not installed"),
    ];
    for (state, words) in cases {
        let plan = told(&mirror, state);
        let [blocker] = &plan.blockers[..] else {
            panic!("{plan:#?}")
        };
        assert!(blocker.problem.untrusted().contains(words), "{blocker:#?}");
        assert!(plan.steps.is_empty(), "{plan:#?}");
    }
}
