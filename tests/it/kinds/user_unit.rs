//! Units of users' own managers on a real host.

use crate::lab::{Lab, moved};

/// What the manager of a user says.
fn ask(user: &str, words: &str) -> String {
    format!("runuser -u {user} -- env XDG_RUNTIME_DIR=/run/user/$(id -u {user}) systemctl --user {words}")
}

fn look(lab: &Lab, user: &str, unit: &str) -> String {
    lab.on_host(&format!(
        "{} || true; {} || true; {}",
        ask(user, &format!("is-enabled {unit}")),
        ask(user, &format!("is-active {unit}")),
        ask(user, &format!("show -P Description {unit}"))
    ))
}

fn starts(lab: &Lab, user: &str) -> usize {
    lab.on_host(&format!("cat /home/{user}/starts 2>/dev/null || true"))
        .lines()
        .count()
}

fn user(name: &str) -> String {
    format!("[users.{name}]\nhome = \"/home/{name}\"\n")
}

fn unit(user: &str, word: &str) -> String {
    format!(
        r#"
[units."{user}/bot.service"]
enabled = true
active = true
settle = "300ms"
text = """
[Unit]
Description={word}
[Service]
EnvironmentFile=%h/env
ExecStart=/bin/sh -c 'echo "$COLOUR" >> %h/starts; exec sleep infinity'
[Install]
WantedBy=default.target
"""
"#
    )
}

fn two(word: &str, colour: &str) -> String {
    let mut body = String::new();
    for name in ["ann", "bob"] {
        body += &user(name);
        body += &unit(name, word);
        body += &format!("[files.\"/home/{name}/env\"]\nowner = \"{name}\"\ntext = \"COLOUR={colour}-{name}\\n\"\n");
    }
    body + "[linger]\nann = true\nbob = true\n"
}

#[test]
fn two_users_have_units_of_one_name_each_in_its_own_manager() {
    let lab = Lab::new();
    lab.declare(&two("one", "blue"));
    let ids = lab.plan_ids();
    let at = |id: &str| {
        ids.iter()
            .position(|other| other == id)
            .unwrap_or_else(|| panic!("{id} in {ids:?}"))
    };
    for name in ["ann", "bob"] {
        let unit = at(&format!("unit:{name}/bot.service"));
        for before in [
            format!("user:{name}"),
            format!("linger:{name}"),
            format!("directory:/home/{name}/.config"),
            format!("directory:/home/{name}/.config/systemd/user"),
            format!("file:/home/{name}/.config/systemd/user/bot.service"),
            format!("file:/home/{name}/env"),
        ] {
            assert!(at(&before) < unit, "{before}: {ids:?}");
        }
    }
    lab.converge(&two("one", "blue"));
    for name in ["ann", "bob"] {
        assert_eq!(look(&lab, name, "bot.service"), "enabled\nactive\none");
        assert_eq!(lab.on_host(&format!("cat /home/{name}/starts")), format!("blue-{name}"));
        // Everything of it is its user's, the links that enable it included.
        lab.on_host(&format!("test -z \"$(find /home/{name}/.config ! -user {name})\""));
        assert_eq!(lab.on_host(&format!("stat -c %a /home/{name}/.config")), "700");
    }
    // A second apply restarts nothing.
    let _ = lab.apply(&two("one", "blue")).expect(0);
    assert_eq!((starts(&lab, "ann"), starts(&lab, "bob")), (1, 1));

    // A file that its text names by the home directory: one restart; and its own text and that file: still one.
    lab.declare(&two("one", "red"));
    assert_eq!(lab.planned("unit:bob/bot.service")["action"], "restart");
    lab.converge(&two("one", "red"));
    assert_eq!((starts(&lab, "ann"), starts(&lab, "bob")), (2, 2));
    lab.converge(&two("two", "green"));
    assert_eq!((starts(&lab, "ann"), starts(&lab, "bob")), (3, 3));
    assert_eq!(look(&lab, "ann", "bot.service"), "enabled\nactive\ntwo");

    // Each part is healed by itself, and the other user's is left alone.
    lab.on_host(&ask("ann", "stop bot.service"));
    assert_eq!(lab.drift(), moved(&[("unit:ann/bot.service", "host")]));
    lab.converge(&two("two", "green"));
    lab.on_host(&ask("bob", "disable --quiet bot.service"));
    assert_eq!(lab.drift(), moved(&[("unit:bob/bot.service", "host")]));
    lab.converge(&two("two", "green"));
    assert_eq!((starts(&lab, "ann"), starts(&lab, "bob")), (4, 3));
    lab.on_host("echo '# by hand' >> /home/bob/.config/systemd/user/bot.service");
    assert!(
        lab.drift()
            .contains_key("file:/home/bob/.config/systemd/user/bot.service")
    );
    lab.converge(&two("two", "green"));
    assert_eq!((starts(&lab, "ann"), starts(&lab, "bob")), (4, 4));
    // Without a manager, units are known from their files: down, and still enabled.
    lab.on_host("loginctl disable-linger ann; systemctl stop user@$(id -u ann).service");
    assert_eq!(
        lab.drift(),
        moved(&[("linger:ann", "host"), ("unit:ann/bot.service", "host")])
    );
    assert!(lab.planned("unit:ann/bot.service")["fields"].as_array().unwrap().len() == 1);
    lab.converge(&two("two", "green"));
    assert_eq!(look(&lab, "ann", "bot.service"), "enabled\nactive\ntwo");

    // What the program says of it elsewhere.
    let status = lab.provision(&["status", "-v"]).expect(0);
    assert!(status.told().contains("ann/bot.service"), "{}", status.told());
    let name = lab.name().to_owned();
    let why = lab.provision(&["why", &name, "unit:ann/bot.service"]).expect(0);
    assert!(why.told().contains("linger:ann"), "{}", why.told());
    let _ = lab.provision(&["logs", &name, "ann/bot.service"]).expect(0);

    // One of them goes, with its user, and then all that is left.
    let one = format!(
        "{}{}[linger]\nbob = true\n[files.\"/home/bob/env\"]\nowner = \"bob\"\ntext = \"COLOUR=green-bob\\n\"\n",
        user("bob"),
        unit("bob", "two")
    );
    lab.converge(&one);
    lab.on_host("! getent passwd ann; test ! -e /home/ann/.config");
    assert_eq!(starts(&lab, "bob"), 4);
    lab.converge(&format!("{}[linger]\nbob = true\n", user("bob")));
    lab.on_host("test ! -e /home/bob/.config; test ! -e /home/bob/env");
    assert_eq!(
        lab.on_host(&format!("{} || true", ask("bob", "is-active bot.service"))),
        "inactive"
    );
    lab.converge("");
    lab.on_host("! getent passwd bob");
}

#[test]
fn a_users_unit_that_does_not_stay_up_is_a_failure_with_its_last_words() {
    let lab = Lab::new();
    let body = |end: &str| {
        format!(
            "{}[linger]\nann = true\n[units.\"ann/flaps.service\"]\nactive = true\nsettle = \"3s\"\ntext = \"\"\"\n\
             [Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=100ms\n\
             ExecStart=/bin/sh -c 'echo cannot find the key; {end}'\nRestart=always\n\"\"\"\n",
            user("ann")
        )
    };
    let failed = lab.apply(&body("exit 3")).expect(3);
    let words = ["did not stay up", "ann/flaps.service: "];
    assert!(
        words.iter().all(|words| failed.told().contains(words)),
        "{}",
        failed.told()
    );
    assert!(failed.told().contains("cannot find the key"), "{}", failed.told());
    lab.converge(&body("exec sleep infinity"));
}

#[test]
fn a_users_unit_is_masked_gets_drop_ins_and_a_timer_and_goes_back_to_how_it_was() {
    let lab = Lab::new();
    // One that the user has made, and one that the distribution brings to all users.
    lab.on_host(
        "useradd --create-home ann; loginctl enable-linger ann; systemctl start user@$(id -u ann).service; \
         mkdir -p /home/ann/.config/systemd/user; \
         printf '[Service]\\nExecStart=/bin/sleep infinity\\n' > /home/ann/.config/systemd/user/own.service; \
         chown -R ann: /home/ann; chmod 755 /home/ann/.config; \
         printf '[Service]\\nExecStart=/bin/sleep infinity\\n' > /etc/systemd/user/shared.service",
    );
    lab.on_host(&ask("ann", "daemon-reload"));
    lab.on_host(&ask("ann", "start own.service"));
    let body = format!(
        r#"{}[linger]
ann = true
[units."ann/shared.service"]
active = true
settle = "100ms"
drop_ins.colour = "[Service]\nEnvironment=COLOUR=blue\n"
[units."ann/own.service"]
masked = true
[units."ann/tidy.service"]
text = """
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo tidied >> %h/tidied'
"""
[units."ann/tidy.timer"]
enabled = true
active = true
settle = "100ms"
text = """
[Timer]
OnActiveSec=1h
[Install]
WantedBy=timers.target
"""
"#,
        user("ann")
    );
    // Its own file is in the way of the link that masks it: that is said, and nothing is done.
    let blocked = lab.apply(&body).expect(1);
    assert!(blocked.told().contains("own.service"), "{}", blocked.told());
    let body = body.replace("ann/own.service", "ann/other.service");
    lab.converge(&body);
    assert_eq!(
        lab.on_host(&ask("ann", "show -P Environment shared.service")),
        "COLOUR=blue"
    );
    assert_eq!(
        lab.on_host(&format!("{} || true", ask("ann", "is-enabled other.service"))),
        "masked"
    );
    assert_eq!(lab.on_host(&ask("ann", "is-active tidy.timer")), "active");
    lab.on_host("test -L /home/ann/.config/systemd/user/timers.target.wants/tidy.timer");
    lab.on_host(&format!("! {}", ask("ann", "start other.service")));

    lab.converge("");
    // The user was there before, lingered, had a unit and that directory.
    lab.on_host("loginctl show-user ann -P Linger | grep -q yes");
    assert_eq!(lab.on_host("ls /home/ann/.config/systemd/user"), "own.service");
    assert_eq!(lab.on_host("stat -c %a /home/ann/.config"), "755");
    assert_eq!(lab.on_host(&ask("ann", "is-active own.service")), "active");
    assert_eq!(
        lab.on_host(&format!("{} || true", ask("ann", "is-active shared.service"))),
        "inactive"
    );
}

#[test]
fn a_link_that_the_user_has_planted_leads_nowhere() {
    let lab = Lab::new();
    lab.on_host(
        "useradd --create-home ann; mkdir /root/secret; echo kept > /root/secret/bot.service; \
         runuser -u ann -- mkdir -p /home/ann/.config/systemd; \
         runuser -u ann -- ln -s /root/secret /home/ann/.config/systemd/user",
    );
    let body = |rest: &str| format!("{}[linger]\nann = true\n{rest}", user("ann"));
    let unit = "[units.\"ann/bot.service\"]\nactive = true\ntext = \"[Service]\\nExecStart=/bin/sleep infinity\\n\"\n";
    let refused = lab.apply(&body(unit));
    assert_ne!(refused.code(), 0, "{}", refused.told());
    assert!(refused.told().contains("symbolic link"), "{}", refused.told());
    assert_eq!(
        lab.on_host("cat /root/secret/bot.service; ls /root/secret"),
        "kept\nbot.service"
    );
    // So does one in the place of the file itself.
    lab.on_host(
        "rm /home/ann/.config/systemd/user; runuser -u ann -- mkdir /home/ann/.config/systemd/user; \
         runuser -u ann -- ln -s /root/secret/bot.service /home/ann/.config/systemd/user/bot.service",
    );
    let refused = lab.apply(&body(unit));
    assert_ne!(refused.code(), 0, "{}", refused.told());
    assert_eq!(
        lab.on_host("cat /root/secret/bot.service; ls -l /root/secret/bot.service | cut -c1-10"),
        "kept\n-rw-r--r--"
    );
    // Without it there is a user whose manager does not run, and who has no such unit.
    lab.on_host("rm /home/ann/.config/systemd/user/bot.service");
    lab.declare(&body(unit));
    assert_eq!(lab.planned("unit:ann/bot.service")["action"], "create");
    lab.converge(&body(unit));
    assert_eq!(lab.on_host(&ask("ann", "is-active bot.service")), "active");
}
