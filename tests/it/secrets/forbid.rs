//! Names that must not be on a host, put there by somebody's hand: the name and the place are told, and what stands beside it never.

use crate::lab::{Lab, moved};

const BODY: &str = r#"forbid = ["OPENAI_API_KEY"]

[files."/etc/bot.json"]
text = "{}\n"

[units."bot.service"]
active = true
settle = "100ms"
text = """
[Service]
EnvironmentFile=-/etc/default/bot
ExecStart=/bin/sleep infinity
"""
"#;

/// The host's file says what is forbidden before its first table.
fn declare(lab: &Lab) {
    let (forbid, body) = BODY.split_once("\n\n").unwrap();
    let text = lab.host_file(lab.host.ssh_address().port(), body);
    lab.write(&format!("hosts/{}.toml", lab.name()), &format!("{forbid}\n{text}"));
}

#[test]
fn a_forbidden_name_is_drift_wherever_a_hand_has_put_it_and_its_value_is_told_nowhere() {
    let lab = Lab::new();
    declare(&lab);
    let _ = lab.provision(&["apply", "--yes"]).expect(0);
    lab.assert_converged();

    // In a managed file: the diff does not show it, and the next apply takes it away.
    lab.on_host("echo '{ \"OPENAI_API_KEY\": \"sk-canary\" }' > /etc/bot.json");
    assert_eq!(
        lab.drift(),
        moved(&[("file:/etc/bot.json", "host"), ("probe:forbidden-names", "host")])
    );
    let plan = lab.provision(&["plan", "--diff", "--verbose"]).expect(0);
    assert!(
        plan.stdout
            .contains("the forbidden name `OPENAI_API_KEY` is in /etc/bot.json"),
        "{}",
        plan.told()
    );
    let json = lab.provision(&["plan", "--json"]).expect(0);
    for ran in [plan, json, lab.provision(&["apply", "--yes", "--diff"]).expect(0)] {
        assert!(!ran.told().contains("canary"), "{}", ran.told());
    }
    lab.assert_converged();

    // Where no resource of ours is: an apply cannot take it away, and says so.
    for (place, line, back) in [
        (
            "/etc/systemd/system/bot.service.d/override.conf",
            "mkdir -p /etc/systemd/system/bot.service.d && \
             printf '[Service]\\nEnvironment=OPENAI_API_KEY=sk-canary\\n' > /etc/systemd/system/bot.service.d/override.conf",
            "rm -r /etc/systemd/system/bot.service.d",
        ),
        (
            "/etc/default/bot",
            "echo OPENAI_API_KEY=sk-canary > /etc/default/bot",
            "rm /etc/default/bot",
        ),
        (
            "the environment of bot.service",
            "systemctl set-environment OPENAI_API_KEY=sk-canary && systemctl restart bot.service",
            "systemctl unset-environment OPENAI_API_KEY && systemctl restart bot.service",
        ),
    ] {
        lab.on_host(line);
        let drift = lab.provision(&["drift", "--detailed-exitcode"]).expect(2);
        let applied = lab.provision(&["apply", "--yes"]).expect(3);
        let status = lab.provision(&["drift", "--json"]).expect(0);
        for ran in [&drift, &applied, &status] {
            let told = ran.told();
            assert!(told.contains(&format!("`OPENAI_API_KEY` is in {place}")), "{told}");
            assert!(!told.contains("canary"), "{told}");
        }
        lab.on_host(&format!("{back} && systemctl daemon-reload"));
        let _ = lab.provision(&["apply", "--yes"]).expect(0);
        lab.assert_converged();
    }
}
