//! Machines that were made by hand, each in its own way, taken into a configuration whose plan on them is empty.

use std::fs;
use std::path::Path;

use crate::lab::{Lab, Ran};

/// A package with a configuration file that somebody changed, and one that is as it came.
const PACKAGE: &str = "mkdir -p /tmp/p/DEBIAN /tmp/p/etc; printf 'Package: byhand\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: by hand\\n' > /tmp/p/DEBIAN/control
printf '/etc/byhand.conf\\n/etc/byhand-same.conf\\n' > /tmp/p/DEBIAN/conffiles; echo 'level = 1' > /tmp/p/etc/byhand.conf; echo same > /tmp/p/etc/byhand-same.conf
dpkg-deb --root-owner-group -b /tmp/p /tmp/p.deb >/dev/null; dpkg -i /tmp/p.deb >/dev/null; rm -rf /tmp/p /tmp/p.deb
echo 'level = 2' > /etc/byhand.conf";

/// People, what they may do, and how they come in.
const PEOPLE: &str = "groupadd -g 1700 ops; useradd -m -u 1500 -s /bin/bash -c 'Bob B' -G ops bob; useradd -u 1501 -M -d /srv/nowhere eve
install -d -m 700 -o bob -g bob ~bob/.ssh
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEPmYw0nLwFj4sVuVtD4l5KMZ0TQ1q1A0qk9mUeXnWgC bob@desk' > ~bob/.ssh/authorized_keys
chown bob: ~bob/.ssh/authorized_keys; chmod 600 ~bob/.ssh/authorized_keys
mkdir -p /etc/sudoers.d; echo 'bob ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/bob; chmod 0440 /etc/sudoers.d/bob";

/// Units, a timer, a masked unit, a drop-in.
const UNITS: &str = "printf '[Service]\\nExecStart=/bin/sleep 1000000\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/app.service
printf '[Service]\\nType=oneshot\\nExecStart=/bin/true\\n' > /etc/systemd/system/tidy.service
printf '[Timer]\\nOnCalendar=daily\\n[Install]\\nWantedBy=timers.target\\n' > /etc/systemd/system/tidy.timer
printf '[Service]\\nExecStart=/bin/sleep 1000000\\n[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/idle.service
mkdir -p /etc/systemd/system/app.service.d; printf '[Service]\\nRestart=always\\n' > /etc/systemd/system/app.service.d/more.conf
systemctl daemon-reload; systemctl enable --now -q app.service tidy.timer; systemctl mask -q rescue.service";

/// Files of the usual places: some for everybody, some that are not to be told.
const FILES: &str = "mkdir -p /etc/apt/keyrings /etc/sysctl.d /etc/profile.d /etc/logrotate.d /etc/cron.d /etc/apt/sources.list.d
echo 'kernel.printk_ratelimit = 6' > /etc/sysctl.d/60-own.conf
i=0; while [ $i -lt 60 ]; do echo \"# line $i: {{ not a template }}\"; i=$((i+1)); done > /etc/profile.d/long.sh
printf '\\001\\377keyring' > /etc/apt/keyrings/own.gpg
echo '/var/log/app.log { weekly }' > /etc/logrotate.d/app
echo 'export API_TOKEN=tok-0123456789abcdef' > /etc/profile.d/token.sh
echo 'export QUIET=hush-hush-content' > /etc/profile.d/quiet.sh; chmod 0640 /etc/profile.d/quiet.sh
echo '* * * * * root true' > /etc/cron.d/own
mkdir -p /var/lib/docker/containers/0af; echo '{\"Name\":\"/redis\",\"Config\":{\"Image\":\"redis:7\"}}' > /var/lib/docker/containers/0af/config.v2.json
ln -s own-target /etc/profile.d/link.sh";

fn host_file(lab: &Lab) -> String {
    fs::read_to_string(lab.root().join(format!("hosts/{}.toml", lab.name()))).unwrap()
}

/// Everything that lies in the project.
fn everything(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &everything(&path);
        } else {
            all += &String::from_utf8_lossy(&fs::read(path).unwrap());
        }
    }
    all
}

/// Adopts, and fails the test unless the files make sense and a plan of them is empty.
#[track_caller]
fn adopted(lab: &Lab) -> Ran {
    let ran = lab.provision(&["adopt", lab.name(), "--force"]).expect(0);
    let _ = lab.provision(&["check"]).expect(0);
    let plan = lab.provision(&["plan", "--json", "--detailed-exitcode"]).expect(0);
    assert_eq!(
        plan.json()["hosts"][0]["plan"]["changes"],
        serde_json::json!([]),
        "{}",
        plan.told()
    );
    ran
}

#[test]
fn machines_made_by_hand_are_taken_in_and_their_plans_are_empty() {
    for parts in [
        &[][..],
        &[PEOPLE],
        &[FILES, PACKAGE],
        &[UNITS],
        &[PACKAGE, PEOPLE, UNITS, FILES],
    ] {
        let lab = Lab::new();
        lab.on_host(&format!("set -e\n{}\ntrue", parts.join("\n")));
        let ran = adopted(&lab);
        let text = host_file(&lab);
        let has = |part: &str, seen: &[&str]| {
            for seen in seen {
                assert_eq!(
                    text.contains(seen),
                    parts.contains(&part),
                    "{seen} in\n{text}\n{}",
                    ran.told()
                );
            }
        };
        has(
            PACKAGE,
            &["[packages.\"byhand\"]", "[files.\"/etc/byhand.conf\"]", "level = 2"],
        );
        has(
            PEOPLE,
            &[
                "[users.\"bob\"]",
                "[users.\"eve\"]",
                "[groups.\"ops\"]",
                "[files.\"/etc/sudoers.d/bob\"]",
                "[directories.\"/home/bob/.ssh\"]",
                "bob@desk",
            ],
        );
        has(
            UNITS,
            &[
                "[units.\"app.service\"]",
                "[units.\"tidy.timer\"]",
                "[units.\"idle.service\"]",
                "[files.\"/etc/systemd/system/tidy.service\"]",
                "[files.\"/etc/systemd/system/app.service.d/more.conf\"]",
                "[symlinks.\"/etc/systemd/system/rescue.service\"]",
            ],
        );
        has(
            FILES,
            &[
                "[files.\"/etc/sysctl.d/60-own.conf\"]",
                "[files.\"/etc/apt/keyrings/own.gpg\"]",
                "[symlinks.\"/etc/profile.d/link.sh\"]",
                "#   /etc/profile.d/token.sh: it looks as if it held a password or token",
                "#   /etc/profile.d/quiet.sh: not everybody may read it",
                "#   /etc/cron.d/own: a job of cron",
                "#   the container redis: of redis:7",
                "long.sh\"\n",
            ],
        );
        assert!(
            !text.contains("byhand-same"),
            "what is as it came is its package's: {text}"
        );
        let all = everything(lab.root());
        for secret in ["tok-0123456789abcdef", "hush-hush-content"] {
            assert!(!all.contains(secret), "{secret} left the host");
        }
        if parts.is_empty() {
            for kind in ["[packages.", "[users.", "[groups.", "[units.", "[directories."] {
                assert!(!text.contains(kind), "a bare host has no {kind} of its own: {text}");
            }
            continue;
        }
        // What is declared is looked after: a change by hand is found, where there was none before.
        let changed = [
            (PACKAGE, "file:/etc/byhand.conf", "echo changed > /etc/byhand.conf"),
            (PEOPLE, "user:bob", "usermod -s /bin/sh bob"),
            (UNITS, "unit:app.service", "systemctl stop app"),
            (FILES, "file:/etc/profile.d/long.sh", "echo >> /etc/profile.d/long.sh"),
        ];
        for (_, id, line) in changed.iter().filter(|(part, _, _)| parts.contains(part)) {
            lab.on_host(line);
            assert!(lab.plan_ids().contains(&(*id).to_owned()), "{id} is not looked after");
        }
    }
}

#[test]
fn a_machine_is_adopted_without_a_host_file_and_none_is_written_over() {
    let lab = Lab::new();
    lab.on_host(&format!("set -e\n{FILES}"));
    let path = lab.root().join(format!("hosts/{}.toml", lab.name()));
    let before = host_file(&lab);
    let refused = lab.provision(&["adopt", lab.name()]).expect(1);
    assert!(
        refused.stderr.contains("is there already") && refused.stderr.contains("--force"),
        "{}",
        refused.told()
    );
    assert_eq!(host_file(&lab), before);

    fs::remove_file(&path).unwrap();
    let address = lab.host.address().to_string();
    let port = lab.host.ssh_address().port().to_string();
    let (key, identity) = (
        lab.host.host_key().trim().to_owned(),
        lab.host.identity().display().to_string(),
    );
    let ways = [
        "--address",
        &address,
        "--port",
        &port,
        "--user",
        "root",
        "--identity-file",
        &identity,
    ];
    let args = [&["adopt", lab.name()][..], &ways, &["--host-key", &key, "--json"]].concat();
    let ran = lab.provision(&args).expect(0);
    let json = ran.json();
    assert!(json["files"].as_array().unwrap().len() > 1, "{}", ran.told());
    let left = json["left"].to_string();
    assert!(
        left.contains("/etc/profile.d/token.sh") && left.contains("redis"),
        "{left}"
    );
    lab.assert_converged();
    // Nothing was changed there, and nothing is kept there but the agent.
    assert_eq!(lab.on_host("ls /var/lib/provision"), "agents");

    // What is managed is not adopted once more.
    let text = host_file(&lab);
    fs::write(&path, format!("{text}\n[files.\"/srv/new\"]\ntext = \"x\\n\"\n")).unwrap();
    let _ = lab.provision(&["apply", "--yes"]).expect(0);
    let managed = lab.provision(&["adopt", lab.name(), "--force"]).expect(1);
    assert!(
        managed.stderr.contains("is managed already") && managed.stderr.contains("provision forget"),
        "{}",
        managed.told()
    );
}
