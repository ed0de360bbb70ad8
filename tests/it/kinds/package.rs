//! Packages on a real host, from a repository of its own: no mirror decides how these tests end.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::lab::{Lab, moved};

/// Builds `NAME VERSION [FIELD…]` into /srv/repo, with what is in /srv/scripts as its maintainer scripts, and writes the
/// repository's index.
const BUILD: &str = r#"
set -e
build() {
    name=$1 version=$2 depends=$3 recommends=$4
    d=$(mktemp -d)
    mkdir -p $d/DEBIAN $d/usr/share/$name
    echo $version > $d/usr/share/$name/version
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n' $name $version > $d/DEBIAN/control
    [ -z "$depends" ] || echo "Depends: $depends" >> $d/DEBIAN/control
    [ -z "$recommends" ] || echo "Recommends: $recommends" >> $d/DEBIAN/control
    if [ -e /srv/scripts/$name.postinst ]; then install -m 755 /srv/scripts/$name.postinst $d/DEBIAN/postinst; fi
    dpkg-deb --build --root-owner-group $d /srv/repo/${name}_$version.deb > /dev/null
}
index() {
    cd /srv/repo
    for deb in *.deb; do
        dpkg-deb --field $deb
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $deb $(stat -c %s $deb) $(sha256sum $deb | cut -d' ' -f1)
    done > Packages
}
mkdir -p /srv/repo /srv/scripts
"#;

/// A host whose only repository has two versions of `tiny`, and `needs`, which depends on it.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.on_host(&format!(
        "{BUILD}\nbuild tiny 1.0-1; build tiny 2.0-1; build needs 1.0 tiny; build whole 1.0 needs; build other 1.0; \
         build wants 1.0 '' other; build alone 1.0 '' needs; index\n\
         rm -rf /etc/apt/sources.list* /var/lib/apt/lists/*\n\
         echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list"
    ));
    lab
}

/// What dpkg has of a package: its state, and its version.
fn status(lab: &Lab, package: &str) -> String {
    lab.on_host(&format!(
        "dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' {package} 2>/dev/null || true"
    ))
}

#[test]
fn a_package_is_installed_left_alone_healed_changed_and_removed() {
    let lab = lab();
    // The lists are empty, as on a fresh image.
    lab.converge("[packages]\ntiny = \"present\"\nother = \"present\"\n");
    assert_eq!(
        (status(&lab, "tiny"), status(&lab, "other")),
        ("ii 2.0-1".into(), "ii 1.0".into())
    );

    lab.on_host("dpkg --remove tiny");
    assert_eq!(lab.drift(), moved(&[("package:tiny", "host")]));
    lab.converge("[packages]\ntiny = \"present\"\nother = \"present\"\n");

    // Exactly this version, also an older one.
    lab.converge("[packages]\ntiny = \"1.0-1\"\nother = \"present\"\n");
    assert_eq!(status(&lab, "tiny"), "ii 1.0-1");
    lab.on_host("apt-get -qy install tiny=2.0-1");
    assert_eq!(lab.drift(), moved(&[("package:tiny", "host")]));
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("2.0-1 → 1.0-1"), "{}", plan.told());
    lab.converge("[packages]\ntiny = \"1.0-1\"\nother = \"present\"\n");
    assert_eq!(status(&lab, "tiny"), "ii 1.0-1");

    let wrong = lab
        .apply("[packages]\ntiny = \"3.0-1\"\nother = \"present\"\n")
        .expect(3);
    assert!(
        wrong.told().contains("'3.0-1' for 'tiny' was not found")
            && wrong
                .told()
                .contains("to fix it: see whether the name and the version are right"),
        "{}",
        wrong.told()
    );
    let unknown = lab
        .apply("[packages]\nno-such-thing = \"present\"\nother = \"present\"\n")
        .expect(3);
    assert!(
        unknown.told().contains("Unable to locate package no-such-thing"),
        "{}",
        unknown.told()
    );

    lab.converge("[packages]\ntiny = \"absent\"\nother = \"present\"\n");
    assert_eq!(status(&lab, "tiny"), "");
    lab.converge("");
    assert_eq!(status(&lab, "other"), "");
}

#[test]
fn what_is_recommended_comes_along_unless_it_is_said_to_stay_out() {
    let lab = lab();
    lab.converge("[packages]\nwants = \"present\"\nalone = { version = \"present\", recommends = false }\n");
    let all = ["wants", "other", "alone", "needs"].map(|name| status(&lab, name));
    assert_eq!(all, ["ii 1.0", "ii 1.0", "ii 1.0", "un"]);
    // It says how the package comes, not what the host has: no difference once it is there.
    lab.declare("[packages]\nwants = { version = \"present\", recommends = false }\nalone = \"present\"\n");
    lab.assert_converged();
}

#[test]
fn only_what_we_installed_is_removed_and_never_more_than_the_plan_says() {
    let lab = lab();
    lab.on_host("apt-get -q update; apt-get -qy install tiny=1.0-1");
    lab.converge("[packages]\ntiny = \"present\"\nneeds = \"present\"\n");
    assert_eq!(
        (status(&lab, "tiny"), status(&lab, "needs")),
        ("ii 1.0-1".into(), "ii 1.0".into())
    );
    // What was there before stays, and it is said; what came with us goes.
    let ran = lab.apply("").expect(0);
    assert!(ran.told().contains("was there before provision came"), "{}", ran.told());
    assert_eq!(
        (status(&lab, "tiny"), status(&lab, "needs")),
        ("ii 1.0-1".into(), "".into())
    );
    lab.assert_converged();

    // Somebody installs something that needs what we installed: it does not go with it.
    lab.on_host("dpkg --remove tiny");
    lab.converge("[packages]\ntiny = \"present\"\n");
    lab.on_host("apt-get -qy install needs");
    let refused = lab.apply("").expect(3);
    assert!(
        refused
            .told()
            .contains("apt would also remove needs; no package was changed"),
        "{}",
        refused.told()
    );
    assert_eq!(
        (status(&lab, "tiny"), status(&lab, "needs")),
        ("ii 2.0-1".into(), "ii 1.0".into())
    );
    lab.on_host("dpkg --remove needs");
    lab.converge("");
    assert_eq!(status(&lab, "tiny"), "");

    // What came along with what we installed goes with it: nobody asked for it.
    lab.converge("[packages]\nwhole = \"present\"\ntiny = \"present\"\n");
    assert_eq!(lab.on_host("apt-mark showauto needs"), "needs");
    lab.converge("");
    assert_eq!((status(&lab, "tiny"), status(&lab, "needs")), ("".into(), "".into()));
}

#[test]
fn the_lock_of_dpkg_is_waited_for_and_its_holder_named() {
    let lab = lab();
    // dpkg's own kind of lock, held until the file is gone.
    lab.on_host(
        r#"touch /root/hold; cat > /root/hold.pl <<'END'
use Fcntl;
$0 = "upgrader";
open my $f, ">>", "/var/lib/dpkg/lock-frontend" or die;
my $lock = pack "s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0;
fcntl $f, F_SETLK, $lock or die;
open my $h, ">", "/root/held"; close $h;
my $until = time + 60;
select undef, undef, undef, 0.05 while -e "/root/hold" && time < $until;
END
systemd-run --quiet --unit=holder /usr/bin/perl /root/hold.pl
while [ ! -e /root/held ]; do systemctl is-active --quiet holder || exit 1; sleep 0.05; done"#,
    );
    lab.declare("[packages]\ntiny = \"present\"\n");
    let mut apply = lab
        .command(&["apply", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = lab.on_host("systemctl show -P MainPID holder");
    let mut told = String::new();
    for line in BufReader::new(apply.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        told += &format!("{line}\n");
        if line.contains("/var/lib/dpkg/lock-frontend") {
            assert_eq!(status(&lab, "tiny"), "", "nothing is installed while it waits");
            lab.on_host("rm -f /root/hold");
        }
    }
    assert!(apply.wait().unwrap().success(), "{told}");
    let holder = format!("the lock /var/lib/dpkg/lock-frontend, held by upgrader (pid {pid})");
    let holder_by_program = holder.replace("upgrader", "perl");
    assert!(told.contains(&holder) || told.contains(&holder_by_program), "{told}");
    assert_eq!(status(&lab, "tiny"), "ii 2.0-1");
    lab.assert_converged();
}

#[test]
fn what_a_killed_dpkg_left_is_repaired_first() {
    let lab = lab();
    // dpkg is killed while it configures a package.
    lab.on_host(&format!(
        "{BUILD}\nprintf '#!/bin/sh\\nif [ -e /root/kill ]; then rm /root/kill; kill -9 $PPID; sleep 1; fi\\n' > /srv/scripts/victim.postinst\n\
         build victim 1.0; index; touch /root/kill; apt-get -q update\n\
         apt-get -qy install victim && exit 1; true"
    ));
    assert_eq!(status(&lab, "victim"), "iF 1.0", "the kill came too late");
    // As part of what is declared …
    lab.declare("[packages]\nvictim = \"present\"\n");
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("dpkg left it half-way: "), "{}", plan.told());
    lab.converge("[packages]\nvictim = \"present\"\n");
    assert_eq!(status(&lab, "victim"), "ii 1.0");
    // … and on the way to something else.
    lab.on_host("touch /root/kill; dpkg-reconfigure victim || true; dpkg --unpack /srv/repo/other_1.0.deb");
    assert_eq!(status(&lab, "other"), "iU 1.0");
    lab.converge("[packages]\nvictim = \"present\"\ntiny = \"present\"\n");
    assert_eq!(
        (status(&lab, "victim"), status(&lab, "other"), status(&lab, "tiny")),
        ("ii 1.0".into(), "ii 1.0".into(), "ii 2.0-1".into())
    );
}

#[test]
fn a_hold_keeps_a_version_and_gives_way_to_a_declared_one() {
    let lab = lab();
    let body = |version: &str| format!("[packages]\ntiny = \"{version}\"\n[holds]\ntiny = true\n");
    lab.converge(&body("1.0-1"));
    assert_eq!(lab.on_host("apt-mark showhold"), "tiny");
    lab.on_host("apt-get -qy upgrade");
    assert_eq!(status(&lab, "tiny"), "hi 1.0-1");
    lab.on_host("apt-mark unhold tiny");
    assert_eq!(lab.drift(), moved(&[("hold:tiny", "host")]));
    lab.converge(&body("1.0-1"));
    // Another version in the configuration is installed all the same, and kept again.
    lab.converge(&body("2.0-1"));
    assert_eq!(status(&lab, "tiny"), "hi 2.0-1");
    lab.converge("[packages]\ntiny = \"2.0-1\"\n");
    assert_eq!(lab.on_host("apt-mark showhold"), "");
    lab.converge(&body("2.0-1"));
    lab.converge("");
    assert_eq!(lab.on_host("apt-mark showhold"), "");
}
