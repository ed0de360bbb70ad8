//! Answers to packages' questions on a real host: a package of our own that keeps what it was told, from a repository of its
//! own, and one of Debian's that every host has.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::lab::{Lab, moved};

/// A package that asks while it is installed, and writes down what it was answered. Its last step fails while /root/broken is there.
const BUILD: &str = r#"
set -e
mkdir -p /srv/repo; cd /srv/repo
d=$(mktemp -d); mkdir $d/DEBIAN
cat > $d/DEBIAN/control <<'END'
Package: asks
Version: 1.0
Architecture: all
Maintainer: a <a@b>
Depends: debconf
Description: x
END
cat > $d/DEBIAN/templates <<'END'
Template: asks/name
Type: string
Default: nobody
Description: What is it called?

Template: asks/enabled
Type: boolean
Default: false
Description: Is it on?

Template: asks/parts
Type: multiselect
Choices: one, two, three
Description: Which parts?

Template: asks/password
Type: password
Description: Which password?
END
cat > $d/DEBIAN/config <<'END'
#!/bin/sh
set -e
. /usr/share/debconf/confmodule
for question in name enabled parts; do db_input high asks/$question || true; done
db_go
END
cat > $d/DEBIAN/postinst <<'END'
#!/bin/sh
set -e
. /usr/share/debconf/confmodule
for question in name enabled parts; do db_get asks/$question; printf '%s=%s\n' $question "$RET"; done > /etc/asks.conf
[ ! -e /root/broken ]
END
chmod 755 $d/DEBIAN/config $d/DEBIAN/postinst
dpkg-deb --build --root-owner-group $d asks.deb > /dev/null
dpkg-deb --field asks.deb > Packages
printf 'Filename: ./asks.deb\nSize: %s\nSHA256: %s\n\n' $(stat -c %s asks.deb) $(sha256sum asks.deb | cut -d' ' -f1) >> Packages
rm -rf /etc/apt/sources.list* /var/lib/apt/lists/*
echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list
"#;

const PACKAGE: &str = "[packages]\nasks = \"present\"\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.on_host(BUILD);
    lab
}

/// What the configuration says, with this name and maybe more after it.
fn body(name: &str, more: &str) -> String {
    format!(
        "[debconf]\n\"asks/name\" = {{ type = \"string\", value = {name:?}{more} }}\n\
         \"asks/enabled\" = {{ type = \"boolean\", value = true }}\n\
         \"asks/parts\" = {{ type = \"multiselect\", value = [\"one\", \"three\"] }}\n"
    )
}

/// What debconf has of a question: its value and its flags, as its file says them.
fn answer(lab: &Lab, question: &str) -> String {
    lab.on_host(&format!(
        "sed -n '\\|^Name: {question}$|,/^$/p' /var/cache/debconf/config.dat | grep -E '^(Value|Flags):' || true"
    ))
}

#[test]
fn a_package_is_configured_by_the_answers_that_are_there_before_it() {
    let lab = lab();
    lab.converge(&(body("Local only", "") + PACKAGE));
    assert_eq!(
        lab.on_host("cat /etc/asks.conf"),
        "name=Local only\nenabled=true\nparts=one, three"
    );

    // Somebody answers otherwise: that is seen, put right, and said to change the package no more.
    lab.on_host("printf 'set asks/name else\\n' | debconf-communicate asks");
    assert_eq!(lab.drift(), moved(&[("debconf:asks/name", "host")]));
    let plan = lab.plan().expect(2);
    assert!(
        plan.stdout
            .contains("asks is installed already and stays configured as it is until `dpkg-reconfigure asks`"),
        "{}",
        plan.told()
    );
    lab.converge(&(body("Local only", "") + PACKAGE));
    lab.converge(&(body("ünï #code", "") + PACKAGE));
    assert_eq!(answer(&lab, "asks/name"), "Value: ünï #code\nFlags: seen");
    assert_eq!(lab.on_host("head -1 /etc/asks.conf"), "name=Local only");

    // One that is to reconfigure does, once it changes.
    let again = ", reconfigure = true";
    lab.converge(&(body("ünï #code", again) + PACKAGE));
    assert_eq!(lab.on_host("head -1 /etc/asks.conf"), "name=Local only");
    lab.declare(&(body("two\nlines ", again) + PACKAGE));
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("asks is reconfigured with it"), "{}", plan.told());
    lab.converge(&(body("two\nlines ", again) + PACKAGE));
    assert_eq!(answer(&lab, "asks/name"), "Value: two\\nlines \nFlags: seen");
    // Whoever asks without saying that it can read escapes gets the first line of an answer.
    assert_eq!(
        lab.on_host("cat /etc/asks.conf"),
        "name=two\nenabled=true\nparts=one, three"
    );

    // The package stays and its answers go: then its own defaults count again.
    let ran = lab.apply(PACKAGE).expect(0);
    assert!(ran.told().contains("the package's default"), "{}", ran.told());
    lab.assert_converged();
    assert_eq!(answer(&lab, "asks/name"), "Value: nobody");
    assert_eq!(lab.on_host("cat /etc/asks.conf"), "name=nobody\nenabled=false\nparts=");

    // Both go, and nothing is left.
    lab.converge(&(body("Local only", again) + PACKAGE));
    lab.converge("");
    lab.on_host("! dpkg-query -W -f '${db:Status-Status}' asks | grep -x installed");
}

#[test]
fn an_answer_to_what_nobody_asks_leaves_nothing_behind() {
    let lab = lab();
    // One was answered before, in a way that is easily lost.
    lab.on_host(r"printf 'asks asks/parts string  by  hand\\nor \\x \n' | debconf-set-selections --unseen");
    assert_eq!(answer(&lab, "asks/parts"), r"Value:  by  hand\nor \x");
    let before = lab.on_host("sha256sum < /var/cache/debconf/config.dat");
    lab.converge(&body("Local only", ", reconfigure = true"));
    assert_eq!(answer(&lab, "asks/name"), "Value: Local only\nFlags: seen");
    assert_eq!(answer(&lab, "asks/parts"), "Value: one, three\nFlags: seen");
    lab.converge("");
    assert_eq!(lab.on_host("sha256sum < /var/cache/debconf/config.dat"), before);
}

#[test]
fn going_back_brings_the_answers_of_then_and_configures_by_them() {
    let lab = lab();
    let body = |name: &str| body(name, ", reconfigure = true") + PACKAGE;
    lab.converge(&body("one"));
    lab.converge(&body("two"));
    assert_eq!(lab.on_host("head -1 /etc/asks.conf"), "name=two");
    let _ = lab.provision(&["rollback", lab.name(), "--yes"]).expect(0);
    assert_eq!(answer(&lab, "asks/name"), "Value: one\nFlags: seen");
    assert_eq!(lab.on_host("head -1 /etc/asks.conf"), "name=one");
}

#[test]
fn a_package_of_debians_is_reconfigured_and_gets_its_own_answer_back() {
    let lab = Lab::new();
    let question = "iproute2/setcaps";
    let body = format!("[debconf]\n\"{question}\" = {{ type = \"boolean\", value = true, reconfigure = true }}\n");
    assert_eq!(answer(&lab, question), "Value: false");
    lab.converge(&body);
    assert_eq!(answer(&lab, question), "Value: true\nFlags: seen");
    assert!(lab.on_host("getcap /bin/ip").contains("cap_net_admin"));
    lab.converge("");
    assert_eq!(answer(&lab, question), "Value: false");
    assert_eq!(lab.on_host("getcap /bin/ip"), "");
}

#[test]
fn a_package_that_cannot_configure_itself_is_tried_again() {
    let lab = lab();
    let body = |name: &str| body(name, ", reconfigure = true") + PACKAGE;
    lab.converge(&body("one"));
    lab.on_host("touch /root/broken");
    let failed = lab.apply(&body("two")).expect(3);
    assert!(
        failed.told().contains("dpkg-reconfigure asks failed"),
        "{}",
        failed.told()
    );
    // The answer is there, which says nothing of the package.
    assert_eq!(answer(&lab, "asks/name"), "Value: two\nFlags: seen");
    lab.on_host("rm /root/broken /etc/asks.conf; dpkg --configure --pending");
    let plan = lab.plan().expect(2);
    assert!(
        plan.stdout.contains("an earlier apply ended before it could do so"),
        "{}",
        plan.told()
    );
    lab.on_host("rm -f /etc/asks.conf");
    lab.converge(&body("two"));
    assert_eq!(lab.on_host("head -1 /etc/asks.conf"), "name=two");
    // What was there before all of it is not forgotten.
    lab.converge(PACKAGE);
    assert_eq!(lab.on_host("head -1 /etc/asks.conf"), "name=nobody");
}

#[test]
fn the_lock_of_debconf_is_waited_for_and_its_holder_named() {
    let lab = lab();
    lab.on_host(
        r#"touch /root/hold; cat > /root/hold.pl <<'END'
use Fcntl ":flock";
open my $f, "+<", "/var/cache/debconf/config.dat" or die;
flock $f, LOCK_EX | LOCK_NB or die;
open my $h, ">", "/root/held"; close $h;
my $until = time + 60;
select undef, undef, undef, 0.05 while -e "/root/hold" && time < $until;
END
systemd-run --quiet --unit=holder /usr/bin/perl /root/hold.pl
while [ ! -e /root/held ]; do systemctl is-active --quiet holder || exit 1; sleep 0.05; done"#,
    );
    lab.declare(&body("Local only", ""));
    let mut apply = lab
        .command(&["apply", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = lab.on_host("systemctl show -P MainPID holder");
    let holder = format!("the lock of /var/cache/debconf/config.dat, held by perl (pid {pid})");
    let mut told = String::new();
    for line in BufReader::new(apply.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        told += &format!("{line}\n");
        if line.contains(&holder) {
            assert_eq!(answer(&lab, "asks/name"), "");
            lab.on_host("rm -f /root/hold");
        }
    }
    assert!(apply.wait().unwrap().success(), "{told}");
    assert!(told.contains(&holder), "{told}");
    lab.assert_converged();
}

#[test]
fn what_cannot_be_seen_is_no_answer_and_a_password_is_never_one() {
    let lab = lab();
    lab.on_host("apt-get -q update; DEBIAN_FRONTEND=noninteractive apt-get -qy install asks");
    lab.declare("[debconf]\n\"asks/password\" = { type = \"string\", value = \"x\" }\n");
    let blocked = lab.plan().expect(1);
    assert!(blocked.told().contains("it asks for a password"), "{}", blocked.told());

    lab.declare(&body("Local only", ""));
    lab.on_host("cp -a /etc/debconf.conf /root; sed -i s,config.dat,other.dat, /etc/debconf.conf");
    let unknown = lab.plan().expect(1);
    let said = unknown.told();
    assert!(
        said.contains("/etc/debconf.conf does not say that debconf keeps its answers in"),
        "{said}"
    );
    lab.on_host(
        "mv /root/debconf.conf /etc; mv /var/cache/debconf/config.dat /root; mkdir /var/cache/debconf/config.dat",
    );
    let unknown = lab.plan().expect(1);
    assert!(
        unknown.told().contains("cannot read /var/cache/debconf/config.dat"),
        "{}",
        unknown.told()
    );
    lab.on_host("rmdir /var/cache/debconf/config.dat; mv /root/config.dat /var/cache/debconf/");
    lab.converge(&body("Local only", ""));
}
