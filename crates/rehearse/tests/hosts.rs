//! Boots real throwaway hosts and does to them what users and tests will do. Needs root and the programs that `preflight` names, and fails without.
//! It does not test what runs on the hosts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a victim speaks to its parent by its output"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use provision_rehearse::{
    BaseImage, BaseOptions, Bind, HostError, HostOptions, Link, LinkOptions, Missing, ReadyError, Release, STATE_DIR,
    ThrowawayHost, base, destroy_kept, list_kept, preflight, sweep,
};

/// Generous: the machine may be busy with other builds. A host takes a third of a second.
const BOOT: Duration = Duration::from_secs(60);

/// Tells a copy of this test binary that it is the process to be killed.
const VICTIM: &str = "REHEARSE_TEST_VICTIM";

fn image() -> &'static BaseImage {
    static IMAGE: OnceLock<BaseImage> = OnceLock::new();
    IMAGE.get_or_init(|| {
        if let Err(missing) = preflight() {
            let texts: Vec<_> = missing.iter().map(Missing::to_string).collect();
            panic!("this machine cannot boot throwaway hosts:\n  {}", texts.join("\n  "));
        }
        base(&BaseOptions::new(Release::Debian12), &mut |_| {}).unwrap()
    })
}

fn start(options: &HostOptions) -> ThrowawayHost {
    let host = ThrowawayHost::start(image(), options).unwrap();
    host.wait_ready(BOOT).unwrap();
    host
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

fn ssh(host: &ThrowawayHost, command: &str) -> String {
    text(&host.ssh().arg(command).output().unwrap())
}

fn run(host: &ThrowawayHost, argv: &[&str]) -> String {
    text(&host.run(argv).unwrap())
}

#[test]
fn a_host_is_a_debian_with_systemd_reached_by_ssh_with_its_pinned_key() {
    let host = start(&HostOptions::named("friday"));
    assert_eq!(ssh(&host, "cat /proc/1/comm"), "systemd");
    assert_eq!(ssh(&host, "systemctl is-system-running"), "running");
    assert_eq!(ssh(&host, "hostname"), "friday");
    assert_eq!(ssh(&host, ". /etc/os-release; echo $ID-$VERSION_ID"), "debian-12");
    // A login is a session, as on a server.
    assert_eq!(ssh(&host, "echo $XDG_RUNTIME_DIR"), "/run/user/0");
    // Neither /proc nor /sys shows the links of the machine outside.
    assert_eq!(ssh(&host, "ls /sys/class/net"), "eth0\nlo");
    let addresses = ssh(&host, "ip -4 -brief address show eth0");
    assert!(addresses.contains(&host.address().to_string()), "{addresses}");

    assert_eq!(run(&host, &["cat", "/etc/hostname"]), "friday");
    assert_eq!(host.run(&["sh", "-c", "exit 7"]).unwrap().status.code(), Some(7));
    fs::write(host.path_outside("/root/from-outside"), "hello").unwrap();
    assert_eq!(ssh(&host, "cat /root/from-outside"), "hello");
}

#[test]
fn another_key_than_the_pinned_one_is_refused() {
    let hosts = [
        start(&HostOptions::named("honest")),
        start(&HostOptions::named("other")),
    ];
    let pins = hosts[0].known_hosts();
    fs::write(&pins, format!("{} {}\n", hosts[0].address(), hosts[1].host_key())).unwrap();
    let output = hosts[0].ssh().arg("true").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("HOST IDENTIFICATION HAS CHANGED"), "{said}");
}

#[test]
fn hosts_are_separate_and_see_each_other_on_the_network() {
    let one = start(&HostOptions::named("one"));
    let two = start(&HostOptions::named("two"));
    assert_ne!(one.address(), two.address());
    assert_ne!(one.host_key(), two.host_key());
    let machine_id = ["cat", "/etc/machine-id"];
    assert_ne!(run(&one, &machine_id), run(&two, &machine_id));
    let to_two = format!("read -r -t 5 line < /dev/tcp/{}/22; echo \"$line\"", two.address());
    let greeting = run(&one, &["bash", "-c", &to_two]);
    assert!(greeting.starts_with("SSH-2.0-"), "{greeting}");
    // The other sees the caller's own address.
    let caller = run(
        &one,
        &[
            "bash",
            "-c",
            &format!("exec 3<> /dev/tcp/{}/22; echo x >&3; cat <&3", two.address()),
        ],
    );
    assert!(caller.contains("SSH-2.0-"), "{caller}");
    let journal = run(&two, &["journalctl", "--unit=ssh", "--output=cat"]);
    assert!(journal.contains(&one.address().to_string()), "{journal}");

    run(&one, &["systemd-run", "--unit=only-here", "sleep", "infinity"]);
    assert_eq!(run(&one, &["systemctl", "is-active", "only-here"]), "active");
    let groups = run(&two, &["find", "/sys/fs/cgroup", "-name", "only-here*"]);
    assert_eq!(groups, "", "a host sees the control groups of another");
}

#[test]
fn after_a_power_cut_the_disk_is_there_and_the_rest_is_new() {
    let mut host = start(&HostOptions::named("cut"));
    run(&host, &["sh", "-c", "echo kept > /root/kept; echo lost > /run/lost"]);
    run(&host, &["ip", "address", "add", "192.0.2.77/32", "dev", "eth0"]);
    let boot_id = ["cat", "/proc/sys/kernel/random/boot_id"];
    let before = run(&host, &boot_id);
    let leader = host.leader_pid().unwrap();

    host.power_cut().unwrap();
    assert!(!Path::new(&format!("/proc/{leader}")).exists());
    assert_eq!(host.leader_pid(), None);
    assert!(matches!(host.run(&["true"]), Err(HostError::Off(_))));
    assert!(matches!(host.wait_ready(BOOT), Err(ReadyError::Off { .. })));

    host.boot().unwrap();
    host.wait_ready(BOOT).unwrap();
    assert!(matches!(host.boot(), Err(HostError::On(_))));
    assert_eq!(ssh(&host, "cat /root/kept"), "kept");
    assert_eq!(ssh(&host, "test -e /run/lost || echo gone"), "gone");
    let addresses = ssh(&host, "ip -brief address");
    assert!(!addresses.contains("192.0.2.77"), "{addresses}");
    assert_ne!(run(&host, &boot_id), before);
}

#[test]
fn a_host_reboots_and_switches_off_when_it_wants() {
    let host = start(&HostOptions::named("restless"));
    run(&host, &["ip", "address", "add", "192.0.2.77/32", "dev", "eth0"]);
    run(&host, &["systemctl", "--no-block", "reboot"]);
    assert!(host.wait_rebooted(1, BOOT));
    host.wait_ready(BOOT).unwrap();
    let addresses = ssh(&host, "ip -brief address");
    assert!(!addresses.contains("192.0.2.77"), "{addresses}");

    run(&host, &["systemctl", "--no-block", "poweroff"]);
    assert!(host.wait_off(BOOT));
    assert!(!host.wait_rebooted(2, BOOT), "it is off, and will not reboot any more");
}

#[test]
fn a_host_that_cannot_boot_says_so_at_once_with_its_console() {
    let mut host = start(&HostOptions::named("broken"));
    host.power_cut().unwrap();
    let systemd = host.path_outside("/usr/lib/systemd/systemd");
    fs::write(&systemd, "#!/bin/sh\necho no \x1b[31msystemd here\nexit 1\n").unwrap();
    host.boot().unwrap();
    let error = host.wait_ready(BOOT).unwrap_err();
    assert!(matches!(error, ReadyError::Off { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("systemd here"), "{said}");
    assert!(!said.contains('\x1b'), "a host's escape sequences are shown escaped");
}

#[test]
fn packages_can_be_installed_as_on_any_debian() {
    let host = start(&HostOptions::named("buyer"));
    ssh(
        &host,
        "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -q install -y cowsay",
    );
    assert!(ssh(&host, "/usr/games/cowsay moo").contains("< moo >"));
}

#[test]
fn binds_show_the_outside_and_read_only_ones_protect_it() {
    let outside = std::env::temp_dir().join(format!("rehearse-bind:{}", std::process::id()));
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("file"), "outside").unwrap();
    let bind = |inside: &str, read_only| Bind {
        outside: outside.clone(),
        inside: inside.into(),
        read_only,
    };
    let host = start(&HostOptions {
        binds: vec![bind("/mnt/ro", true), bind("/mnt/rw", false)],
        ..HostOptions::named("bound")
    });
    assert_eq!(run(&host, &["cat", "/mnt/ro/file"]), "outside");
    assert!(!host.run(&["touch", "/mnt/ro/new"]).unwrap().status.success());
    run(&host, &["touch", "/mnt/rw/new"]);
    host.destroy().unwrap();
    assert!(outside.join("new").exists());
    assert!(
        outside.join("file").exists(),
        "destroying a host emptied what was bound into it"
    );
    fs::remove_dir_all(&outside).unwrap();
}

#[test]
fn ssh_works_through_a_slow_link() {
    let host = start(&HostOptions::named("far"));
    let delay = Duration::from_millis(20);
    let link = Link::start(
        host.ssh_address(),
        LinkOptions {
            delay,
            ..LinkOptions::default()
        },
    )
    .unwrap();
    let start = std::time::Instant::now();
    let output = host
        .ssh()
        .args([
            "-o",
            &format!("Port={}", link.address().port()),
            "-o",
            "HostName=127.0.0.1",
        ])
        .args(["-o", &format!("HostKeyAlias={}", host.address()), "echo here"])
        .output()
        .unwrap();
    assert_eq!(text(&output), "here");
    // SSH needs at least connect, version, key exchange, authentication and a channel.
    assert!(start.elapsed() > delay * 2 * 5, "{:?}", start.elapsed());
}

/// What a host has on this machine, under names that another host may get once this one is gone.
struct Traces {
    slot: String,
    name: String,
    processes: Vec<u32>,
}

impl Traces {
    fn of(host: &ThrowawayHost) -> Self {
        let group = host.control_group();
        let mut processes = Vec::new();
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            collect_processes(&Path::new(root).join(&group), &mut processes);
        }
        assert!(
            processes.len() > 3,
            "a host has nspawn, systemd, journald, sshd: {processes:?}"
        );
        Self {
            slot: group.trim_start_matches("rehearse-").to_owned(),
            name: host.name().to_owned(),
            processes,
        }
    }

    /// What is still there. None when the slot has another host already, so that nothing can be said.
    fn left(&self) -> Option<Vec<String>> {
        // Nobody takes a slot while this is held.
        let lock = fs::File::open(Path::new(STATE_DIR).join("lock")).unwrap();
        lock.lock().unwrap();
        let mut left = Vec::new();
        let directory = Path::new(STATE_DIR).join("hosts").join(&self.slot);
        if let Ok(record) = fs::read_to_string(directory.join("record.json")) {
            if !record.contains(&format!("\"{}\"", self.name)) {
                return None;
            }
            left.push(record);
        } else if directory.exists() {
            left.push(directory.display().to_string());
        }
        for process in &self.processes {
            if is_running(*process) {
                left.push(format!("process {process}"));
            }
        }
        let said = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().unwrap();
            text(&output)
        };
        let everything = [
            said("ip", &["-oneline", "link"]),
            said("ip", &["netns"]),
            said("iptables-save", &[]),
            fs::read_to_string("/proc/self/mountinfo").unwrap(),
            said("find", &["/sys/fs/cgroup", "-maxdepth", "2", "-name", "rehearse-*"]),
        ];
        let is_ours = |word: &str| {
            let slot = &self.slot;
            word == format!("ve-rehearse-{slot}")
                || word == format!("provision-rehearse-{slot}")
                || word == format!("rehearse-{slot}")
                || word == format!("10.213.{slot}.0")
                || word == format!("{STATE_DIR}/hosts/{slot}/root")
        };
        for line in everything.iter().flat_map(|part| part.lines()) {
            let words = line.split([' ', '@', ':', '"', '\t']);
            let parts = line.split(['/', ' ', '@', ':', '"']);
            if words.chain(parts).any(is_ours) {
                left.push(line.to_owned());
            }
        }
        Some(left)
    }
}

/// A zombie does not run: it waits for the machine's init, which is not ours.
fn is_running(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn collect_processes(group: &Path, processes: &mut Vec<u32>) {
    let Ok(entries) = fs::read_dir(group) else { return };
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    processes.extend(text.lines().map(|line| line.parse::<u32>().unwrap()));
    for entry in entries.flatten() {
        if entry.file_type().unwrap().is_dir() {
            collect_processes(&entry.path(), processes);
        }
    }
}

/// Runs `make` until what it leaves behind can be judged, and says what that is.
fn left_after(make: impl Fn() -> Traces) -> Vec<String> {
    loop {
        if let Some(left) = make().left() {
            return left;
        }
    }
}

fn unique(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

#[test]
fn a_living_host_has_all_the_traces_that_the_others_look_for() {
    let host = start(&HostOptions::named(&unique("alive")));
    let traces = Traces::of(&host);
    let left = traces.left().unwrap().join("\n");
    for trace in [
        "process",
        "ve-rehearse",
        "MASQUERADE",
        "FORWARD",
        "overlay",
        "netns",
        "cgroup",
        "record_",
        "alive",
    ] {
        let trace = trace.trim_end_matches("record_");
        assert!(left.contains(trace), "no trace of {trace} in:\n{left}");
    }
}

#[test]
fn a_destroyed_host_leaves_nothing() {
    let left = left_after(|| {
        let host = start(&HostOptions::named(&unique("gone")));
        let traces = Traces::of(&host);
        host.destroy().unwrap();
        traces
    });
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_panic_leaves_nothing() {
    let left = left_after(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let host = start(&HostOptions::named(&unique("panic")));
            sender.send(Traces::of(&host)).unwrap();
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        receiver.recv().unwrap()
    });
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_host_that_failed_to_start_leaves_nothing() {
    let missing = PathBuf::from("/no/such/place");
    let left = left_after(|| {
        let host = ThrowawayHost::start(
            image(),
            &HostOptions {
                binds: vec![Bind {
                    outside: missing.clone(),
                    inside: "/mnt".into(),
                    read_only: true,
                }],
                ..HostOptions::named(&unique("stillborn"))
            },
        )
        .unwrap();
        let slot = host.control_group().trim_start_matches("rehearse-").to_owned();
        let error = host.wait_ready(BOOT).unwrap_err().to_string();
        assert!(error.contains("/no/such/place"), "{error}");
        Traces {
            slot,
            name: unique("stillborn"),
            processes: Vec::new(),
        }
    });
    assert_eq!(left, Vec::<String>::new());
}

/// Starts a copy of this process that runs only the test `name`, as the victim, and returns it with its first line of output.
fn victim(name: &str) -> (std::process::Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(VICTIM, name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| line.split_once("VICTIM:").map(|(_, rest)| rest.to_owned()))
        .expect("the victim did not get far enough");
    (child, line)
}

fn is_victim() -> bool {
    std::env::var_os(VICTIM).is_some()
}

/// Tells the parent, and waits until it kills this process, or is gone itself.
fn await_death(line: &str) {
    println!("VICTIM:{line}");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_killed_owners_host_is_swept() {
    if is_victim() {
        let host = start(&HostOptions::named(&unique("orphan")));
        let traces = Traces::of(&host);
        let processes: Vec<_> = traces.processes.iter().map(u32::to_string).collect();
        await_death(&format!("{} {} {}", traces.slot, traces.name, processes.join(",")));
        // Not reached by a victim of SIGKILL.
        return;
    }
    image();
    let left = left_after(|| {
        let (mut child, line) = victim("a_killed_owners_host_is_swept");
        let words: Vec<&str> = line.split(' ').collect();
        let traces = Traces {
            slot: words[0].to_owned(),
            name: words[1].to_owned(),
            processes: words[2].split(',').map(|pid| pid.parse().unwrap()).collect(),
        };
        // An owner that lives keeps its host through any sweep.
        let resisted = sweep().unwrap();
        assert!(resisted.is_empty(), "{resisted:?}");
        assert!(!traces.left().unwrap().is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
        let resisted = sweep().unwrap();
        assert!(resisted.is_empty(), "{resisted:?}");
        traces
    });
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_kept_host_outlives_its_owner_until_it_is_destroyed() {
    if is_victim() {
        let host = start(&HostOptions::named(&unique("keeper")));
        let kept = host.keep().unwrap();
        await_death(&kept.id);
        return;
    }
    image();
    let (mut child, id) = victim("a_kept_host_outlives_its_owner_until_it_is_destroyed");
    child.kill().unwrap();
    child.wait().unwrap();
    sweep().unwrap();
    let kept = list_kept()
        .unwrap()
        .into_iter()
        .find(|host| host.id == id)
        .expect("the kept host is not listed");
    assert!(kept.running);
    let mut banner = [0; 4];
    TcpStream::connect((kept.address, 22))
        .unwrap()
        .read_exact(&mut banner)
        .unwrap();
    assert_eq!(&banner, b"SSH-");
    // The text that a user gets is a command that works.
    let command = kept.to_string().lines().last().unwrap().trim().to_owned();
    let output = Command::new("sh")
        .args(["-c", &format!("{command} hostname")])
        .output()
        .unwrap();
    assert_eq!(text(&output), kept.name);

    destroy_kept(&kept.name).unwrap();
    assert!(list_kept().unwrap().iter().all(|host| host.name != kept.name));
}
