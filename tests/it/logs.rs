//! What units of a real host wrote, read from its journal: bounded, in order, and fit for a terminal.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::faults::until;
use crate::lab::Lab;

/// A unit that writes five lines, one of them hostile, and a unit that waits to be told what to say.
const UNITS: &str = "set -e
printf '#!/bin/sh\\nfor n in 1 2 3 4; do echo line $n; done\\nprintf \"\\\\033[2Jevil\\\\n\"\\n' > /srv/five; chmod +x /srv/five
printf '[Service]\\nType=oneshot\\nExecStart=/srv/five\\n' > /etc/systemd/system/five.service
mkfifo /srv/say
printf '[Service]\\nExecStart=/bin/sh -c \"while read -r line < /srv/say; do echo $$line; done\"\\n' > /etc/systemd/system/parrot.service
systemctl daemon-reload; systemctl start five parrot; journalctl --sync";

#[test]
fn a_units_lines_come_in_order_bounded_and_escaped() {
    let lab = Lab::new();
    lab.on_host(UNITS);
    let name = lab.name().to_owned();
    let all = lab.provision(&["logs", &name, "five"]).expect(0);
    let said: Vec<_> = all.stdout.lines().filter(|line| line.contains("five[")).collect();
    assert_eq!(said.len(), 5, "{}", all.told());
    assert!(
        said[0].ends_with("]: line 1") && said[4].ends_with("]: \\u{1b}[2Jevil"),
        "{}",
        all.told()
    );
    assert!(!all.stdout.contains('\u{1b}'));
    // What systemd says of it is its journal as well.
    assert!(all.stdout.contains("systemd[1]: "), "{}", all.told());

    let json = lab
        .provision(&["logs", &name, "five.service", "--lines", "3", "--json"])
        .expect(0);
    let lines: Vec<serde_json::Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4, "{}", json.told());
    assert_eq!(
        (&lines[3]["type"], &lines[3]["exit_code"]),
        (&"summary".into(), &0.into())
    );
    assert!(lines[0]["at"].as_u64().unwrap() > 1_600_000_000_000);
    let bounded = lab.provision(&["logs", &name, "five", "-n", "3"]).expect(0);
    assert!(bounded.stderr.contains("the newest 3 entries"), "{}", bounded.told());

    let none = lab
        .provision(&["logs", &name, "five", "--since", "2100-01-01"])
        .expect(0);
    assert_eq!(none.stdout, "", "{}", none.told());
    assert!(
        none.stderr.contains("five.service wrote nothing since then"),
        "{}",
        none.told()
    );
    let some = lab.provision(&["logs", &name, "five", "--since", "1d"]).expect(0);
    assert_eq!(some.stdout, all.stdout);
    // An alias is the unit that it stands for.
    let alias = lab.provision(&["logs", &name, "sshd"]).expect(0);
    assert!(alias.stdout.contains("sshd["), "{}", alias.told());
}

#[test]
fn what_comes_is_followed_until_ctrl_c_and_nothing_stays_behind() {
    let lab = Lab::new();
    lab.on_host(UNITS);
    let mut command = lab.command(&["logs", lab.name(), "parrot", "--follow", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut says = |words: &str| {
        lab.on_host(&format!("echo {words} > /srv/say"));
        // Ends with the test's own patience, if nothing comes.
        let found = lines.by_ref().map(Result::unwrap).find(|line| line.contains(words));
        assert!(found.is_some(), "{words} never came");
    };
    says("first");
    says("second");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let last = lines.map(Result::unwrap).last().unwrap();
    assert!(last.contains("\"summary\""), "{last}");
    until("journalctl has ended", || {
        lab.on_host("cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^journalctl' || true") == "0"
    });
}

#[test]
fn a_unit_that_is_not_there_is_said_with_the_one_that_may_be_meant() {
    let lab = Lab::new();
    let name = lab.name().to_owned();
    let wrong = lab.provision(&["logs", &name, "sysemd-journald"]).expect(1);
    for seen in [
        "has no unit sysemd-journald.service",
        "did you mean systemd-journald.service?",
    ] {
        assert!(wrong.stderr.contains(seen), "no {seen:?}: {}", wrong.told());
    }
    let nobody = lab
        .provision(&["logs", &name, "ssh", "--user", "nobody-at-all"])
        .expect(1);
    assert!(
        nobody.stderr.contains("has no user \"nobody-at-all\""),
        "{}",
        nobody.told()
    );
    // A unit that is gone has its journal still.
    lab.on_host("systemd-run --quiet --wait --unit=gone echo I was here; journalctl --sync");
    let gone = lab.provision(&["logs", &name, "gone"]).expect(0);
    assert!(gone.stdout.contains("I was here"), "{}", gone.told());
}

#[test]
fn units_of_users_are_found_by_their_user() {
    let lab = Lab::new();
    lab.on_host(
        "set -e; useradd -m bob; loginctl enable-linger bob; uid=$(id -u bob); systemctl start user@$uid.service
mkdir -p ~bob/.config/systemd/user; printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/echo from bob\\n' > ~bob/.config/systemd/user/mine.service
chown -R bob: ~bob/.config
as() { setpriv --reuid=bob --regid=bob --clear-groups env XDG_RUNTIME_DIR=/run/user/$uid \"$@\"; }
as systemctl --user daemon-reload; as systemctl --user start mine; journalctl --sync",
    );
    let name = lab.name().to_owned();
    let mine = lab.provision(&["logs", &name, "mine", "--user", "bob"]).expect(0);
    assert!(mine.stdout.contains("from bob"), "{}", mine.told());
    let whose = lab.provision(&["logs", &name, "mine"]).expect(1);
    assert!(whose.stderr.contains("--user bob"), "{}", whose.told());
}
