//! Several hosts, some of them in trouble: the others get what is theirs, and the recap has them all.

use std::net::TcpListener;

use crate::lab::Lab;

const GOOD: &str = "[files.\"/srv/good\"]\ntext = \"good\\n\"\n";
const BROKEN: &str =
    "[commands.broken]\nrun = [\"/bin/sh\", \"-c\", \"echo it is broken; exit 3\"]\ncreates = \"/srv/never\"\n";

#[test]
fn hosts_in_trouble_never_stop_the_others() {
    let good = Lab::new();
    let broken = Lab::new();
    good.declare(GOOD);
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = hung.local_addr().unwrap().port();
    let declare_broken = |body: &str| {
        good.write(
            &format!("hosts/{}.toml", broken.name()),
            &broken.host_file(broken.host.ssh_address().port(), body),
        );
    };
    declare_broken(BROKEN);
    good.write("hosts/hung.toml", &good.host_file_at("127.0.0.1", port, GOOD));
    good.write("hosts/off.toml", &good.host_file_at("127.0.0.1", 9, GOOD));

    let planned = good.provision(&["plan", "--timeout", "5s"]).expect(4);
    assert!(
        planned.stdout.contains("/srv/good") && planned.stdout.contains("broken"),
        "{}",
        planned.told()
    );
    assert!(
        planned.stderr.contains("hung: cannot connect") && planned.stderr.contains("off: cannot connect"),
        "{}",
        planned.told()
    );

    let ran = good.provision(&["apply", "--yes", "--timeout", "5s"]).expect(3);
    let row = |host: &str| {
        let recap = ran.stdout.lines().skip_while(|line| !line.starts_with("HOST "));
        let rows: Vec<_> = recap
            .filter(|line| line.split_whitespace().next() == Some(host))
            .collect();
        rows.iter()
            .find_map(|line| line.split_whitespace().nth(1))
            .map(str::to_owned)
            .unwrap_or_else(|| panic!("no {host} in {}", ran.told()))
    };
    assert_eq!(
        (row(good.name()), row(broken.name())),
        ("changed".into(), "failed".into()),
        "{}",
        ran.told()
    );
    assert_eq!(
        (row("hung"), row("off")),
        ("unreachable".into(), "unreachable".into()),
        "{}",
        ran.told()
    );
    assert!(ran.stdout.contains("it is broken"), "{}", ran.told());
    assert_eq!(good.on_host("cat /srv/good"), "good");

    // Without the broken one the gravest is that some were not reached; without any of them all is well.
    declare_broken("");
    let _ = good.provision(&["apply", "--yes", "--timeout", "5s"]).expect(4);
    let _ = good
        .provision(&["apply", "--yes", "--exclude", "hung", "--exclude", "off"])
        .expect(0);
}
