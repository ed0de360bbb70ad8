//! The embedded store as a person uses it: begun, filled, delivered from, rotated, and planned from without a key.

use std::fs;
use std::process::Command;

use super::BOT;
use crate::lab::{Lab, Ran};

/// Runs the program with something to read.
fn told(lab: &Lab, args: &[&str], value: &str) -> Ran {
    lab.provision_reading(args, &[], value.as_bytes())
}

#[test]
fn the_first_secret_is_two_commands_away_and_rotating_it_is_one() {
    let lab = Lab::new();
    let key = lab.root().join(".ssh/id_ed25519");
    fs::create_dir(lab.root().join(".ssh")).unwrap();
    let made = Command::new("ssh-keygen")
        .args(["-qt", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    lab.provision(&["secrets", "init"]).expect(0);
    told(&lab, &["secrets", "set", "token"], "canary-first\n").expect(0);
    told(&lab, &["secrets", "set", "api/key"], "canary-key\n").expect(0);
    let body = "[secrets.token]\nowner = \"bot\"\n[secrets.\"api/key\"]\ndeliver = false\n\
                [secrets.\"bot.env\"]\nowner = \"bot\"\ntext = \"KEY={{ secret(name='api/key') }} NAME=\\n\"\n";
    lab.converge(&format!("{body}{BOT}"));
    assert_eq!(lab.on_host("cat /run/agenix/token"), "canary-first");

    let checked = lab.provision(&["secrets", "check"]).expect(0);
    assert!(
        checked.stdout.contains("v1") && !checked.told().contains("canary"),
        "{}",
        checked.told()
    );
    let who = lab.provision(&["secrets", "who", "api/key"]).expect(0);
    assert!(
        who.stdout.contains("/run/agenix/bot.env") && who.stdout.contains("bot.service"),
        "{}",
        who.told()
    );

    // Who plans needs no key; who applies does, and is told so before any host is touched.
    let away = lab.root().join("away");
    fs::rename(&key, &away).unwrap();
    lab.assert_converged();
    told(&lab, &["secrets", "set", "token"], "canary-second\n").expect(0);
    let plan = lab.plan().expect(2);
    assert!(
        plan.stdout.contains("v1 → v2") && plan.stdout.contains("bot.service"),
        "{}",
        plan.told()
    );
    let refused = lab.provision(&["apply", "--yes"]).expect(1);
    assert!(!refused.told().contains("canary"), "{}", refused.told());
    assert_eq!(lab.on_host("cat /run/agenix/token"), "canary-first");
    fs::rename(&away, &key).unwrap();

    let rotated = told(&lab, &["secrets", "rotate", "token", "--yes"], "canary-third").expect(0);
    assert!(
        rotated.stdout.contains("v1 → v3") && !rotated.told().contains("canary"),
        "{}",
        rotated.told()
    );
    assert_eq!(
        lab.on_host("cat /run/agenix/token; grep -c NAME= /var/lib/bot/read"),
        "canary-third2",
        "the bot is restarted once for each new version that was delivered"
    );
    lab.assert_converged();
    let unknown = told(&lab, &["secrets", "rotate", "tokn", "--yes"], "x").expect(1);
    assert!(unknown.stderr.contains("did you mean `token`"), "{}", unknown.told());
}
