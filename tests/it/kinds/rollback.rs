//! Generations on a real host: what is kept of them, how they differ, and the way back, kind by kind.

use serde_json::Value;

use crate::lab::Lab;

/// One of every kind that leaves something behind, so that each differs in the next.
const ONE: &str = r#"
[groups.robots]
[users.robot]
group = "robots"
groups = ["games"]
home = "/srv/robot"
system = true
[directories."/srv/robot"]
owner = "robot"
group = "robots"
mode = "0750"
[files."/srv/robot/settings"]
text = "speed = 3\n"
owner = "robot"
mode = "0640"
sensitive = false
[files."/etc/issue"]
text = "managed\n"
[files."/etc/only-one"]
text = "one\n"
[symlinks."/srv/robot/latest"]
target = "settings"
[sysctl."net.ipv4.ip_local_port_range"]
value = "20000 60000"
file = "/etc/sysctl.d/60-robot.conf"
[units."robot.service"]
text = """
[Service]
User=robot
ExecStart=/bin/sh -c "cat /srv/robot/settings; exec sleep infinity"
[Install]
WantedBy=multi-user.target
"""
enabled = true
active = true
settle = "200ms"
[units."there.service"]
active = true
[users.helper]
home = "/home/helper"
[linger]
helper = true
[units."helper/help.service"]
text = """
[Service]
ExecStart=/bin/sh -c "exec sleep infinity"
[Install]
WantedBy=default.target
"""
enabled = true
active = true
settle = "200ms"
"#;

/// The same, with every attribute changed, one resource gone and one new.
const TWO: &str = r#"
[groups.robots]
[groups.extra]
[users.robot]
group = "robots"
groups = ["games", "audio", "extra"]
home = "/srv/robot"
shell = "/bin/sh"
comment = "A robot"
system = true
[directories."/srv/robot"]
owner = "robot"
group = "games"
mode = "0755"
[files."/srv/robot/settings"]
text = "speed = 5\nlights = 1\n"
owner = "root"
group = "games"
mode = "0604"
[files."/etc/issue"]
text = "managed\n"
mode = "0600"
[files."/etc/only-two"]
text = "two\n"
[symlinks."/srv/robot/latest"]
target = "/srv/robot"
[sysctl."net.ipv4.ip_local_port_range"]
value = "30000 50000"
file = "/etc/sysctl.d/60-robot.conf"
[sysctl."net.ipv4.tcp_fin_timeout"]
value = 45
file = "/etc/sysctl.d/60-robot.conf"
[units."robot.service"]
text = """
[Service]
ExecStart=/bin/sh -c "exec sleep infinity"
[Install]
WantedBy=multi-user.target
"""
enabled = false
active = false
[units."there.service"]
active = false
enabled = false
[users.helper]
home = "/home/helper"
[linger]
helper = true
[units."helper/help.service"]
text = """
[Unit]
Description=Help
[Service]
ExecStart=/bin/sh -c "exec sleep infinity"
[Install]
WantedBy=default.target
"""
drop_ins.colour = "[Service]\nEnvironment=COLOUR=blue\n"
enabled = false
active = false
[commands.seed]
run = ["/bin/sh", "-c", "echo seed > /root/seed"]
creates = "/root/seed"
"#;

/// All that both manage, as the host has it, without times.
const DIGEST: &str = r"
getent group robots extra; getent passwd robot | cut -d: -f1,5-; id -Gn robot 2>/dev/null
for path in /srv/robot /srv/robot/settings /srv/robot/latest /etc/issue /etc/only-one /etc/only-two \
            /etc/sysctl.d/60-robot.conf /etc/systemd/system/robot.service \
            /etc/systemd/system/multi-user.target.wants/robot.service /var/lib/systemd/linger/helper \
            /home/helper/.config /home/helper/.config/systemd/user/help.service \
            /home/helper/.config/systemd/user/help.service.d/colour.conf \
            /home/helper/.config/systemd/user/default.target.wants/help.service; do
    stat -c '%n %F %a %U:%G %N' $path 2>/dev/null
    [ -f $path ] && sha256sum < $path
done
cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/tcp_fin_timeout
for unit in robot.service there.service; do systemctl is-enabled $unit 2>&1; systemctl is-active $unit; done
getent passwd helper | cut -d: -f1,5- && [ -e /var/lib/systemd/linger/helper ] && runuser -u helper -- env XDG_RUNTIME_DIR=/run/user/$(id -u helper) \
    systemctl --user show -P Description -P ActiveState -P UnitFileState -P Environment -P NeedDaemonReload help.service
true";

fn generations(lab: &Lab) -> Vec<Value> {
    let told = lab.provision(&["generations", lab.name(), "--json"]).expect(0);
    told.json()["generations"].as_array().unwrap().clone()
}

/// Goes back, and fails the test unless the host is then as this digest says, and a way to the same generation is empty.
#[track_caller]
fn back(lab: &Lab, to: &[&str], digest: &str) -> String {
    let ran = lab
        .provision(&[&["rollback", lab.name(), "--yes"], to].concat())
        .expect(0);
    assert_eq!(lab.on_host(DIGEST), digest, "{to:?}: {}", ran.told());
    if let [to] = to {
        let again = lab.provision(&["rollback", lab.name(), to, "--plan", "--detailed-exitcode"]);
        let _ = again.expect(0);
    }
    ran.told()
}

#[test]
fn going_back_restores_every_kind_and_going_back_again_undoes_it() {
    let lab = Lab::new();
    lab.on_host(
        "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' \
         > /etc/systemd/system/there.service; systemctl daemon-reload; systemctl enable -q --now there.service",
    );
    let bare = lab.on_host(DIGEST);
    lab.converge(ONE);
    let one = lab.on_host(DIGEST);
    lab.converge(TWO);
    let two = lab.on_host(DIGEST);
    for (a, b) in [(&bare, &one), (&one, &two), (&bare, &two)] {
        assert_ne!(a, b);
    }

    let told = back(&lab, &[], &one);
    assert!(told.contains("Back to generation 1: confirmed"), "{told}");
    assert!(
        told.contains("command:seed: it has run since; what it did stays"),
        "{told}"
    );
    assert!(
        told.contains("is not as generation 1 left it") && told.contains("is not in generation 1"),
        "{told}"
    );
    assert!(told.contains("-lights = 1"), "{told}");
    assert!(!told.contains("configuration"), "{told}");
    // The configuration still says otherwise, and drift tells that it was not the host that moved.
    assert!(lab.drift().values().all(|moved| moved != "host"), "{:?}", lab.drift());

    back(&lab, &[], &two);
    back(&lab, &["1"], &one);
    lab.on_host("echo by hand > /etc/only-one; chown games /srv/robot/settings; systemctl stop there.service");
    back(&lab, &["1"], &one);
    back(&lab, &["0"], &bare);
    back(&lab, &["2"], &two);
    lab.assert_converged();

    let all = generations(&lab);
    let numbers: Vec<_> = all.iter().map(|told| told["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).rev().collect::<Vec<_>>());
    assert_eq!(all[0]["by"]["rollback_to"], "2");
    assert_eq!(all[0]["current"], true);
    let text = lab.provision(&["generations", lab.name()]).expect(0).stdout;
    assert!(
        text.contains("back to generation 2") && text.contains("tester@"),
        "{text}"
    );
}

#[test]
fn generations_are_compared_line_by_line_and_what_is_sensitive_is_neither_kept_nor_brought_back() {
    let lab = Lab::new();
    let body = |word: &str| {
        format!(
            "[files.\"/etc/key\"]\ntext = \"{word}-key\\n\"\nmode = \"0600\"\nsensitive = true\n\
             [files.\"/etc/private\"]\ntext = \"{word}-lock\\n\"\nmode = \"0600\"\n[files.\"/etc/said\"]\ntext = \"hello\\n{word}\\n\"\n"
        )
    };
    lab.on_host("echo before > /etc/said");
    lab.converge(&body("first"));
    lab.converge(&body("second"));

    let diff = lab.provision(&["diff", lab.name()]).expect(0).stdout;
    for words in [
        "from generation 1 to 2",
        "~ changed  file:/etc/said",
        "-first\n",
        "+second\n",
        "(text not shown: sensitive)",
        "(text not shown: not for all to read)",
    ] {
        assert!(diff.contains(words), "{words}: {diff}");
    }
    let from_nothing = lab.provision(&["diff", lab.name(), "0", "1"]).expect(0).stdout;
    assert!(from_nothing.contains("+ added    file:/etc/said"), "{from_nothing}");
    assert!(
        !diff.contains("-key") && !from_nothing.contains("-key") && !diff.contains("-lock"),
        "{diff}"
    );
    let json = lab
        .provision(&["diff", lab.name(), "1", "2", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["differences"][2]["text"]["after"], "hello\nsecond\n");

    // Of what is sensitive nothing is left below the agent's directory; what others may not read is there for root alone.
    assert_eq!(lab.on_host("grep -rl second-key /var/lib/provision || true"), "");
    let kept = lab.on_host("stat -c '%a %U' /var/lib/provision $(grep -rl first-lock /var/lib/provision)");
    assert_eq!(kept, "700 root\n600 root");
    let plan = lab.provision(&["rollback", lab.name(), "1", "--plan"]).expect(0);
    let words = "file:/etc/key: its content is sensitive, so hosts do not keep it; it stays as it is now";
    assert!(plan.stdout.contains(words), "{}", plan.told());
    assert!(!plan.stdout.contains("-lock"), "{}", plan.told());
    let _ = lab.provision(&["rollback", lab.name(), "1", "--yes"]).expect(0);
    let found = lab.on_host("cat /etc/key /etc/private /etc/said; stat -c %a /etc/private");
    assert_eq!(found, "second-key\nfirst-lock\nhello\nfirst\n600");
}

#[test]
fn a_rollback_is_shown_saved_and_refused_like_any_plan_and_needs_no_project_that_makes_sense() {
    let lab = Lab::new();
    let body = |word: &str| format!("[files.\"/etc/said\"]\ntext = \"{word}\\n\"\n");
    let refused = lab.provision(&["rollback", lab.name()]).expect(1);
    assert!(
        refused.stderr.contains("nothing was applied to it yet"),
        "{}",
        refused.told()
    );
    lab.converge(&body("one"));
    lab.converge(&body("two"));
    lab.write("modules/broken.toml", "this is no TOML");
    let _ = lab.provision(&["plan"]).expect(1);

    let shown = lab
        .provision(&["rollback", lab.name(), "--plan", "--detailed-exitcode", "--json"])
        .expect(2);
    let json = shown.json();
    assert_eq!(
        (&json["to"], &json["plan"]["rollback_to"]),
        (&Value::from(1), &Value::from(1))
    );
    assert_eq!(json["plan"]["changes"][0]["id"], "file:/etc/said");
    let unasked = lab.provision(&["rollback", lab.name()]).expect(1);
    assert!(unasked.stderr.contains("no terminal to ask on"), "{}", unasked.told());
    let _ = lab.provision(&["rollback", lab.name(), "--out", "back.plan"]).expect(0);
    assert_eq!(lab.on_host("cat /etc/said"), "two");
    let _ = lab.provision(&["apply", "back.plan", "--yes"]).expect(0);
    assert_eq!(lab.on_host("cat /etc/said"), "one");
    let stale = lab.provision(&["apply", "back.plan", "--yes"]);
    assert!(matches!(stale.code(), 1 | 5), "{}", stale.told());
    let lines = lab.provision(&["rollback", lab.name(), "--yes", "--json"]).expect(0);
    assert!(lines.stdout.starts_with("{\"format_version\":1,") && lines.stdout.contains("\"type\":\"rollback\""));
    assert_eq!(lab.on_host("cat /etc/said"), "two");
    let unknown = lab.provision(&["rollback", lab.name(), "99", "--yes"]).expect(1);
    assert!(unknown.stderr.contains("it keeps 1 to 4"), "{}", unknown.told());
}

#[test]
fn what_leaves_the_configuration_is_restored_removed_or_kept_as_it_says() {
    let lab = Lab::new();
    lab.on_host("for name in restored removed kept; do echo theirs > /etc/$name; done; mkdir /srv/kept");
    let body = |on_removal: &str| {
        format!(
            "[files.\"/etc/restored\"]\ntext = \"ours\\n\"\n\
             [files.\"/etc/removed\"]\ntext = \"ours\\n\"\non_removal = \"remove\"\n\
             [files.\"/etc/kept\"]\ntext = \"ours\\n\"\non_removal = \"{on_removal}\"\n\
             [directories.\"/srv/kept\"]\nmode = \"0700\"\non_removal = \"keep\"\n\
             [users.kept]\nsystem = true\non_removal = \"keep\"\n[groups.gone]\n"
        )
    };
    lab.converge(&body("restore"));
    // The choice counts only once the host knows of it.
    lab.declare(&body("keep"));
    let plan = lab.plan().expect(2);
    assert!(plan.stdout.contains("restore \u{2192} keep"), "{}", plan.told());
    lab.converge(&body("keep"));
    lab.declare("");
    let plan = lab.plan().expect(2).stdout;
    for words in [
        "< restore  file:/etc/restored",
        "- remove   file:/etc/removed",
        "goes though it was there before, as on_removal says",
        ". forget   file:/etc/kept",
        "stays, as on_removal says",
    ] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    lab.converge("");
    let look = "cat /etc/restored /etc/kept; stat -c %a /srv/kept; getent passwd kept | cut -d: -f1; \
                ls /etc/removed 2>/dev/null; getent group gone; true";
    assert_eq!(lab.on_host(look), "theirs\nours\n700\nkept");
}

#[test]
fn a_forgotten_host_keeps_what_it_has_and_is_taken_for_a_new_one() {
    let lab = Lab::new();
    lab.on_host("echo theirs > /etc/issue");
    let body = "[files.\"/etc/issue\"]\ntext = \"ours\\n\"\n[files.\"/etc/new\"]\ntext = \"new\\n\"\n";
    lab.converge(body);
    let unasked = lab.provision(&["forget", lab.name()]).expect(1);
    assert!(unasked.stderr.contains("stays: 2 resources"), "{}", unasked.told());
    lab.on_host("test -e /var/lib/provision/current");
    let _ = lab.provision(&["forget", lab.name(), "--yes"]).expect(0);
    lab.on_host("test ! -e /var/lib/provision");
    assert_eq!(lab.on_host("cat /etc/issue /etc/new"), "ours\nnew");
    lab.assert_converged();
    let plan = lab.plan().expect(0);
    assert!(plan.stdout.contains("not provisioned before"), "{}", plan.told());
    assert_eq!(generations(&lab), Vec::<Value>::new());
    // A second time there is nothing to forget, and nothing of it is undone.
    let _ = lab.provision(&["forget", lab.name(), "--yes"]).expect(0);
    lab.converge("");
    assert_eq!(lab.on_host("cat /etc/issue /etc/new"), "ours\nnew");
}
