//! The firewall on a real host: what is let in and what is not, what somebody changes by hand in the kernel, what others
//! have there, and a host that has started anew.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::lab::{Lab, moved};

/// Somebody else's table, and somebody else's file.
const THEIRS: &str = "apt-get update -qq; apt-get install -qq -y --no-install-recommends nftables >/dev/null 2>&1; \
    printf 'table ip theirs {\\n\\tchain c {\\n\\t\\tcounter accept\\n\\t}\\n}\\n' > /root/theirs.nft; nft -f /root/theirs.nft; \
    echo '# mine' >> /etc/nftables.conf; sha256sum /etc/nftables.conf; nft -s list table ip theirs";
/// Both, and all tables there are.
const LOOK: &str = "sha256sum /etc/nftables.conf; nft -s list table ip theirs; nft list tables";

fn ssh(more: &str) -> String {
    format!("[firewall]\ndefault = \"drop\"\n{more}\n[firewall.allow.ssh]\nport = 22\n")
}

/// Whether the host lets this port in from here.
fn lets_in(lab: &Lab, port: u16) -> bool {
    let address = SocketAddr::new(lab.host.address(), port);
    // Nobody listens: what is let in is refused at once, what is dropped has no answer.
    match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
            false
        }
    }
}

#[test]
fn what_is_let_in_is_what_is_declared_now_and_after_a_reboot_and_others_tables_stay() {
    let mut lab = Lab::new();
    let theirs = lab.on_host(THEIRS);
    assert!(lets_in(&lab, 8080));
    let web = "[firewall.allow.web]\nport = 8080\n";
    lab.declare(&ssh(web));
    let planned = lab.planned("firewall:provision");
    assert_eq!(planned["access"], true);
    assert!(
        planned["text"]["after"]
            .as_str()
            .unwrap()
            .contains("tcp dport 8080 accept"),
        "{planned}"
    );
    let ran = lab.converge(&ssh(web));
    assert!(
        ran.told().contains("confirming over a new connection"),
        "{}",
        ran.told()
    );
    assert!(lets_in(&lab, 8080) && !lets_in(&lab, 9090));
    assert_eq!(
        lab.on_host(LOOK),
        format!("{theirs}\ntable ip theirs\ntable inet provision")
    );
    // Answers to what the host itself asks come in.
    lab.on_host("apt-get update -qq");

    // Another rule set takes the place of this one in one step.
    lab.converge(&ssh("[firewall.allow.web]\nport = 9090\n"));
    assert!(lets_in(&lab, 9090) && !lets_in(&lab, 8080));
    let from = "[firewall.allow.web]\nport = 9090\nfrom = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n";
    lab.converge(&ssh(from));
    assert!(!lets_in(&lab, 9090));

    lab.host.power_cut().unwrap();
    lab.host.boot().unwrap();
    lab.host.wait_ready(Duration::from_secs(60)).unwrap();
    assert!(!lets_in(&lab, 9090) && lets_in(&lab, 22));
    assert_eq!(
        lab.on_host("systemctl is-active provision-firewall.service; nft list tables"),
        "active\ntable inet provision"
    );
    lab.assert_converged();

    lab.on_host("nft -f /root/theirs.nft");
    lab.converge("");
    assert!(lets_in(&lab, 9090) && lets_in(&lab, 8080));
    assert_eq!(lab.on_host(LOOK), format!("{theirs}\ntable ip theirs"));
    lab.on_host(
        "! ls /etc/nftables-provision.nft /etc/systemd/system/provision-firewall.service \
         /etc/systemd/system/sysinit.target.wants/provision-firewall.service 2>/dev/null",
    );
}

#[test]
fn what_is_changed_by_hand_in_the_kernel_or_on_the_disk_is_found_and_put_right() {
    let lab = Lab::new();
    let body = ssh(
        "rules = \"\"\"\n\tset seen {\n\t\ttype ipv4_addr\n\t\tflags dynamic,timeout\n\t\ttimeout 1h\n\t}\n\"\"\"\n[firewall.allow.web]\nport = 8080\n",
    );
    let file = lab.converge(&body);
    assert!(file.told().contains("check and load the firewall"), "{}", file.told());
    // The package came with it, since nothing else declares it.
    assert_eq!(
        lab.on_host("dpkg-query -W -f '${Status}' nftables"),
        "install ok installed"
    );
    let firewall = [("firewall:provision", "host")];
    let heal = |lab: &Lab| {
        lab.converge(&body);
        assert_eq!(lab.drift(), moved(&[]));
    };

    lab.on_host("nft add rule inet provision input tcp dport 31337 accept");
    assert_eq!(lab.drift(), moved(&firewall));
    let plan = lab.plan().expect(2).stdout;
    assert!(
        plan.contains("-\t\ttcp dport 31337 accept") || plan.contains("tcp dport 31337 accept"),
        "{plan}"
    );
    assert!(plan.contains("changed since they were loaded"), "{plan}");
    heal(&lab);
    lab.on_host("! nft list table inet provision | grep 31337");

    // A rule that is gone, a policy, a table asleep, a chain of somebody's: each is another table.
    for by_hand in [
        "nft delete rule inet provision input handle $(nft -a list table inet provision | sed -n 's/.*\"web\" # handle //p')",
        "nft add chain inet provision input '{ policy accept; }'",
        "nft add table inet provision '{ flags dormant; }'",
        "nft add chain inet provision more",
        "nft delete table inet provision",
        "nft flush ruleset",
    ] {
        lab.on_host(by_hand);
        assert_eq!(lab.drift(), moved(&firewall), "{by_hand}");
        heal(&lab);
    }
    // What the rules themselves put into sets, and counters, are no difference.
    lab.on_host("nft add element inet provision seen '{ 192.0.2.1 }'");
    lab.assert_converged();

    lab.on_host("echo '# more' >> /etc/nftables-provision.nft");
    assert_eq!(lab.drift(), moved(&[("file:/etc/nftables-provision.nft", "host")]));
    heal(&lab);
    lab.on_host("systemctl disable --quiet provision-firewall.service");
    assert_eq!(lab.drift(), moved(&[("unit:provision-firewall.service", "host")]));
    heal(&lab);

    // Debian's own unit empties the kernel of all tables; ours is there again right after.
    for verb in ["start", "restart", "reload", "stop"] {
        lab.on_host(&format!(
            "systemctl {verb} nftables.service; nft list table inet provision"
        ));
        lab.assert_converged();
    }
    lab.converge("");
    lab.on_host("! dpkg-query -W -f '${Status}' nftables | grep -q '^install'");
}

#[test]
fn rules_that_nft_does_not_take_change_nothing_and_a_table_of_that_name_comes_back() {
    let lab = Lab::new();
    lab.on_host(THEIRS);
    lab.on_host("nft add table inet provision; nft add chain inet provision old; nft add rule inet provision old tcp dport 1 drop");
    let before = lab.on_host("nft list table inet provision");
    let refused = lab
        .apply(&ssh("[firewall.allow.odd]\nmatch = \"tcp dprot 5\"\n"))
        .expect(3);
    assert!(
        refused.told().contains("dprot") && refused.told().contains("nft -c"),
        "{}",
        refused.told()
    );
    assert_eq!(lab.on_host("nft list table inet provision"), before);
    lab.on_host("test ! -e /etc/nftables-provision.nft; test ! -e /etc/systemd/system/sysinit.target.wants/provision-firewall.service");

    lab.converge(&ssh(""));
    assert_ne!(lab.on_host("nft list table inet provision"), before);
    // One step back is the table of then, and so is the end of it all.
    lab.converge(&ssh("[firewall.allow.web]\nport = 8080\n"));
    let _ = lab.provision(&["rollback", lab.name(), "--yes"]).expect(0);
    lab.on_host("! nft list table inet provision | grep 8080; nft list table inet provision | grep ssh; grep -q ssh /etc/nftables-provision.nft");
    lab.converge("");
    assert_eq!(lab.on_host("nft list table inet provision"), before);
}

#[test]
fn a_table_that_is_written_out_is_loaded_as_it_is() {
    let lab = Lab::new();
    lab.write(
        "files/whole.nft",
        "chain mine {\n  type filter hook input priority 0; policy accept;\n  tcp dport 9090 drop\n}\n",
    );
    lab.converge("[firewall]\nfile = \"whole.nft\"\n");
    assert!(!lets_in(&lab, 9090) && lets_in(&lab, 8080));
    lab.on_host("nft flush chain inet provision mine");
    assert_eq!(lab.drift(), moved(&[("firewall:provision", "host")]));
    lab.converge("[firewall]\nfile = \"whole.nft\"\n");
    assert!(!lets_in(&lab, 9090));
}
