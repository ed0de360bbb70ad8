//! Saved plans: carried out exactly as they are, or refused with the reason, and never in part.

use std::fs;

use super::running::Running;
use super::scene::{Elsewhere, assert_is, gated, open, runs};
use crate::lab::Lab;

fn two_files(one: &str, two: &str) -> String {
    format!("[files.\"/srv/one\"]\ntext = \"{one}\\n\"\n[files.\"/srv/two\"]\ntext = \"{two}\\n\"\n")
}

#[test]
fn a_saved_plan_does_what_it_says_whatever_the_project_says_meanwhile() {
    let lab = Lab::new();
    open(&lab);
    lab.declare(&gated("planned"));
    let planned = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
    assert!(
        planned.told().contains("provision apply ./saved.plan"),
        "{}",
        planned.told()
    );
    lab.declare(&gated("another"));
    let ran = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(0);
    assert!(
        ran.stdout.contains("planned") && !ran.stdout.contains("another"),
        "{}",
        ran.told()
    );
    lab.declare(&gated("planned"));
    assert_is(&lab, "planned");
}

#[test]
fn a_stale_plan_is_refused_whole_and_names_what_moved() {
    let lab = Lab::new();
    lab.converge(&two_files("a", "a"));
    lab.declare(&two_files("b", "b"));
    let _ = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
    lab.on_host("echo by hand > /srv/two");
    let ran = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(5);
    assert!(
        ran.stdout.contains("stale") && ran.stdout.contains("file:/srv/two"),
        "{}",
        ran.told()
    );
    assert!(!ran.stdout.contains("file:/srv/one: "), "{}", ran.told());
    assert_eq!(
        lab.on_host("cat /srv/one /srv/two"),
        "a\nby hand",
        "nothing was changed"
    );

    // What moved may move back, and then the plan is no longer stale: its run was never begun.
    lab.on_host("echo a > /srv/two");
    let _ = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(0);
    assert_eq!(lab.on_host("cat /srv/one /srv/two"), "b\nb");

    // What was applied is not told as done once more.
    let ran = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(5);
    assert!(
        ran.stdout.contains("stale") && ran.stdout.contains("the plan was applied before: that run is"),
        "{}",
        ran.told()
    );

    // Another generation in between.
    lab.declare(&two_files("c", "c"));
    let _ = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
    lab.converge(&(two_files("b", "b") + "[directories.\"/srv/more\"]\n"));
    let ran = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(5);
    assert!(
        ran.stdout.contains("made on generation 2, and the host has 3"),
        "{}",
        ran.told()
    );
    assert_eq!(lab.on_host("cat /srv/one /srv/two"), "b\nb");
}

#[test]
fn a_plan_for_another_installation_at_the_same_address_is_refused() {
    let lab = Lab::new();
    lab.declare(&two_files("a", "a"));
    let _ = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
    lab.on_host("tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id");
    let ran = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(5);
    assert!(ran.stdout.contains("another installation"), "{}", ran.told());
    assert_eq!(lab.on_host("ls /srv"), "");
}

#[test]
fn a_plan_that_is_not_what_was_written_is_refused_before_anybody_is_contacted() {
    let lab = Lab::new();
    lab.declare(&two_files("a", "a"));
    let _ = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
    let path = lab.root().join("saved.plan");
    let text = fs::read_to_string(&path).unwrap();
    let before = runs(&lab);
    let refuse = |bytes: &[u8], why: &str| {
        fs::write(&path, bytes).unwrap();
        let ran = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(1);
        assert!(ran.stderr.contains(why), "no {why:?} in {}", ran.told());
        assert_eq!(ran.stdout, "");
    };
    let edited = text.replacen("/srv/two", "/srv/six", 1);
    assert_ne!(edited, text);
    refuse(edited.as_bytes(), "changed after it was written");
    for cut in [0, 1, text.len() / 2, text.len() - 1] {
        refuse(&text.as_bytes()[..cut], "no saved plan, or was cut");
    }
    refuse(text.replacen("\"format\":1", "\"format\":7", 1).as_bytes(), "format 7");
    refuse(b"\x1b[2J\0\xff not a plan", "no saved plan");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let _ = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(1);
    fs::remove_dir(&path).unwrap();
    let ran = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(1);
    assert!(ran.stderr.contains("saved.plan"), "{}", ran.told());
    assert_eq!(runs(&lab), before);

    // A digit of the digest and of each sort of content, wherever it is.
    fs::write(&path, &text).unwrap();
    let _ = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(0);
    assert_eq!(lab.on_host("cat /srv/one /srv/two"), "a\na");
}

#[test]
fn a_plan_that_waited_does_not_overwrite_what_somebody_else_applied() {
    let lab = Lab::new();
    lab.declare(&two_files("mine", "mine"));
    let _ = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
    let other = Elsewhere::of(&lab, &two_files("theirs", "theirs"));
    let _ = Running::start(other.command(&["apply", "--yes"])).ends().expect(0);
    let ran = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(5);
    assert!(ran.stdout.contains("stale"), "{}", ran.told());
    assert_eq!(lab.on_host("cat /srv/one /srv/two"), "theirs\ntheirs");
}
