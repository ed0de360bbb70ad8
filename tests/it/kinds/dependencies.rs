//! What waits for what, on a real host: everything below fails in any other order.

use crate::lab::Lab;

#[test]
fn everything_comes_after_what_it_names_and_goes_before_it() {
    let lab = Lab::new();
    // Written in the reverse of the order in which it can be done, and named in another one.
    let body = r##"
[probes.up]
unit = "bot.service"
[units."bot.service"]
active = true
settle = "100ms"
text = """
[Service]
User=bot
Group=team
WorkingDirectory=/srv/bot/work
ExecStart=/srv/bot/run /srv/bot/conf
"""
[units."again.service"]
active = true
settle = "100ms"
text = """
[Unit]
After=bot.service
[Service]
ExecStartPre=/bin/systemctl is-active bot.service
ExecStart=/bin/sleep infinity
"""
[commands.prepare]
run = ["/srv/bot/run", "/srv/bot/conf", "once"]
creates = "/srv/bot/work/once"
user = "bot"
cwd = "/srv/bot/work"
[symlinks."/srv/bot/conf"]
target = "etc/bot.conf"
[files."/srv/bot/etc/bot.conf"]
text = "conf\n"
owner = "bot"
group = "team"
mode = "0640"
validate = ["/srv/bot/validator", "--file"]
[files."/srv/bot/validator"]
text = "#!/bin/sh\ngrep -q conf \"$2\"\n"
mode = "0755"
[files."/srv/bot/run"]
text = "#!/bin/sh\ngrep -q conf \"$1\" || exit 1\ntouch once\n[ \"$2\" ] || exec sleep infinity\n"
mode = "0755"
[directories."/srv/bot/work"]
owner = "bot"
[directories."/srv/bot/etc"]
group = "team"
mode = "0750"
[directories."/srv/bot"]
[users.bot]
group = "team"
system = true
[groups.team]
"##;
    lab.converge(body);
    assert_eq!(
        lab.on_host("systemctl is-active bot; stat -c '%U %G' /srv/bot/etc/bot.conf /srv/bot/work/once"),
        "active\nbot team\nbot team"
    );
    // All of it goes at once, what depends first: a running program holds its user.
    let ran = lab.apply("").expect(0);
    assert!(
        ran.told().contains("kept: the directory is not empty"),
        "{}",
        ran.told()
    );
    lab.assert_converged();
    assert_eq!(
        lab.on_host("find /srv/bot; getent passwd bot; getent group team; pgrep -fx 'sleep infinity' || true"),
        "/srv/bot\n/srv/bot/work\n/srv/bot/work/once"
    );
}

#[test]
fn what_cannot_be_seen_is_said_with_after() {
    let lab = Lab::new();
    let body = |after: &str| {
        format!(
            "[commands.a]\nrun = [\"cp\", \"/srv/made\", \"/srv/copy\"]\ncreates = \"/srv/copy\"\n{after}\
             [commands.b]\nrun = [\"touch\", \"/srv/made\"]\ncreates = \"/srv/made\"\n"
        )
    };
    let failed = lab.apply(&body("")).expect(3);
    assert!(failed.told().contains("cannot stat '/srv/made'"), "{}", failed.told());
    lab.converge(&body("after = [\"command:b\"]\n"));
    lab.on_host("test -e /srv/copy");
}
