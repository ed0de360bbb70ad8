//! Plans that touch the way in: one that cuts it off is undone by the host alone, whatever else happens meanwhile, and one
//! that does not is confirmed over a new connection. What the host decided is what is told.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use provision_core::model::RunPhase;

use super::killed::kill_runner;
use super::running::{PATIENCE, Running, until};
use super::scene::{assert_no_leftovers, comes_to_gate, open, phase, start};
use crate::lab::{Lab, Ran};

/// A drop-in for sshd, which is restarted with it.
fn sshd(lines: &str) -> String {
    format!(
        "[files.\"/etc/ssh/sshd_config.d/test.conf\"]\ntext = \"{lines}\\n\"\nsensitive = true\n\
         [units.\"ssh.service\"]\nenabled = true\nactive = true\nrestart_on = [\"file:/etc/ssh/sshd_config.d/test.conf\"]\n"
    )
}

/// All that the way in rests on, as the host has it.
const DIGEST: &str = r"
find /etc/ssh /root/.ssh /etc/sudoers.d /etc/cron.d -printf '%p %M %U:%G %l\n' | sort
find /etc/ssh /root/.ssh /etc/sudoers.d /etc/cron.d -type f | sort | xargs sha256sum
getent passwd; getent group; getent shadow
systemctl is-enabled ssh.service; systemctl is-active ssh.service
ss -Hltn 'sport = :22 or sport = :2222' | awk '{print $4}' | sort
cat /proc/sys/net/ipv4/ip_local_port_range";

/// That the host is armed for nothing any more.
#[track_caller]
fn assert_disarmed(lab: &Lab) {
    let left = lab.on_host(
        "ls -d /etc/systemd/system/*/provision-recover.service /etc/systemd/system/provision-recover.service /var/lib/provision/armed.json \
         /var/lib/provision/runs/*/kept 2>/dev/null || true",
    );
    assert_eq!(left, "");
    until("nobody watches any more", || {
        lab.on_host("systemctl list-units --no-legend 'provision-apply-*' 'provision-watch-*' provision-recover.service || true")
            .is_empty()
    });
    assert_no_leftovers(lab);
}

/// How the newest generation ended.
fn newest(lab: &Lab) -> String {
    let told = lab.provision(&["generations", lab.name(), "--json"]).expect(0).json();
    told["generations"][0]["outcome"].as_str().unwrap().to_owned()
}

/// Applies what cuts the way in, and fails the test unless the host has undone it and says so.
#[track_caller]
fn is_undone(lab: &Lab, body: &str, before: &str) -> Ran {
    lab.declare(body);
    let ran = lab
        .provision(&["apply", "--yes", "--confirm-within", "3s", "--timeout", "5s"])
        .expect(3);
    assert!(ran.stdout.contains("rolled-back"), "{}", ran.told());
    assert!(
        ran.stdout.contains("all that it had changed is as it was before"),
        "{}",
        ran.told()
    );
    let log = "cat /var/lib/provision/runs/*/runner.log; journalctl -q -u ssh --output=cat | tail -40";
    assert_eq!(lab.on_host(DIGEST), before, "{}\n{}", ran.told(), lab.on_host(log));
    assert_eq!(newest(lab), "rolled-back");
    assert_disarmed(lab);
    ran
}

#[test]
fn what_cuts_the_way_in_is_undone_by_the_host_alone() {
    let lab = Lab::new();
    lab.on_host("adduser --quiet --disabled-password --gecos '' walker; echo walker:secret | chpasswd");
    let first = sshd("LogLevel INFO");
    lab.converge(&first);
    // Another line than the one that was applied: what comes back is what was there, not what was declared.
    lab.on_host("echo '# by hand' >> /etc/ssh/sshd_config.d/test.conf; systemctl restart ssh");
    let before = lab.on_host(DIGEST);

    let port = is_undone(&lab, &sshd("Port 2222"), &before);
    assert!(
        port.stdout.contains("no new connection could be made in time"),
        "{}",
        port.told()
    );
    assert!(port.stdout.contains("refused"), "{}", port.told());
    is_undone(&lab, &sshd("AllowUsers nobody"), &before);
    // sshd does not start with this: a step fails, and nobody can come in.
    let broken = is_undone(&lab, &sshd("NoSuchKeyword yes"), &before);
    assert!(broken.stdout.contains("a step failed"), "{}", broken.told());
    let keys = "[files.\"/root/.ssh/authorized_keys\"]\ntext = \"# nobody\\n\"\nmode = \"0600\"\n";
    is_undone(&lab, &(first.clone() + keys), &before);
    is_undone(&lab, &first.replace("active = true", "active = false"), &before);

    // With it goes all else that the plan did: a user who was made, one who was deleted, a kernel parameter, a file that left.
    lab.converge(
        &(first.clone() + "[users.walker]\non_removal = \"remove\"\n[files.\"/etc/cron.d/x\"]\ntext = \"# x\\n\"\n"),
    );
    let before = lab.on_host(DIGEST);
    let more =
        "[users.runner]\ngroups = [\"games\"]\n[sysctl.\"net.ipv4.ip_local_port_range\"]\nvalue = \"20000 60000\"\n";
    is_undone(&lab, &(sshd("AllowUsers runner") + more), &before);
    assert!(before.contains("walker:$"), "{before}");

    // What is undone is not declared any less.
    lab.converge(&sshd("LogLevel VERBOSE"));
    assert_eq!(newest(&lab), "confirmed");
}

#[test]
fn what_leaves_the_way_in_open_is_confirmed_and_leaves_no_trace() {
    let lab = Lab::new();
    let ran = lab.converge(&sshd("LogLevel VERBOSE"));
    assert!(
        ran.told().contains("confirming over a new connection"),
        "{}",
        ran.told()
    );
    assert_eq!(newest(&lab), "confirmed");
    assert_disarmed(&lab);
    let plan = lab.apply("").expect(0);
    assert!(plan.told().contains("touches the way in"), "{}", plan.told());
    assert_disarmed(&lab);

    // What does not touch it waits for nobody.
    let ran = lab.converge("[files.\"/etc/motd\"]\ntext = \"hello\\n\"\n");
    assert!(!ran.told().contains("confirming"), "{}", ran.told());

    // A new place is confirmed there, and not at the old one.
    lab.declare(&sshd("Port 2222"));
    let ran = lab.provision(&["apply", "--yes", "--confirm-at", ":2222"]).expect(0);
    assert_eq!(
        TcpStream::connect(lab.host.ssh_address()).unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    lab.write(
        &format!("hosts/{}.toml", lab.name()),
        &lab.host_file(2222, &sshd("Port 2222")),
    );
    lab.assert_converged();
    assert_eq!(newest(&lab), "confirmed", "{}", ran.told());
    assert_disarmed(&lab);
}

/// A change of sshd, then a command that waits for the gate.
fn gated(lines: &str) -> String {
    sshd(lines)
        + "[commands.gate]\nrun = [\"/bin/sh\", \"-c\", \"until [ -e /srv/open ]; do sleep 0.02; done; touch /srv/passed\"]\n\
           creates = \"/srv/passed\"\nafter = [\"file:/srv/app/one\"]\n\
           [directories.\"/srv/app\"]\n[files.\"/srv/app/one\"]\ntext = \"x\\n\"\nafter = [\"unit:ssh.service\"]\n"
}

/// Starts an apply that cuts the way in, and waits until it has.
fn cut_off(lab: &Lab, args: &[&str]) -> Running {
    lab.declare(&gated("Port 2222"));
    let running = start(lab, args);
    comes_to_gate(lab);
    running
}

#[test]
fn a_runner_that_is_killed_after_its_first_change_is_undone_at_once() {
    let lab = Lab::new();
    lab.converge(&sshd("LogLevel INFO"));
    let before = lab.on_host(DIGEST);
    let running = cut_off(&lab, &["apply", "--yes"]);
    assert_ne!(lab.on_host(DIGEST), before);
    kill_runner(&lab);
    until("the host has undone it", || phase(&lab) == Some(RunPhase::RolledBack));
    let ran = running.ends();
    assert_eq!(ran.code(), 3, "{}", ran.told());
    assert!(ran.stdout.contains("rolled-back"), "{}", ran.told());
    assert_eq!(lab.on_host(DIGEST), before);
    // What the run had begun does not go on either.
    lab.on_host("test ! -e /srv/app; ! pgrep -f '[u]ntil .*/srv/open'");
    assert_disarmed(&lab);
    let status = lab.provision(&["status"]);
    assert!(status.stdout.contains("rolled-back"), "{}", status.told());

    // What watches is killed as well: systemd starts it again.
    let running = cut_off(&lab, &["apply", "--yes"]);
    let watcher = "systemctl show --value --property=MainPID 'provision-watch-*'";
    let first = lab.on_host(watcher);
    lab.on_host("systemctl kill --signal=KILL 'provision-watch-*'; systemctl kill --signal=KILL 'provision-apply-*'");
    until("the host has undone it", || phase(&lab) == Some(RunPhase::RolledBack));
    assert_ne!(first, "0");
    assert_eq!(running.ends().code(), 3);
    assert_eq!(lab.on_host(DIGEST), before);
    assert_disarmed(&lab);
}

#[test]
fn a_host_that_loses_power_before_it_is_confirmed_comes_up_as_it_was() {
    let mut lab = Lab::new();
    lab.converge(&sshd("LogLevel INFO"));
    let before = lab.on_host(DIGEST);
    for unconfirmed in [false, true] {
        let running = cut_off(&lab, &["apply", "--yes", "--confirm-within", "1h", "--timeout", "5s"]);
        if unconfirmed {
            open(&lab);
            until("it waits", || phase(&lab) == Some(RunPhase::Unconfirmed));
        }
        lab.host.power_cut().unwrap();
        running.signal("KILL");
        lab.host.boot().unwrap();
        // It comes up on the old port.
        lab.host.wait_ready(PATIENCE).unwrap();
        assert_eq!(phase(&lab), Some(RunPhase::RolledBack));
        assert_eq!(lab.on_host(DIGEST), before);
        assert_eq!(newest(&lab), "rolled-back");
        lab.on_host("rm -f /srv/passed /srv/open");
        assert_disarmed(&lab);
        lab.on_host("test ! -e /srv/app; systemctl is-active ssh.service");
        let status = lab.provision(&["status", "--json"]);
        assert!(status.stdout.contains("rolled-back"), "{}", status.told());
        // A command that has run is not undone, and is remembered for that.
        lab.declare(&sshd("LogLevel INFO"));
        let left = if unconfirmed { vec!["command:gate"] } else { Vec::new() };
        assert_eq!(lab.plan_ids(), left);
        lab.converge(&sshd("LogLevel INFO"));
    }
}

#[test]
fn one_who_confirms_and_the_deadline_never_disagree() {
    let lab = Lab::new();
    lab.converge(&sshd("LogLevel INFO"));
    let (mut stayed, mut undone) = (0, 0);
    // How long it takes here to come in and confirm: the first round, with all the time in the world, tells.
    let mut coming = Duration::ZERO;
    for round in 0..9_u32 {
        let from = lab.on_host(DIGEST);
        lab.declare(&sshd(&format!("LogLevel VERBOSE\\nMaxStartups {}", 20 + round)));
        let within = if round == 0 {
            Duration::from_secs(600)
        } else {
            coming + Duration::from_secs(2)
        };
        let within = Duration::from_secs(within.as_secs());
        let seconds = format!("{}s", within.as_secs());
        // It cannot confirm by itself: nobody listens there.
        let running = start(
            &lab,
            &["apply", "--yes", "--confirm-within", &seconds, "--confirm-at", ":9"],
        );
        until("it waits", || phase(&lab) == Some(RunPhase::Unconfirmed));
        let waits = Instant::now();
        // The moments around the last one at which somebody who comes is not too late.
        let late = within.saturating_sub(coming) + coming * round / 4;
        let late = late.saturating_sub(coming);
        match round {
            0 => {}
            8 => until("it is decided", || phase(&lab) != Some(RunPhase::Unconfirmed)),
            _ => until("the moment", || waits.elapsed() >= late),
        }
        let began = Instant::now();
        let other = start(&lab, &["attach", lab.name()]);
        if round == 0 {
            until("it is decided", || phase(&lab) != Some(RunPhase::Unconfirmed));
            coming = began.elapsed();
        }
        let (told, other) = (running.ends(), other.ends());
        let decision = fs::read_dir(lab.outside("/var/lib/provision/runs")).unwrap();
        let newest_run = decision
            .filter_map(|run| {
                let path = run.unwrap().path().join("decision.json");
                Some((path.metadata().ok()?.modified().ok()?, path))
            })
            .max();
        let decision = fs::read_to_string(newest_run.unwrap().1).unwrap();
        let words = format!("round {round}: {decision}\n{}\n{}", told.told(), other.told());
        if decision.contains("confirmed") {
            stayed += 1;
            assert_ne!(round, 8, "nobody came in time");
            assert_eq!((told.code(), other.code()), (0, 0), "{words}");
            assert_ne!(lab.on_host(DIGEST), from, "{words}");
            assert_eq!(newest(&lab), "confirmed");
        } else {
            undone += 1;
            // Who comes while the undo restarts sshd is not let in, and learns no more than that.
            assert_eq!(told.code(), 3, "{words}");
            assert!(matches!(other.code(), 3 | 4), "{words}");
            assert_eq!(lab.on_host(DIGEST), from, "{words}");
            assert_eq!(newest(&lab), "rolled-back");
        }
    }
    assert!(stayed > 0 && undone > 0, "{stayed} stayed and {undone} were undone");
    assert_disarmed(&lab);
}

#[test]
fn a_firewall_that_drops_who_applies_it_is_taken_away_by_the_host_alone() {
    let mut lab = Lab::new();
    // It lets the port in, so nothing is wrong with it that could be seen before; but not from here.
    let firewall = |from: &str| {
        format!("[firewall]\ndefault = \"drop\"\n[firewall.allow.ssh]\nport = 22\nfrom = [\"{from}\", \"192.0.2.1\"]\n")
    };
    let table = "nft list table inet provision 2>&1; dpkg-query -W -f '${Status}' nftables; \
                 ls -1 /etc/nftables-provision.nft /etc/systemd/system/sysinit.target.wants 2>&1; true";
    let before = lab.on_host(DIGEST);
    let bare = lab.on_host("ls -1 /etc/systemd/system/sysinit.target.wants 2>&1; true");
    let cut = is_undone(&lab, &firewall("192.0.2.2"), &before);
    // A try that nobody answers is still under way then.
    assert!(cut.stdout.contains("was not confirmed"), "{}", cut.told());
    lab.on_host("! ls /etc/nftables-provision.nft /etc/systemd/system/provision-firewall.service 2>/dev/null");
    assert_eq!(
        lab.on_host("ls -1 /etc/systemd/system/sysinit.target.wants 2>&1; true"),
        bare
    );

    // One that lets us in comes back as it was, from the one that does not.
    lab.converge(&firewall("10.0.0.0/8"));
    let open = lab.on_host(table);
    assert!(open.contains("10.0.0.0/8"), "{open}");
    is_undone(&lab, &firewall("192.0.2.2"), &before);
    assert_eq!(lab.on_host(table), open);

    // The power goes before the host could undo it: it comes up with the old one.
    lab.declare(&firewall("192.0.2.2"));
    let running = start(&lab, &["apply", "--yes", "--confirm-within", "1h", "--timeout", "5s"]);
    until("it waits", || phase(&lab) == Some(RunPhase::Unconfirmed));
    lab.host.power_cut().unwrap();
    running.signal("KILL");
    lab.host.boot().unwrap();
    lab.host.wait_ready(PATIENCE).unwrap();
    assert_eq!(phase(&lab), Some(RunPhase::RolledBack));
    assert_eq!(lab.on_host(table), open);
    assert_disarmed(&lab);
}
