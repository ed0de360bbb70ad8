//! The controller's own end: Ctrl-C once and twice, and results that nobody can read.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::running::{Running, note, until};
use super::scene::{assert_is, comes_to_gate, gated, open, phase, runs, start};
use crate::lab::{Lab, PROVISION};

use provision_core::model::RunPhase;

#[test]
fn ctrl_c_begins_no_further_host_and_tells_how_to_come_back() {
    let lab = Lab::new();
    let next = Lab::new();
    lab.declare(&gated("new"));
    lab.write(
        &format!("hosts/{}.toml", next.name()),
        &next.host_file(next.host.ssh_address().port(), &gated("new")),
    );
    // One at a time, and either may be the first.
    let running = start(&lab, &["apply", "--yes", "--parallel", "1"]);
    until("one of them at the gate", || {
        super::scene::is_at_gate(&lab) || super::scene::is_at_gate(&next)
    });
    let (first, second) = if super::scene::is_at_gate(&lab) {
        (&lab, &next)
    } else {
        (&next, &lab)
    };
    running.signal("INT");
    let interrupted = Instant::now();
    let ran = running.ends().expect(130);
    note("Ctrl-C ended it", interrupted);
    let [run] = runs(first).try_into().unwrap();
    let attach = format!("provision attach {} --plan {run}", first.name());
    assert!(
        ran.stdout.contains(&attach) && ran.stdout.contains("not-started"),
        "{}",
        ran.told()
    );
    assert_eq!(
        runs(second),
        Vec::<String>::new(),
        "no further host was begun: {}",
        ran.told()
    );
    assert_eq!(second.on_host("ls /srv"), "");

    // What had begun goes on.
    open(first);
    let args: Vec<_> = attach.split(' ').skip(1).collect();
    let attached = lab.provision(&args).expect(0);
    assert!(attached.stdout.contains("changed"), "{}", attached.told());
    assert_eq!(first.on_host("cat /srv/app/two"), "new");
    let _ = lab.provision(&["plan", first.name(), "--detailed-exitcode"]).expect(0);
}

#[test]
fn ctrl_c_while_looking_touches_nothing_and_twice_leaves_at_once() {
    let lab = Lab::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    lab.write(
        &format!("hosts/{}.toml", lab.name()),
        &lab.host_file_at("127.0.0.1", silent.local_addr().unwrap().port(), &gated("new")),
    );
    // Which of the two hears of it first is left to chance, so more than once.
    for _ in 0..8 {
        let running = start(&lab, &["apply", "--yes"]);
        let (_held, _) = silent.accept().unwrap();
        running.signal("INT");
        let ran = running.ends_within(Duration::from_secs(10)).expect(130);
        assert!(ran.stderr.contains("nothing was touched"), "{}", ran.told());
    }

    lab.declare(&gated("new"));
    let running = start(&lab, &["apply", "--yes"]);
    comes_to_gate(&lab);
    running.signal("INT");
    running.signal("INT");
    let _ = running.ends_within(Duration::from_secs(10)).expect(130);
    open(&lab);
    until("the run ends by itself", || phase(&lab) == Some(RunPhase::Confirmed));
    assert_is(&lab, "new");
}

#[test]
fn a_reader_that_goes_away_stops_no_apply_and_a_full_device_is_told() {
    let lab = Lab::new();
    open(&lab);
    lab.declare(&gated("one"));
    let mut command = lab.command(&["apply", "--yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Gone before the first byte.
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_is(&lab, "one");

    lab.declare(&gated("two"));
    let line = format!("set -o pipefail; {PROVISION} apply --yes 2>&1 | head -1");
    let mut shell = Command::new("/bin/bash");
    let output = shell
        .args(["-c", &line])
        .current_dir(lab.root())
        .env("HOME", lab.root())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_is(&lab, "two");

    lab.declare(&gated("three"));
    let mut command = lab.command(&["apply", "--yes"]);
    command
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .stderr(Stdio::piped());
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{told}");
    assert!(told.contains("standard output") && !told.contains("panicked"), "{told}");
    assert_is(&lab, "three");

    // Nor does one whose talk nobody can hear.
    lab.declare(&gated("four"));
    let mut command = lab.command(&["apply", "--yes"]);
    command
        .stdout(Stdio::null())
        .stderr(File::options().write(true).open("/dev/full").unwrap());
    assert_eq!(command.status().unwrap().code(), Some(0));
    assert_is(&lab, "four");
}

#[test]
fn a_terminal_that_hangs_up_leaves_the_run_on_the_host() {
    let lab = Lab::new();
    lab.declare(&gated("new"));
    let running: Running = start(&lab, &["apply", "--yes"]);
    comes_to_gate(&lab);
    running.signal("HUP");
    let ran = running.ends();
    assert_ne!(ran.status.code(), Some(0), "{}", ran.told());
    open(&lab);
    until("the run ends by itself", || phase(&lab) == Some(RunPhase::Confirmed));
    assert_is(&lab, "new");
}
