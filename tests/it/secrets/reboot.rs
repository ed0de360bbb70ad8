//! What is left of secrets when a host has started anew: nothing, what was sealed, and never a unit without its own.

use std::time::Duration;

use super::{BOT, secrets};
use crate::lab::Lab;

pub(super) fn reboot(lab: &mut Lab) {
    lab.host.power_cut().unwrap();
    lab.host.boot().unwrap();
    lab.host.wait_ready(Duration::from_secs(60)).unwrap();
    lab.on_host("until systemctl is-system-running --wait | grep -qE 'running|degraded'; do :; done");
}

#[test]
fn units_wait_for_secrets_that_only_an_apply_brings() {
    let mut lab = Lab::new();
    lab.write("values/token", "canary-one\n");
    lab.write("values/key", "canary-key\n");
    let body = secrets(&lab) + BOT;
    lab.converge(&body);
    reboot(&mut lab);
    assert_eq!(
        lab.on_host("systemctl show -p ActiveState,ConditionResult bot.service; test ! -e /run/agenix"),
        "ActiveState=inactive\nConditionResult=no"
    );
    let plan = lab.plan().expect(2);
    assert!(
        plan.stdout.contains("is missing since the host has started anew"),
        "{}",
        plan.told()
    );
    lab.converge(&body);
    assert_eq!(
        lab.on_host("systemctl is-active bot.service; cat /run/agenix/token"),
        "active\ncanary-one"
    );
}

#[test]
fn sealed_secrets_are_back_before_the_units_that_need_them() {
    let mut lab = Lab::new();
    lab.write("values/token", "canary-one\n");
    lab.write("values/key", "canary-key\n");
    let body = secrets(&lab) + BOT;
    let sealed = |lab: &Lab, body: &str| {
        let text = lab.host_file(lab.host.ssh_address().port(), body);
        let text = text.replacen("[host]\n", "[host]\nsecrets_after_reboot = \"sealed\"\n", 1);
        lab.write(&format!("hosts/{}.toml", lab.name()), &text);
    };
    sealed(&lab, &body);
    lab.provision(&["apply", "--yes"]).expect(0);
    lab.assert_converged();
    let copies =
        "cd /var/lib/provision/sealed && ls | grep -c cred; stat -c '%a %U' *.cred | sort -u; ! grep -rqa canary .";
    assert_eq!(lab.on_host(copies), "2\n600 root");
    reboot(&mut lab);
    assert_eq!(
        lab.on_host("systemctl is-active provision-secrets.service bot.service; cat /run/agenix/token; stat -f -c %T /run/agenix/; stat -c '%a %U' /run/agenix/token"),
        "active\nactive\ncanary-one\nramfs\n400 bot"
    );
    lab.assert_converged();

    // A copy that cannot be opened holds the unit back, and brings none of the others.
    lab.on_host("cd /var/lib/provision/sealed && for copy in *.cred; do echo broken > $copy; break; done");
    reboot(&mut lab);
    assert_eq!(
        lab.on_host("systemctl is-failed provision-secrets.service; systemctl is-active bot.service || true; ls /run/agenix 2>/dev/null | wc -l"),
        "failed\ninactive\n0"
    );
    lab.provision(&["apply", "--yes"]).expect(0);
    assert_eq!(
        lab.on_host("systemctl is-active bot.service; cat /run/agenix/token"),
        "active\ncanary-one"
    );

    // Whoever no longer wants them sealed has no copies left.
    lab.converge(&body);
    assert_eq!(lab.on_host("ls /var/lib/provision/sealed | grep -c cred || true"), "0");
}

/// The same bot in the manager of its user.
const USERS_BOT: &str = r#"
[users.bot]
uid = 1500
home = "/home/bot"
[linger]
bot = true
[units."bot/bot.service"]
enabled = true
active = true
settle = "100ms"
text = """
[Service]
ExecStart=/bin/sh -c 'cat /run/agenix/token /run/agenix/bot.env >> %h/read; exec sleep 99999'
[Install]
WantedBy=default.target
"""
"#;

#[test]
fn a_users_manager_waits_for_the_sealed_secrets_of_its_units() {
    let mut lab = Lab::new();
    lab.write("values/token", "canary-one\n");
    lab.write("values/key", "canary-key\n");
    let text = lab.host_file(lab.host.ssh_address().port(), &(secrets(&lab) + USERS_BOT));
    let text = text.replacen("[host]\n", "[host]\nsecrets_after_reboot = \"sealed\"\n", 1);
    lab.write(&format!("hosts/{}.toml", lab.name()), &text);
    lab.provision(&["apply", "--yes"]).expect(0);
    lab.assert_converged();
    let starts = |lab: &Lab| lab.on_host("grep -c canary-.*$ /home/bot/read; tail -1 /home/bot/read");
    assert_eq!(starts(&lab), "2\nKEY='canary-key'");
    // A change of one is one restart.
    lab.write("values/key", "canary-two\n");
    lab.provision(&["apply", "--yes"]).expect(0);
    lab.assert_converged();
    assert_eq!(starts(&lab), "4\nKEY='canary-two'");
    reboot(&mut lab);
    let ask = "runuser -u bot -- env XDG_RUNTIME_DIR=/run/user/1500 systemctl --user";
    assert_eq!(lab.on_host(&format!("{ask} is-active bot.service")), "active");
    assert_eq!(starts(&lab), "6\nKEY='canary-two'");
    // The manager did not begin to start before they were there.
    lab.on_host(
        "test $(systemctl show -P ActiveEnterTimestampMonotonic provision-secrets.service) -lt \
         $(systemctl show -P InactiveExitTimestampMonotonic user@1500.service)",
    );
    lab.assert_converged();
}
