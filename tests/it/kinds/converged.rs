//! A converged host: looking at it, and applying once more, writes nothing and restarts nothing there. The host's own
//! file systems and systemd are asked, not `provision`.

use std::collections::BTreeMap;

use crate::lab::Lab;

/// What a login over SSH writes by itself, whoever logs in: sshd, PAM, logind and the journal.
const LOGIN: [&str; 12] = [
    "/run/log",
    "/run/motd.dynamic",
    "/run/systemd/journal",
    "/run/systemd/sessions",
    "/run/systemd/transient",
    "/run/systemd/units",
    "/run/systemd/users",
    "/run/user",
    "/run/utmp",
    "/var/log/journal",
    "/var/log/lastlog",
    "/var/log/wtmp",
];

/// One of each kind that can be made without a mirror.
const BODY: &str = r#"
[groups.team]
[users.bot]
groups = ["team"]
home = "/srv/bot"
[directories."/srv/bot/work"]
owner = "bot"
[files."/srv/bot/work/key"]
text = "secret\n"
owner = "bot"
mode = "0400"
[files."/etc/bot.conf"]
text = "conf of {{ host.name }}\n"
validate = ["grep", "-q", "conf"]
[symlinks."/etc/bot"]
target = "bot.conf"
[sysctl]
"net.core.somaxconn" = 777
[packages]
openssh-server = "present"
telnetd = "absent"
[debconf]
"iproute2/setcaps" = { type = "boolean", value = false }
[commands.made]
run = ["touch", "/srv/made"]
creates = "/srv/made"
[commands.checked]
run = ["touch", "/srv/checked"]
unless = ["test", "-e", "/srv/checked"]
[units."bot.service"]
enabled = true
active = true
settle = "100ms"
text = """
[Service]
User=bot
ExecStart=/bin/sleep infinity
EnvironmentFile=-/etc/bot.conf
[Install]
WantedBy=multi-user.target
"""
[units."ssh.service"]
active = true
[units."bot@.service"]
text = "[Service]\nExecStart=/bin/sleep infinity\n"
[units."bot@one.service"]
active = true
settle = "100ms"
[probes.unit]
unit = "bot.service"
[probes.tcp]
tcp = "127.0.0.1:22"
"#;

/// Every path of the host's own file systems, with its inode and when its content, name or attributes last changed.
fn tree(lab: &Lab) -> BTreeMap<String, String> {
    let pruned: Vec<_> = LOGIN.iter().map(|path| format!("-path {path}")).collect();
    let list = lab.on_host(&format!(
        "find / /run -xdev \\( {} \\) -prune -o -printf '%i %C@ %T@ %m %u %g %s\\t%p\\n'",
        pruned.join(" -o ")
    ));
    let lines = list.lines().filter_map(|line| line.split_once('\t'));
    // pam_motd renames its file in /run itself, whose entries are all looked at.
    let lines = lines.filter(|(_, path)| *path != "/run");
    lines.map(|(seen, path)| (path.to_owned(), seen.to_owned())).collect()
}

/// Every service, with which start of it runs; but not those that are the logins themselves.
fn starts(lab: &Lab) -> String {
    lab.on_host(
        "systemctl show --all -p Id -p InvocationID -p NRestarts -p ActiveEnterTimestampMonotonic '*.service' '*.socket' \
         '*.timer' '*.mount' | awk 'BEGIN { RS = \"\"; FS = \"\\n\" } !/Id=(user@|user-runtime-dir@|run-user-)/ { print $0, \"\\n\" }'",
    )
}

#[test]
fn a_second_apply_writes_nothing_and_restarts_nothing() {
    let lab = Lab::new();
    lab.converge(BODY);
    // What the first look and apply leave behind (a login's first files) is there now.
    let (tree_before, starts_before) = (tree(&lab), starts(&lab));
    assert!(tree_before.len() > 5_000 && tree_before.contains_key("/var/lib/provision/current"));
    assert!(starts_before.contains("Id=bot@one.service"), "{starts_before}");

    for look in [
        &["plan", "--detailed-exitcode"][..],
        &["apply", "--yes"],
        &["drift", "--detailed-exitcode"],
        &["status"],
    ] {
        let _ = lab.provision(look).expect(0);
        let now = tree(&lab);
        let written: Vec<_> = now
            .iter()
            .filter(|(path, seen)| tree_before.get(*path) != Some(seen))
            .chain(tree_before.iter().filter(|(path, _)| !now.contains_key(*path)))
            .collect();
        assert!(written.is_empty(), "{look:?} wrote {written:#?}");
        assert_eq!(starts(&lab), starts_before, "{look:?}");
    }

    // The proof can fail: a file written back as it was is seen.
    lab.on_host("cp -p /etc/bot.conf /etc/bot.new; mv /etc/bot.new /etc/bot.conf");
    assert_ne!(tree(&lab), tree_before);
}
