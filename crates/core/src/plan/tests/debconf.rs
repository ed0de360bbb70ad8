//! Answers to packages' questions: when they are given, what follows of them, and how they go back.

use super::*;

pub(super) fn question(name: &str, value: &str, reconfigure: bool) -> DebconfSpec {
    DebconfSpec {
        question: name.to_owned(),
        package: name.split('/').next().unwrap_or_default().to_owned(),
        answer_type: QuestionType::String,
        value: value.to_owned(),
        reconfigure,
    }
}

pub(super) fn answered(answer: DebconfAnswer, installed: bool) -> State {
    State::Debconf(DebconfState { answer, installed })
}

fn known(value: &str, seen: bool) -> DebconfAnswer {
    DebconfAnswer::Known {
        value: Some(value.into()),
        seen,
    }
}

/// The steps of a plan, in short.
fn in_short(plan: &Plan) -> Vec<String> {
    let words = plan.steps.iter().map(|step| match &step.op {
        Op::Answer { answers } => answers
            .keys()
            .fold("answer".to_owned(), |all, name| format!("{all} {name}")),
        Op::TakeBackAnswer { question, to, .. } => format!("take back {question} to {to:?}"),
        Op::Reconfigure { package } => format!("reconfigure {package}"),
        Op::Packages { install, remove, .. } => format!("packages {:?} {remove:?}", install.keys()),
        Op::WriteFile(file) => format!("write {}", file.path),
        Op::Record => "record".to_owned(),
        other => panic!("{other:?}"),
    });
    words.collect()
}

#[test]
fn answers_are_given_at_once_before_the_package_that_asks_and_it_is_said_where_that_is_too_late() {
    let questions = [question("tiny/a", "x", false), question("tiny/b", "y", true)];
    let package = Spec::Package(PackageSpec {
        name: "tiny".into(),
        want: PackageWant::Present,
        recommends: true,
    });
    let after = ["debconf:tiny/a", "debconf:tiny/b"].map(|id| on(id, DependencyReason::After));
    let mut wanted: Vec<_> = questions.clone().map(|spec| (Spec::Debconf(spec), vec![])).into();
    wanted.push((package, after.to_vec()));
    let wanted = desired(wanted);
    let host = |answers: [DebconfAnswer; 2], installed| {
        let [a, b] = answers;
        let package = match installed {
            true => PackageState::Installed { version: "1".into() },
            false => PackageState::Absent,
        };
        observed(vec![
            ("debconf:tiny/a", answered(a, installed)),
            ("debconf:tiny/b", answered(b, installed)),
            ("package:tiny", State::Package(package)),
        ])
    };
    let first = plan(&wanted, &host([DebconfAnswer::None, known("y", false)], false), &by());
    assert_eq!(in_short(&first), ["answer tiny/a tiny/b", "packages [\"tiny\"] {}"]);
    let seen = &first.changes[1];
    assert_eq!((seen.action, seen.fields[0].field.as_str()), (Action::Update, "seen"));

    let late = plan(&wanted, &host([known("other", true), DebconfAnswer::None], true), &by());
    assert_eq!(in_short(&late), ["answer tiny/a tiny/b", "reconfigure tiny"]);
    let reasons: BTreeMap<_, _> = late
        .changes
        .iter()
        .map(|change| (change.id.to_string(), &change.reasons))
        .collect();
    let package = || "tiny".to_owned();
    assert_eq!(
        *reasons["debconf:tiny/a"],
        [Reason::Differs, Reason::NotReconfigured { package: package() }]
    );
    assert_eq!(
        *reasons["debconf:tiny/b"],
        [Reason::Missing, Reason::Reconfigured { package: package() }]
    );
    // Whoever is to reconfigure is due until that is done.
    assert_eq!(late.pending, ["debconf:tiny/b".parse().unwrap()].into());
    let mut died = host([known("x", true), known("y", true)], true);
    assert!(plan(&wanted, &died, &by()).is_empty());
    let mut before = receipt(&wanted, vec![]);
    before.pending = late.pending;
    died.receipt = Fact::Known(Some(before));
    let rest = plan(&wanted, &died, &by());
    assert_eq!(in_short(&rest), ["reconfigure tiny"]);
    assert!(rest.changes[0].reasons.contains(&Reason::Unfinished));

    let secret = plan(&wanted, &host([DebconfAnswer::Password, known("y", true)], true), &by());
    assert!(
        secret.blockers[0].problem.untrusted().contains("password"),
        "{secret:#?}"
    );
}

#[test]
fn an_answer_goes_back_to_what_was_there_before() {
    let cases = [
        // What was there, what is there, whether the package stays, and what is done.
        (
            DebconfAnswer::None,
            known("x", true),
            false,
            "take back tiny/a to Nothing",
        ),
        (
            DebconfAnswer::None,
            known("x", true),
            true,
            "take back tiny/a to Default, reconfigure tiny",
        ),
        (
            known("old", false),
            known("x", true),
            true,
            "take back tiny/a to Value { value: \"old\", seen: false }, reconfigure tiny",
        ),
        (
            DebconfAnswer::Known {
                value: None,
                seen: false,
            },
            known("by hand", true),
            false,
            "take back tiny/a to Default",
        ),
        (known("x", true), known("x", true), true, "record"),
        (known("old", true), DebconfAnswer::None, false, "record"),
    ];
    for (before, now, installed, wanted) in cases {
        let had = desired(vec![(Spec::Debconf(question("tiny/a", "x", true)), vec![])]);
        let mut host = observed(vec![("debconf:tiny/a", answered(now.clone(), installed))]);
        let original = answered(before.clone(), false);
        host.receipt = Fact::Known(Some(receipt(&had, vec![("debconf:tiny/a", original)])));
        let plan = plan(&desired(vec![]), &host, &by());
        assert_eq!(in_short(&plan).join(", "), wanted, "{before:?} {now:?}");
    }
}

#[test]
fn a_package_that_goes_with_its_answers_is_not_reconfigured() {
    let package = Spec::Package(PackageSpec {
        name: "tiny".into(),
        want: PackageWant::Present,
        recommends: true,
    });
    let answer = Spec::Debconf(question("tiny/a", "x", true));
    let after = vec![on("debconf:tiny/a", DependencyReason::After)];
    let had = desired(vec![(answer.clone(), vec![]), (package, after)]);
    let mut host = observed(vec![
        ("debconf:tiny/a", answered(known("y", true), true)),
        (
            "package:tiny",
            State::Package(PackageState::Installed { version: "1".into() }),
        ),
    ]);
    let originals = vec![
        ("debconf:tiny/a", answered(DebconfAnswer::None, false)),
        ("package:tiny", State::Package(PackageState::Absent)),
    ];
    host.receipt = Fact::Known(Some(receipt(&had, originals)));
    let gone = plan(&desired(vec![]), &host, &by());
    assert_eq!(
        in_short(&gone),
        ["packages [] {\"tiny\"}", "take back tiny/a to Nothing"]
    );
    // Also where its answer stays, and has moved.
    let stays = plan(&desired(vec![(answer, vec![])]), &host, &by());
    assert_eq!(in_short(&stays), ["packages [] {\"tiny\"}", "answer tiny/a"]);
}

#[test]
fn a_run_that_is_undone_takes_its_answers_back() {
    let package = Spec::Package(PackageSpec {
        name: "tiny".into(),
        want: PackageWant::Present,
        recommends: true,
    });
    let after = ["debconf:tiny/a", "debconf:tiny/b"].map(|id| on(id, DependencyReason::After));
    let wanted = desired(vec![
        (Spec::Debconf(question("tiny/a", "x", true)), vec![]),
        (Spec::Debconf(question("tiny/b", "x", true)), vec![]),
        (package, after.to_vec()),
    ]);
    let before = observed(vec![
        ("debconf:tiny/a", answered(DebconfAnswer::None, false)),
        ("debconf:tiny/b", answered(known("old", false), false)),
        ("package:tiny", State::Package(PackageState::Absent)),
    ]);
    let run = plan(&wanted, &before, &by());
    let mut after = simulate(&run, &before);
    for name in ["a", "b"] {
        let id = ResourceId::new(Kind::Debconf, format!("tiny/{name}"));
        let now = Fact::Known(answered(known("x", true), true));
        after.resources.insert(id, now);
    }
    let found = before.resources.into_iter();
    let found = found
        .filter_map(|(id, fact)| Some((id, fact.known()?.clone())))
        .collect();
    let undo = super::super::Undo {
        run: &run,
        base: None,
        found: &found,
    };
    assert_eq!(
        in_short(&undo.plan(&after, |_| true)),
        [
            "packages [] {\"tiny\"}",
            "take back tiny/b to Value { value: \"old\", seen: false }",
            "take back tiny/a to Nothing",
        ]
    );
}
