//! Files that are only made where nothing is, on a real host.

use crate::lab::{Lab, moved};

#[test]
fn a_seed_is_made_once_and_never_replaces_a_persons_work() {
    let lab = Lab::new();
    let body = |text: &str| {
        format!(
            "[files.\"/etc/bot.conf\"]\nseed = true\nmode = \"0640\"\ntext = \"{text}\\n\"\n\
             [files.\"/etc/theirs\"]\nseed = true\ntext = \"{text}\\n\"\n\
             [files.\"/etc/linked\"]\nseed = true\ntext = \"{text}\\n\"\n"
        )
    };
    lab.on_host("echo theirs > /etc/theirs; chmod 0600 /etc/theirs; ln -s theirs /etc/linked");
    lab.declare(&body("first"));
    assert_eq!(lab.plan_ids(), ["file:/etc/bot.conf"]);
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("made once, and never replaced"), "{}", plan.told());
    lab.converge(&body("first"));
    let look = "stat -c '%a %U' /etc/bot.conf; cat /etc/bot.conf; stat -c %a /etc/theirs; cat /etc/linked";
    assert_eq!(lab.on_host(look), "640 root\nfirst\n600\ntheirs");

    // Neither a person nor the configuration moves it: nothing drifts.
    lab.on_host("echo edited > /etc/bot.conf; chown daemon /etc/bot.conf");
    lab.converge(&body("second"));
    assert_eq!(lab.on_host(look), "640 daemon\nedited\n600\ntheirs");
    lab.on_host("rm /etc/bot.conf");
    assert_eq!(lab.drift(), moved(&[("file:/etc/bot.conf", "both")]));
    lab.converge(&body("second"));
    assert_eq!(lab.on_host("cat /etc/bot.conf"), "second");

    // It leaves the configuration: what somebody made of it stays, what is as it was made goes.
    lab.on_host("echo edited > /etc/bot.conf");
    lab.declare("");
    let plan = lab.plan().expect(2);
    assert!(
        plan.stdout.contains("was changed by somebody since provision made it"),
        "{}",
        plan.told()
    );
    lab.converge("");
    assert_eq!(
        lab.on_host("cat /etc/bot.conf /etc/linked; rm /etc/bot.conf"),
        "edited\ntheirs"
    );
    lab.converge(&body("third"));
    lab.converge("");
    assert_eq!(lab.on_host("ls /etc/bot.conf 2>/dev/null; cat /etc/theirs"), "theirs");
}
