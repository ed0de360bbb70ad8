//! What `doctor` finds on real hosts: each trouble is made, found by its name, and gone when it is mended.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::lab::Lab;

/// What is found of the lab's host, and what is not known.
struct Found {
    findings: Vec<Value>,
    unknown: Vec<Value>,
}

impl Found {
    #[track_caller]
    fn of(lab: &Lab) -> Self {
        let ran = lab.provision(&["doctor", "--json"]);
        let json = ran.json();
        let list = |name: &str| {
            json["hosts"][0][name]
                .as_array()
                .cloned()
                .unwrap_or_else(|| panic!("{}", ran.told()))
        };
        let found = Self {
            findings: list("findings"),
            unknown: list("unknown"),
        };
        let problems = found.findings.iter().any(|finding| finding["severity"] == "problem");
        let code = match (problems, found.findings.is_empty() && found.unknown.is_empty()) {
            (true, _) => 3,
            (false, false) => 2,
            (false, true) => 0,
        };
        assert_eq!(ran.code(), code, "{}", ran.told());
        assert_eq!(json["exit_code"], code);
        found
    }

    fn names(&self) -> BTreeSet<String> {
        let names = self
            .findings
            .iter()
            .map(|finding| finding["name"].as_str().unwrap().to_owned());
        names.collect()
    }

    /// The finding of this name about this subject.
    #[track_caller]
    fn one(&self, name: &str, subject: &str) -> &Value {
        let is = |finding: &&Value| finding["name"] == name && finding["subject"].as_str() == Some(subject);
        let found = self.findings.iter().find(is);
        found.unwrap_or_else(|| panic!("no {name} of {subject}: {:#?}", self.findings))
    }

    #[track_caller]
    fn says(&self, name: &str, subject: &str, words: &[&str]) {
        let finding = self.one(name, subject).to_string();
        for word in words {
            assert!(finding.contains(word), "no {word:?} in {finding}");
        }
    }
}

/// A host on which nothing is wrong but what a throwaway host cannot have: `names` that are always found are taken away.
#[track_caller]
fn well(lab: &Lab) -> BTreeSet<String> {
    let found = Found::of(lab);
    assert_eq!(found.unknown, Vec::<Value>::new(), "everything can be looked at");
    found.names()
}

#[test]
fn a_new_host_is_well_in_one_look_and_nothing_is_changed_by_it() {
    let lab = Lab::new();
    lab.converge("");
    assert_eq!(well(&lab), BTreeSet::new());
    let text = lab.provision(&["doctor", "-v"]).expect(0);
    for seen in [
        "well: 11 checks found nothing",
        "disks",
        "0 units failed",
        "nobody applies",
    ] {
        assert!(text.stdout.contains(seen), "no {seen:?}: {}", text.told());
    }
    let marks = "find /etc /var/lib /srv -xdev -newer /run/mark -not -path '/var/lib/systemd/*' | sort";
    lab.on_host("touch /run/mark");
    let _ = lab.provision(&["doctor"]).expect(0);
    assert_eq!(lab.on_host(marks), "");
}

#[test]
fn failed_units_of_the_system_and_of_users_have_their_last_words() {
    let lab = Lab::new();
    lab.on_host(
        "set -e; printf '#!/bin/sh\\necho not today\\nprintf \"evil\\\\033[31m\\\\n\"\\nexit 7\\n' > /srv/bad; chmod +x /srv/bad
printf '[Service]\\nType=oneshot\\nExecStart=/srv/bad\\n' > /etc/systemd/system/bad.service
systemctl daemon-reload; systemctl start bad || true",
    );
    let found = Found::of(&lab);
    found.says(
        "unit-failed",
        "bad.service",
        &["not today", "status 7", "provision logs", "reset-failed bad.service"],
    );
    let text = lab.provision(&["doctor"]).expect(3);
    assert!(
        text.stdout
            .contains("✗ unit-failed  bad.service: failed: exit-code, status 7"),
        "{}",
        text.told()
    );
    assert!(!text.stdout.contains('\u{1b}'), "a unit steers the terminal");

    lab.on_host(
        "set -e; systemctl reset-failed bad; useradd -m bob; loginctl enable-linger bob; uid=$(id -u bob)
systemctl start user@$uid.service
mkdir -p ~bob/.config/systemd/user
printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"echo from bob; exit 9\"\\n' > ~bob/.config/systemd/user/mine.service
chown -R bob: ~bob/.config
as() { setpriv --reuid=bob --regid=bob --clear-groups env XDG_RUNTIME_DIR=/run/user/$uid \"$@\"; }
as systemctl --user daemon-reload; as systemctl --user start mine || true",
    );
    let found = Found::of(&lab);
    assert_eq!(
        found.names(),
        BTreeSet::from(["unit-failed".to_owned()]),
        "{:#?}",
        found.findings
    );
    found.says(
        "unit-failed",
        "mine.service of bob",
        &["from bob", "status 9", "--machine=bob@"],
    );
}

#[test]
fn full_disks_and_inodes_are_told_by_their_mount_points() {
    let lab = Lab::new();
    lab.on_host(
        "set -e; mkdir /srv/full '/srv/in odes'; mount -t tmpfs -o size=1m tmpfs /srv/full; mount -t tmpfs -o nr_inodes=20 tmpfs '/srv/in odes'
head -c 1000000 /dev/zero > /srv/full/x; for i in $(seq 1 18); do touch \"/srv/in odes/$i\"; done",
    );
    let found = Found::of(&lab);
    found.says("disk-full", "/srv/full", &["95 % used", "\"warning\""]);
    found.says("inodes-full", "/srv/in odes", &["95 % of its inodes", "\"warning\""]);
    lab.on_host("set -e; umount /srv/full '/srv/in odes'");
    assert_eq!(well(&lab), BTreeSet::new());
}

/// Makes inotify instances and watches, says so, and keeps them; then forks once, which makes no more of them.
const WATCHER: &str = r#"
my ($instances, $watches) = @ARGV;
# inotify_init1 and inotify_add_watch.
my ($init, $add) = `uname -m` =~ /aarch64/ ? (26, 27) : (294, 254);
my @fds;
for (1 .. $instances) {
    my $fd = syscall($init, 0);
    die "no instance: $!" if $fd < 0;
    push @fds, $fd;
}
for my $n (1 .. $watches) {
    my $path = "/srv/watched/$n";
    mkdir $path;
    syscall($add, $fds[0], $path, 0x100) >= 0 or die "no watch: $!";
}
fork or sleep;
open(my $told, ">", "/srv/told") or die;
close $told;
sleep;
"#;

#[test]
fn inotify_is_counted_by_user_against_the_limit_of_this_host() {
    let lab = Lab::new();
    fs::write(lab.outside("/srv/watch.pl"), WATCHER).unwrap();
    lab.on_host("useradd -m bob; mkdir -p /srv/watched; chown bob /srv/watched; mkfifo -m 666 /srv/told");
    // The limit is the kernel's, which this machine has as well: it is met, not moved.
    let limit: u64 = lab
        .on_host("cat /proc/sys/fs/inotify/max_user_instances")
        .parse()
        .unwrap();
    let some = (limit * 8).div_ceil(10);
    lab.on_host(&format!(
        "systemd-run --quiet --unit=watch -p User=bob perl /srv/watch.pl {some} 3; cat /srv/told"
    ));
    let found = Found::of(&lab);
    assert_eq!(
        found.names(),
        BTreeSet::from(["inotify-instances".to_owned()]),
        "{:#?}",
        found.findings
    );
    // The parent's one instance with watches is the child's as well, and one; what has no watches cannot be told apart.
    found.says(
        "inotify-instances",
        "bob",
        &[&format!("of {limit} instances"), "watch.service", "max_user_instances"],
    );
    lab.on_host("systemctl stop watch");
    assert_eq!(well(&lab), BTreeSet::new());
}

/// Takes the lock as dpkg does, and keeps it.
const HOLDER: &str = r#"use Fcntl;
open(my $lock, "+>", "/var/lib/dpkg/lock-frontend") or die;
my $all = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
fcntl($lock, F_SETLK, $all) or die;
open(my $told, ">", "/srv/told") or die;
close $told;
sleep;
"#;

#[test]
fn who_holds_dpkgs_lock_is_named() {
    let lab = Lab::new();
    fs::write(lab.outside("/srv/hold.pl"), HOLDER).unwrap();
    lab.on_host("mkfifo /srv/told; systemd-run --quiet --unit=holder perl /srv/hold.pl; cat /srv/told");
    let pid = lab.on_host("systemctl show -P MainPID holder");
    let found = Found::of(&lab);
    let words = format!("held by perl (pid {pid}) of holder.service");
    found.says(
        "package-lock-held",
        "/var/lib/dpkg/lock-frontend",
        &[&words, "\"warning\""],
    );
    lab.on_host("systemctl stop holder");
    assert_eq!(well(&lab), BTreeSet::new());
}

/// A server on a port, as a unit.
const SERVER: &str = r#"use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$ARGV[0]", Listen => 9, ReuseAddr => 1) or die;
open(my $told, ">", "/srv/told") or die;
close $told;
sleep;
"#;

#[test]
fn a_stranger_on_a_claimed_port_is_found_and_the_own_unit_is_none() {
    let lab = Lab::new();
    fs::write(lab.outside("/srv/server.pl"), SERVER).unwrap();
    lab.write(
        "modules/web.toml",
        "description = \"A server.\"\n[options.port]\ntype = \"port\"\ndescription = \"Where.\"\n\
         [ports.http]\nport = \"{{ port }}\"\naddress = \"127.0.0.1\"\n\
         [units.\"web.service\"]\nactive = true\nsettle = \"100ms\"\ntext = \"[Service]\\nExecStart=/usr/bin/perl /srv/server.pl {{ port }}\\n\"\n",
    );
    let body = "imports = [\"web\"]\n[set.web]\nport = 8090\n";
    lab.on_host("mkfifo /srv/told");
    lab.converge(body);
    lab.on_host("cat /srv/told");
    assert_eq!(well(&lab), BTreeSet::new());
    lab.on_host(
        "set -e; systemctl stop web; systemd-run --quiet --unit=old-web perl /srv/server.pl 8090; cat /srv/told",
    );
    let found = Found::of(&lab);
    found.says(
        "port-taken",
        "port 8090/tcp",
        &[
            "`http` of `web` claims it",
            "perl (pid ",
            "of old-web.service",
            "systemctl disable --now old-web.service",
        ],
    );
}

/// A certificate and its key, valid from and until such times as `date` knows them.
fn certificate(from: &str, until: &str) -> (String, String) {
    let made = tempfile::tempdir().unwrap();
    let script = format!(
        "set -e; cd {}; at() {{ date -u -d \"$1\" +%Y%m%d%H%M%SZ; }}; touch index; echo 01 > serial
printf '[ca]\\ndefault_ca=c\\n[c]\\nnew_certs_dir=.\\ndatabase=index\\nserial=serial\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n[req]\\ndistinguished_name=d\\n[d]\\n' > conf
openssl req -new -config conf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out request -subj /CN=web.example
openssl ca -batch -config conf -selfsign -notext -keyfile key -in request -out pem -startdate $(at '{from}') -enddate $(at '{until}')",
        made.path().display()
    );
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(made.path().join(name)).unwrap();
    (read("pem"), read("key"))
}

#[test]
fn certificates_are_read_where_the_configuration_and_the_distribution_keep_them() {
    let lab = Lab::new();
    let (over, _) = certificate("-90 days", "-1 hour");
    let (soon, key) = certificate("-80 days", "+10 days");
    let (days, _) = certificate("-89 days", "+1 day");
    // A certificate that was made for five days and has them all is well.
    let (short, _) = certificate("-1 hour", "+5 days");
    lab.write("files/over.pem", &over);
    lab.converge("[files.\"/srv/over.pem\"]\nfile = \"over.pem\"\n");
    for (path, text) in [
        (
            "/etc/letsencrypt/live/web.example/fullchain.pem",
            format!("{soon}{over}"),
        ),
        ("/etc/letsencrypt/live/web.example/cert.pem", soon.clone()),
        ("/etc/letsencrypt/live/web.example/privkey.pem", key.clone()),
        ("/etc/ssl/private/pair.key", key),
        ("/etc/ssl/certs/pair.pem", days),
        ("/etc/ssl/private/both.pem", short),
    ] {
        let path = lab.outside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = Found::of(&lab);
    assert_eq!(found.unknown, Vec::<Value>::new());
    found.says(
        "certificate-expired",
        "/srv/over.pem",
        &["web.example", "1h 0min ago", "\"problem\""],
    );
    found.says(
        "certificate-expiring",
        "/etc/letsencrypt/live/web.example/cert.pem",
        &["in 9d 23h", "\"warning\""],
    );
    found.says(
        "certificate-expiring",
        "/etc/ssl/certs/pair.pem",
        &["in 23h 59min", "\"problem\""],
    );
    assert_eq!(found.findings.len(), 3, "{:#?}", found.findings);
    let text = lab.provision(&["doctor", "-v"]).expect(3);
    assert!(text.stdout.contains("4 certificates"), "{}", text.told());
    let broken = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";
    fs::write(lab.outside("/etc/ssl/private/both.pem"), broken).unwrap();
    let found = Found::of(&lab);
    assert_eq!(
        found.unknown[0]["check"], "certificates",
        "what cannot be read is not known"
    );
}

#[test]
fn reboots_and_replaced_code_are_told() {
    let lab = Lab::new();
    lab.on_host("touch /run/reboot-required; printf 'libc6\\ndbus\\nlibc6\\n' > /run/reboot-required.pkgs");
    // A program that is replaced under its process, as an upgrade does.
    lab.on_host(
        "set -e; cp /usr/bin/sleep /usr/local/bin/old-sleep; systemd-run --quiet --unit=old /usr/local/bin/old-sleep 1000
cp /usr/bin/sleep /usr/local/bin/new; mv /usr/local/bin/new /usr/local/bin/old-sleep",
    );
    let found = Found::of(&lab);
    found.says("reboot-required", "reboot", &["asked for by dbus, libc6"]);
    found.says(
        "code-outdated",
        "processes",
        &["old.service: /usr/local/bin/old-sleep", "systemctl restart old.service"],
    );
}

#[test]
fn a_kill_for_want_of_memory_is_told_with_its_unit() {
    let lab = Lab::new();
    // These hosts have no memory controller, so that the kernel kills nobody in them: what systemd writes when it does is
    // written in its name, as its own journal protocol has it. The agent reads it as it reads the real one.
    lab.on_host(
        "printf 'MESSAGE=bot.service: A process of this unit has been killed by the OOM killer.\\nMESSAGE_ID=fe6faa94e7774663a0da52717891d8ef\\nUNIT=bot.service\\nPRIORITY=4\\n' | logger --journald",
    );
    let found = Found::of(&lab);
    found.says(
        "killed-for-memory",
        "bot.service",
        &["a process was killed", "\"problem\"", "MemoryMax="],
    );
}

#[test]
fn a_clock_is_compared_no_closer_than_the_trip_allows() {
    let lab = Lab::new();
    let ran = lab.provision(&["doctor", "--json"]);
    let clock = ran.json()["hosts"][0]["checks"]["clock"].as_str().unwrap().to_owned();
    // The host has this machine's clock.
    assert!(
        clock.contains("behind and ") && clock.contains(" ahead of this machine's"),
        "{clock}"
    );
}

#[test]
fn an_apply_that_failed_is_told_and_so_is_what_was_never_finished() {
    let lab = Lab::new();
    let failed = lab
        .apply("[commands.no]\nrun = [\"/bin/sh\", \"-c\", \"echo it said no; exit 3\"]\ncreates = \"/srv/never\"\n");
    assert_eq!(failed.code(), 3, "{}", failed.told());
    lab.on_host("set -e; d=$(ls -d /var/lib/provision/agents/*); touch -d '1 hour ago' $d/.upload.abcdefgh");
    let found = Found::of(&lab);
    assert_eq!(
        found.names(),
        BTreeSet::from(["apply-failed".to_owned(), "leftover".to_owned()])
    );
    let told = format!("{:?}", found.findings);
    assert!(
        told.contains("it said no") && told.contains(".upload.abcdefgh"),
        "{told}"
    );
}
