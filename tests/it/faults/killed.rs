//! Runs that die on the host: killed, or with the power. The next plan says what is left, and the next apply finishes it.

use std::collections::BTreeSet;

use super::running::{Running, until};
use super::scene::{assert_no_leftovers, done, gated, journal, open, phase, start};
use crate::lab::Lab;

/// Resources of every kind that changes something without a network, and a unit that uses some of them.
const BODY: &str = r#"
[groups.robots]
[users.robot]
group = "robots"
home = "/srv/robot"
system = true
[directories."/srv/robot"]
owner = "robot"
group = "robots"
mode = "0750"
[files."/srv/robot/settings"]
text = "speed = 3\n"
owner = "robot"
mode = "0640"
[files."/etc/issue"]
text = "managed\n"
[symlinks."/srv/robot/latest"]
target = "settings"
[sysctl."net.ipv4.ip_local_port_range"]
value = "20000 60000"
file = "/etc/sysctl.d/60-robot.conf"
[commands.seed]
run = ["/bin/sh", "-c", "echo seed > /srv/robot/seed"]
creates = "/srv/robot/seed"
[units."robot.service"]
text = """
[Service]
User=robot
ExecStart=/bin/sh -c "cat /srv/robot/settings; exec sleep infinity"
[Install]
WantedBy=multi-user.target
"""
enabled = true
active = true
settle = "200ms"
"#;

/// All that the body manages, as the host has it, without times.
const DIGEST: &str = r"
getent group robots; getent passwd robot
for path in /srv/robot /srv/robot/settings /srv/robot/seed /srv/robot/latest /etc/issue /etc/sysctl.d/60-robot.conf \
            /etc/systemd/system/robot.service /etc/systemd/system/multi-user.target.wants/robot.service; do
    stat -c '%n %F %a %U:%G %N' $path 2>/dev/null
    [ -f $path ] && sha256sum < $path
done
cat /proc/sys/net/ipv4/ip_local_port_range
systemctl is-enabled robot.service 2>/dev/null; systemctl is-active robot.service; systemctl is-failed robot.service
true";

/// A host where all is as declared, then nothing of it is left but what no removal touches; its digests for both.
fn digests(lab: &Lab) -> (String, String) {
    lab.converge(BODY);
    let full = lab.on_host(DIGEST);
    assert!(full.contains("active") && full.contains("robot:robots"), "{full}");
    clear(lab);
    (full, lab.on_host(DIGEST))
}

/// Everything leaves the configuration, and what the command made is taken away.
#[track_caller]
fn clear(lab: &Lab) {
    lab.on_host("rm -f /srv/robot/seed");
    lab.converge("");
}

/// After a run that died: the plan says what is left, an apply does it, and nothing shows that anything ever happened.
#[track_caller]
fn heals(lab: &Lab, what: &str, full: &str, empty: &str) {
    let planned = lab.plan();
    let converged = planned.code() == 0;
    assert!(matches!(planned.code(), 0 | 2), "{what}: {}", planned.told());
    let applied = lab.provision(&["apply", "--yes"]);
    assert_eq!(applied.code(), 0, "{what}: {}", applied.told());
    assert_eq!(lab.on_host(DIGEST), full, "{what}: {}", applied.told());
    lab.assert_converged();
    assert!(!converged || planned.stdout.contains("no change"), "{what}: {}", planned.told());
    assert_no_leftovers(lab);
    clear(lab);
    assert_eq!(lab.on_host(DIGEST), empty, "{what}: after removal");
    assert_no_leftovers(lab);
}

/// Starts an apply and waits until that many steps are done.
fn apply_until(lab: &Lab, steps: usize) -> Running {
    lab.declare(BODY);
    let known: BTreeSet<_> = super::scene::runs(lab).into_iter().collect();
    let running = start(lab, &["apply", "--yes"]);
    until("the steps are done", || {
        let begun = super::scene::runs(lab).iter().any(|run| !known.contains(run));
        begun && (done(lab) >= steps || phase(lab).is_some_and(|phase| phase.is_final()))
    });
    running
}

fn steps(lab: &Lab) -> usize {
    lab.declare(BODY);
    let plan = lab.provision(&["plan", "--json"]).expect(0).json();
    plan["hosts"][0]["plan"]["steps"].as_array().unwrap().len()
}

#[test]
fn a_runner_killed_at_any_step_is_finished_by_the_next_apply() {
    let lab = Lab::new();
    let (full, empty) = digests(&lab);
    let count = steps(&lab);
    assert!(count >= 10, "{count} steps");
    let mut killed = 0;
    for step in 0..count {
        let running = apply_until(&lab, step);
        let unit = "provision-apply-*.service";
        lab.on_host(&format!("systemctl kill --kill-whom=main --signal=KILL '{unit}' 2>&1 || true"));
        let ran = running.ends();
        let what = format!("killed after step {step} of {count}");
        match ran.code() {
            0 => {}
            3 => {
                killed += 1;
                assert!(ran.stdout.contains("killed on the host"), "{what}: {}", ran.told());
                assert!(journal(&lab).len() > step, "{what}");
            }
            _ => panic!("{what}: {}", ran.told()),
        }
        heals(&lab, &what, &full, &empty);
    }
    assert!(killed >= count - 2, "only {killed} of {count} runs were killed");
}

#[test]
fn a_power_cut_at_any_step_is_finished_by_the_next_apply() {
    let mut lab = Lab::new();
    let (full, empty) = digests(&lab);
    let count = steps(&lab);
    for step in [0, 2, 4, 6, 8, count - 1] {
        let running = apply_until(&lab, step);
        lab.host.power_cut().unwrap();
        // The controller is lost as well; one that is not waits for the host, which is another test's matter.
        running.signal("KILL");
        lab.host.boot().unwrap();
        lab.host.wait_ready(super::running::PATIENCE).unwrap();
        let what = format!("power cut after step {step} of {count}");
        heals(&lab, &what, &full, &empty);
    }
}

#[test]
fn a_controller_that_is_killed_leaves_a_run_that_ends_by_itself() {
    let lab = Lab::new();
    lab.declare(&gated("new"));
    let running = start(&lab, &["apply", "--yes"]);
    super::scene::comes_to_gate(&lab);
    running.signal("KILL");
    assert_eq!(running.ends().status.code(), None);
    open(&lab);
    // The newest run, by no name.
    let ran = lab.provision(&["attach", lab.name()]).expect(0);
    assert!(ran.stdout.contains("changed"), "{}", ran.told());
    super::scene::assert_is(&lab, "new");
}
