//! systemd units on a real host.

use crate::lab::{Lab, Ran, moved};

/// Which start of a unit runs, and how often systemd itself had to restart it.
fn invocation(lab: &Lab, unit: &str) -> String {
    lab.on_host(&format!("systemctl show -P InvocationID -P NRestarts {unit}"))
}

/// How often a unit was started, by its own count.
fn starts(lab: &Lab, file: &str) -> usize {
    lab.on_host(&format!("cat {file} 2>/dev/null || true")).lines().count()
}

#[track_caller]
fn says(ran: &Ran, words: &str) {
    assert!(ran.told().contains(words), "no {words:?}: {}", ran.told());
}

#[test]
fn a_service_is_created_left_alone_healed_restarted_once_and_removed() {
    let lab = Lab::new();
    let body = |word: &str, config: &str| {
        format!(
            r#"
[units."bot.service"]
enabled = true
active = true
settle = "200ms"
text = """
[Unit]
Description={word}
[Service]
ExecStart=/bin/sh -c 'echo started >> /root/starts; exec sleep infinity'
EnvironmentFile=/etc/bot/env
[Install]
WantedBy=multi-user.target
"""
[directories."/etc/bot"]
[files."/etc/bot/env"]
text = "COLOUR={config}\n"
"#
        )
    };
    lab.declare(&body("one", "blue"));
    // What it needs is there before it starts, with nothing said about the order.
    let ids = lab.plan_ids();
    assert_eq!(ids.last().map(String::as_str), Some("unit:bot.service"), "{ids:?}");
    lab.converge(&body("one", "blue"));
    let state =
        "systemctl is-enabled bot.service; systemctl is-active bot.service; systemctl show -P Description bot.service";
    assert_eq!(lab.on_host(state), "enabled\nactive\none");
    assert_eq!(starts(&lab, "/root/starts"), 1);

    // A second apply restarts nothing.
    let first = invocation(&lab, "bot.service");
    let _ = lab.apply(&body("one", "blue")).expect(0);
    assert_eq!(invocation(&lab, "bot.service"), first);

    // A file that its text names: one restart, and it says why.
    lab.declare(&body("one", "red"));
    assert_eq!(lab.planned("unit:bot.service")["action"], "restart");
    says(&lab.plan(), "restarts because file:/etc/bot/env changes");
    lab.converge(&body("one", "red"));
    assert_eq!(starts(&lab, "/root/starts"), 2);
    // Its own text and that file: still one.
    lab.declare(&body("two", "green"));
    says(
        &lab.plan(),
        "restarts because file:/etc/bot/env and file:/etc/systemd/system/bot.service change",
    );
    lab.converge(&body("two", "green"));
    assert_eq!(starts(&lab, "/root/starts"), 3);
    assert_eq!(lab.on_host(state), "enabled\nactive\ntwo");
    assert_eq!(lab.on_host("systemctl show -P NRestarts bot.service"), "0");

    // Each part is healed by itself; stopped by hand, it is started, and not restarted on top.
    lab.on_host("systemctl disable --quiet bot.service");
    assert_eq!(lab.drift(), moved(&[("unit:bot.service", "host")]));
    lab.converge(&body("two", "green"));
    assert_eq!(
        (lab.on_host(state), starts(&lab, "/root/starts")),
        ("enabled\nactive\ntwo".to_owned(), 3)
    );
    lab.on_host("systemctl stop bot.service; echo COLOUR=none > /etc/bot/env");
    assert_eq!(
        lab.drift(),
        moved(&[("file:/etc/bot/env", "host"), ("unit:bot.service", "host")])
    );
    lab.converge(&body("two", "green"));
    assert_eq!(
        (lab.on_host(state), starts(&lab, "/root/starts")),
        ("enabled\nactive\ntwo".to_owned(), 4)
    );
    // Somebody edits its text, and systemd has read it or not.
    for reload in ["true", "systemctl daemon-reload"] {
        lab.on_host(&format!(
            "sed -i s/=two/=three/ /etc/systemd/system/bot.service; {reload}"
        ));
        assert_eq!(lab.drift(), moved(&[("file:/etc/systemd/system/bot.service", "host")]));
        lab.converge(&body("two", "green"));
        assert_eq!(lab.on_host(state), "enabled\nactive\ntwo");
    }
    // Only systemd is behind: the file was touched.
    let before = invocation(&lab, "bot.service");
    lab.on_host("touch /etc/systemd/system/bot.service");
    let stale = lab.on_host("systemctl show -P NeedDaemonReload bot.service");
    if stale == "yes" {
        says(&lab.plan(), "systemd has not read its file on disk yet");
        lab.converge(&body("two", "green"));
        assert_eq!(lab.on_host("systemctl show -P NeedDaemonReload bot.service"), "no");
        assert_eq!(invocation(&lab, "bot.service"), before);
    }

    // Declared stopped and disabled.
    let off = body("two", "green").replace("= true", "= false");
    lab.converge(&off);
    assert_eq!(
        lab.on_host("systemctl is-enabled bot.service; systemctl is-active bot.service; true"),
        "disabled\ninactive"
    );
    lab.converge(&body("two", "green"));

    // It goes with its file, its links and its process.
    lab.converge("");
    assert_eq!(
        lab.on_host("systemctl show -P LoadState -P ActiveState bot.service; find /etc/systemd/system -name 'bot*'; pgrep -fx 'sleep infinity' || true"),
        "not-found\ninactive"
    );
}

#[test]
fn a_unit_of_a_package_gets_a_drop_in_and_goes_back_to_how_it_was() {
    let lab = Lab::new();
    // A unit that is not ours stands for a package's.
    lab.on_host(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' > /lib/systemd/system/there.service
         cp /lib/systemd/system/there.service /lib/systemd/system/idle.service
         systemctl daemon-reload; systemctl enable --quiet --now there.service",
    );
    let body = |nice: u8| {
        format!(
            "[units.\"there.service\"]\nactive = true\nsettle = \"100ms\"\n\
             [units.\"idle.service\"]\nactive = true\nenabled = true\nsettle = \"100ms\"\n\
             [directories.\"/etc/systemd/system/there.service.d\"]\n\
             [files.\"/etc/systemd/system/there.service.d/nice.conf\"]\ntext = \"[Service]\\nNice={nice}\\n\"\n"
        )
    };
    for nice in [3, 4] {
        let before = invocation(&lab, "there.service");
        lab.converge(&body(nice));
        assert_ne!(invocation(&lab, "there.service"), before);
        assert_eq!(
            lab.on_host("ps -o ni= -p $(systemctl show -P MainPID there.service) | tr -d ' '"),
            nice.to_string()
        );
    }
    let missing = lab.apply("[units.\"nowhere.service\"]\nactive = true\n").expect(1);
    says(&missing, "systemd knows no unit of this name");
    lab.on_host("systemctl mask --quiet --runtime idle.service");
    says(&lab.apply(&body(4)).expect(1), "the unit is masked");
    lab.on_host("systemctl unmask --quiet --runtime idle.service");

    lab.converge("");
    assert_eq!(
        lab.on_host(
            "systemctl is-enabled there.service idle.service; systemctl is-active there.service idle.service; \
             ls -d /etc/systemd/system/there.service.d 2>/dev/null || true"
        ),
        "enabled\ndisabled\nactive\ninactive"
    );
    assert_eq!(
        lab.on_host("systemctl show -P NeedDaemonReload there.service"),
        "no",
        "systemd still has the drop-in"
    );
}

#[test]
fn a_change_reloads_or_does_nothing_where_that_is_declared() {
    let lab = Lab::new();
    let body = |on_change: &str, config: &str| {
        format!(
            r#"
[units."bot.service"]
active = true
on_change = "{on_change}"
restart_on = ["file:/etc/bot.conf"]
settle = "100ms"
text = """
[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/sh -c 'echo reloaded >> /root/reloads'
"""
[files."/etc/bot.conf"]
text = "{config}\n"
"#
        )
    };
    lab.converge(&body("reload", "one"));
    let first = invocation(&lab, "bot.service");
    lab.declare(&body("reload", "two"));
    says(&lab.plan(), "reloads because file:/etc/bot.conf changes");
    lab.converge(&body("reload", "two"));
    assert_eq!(
        (invocation(&lab, "bot.service"), starts(&lab, "/root/reloads")),
        (first.clone(), 1)
    );

    lab.converge(&body("nothing", "three"));
    assert_eq!(
        (invocation(&lab, "bot.service"), starts(&lab, "/root/reloads")),
        (first.clone(), 1)
    );
    lab.converge(&body("restart", "three"));
    assert_eq!(invocation(&lab, "bot.service"), first, "nothing that it uses changed");
    lab.converge(&body("restart", "four"));
    assert_ne!(invocation(&lab, "bot.service"), first);
}

#[test]
fn a_unit_that_does_not_stay_up_is_a_failure_with_its_last_words() {
    let lab = Lab::new();
    let body = |service: &str| {
        format!(
            "[units.\"flaps.service\"]\nactive = true\nsettle = \"3s\"\ntext = \"\"\"\n[Service]\n{service}\n\"\"\"\n"
        )
    };
    let flapping = lab
        .apply(&body(
            "ExecStart=/bin/sh -c 'echo no such bot; sleep 0.3; exit 9'\nRestart=always\nRestartSec=100ms",
        ))
        .expect(3);
    says(&flapping, "did not stay up");
    says(&flapping, "| ");
    says(&flapping, "no such bot");
    says(&flapping, "to fix it: see `journalctl -u flaps.service` on the host");

    let refused = lab
        .apply(&body("Type=notify\nExecStart=/bin/sh -c 'echo never ready; exit 5'"))
        .expect(3);
    says(&refused, "never ready");
    says(&refused, "flaps.service");
    // A later apply, with the mistake corrected, is owed nothing more.
    lab.converge(&body("ExecStart=/bin/sleep infinity").replace("3s", "100ms"));
}

#[test]
fn restarts_that_a_plan_orders_do_not_count_towards_the_limit_of_what_dies_by_itself() {
    let lab = Lab::new();
    for colour in ["red", "green", "blue", "grey"] {
        lab.converge(&format!(
            "[files.\"/etc/bot.env\"]\ntext = \"COLOUR={colour}\\n\"\n[units.\"bot.service\"]\nactive = true\nsettle = \"100ms\"\n\
             text = \"\"\"\n[Unit]\nStartLimitIntervalSec=300\nStartLimitBurst=2\n[Service]\nEnvironmentFile=/etc/bot.env\n\
             ExecStart=/bin/sleep infinity\n\"\"\"\n"
        ));
        let pid = lab.on_host("systemctl show -P MainPID bot.service");
        let environment = lab.on_host(&format!("tr '\\0' '\\n' < /proc/{pid}/environ"));
        assert!(environment.contains(&format!("COLOUR={colour}")), "{environment}");
    }
}

#[test]
fn a_restart_that_an_ended_apply_owed_is_done_by_the_next() {
    let lab = Lab::new();
    let body = |config: &str, run: &str| {
        format!(
            r#"
[units."bot.service"]
active = true
settle = "100ms"
after = ["command:between"]
text = "[Service]\nExecStart=/bin/sleep infinity\nEnvironmentFile=/etc/bot.env\n"
[files."/etc/bot.env"]
text = "COLOUR={config}\n"
[commands.between]
run = ["{run}", "/root/between"]
creates = "/root/between"
after = ["file:/etc/bot.env"]
"#
        )
    };
    lab.converge(&body("blue", "touch"));
    let first = invocation(&lab, "bot.service");
    lab.on_host("rm /root/between");
    let _ = lab.apply(&body("red", "false")).expect(3);
    assert_eq!(lab.on_host("cat /etc/bot.env"), "COLOUR=red");
    assert_eq!(invocation(&lab, "bot.service"), first);

    // The file is as declared now; only the record on the host knows that the unit runs with the old one.
    lab.on_host("touch /root/between");
    assert_eq!(lab.drift(), moved(&[("unit:bot.service", "neither")]));
    let plan = lab.plan().expect(2);
    says(&plan, "something it uses has changed since it was last started");
    lab.converge(&body("red", "touch"));
    assert_ne!(invocation(&lab, "bot.service"), first);
}

#[test]
fn instances_of_a_template_and_timers_are_units_like_others() {
    let lab = Lab::new();
    let body = |word: &str| {
        format!(
            r#"
[units."bot@.service"]
text = """
[Service]
ExecStart=/bin/sh -c 'echo {word} > /root/%i; exec sleep infinity'
[Install]
WantedBy=multi-user.target
"""
[units."bot@one.service"]
enabled = true
active = true
settle = "300ms"
[units."bot@two.service"]
active = true
settle = "300ms"
[units."job.service"]
text = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
[units."job.timer"]
enabled = true
active = true
settle = "100ms"
text = "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n"
"#
        )
    };
    lab.converge(&body("first"));
    assert_eq!(
        lab.on_host("systemctl is-active bot@one bot@two job.timer; systemctl is-enabled bot@one job.timer; cat /root/one /root/two"),
        "active\nactive\nactive\nenabled\nenabled\nfirst\nfirst"
    );
    // A new text of the template restarts both instances.
    lab.converge(&body("second"));
    assert_eq!(lab.on_host("cat /root/one /root/two"), "second\nsecond");
    lab.on_host("systemctl disable --quiet --now job.timer; systemctl stop bot@two");
    assert_eq!(
        lab.drift(),
        moved(&[("unit:bot@two.service", "host"), ("unit:job.timer", "host")])
    );
    lab.converge(&body("second"));
    lab.converge("");
    assert_eq!(
        lab.on_host("systemctl list-units --all --no-legend 'bot@*' 'job.*'; find /etc/systemd/system -name 'bot*' -o -name 'job*'"),
        ""
    );
}
