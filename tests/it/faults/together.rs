//! Two applies of one host at once: one goes on, the other one learns who it is and changes nothing.

use super::running::Running;
use super::scene::{Elsewhere, assert_is, comes_to_gate, gated, journal, open, runs, start};
use crate::lab::Lab;

#[test]
fn the_second_apply_of_a_host_learns_who_holds_it() {
    let lab = Lab::new();
    lab.declare(&gated("first"));
    let first = start(&lab, &["apply", "--yes"]);
    comes_to_gate(&lab);
    let [run] = runs(&lab).try_into().unwrap();

    let second = Elsewhere::of(&lab, "[files.\"/srv/other\"]\ntext = \"second\\n\"\n");
    let mut command = second.command(&["apply", "--yes"]);
    command.env("USER", "eve");
    let ran = Running::start(command).ends().expect(6);
    assert!(ran.stdout.contains("locked"), "{}", ran.told());
    assert!(
        ran.stdout.contains("tester@") && ran.stdout.contains(&run[..12]),
        "{}",
        ran.told()
    );
    assert!(
        ran.stdout.contains(&format!("provision attach {}", lab.name())),
        "{}",
        ran.told()
    );

    // For programs, too; and one that is stopped still holds it.
    let pid = lab.on_host("sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/' /var/lib/provision/lock");
    lab.on_host(&format!("kill -STOP {pid}"));
    let ran = Running::start(second.command(&["apply", "--yes", "--json"]))
        .ends()
        .expect(6);
    assert!(
        ran.stdout.contains("\"locked\"") && ran.stdout.contains("tester@"),
        "{}",
        ran.told()
    );
    lab.on_host(&format!("kill -CONT {pid}"));

    // Whoever looks is told; whoever attaches sees the same end as the one who began it.
    let status = lab.provision(&["status"]).expect(0);
    assert!(status.stdout.contains("tester@"), "{}", status.told());
    let attached = start(&lab, &["attach", lab.name(), "--plan", &run]);
    attached.says("step 3");
    open(&lab);
    let (first, attached) = (first.ends().expect(0), attached.ends().expect(0));
    assert!(first.stdout.contains("changed") && attached.stdout.contains("changed"));
    assert_eq!(
        lab.on_host("ls /srv/other 2>/dev/null || true"),
        "",
        "the loser changed nothing"
    );
    assert_is(&lab, "first");
}

#[test]
fn of_two_that_start_in_one_moment_each_ends_in_a_way_that_is_true() {
    let lab = Lab::new();
    lab.converge("");
    open(&lab);
    for round in 0..4 {
        let body = |who: &str| gated(&format!("{who}-{round}"));
        lab.declare(&body("a"));
        let other = Elsewhere::of(&lab, &body("b"));
        let a = start(&lab, &["apply", "--yes"]);
        let b = Running::start(other.command(&["apply", "--yes"]));
        let (a, b) = (a.ends(), b.ends());
        let told = format!("{}\n{}", a.told(), b.told());
        for (ran, text) in [(&a, "a"), (&b, "b")] {
            match ran.code() {
                0 => assert!(lab.outside(&format!("/srv/passed-{text}-{round}")).exists(), "{told}"),
                5 | 6 => assert!(!lab.outside(&format!("/srv/passed-{text}-{round}")).exists(), "{told}"),
                _ => panic!("{told}"),
            }
        }
        assert!(a.code() == 0 || b.code() == 0, "{told}");
        let _ = lab.provision(&["apply", "--yes"]).expect(0);
        assert_is(&lab, &format!("a-{round}"));
    }
}

#[test]
fn the_same_plan_applied_by_two_is_one_run() {
    let lab = Lab::new();
    lab.declare(&gated("new"));
    let _ = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
    let first = start(&lab, &["apply", "./saved.plan", "--yes"]);
    comes_to_gate(&lab);
    let second = start(&lab, &["apply", "./saved.plan", "--yes"]);
    second.says("run gate");
    open(&lab);
    let (first, second) = (first.ends().expect(0), second.ends().expect(0));
    assert!(first.stdout.contains("changed") && second.stdout.contains("changed"));
    assert_eq!(runs(&lab).len(), 1);
    let events = journal(&lab).len();

    // And once more, after its end: it is history, and nothing happens.
    let third = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(5);
    assert!(third.stdout.contains("applied before"), "{}", third.told());
    assert_eq!((runs(&lab).len(), journal(&lab).len()), (1, events));
    assert_is(&lab, "new");
}
