//! Connections that break while a plan is applied. The run goes on on the host, and the controller tells the host's
//! verdict or that it does not know it; never anything else.

use std::time::{Duration, Instant};

use provision_core::model::RunPhase;
use provision_rehearse::{Direction, Effect, Fault, Link, LinkOptions};

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
    for (reattached, unreachable) in &results {
        assert!(*reattached >= 3 && *unreachable >= 1, "{results:?}");
    }
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
