//! Hosts that let us in, and then say nothing: no command starts, the agent greets and falls silent, it hangs in the middle
//! of an apply, the line goes dark. Every such wait has an end, which follows from `--timeout`.

use std::fs;
use std::time::{Duration, Instant};

use provision_core::model::RunPhase;
use provision_rehearse::{Direction, Effect, Fault, Link, LinkOptions};

use super::hostile::{AFTER_HELLO, replace, replaced};
use super::running::{note, until};
use super::scene::{assert_is, comes_to_gate, gated, is_plain, open, phase, start};
use crate::lab::{Lab, Ran};

/// Runs the program on a silent host, and fails the test unless it ends with that code and says all of this.
#[track_caller]
fn ends(lab: &Lab, args: &[&str], code: i32, parts: &[&str]) -> Ran {
    let begun = Instant::now();
    let ran = start(lab, args).ends_within(Duration::from_secs(45)).expect(code);
    note(format_args!("{args:?}: {parts:?}"), begun);
    for part in parts {
        assert!(ran.told().contains(part), "no {part:?} in {}", ran.told());
    }
    assert!(is_plain(&ran.stdout) && is_plain(&ran.stderr), "{}", ran.told());
    ran
}

#[test]
fn an_agent_that_greets_and_then_says_nothing_ends_every_question_in_time() {
    let (lab, agent) = replaced();
    let name = lab.name();
    let _ = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
    replace(&agent, &format!("{AFTER_HELLO}sleep 600;"));
    let timeout = ["--timeout", "1s"];
    let silent = ["the session with the agent broke", "it said nothing for", "--timeout"];
    for args in [&["plan"][..], &["apply", "--yes"], &["drift"], &["status"]] {
        ends(&lab, &[args, &timeout].concat(), 4, &silent);
    }
    for args in [&["generations", name][..], &["rollback", name, "--plan"]] {
        ends(&lab, &[args, &timeout].concat(), 4, &silent);
    }
    // Once a plan was handed over nobody knows what became of it, and so that is said, with the way to find out.
    let ran = ends(
        &lab,
        &[&["apply", "./saved.plan", "--yes"], &timeout[..]].concat(),
        4,
        &["unknown", "it said nothing for"],
    );
    assert!(
        ran.stdout.contains(&format!("provision attach {name} --plan ")),
        "{}",
        ran.told()
    );
    // It was carried out, in fact.
    replace(&agent, "#!/bin/sh\nexec /root/agent session\n");
    let ran = lab.provision(&["attach", name]).expect(0);
    assert!(ran.stdout.contains("changed"), "{}", ran.told());
}

/// Lets sshd run this instead of every command.
fn force(lab: &Lab, script: &str) {
    fs::write(lab.outside("/srv/forced"), script).unwrap();
    lab.on_host("chmod 0755 /srv/forced; grep -q ^ForceCommand /etc/ssh/sshd_config || { echo 'ForceCommand /srv/forced' >> /etc/ssh/sshd_config; systemctl restart ssh; }");
    until("sshd is back", || {
        std::net::TcpStream::connect(lab.host.ssh_address()).is_ok()
    });
}

#[test]
fn a_login_after_which_nothing_starts_ends_at_every_step_of_bringing_the_agent() {
    let lab = Lab::new();
    lab.declare("[files.\"/srv/file\"]\ntext = \"one\\n\"\n");
    force(&lab, "#!/bin/sh\nexec sleep 600\n");
    ends(
        &lab,
        &["plan", "--timeout", "2s"],
        4,
        &["cannot start the agent", "it said nothing for 2 s"],
    );
    // The agent is missing, and then the host does not say what it is, or takes the agent and never says that it has it.
    let asked = "#!/bin/sh\ncase \"$SSH_ORIGINAL_COMMAND\" in\n*session) exit 127 ;;\n";
    force(&lab, &format!("{asked}*) exec sleep 600 ;;\nesac\n"));
    ends(
        &lab,
        &["plan", "--timeout", "2s"],
        4,
        &["cannot start the agent", "did not end within 2 s"],
    );
    force(
        &lab,
        &format!("{asked}*uname*) uname -m ;;\n*) cat > /dev/null; exec sleep 600 ;;\nesac\n"),
    );
    ends(
        &lab,
        &["plan", "--timeout", "1s"],
        4,
        &["cannot start the agent", "did not end within 10 s"],
    );
    // It closes its output, and stays.
    force(&lab, "#!/bin/sh\nexec >&- 2>&-\nexec sleep 600\n");
    ends(
        &lab,
        &["plan", "--timeout", "2s"],
        4,
        &["did not say how the command ended within 2 s"],
    );
}

#[test]
fn an_agent_that_hangs_in_the_middle_of_an_apply_is_left_for_another() {
    let lab = Lab::new();
    lab.declare(&gated("new"));
    let running = start(&lab, &["apply", "--yes", "--timeout", "3s"]);
    comes_to_gate(&lab);
    // The step is silent, and nothing is wrong: it may be so for as long as it takes.
    let quiet = Instant::now();
    until("much longer than any word may take", || {
        quiet.elapsed() > Duration::from_secs(8)
    });
    assert!(!running.told().contains("connection lost"), "{}", running.told());
    // The connection stands, sshd answers every keepalive, and the agent never says another word.
    let stop = "for each in $(grep -lzx session /proc/[0-9]*/cmdline); do pid=${each#/proc/}; kill -STOP ${pid%/cmdline}; echo stopped; done";
    assert!(lab.on_host(stop).contains("stopped"));
    let silent = Instant::now();
    running.says("it said nothing for 6 s");
    note("a hanging agent was noticed", silent);
    running.says("re-attaching");
    open(&lab);
    let ran = running.ends().expect(0);
    assert!(ran.stdout.contains("changed"), "{}", ran.told());
    assert_eq!(phase(&lab), Some(RunPhase::Confirmed));
    assert_is(&lab, "new");
}

#[test]
fn a_line_that_goes_dark_at_any_byte_of_a_look_ends_it_in_time() {
    let lab = Lab::new();
    lab.declare("[files.\"/srv/file\"]\ntext = \"one\\n\"\n");
    let _ = lab.provision(&["plan"]).expect(0);
    // A handshake, a login, the agent's start, its answer.
    let dark = |direction, at| {
        let fault = Fault {
            direction,
            at,
            effect: Effect::BlackHole,
        };
        let options = LinkOptions {
            faults: vec![fault],
            ..LinkOptions::default()
        };
        let link = Link::start(lab.host.ssh_address(), options).unwrap();
        let project = tempfile::tempdir().unwrap();
        fs::create_dir(project.path().join("hosts")).unwrap();
        let file = project.path().join(format!("hosts/{}.toml", lab.name()));
        fs::write(file, lab.host_file_at("127.0.0.1", link.address().port(), "")).unwrap();
        let mut command = lab.command(&["plan", "--timeout", "3s"]);
        command.current_dir(project.path());
        let begun = Instant::now();
        let ran = super::running::Running::start(command).ends_within(Duration::from_secs(45));
        let what = format!("{direction:?} {at}: {}", ran.told());
        assert_eq!(ran.status.code(), Some(4), "{what}");
        assert!(link.pending_faults().is_empty(), "{what}");
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?} {what}",
            begun.elapsed()
        );
        assert!(ran.told().contains(" s") && !ran.told().contains("panicked"), "{what}");
    };
    let dark = &dark;
    let from_host = [0, 20, 700, 1500, 2200, 2600].map(|at| (Direction::FromHost, at));
    let to_host = [0, 20, 700, 1200, 1500].map(|at| (Direction::ToHost, at));
    std::thread::scope(|scope| {
        for (direction, at) in from_host.into_iter().chain(to_host) {
            scope.spawn(move || dark(direction, at));
        }
    });
}
