//! Hosts whose disk, packages, services or paths are not as a plan needs them. The resource and the reason are named,
//! what was done is recorded, and once the cause is gone the next apply does the rest.

use std::fs;
use std::process::Command;

use super::running::until;
use super::scene::{assert_no_leftovers, start};
use crate::lab::{Lab, Ran};

/// Applies, and fails the test unless a step failed and all of these are told.
#[track_caller]
fn fails(lab: &Lab, parts: &[&str]) -> Ran {
    let ran = lab.provision(&["apply", "--yes"]).expect(3);
    tells(&ran, parts);
    assert!(
        ran.stdout.contains("then go on with: provision apply"),
        "{}",
        ran.told()
    );
    assert_no_leftovers(lab);
    // What is left is planned, and not taken for done.
    let _ = lab.plan().expect(2);
    ran
}

/// Plans and applies, and fails the test unless both refuse for a reason that has all of these.
#[track_caller]
fn blocked(lab: &Lab, parts: &[&str]) {
    for args in [&["plan"][..], &["apply", "--yes"]] {
        let ran = lab.provision(args).expect(1);
        tells(&ran, parts);
    }
}

#[track_caller]
fn tells(ran: &Ran, parts: &[&str]) {
    let told = ran.told();
    for part in parts {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

fn file(path: &str, text: &str) -> String {
    format!("[files.\"{path}\"]\ntext = \"{text}\\n\"\n")
}

#[test]
fn a_full_disk_leaves_the_old_file_and_says_so() {
    let lab = Lab::new();
    lab.on_host("mkdir /srv/app; mount -t tmpfs -o size=128k tmpfs /srv/app");
    let body = |text: &str| file("/srv/app/big", text) + &file("/srv/a-before", text) + &file("/srv/z-after", text);
    lab.converge(&body("old"));
    let big = "x".repeat(300_000);
    lab.declare(&body(&big));
    let ran = fails(
        &lab,
        &["/srv/app/big", "No space left on device", "1 step before it done"],
    );
    assert!(ran.stdout.len() < 1_000_000, "{} bytes", ran.stdout.len());
    assert_eq!(
        lab.on_host("cat /srv/app/big /srv/z-after; wc -c < /srv/a-before"),
        "old\nold\n300001"
    );
    lab.on_host("mount -o remount,size=4m /srv/app");
    lab.converge(&body(&big));
    assert_eq!(
        lab.on_host("cat /srv/app/big /srv/a-before /srv/z-after | wc -c"),
        "900003"
    );
    assert_no_leftovers(&lab);
}

#[test]
fn a_disk_without_room_for_our_own_records_is_refused_before_anything_starts() {
    let lab = Lab::new();
    lab.declare(&file("/srv/file", "new"));
    // Not even the agent fits.
    lab.on_host("mkdir -p /var/lib/provision; mount -t tmpfs -o size=128k,mode=0700 tmpfs /var/lib/provision");
    let ran = lab.provision(&["plan"]).expect(4);
    tells(&ran, &["cannot start the agent", "No space left on device", "hint:"]);
    assert_no_leftovers(&lab);
    // The agent fits, and no generation would.
    lab.on_host("mount -o remount,size=16m /var/lib/provision");
    let ran = lab.provision(&["apply", "--yes"]).expect(1);
    tells(&ran, &["/var/lib/provision", "MiB", "nothing was changed"]);
    assert_eq!(lab.on_host("ls /srv"), "");
    lab.on_host("mount -o remount,size=256m,ro /var/lib/provision");
    let ran = lab.provision(&["apply", "--yes"]).expect(1);
    tells(&ran, &["Read-only file system", "nothing was changed"]);
    lab.on_host("umount --lazy /var/lib/provision");
    lab.converge(&file("/srv/file", "new"));
}

#[test]
fn a_read_only_file_system_and_an_immutable_file() {
    let lab = Lab::new();
    lab.on_host("mkdir /srv/app; mount -t tmpfs tmpfs /srv/app");
    let body = |text: &str| file("/srv/app/file", text) + &file("/srv/before", text);
    lab.converge(&body("old"));
    lab.on_host("mount -o remount,ro /srv/app");
    lab.declare(&body("new"));
    fails(&lab, &["/srv/app/file", "Read-only file system"]);
    assert_eq!(lab.on_host("cat /srv/app/file"), "old");
    lab.on_host("mount -o remount,rw /srv/app");
    lab.converge(&body("new"));

    lab.declare(&body("newer"));
    let outside = lab.outside("/srv/before");
    let chattr = |flag: &str| {
        let status = Command::new("chattr").arg(flag).arg(&outside).status();
        assert!(status.unwrap().success());
    };
    chattr("+i");
    let ran = lab.provision(&["apply", "--yes"]);
    chattr("-i");
    tells(&ran.expect(3), &["/srv/before", "Operation not permitted"]);
    assert_no_leftovers(&lab);
    lab.converge(&body("newer"));
}

#[test]
fn something_else_at_a_managed_path_is_never_replaced() {
    let lab = Lab::new();
    for (make, found) in [
        ("mkdir -p /srv/thing; echo keep > /srv/thing/inside", "a directory"),
        ("ln -s /etc/passwd /srv/thing", "a symbolic link to /etc/passwd"),
        ("mkfifo /srv/thing", "/srv/thing"),
    ] {
        lab.on_host(&format!("rm -rf /srv/*; {make}"));
        let before = lab.on_host("stat -c '%F %i %Z' /srv/thing; sha256sum /etc/passwd");
        lab.declare(&(file("/srv/thing", "mine") + &file("/srv/other", "mine")));
        blocked(&lab, &["/srv/thing", found]);
        assert_eq!(
            lab.on_host("stat -c '%F %i %Z' /srv/thing; sha256sum /etc/passwd"),
            before
        );
        assert_eq!(lab.on_host("ls /srv"), "thing", "nothing else was done either");
    }
    // A parent that is no directory.
    lab.on_host("rm -rf /srv/*; echo keep > /srv/thing");
    lab.declare(&file("/srv/thing/below", "mine"));
    blocked(&lab, &["/srv/thing"]);
    assert_eq!(lab.on_host("cat /srv/thing"), "keep");
    lab.on_host("rm -rf /srv/*; mkdir /srv/thing");
    lab.converge(&file("/srv/thing/below", "mine"));
}

const UNIT: &str = "[units.\"svc.service\"]\nactive = true\nenabled = true\nsettle = \"1s\"\ntext = \"\"\"\n[Service]\nExecStart=EXEC\n[Install]\nWantedBy=multi-user.target\n\"\"\"\n";

#[test]
fn a_unit_that_does_not_start_or_stay_shows_its_journal() {
    let lab = Lab::new();
    let unit = |exec: &str| UNIT.replace("EXEC", exec) + &file("/srv/a-before", exec);
    lab.on_host("printf '#!/bin/sh\\necho the cause: no configuration; exit 7\\n' > /srv/dies; printf '#!/bin/sh\\necho about to flap; sleep 0.3; exit 1\\n' > /srv/flaps; chmod +x /srv/dies /srv/flaps");
    lab.declare(&unit("/srv/dies"));
    fails(
        &lab,
        &["svc.service", "the cause: no configuration", "in force and recorded"],
    );
    assert_eq!(lab.on_host("cat /srv/a-before"), "/srv/dies");
    lab.declare(&unit("/srv/flaps"));
    fails(&lab, &["svc.service", "about to flap"]);
    lab.declare(&unit("/srv/not-there"));
    fails(&lab, &["svc.service"]);
    // Nothing is wrong with the unit now but what it was started with.
    lab.converge(&unit("/bin/sleep infinity"));
    assert_eq!(lab.on_host("systemctl is-active svc.service"), "active");
}

/// Leaves the host with one archive, on its own disk, of one package whose installation fails until /srv/allowed exists.
fn local_archive(lab: &Lab) {
    lab.on_host(
        r"set -e; mkdir -p /srv/archive/tiny/DEBIAN; cd /srv/archive
printf 'Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@b>\nDescription: tiny\n' > tiny/DEBIAN/control
printf '#!/bin/sh\n[ -e /srv/allowed ] || { echo it is not allowed yet; exit 1; }\n' > tiny/DEBIAN/postinst
chmod 0755 tiny/DEBIAN/postinst; dpkg-deb --root-owner-group -b tiny tiny.deb >/dev/null
{ dpkg-deb -f tiny.deb; echo 'Filename: ./tiny.deb'; echo Size: $(stat -c %s tiny.deb); echo SHA256: $(sha256sum < tiny.deb | cut -d' ' -f1); } > Packages
rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/*
echo 'deb [trusted=yes] file:/srv/archive ./' > /etc/apt/sources.list",
    );
}

#[test]
fn an_apt_that_fails_is_quoted_and_what_it_left_is_repaired() {
    let lab = Lab::new();
    local_archive(&lab);
    let body = "[packages]\ntiny = \"present\"\n";
    // The archive has no such package.
    lab.declare("[packages]\ntiny-but-wrong = \"present\"\n");
    fails(&lab, &["tiny-but-wrong", "Unable to locate package"]);
    // A package's own script fails, and leaves dpkg half-way.
    lab.declare(body);
    fails(&lab, &["package", "it is not allowed yet"]);
    lab.on_host("touch /srv/allowed");
    lab.converge(body);
    assert_eq!(lab.on_host("dpkg-query -W -f '${db:Status-Abbrev}' tiny"), "ii");

    // The archive cannot be reached.
    lab.converge("");
    lab.on_host("dpkg --purge tiny >/dev/null 2>&1; rm -rf /var/lib/apt/lists/*; echo 'deb http://127.0.0.1:9/debian bookworm main' > /etc/apt/sources.list");
    lab.declare(body);
    fails(&lab, &["127.0.0.1:9"]);
    local_archive(&lab);
    lab.converge(body);
}

/// Takes the lock as dpkg does, and keeps it.
const HOLDER: &str = r#"use Fcntl;
open(my $lock, "+>", "/var/lib/dpkg/lock-frontend") or die;
my $all = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
fcntl($lock, F_SETLK, $all) or die;
open(my $told, ">", "/srv/held") or die;
sleep;
"#;

#[test]
fn a_held_dpkg_lock_is_waited_for_and_its_holder_named() {
    let lab = Lab::new();
    local_archive(&lab);
    lab.on_host("touch /srv/allowed");
    lab.declare("[packages]\ntiny = \"present\"\n");
    fs::write(lab.outside("/srv/hold"), HOLDER).unwrap();
    lab.on_host("systemd-run --quiet --unit=holder perl /srv/hold");
    until("the lock is held", || lab.outside("/srv/held").exists());
    let pid = lab.on_host("systemctl show -P MainPID holder");
    let running = start(&lab, &["apply", "--yes"]);
    running.says("perl");
    assert!(running.told().contains(&pid), "{}", running.told());
    assert_eq!(lab.on_host("dpkg-query -W tiny 2>/dev/null || true"), "");
    lab.on_host("systemctl stop holder");
    let _ = running.ends().expect(0);
    lab.assert_converged();
}
