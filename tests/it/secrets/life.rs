//! A secret's life while its host is up.

use std::fs;

use super::{BOT, secrets};
use crate::lab::{Lab, moved};

#[test]
fn secrets_are_delivered_used_left_alone_healed_rotated_and_removed() {
    let lab = Lab::new();
    lab.write("values/token", "canary-one\n");
    lab.write("values/key", "it's-a-canary\n");
    let body = secrets(&lab) + BOT;
    lab.declare(&body);
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("+ create   secret:token"), "{}", plan.told());
    let applied = lab.converge(&body);
    for ran in [&plan, &applied] {
        assert!(!ran.told().contains("canary"), "{}", ran.told());
    }
    let look = "stat -L -c '%F %a %U %G %h' /run/agenix /run/agenix/*; stat -f -c %T /run/agenix/; cat /run/agenix/*";
    assert_eq!(
        lab.on_host(look),
        format!(
            "directory 751 root root 2\nregular file 440 bot root 1\nregular file 400 bot bot 1\nramfs\n\
             NAME={}\nKEY='it'\\''s-a-canary'\ncanary-one",
            lab.name()
        )
    );
    let starts = || lab.on_host("grep -c NAME= /var/lib/bot/read");
    assert_eq!(starts(), "1");

    // Somebody else's hand is drift, though no plan knows the value.
    lab.on_host("echo tampered > /run/agenix/token");
    assert_eq!(lab.drift(), moved(&[("secret:token", "host")]));
    lab.converge(&body);
    assert_eq!(lab.on_host("cat /run/agenix/token"), "canary-one");
    assert_eq!(starts(), "2");

    // Both change: one new set, one restart.
    lab.write("values/token", "canary-two\n");
    lab.write("values/key", "canary-key\n");
    assert_eq!(
        lab.drift(),
        moved(&[("secret:bot.env", "configuration"), ("secret:token", "configuration")])
    );
    lab.converge(&body);
    assert_eq!(
        lab.on_host("cat /run/agenix/token; tail -1 /run/agenix/bot.env"),
        "canary-two\nKEY='canary-key'"
    );
    assert_eq!(starts(), "3");

    // One that leaves the configuration leaves the memory, and the last takes the memory along.
    let bot_alone = BOT.replace("/run/agenix/token /run/agenix/bot.env", "/run/agenix/token");
    let token = secrets(&lab);
    let token = &token[..token.find("[secrets.key]").unwrap()];
    lab.converge(&format!("{token}{bot_alone}"));
    assert_eq!(lab.on_host("ls /run/agenix"), "token");
    lab.converge("");
    assert_eq!(lab.on_host("ls /run | grep -c agenix || true"), "0");
}

#[test]
fn a_secret_that_cannot_be_had_keeps_every_host_from_being_touched() {
    let lab = Lab::new();
    lab.write("values/token", "canary-one\n");
    let body = secrets(&lab) + BOT;
    lab.declare(&body);
    let plan = lab.plan().expect(1);
    assert!(plan.stdout.contains("secret:bot.env"), "{}", plan.told());
    let refused = lab.provision(&["apply", "--yes"]).expect(1);
    assert!(refused.told().contains("cat"), "{}", refused.told());
    assert!(!refused.told().contains("canary-one"), "{}", refused.told());
    lab.on_host("test ! -e /run/agenix -a ! -e /run/agenix.d -a ! -e /var/lib/provision/current");
}

#[test]
fn a_saved_plan_delivers_the_version_that_it_shows_or_nothing() {
    let lab = Lab::new();
    lab.write("values/token", "canary-one\n");
    lab.write("values/key", "canary-key\n");
    lab.declare(&(secrets(&lab) + BOT));
    lab.provision(&["plan", "--out", "saved.plan"]).expect(0);
    let saved = fs::read_to_string(lab.root().join("saved.plan")).unwrap();
    assert!(
        !saved.contains("canary-") && !saved.contains("Y2FuYXJ5"),
        "a value is in the saved plan"
    );
    lab.write("values/token", "canary-two\n");
    let stale = lab.provision(&["apply", "--yes", "./saved.plan"]).expect(5);
    assert!(stale.stderr.contains("moved since the plan"), "{}", stale.told());
    lab.on_host("test ! -e /run/agenix.d");
    lab.write("values/token", "canary-one\n");
    lab.provision(&["apply", "--yes", "./saved.plan"]).expect(0);
    assert_eq!(lab.on_host("cat /run/agenix/token"), "canary-one");
}

#[test]
fn going_back_to_an_older_configuration_brings_no_old_secret_back() {
    let lab = Lab::new();
    lab.write("values/token", "canary-old\n");
    lab.write("values/key", "canary-key\n");
    let body = secrets(&lab) + BOT;
    lab.converge(&format!("{body}[files.\"/etc/marker\"]\ntext = \"one\\n\"\n"));
    lab.write("values/token", "canary-new\n");
    lab.converge(&format!("{body}[files.\"/etc/marker\"]\ntext = \"two\\n\"\n"));
    lab.provision(&["rollback", lab.name(), "--yes"]).expect(0);
    assert_eq!(lab.on_host("cat /etc/marker /run/agenix/token"), "one\ncanary-new");
}
