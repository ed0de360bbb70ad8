//! Runs that die on the host: killed, or with the power. The next plan says what is left, and the next apply finishes it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use super::running::{Running, until};
use super::scene::{assert_no_leftovers, gated, journal, journal_path, open, runs, start};
use crate::lab::Lab;

/// Resources of every kind that changes something without a network, and a unit that uses some of them. Nothing of it
/// touches the way in, so that no run is undone by the host; the setting belongs to the host's own namespace.
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
[sysctl."fs.mqueue.queues_max"]
value = "300"
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
cat /proc/sys/fs/mqueue/queues_max
systemctl is-enabled robot.service 2>/dev/null; systemctl is-active robot.service; systemctl is-failed robot.service
true";

/// Makes all as declared, then nothing of it is left but what no removal touches: its digests for both, and how many
/// lines the journal of an apply has.
fn digests(lab: &Lab) -> (String, String, usize) {
    clear(lab);
    lab.converge(BODY);
    let lines = journal(lab).len();
    let full = lab.on_host(DIGEST);
    assert!(full.contains("active") && full.contains("robot:robots"), "{full}");
    clear(lab);
    (full, lab.on_host(DIGEST), lines)
}

/// Everything leaves the configuration, and what the command made is taken away.
#[track_caller]
fn clear(lab: &Lab) {
    lab.on_host("rm -f /srv/robot/seed");
    lab.converge("");
}

/// After a run that died: the plan says what is left, an apply does it, and nothing shows that anything ever happened.
/// The digest after all has left the configuration again.
#[track_caller]
fn heals(lab: &Lab, what: &str, full: &str) -> String {
    let planned = lab.plan();
    assert!(matches!(planned.code(), 0 | 2), "{what}: {}", planned.told());
    let applied = lab.provision(&["apply", "--yes"]);
    assert_eq!(applied.code(), 0, "{what}: {}", applied.told());
    assert_eq!(lab.on_host(DIGEST), full, "{what}: {}", applied.told());
    lab.assert_converged();
    // The next run sweeps what a dead one left, and where nothing was left to do there was none yet.
    clear(lab);
    assert_no_leftovers(lab);
    lab.on_host(DIGEST)
}

/// Starts an apply and waits until its journal has more than that many lines, or its last.
fn apply_until(lab: &Lab, lines: usize) -> Running {
    lab.declare(BODY);
    let known: BTreeSet<_> = runs(lab).into_iter().collect();
    let running = start(lab, &["apply", "--yes"]);
    reaches(lab, &known, lines);
    running
}

/// Waits until the journal of a run that is not among the known ones has more than that many lines, or its last.
pub(super) fn reaches(lab: &Lab, known: &BTreeSet<String>, lines: usize) {
    until("the journal has those lines", || {
        let begun = runs(lab).into_iter().find(|run| !known.contains(run));
        let journal = begun.and_then(|run| fs::read_to_string(journal_path(lab, &run)).ok());
        journal.is_some_and(|text| text.lines().count() > lines || text.contains("confirmed"))
    });
}

/// Kills the runner of the host's apply, if it is still there, from outside: nothing is faster.
pub(crate) fn kill_runner(lab: &Lab) {
    let machine = lab.host.control_group();
    for process in fs::read_dir("/proc").unwrap() {
        let path = process.unwrap().path();
        let of = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        let group = of("cgroup");
        let is_runner = of("cmdline").contains("provision-agent\0run\0")
            && group.contains(&format!("/{machine}/"))
            && group.contains("/provision-apply-");
        if is_runner {
            let pid = path.file_name().unwrap();
            // It may have ended meanwhile.
            let _ = Command::new("kill")
                .arg("-KILL")
                .arg(pid)
                .stderr(Stdio::null())
                .status()
                .unwrap();
        }
    }
}

#[test]
fn a_runner_killed_at_any_line_of_its_journal_is_finished_by_the_next_apply() {
    let lab = Lab::new();
    let (full, empty, count) = digests(&lab);
    assert!(count >= 25, "{count} lines");
    let (mut tried, mut killed) = (0, 0);
    for line in (0..count - 1).step_by(4) {
        tried += 1;
        let running = apply_until(&lab, line);
        kill_runner(&lab);
        let ran = running.ends();
        let what = format!("killed after line {line} of {count}");
        match ran.code() {
            0 => {}
            3 => {
                killed += 1;
                assert!(ran.stdout.contains("killed on the host"), "{what}: {}", ran.told());
                assert!(journal(&lab).len() > line, "{what}");
            }
            _ => panic!("{what}: {}", ran.told()),
        }
        assert_eq!(heals(&lab, &what, &full), empty, "{what}: after removal");
    }
    assert!(killed >= tried - 2, "only {killed} of {tried} runs were killed");
}

/// The newest generation's number.
fn newest(lab: &Lab) -> String {
    let told = lab.provision(&["generations", lab.name(), "--json"]).expect(0).json();
    told["generations"][0]["number"].to_string()
}

#[test]
fn a_rollback_killed_at_any_line_of_its_journal_is_finished_by_going_back_again() {
    let lab = Lab::new();
    let body = BODY;
    lab.converge(body);
    let (first, one) = (newest(&lab), lab.on_host(DIGEST));
    let other = body
        .replace("speed = 3", "speed = 5")
        .replace("mode = \"0640\"", "mode = \"0600\"")
        .replace("text = \"managed", "text = \"changed")
        .replace("\"settings\"", "\"seed\"")
        .replace("\"300\"", "\"400\"")
        .replace("enabled = true", "enabled = false")
        .replace("exec sleep", "sleep 0; exec sleep")
        + "[files.\"/etc/robot-two\"]\ntext = \"two\\n\"\n";
    lab.converge(&other);
    let (second, two) = (newest(&lab), lab.on_host(DIGEST));
    assert_ne!(one, two);
    let back = |to: &str| lab.provision(&["rollback", lab.name(), to, "--yes"]).expect(0);
    let _ = back(&first);
    let count = journal(&lab).len();
    assert!(count >= 15, "{count} lines");
    let mut killed = 0;
    for line in (0..count - 1).step_by(3) {
        let _ = back(&second);
        assert_eq!(lab.on_host(DIGEST), two);
        let known: BTreeSet<_> = runs(&lab).into_iter().collect();
        let running = start(&lab, &["rollback", lab.name(), &first, "--yes"]);
        reaches(&lab, &known, line);
        kill_runner(&lab);
        let ran = running.ends();
        let what = format!("killed after line {line} of {count}");
        assert!(matches!(ran.code(), 0 | 3), "{what}: {}", ran.told());
        killed += u32::from(ran.code() == 3);
        let again = back(&first);
        assert_eq!(lab.on_host(DIGEST), one, "{what}: {}", again.told());
        lab.on_host("test ! -e /etc/robot-two");
        let empty = lab.provision(&["rollback", lab.name(), &first, "--plan", "--detailed-exitcode"]);
        let _ = empty.expect(0);
    }
    assert!(killed >= 3, "only {killed} runs were killed");
    assert_no_leftovers(&lab);
}

#[test]
fn a_power_cut_at_any_line_is_finished_by_the_next_apply() {
    let mut lab = Lab::new();
    let (full, empty, count) = digests(&lab);
    for line in [0, 4, count / 2, count - 3] {
        let running = apply_until(&lab, line);
        lab.host.power_cut().unwrap();
        // The controller is lost as well; one that is not waits for the host, which is another test's matter.
        running.signal("KILL");
        lab.host.boot().unwrap();
        lab.host.wait_ready(super::running::PATIENCE).unwrap();
        let what = format!("power cut after line {line} of {count}");
        // A boot reads the file that was written before the cut, so that the kernel's value was ours before we set it.
        let left = heals(&lab, &what, &full).replace("\n300\n", "\n256\n");
        assert_eq!(left, empty, "{what}: after removal");
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
