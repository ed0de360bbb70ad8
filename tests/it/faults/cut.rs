//! Connections that break while a plan is applied. The run goes on on the host, and the controller tells the host's
//! verdict or that it does not know it; never anything else.

use std::time::{Duration, Instant};

use provision_core::model::RunPhase;
use provision_rehearse::{Direction, Effect, Fault, Link, LinkOptions, Loss};

use super::running::{note, until};
use super::scene::{assert_is, comes_to_gate, gated, open, phase, runs, start};
use crate::lab::Lab;

/// Where a fault hits: within the handshake, the login, the start of the agent, the journal's events, and after all.
const OFFSETS: [u64; 9] = [0, 1200, 2600, 3100, 3400, 3800, 4300, 4800, 9000];

/// A host behind a link, and a host file that leads through it.
fn linked(body: &str) -> (Lab, Link) {
    let lab = Lab::new();
    let link = Link::start(lab.host.ssh_address(), LinkOptions::default()).unwrap();
    declare_linked(&lab, &link, body);
    (lab, link)
}

fn declare_linked(lab: &Lab, link: &Link, body: &str) {
    let text = lab.host_file_at("127.0.0.1", link.address().port(), body);
    lab.write(&format!("hosts/{}.toml", lab.name()), &text);
}

/// Breaks the connection of an apply at every offset. How often it came back to a run, and how often the run never began.
fn broken_everywhere(direction: Direction, effect: Effect) -> (usize, usize) {
    let (lab, link) = linked("");
    open(&lab);
    let (mut reattached, mut unreachable) = (0, 0);
    // The agent is there, so that offsets are the same everywhere.
    declare_linked(&lab, &link, &gated("first"));
    let _ = lab.provision(&["apply", "--yes"]).expect(0);
    for at in OFFSETS {
        let what = format!("{direction:?} {effect:?} at {at}");
        let text = format!("at-{at}");
        declare_linked(&lab, &link, &gated(&text));
        let _ = lab.provision(&["plan", "--out", "./saved.plan"]).expect(0);
        let before = runs(&lab);
        link.arm(Fault { direction, at, effect });
        let ran = lab.provision(&["apply", "./saved.plan", "--yes"]);
        let told = ran.told();
        let hit = link.pending_faults().is_empty();
        match ran.code() {
            0 => {
                assert_eq!(phase(&lab), Some(RunPhase::Confirmed), "{what}: {told}");
                reattached += usize::from(hit && told.contains("re-attaching"));
            }
            4 => {
                // It says that nothing was changed, so nothing may ever be.
                assert!(told.contains("unreachable") && hit, "{what}: {told}");
                assert_eq!(runs(&lab), before, "{what}: {told}");
                unreachable += 1;
                let _ = lab.provision(&["apply", "./saved.plan", "--yes"]).expect(0);
            }
            _ => panic!("{what}: {told}"),
        }
        // A fault that lies behind the last byte is the next connection's; that one may find it in its own way.
        if !hit {
            let _ = lab.provision(&["plan"]);
            break;
        }
        assert_is(&lab, &text);
    }
    (reattached, unreachable)
}

#[test]
fn a_connection_that_breaks_at_any_byte_never_hides_or_invents_what_the_host_did() {
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = [(Direction::FromHost, Effect::Reset), (Direction::ToHost, Effect::Close)]
            .map(|(direction, effect)| scope.spawn(move || broken_everywhere(direction, effect)))
            .into_iter()
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // What ends before the greeting is tried again, and what ends in the login is told.
    assert!(results.iter().all(|(reattached, _)| *reattached >= 3), "{results:?}");
    assert!(results.iter().any(|(_, unreachable)| *unreachable >= 1), "{results:?}");
}

#[test]
fn a_run_whose_link_is_cut_goes_on_and_is_found_again() {
    let (lab, link) = linked(&gated("new"));
    let running = start(&lab, &["apply", "--yes"]);
    comes_to_gate(&lab);
    link.cut();
    running.says("connection lost");
    open(&lab);
    until("the host ends the run alone", || {
        phase(&lab) == Some(RunPhase::Confirmed)
    });
    link.heal();
    let healed = Instant::now();
    let ran = running.ends().expect(0);
    note("told after the link was back", healed);
    assert!(healed.elapsed() < Duration::from_secs(10), "{}", ran.told());
    assert!(ran.stdout.contains("changed"), "{}", ran.told());
    assert_is(&lab, "new");
}

#[test]
fn a_link_that_swallows_everything_is_noticed_and_costs_bounded_time() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (lab, link) = linked(&gated("new"));
            let running = start(&lab, &["apply", "--yes", "--timeout", "5s"]);
            comes_to_gate(&lab);
            link.black_hole();
            let dark = Instant::now();
            open(&lab);
            until("the host ends the run alone", || {
                phase(&lab) == Some(RunPhase::Confirmed)
            });
            running.says("connection lost");
            note("a black hole was noticed", dark);
            assert!(dark.elapsed() < Duration::from_secs(30));
            link.heal();
            let healed = Instant::now();
            let ran = running.ends().expect(0);
            note("told after the black hole", healed);
            assert!(healed.elapsed() < Duration::from_secs(15), "{}", ran.told());
            assert_is(&lab, "new");
        });
        scope.spawn(|| {
            let (lab, link) = linked(&gated("new"));
            let running = start(&lab, &["apply", "--yes", "--timeout", "3s"]);
            comes_to_gate(&lab);
            link.black_hole();
            let dark = Instant::now();
            open(&lab);
            let ran = running.ends_within(Duration::from_secs(90)).expect(4);
            note("a black hole for ever was given up", dark);
            let [run] = runs(&lab).try_into().unwrap();
            let attach = format!("provision attach {} --plan {run}", lab.name());
            assert!(
                ran.stdout.contains("unknown") && ran.stdout.contains(&attach),
                "{}",
                ran.told()
            );

            // What it printed, later and by another way: the host's verdict.
            lab.declare(&gated("new"));
            let args: Vec<_> = attach.split(' ').skip(1).collect();
            let ran = lab.provision(&args).expect(0);
            assert!(ran.stdout.contains("changed"), "{}", ran.told());
            assert_is(&lab, "new");
        });
    });
}

#[test]
fn a_host_that_loses_its_power_is_waited_for_and_its_verdict_told() {
    let mut lab = Lab::new();
    lab.declare(&gated("new"));
    let running = start(&lab, &["apply", "--yes"]);
    comes_to_gate(&lab);
    lab.host.power_cut().unwrap();
    lab.host.boot().unwrap();
    let ran = running.ends().expect(3);
    assert!(ran.stdout.contains("killed on the host"), "{}", ran.told());
    open(&lab);
    let _ = lab.provision(&["apply", "--yes"]).expect(0);
    assert_is(&lab, "new");
}

#[test]
fn a_host_whose_key_is_another_when_it_is_come_back_to_is_not_asked_again() {
    let (lab, link) = linked(&gated("new"));
    let running = start(&lab, &["apply", "--yes"]);
    comes_to_gate(&lab);
    let old = lab.on_host("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2");
    link.cut();
    running.says("connection lost");
    lab.on_host("cp -p /etc/ssh/ssh_host_ed25519_key* /root/; rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart ssh");
    let new = lab.on_host("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2");
    until("sshd is back", || {
        std::net::TcpStream::connect(lab.host.ssh_address()).is_ok()
    });
    let logins = || {
        lab.on_host("journalctl --sync; journalctl -q -u ssh --output=cat | grep -cE 'Accepted|authenticating' || true")
    };
    let before = logins();
    link.heal();
    let healed = Instant::now();
    // Coming back to a host is tried for two minutes and a half; this is no host to come back to.
    let ran = running.ends_within(Duration::from_secs(30)).expect(4);
    note("told after the link was back", healed);
    for part in ["unknown", "host key", &old, &new, "provision attach"] {
        assert!(ran.told().contains(part), "no {part:?} in {}", ran.told());
    }
    assert_eq!(logins(), before, "nobody tried to log in");

    // The host is itself again, and tells its verdict.
    open(&lab);
    until("the host ends the run alone", || {
        phase(&lab) == Some(RunPhase::Confirmed)
    });
    lab.on_host("mv /root/ssh_host_* /etc/ssh/; systemctl restart ssh");
    let ran = lab.provision(&["attach", lab.name()]).expect(0);
    assert!(ran.stdout.contains("changed"), "{}", ran.told());
    assert_is(&lab, "new");
}

#[test]
fn a_slow_line_that_loses_packets_takes_longer_and_ends_the_same() {
    let lab = Lab::new();
    // 250 ms each way, and every 256 KiB of a direction something is lost and sent again.
    let loss = Loss {
        every: 256 << 10,
        pause: Duration::from_millis(700),
    };
    let bring = LinkOptions {
        delay: Duration::from_millis(250),
        bandwidth: Some(2 << 20),
        loss: Some(loss),
        ..LinkOptions::default()
    };
    let link = Link::start(lab.host.ssh_address(), bring).unwrap();
    declare_linked(&lab, &link, "");
    let begun = Instant::now();
    let ran = start(&lab, &["plan"]).ends_within(Duration::from_secs(120)).expect(0);
    note("the agent came over a lossy line", begun);
    assert!(!ran.told().contains("error"), "{}", ran.told());

    // 64 kbit/s, and something is lost all the time.
    let crawl = LinkOptions {
        delay: Duration::from_millis(250),
        bandwidth: Some(8_000),
        loss: Some(Loss {
            every: 2_000,
            pause: Duration::from_millis(300),
        }),
        ..LinkOptions::default()
    };
    let link = Link::start(lab.host.ssh_address(), crawl).unwrap();
    open(&lab);
    declare_linked(&lab, &link, &gated("slow"));
    let begun = Instant::now();
    let ran = start(&lab, &["apply", "--yes"])
        .ends_within(Duration::from_secs(120))
        .expect(0);
    note("an apply at 64 kbit/s", begun);
    assert!(!ran.told().contains("connection lost"), "{}", ran.told());
    // And it is cut as well: before anything was handed over that ends it, and later it is come back to.
    declare_linked(&lab, &link, &gated("cut"));
    let mut unreachable = 0;
    for at in [2_000, 6_000, 9_000] {
        link.arm(Fault {
            direction: Direction::FromHost,
            at,
            effect: Effect::Reset,
        });
        let ran = start(&lab, &["apply", "--yes"]).ends_within(Duration::from_secs(120));
        match ran.code() {
            0 => {}
            4 if ran.told().contains("unreachable") => unreachable += 1,
            _ => panic!("{}", ran.told()),
        }
    }
    assert!(unreachable >= 1, "a line that breaks in the login is told");
    lab.declare(&gated("cut"));
    assert_is(&lab, "cut");
}
