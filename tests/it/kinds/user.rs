//! Users and groups on a real host.

use crate::lab::{Lab, moved};

/// A user's line of passwd, its primary group and the others.
const LOOK: &str = "getent passwd bot; id -gn bot; id -Gn bot";

#[test]
fn a_user_is_created_left_alone_healed_updated_and_removed() {
    let lab = Lab::new();
    let body = |groups: &str, shell: &str, more: &str| {
        format!(
            "[users.bot]\nuid = 4321\nhome = \"/srv/bot\"\nshell = \"{shell}\"\ncomment = \"a bot\"\ngroups = [{groups}]\n{more}"
        )
    };
    lab.converge(&body("\"audio\", \"video\"", "/bin/sh", ""));
    assert_eq!(
        lab.on_host(LOOK),
        "bot:x:4321:4321:a bot:/srv/bot:/bin/sh\nbot\nbot audio video"
    );
    assert_eq!(
        lab.on_host("stat -c '%U %G' /srv/bot; passwd -S bot | cut -d' ' -f2"),
        "bot bot\nL"
    );

    // What somebody else adds is left alone; what somebody takes away is put back.
    lab.on_host("usermod -aG games bot");
    lab.assert_converged();
    lab.on_host("usermod -s /bin/false -c 'not a bot' bot; gpasswd -d bot audio");
    assert_eq!(lab.drift(), moved(&[("user:bot", "host")]));
    let plan = lab.plan().expect(2);
    for change in [
        "/bin/false → /bin/sh",
        "not a bot → a bot",
        "games, video → audio, games, video",
    ] {
        assert!(plan.stdout.contains(change), "no {change:?}: {}", plan.told());
    }
    lab.converge(&body("\"audio\", \"video\"", "/bin/sh", ""));
    assert_eq!(
        lab.on_host(LOOK),
        "bot:x:4321:4321:a bot:/srv/bot:/bin/sh\nbot\nbot audio video games"
    );

    // It leaves the group that is no longer declared, and joins a new one; the foreign one stays.
    lab.converge(&body("\"video\", \"new\"", "/bin/bash", "[groups.new]\ngid = 5678\n"));
    assert_eq!(
        lab.on_host(LOOK),
        "bot:x:4321:4321:a bot:/srv/bot:/bin/bash\nbot\nbot video games new"
    );

    // The user and the group of its name go, and its home stays: what is in it is not ours.
    lab.converge("");
    assert_eq!(
        lab.on_host("getent passwd bot; getent group bot new; ls -d /srv/bot"),
        "/srv/bot"
    );
}

#[test]
fn a_user_who_was_there_before_becomes_who_it_was() {
    let lab = Lab::new();
    lab.on_host("groupadd -g 3000 team; groupadd -g 3001 other; useradd -u 3000 -g team -G video -s /bin/sh -c was -d /srv/was bot");
    let before = lab.on_host(LOOK);
    lab.converge(
        "[users.bot]\ngroup = \"other\"\nshell = \"/bin/bash\"\ncomment = \"is\"\nhome = \"/srv/is\"\ngroups = [\"audio\", \"video\"]\n\
         [groups.other]\ngid = 3002\n",
    );
    assert_eq!(
        lab.on_host(LOOK),
        "bot:x:3000:3002:is:/srv/is:/bin/bash\nother\nother audio video"
    );
    lab.converge("");
    assert_eq!(lab.on_host(LOOK), before);
    assert_eq!(lab.on_host("getent group other"), "other:x:3001:");
}

#[test]
fn a_user_and_its_own_group_come_and_go_in_any_order() {
    let lab = Lab::new();
    let group = "[groups.bot]\nsystem = true\n";
    let both = format!("{group}[users.bot]\nsystem = true\nshell = \"/usr/sbin/nologin\"\n");
    lab.converge(&both);
    assert_eq!(lab.on_host("id -gn bot; ls -d /home/bot 2>/dev/null || true"), "bot");
    let id = lab.on_host("getent group bot");

    // userdel takes a group of the user's name along; this one is still declared.
    lab.converge(group);
    assert_eq!(lab.on_host("getent passwd bot; getent group bot"), id);

    lab.converge(&both);
    lab.converge("");
    assert_eq!(lab.on_host("getent passwd bot; getent group bot || echo gone"), "gone");
}

#[test]
fn a_group_is_created_left_alone_healed_updated_and_removed() {
    let lab = Lab::new();
    lab.on_host("groupadd -g 3000 there");
    let body = |gid: u32| format!("[groups.made]\ngid = {gid}\n[groups.there]\n[groups.daemons]\nsystem = true\n");
    lab.converge(&body(4000));
    assert_eq!(lab.on_host("getent group made there"), "made:x:4000:\nthere:x:3000:");
    let system: u32 = lab.on_host("getent group daemons | cut -d: -f3").parse().unwrap();
    assert!((100..1000).contains(&system), "{system}");

    lab.on_host("groupmod -g 4444 made; groupdel daemons; gpasswd -a games made");
    assert_eq!(lab.drift(), moved(&[("group:daemons", "host"), ("group:made", "host")]));
    lab.converge(&body(4000));
    // Who is in it is not the group's to say.
    assert_eq!(lab.on_host("getent group made"), "made:x:4000:games");
    lab.converge(&body(4001));
    assert_eq!(lab.on_host("getent group made"), "made:x:4001:games");

    lab.converge("");
    assert_eq!(lab.on_host("getent group made there daemons || true"), "there:x:3000:");
}

#[test]
fn an_account_that_cannot_be_changed_says_why() {
    let lab = Lab::new();
    let taken = lab.apply("[users.bot]\nuid = 1\n").expect(3);
    assert!(taken.told().contains("UID 1 is not unique"), "{}", taken.told());

    lab.converge("[users.bot]\nuid = 4321\n");
    lab.on_host("systemd-run --quiet --uid=bot --unit=busy sleep 1000");
    let busy = lab.apply("").expect(3);
    assert!(
        busy.told().contains("used by process") && busy.told().contains("to fix it: stop what runs as bot"),
        "{}",
        busy.told()
    );
    lab.on_host("systemctl stop busy");
    lab.converge("");
}
