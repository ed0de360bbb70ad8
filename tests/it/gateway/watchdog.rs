//! The watchdog on a real host: what hangs is found though its port is open, and is restarted by its unit, not too often
//! and not for ever.

use super::library;
use crate::faults::running::until;
use crate::lab::Lab;

/// A service that the test can hang, and one that does not even stop when it is told to.
fn body(service: &str, settings: &str) -> String {
    format!(
        r#"imports = ["watchdog"]
[packages]
busybox = "present"
[files."/srv/www/healthz"]
text = "alive\n"
[directories."/srv/www"]
[units."{service}.service"]
active = true
settle = "200ms"
text = """
[Service]
ExecStart=/bin/sh -c 'trap "" {ignored}; exec busybox httpd -f -p 127.0.0.1:8080 -h /srv/www'
TimeoutStopSec=infinity
"""
[set.watchdog.{service}]
url = "http://127.0.0.1:8080/healthz"
body = "alive"
timeout = "1s"
start_period = "0s"
failures = 2
{settings}
"#,
        ignored = if service == "deaf" { "TERM" } else { "USR1" },
    )
}

fn lab() -> Lab {
    let lab = Lab::new();
    library(&lab);
    lab
}

fn pid(lab: &Lab, unit: &str) -> String {
    lab.on_host(&format!("systemctl show -P MainPID {unit}"))
}

/// The service hangs as a stuck process does: it is there, its port takes connections, and nothing comes back.
fn hang(lab: &Lab, service: &str) -> String {
    until("it answers before it hangs", || {
        lab.host
            .run(&["/bin/sh", "-c", "busybox wget -qO- http://127.0.0.1:8080/healthz"])
            .unwrap()
            .status
            .success()
    });
    lab.on_host(&format!("systemctl kill --signal=STOP {service}.service"));
    lab.on_host("bash -c '</dev/tcp/127.0.0.1/8080'");
    assert_eq!(lab.on_host(&format!("systemctl is-active {service}.service")), "active");
    pid(lab, service)
}

/// What the timer does, without waiting for it. Its result, as systemd knows it.
fn look(lab: &Lab, service: &str) -> String {
    let unit = format!("watchdog-{service}.service");
    lab.on_host(&format!(
        "systemctl start {unit}; systemctl show -P Result -P ExecMainStatus {unit} | tr '\\n' ' '"
    ))
}

#[test]
fn what_hangs_is_restarted_at_the_threshold_then_no_more_until_it_cooled_down_and_at_last_not_at_all() {
    let lab = lab();
    let _ = lab.converge(&body("bot", "every = \"1h\"\ncooldown = \"1h\""));
    let first = hang(&lab, "bot");
    assert_eq!(look(&lab, "bot"), "success 0");
    assert_eq!(pid(&lab, "bot"), first, "one failure is none");
    assert_eq!(look(&lab, "bot"), "success 0");
    let second = hang(&lab, "bot");
    assert_ne!(second, first, "{}", lab.on_host("cat /var/log/watchdog/bot.log"));
    for _ in 0..3 {
        assert_eq!(look(&lab, "bot"), "success 0");
    }
    assert_eq!(pid(&lab, "bot"), second, "it has to cool down");
    let log = lab.on_host("cat /var/log/watchdog/bot.log");
    assert!(log.contains("the next is not before 3600 s"), "{log}");
    lab.on_host("systemctl kill --signal=CONT bot.service");

    // What it has done before counts: one restart is left, then it pauses.
    let _ = lab.converge(&body("bot", "every = \"1h\"\ncooldown = \"0s\"\nrestarts = 2"));
    let third = hang(&lab, "bot");
    while pid(&lab, "bot") == third {
        assert_eq!(look(&lab, "bot"), "success 0");
    }
    let last = hang(&lab, "bot");
    assert_eq!(look(&lab, "bot"), "success 0");
    assert_eq!(look(&lab, "bot"), "exit-code 75");
    assert_eq!(look(&lab, "bot"), "exit-code 75");
    assert_eq!(pid(&lab, "bot"), last);
    assert!(
        lab.on_host("systemctl --failed --plain --no-legend")
            .contains("watchdog-bot.service")
    );
    let shown = lab.on_host("systemctl status watchdog-bot.service || true");
    assert!(shown.contains("paused: restarts have not helped"), "{shown}");
    lab.on_host("/usr/local/lib/watchdog/watchdog resume bot");
    assert_eq!(lab.on_host("systemctl --failed --plain --no-legend"), "");
    assert_eq!(
        (look(&lab, "bot"), look(&lab, "bot")),
        ("success 0".to_owned(), "success 0".to_owned())
    );
    assert_ne!(pid(&lab, "bot"), last);
    // Its log is rotated.
    lab.on_host("logrotate --force /etc/logrotate.d/watchdog-bot && test -s /var/log/watchdog/bot.log.1");
    lab.assert_converged();
    // And nothing of it is left when it goes.
    let _ = lab.converge("");
    lab.on_host("test ! -e /usr/local/lib/watchdog && ! systemctl cat watchdog-bot.timer 2>/dev/null");
}

#[test]
fn the_timer_looks_by_itself_and_what_does_not_hear_that_it_should_stop_is_killed() {
    let lab = lab();
    let _ = lab.converge(&body("deaf", "every = \"1s\"\ngrace = \"1s\""));
    let first = hang(&lab, "deaf");
    until("the timer has restarted it", || pid(&lab, "deaf") != first);
    let log = lab.on_host("cat /var/log/watchdog/deaf.log");
    assert!(
        log.contains(&format!(
            "process {first} of deaf.service does not stop within 1 s: it is killed"
        )),
        "{log}"
    );
    // One that somebody stopped stays so.
    lab.on_host("systemctl kill --signal=KILL deaf.service; systemctl stop deaf.service");
    assert!(look(&lab, "deaf").starts_with("success"));
    assert_eq!(pid(&lab, "deaf"), "0");
}
