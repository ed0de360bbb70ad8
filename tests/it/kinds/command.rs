//! Commands on a real host: the escape hatch, and its guard.

use crate::lab::{Lab, moved};

#[test]
fn a_command_runs_while_its_guard_is_open_and_no_longer() {
    let lab = Lab::new();
    let body = |word: &str| {
        format!(
            r#"
[users.bot]
home = "/srv/bot"
[directories."/srv/work"]
owner = "bot"
[commands.make]
run = ["sh", "-c", 'echo "$(id -un) $(pwd) $WORD $HOME" >> made']
creates = "/srv/work/made"
user = "bot"
cwd = "/srv/work"
env = {{ WORD = "{word}" }}
[commands.count]
run = ["sh", "-c", "echo counted >> /root/count"]
unless = ["grep", "-q", "counted", "/root/count"]
"#
        )
    };
    lab.declare(&body("one"));
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("/srv/work/made is absent"), "{}", plan.told());
    lab.converge(&body("one"));
    let look = "cat /srv/work/made /root/count; stat -c %U /srv/work/made";
    assert_eq!(lab.on_host(look), "bot /srv/work one /srv/bot\ncounted\nbot");

    // Another text of a command is no reason to run it again; an open guard is, and drift tells of it.
    lab.converge(&body("two"));
    assert_eq!(lab.on_host(look), "bot /srv/work one /srv/bot\ncounted\nbot");
    lab.on_host("echo > /root/count");
    assert_eq!(lab.drift(), moved(&[("command:count", "host")]));
    lab.converge(&body("two"));
    assert_eq!(lab.on_host("cat /root/count"), "\ncounted");
    lab.on_host("rm /srv/work/made");
    lab.converge(&body("two"));
    assert_eq!(lab.on_host("cat /srv/work/made"), "bot /srv/work two /srv/bot");

    // What a command did stays, and it is said.
    let ran = lab.apply("").expect(0);
    assert!(
        ran.told().contains("what it did stays: a command cannot be undone"),
        "{}",
        ran.told()
    );
    lab.assert_converged();
    lab.on_host("test -f /srv/work/made -a -f /root/count");
}

#[test]
fn a_command_that_fails_or_changes_nothing_is_a_failure() {
    let lab = Lab::new();
    let command = |run: &str, more: &str| {
        format!("[commands.it]\nrun = [\"sh\", \"-c\", \"{run}\"]\ncreates = \"/root/it\"\n{more}")
    };
    let failed = lab.apply(&command("echo no luck >&2; exit 7", "")).expect(3);
    assert!(
        failed.told().contains("sh failed with exit status 7") && failed.told().contains("| no luck"),
        "{}",
        failed.told()
    );
    let idle = lab.apply(&command("true", "")).expect(3);
    assert!(
        idle.told()
            .contains("its guard still says that there is something to do: /root/it is absent"),
        "{}",
        idle.told()
    );
    // Its children go with it, also those that left its session, where they are still its children.
    let slow = lab
        .apply(&command(
            "sleep 1001 & sleep 1002; touch /root/it",
            "timeout = \"1s\"\n",
        ))
        .expect(3);
    assert!(slow.told().contains("did not end within 1 s"), "{}", slow.told());
    assert_eq!(
        lab.on_host("pgrep -fx 'sleep 100[12]' || echo none; ls /root/it 2>/dev/null || true"),
        "none"
    );
    lab.converge(&command("touch /root/it", ""));
}
