//! A host that is well, and each way in which it may not be.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::{
    Digest, Disk, Fact, FailedUnit, HeldLock, Holder, HostFacts, HostText, Inotify, Kill, Leftover, Listener, Memory,
    OutOfMemory, Outdated, Process, RunPhase, RunSummary, Space, StepError, TimeKeeping, UnitName, Watcher,
};

const DAY: u64 = 24 * 60 * 60;

/// Made by openssl, of web.example and three more names.
const FROM: u64 = 1795620010;
const UNTIL: u64 = 1803396010;
const PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBvTCCAWSgAwIBAgIUNH6fhArB1ZDd5js9LVCK6XaGO2kwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLd2ViLmV4YW1wbGUwHhcNMjYxMTI1MTUyMDEwWhcNMjcwMjIz
MTUyMDEwWjAWMRQwEgYDVQQDDAt3ZWIuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABKBJXmyNUtlVinAiSh0gonSWJ5lpzt6A33fgTAv6JfXXdQvmBHU7
I8P2By1G2dqGBH0B/A686nV2h6XHHMb9H72jgY8wgYwwHQYDVR0OBBYEFGruNILU
89e4dmguuMbaNSsTkfqbMB8GA1UdIwQYMBaAFGruNILU89e4dmguuMbaNSsTkfqb
MA8GA1UdEwEB/wQFMAMBAf8wOQYDVR0RBDIwMIILd2ViLmV4YW1wbGWCC3d3dy5l
eGFtcGxlgglhLmV4YW1wbGWCCWIuZXhhbXBsZTAKBggqhkjOPQQDAgNHADBEAiAM
dDB9fKzeeuvsssAgdecSjoLAz0fUnWmmlHb8zSbelwIgFgMnEVUCHQJIh6GpNyU4
TvSkPqTEHqrf0mBHtH7kxyg=
-----END CERTIFICATE-----
";

fn process(pid: u32, name: &str, unit: Option<&str>) -> Process {
    Process {
        pid,
        name: name.into(),
        unit: unit.map(HostText::from),
        user_unit: None,
    }
}

fn space(used: u64, available: u64) -> Space {
    Space {
        used,
        available,
        inodes_used: 10,
        inodes_free: 90,
    }
}

fn disk(mount: &str, space: Fact<Space>) -> Disk {
    Disk {
        mount: mount.into(),
        kind: "ext4".into(),
        went_read_only: false,
        space,
    }
}

fn listener(address: &str, port: u16, processes: Vec<Process>) -> Listener {
    Listener {
        tcp: true,
        address: address.parse().unwrap(),
        port,
        processes,
        socket_unit: None,
    }
}

fn claim(port: u16, address: Option<&str>, units: &[&str]) -> PortClaim {
    PortClaim {
        port,
        tcp: true,
        address: address.map(str::to_owned),
        name: "http".to_owned(),
        by: "`http` of `web`".to_owned(),
        derived: false,
        units: units.iter().map(|unit| UnitName::new(*unit).unwrap()).collect(),
    }
}

fn run(phase: RunPhase) -> RunSummary {
    RunSummary {
        plan_id: Digest::of(b""),
        by: BTreeMap::from([("who".to_owned(), "ada@desk".into())]),
        started: FROM,
        phase,
        generation: None,
        outcome: None,
        error: Some(StepError {
            problem: "no room".into(),
            output: vec!["its output".into()],
            fix: None,
        }),
    }
}

/// The moment of all examinations here: a month after the certificate was made.
const NOW: u64 = (FROM + 30 * DAY) * 1000;

const TRIP: Trip = Trip {
    sent: NOW - 100,
    received: NOW + 100,
};

fn well() -> Examination {
    Examination {
        facts: HostFacts {
            machine_id: "".into(),
            boot_id: "".into(),
            hostname: "web-1".into(),
            os: "debian".into(),
            os_version: "12".into(),
            arch: "x86_64".into(),
            kernel: "6.1.0-18-amd64".into(),
        },
        container: None,
        uptime: 3 * DAY,
        began: NOW - 50,
        ended: NOW + 50,
        time: Fact::Known(TimeKeeping {
            synchronised: true,
            service: Some("chrony.service".into()),
        }),
        units: Fact::Known(Vec::new()),
        deaf_managers: BTreeMap::new(),
        out_of_memory: Fact::Known(OutOfMemory::default()),
        disks: Fact::Known(vec![
            disk("/", Fact::Known(space(89, 11))),
            disk("/run", Fact::Known(space(0, 0))),
        ]),
        inotify: Fact::Known(Inotify {
            max_watches: 1000,
            max_instances: 100,
            users: vec![watcher(79, 799)],
            unseen: 0,
        }),
        package_locks: Fact::Known(Vec::new()),
        apply_lock: Fact::Known(None),
        last_run: Fact::Known(Some(run(RunPhase::Confirmed))),
        leftovers: Fact::Known(Vec::new()),
        reboot_required: Fact::Known(None),
        kernels: Fact::Known(vec![
            "6.1.0-17-amd64".into(),
            "6.1.0-18-amd64".into(),
            "6.1.0-21-rt-amd64".into(),
        ]),
        outdated: Fact::Known(BTreeMap::new()),
        certificates: BTreeMap::from([(
            "/etc/ssl/web.pem".to_owned(),
            Fact::Known(PEM.as_bytes().to_vec().into()),
        )]),
        unsearched: Vec::new(),
        listeners: Fact::Known(vec![listener(
            "127.0.0.1",
            80,
            vec![process(7, "web", Some("web.service"))],
        )]),
        memory: Fact::Known(Memory {
            total: 1000 << 20,
            available: 100 << 20,
            swap_total: 100 << 20,
            swap_free: 90 << 20,
            stalled: Some(499),
        }),
    }
}

fn watcher(instances: u64, watches: u64) -> Watcher {
    Watcher {
        uid: 1000,
        user: Some("bob".into()),
        instances,
        watches,
        most: process(9, "node", Some("bot.service")),
    }
}

fn claims() -> Vec<PortClaim> {
    vec![claim(80, None, &["web.service"])]
}

fn examined(seen: &Examination) -> Diagnosis {
    diagnose("web-1", &claims(), seen, TRIP)
}

/// The findings of a host that is well but for one thing.
#[track_caller]
fn found(change: impl FnOnce(&mut Examination)) -> Vec<Finding> {
    let mut seen = well();
    change(&mut seen);
    let diagnosis = examined(&seen);
    assert_eq!(diagnosis.unknown, [], "{:?}", diagnosis.findings);
    diagnosis.findings
}

/// The only finding's name, gravity, subject and words.
#[track_caller]
fn only(change: impl FnOnce(&mut Examination)) -> (Trouble, Severity, String, String) {
    match found(change).as_slice() {
        [one] => {
            assert!(!one.fix.untrusted().is_empty() && !one.trouble.why().is_empty());
            let text = |text: &HostText| text.untrusted().to_owned();
            (one.trouble, one.severity, text(&one.subject), text(&one.seen))
        }
        other => panic!("{other:#?}"),
    }
}

#[track_caller]
fn is(found: (Trouble, Severity, String, String), trouble: Trouble, severity: Severity, subject: &str, words: &str) {
    assert_eq!(
        (found.0, found.1, found.2.as_str()),
        (trouble, severity, subject),
        "{}",
        found.3
    );
    assert!(found.3.contains(words), "{:?} is not in {:?}", words, found.3);
}

use Severity::{Problem, Warning};

#[test]
fn a_host_just_below_every_limit_is_well_and_says_what_was_seen() {
    let diagnosis = examined(&well());
    assert_eq!(
        (diagnosis.findings.as_slice(), diagnosis.unknown.as_slice()),
        (&[][..], &[][..])
    );
    let seen: Vec<_> = diagnosis.seen.keys().copied().collect();
    assert_eq!(seen.len(), Check::ALL.len());
    let names: BTreeSet<_> = Trouble::ALL.iter().map(|trouble| trouble.name()).collect();
    assert_eq!(names.len(), Trouble::ALL.len(), "names are told apart");
}

#[test]
fn units_and_kills() {
    let unit = |user: Option<&str>, lines| FailedUnit {
        name: "bot.service".into(),
        user: user.map(HostText::from),
        result: "exit-code".into(),
        status: 78,
        restarts: 5,
        lines,
    };
    let failed = found(|seen| seen.units = Fact::Known(vec![unit(None, Fact::Known(vec!["last words".into()]))]));
    assert_eq!(failed[0].lines, ["last words".into()]);
    assert_eq!(
        failed[0].seen.untrusted(),
        "failed: exit-code, status 78, restarted 5 times by itself"
    );
    assert!(failed[0].fix.untrusted().contains("provision logs web-1 bot.service"));
    let failed = found(|seen| seen.units = Fact::Known(vec![unit(Some("bob"), Fact::Known(Vec::new()))]));
    assert_eq!(failed[0].subject.untrusted(), "bot.service of bob");
    assert!(
        failed[0]
            .fix
            .untrusted()
            .contains("systemctl --user --machine=bob@ restart")
    );

    let kill = |at, unit: Option<&str>| Kill {
        at,
        unit: unit.map(HostText::from),
        words: "Out of memory: Killed process 7 (node)".into(),
    };
    let killed = |cgroups: &[(&str, u64)], journal: Vec<Kill>| {
        let cgroups = cgroups
            .iter()
            .map(|(name, kills)| ((*name).to_owned(), *kills))
            .collect();
        Fact::Known(OutOfMemory { cgroups, journal })
    };
    let minute = NOW - 60_000;
    is(
        only(|seen| seen.out_of_memory = killed(&[("/system.slice/bot.service/child", 2)], Vec::new())),
        Trouble::KilledForMemory,
        Problem,
        "bot.service",
        "2 processes were killed for want of memory since boot",
    );
    is(
        only(|seen| seen.out_of_memory = killed(&[], vec![kill(minute, None), kill(minute, Some("bot.service"))])),
        Trouble::KilledForMemory,
        Problem,
        "bot.service",
        "last 1min ago",
    );
    is(
        only(|seen| seen.out_of_memory = killed(&[], vec![kill(NOW - 2 * DAY * 1000, None)])),
        Trouble::KilledForMemory,
        Warning,
        "the host",
        "a process was killed",
    );
}

#[test]
fn what_runs_full() {
    let with = |disk: Disk| move |seen: &mut Examination| seen.disks = Fact::Known(vec![disk]);
    is(
        only(with(disk("/", Fact::Known(space(90, 10))))),
        Trouble::DiskFull,
        Warning,
        "/",
        "90 % used",
    );
    is(
        only(with(disk("/srv", Fact::Known(space(97, 3))))),
        Trouble::DiskFull,
        Problem,
        "/srv",
        "97 % used",
    );
    let inodes = |used| Space {
        inodes_used: used,
        inodes_free: 100 - used,
        ..space(0, 10)
    };
    is(
        only(with(disk("/", Fact::Known(inodes(91))))),
        Trouble::InodesFull,
        Warning,
        "/",
        "9 left",
    );
    is(
        only(with(disk("/", Fact::Known(inodes(100))))),
        Trouble::InodesFull,
        Problem,
        "/",
        "0 left",
    );
    let gone = Disk {
        went_read_only: true,
        ..disk("/", Fact::Known(space(0, 10)))
    };
    is(only(with(gone)), Trouble::DiskReadOnly, Problem, "/", "read-only");

    let memory = |available: u64, swap_free: u64, stalled| {
        move |seen: &mut Examination| {
            seen.memory = Fact::Known(Memory {
                total: 100 << 20,
                available: available << 20,
                swap_total: 100 << 20,
                swap_free: swap_free << 20,
                stalled,
            });
        }
    };
    is(
        only(memory(9, 90, None)),
        Trouble::MemoryLow,
        Warning,
        "memory",
        "9 MiB of 100 MiB",
    );
    is(only(memory(3, 90, None)), Trouble::MemoryLow, Problem, "memory", "3 %");
    is(only(memory(20, 10, None)), Trouble::SwapFull, Warning, "swap", "90 %");
    assert!(found(memory(30, 10, None)).is_empty(), "full swap alone is no trouble");
    is(
        only(memory(50, 90, Some(500))),
        Trouble::MemoryPressure,
        Warning,
        "memory",
        "5 %",
    );
    is(
        only(memory(50, 90, Some(2500))),
        Trouble::MemoryPressure,
        Problem,
        "memory",
        "25 %",
    );

    let watching = |instances, watches| {
        move |seen: &mut Examination| {
            seen.inotify = Fact::Known(Inotify {
                max_watches: 1000,
                max_instances: 100,
                users: vec![watcher(instances, watches)],
                unseen: 0,
            });
        }
    };
    is(
        only(watching(1, 800)),
        Trouble::InotifyWatches,
        Warning,
        "bob",
        "most of them by bot.service (pid 9)",
    );
    is(
        only(watching(95, 1)),
        Trouble::InotifyInstances,
        Problem,
        "bob",
        "95 of 100 instances",
    );
    let fix = found(watching(1, 950))[0].fix.untrusted().to_owned();
    assert!(fix.ends_with("\"fs.inotify.max_user_watches\" = 2048"), "{fix}");
}

#[test]
fn who_listens_on_claimed_ports() {
    let judged = |claim: PortClaim, listener: Listener| {
        let seen = Examination {
            listeners: Fact::Known(vec![listener]),
            ..well()
        };
        let diagnosis = diagnose("web-1", &[claim], &seen, TRIP);
        (diagnosis.findings.len(), diagnosis.unknown.len())
    };
    let own = |unit| vec![process(7, "x", Some(unit))];
    let of_user = |unit: &str| {
        vec![Process {
            user_unit: Some(unit.into()),
            ..process(7, "x", Some("user@1500.service"))
        }]
    };
    let web = &["web.service"][..];
    for (claim, listener, expected) in [
        (
            claim(80, None, web),
            listener("0.0.0.0", 80, own("web.service")),
            (0, 0),
        ),
        (
            claim(80, None, web),
            listener("0.0.0.0", 80, own("other.service")),
            (1, 0),
        ),
        (
            claim(80, None, web),
            listener("0.0.0.0", 81, own("other.service")),
            (0, 0),
        ),
        (
            claim(80, Some("127.0.0.1"), web),
            listener("10.0.0.1", 80, own("other.service")),
            (0, 0),
        ),
        (
            claim(80, Some("127.0.0.1"), web),
            listener("::", 80, own("other.service")),
            (1, 0),
        ),
        (
            claim(80, Some("localhost"), web),
            listener("::1", 80, own("other.service")),
            (1, 0),
        ),
        (
            claim(80, Some("0.0.0.0"), web),
            listener("127.0.0.1", 80, own("other.service")),
            (1, 0),
        ),
        (
            claim(80, None, &["web@.service"]),
            listener("::", 80, own("web@a.service")),
            (0, 0),
        ),
        (claim(80, None, web), listener("::", 80, own("session-3.scope")), (1, 0)),
        // A unit of a user is one of the user's manager, and never the system's of the same name.
        (
            claim(80, None, &["bot/web.service"]),
            listener("::", 80, of_user("web.service")),
            (0, 0),
        ),
        (
            claim(80, None, &["bot/web.service"]),
            listener("::", 80, of_user("x.service")),
            (1, 0),
        ),
        (
            claim(80, None, &["bot/web.service"]),
            listener("::", 80, own("web.service")),
            (1, 0),
        ),
        // Where no unit is declared, any service may be the one, and somebody's session may not.
        (claim(80, None, &[]), listener("::", 80, own("nginx.service")), (0, 0)),
        (claim(80, None, &[]), listener("::", 80, own("session-3.scope")), (1, 0)),
        // Not seen is not known.
        (claim(80, None, web), listener("::", 80, Vec::new()), (0, 1)),
        (
            claim(80, None, web),
            listener("::", 80, vec![process(8, "docker-proxy", Some("docker.service"))]),
            (0, 1),
        ),
    ] {
        assert_eq!(
            judged(claim.clone(), listener.clone()),
            expected,
            "{claim:?} {listener:?}"
        );
    }
    let by_socket = Listener {
        socket_unit: Some("web.socket".into()),
        ..listener("::", 80, vec![process(1, "systemd", Some("init.scope"))])
    };
    assert_eq!(judged(claim(80, None, web), by_socket), (0, 0));
    let udp = Listener {
        tcp: false,
        ..listener("::", 80, own("other.service"))
    };
    assert_eq!(judged(claim(80, None, web), udp), (0, 0));
    let foreign = only(|seen| seen.listeners = Fact::Known(vec![listener("127.0.0.1", 80, own("old.service"))]));
    is(
        foreign,
        Trouble::PortTaken,
        Problem,
        "port 80/tcp",
        "`http` of `web` claims it, and x (pid 7) of old.service",
    );
}

#[test]
fn certificates() {
    let at = |seconds: u64| {
        let mut seen = well();
        (seen.began, seen.ended) = (seconds * 1000, seconds * 1000);
        seen.last_run = Fact::Known(None);
        let trip = Trip {
            sent: seconds * 1000,
            received: seconds * 1000,
        };
        let findings = diagnose("web-1", &claims(), &seen, trip).findings;
        findings
            .iter()
            .map(|one| (one.trouble, one.severity, one.seen.untrusted().to_owned()))
            .collect::<Vec<_>>()
    };
    let names = "of web.example, www.example, a.example and 1 more:";
    assert_eq!(at(UNTIL - 22 * DAY), []);
    assert_eq!(
        at(UNTIL - 20 * DAY),
        [(
            Trouble::CertificateExpiring,
            Warning,
            format!("{names} it expires in 20d 0h")
        )]
    );
    assert_eq!(at(UNTIL - 2 * DAY)[0].1, Problem);
    assert_eq!(
        at(UNTIL + 60),
        [(
            Trouble::CertificateExpired,
            Problem,
            format!("{names} it expired 1min ago")
        )]
    );
    assert_eq!(at(FROM - 60)[0].0, Trouble::CertificateNotYetValid);
    let mut seen = well();
    let broken = PEM.replace('A', "B").into_bytes();
    seen.certificates
        .insert("/x.pem".to_owned(), Fact::Known(broken.into()));
    let diagnosis = examined(&seen);
    assert_eq!(
        (diagnosis.findings.len(), diagnosis.unknown.len()),
        (0, 1),
        "{diagnosis:?}"
    );
}

#[test]
fn the_clock_is_judged_only_by_what_the_trip_allows_to_say() {
    let off = |began: u64, ended: u64| {
        let mut seen = well();
        (seen.began, seen.ended) = (began, ended);
        let diagnosis = examined(&seen);
        let findings: Vec<_> = diagnosis
            .findings
            .iter()
            .map(|one| (one.trouble, one.severity))
            .collect();
        (
            findings,
            diagnosis.unknown.len(),
            diagnosis.seen[&Check::Clock].untrusted().to_owned(),
        )
    };
    // The look began 2.1 s ahead at most, and ended 1.9 s ahead at least: that it is 2 s is not sure.
    let (findings, _, words) = off(TRIP.sent + 2_100, TRIP.received + 1_900);
    assert_eq!(findings, []);
    assert_eq!(
        words,
        "between 1.900s ahead and 2.100s ahead of this machine's, synchronised by chrony.service"
    );
    assert_eq!(
        off(TRIP.sent + 2_200, TRIP.received + 2_000).0,
        [(Trouble::ClockOff, Warning)]
    );
    assert_eq!(
        off(TRIP.sent - 2_000, TRIP.received - 2_100).0,
        [(Trouble::ClockOff, Warning)]
    );
    assert_eq!(
        off(TRIP.sent - 40_000, TRIP.received - 40_100).0,
        [(Trouble::ClockOff, Problem)]
    );
    // A slow line says less.
    let slow = Trip {
        sent: NOW - 10_000,
        ..TRIP
    };
    let mut seen = well();
    (seen.began, seen.ended) = (NOW - 5_000, NOW - 5_000);
    assert_eq!(diagnose("web-1", &claims(), &seen, slow).findings, []);
    // More time passed on the host than here.
    let (findings, unknown, _) = off(TRIP.sent, TRIP.received + 500);
    assert_eq!((findings, unknown), (Vec::new(), 1));

    let keeping = |synchronised, service: Option<&str>| {
        let service = service.map(HostText::from);
        move |seen: &mut Examination| seen.time = Fact::Known(TimeKeeping { synchronised, service })
    };
    is(
        only(keeping(false, None)),
        Trouble::ClockUnsynchronised,
        Warning,
        "clock",
        "no service",
    );
    let chrony = only(keeping(false, Some("chrony.service")));
    is(
        chrony,
        Trouble::ClockUnsynchronised,
        Warning,
        "clock",
        "chrony.service runs",
    );
    let contained = found(|seen| {
        keeping(false, None)(seen);
        seen.container = Some("lxc".into());
    });
    assert_eq!(contained, [], "a container cannot keep its clock");
}

#[test]
fn what_waits_for_a_restart() {
    let asked = only(|seen| seen.reboot_required = Fact::Known(Some(vec!["libc6".into(), "dbus".into()])));
    is(
        asked,
        Trouble::RebootRequired,
        Warning,
        "reboot",
        "asked for by libc6, dbus",
    );
    let kernels = || Fact::Known(vec!["6.1.0-9-amd64".into(), "6.1.0-21-amd64".into()]);
    let newer = only(|seen| seen.kernels = kernels());
    is(
        newer,
        Trouble::KernelOutdated,
        Warning,
        "kernel",
        "6.1.0-18-amd64 runs, and 6.1.0-21-amd64 is installed",
    );
    let contained = found(|seen| (seen.kernels, seen.container) = (kernels(), Some("lxc".into())));
    assert_eq!(contained, []);
    let outdated = |units: &[&str]| {
        let one = Outdated {
            files: BTreeSet::from(["/usr/lib/libssl.so.3".to_owned()]),
            processes: 1,
        };
        Fact::Known(units.iter().map(|unit| ((*unit).to_owned(), one.clone())).collect())
    };
    let old = found(|seen| seen.outdated = outdated(&["a.service", "session-1.scope"]));
    assert_eq!((old[0].trouble, old[0].severity), (Trouble::CodeOutdated, Warning));
    assert_eq!(old[0].fix.untrusted(), "`systemctl restart a.service` on the host");
    assert_eq!(old[0].lines.len(), 2);
    let old = found(|seen| seen.outdated = outdated(&["a.service", "init.scope"]));
    assert!(old[0].fix.untrusted().starts_with("reboot"));
}

#[test]
fn locks_and_applies() {
    let lock = |path: &str, pid: Option<u32>, age| HeldLock {
        path: path.into(),
        holder: pid.map(|pid| process(pid, "apt-get", Some("apt-daily-upgrade.service"))),
        age: pid.map(|_| age),
    };
    let two = vec![
        lock("/var/lib/dpkg/lock", Some(7), 90),
        lock("/var/lib/dpkg/lock-frontend", Some(7), 90),
    ];
    let held = only(|seen| seen.package_locks = Fact::Known(two));
    let paths = "/var/lib/dpkg/lock, /var/lib/dpkg/lock-frontend";
    is(
        held,
        Trouble::PackageLockHeld,
        Warning,
        paths,
        "held by apt-get (pid 7) of apt-daily-upgrade.service, running for 1min",
    );
    let long = only(|seen| seen.package_locks = Fact::Known(vec![lock("/l", Some(7), 7_200)]));
    is(long, Trouble::PackageLockHeld, Problem, "/l", "2h 0min");
    let foreign = only(|seen| seen.package_locks = Fact::Known(vec![lock("/l", None, 0)]));
    is(foreign, Trouble::PackageLockHeld, Warning, "/l", "not visible");
    let holder = |since| {
        Fact::Known(Some(Holder {
            who: "ada@desk".into(),
            since,
            plan_id: Digest::of(b""),
            pid: 5,
        }))
    };
    let applying = only(|seen| seen.apply_lock = holder(NOW / 1000 - 60));
    is(
        applying,
        Trouble::ApplyRunning,
        Warning,
        "provision's lock",
        "ada@desk has been applying for 1min (pid 5)",
    );
    assert_eq!(only(|seen| seen.apply_lock = holder(NOW / 1000 - DAY)).1, Problem);

    let interrupted = only(|seen| seen.last_run = Fact::Known(Some(run(RunPhase::Interrupted))));
    is(
        interrupted,
        Trouble::ApplyInterrupted,
        Problem,
        "the apply of ada@desk, 30d 0h ago",
        "killed",
    );
    let failed = only(|seen| seen.last_run = Fact::Known(Some(run(RunPhase::Failed))));
    is(
        failed,
        Trouble::ApplyFailed,
        Problem,
        "the apply of ada@desk, 30d 0h ago",
        "it failed: no room",
    );
    let agent = only(|seen| {
        seen.leftovers = Fact::Known(vec![Leftover::Agent {
            process: process(6, "provision-agent", None),
            age: 9_000,
        }]);
    });
    is(
        agent,
        Trouble::Leftover,
        Warning,
        "an agent",
        "provision-agent (pid 6) has run for 2h 30min",
    );
    let file = only(|seen| seen.leftovers = Fact::Known(vec![Leftover::File("/etc/.provision-0".into())]));
    is(file, Trouble::Leftover, Warning, "/etc/.provision-0", "never finished");
}

#[test]
fn what_could_not_be_seen_is_unknown_and_never_well() {
    fn blind<T>(fact: &mut Fact<T>) {
        *fact = Fact::unknown("not allowed");
    }
    let blinds: [fn(&mut Examination); 14] = [
        |seen| blind(&mut seen.time),
        |seen| blind(&mut seen.units),
        |seen| blind(&mut seen.out_of_memory),
        |seen| blind(&mut seen.disks),
        |seen| blind(&mut seen.inotify),
        |seen| blind(&mut seen.package_locks),
        |seen| blind(&mut seen.apply_lock),
        |seen| blind(&mut seen.last_run),
        |seen| blind(&mut seen.leftovers),
        |seen| blind(&mut seen.reboot_required),
        |seen| blind(&mut seen.kernels),
        |seen| blind(&mut seen.outdated),
        |seen| blind(&mut seen.listeners),
        |seen| blind(&mut seen.memory),
    ];
    let smaller: [fn(&mut Examination); 5] = [
        |seen| _ = seen.deaf_managers.insert("bob".to_owned(), "no answer".into()),
        |seen| seen.unsearched.push("a directory".into()),
        |seen| seen.disks = Fact::Known(vec![disk("/mnt", Fact::unknown("not asked"))]),
        |seen| _ = seen.certificates.insert("/x".to_owned(), Fact::unknown("not allowed")),
        |seen| {
            if let Fact::Known(inotify) = &mut seen.inotify {
                inotify.unseen = 3;
            }
        },
    ];
    for (number, blind) in blinds.iter().chain(&smaller).enumerate() {
        let mut seen = well();
        blind(&mut seen);
        let diagnosis = examined(&seen);
        assert_eq!(
            (diagnosis.findings.len(), diagnosis.unknown.len()),
            (0, 1),
            "{number}: {diagnosis:?}"
        );
    }
}

#[test]
fn problems_come_first() {
    let found = found(|seen| {
        seen.reboot_required = Fact::Known(Some(Vec::new()));
        seen.last_run = Fact::Known(Some(run(RunPhase::Interrupted)));
    });
    let severities: Vec<_> = found.iter().map(|one| one.severity).collect();
    assert_eq!(severities, [Problem, Warning]);
}
