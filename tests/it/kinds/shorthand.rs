//! What is said in few words, on a real host: the system's name, timers, mounts, sudoers, log rotation, masks and drop-ins.

use crate::lab::{Lab, moved};

#[test]
fn the_systems_name_and_time_zone_are_set_now_and_for_the_next_boot_and_come_back() {
    let lab = Lab::new();
    let look = "hostname; cat /etc/hostname; readlink /etc/localtime; cat /etc/timezone";
    lab.on_host("ln -sfn /usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC > /etc/timezone");
    let before = lab.on_host(look);
    let body = |name: &str| format!("[system]\nhostname = \"{name}\"\ntimezone = \"Europe/Zurich\"\n");
    lab.converge(&body("friday"));
    assert_eq!(
        lab.on_host(look),
        "friday\nfriday\n/usr/share/zoneinfo/Europe/Zurich\nEurope/Zurich"
    );
    assert_eq!(lab.on_host("TZ= date -d @0 +%H; date -d @0 +%H"), "00\n01");
    lab.on_host("hostname by-hand");
    assert_eq!(lab.drift(), moved(&[("sysctl:kernel.hostname", "host")]));
    lab.converge(&body("friday-2"));
    assert_eq!(lab.on_host("hostname; cat /etc/hostname"), "friday-2\nfriday-2");
    // A zone that the host does not know would be UTC without a word.
    let refused = lab
        .apply("[system]\nhostname = \"friday-2\"\ntimezone = \"Europe/Zuerich\"\n")
        .expect(3);
    assert!(
        refused.told().contains("/usr/share/zoneinfo/Europe/Zuerich"),
        "{}",
        refused.told()
    );
    lab.converge("");
    assert_eq!(lab.on_host(look), before);
}

#[test]
fn a_timer_runs_its_program_as_declared_and_goes_with_it() {
    let lab = Lab::new();
    let body = |word: &str| {
        format!(
            "[users.bot]\nhome = \"/home/bot\"\n\
             [timers.tidy]\nrun = [\"/usr/bin/env\", \"printf\", \"%s|\", \"{word} ${{HOME}}\", \"\\\"q\\\"\"]\nevery = \"1h\"\nafter_boot = \"1ms\"\nuser = \"bot\"\n\
             [timers.daily]\nunit = \"tidy.service\"\ncalendar = \"daily\"\nrandom_delay = \"1min\"\n"
        )
    };
    lab.converge(&body("one"));
    let state = "systemctl is-enabled tidy.timer daily.timer; systemctl is-active tidy.timer daily.timer";
    assert_eq!(lab.on_host(state), "enabled\nenabled\nactive\nactive");
    // It is due by its time after boot already, and each word reaches the program as it is.
    lab.on_host("i=0; until journalctl -u tidy.service -o cat --quiet | grep -q '\"q\"'; do i=$((i+1)); test $i -lt 100; sleep 0.1; done");
    assert_eq!(
        lab.on_host("journalctl -u tidy.service -o cat --quiet _COMM=env _COMM=printf | head -1; journalctl -u tidy.service -o cat --quiet | grep -o '^one.*' | head -1 || true").lines().last().unwrap_or_default(),
        "one ${HOME}|\"q\"|"
    );
    lab.on_host("systemctl disable --quiet --now daily.timer");
    assert_eq!(lab.drift(), moved(&[("unit:daily.timer", "host")]));
    lab.converge(&body("two"));
    assert_eq!(lab.on_host(state), "enabled\nenabled\nactive\nactive");
    let _ = lab.on_host("systemctl start tidy.service");
    lab.converge("");
    assert_eq!(
        lab.on_host("find /etc/systemd /var/lib/systemd/timers -name '*tidy*.timer' -o -name 'tidy.service' -o -name 'daily.timer'; systemctl show -P LoadState tidy.timer tidy.service daily.timer"),
        "not-found\n\nnot-found\n\nnot-found"
    );
    // systemd's own judgement of a calendar ends the apply, in its words.
    let refused = lab
        .apply("[timers.odd]\nunit = \"ssh.service\"\ncalendar = \"someday\"\n")
        .expect(3);
    assert!(refused.told().contains("someday"), "{}", refused.told());
}

#[test]
fn a_mount_is_there_now_and_after_a_reboot_and_goes() {
    let lab = Lab::new();
    let body = |size: &str| {
        format!(
            "[mounts.\"/srv/my-data\"]\nwhat = \"tmpfs\"\ntype = \"tmpfs\"\noptions = [\"size={size}\", \"noexec\"]\n"
        )
    };
    lab.converge(&body("8m"));
    let look = "findmnt -nro FSTYPE,OPTIONS /srv/my-data | grep -o 'tmpfs\\|noexec\\|size=[0-9]*k'; systemctl is-enabled 'srv-my\\x2ddata.mount'";
    assert_eq!(lab.on_host(look), "tmpfs\nnoexec\nsize=8192k\nenabled");
    lab.on_host("umount /srv/my-data");
    assert_eq!(lab.drift(), moved(&[("unit:srv-my\\x2ddata.mount", "host")]));
    lab.converge(&body("16m"));
    assert_eq!(lab.on_host(look), "tmpfs\nnoexec\nsize=16384k\nenabled");
    lab.converge("");
    lab.on_host("! findmnt /srv/my-data; test ! -e '/etc/systemd/system/srv-my\\x2ddata.mount'");
}

#[test]
fn sudoers_and_log_rotation_count_only_once_they_are_checked() {
    let lab = Lab::new();
    let body = |entry: &str, more: &str| {
        format!(
            "[users.bot]\n[sudoers.bot]\ntext = \"bot ALL=(root) {entry}\\n\"\n[packages]\nlogrotate = \"present\"\n\
             [logrotate.bot]\npaths = [\"/var/log/bot/*.log\"]\nkeep = 2\nevery = \"daily\"\n{more}"
        )
    };
    lab.declare(&body("NOPASSWD: /usr/bin/id", ""));
    assert_eq!(lab.planned("file:/etc/sudoers.d/bot")["access"], true);
    lab.converge(&body("NOPASSWD: /usr/bin/id", ""));
    assert_eq!(
        lab.on_host("stat -c %a /etc/sudoers.d/bot; runuser -u bot -- sudo -n id -un"),
        "440\nroot"
    );
    lab.on_host("mkdir /var/log/bot; chmod 755 /var/log/bot; echo line > /var/log/bot/a.log; logrotate --force /etc/logrotate.d/bot; test -s /var/log/bot/a.log.1");

    let refused = lab.apply(&body("NOPASSWD /usr/bin/id", "")).expect(3);
    assert!(refused.told().contains("visudo"), "{}", refused.told());
    assert_eq!(lab.on_host("runuser -u bot -- sudo -n id -un"), "root");
    let whole = body("NOPASSWD: /usr/bin/id", "")
        .split("[logrotate.bot]")
        .next()
        .unwrap()
        .to_owned()
        + "[logrotate.bot]\ntext = \"/var/log/bot/*.log {\\n  rotate many\\n}\\n\"\n";
    let refused = lab.apply(&whole).expect(3);
    assert!(refused.told().contains("logrotate"), "{}", refused.told());
    assert!(lab.on_host("cat /etc/logrotate.d/bot").contains("rotate 2"));
    lab.on_host("echo x >> /etc/logrotate.d/bot; rm /etc/sudoers.d/bot");
    lab.declare(&body("NOPASSWD: /usr/bin/id", ""));
    assert_eq!(
        lab.drift(),
        moved(&[
            ("file:/etc/logrotate.d/bot", "host"),
            ("file:/etc/sudoers.d/bot", "host")
        ])
    );
    lab.converge(&body("NOPASSWD: /usr/bin/id", ""));
    lab.converge("");
    lab.on_host("test ! -e /etc/sudoers.d/bot; test ! -e /etc/logrotate.d/bot; sudo -n true");
}

#[test]
fn a_masked_unit_is_stopped_and_cannot_be_started_until_it_leaves_the_configuration() {
    let lab = Lab::new();
    lab.on_host(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' > /lib/systemd/system/there.service
         systemctl daemon-reload; systemctl enable --quiet --now there.service",
    );
    let masked = "[units.\"there.service\"]\nmasked = true\n[units.\"never-was.service\"]\nmasked = true\n";
    lab.converge(masked);
    let look = "systemctl show -P LoadState -P ActiveState there.service never-was.service | grep .";
    assert_eq!(lab.on_host(look), "masked\ninactive\nmasked\ninactive");
    lab.on_host("! systemctl start there.service 2>/dev/null");
    lab.on_host("systemctl unmask --quiet there.service; systemctl start there.service");
    assert_eq!(
        lab.drift(),
        moved(&[
            ("symlink:/etc/systemd/system/there.service", "host"),
            ("unit:there.service", "host")
        ])
    );
    lab.converge(masked);
    assert_eq!(lab.on_host(look), "masked\ninactive\nmasked\ninactive");
    // It comes back as it was: enabled all the while, and running.
    lab.converge("");
    assert_eq!(
        lab.on_host("systemctl is-enabled there.service; systemctl is-active there.service; systemctl show -P LoadState never-was.service"),
        "enabled\nactive\nnot-found"
    );
}

#[test]
fn a_drop_in_adds_to_a_unit_and_restarts_it_once() {
    let lab = Lab::new();
    lab.on_host(
        "printf '[Service]\\nExecStart=/bin/sh -c \"echo started >> /root/starts; exec sleep infinity\"\\n' > /lib/systemd/system/there.service
         systemctl daemon-reload; systemctl start there.service",
    );
    let body = |nice: u8| {
        format!(
            "[units.\"there.service\"]\nactive = true\nsettle = \"100ms\"\n[units.\"there.service\".drop_ins]\nnice = \"[Service]\\nNice={nice}\\n\"\nlimits = \"[Service]\\nLimitNOFILE=99\\n\"\n"
        )
    };
    lab.converge(&body(3));
    lab.converge(&body(4));
    let look = "systemctl show -P Nice -P LimitNOFILE there.service; wc -l < /root/starts";
    assert_eq!(lab.on_host(look), "99\n4\n3");
    lab.on_host("rm /etc/systemd/system/there.service.d/nice.conf");
    assert_eq!(
        lab.drift(),
        moved(&[
            ("file:/etc/systemd/system/there.service.d/nice.conf", "host"),
            // systemd sees that it is gone, too.
            ("unit:there.service", "host")
        ])
    );
    lab.converge(&body(4));
    lab.converge("");
    assert_eq!(
        lab.on_host("ls -d /etc/systemd/system/there.service.d 2>/dev/null; systemctl is-active there.service"),
        "active"
    );
}
